/*
 * Peak, level, offset, clipping and silence of a sound: what one hears, by numbers.
 */
#include <math.h>

#include "audio/audio.h"

/* Where a 16-bit file is at its end: such samples count as clipped. */
static const double full_scale = 32767.0 / 32768.0;
static const double silent_power = 1e-6; /* -60 dBFS */

static double power(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return n > 0 ? sum / (double)n : 0;
}

static double silent_share(const rg_audio *audio)
{
    int64_t block = audio->rate / 10, silent = 0, blocks = 0;
    for (int64_t start = 0; start < audio->frames; start += block, blocks++) {
        int64_t left = audio->frames - start, n = left < block ? left : block;
        silent +=
            power(audio->samples + start * audio->channels, n * audio->channels) < silent_power;
    }
    return blocks > 0 ? (double)silent / (double)blocks : 1;
}

rg_levels rg_audio_levels(const rg_audio *audio)
{
    rg_levels levels = {0};
    int64_t n = audio->frames * audio->channels, clipped = 0;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = audio->samples[i], size = fabs(x);
        if (size > levels.peak) levels.peak = size;
        clipped += size >= full_scale;
        sum += x;
    }
    levels.dc = n > 0 ? sum / (double)n : 0;
    levels.clipped_share = n > 0 ? (double)clipped / (double)n : 0;
    levels.rms_dbfs = 10 * log10(power(audio->samples, n));
    levels.silent_share = silent_share(audio);
    return levels;
}
