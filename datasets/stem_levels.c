/*
 * Levels of stems (stem_levels.h).
 */
#include "datasets/stem_levels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/audio.h"
#include "datasets/store_internal.h"

static const double highpass_hz = 25, headroom = 0.98;

void rg_stems_free(rg_stems *stems)
{
    free(stems->samples);
    *stems = (rg_stems){0};
}

/* Bilinear transform. */
void rg__stems_high_pass(float *x, int64_t n, int32_t rate)
{
    double k = tan(3.14159265358979323846 * highpass_hz / rate),
           norm = 1 / (1 + sqrt(2) * k + k * k);
    double a1 = 2 * (k * k - 1) * norm, a2 = (1 - sqrt(2) * k + k * k) * norm, s1 = 0, s2 = 0;
    for (int64_t i = 0; i < n; i++) {
        double in = x[i] * norm, y = in + s1;
        s1 = -2 * in - a1 * y + s2;
        s2 = in - a2 * y;
        x[i] = (float)y;
    }
}

/* One gain for all: the wanted loudness of the mix, or less where mix or stem would clip. */
static rg_status find_gain(const rg__rows *p, double wanted, double *gain, double *lufs,
                           rg_error *err)
{
    rg_audio mix = {0};
    RG_TRY(rg_audio_make(&mix, p->frames, 1, p->rate, err));
    double peak = 0;
    memset(mix.samples, 0, (size_t)p->frames * sizeof *mix.samples);
    for (int32_t r = 0; r < p->n_roles; r++)
        for (int64_t i = 0; i < p->frames; i++) {
            float v = p->rows[r * p->capacity + i];
            mix.samples[i] += v;
            peak = fmax(peak, fabs((double)v));
        }
    for (int64_t i = 0; i < p->frames; i++) peak = fmax(peak, fabs((double)mix.samples[i]));
    rg_status status = rg_audio_loudness(&mix, lufs, err);
    rg_audio_free(&mix);
    RG_TRY(status);
    if (!(peak > 1e-5) || !isfinite(*lufs))
        return rg_fail(err, RG_ERR_FORMAT, "nothing sounds in this song");
    *gain = fmin(pow(10, (wanted - *lufs) / 20), headroom / peak);
    *lufs += 20 * log10(*gain);
    return RG_OK;
}

/* Frames up to the last block in which any role is above -60 dBFS; roles without one are absent. */
static int64_t trim(const rg_stems *s, uint8_t *activity, bool present[RG_MAX_ROLES])
{
    int64_t blocks = rg__store_blocks(s->frames, s->rate), last = 0;
    for (int32_t r = 0; r < s->n_roles; r++) {
        rg__store_activity(s->samples + r * s->frames, s->frames, s->rate, activity);
        present[r] = false;
        for (int64_t b = 0; b < blocks; b++)
            if (activity[b] > RG__ACTIVITY_FLOOR) {
                present[r] = true;
                if (b + 1 > last) last = b + 1;
            }
    }
    int64_t end = rg__store_block_start(last, s->rate);
    return end < s->frames ? end : s->frames;
}

static rg_status make_stems(const rg__rows *p, double gain, rg_stems *out, rg_error *err)
{
    out->n_roles = p->n_roles;
    out->rate = p->rate;
    out->frames = p->frames;
    if (p->frames < 1) return rg_fail(err, RG_ERR_FORMAT, "nothing sounds in this song");
    out->samples = malloc((size_t)(p->frames * p->n_roles) * sizeof *out->samples);
    uint8_t *activity = malloc((size_t)rg__store_blocks(p->frames, p->rate));
    if (!out->samples || !activity) {
        free(activity);
        return rg_fail(err, RG_ERR_NOMEM, "no memory for a song's stems");
    }
    for (int64_t i = 0; i < p->frames * p->n_roles; i++)
        out->samples[i] = (int16_t)lrint(p->rows[i] * gain * 32767);
    int64_t kept = trim(out, activity, out->present);
    free(activity);
    for (int32_t r = 0; r < p->n_roles; r++) {
        int16_t *row = out->samples + r * kept;
        memmove(row, out->samples + r * out->frames, (size_t)kept * sizeof *row);
        if (!out->present[r]) memset(row, 0, (size_t)kept * sizeof *row);
    }
    out->frames = kept;
    return kept > 0 ? RG_OK : rg_fail(err, RG_ERR_FORMAT, "nothing sounds in this song");
}

rg_status rg__stems_make(const rg__rows *rows, double loudness, rg_stems *out, rg_error *err)
{
    double gain = 0, wanted = loudness < 0 ? loudness : -18;
    *out = (rg_stems){0};
    rg_status status = find_gain(rows, wanted, &gain, &out->loudness_lufs, err);
    if (status == RG_OK) status = make_stems(rows, gain, out, err);
    out->gain_db = gain > 0 ? 20 * log10(gain) : 0;
    if (status != RG_OK) rg_stems_free(out);
    return status;
}
