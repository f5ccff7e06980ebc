/*
 * Levels of stems (stem_levels.h). Compiled for vectors; the order of every sum is fixed.
 */
#include "datasets/stem_levels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/audio.h"
#include "datasets/store_internal.h"

enum { BLOCK = 4096, LANES = 8, TOGETHER = 4 };

static const double highpass_hz = 25, headroom = 0.98;

void rg_stems_free(rg_stems *stems)
{
    free(stems->samples);
    *stems = (rg_stems){0};
}

/* Bilinear transform. Each sample waits for the one before: rows side by side fill the waits. */
static inline void filter(float *const *rows, int32_t n_rows, int64_t n, int32_t rate)
{
    double k = tan(3.14159265358979323846 * highpass_hz / rate),
           norm = 1 / (1 + sqrt(2) * k + k * k);
    double a1 = 2 * (k * k - 1) * norm, a2 = (1 - sqrt(2) * k + k * k) * norm;
    double s1[TOGETHER] = {0}, s2[TOGETHER] = {0};
    for (int64_t i = 0; i < n; i++)
        for (int32_t r = 0; r < n_rows; r++) {
            double in = rows[r][i] * norm, y = in + s1[r];
            s1[r] = -2 * in - a1 * y + s2[r];
            s2[r] = in - a2 * y;
            rows[r][i] = (float)y;
        }
}

void rg__stems_high_pass(const rg__rows *p)
{
    float *rows[RG_MAX_ROLES * RG_MAX_CHANNELS];
    int32_t n = 0, r = 0;
    for (int32_t k = 0; k < p->n_roles; k++)
        for (int32_t c = 0; c < p->channels; c++)
            if (p->rows[k][c]) rows[n++] = p->rows[k][c];
    for (; r + TOGETHER <= n; r += TOGETHER) filter(rows + r, TOGETHER, p->frames, p->rate);
    for (; r < n; r++) filter(rows + r, 1, p->frames, p->rate);
}

static float peak_of(const float *x, int64_t n, float least)
{
    float peaks[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) {
            float size = fabsf(x[i + k]);
            peaks[k] = size > peaks[k] ? size : peaks[k];
        }
    for (; i < n; i++) peaks[0] = fmaxf(peaks[0], fabsf(x[i]));
    for (int k = 0; k < LANES; k++) least = fmaxf(least, peaks[k]);
    return least;
}

/* mix (n) = one channel of all roles from frame `at` on; the largest sample of any of them. */
static float add_rows(const rg__rows *p, int32_t channel, int64_t at, int64_t n, float *mix,
                      float top)
{
    memset(mix, 0, (size_t)n * sizeof *mix);
    for (int32_t r = 0; r < p->n_roles; r++) {
        if (!p->rows[r][channel]) continue;
        const float *row = p->rows[r][channel] + at;
        top = peak_of(row, n, top);
        for (int64_t i = 0; i < n; i++) mix[i] += row[i];
    }
    return peak_of(mix, n, top);
}

/* Largest sample of any row and of the mix, and the mix's loudness. */
static rg_status measure_mix(const rg__rows *p, rg_loudness *meter, double *peak, rg_error *err)
{
    float one[BLOCK], mix[BLOCK * RG_MAX_CHANNELS], top = 0;
    for (int64_t at = 0; at < p->frames; at += BLOCK) {
        int64_t n = p->frames - at < BLOCK ? p->frames - at : BLOCK;
        for (int32_t c = 0; c < p->channels; c++) {
            top = add_rows(p, c, at, n, one, top);
            for (int64_t i = 0; i < n; i++) mix[i * p->channels + c] = one[i];
        }
        RG_TRY(rg_loudness_push(meter, mix, n, err));
    }
    *peak = top;
    return RG_OK;
}

/* One gain for all: the wanted loudness of the mix, or less where mix or stem would clip. */
static rg_status find_gain(const rg__rows *p, double wanted, double *gain, double *lufs,
                           rg_error *err)
{
    double peak = 0;
    rg_loudness *meter = rg_loudness_open(p->channels, p->rate, err);
    if (!meter) return RG_ERR_UNSUPPORTED;
    rg_status status = measure_mix(p, meter, &peak, err),
              closed = rg_loudness_close(meter, lufs, err);
    RG_TRY(status);
    RG_TRY(closed);
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
        rg__store_activity(s->samples + r * s->channels * s->frames, s->channels, s->frames,
                           s->rate, activity);
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

/* To the nearest, of two the even: what adding and taking away 1.5 * 2^52 does to a double. */
static void round_row(const float *restrict x, int64_t n, double gain, int16_t *restrict out)
{
    const double magic = 6755399441055744.0;
    for (int64_t i = 0; i < n; i++)
        out[i] = (int16_t)(int32_t)(x[i] * gain * 32767 + magic - magic);
}

/* Memory for all samples, and for a role's activity. */
static rg_status make_room(rg_stems *out, uint8_t **activity, rg_error *err)
{
    int64_t wanted = out->frames * out->n_roles * out->channels;
    if (wanted > out->room) {
        free(out->samples);
        out->samples = malloc((size_t)wanted * sizeof *out->samples);
        out->room = out->samples ? wanted : 0;
    }
    *activity = malloc((size_t)rg__store_blocks(out->frames, out->rate));
    if (out->samples && *activity) return RG_OK;
    free(*activity);
    return rg_fail(err, RG_ERR_NOMEM, "no memory for a song's stems");
}

static rg_status make_stems(const rg__rows *p, double gain, rg_stems *out, rg_error *err)
{
    uint8_t *activity;
    RG_TRY(make_room(out, &activity, err));
    const int32_t channels = p->channels, rows = p->n_roles * channels;
    for (int32_t k = 0; k < rows; k++) {
        int16_t *row = out->samples + k * p->frames;
        const float *from = p->rows[k / channels][k % channels];
        if (from)
            round_row(from, p->frames, gain, row);
        else
            memset(row, 0, (size_t)p->frames * sizeof *row);
    }
    int64_t kept = trim(out, activity, out->present);
    free(activity);
    for (int32_t k = 0; k < rows; k++) {
        int16_t *row = out->samples + k * kept;
        if (kept < p->frames)
            memmove(row, out->samples + k * p->frames, (size_t)kept * sizeof *row);
        if (!out->present[k / channels]) memset(row, 0, (size_t)kept * sizeof *row);
    }
    out->frames = kept;
    return kept > 0 ? RG_OK : rg_fail(err, RG_ERR_FORMAT, "nothing sounds in this song");
}

rg_status rg__stems_make(const rg__rows *rows, double loudness, rg_stems *out, rg_error *err)
{
    double gain = 0, wanted = loudness < 0 ? loudness : -18;
    *out = (rg_stems){.n_roles = rows->n_roles,
                      .channels = rows->channels,
                      .rate = rows->rate,
                      .frames = rows->frames,
                      .room = out->room,
                      .samples = out->samples};
    if (rows->frames < 1) return rg_fail(err, RG_ERR_FORMAT, "nothing sounds in this song");
    RG_TRY(find_gain(rows, wanted, &gain, &out->loudness_lufs, err));
    out->gain_db = 20 * log10(gain);
    return make_stems(rows, gain, out, err);
}
