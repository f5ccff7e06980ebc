/*
 * Rooms for training crops (reverb.h).
 *
 * One idea: one circular convolution as long as the signal; what wraps around falls on the first
 * samples, which are context that nobody uses.
 */
#include "datasets/reverb.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fft.h"

enum { ALIGNMENT = 64, LARGEST = 1 << 20 };

struct rg_reverb {
    const rg_fft *plan;
    int64_t samples, size;          /* of a signal; of the FFT, a power of two */
    float *signal;                  /* (size) */
    float *signal_hz, *response_hz; /* (size/2+1,2) */
};

int64_t rg_reverb_length(double rt60, int32_t rate)
{
    return (int64_t)ceil(rt60 * rate);
}

void rg_reverb_response(double rt60, double wet_db, int32_t rate, rg_rng rng, float *out)
{
    int64_t n = rg_reverb_length(rt60, rate);
    double energy = 0;
    for (int64_t i = 1; i < n; i++) {
        double value = rg_rng_normal(&rng) * pow(10, -3 * (double)i / rate / rt60);
        out[i] = (float)value;
        energy += value * value;
    }
    float scale = energy > 0 ? (float)sqrt(pow(10, wet_db / 10) / energy) : 0;
    for (int64_t i = 1; i < n; i++) out[i] *= scale;
    out[0] = 1;
}

static float *floats(int64_t n)
{
    size_t bytes = (size_t)n * sizeof(float);
    return aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

rg_reverb *rg_reverb_create(int64_t samples, rg_error *err)
{
    int64_t size = 2;
    while (size < samples) size *= 2;
    if (size > LARGEST) {
        rg_fail(err, RG_ERR_USAGE,
                "reverb: %lld samples; at most %d are possible; shorten the crop",
                (long long)samples, LARGEST);
        return NULL;
    }
    rg_reverb *r = calloc(1, sizeof *r);
    if (r) {
        *r = (rg_reverb){.plan = rg_fft_plan((int32_t)size, err),
                         .samples = samples,
                         .size = size,
                         .signal = floats(size),
                         .signal_hz = floats(size + 2),
                         .response_hz = floats(size + 2)};
        if (r->plan && r->signal && r->signal_hz && r->response_hz) return r;
    }
    rg_reverb_destroy(r);
    if (!err || err->code == RG_OK) rg_fail(err, RG_ERR_NOMEM, "no memory for reverb");
    return NULL;
}

void rg_reverb_destroy(rg_reverb *r)
{
    if (!r) return;
    free(r->signal);
    free(r->signal_hz);
    free(r->response_hz);
    free(r);
}

static void spectrum_of(rg_reverb *r, const float *x, int64_t n, float *out)
{
    memcpy(r->signal, x, (size_t)n * sizeof *x);
    memset(r->signal + n, 0, (size_t)(r->size - n) * sizeof *x);
    rg_fft_forward(r->plan, r->signal, out);
}

void rg_reverb_apply(rg_reverb *r, const float *response, int64_t n, float *x)
{
    spectrum_of(r, x, r->samples, r->signal_hz);
    spectrum_of(r, response, n < r->size ? n : r->size, r->response_hz);
    float *a = r->signal_hz, scale = 1 / (float)r->size;
    const float *b = r->response_hz;
    for (int64_t i = 0; i < r->size + 2; i += 2) {
        float re = a[i] * b[i] - a[i + 1] * b[i + 1], im = a[i] * b[i + 1] + a[i + 1] * b[i];
        a[i] = re * scale;
        a[i + 1] = im * scale;
    }
    rg_fft_inverse(r->plan, a, r->signal);
    memcpy(x, r->signal, (size_t)r->samples * sizeof *x);
}
