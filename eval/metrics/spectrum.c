/*
 * Spectral distances and energy by band (spectrum.h).
 */
#include "eval/metrics/spectrum.h"

#include <math.h>
#include <stdlib.h>

/* ---- distances ---- */

/* -80 dBFS: what lies below is not heard, and digital silence must not dominate the mean. */
static const float inaudible = 1e-8f;

/* The log spectrum of the reference is kept, then the estimate's frames are compared with it. */
typedef struct comparison {
    const rg_mel *mel; /* NULL: bins themselves */
    int32_t width, bins;
    float *power, *bands, *kept; /* kept (frames,width) */
    bool comparing;
    double sum;
} comparison;

static void compare_frame(void *ctx, int64_t frame, const float *magnitude)
{
    comparison *c = ctx;
    float *row = c->kept + frame * c->width;
    for (int32_t b = 0; b < c->bins; b++) c->power[b] = magnitude[b] * magnitude[b];
    const float *power = c->power;
    if (c->mel) {
        rg_mel_apply(c->mel, c->power, c->bands);
        power = c->bands;
    }
    for (int32_t i = 0; i < c->width; i++) {
        float db = 10 * log10f(power[i] + inaudible);
        if (c->comparing)
            c->sum += fabsf(db - row[i]);
        else
            row[i] = db;
    }
}

static rg_status distance_at(int32_t size, const rg_mel *mel, const float *reference,
                             const float *estimate, int64_t n, double *db, rg_error *err)
{
    rg_framing framing = {size, size / 4.0, false};
    int64_t frames = rg_frame_count(&framing, n);
    comparison c = {.mel = mel, .bins = size / 2 + 1};
    c.width = mel ? mel->bands : c.bins;
    c.power = malloc((size_t)c.bins * sizeof(float));
    c.bands = malloc((size_t)c.width * sizeof(float));
    c.kept = malloc((size_t)(frames * c.width) * sizeof(float));
    rg_status status = RG_OK;
    if (!c.power || !c.bands || !c.kept)
        status =
            rg_fail(err, RG_ERR_NOMEM, "no memory for spectra of %lld frames", (long long)frames);
    if (status == RG_OK) status = rg_each_frame(&framing, reference, n, compare_frame, &c, err);
    c.comparing = true;
    if (status == RG_OK) status = rg_each_frame(&framing, estimate, n, compare_frame, &c, err);
    *db = c.sum / (double)(frames * c.width);
    free(c.power);
    free(c.bands);
    free(c.kept);
    return status;
}

const rg_resolution rg_resolutions[RG_RESOLUTIONS] = {{512, 32}, {1024, 64}, {2048, 96}};

rg_status rg_mel_distance(const float *reference, const float *estimate, int64_t n, int32_t rate,
                          double by_size[RG_RESOLUTIONS], double *db, rg_error *err)
{
    *db = 0;
    for (int i = 0; i < RG_RESOLUTIONS; i++) {
        const rg_resolution *r = &rg_resolutions[i];
        rg_mel mel;
        RG_TRY(rg_mel_make(&mel, r->bands, r->size, rate, 0, rate / 2.0, err));
        rg_status status = distance_at(r->size, &mel, reference, estimate, n, &by_size[i], err);
        rg_mel_free(&mel);
        RG_TRY(status);
        *db += by_size[i] / RG_RESOLUTIONS;
    }
    return RG_OK;
}

rg_status rg_stft_distance(const float *reference, const float *estimate, int64_t n,
                           double by_size[RG_RESOLUTIONS], double *db, rg_error *err)
{
    *db = 0;
    for (int i = 0; i < RG_RESOLUTIONS; i++) {
        RG_TRY(distance_at(rg_resolutions[i].size, NULL, reference, estimate, n, &by_size[i], err));
        *db += by_size[i] / RG_RESOLUTIONS;
    }
    return RG_OK;
}

/* ---- energy by band ---- */

typedef struct band_energy {
    double bin_hz, low, high, all, below, above;
    int32_t bins;
} band_energy;

static void add_energy(void *ctx, int64_t frame, const float *magnitude)
{
    band_energy *e = ctx;
    (void)frame;
    for (int32_t b = 0; b < e->bins; b++) {
        double hz = b * e->bin_hz, power = (double)magnitude[b] * magnitude[b];
        e->all += power;
        if (hz < e->low) e->below += power;
        if (hz > e->high) e->above += power;
    }
}

rg_status rg_energy_outside(const float *x, int64_t n, int32_t rate, double low_hz, double high_hz,
                            rg_outside *share, rg_error *err)
{
    enum { SIZE = 4096 };
    rg_framing framing = {SIZE, SIZE / 2.0, false};
    band_energy e = {
        .bin_hz = (double)rate / SIZE, .low = low_hz, .high = high_hz, .bins = SIZE / 2 + 1};
    RG_TRY(rg_each_frame(&framing, x, n, add_energy, &e, err));
    *share = e.all > 0 ? (rg_outside){e.below / e.all, e.above / e.all} : (rg_outside){0};
    return RG_OK;
}
