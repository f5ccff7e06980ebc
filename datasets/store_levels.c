/*
 * Levels of stems: the activity index in blocks of 100 ms, and questions about it.
 *
 * One idea: one byte per block, RMS in dB above -96 dBFS; block b covers the frames
 * [b*rate/10, (b+1)*rate/10) in integer division, so every rate works.
 */
#include <math.h>

#include "datasets/store_internal.h"

int64_t rg__store_block_start(int64_t block, int32_t rate)
{
    return block * rate / RG_ACTIVITY_PER_SECOND;
}

int64_t rg__store_blocks(int64_t frames, int32_t rate)
{
    return (frames * RG_ACTIVITY_PER_SECOND + rate - 1) / rate;
}

/* Exact, so that vectors may add in any order. */
static int64_t energy_of(const int16_t *x, int64_t n)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (int32_t)x[i] * x[i];
    return sum;
}

int64_t rg__store_activity(const int16_t *samples, int32_t channels, int64_t frames, int32_t rate,
                           uint8_t *out)
{
    int64_t blocks = rg__store_blocks(frames, rate), total = 0;
    for (int64_t b = 0; b < blocks; b++) {
        int64_t first = rg__store_block_start(b, rate), last = rg__store_block_start(b + 1, rate);
        if (last > frames) last = frames;
        int64_t energy = 0, n = (last - first) * channels;
        for (int32_t c = 0; c < channels; c++)
            energy += energy_of(samples + c * frames + first, last - first);
        double mean = n > 0 ? (double)energy / (double)n / (32768.0 * 32768.0) : 0;
        double level = mean > 0 ? 10 * log10(mean) + 96 : 0;
        out[b] = (uint8_t)fmin(fmax(round(level), 0), 255);
        total += energy;
    }
    return total;
}

int32_t rg__store_peak(const int16_t *samples, int64_t n)
{
    int16_t low = 0, high = 0;
    for (int64_t i = 0; i < n; i++) {
        low = samples[i] < low ? samples[i] : low;
        high = samples[i] > high ? samples[i] : high;
    }
    return -(int32_t)low > high ? -(int32_t)low : high;
}

double rg_store_active_share(const rg_store *store, int64_t song, int32_t role, int64_t start,
                             int64_t n)
{
    const rg_song *s = rg_store_song(store, song);
    if (n <= 0 || role < 0 || role >= rg_store_roles(store) || !s->present[role]) return 0;
    const uint8_t *activity = s->activity + (int64_t)role * s->n_activity;
    int64_t rate = rg_store_rate(store), first = start * RG_ACTIVITY_PER_SECOND / rate;
    int64_t last = ((start + n) * RG_ACTIVITY_PER_SECOND + rate - 1) / rate, active = 0;
    for (int64_t b = first < 0 ? 0 : first; b < last && b < s->n_activity; b++)
        active += activity[b] > RG__ACTIVITY_FLOOR;
    return last > first ? (double)active / (double)(last - first) : 0;
}
