/*
 * 8-bit PCM at a codec's bitrate (pcm_baseline.h); sincs both ways.
 */
#include "eval/metrics/pcm_baseline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/metrics/lowpass.h"

static const double pass_share = 0.92;

static void quantise_to_peak(float *x, int64_t n)
{
    float peak = 0;
    for (int64_t i = 0; i < n; i++) peak = fmaxf(peak, fabsf(x[i]));
    for (int64_t i = 0; i < n && peak > 0; i++) {
        float step = roundf(x[i] / peak * 127);
        x[i] = step / 127 * peak;
    }
}

rg_status rg_pcm_baseline(const float *x, int64_t n, int32_t rate, double bits_per_second,
                          float *out, rg_error *err)
{
    double low_rate = bits_per_second / 8, cutoff = pass_share * low_rate / 2;
    if (low_rate >= rate) {
        memcpy(out, x, (size_t)n * sizeof *out);
        quantise_to_peak(out, n);
        return RG_OK;
    }
    if (!(low_rate >= 1))
        return rg_fail(err, RG_ERR_SHAPE, "8-bit PCM needs 8 bits a second or more, not %g",
                       bits_per_second);
    int64_t m = (int64_t)ceil((double)n / rate * low_rate) + 1;
    float *samples = calloc((size_t)m, sizeof *samples);
    if (!samples) return rg_fail(err, RG_ERR_NOMEM, "no memory for the PCM row");
    for (int64_t i = 0; i < m; i++)
        samples[i] = (float)rg_sinc_value(x, n, 1.0 / rate, (double)i / low_rate, cutoff);
    quantise_to_peak(samples, m);
    for (int64_t t = 0; t < n; t++)
        out[t] = (float)rg_sinc_value(samples, m, 1 / low_rate, (double)t / rate, low_rate / 2);
    free(samples);
    return RG_OK;
}
