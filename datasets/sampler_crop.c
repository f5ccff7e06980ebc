/*
 * Making crops: read at the wanted rate, brought to a drawn level (sampler_internal.h).
 */
#include <math.h>

#include "datasets/sampler_internal.h"

static const double ceiling = 0.99, silence_rms = 1e-4;

/* Sum of squares and largest magnitude. In lanes, so that it runs at the speed of memory: it is
 * called for every sample that is trained on. */
enum { LANES = 8 };
static void measure(const float *x, int64_t n, double *energy, float *peak)
{
    double sum[LANES] = {0};
    float most[LANES] = {0};
    int64_t whole = n / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int k = 0; k < LANES; k++) {
            float y = fabsf(x[i + k]);
            sum[k] += (double)(y * y);
            most[k] = y > most[k] ? y : most[k];
        }
    for (int64_t i = whole; i < n; i++) {
        float y = fabsf(x[i]);
        sum[0] += (double)(y * y);
        most[0] = y > most[0] ? y : most[0];
    }
    *energy = 0;
    *peak = 0;
    for (int k = 0; k < LANES; k++) {
        *energy += sum[k];
        *peak = most[k] > *peak ? most[k] : *peak;
    }
}

void rg__sampler_set_level(float *x, int64_t n, double dbfs)
{
    double energy;
    float peak;
    measure(x, n, &energy, &peak);
    double rms = sqrt(energy / (double)n);
    if (!(rms > silence_rms)) return;
    float gain = (float)fmin(pow(10, dbfs / 20) / rms, ceiling / (double)peak);
    for (int64_t i = 0; i < n; i++) x[i] *= gain;
}

rg_status rg__sampler_make(const rg_sampler *s, rg_resampler *own, int64_t batch, float *out,
                           rg_error *err)
{
    const rg_sampler_options *o = &s->o;
    for (int32_t item = 0; item < o->batch; item++) {
        int32_t micro = (int32_t)(batch % o->micros);
        rg_rng rng = rg__sampler_rng(s, batch / o->micros, micro, item);
        float *crop = out + item * o->frames;
        int64_t song, start;
        rg__sampler_draw(s, micro * o->batch + item, &rng, &song, &start);
        RG_TRY(rg_resampled_read(s->stem, own, song, start, o->frames, crop, err));
        if (o->low_dbfs < o->high_dbfs)
            rg__sampler_set_level(
                crop, o->frames, o->low_dbfs + (o->high_dbfs - o->low_dbfs) * rg_rng_uniform(&rng));
    }
    return RG_OK;
}
