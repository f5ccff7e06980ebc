/*
 * Bootstrap intervals and AUC (stats.h).
 */
#include "eval/metrics/stats.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Percentile q of sorted values, linear between neighbours. */
static double percentile(const double *sorted, int64_t n, double q)
{
    double at = q * (double)(n - 1);
    int64_t i = (int64_t)at;
    double part = at - (double)i;
    return i + 1 < n ? sorted[i] * (1 - part) + sorted[i + 1] * part : sorted[n - 1];
}

static double mean_of(const double *values, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += values[i];
    return sum / (double)n;
}

/* values: n finite numbers. */
static rg_interval bootstrap_finite(const double *values, int64_t n, uint64_t seed)
{
    rg_interval out = {NAN, NAN, NAN, n};
    if (n == 0) return out;
    out.mean = out.low = out.high = mean_of(values, n);
    if (n == 1) return out;
    double means[RG_BOOTSTRAP_RESAMPLES];
    rg_rng rng = rg_rng_make(seed, rg_rng_stream(0x626f6f74, (uint64_t)n, 0));
    for (int r = 0; r < RG_BOOTSTRAP_RESAMPLES; r++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++) sum += values[rg_rng_below(&rng, (uint64_t)n)];
        means[r] = sum / (double)n;
    }
    qsort(means, RG_BOOTSTRAP_RESAMPLES, sizeof means[0], by_value);
    out.low = percentile(means, RG_BOOTSTRAP_RESAMPLES, 0.025);
    out.high = percentile(means, RG_BOOTSTRAP_RESAMPLES, 0.975);
    return out;
}

rg_interval rg_bootstrap_paired(const double *a, const double *b, int64_t n, uint64_t seed)
{
    double *kept = malloc((size_t)(n > 0 ? n : 1) * sizeof *kept);
    int64_t m = 0;
    for (int64_t i = 0; kept && i < n; i++) {
        double d = b ? a[i] - b[i] : a[i];
        if (isfinite(d)) kept[m++] = d;
    }
    rg_interval out = bootstrap_finite(kept, m, seed);
    free(kept);
    return out;
}

rg_interval rg_bootstrap(const double *values, int64_t n, uint64_t seed)
{
    return rg_bootstrap_paired(values, NULL, n, seed);
}

rg_interval rg_bootstrap_of(int64_t n, uint64_t seed, rg_statistic *statistic, void *ctx)
{
    rg_interval out = {NAN, NAN, NAN, 0};
    int64_t *songs = malloc((size_t)(n > 0 ? n : 1) * sizeof *songs);
    double values[RG_BOOTSTRAP_RESAMPLES];
    int64_t m = 0;
    if (!songs) return out;
    for (int64_t i = 0; i < n; i++) songs[i] = i;
    double all = n > 0 ? statistic(ctx, songs, n) : NAN;
    rg_rng rng = rg_rng_make(seed, rg_rng_stream(0x626f6f74, (uint64_t)n, 1));
    for (int r = 0; r < RG_BOOTSTRAP_RESAMPLES && n > 1 && isfinite(all); r++) {
        for (int64_t i = 0; i < n; i++) songs[i] = (int64_t)rg_rng_below(&rng, (uint64_t)n);
        double value = statistic(ctx, songs, n);
        if (isfinite(value)) values[m++] = value;
    }
    free(songs);
    if (!isfinite(all)) return out;
    out = (rg_interval){all, all, all, n};
    if (m == 0) return out;
    qsort(values, (size_t)m, sizeof values[0], by_value);
    out.low = percentile(values, m, 0.025);
    out.high = percentile(values, m, 0.975);
    return out;
}

bool rg_interval_excludes_zero(rg_interval interval)
{
    return interval.n >= 2 && (interval.low > 0 || interval.high < 0);
}

double rg_auc(const double *positive, int64_t np, const double *negative, int64_t nn)
{
    double wins = 0;
    for (int64_t i = 0; i < np; i++)
        for (int64_t j = 0; j < nn; j++)
            wins += positive[i] > negative[j] ? 1 : positive[i] == negative[j] ? 0.5 : 0;
    return np > 0 && nn > 0 ? wins / ((double)np * (double)nn) : NAN;
}
