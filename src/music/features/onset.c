/*
 * Onset envelope, peaks, onset F and coherence (onset.h).
 */
#include "music/features/onset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/spectrum.h"

enum { BANDS = 64, SMOOTH = 6, LAGS = 60, PEAK_REACH = 3, MEAN_REACH = 10, MATCH_FRAMES = 5 };
static const double window_seconds = 0.064, target_rms = 0.05, quietest_rms = 3e-5;
/* The log rises before an event reaches the middle of the window; measured with clicks. */
static const int64_t early_frames = 2;

int64_t rg_onset_frames(int64_t n, int32_t rate)
{
    return (int64_t)floor((double)n * RG_ONSET_RATE / rate) + 1;
}

struct rg_onsets {
    rg_mel mel;
    rg_framer *framer;
    float before[BANDS], now[BANDS], *envelope;
    int64_t frames, first, last; /* frames whose window and the one before lie inside */
    float gain;
};

static void add_flux(void *ctx, int64_t frame, const float *magnitude)
{
    rg_onsets *f = ctx;
    double rise = 0;
    rg_mel_apply(&f->mel, magnitude, f->now);
    for (int32_t i = 0; i < BANDS; i++) {
        f->now[i] = log1pf(f->gain * f->now[i]);
        if (frame > 0 && f->now[i] > f->before[i]) rise += f->now[i] - f->before[i];
    }
    memcpy(f->before, f->now, sizeof f->before);
    int64_t at = frame + early_frames;
    if (frame >= f->first && frame <= f->last && at < f->frames)
        f->envelope[at] = (float)(rise / BANDS);
}

/* Minus a moving average of one second, over its own deviation, negative part cut. */
static rg_status normalise(float *envelope, int64_t n, rg_error *err)
{
    enum { REACH = RG_ONSET_RATE / 2 };
    double *sums = calloc((size_t)n + 1, sizeof *sums), total = 0, square = 0;
    if (!sums) return rg_fail(err, RG_ERR_NOMEM, "no memory for an onset envelope");
    for (int64_t i = 0; i < n; i++) sums[i + 1] = sums[i] + envelope[i];
    for (int64_t i = 0; i < n; i++) {
        int64_t a = i > REACH ? i - REACH : 0, b = i + REACH < n ? i + REACH : n;
        envelope[i] -= (float)((sums[b] - sums[a]) / (double)(b - a));
        total += envelope[i];
        square += (double)envelope[i] * envelope[i];
    }
    free(sums);
    double mean = total / (double)n, deviation = sqrt(fmax(0, square / (double)n - mean * mean));
    for (int64_t i = 0; i < n; i++)
        envelope[i] = envelope[i] > 0 && deviation > 1e-9 ? (float)(envelope[i] / deviation) : 0;
    return RG_OK;
}

static double rms_of(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return n > 0 ? sqrt(sum / (double)n) : 0;
}

static void onsets_free(rg_onsets *f)
{
    rg_mel_free(&f->mel);
    free(f);
}

rg_onsets *rg_onsets_open(int64_t n, int32_t rate, double rms, float *envelope, rg_error *err)
{
    int32_t size = rg_frame_size(window_seconds * rate);
    rg_framing framing = {size, (double)rate / RG_ONSET_RATE, true};
    rg_onsets *f = calloc(1, sizeof *f);
    if (!f) {
        rg_fail(err, RG_ERR_NOMEM, "no memory for onsets");
        return NULL;
    }
    f->envelope = envelope;
    f->frames = rg_onset_frames(n, rate);
    memset(envelope, 0, (size_t)f->frames * sizeof *envelope);
    if (!(rms >= quietest_rms)) return f;
    /* 100 * an unnormalised magnitude of 2048 points, as the constants were measured. */
    f->gain = (float)(100 * 2048 / 4.0 * target_rms / rms);
    f->first = (int64_t)ceil(size / 2.0 / framing.hop) + 1;
    f->last = (int64_t)floor(((double)n - size / 2.0) / framing.hop);
    if (rg_mel_make(&f->mel, BANDS, size, rate, fmin(30, 0.1 * rate), fmin(14000, 0.48 * rate),
                    err) == RG_OK)
        f->framer = rg_framer_open(&framing, add_flux, f, err);
    if (f->framer) return f;
    onsets_free(f);
    return NULL;
}

void rg_onsets_push(rg_onsets *f, const float *x, int64_t n)
{
    if (f->framer) rg_framer_push(f->framer, x, n);
}

rg_status rg_onsets_close(rg_onsets *f, rg_error *err)
{
    if (!f) return RG_OK;
    rg_framer_finish(f->framer);
    rg_status status = f->framer ? normalise(f->envelope, f->frames, err) : RG_OK;
    onsets_free(f);
    return status;
}

