/*
 * Steps of a signal (seam.h).
 */
#include "eval/metrics/seam.h"

#include <math.h>
#include <stdlib.h>

static const float quietest = 1e-4f;

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

double rg_step_quantile(const float *x, int64_t n, double q)
{
    float *steps = malloc((size_t)(n > 0 ? n : 1) * sizeof *steps);
    int64_t m = 0;
    for (int64_t i = 1; steps && i < n; i++)
        if (fabsf(x[i]) > quietest || fabsf(x[i - 1]) > quietest)
            steps[m++] = fabsf(x[i] - x[i - 1]);
    if (m > 0) qsort(steps, (size_t)m, sizeof *steps, by_value);
    double out = m > 0 ? steps[(int64_t)(q * (double)(m - 1))] : NAN;
    free(steps);
    return out;
}

double rg_step_at(const float *x, int64_t n, int64_t at)
{
    return at >= 1 && at < n ? fabs((double)x[at] - x[at - 1]) : NAN;
}
