/*
 * Log-mel statistics and KAD (distribution.h). FAD is in frechet.c.
 */
#include "eval/metrics/distribution.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "eval/metrics/spectrum.h"

enum { FFT_SIZE = 2048, HOP = 640, FRAMES = 50, MAX_ROWS = 1500, MEDIAN_ROWS = 400 };

/* Bands that the reference never sounds must not blow up what it does not have. */
static const double least_deviation = 0.1;

void rg_embeddings_free(rg_embeddings *set)
{
    free(set->rows);
    *set = (rg_embeddings){0};
}

static rg_status reserve(rg_embeddings *set, int64_t n, rg_error *err)
{
    if (n <= set->capacity) return RG_OK;
    int64_t capacity = set->capacity * 2 > n ? set->capacity * 2 : n;
    float *rows = realloc(set->rows, (size_t)(capacity * RG_EMBEDDING_SIZE) * sizeof *rows);
    if (!rows) return rg_fail(err, RG_ERR_NOMEM, "no memory for %lld embeddings", (long long)n);
    set->rows = rows;
    set->capacity = capacity;
    return RG_OK;
}

typedef struct windows {
    const rg_mel *mel;
    float gain, *rows;
    int64_t n;
    double sum[RG_EMBEDDING_BANDS], square[RG_EMBEDDING_BANDS];
} windows;

static void finish_window(windows *w, int64_t row)
{
    float *out = w->rows + row * RG_EMBEDDING_SIZE;
    for (int i = 0; i < RG_EMBEDDING_BANDS; i++) {
        double mean = w->sum[i] / FRAMES;
        out[i] = (float)mean;
        out[RG_EMBEDDING_BANDS + i] = (float)sqrt(fmax(0, w->square[i] / FRAMES - mean * mean));
        w->sum[i] = w->square[i] = 0;
    }
}

static void add_frame(void *ctx, int64_t frame, const float *magnitude)
{
    windows *w = ctx;
    float bands[RG_EMBEDDING_BANDS];
    if (frame >= w->n * FRAMES) return;
    rg_mel_apply(w->mel, magnitude, bands);
    for (int i = 0; i < RG_EMBEDDING_BANDS; i++) {
        double v = log(1e-4 + (double)w->gain * bands[i]);
        w->sum[i] += v;
        w->square[i] += v * v;
    }
    if (frame % FRAMES == FRAMES - 1) finish_window(w, frame / FRAMES);
}

rg_status rg_embeddings_add(rg_embeddings *set, const float *x, int64_t n, rg_error *err)
{
    double square = 0;
    for (int64_t i = 0; i < n; i++) square += (double)x[i] * x[i];
    double rms = n > 0 ? sqrt(square / (double)n) : 0;
    rg_framing framing = {FFT_SIZE, HOP, false};
    int64_t frames = n < FFT_SIZE ? 0 : 1 + (n - FFT_SIZE) / HOP, rows = frames / FRAMES;
    if (rows == 0 || rms < 3e-5) return RG_OK;
    RG_TRY(reserve(set, set->n + rows, err));
    rg_mel mel;
    RG_TRY(rg_mel_make(&mel, RG_EMBEDDING_BANDS, FFT_SIZE, RG_EMBEDDING_RATE, 30, 14000, err));
    windows w = {.mel = &mel, .n = rows, .gain = (float)(FFT_SIZE / 4.0 * 0.05 / rms)};
    w.rows = set->rows + set->n * RG_EMBEDDING_SIZE;
    rg_status status = rg_each_frame(&framing, x, n, add_frame, &w, err);
    rg_mel_free(&mel);
    if (status == RG_OK) set->n += rows;
    return status;
}

static void standardise(rg_embeddings *set, const double *mean, const double *deviation)
{
    for (int64_t r = 0; r < set->n; r++)
        for (int i = 0; i < RG_EMBEDDING_SIZE; i++) {
            float *v = &set->rows[r * RG_EMBEDDING_SIZE + i];
            *v = (float)((*v - mean[i]) / deviation[i]);
        }
}

