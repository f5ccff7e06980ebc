/*
 * Means with bootstrap intervals over songs.
 *
 * One idea: the song is what is drawn anew, never the window, since windows of one song are no
 * independent witnesses. Percentile intervals at 95 %, 1,000 resamples, numbers from Philox: the
 * same values and seed give the same interval. NANs are songs without a value and are left out.
 */
#ifndef RG_EVAL_STATS_H
#define RG_EVAL_STATS_H

#include <stdbool.h>
#include <stdint.h>

enum { RG_BOOTSTRAP_RESAMPLES = 1000 };

typedef struct rg_interval {
    double mean, low, high; /* NAN when n is 0; low == high == mean when n is 1 */
    int64_t n;              /* songs that had a value */
} rg_interval;

/* Mean of values (n) with its interval. */
rg_interval rg_bootstrap(const double *values, int64_t n, uint64_t seed);
/* Mean of a - b over songs where both have a value: songs are drawn in pairs. */
rg_interval rg_bootstrap_paired(const double *a, const double *b, int64_t n, uint64_t seed);
/*
 * The same of any statistic: value of all songs, interval over songs drawn with replacement.
 * statistic gets indices `songs` (n) and may give NAN, which is left out of the interval.
 */
typedef double rg_statistic(void *ctx, const int64_t *songs, int64_t n);
rg_interval rg_bootstrap_of(int64_t n, uint64_t seed, rg_statistic *statistic, void *ctx);
/* Whether zero lies outside: the difference is seen. False when n < 2. */
bool rg_interval_excludes_zero(rg_interval interval);

/* Area under the ROC curve: chance that a positive lies above a negative; ties count half. NAN
 * when either is empty. */
double rg_auc(const double *positive, int64_t np, const double *negative, int64_t nn);

#endif
