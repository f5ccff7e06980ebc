/*
 * Framing and mel bands (spectrum.h).
 */
#include "audio/spectrum.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fft.h"

static float *aligned_floats(int64_t n)
{
    size_t bytes = ((size_t)n * sizeof(float) + 63) / 64 * 64;
    return aligned_alloc(64, bytes);
}

int32_t rg_frame_size(double samples)
{
    static const int32_t primes[] = {2, 3, 5};
    int32_t size = (int32_t)ceil(samples / 2 - 1e-9) * 2;
    for (size = size < 16 ? 16 : size;; size += 2) {
        int32_t rest = size;
        for (int i = 0; i < 3; i++)
            while (rest % primes[i] == 0) rest /= primes[i];
        if (rest == 1) return size;
    }
}

int64_t rg_frame_count(const rg_framing *framing, int64_t n)
{
    if (framing->centred) return (int64_t)floor((double)n / framing->hop) + 1;
    if (n <= framing->size) return 1;
    return 1 + (int64_t)ceil((double)(n - framing->size) / framing->hop);
}

/* `window` carries the scale, so that a full-scale sine reads 1. `kept` (capacity) holds the signal
 * from sample `from` on; samples before 0 and behind the end are zeros. */
struct rg_framer {
    rg_framing framing;
    rg_frame_fn *fn;
    void *ctx;
    const rg_fft *plan;
    float *window, *frame, *spectrum, *magnitude, *kept;
    int64_t capacity, from, have, next, pushed;
};

static void framer_free(rg_framer *f)
{
    free(f->window);
    free(f->frame);
    free(f->spectrum);
    free(f->magnitude);
    free(f->kept);
    free(f);
}

static bool framer_make(rg_framer *f)
{
    int32_t size = f->framing.size;
    f->capacity = 4 * (int64_t)size;
    f->window = aligned_floats(size);
    f->frame = aligned_floats(size);
    f->spectrum = aligned_floats(size + 2);
    f->magnitude = aligned_floats(size / 2 + 1);
    f->kept = calloc((size_t)f->capacity, sizeof(float));
    if (!f->window || !f->frame || !f->spectrum || !f->magnitude || !f->kept) return false;
    for (int32_t i = 0; i < size; i++)
        f->window[i] = (float)((1 - cos(2 * M_PI * i / size)) * 2 / size);
    if (f->framing.centred) f->have = size / 2;
    f->from = -f->have;
    return true;
}

rg_framer *rg_framer_open(const rg_framing *framing, rg_frame_fn *fn, void *ctx, rg_error *err)
{
    const rg_fft *plan = rg_fft_plan(framing->size, err);
    if (!plan) {
        rg_fail(err, RG_ERR_UNSUPPORTED, "no spectra of %d samples", framing->size);
        return NULL;
    }
    rg_framer *f = calloc(1, sizeof *f);
    if (f) {
        *f = (rg_framer){.framing = *framing, .fn = fn, .ctx = ctx, .plan = plan};
        if (framer_make(f)) return f;
        framer_free(f);
    }
    rg_fail(err, RG_ERR_NOMEM, "no memory for spectra of %d samples", framing->size);
    return NULL;
}

static int64_t next_start(const rg_framer *f)
{
    int64_t start = llround((double)f->next * f->framing.hop);
    return f->framing.centred ? start - f->framing.size / 2 : start;
}

static void weight(const float *restrict x, const float *restrict window, int32_t n,
                   float *restrict out)
{
    for (int32_t i = 0; i < n; i++) out[i] = x[i] * window[i];
}

static void sizes(const float *restrict z, int32_t n, float *restrict out)
{
    for (int32_t b = 0; b < n; b++)
        out[b] = sqrtf(z[2 * b] * z[2 * b] + z[2 * b + 1] * z[2 * b + 1]);
}

static void emit(rg_framer *f, const float *x)
{
    weight(x, f->window, f->framing.size, f->frame);
    rg_fft_forward(f->plan, f->frame, f->spectrum);
    sizes(f->spectrum, f->framing.size / 2 + 1, f->magnitude);
    f->fn(f->ctx, f->next++, f->magnitude);
}

/* Gives the frames that are whole, while there are fewer than `frames`; forgets what is behind. */
static void emit_whole(rg_framer *f, int64_t frames)
{
    while (f->next < frames && next_start(f) + f->framing.size <= f->from + f->have)
        emit(f, f->kept + (next_start(f) - f->from));
    int64_t behind = next_start(f) - f->from;
    if (behind > f->have) behind = f->have;
    memmove(f->kept, f->kept + behind, (size_t)(f->have - behind) * sizeof(float));
    f->have -= behind;
    f->from += behind;
}

/* x NULL: zeros. */
static void append(rg_framer *f, const float *x, int64_t n, int64_t frames)
{
    for (int64_t done = 0; done < n;) {
        int64_t room = f->capacity - f->have, part = n - done < room ? n - done : room;
        if (x)
            memcpy(f->kept + f->have, x + done, (size_t)part * sizeof(float));
        else
            memset(f->kept + f->have, 0, (size_t)part * sizeof(float));
        f->have += part;
        done += part;
        emit_whole(f, frames);
    }
}

void rg_framer_push(rg_framer *f, const float *x, int64_t n)
{
    f->pushed += n;
    append(f, x, n, INT64_MAX);
}

void rg_framer_finish(rg_framer *f)
{
    if (!f) return;
    int64_t frames = rg_frame_count(&f->framing, f->pushed);
    while (f->next < frames) append(f, NULL, f->framing.size, frames);
    framer_free(f);
}

rg_status rg_each_frame(const rg_framing *framing, const float *x, int64_t n, rg_frame_fn *fn,
                        void *ctx, rg_error *err)
{
    rg_framer *f = rg_framer_open(framing, fn, ctx, err);
    if (!f) return err ? err->code : RG_ERR_NOMEM;
    rg_framer_push(f, x, n);
    rg_framer_finish(f);
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