void rg_embeddings_standardise(rg_embeddings *reference, rg_embeddings *other)
{
    double mean[RG_EMBEDDING_SIZE] = {0}, deviation[RG_EMBEDDING_SIZE];
    if (reference->n == 0) return;
    for (int i = 0; i < RG_EMBEDDING_SIZE; i++) {
        double sum = 0, square = 0, n = (double)reference->n;
        for (int64_t r = 0; r < reference->n; r++) {
            double v = reference->rows[r * RG_EMBEDDING_SIZE + i];
            sum += v;
            square += v * v;
        }
        mean[i] = sum / n;
        deviation[i] = fmax(least_deviation, sqrt(fmax(0, square / n - mean[i] * mean[i])));
    }
    standardise(reference, mean, deviation);
    standardise(other, mean, deviation);
}

static double distance2(const float *a, const float *b)
{
    float sum = 0;
    for (int i = 0; i < RG_EMBEDDING_SIZE; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

/* At most `most` different rows of a set, drawn by seed, as pointers. */
static int64_t draw_rows(const rg_embeddings *set, int64_t most, uint64_t seed, const float **out)
{
    int64_t taken = 0;
    rg_rng rng = rg_rng_make(seed, rg_rng_stream(0x6b6164, (uint64_t)set->n, 0));
    for (int64_t r = 0; r < set->n && taken < most; r++) {
        uint64_t left = (uint64_t)(set->n - r), wanted = (uint64_t)(most - taken);
        if (rg_rng_below(&rng, left) < wanted) out[taken++] = set->rows + r * RG_EMBEDDING_SIZE;
    }
    return taken;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static rg_status median_distance2(const float *const *rows, int64_t n, double *out, rg_error *err)
{
    int64_t m = n < MEDIAN_ROWS ? n : MEDIAN_ROWS, pairs = 0;
    double *all = malloc((size_t)(m * (m - 1) / 2 + 1) * sizeof *all);
    if (!all) return rg_fail(err, RG_ERR_NOMEM, "no memory for KAD");
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < i; j++) all[pairs++] = distance2(rows[i], rows[j]);
    qsort(all, (size_t)pairs, sizeof *all, by_value);
    *out = all[pairs / 2] > 0 ? all[pairs / 2] : 1;
    free(all);
    return RG_OK;
}

/* Mean kernel over pairs; of different rows only when a == b. */
static double mean_kernel(const float *const *a, int64_t na, const float *const *b, int64_t nb,
                          double width2)
{
    double sum = 0;
    for (int64_t i = 0; i < na; i++)
        for (int64_t j = 0; j < nb; j++)
            if (a != b || i != j) sum += exp(-distance2(a[i], b[j]) / (2 * width2));
    return sum / ((double)na * (double)(a == b ? nb - 1 : nb));
}

rg_status rg_kad(const rg_embeddings *reference, const rg_embeddings *other, uint64_t seed,
                 double *kad, rg_error *err)
{
    *kad = NAN;
    if (reference->n < 2 || other->n < 2) return RG_OK;
    const float **rows = malloc(2 * MAX_ROWS * sizeof *rows);
    if (!rows) return rg_fail(err, RG_ERR_NOMEM, "no memory for KAD");
    const float **a = rows, **b = rows + MAX_ROWS;
    int64_t na = draw_rows(reference, MAX_ROWS, seed, a), nb = draw_rows(other, MAX_ROWS, seed, b);
    double width2 = 1;
    rg_status status = median_distance2(a, na, &width2, err);
    if (status == RG_OK)
        *kad = 1000 * (mean_kernel(a, na, a, na, width2) + mean_kernel(b, nb, b, nb, width2) -
                       2 * mean_kernel(a, na, b, nb, width2));
    free(rows);
    return status;
}