rg_status rg_onset_envelope(const float *x, int64_t n, int32_t rate, float *envelope, rg_error *err)
{
    rg_onsets *f = rg_onsets_open(n, rate, rms_of(x, n), envelope, err);
    if (!f) return err ? err->code : RG_ERR_NOMEM;
    rg_onsets_push(f, x, n);
    return rg_onsets_close(f, err);
}

static bool is_peak(const float *e, int64_t n, int64_t i)
{
    double sum = 0;
    int64_t seen = 0;
    for (int64_t k = i - PEAK_REACH; k <= i + PEAK_REACH; k++)
        if (k >= 0 && k < n && (e[k] > e[i] || (k < i && e[k] == e[i]))) return false;
    for (int64_t k = i - MEAN_REACH; k <= i + MEAN_REACH; k++)
        if (k >= 0 && k < n) {
            sum += e[k];
            seen++;
        }
    return e[i] > sum / (double)seen + 0.5;
}

int64_t rg_onset_peaks(const float *envelope, int64_t n, int64_t *peaks, int64_t capacity)
{
    int64_t found = 0;
    for (int64_t i = 0; i < n; i++)
        if (is_peak(envelope, n, i)) {
            if (found < capacity) peaks[found] = i;
            found++;
        }
    return found;
}

/* Pairs of rising times within the window, greedily from the left: optimal for intervals of one
 * width. */
static int64_t count_matches(const int64_t *a, int64_t na, const int64_t *b, int64_t nb)
{
    int64_t i = 0, j = 0, matches = 0;
    while (i < na && j < nb) {
        if (llabs(a[i] - b[j]) <= MATCH_FRAMES) {
            matches++;
            i++;
            j++;
        } else if (a[i] < b[j])
            i++;
        else
            j++;
    }
    return matches;
}

double rg_onset_f(const float *reference, const float *estimate, int64_t n)
{
    int64_t *a = malloc((size_t)(n > 0 ? n : 1) * sizeof *a),
            *b = malloc((size_t)(n > 0 ? n : 1) * sizeof *b);
    double f = NAN;
    if (a && b) {
        int64_t na = rg_onset_peaks(reference, n, a, n), nb = rg_onset_peaks(estimate, n, b, n);
        if (na > 0) f = 2.0 * (double)count_matches(a, na, b, nb) / (double)(na + nb);
    }
    free(a);
    free(b);
    return f;
}

/* ---- coherence ---- */

/* Smoothed with a Gaussian of 2 frames, mean removed; the norm, or 0. */
static double prepare(const float *in, int64_t n, double *out)
{
    double kernel[2 * SMOOTH + 1], sum = 0, square = 0;
    for (int k = -SMOOTH; k <= SMOOTH; k++) kernel[k + SMOOTH] = exp(-0.5 * (k / 2.0) * (k / 2.0));
    for (int64_t i = 0; i < n; i++) {
        double v = 0;
        for (int k = -SMOOTH; k <= SMOOTH; k++)
            if (i + k >= 0 && i + k < n) v += kernel[k + SMOOTH] * in[i + k];
        out[i] = v;
        sum += v;
    }
    for (int64_t i = 0; i < n; i++) {
        out[i] -= sum / (double)n;
        square += out[i] * out[i];
    }
    return sqrt(square);
}

static double product_at(const double *a, const double *b, int64_t n, int64_t lag)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        if (i - lag >= 0 && i - lag < n) sum += a[i] * b[i - lag];
    return sum;
}

typedef double correlate_fn(const double *a, const double *b, int64_t n, int64_t lag, double norm);

static double with_prepared(const float *a, const float *b, int64_t n, int64_t lag,
                            correlate_fn *fn)
{
    double *rows = malloc((size_t)(n > 0 ? n : 1) * 2 * sizeof *rows), out = NAN;
    if (rows) {
        double norm = prepare(a, n, rows) * prepare(b, n, rows + n);
        if (norm > 1e-9) out = fn(rows, rows + n, n, lag, norm);
    }
    free(rows);
    return out;
}

static double value_at(const double *a, const double *b, int64_t n, int64_t lag, double norm)
{
    return product_at(a, b, n, lag) / norm;
}

static double prominence(const double *a, const double *b, int64_t n, int64_t lag, double norm)
{
    double sum = 0, square = 0, middle = value_at(a, b, n, lag, norm);
    for (int64_t k = -LAGS; k <= LAGS; k++) {
        double v = value_at(a, b, n, lag + k, norm);
        sum += v;
        square += v * v;
    }
    double mean = sum / (2 * LAGS + 1), variance = square / (2 * LAGS + 1) - mean * mean;
    return variance > 1e-18 ? (middle - mean) / sqrt(variance) : NAN;
}

double rg_onset_coherence(const float *a, const float *b, int64_t n, int64_t lag)
{
    return with_prepared(a, b, n, lag, value_at);
}

double rg_onset_prominence(const float *a, const float *b, int64_t n)
{
    return with_prepared(a, b, n, 0, prominence);
}
