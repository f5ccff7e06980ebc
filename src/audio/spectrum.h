/*
 * Spectra for measuring: frames of a signal and mel bands.
 *
 * One idea: one walk over Hann frames serves every measurement; a callback gets each frame's
 * magnitudes, and samples may arrive in blocks, so memory never grows with the length of a song.
 * Magnitudes are scaled so that a full-scale sine reads 1. Not here: the differentiable spectra of
 * training (ops.h).
 */
#ifndef RG_AUDIO_SPECTRUM_H
#define RG_AUDIO_SPECTRUM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rg_framing {
    int32_t size; /* samples of one frame, even */
    double hop;   /* samples between frames; frame k starts at round(k * hop) */
    bool centred; /* frame k is centred on round(k * hop) instead; zeros outside the signal */
} rg_framing;

/* The nearest even size at or above `samples` that is quick to transform (2, 3 and 5 divide it). */
int32_t rg_frame_size(double samples);
/* Frames of n samples: the last one reaches the end (zeros behind it); at least 1. */
int64_t rg_frame_count(const rg_framing *framing, int64_t n);
/* Calls fn(ctx, frame, magnitude (size/2+1)) in order of frames. */
typedef void rg_frame_fn(void *ctx, int64_t frame, const float *magnitude);
rg_status rg_each_frame(const rg_framing *framing, const float *x, int64_t n, rg_frame_fn *fn,
                        void *ctx, rg_error *err) RG_MUST_USE;

/*
 * The same walk over a signal that comes in blocks: open, push any number of blocks, finish (which
 * frees the framer and gives the frames that reach beyond the end). NULL and a text in err without
 * memory. The frames' bits do not depend on how the signal is cut.
 */
typedef struct rg_framer rg_framer;
rg_framer *rg_framer_open(const rg_framing *framing, rg_frame_fn *fn, void *ctx, rg_error *err);
void rg_framer_push(rg_framer *framer, const float *x, int64_t n);
void rg_framer_finish(rg_framer *framer); /* NULL is fine */

double rg_mel_of_hz(double hz); /* HTK: 2595 log10(1 + hz / 700) */
/* Triangular bands of equal width on the HTK mel scale, peak 1, no area normalisation. */
typedef struct rg_mel {
    int32_t bands, bins;
    float *weights;        /* (bands,bins) heap */
    int32_t *first, *last; /* bins of a band that are not zero: first .. last-1 */
} rg_mel;
rg_status rg_mel_make(rg_mel *mel, int32_t bands, int32_t size, int32_t rate, double low_hz,
                      double high_hz, rg_error *err) RG_MUST_USE;
void rg_mel_free(rg_mel *mel);
/* out (bands): sums of weight * values (bins). */
void rg_mel_apply(const rg_mel *mel, const float *values, float *out);

#endif
