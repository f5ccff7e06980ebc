/*
 * Windowed sincs (lowpass.h).
 */
#include "eval/metrics/lowpass.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double zero_crossings = 24;

static double reach_of(double cutoff)
{
    return zero_crossings / (2 * cutoff);
}

static double kernel(double t, double cutoff)
{
    double reach = reach_of(cutoff);
    if (fabs(t) >= reach) return 0;
    double a = M_PI * 2 * cutoff * t, sinc = fabs(a) < 1e-9 ? 1 : sin(a) / a;
    return 2 * cutoff * sinc * (0.5 + 0.5 * cos(M_PI * t / reach));
}

double rg_sinc_value(const float *in, int64_t n, double in_step, double at, double cutoff)
{
    double reach = reach_of(cutoff), sum = 0;
    int64_t first = (int64_t)ceil((at - reach) / in_step),
            last = (int64_t)floor((at + reach) / in_step);
    if (first < 0) first = 0;
    if (last >= n) last = n - 1;
    for (int64_t i = first; i <= last; i++) sum += in[i] * kernel((double)i * in_step - at, cutoff);
    return sum * in_step;
}

/* On one grid the kernel's values are the same everywhere, so they are taken once. */
rg_status rg_lowpass(const float *x, int64_t n, int32_t rate, double cutoff_hz, float *out,
                     rg_error *err)
{
    if (cutoff_hz >= rate / 2.0) {
        memcpy(out, x, (size_t)n * sizeof *out);
        return RG_OK;
    }
    if (!(cutoff_hz >= 1))
        return rg_fail(err, RG_ERR_SHAPE, "a low-pass needs a cutoff of 1 Hz or more, not %g",
                       cutoff_hz);
    int64_t side = (int64_t)(reach_of(cutoff_hz) * rate);
    double *tap = calloc((size_t)side + 1, sizeof *tap);
    if (!tap) return rg_fail(err, RG_ERR_NOMEM, "no memory for a low-pass");
    for (int64_t k = 0; k <= side; k++) tap[k] = kernel((double)k / rate, cutoff_hz) / rate;
    for (int64_t t = 0; t < n; t++) {
        double sum = tap[0] * x[t];
        for (int64_t k = 1; k <= side; k++)
            sum += tap[k] * ((t >= k ? x[t - k] : 0.0) + (t + k < n ? x[t + k] : 0.0));
        out[t] = (float)sum;
    }
    free(tap);
    return RG_OK;
}
