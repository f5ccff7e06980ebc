/*
 * Tempo by comb and prior (tempo.h).
 */
#include "music/features/tempo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "music/features/onset.h"

enum { LOWEST = 40, HIGHEST = 240, STEPS_PER_BPM = 4, SHORTEST = 4 * RG_ONSET_RATE, TEETH = 4 };
enum { FASTEST_WALTZ = 190 };
static const double prior_bpm = 130, prior_octaves = 0.8;
static const double weights[TEETH] = {1, 0.5, 0.25, 0.33};

/* Autocorrelation of x (n) with its mean removed, per overlapping sample, r[0] = 1; false when
 * constant. */
static bool autocorrelation(const float *x, int64_t n, double *r, int64_t lags)
{
    double mean = 0;
    for (int64_t i = 0; i < n; i++) mean += x[i] / (double)n;
    for (int64_t lag = 0; lag < lags; lag++) {
        double sum = 0;
        for (int64_t i = 0; i + lag < n; i++) sum += (x[i] - mean) * (x[i + lag] - mean);
        r[lag] = sum / (double)(n - lag);
    }
    if (!(r[0] > 1e-12)) return false;
    for (int64_t lag = lags - 1; lag >= 0; lag--) r[lag] /= r[0];
    return true;
}

/* r between its lags; 0 beyond them. */
static double at(const double *r, int64_t lags, double lag)
{
    const double part = lag - floor(lag);
    const int64_t i = (int64_t)lag;
    return i + 1 < lags ? (1 - part) * r[i] + part * r[i + 1] : 0;
}

static double comb(const double *r, int64_t lags, double bpm)
{
    double sum = 0, weight = 0, beat = 60.0 * RG_ONSET_RATE / bpm;
    for (int k = 0; k < TEETH; k++) {
        double lag = beat * (k + 1);
        if ((int64_t)lag + 1 >= lags) break;
        sum += weights[k] * at(r, lags, lag);
        weight += weights[k];
    }
    return weight > 0 ? fmax(0, sum / weight) : 0;
}

/* Whether two beats are a bar of three faster ones: thirds of the bar repeat nearly as well as its
 * halves, quarters do not, and the bar itself does best. */
static bool is_waltz(const double *r, int64_t lags, double bpm)
{
    const double half_bar = 60.0 * RG_ONSET_RATE / bpm, half = at(r, lags, half_bar);
    const double quarter = at(r, lags, half_bar / 2), three_quarters = at(r, lags, half_bar * 1.5);
    return 1.5 * bpm <= FASTEST_WALTZ && at(r, lags, half_bar * 2 / 3) > 0.7 * half &&
           at(r, lags, half_bar * 2) > half && quarter < 0 && three_quarters < 0 &&
           at(r, lags, half_bar / 3) > quarter;
}

enum { STEPS = (HIGHEST - LOWEST) * STEPS_PER_BPM + 1 };

static double bpm_at(int k)
{
    return LOWEST + (double)k / STEPS_PER_BPM;
}

/* The best step that is no neighbour (8 %) of `taken`; -1 when nothing scores. */
static int best_step(const double *scores, double taken)
{
    int best = -1;
    for (int k = 0; k < STEPS; k++) {
        if (taken > 0 && fabs(bpm_at(k) - taken) <= 0.08 * taken) continue;
        if (scores[k] > (best < 0 ? 0 : scores[best])) best = k;
    }
    return best;
}

rg_status rg_tempi_of(const float *envelope, int64_t n, rg_tempo out[RG_TEMPI], rg_error *err)
{
    int64_t lags = 60 * RG_ONSET_RATE / LOWEST * TEETH + 2;
    memset(out, 0, RG_TEMPI * sizeof *out);
    if (n < SHORTEST) return RG_OK;
    if (lags > n / 2) lags = n / 2;
    double *r = malloc((size_t)lags * sizeof *r), scores[STEPS], taken = 0, sum = 0;
    if (!r) return rg_fail(err, RG_ERR_NOMEM, "no memory for a tempo");
    bool moves = autocorrelation(envelope, n, r, lags);
    for (int k = 0; k < STEPS; k++) {
        double octave = log2(bpm_at(k) / prior_bpm) / prior_octaves;
        scores[k] = moves ? comb(r, lags, bpm_at(k)) * exp(-0.5 * octave * octave) : 0;
    }
    for (int i = 0; i < RG_TEMPI; i++) {
        int k = best_step(scores, taken);
        if (k < 0) break;
        out[i] = (rg_tempo){bpm_at(k), scores[k]};
        taken = out[i].bpm;
        sum += scores[k];
    }
    if (out[0].bpm > 0 && is_waltz(r, lags, out[0].bpm)) {
        out[1].bpm = out[0].bpm;
        out[0].bpm *= 1.5;
    }
    free(r);
    for (int i = 0; i < RG_TEMPI; i++) out[i].confidence /= fmax(sum, 1e-9);
    return RG_OK;
}

rg_status rg_tempo_of(const float *envelope, int64_t n, double *bpm, rg_error *err)
{
    rg_tempo tempi[RG_TEMPI];
    RG_TRY(rg_tempi_of(envelope, n, tempi, err));
    *bpm = tempi[0].bpm;
    return RG_OK;
}

bool rg_tempo_agrees(double reference, double estimate, bool octaves)
{
    static const double factors[] = {1, 2, 0.5, 3, 1 / 3.0};
    for (int i = 0; i < (octaves ? 5 : 1); i++) {
        double target = reference * factors[i];
        if (reference > 0 && fabs(estimate - target) <= 0.04 * target) return true;
    }
    return false;
}
