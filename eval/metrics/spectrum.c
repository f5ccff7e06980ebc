/*
 * Framing, mel bands, spectral distances (spectrum.h).
 */
#include "eval/metrics/spectrum.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fft.h"

static float *aligned_floats(int64_t n)
{
    size_t bytes = ((size_t)n * sizeof(float) + 63) / 64 * 64;
    return aligned_alloc(64, bytes);
}

int64_t rg_frame_count(const rg_framing *framing, int64_t n)
{
    if (framing->centred) return (int64_t)floor((double)n / framing->hop) + 1;
    if (n <= framing->size) return 1;
    return 1 + (int64_t)ceil((double)(n - framing->size) / framing->hop);
}

/* Buffers of one walk; `window` carries the scale, so that a full-scale sine reads 1. */
typedef struct walk {
    const rg_fft *plan;
    float *window, *frame, *spectrum, *magnitude;
} walk;

static void walk_end(walk *w)
{
    free(w->window);
    free(w->frame);
    free(w->spectrum);
    free(w->magnitude);
}

static rg_status walk_begin(walk *w, int32_t size, rg_error *err)
{
    *w = (walk){.plan = rg_fft_plan(size, err)};
    if (!w->plan) return rg_fail(err, RG_ERR_UNSUPPORTED, "no spectra of %d samples", size);
    w->window = aligned_floats(size);
    w->frame = aligned_floats(size);
    w->spectrum = aligned_floats(size + 2);
    w->magnitude = aligned_floats(size / 2 + 1);
    if (!w->window || !w->frame || !w->spectrum || !w->magnitude) {
        walk_end(w);
        return rg_fail(err, RG_ERR_NOMEM, "no memory for spectra of %d samples", size);
    }
    for (int32_t i = 0; i < size; i++)
        w->window[i] = (float)((1 - cos(2 * M_PI * i / size)) * 2 / size);
    return RG_OK;
}

static void load_frame(walk *w, int32_t size, const float *x, int64_t n, int64_t start)
{
    for (int32_t i = 0; i < size; i++) {
        int64_t t = start + i;
        w->frame[i] = t >= 0 && t < n ? x[t] * w->window[i] : 0;
    }
}

rg_status rg_each_frame(const rg_framing *framing, const float *x, int64_t n, rg_frame_fn *fn,
                        void *ctx, rg_error *err)
{
    walk w;
    RG_TRY(walk_begin(&w, framing->size, err));
    int64_t frames = rg_frame_count(framing, n);
    for (int64_t k = 0; k < frames; k++) {
        int64_t start = llround((double)k * framing->hop);
        load_frame(&w, framing->size, x, n, framing->centred ? start - framing->size / 2 : start);
        rg_fft_forward(w.plan, w.frame, w.spectrum);
        for (int32_t b = 0; b <= framing->size / 2; b++)
            w.magnitude[b] = sqrtf(w.spectrum[2 * b] * w.spectrum[2 * b] +
                                   w.spectrum[2 * b + 1] * w.spectrum[2 * b + 1]);
        fn(ctx, k, w.magnitude);
    }
    walk_end(&w);
    return RG_OK;
}

/* ---- mel bands ---- */

double rg_mel_of_hz(double hz)
{
    return 2595 * log10(1 + hz / 700);
}
static double hz_of(double mel)
{
    return 700 * (pow(10, mel / 2595) - 1);
}

static void fill_band(rg_mel *mel, int32_t band, const double edge[3], double bin_hz)
{
    float *row = mel->weights + (int64_t)band * mel->bins;
    mel->first[band] = mel->bins;
    for (int32_t b = 0; b < mel->bins; b++) {
        double hz = b * bin_hz, up = (hz - edge[0]) / (edge[1] - edge[0]),
               down = (edge[2] - hz) / (edge[2] - edge[1]), v = up < down ? up : down;
        if (!(v > 0)) continue;
        row[b] = (float)v;
        if (mel->first[band] > b) mel->first[band] = b;
        mel->last[band] = b + 1;
    }
}

rg_status rg_mel_make(rg_mel *mel, int32_t bands, int32_t size, int32_t rate, double low_hz,
                      double high_hz, rg_error *err)
{
    *mel = (rg_mel){.bands = bands, .bins = size / 2 + 1};
    mel->weights = calloc((size_t)bands * (size_t)mel->bins, sizeof(float));
    mel->first = calloc((size_t)bands, sizeof(int32_t));
    mel->last = calloc((size_t)bands, sizeof(int32_t));
    if (!mel->weights || !mel->first || !mel->last) {
        rg_mel_free(mel);
        return rg_fail(err, RG_ERR_NOMEM, "no memory for %d mel bands", bands);
    }
    double low = rg_mel_of_hz(low_hz), step = (rg_mel_of_hz(high_hz) - low) / (bands + 1);
    for (int32_t i = 0; i < bands; i++) {
        double edge[3];
        for (int e = 0; e < 3; e++) edge[e] = hz_of(low + (i + e) * step);
        fill_band(mel, i, edge, (double)rate / size);
    }
    return RG_OK;
}

void rg_mel_free(rg_mel *mel)
{
    free(mel->weights);
    free(mel->first);
    free(mel->last);
    *mel = (rg_mel){0};
}

void rg_mel_apply(const rg_mel *mel, const float *values, float *out)
{
    for (int32_t i = 0; i < mel->bands; i++) {
        const float *row = mel->weights + (int64_t)i * mel->bins;
        float sum = 0;
        for (int32_t b = mel->first[i]; b < mel->last[i]; b++) sum += row[b] * values[b];
        out[i] = sum;
    }
}

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
