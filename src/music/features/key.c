/*
 * Keys by profiles (key.h).
 */
#include "music/features/key.h"

#include <math.h>
#include <string.h>

static const double profiles[2][12] = {
    {.238, .006, .111, .006, .137, .094, .016, .214, .009, .080, .008, .081},
    {.220, .006, .104, .123, .019, .103, .012, .214, .062, .022, .061, .052}};

/* Below this a correlation is rounding: a flat chroma has no key. */
static const double least_variance = 1e-12;

static bool mean_profile(const float *chroma, int64_t frames, double out[12])
{
    double sum = 0;
    for (int c = 0; c < 12; c++) {
        out[c] = 0;
        for (int64_t t = 0; t < frames; t++) out[c] += chroma[t * 12 + c];
        sum += out[c];
    }
    for (int c = 0; c < 12; c++) out[c] = sum > 0 ? out[c] / sum : 0;
    return sum > 0;
}

/* Pearson correlation of p with q turned up by `turn`; NAN when either is flat. */
static double correlation(const double p[12], const double q[12], int32_t turn)
{
    double pp = 0, qq = 0, pq = 0, mp = 0, mq = 0;
    for (int c = 0; c < 12; c++) {
        mp += p[c] / 12;
        mq += q[c] / 12;
    }
    for (int c = 0; c < 12; c++) {
        double x = p[c] - mp, y = q[(c - turn + 12) % 12] - mq;
        pp += x * x;
        qq += y * y;
        pq += x * y;
    }
    return pp > least_variance && qq > least_variance ? pq / sqrt(pp * qq) : NAN;
}

int32_t rg_keys_of(const float *chroma, int64_t frames, rg_key_fit out[RG_KEYS])
{
    double p[12];
    int32_t n = 0;
    if (!mean_profile(chroma, frames, p)) return 0;
    for (int32_t k = 0; k < 24; k++) {
        rg_key_fit fit = {{k % 12, k / 12}, correlation(p, profiles[k / 12], k % 12)};
        int32_t at = n;
        if (!isfinite(fit.correlation)) continue;
        while (at > 0 && fit.correlation > out[at - 1].correlation) at--;
        if (at >= RG_KEYS) continue;
        n = n < RG_KEYS ? n + 1 : n;
        memmove(out + at + 1, out + at, (size_t)(n - 1 - at) * sizeof *out);
        out[at] = fit;
    }
    return n;
}

rg_key rg_key_of(const float *chroma, int64_t frames)
{
    rg_key_fit fits[RG_KEYS];
    return rg_keys_of(chroma, frames, fits) > 0 ? fits[0].key : (rg_key){-1, 0};
}

rg_key rg_key_moved(rg_key key, int32_t semitones)
{
    if (key.tonic >= 0) key.tonic = ((key.tonic + semitones) % 12 + 12) % 12;
    return key;
}

double rg_key_score(rg_key reference, rg_key estimate)
{
    if (reference.tonic < 0) return NAN;
    if (estimate.tonic < 0) return 0;
    int32_t up = (estimate.tonic - reference.tonic + 12) % 12;
    if (reference.mode == estimate.mode) return up == 0 ? 1 : up == 7 || up == 5 ? 0.5 : 0;
    /* the relative minor lies 9 above its major, the relative major 3 above its minor */
    if (up == (reference.mode == 0 ? 9 : 3)) return 0.3;
    return up == 0 ? 0.2 : 0;
}

int32_t rg_chroma_turn(const float *a, int64_t a_frames, const float *b, int64_t b_frames)
{
    double p[12], q[12], most = -INFINITY;
    int32_t best = -1;
    if (!mean_profile(a, a_frames, p) || !mean_profile(b, b_frames, q)) return -1;
    for (int32_t turn = 0; turn < 12; turn++) {
        double fit = correlation(q, p, turn);
        if (!(fit > most)) continue;
        most = fit;
        best = turn;
    }
    return best;
}
