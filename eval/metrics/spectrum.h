/*
 * Spectra for measuring: frames of a signal, mel bands, and distances between spectra.
 *
 * One idea: one walk over Hann frames serves every metric; a callback gets each frame's magnitudes,
 * so memory never grows with the length of the song. Magnitudes are scaled so that a full-scale
 * sine reads 1. Not here: the differentiable spectra of training (ops.h).
 */
#ifndef RG_EVAL_SPECTRUM_H
#define RG_EVAL_SPECTRUM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rg_framing {
    int32_t size; /* samples of one frame, even */
    double hop;   /* samples between frames; frame k starts at round(k * hop) */
    bool centred; /* frame k is centred on round(k * hop) instead; zeros outside the signal */
} rg_framing;

/* Frames of n samples: the last one reaches the end (zeros behind it); at least 1. */
int64_t rg_frame_count(const rg_framing *framing, int64_t n);
/* Calls fn(ctx, frame, magnitude (size/2+1)) in order of frames. */
typedef void rg_frame_fn(void *ctx, int64_t frame, const float *magnitude);
rg_status rg_each_frame(const rg_framing *framing, const float *x, int64_t n, rg_frame_fn *fn,
                        void *ctx, rg_error *err) RG_MUST_USE;

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

/* The resolutions of both distances below; their numbers stand in metrics.json. */
typedef struct rg_resolution {
    int32_t size, bands; /* FFT, in samples; mel bands */
} rg_resolution;
enum { RG_RESOLUTIONS = 3 };
extern const rg_resolution rg_resolutions[RG_RESOLUTIONS]; /* 512/32, 1024/64, 2048/96 */

/*
 * Multi-resolution log-mel distance in dB: FFT sizes 512, 1024 and 2048 with 32, 64 and 96 bands up
 * to half the rate, hops of a quarter; mean over frames and bands of the absolute difference of
 * 10 log10(power + 1e-8), one of each size; *db is their mean. Both mono (n). 0 is equal.
 */
rg_status rg_mel_distance(const float *reference, const float *estimate, int64_t n, int32_t rate,
                          double by_size[RG_RESOLUTIONS], double *db, rg_error *err) RG_MUST_USE;
/* The same over the bins of the spectrum themselves (log-STFT distance, the log-magnitude part of
 * Yamamoto et al. 1910.11480, in dB). */
rg_status rg_stft_distance(const float *reference, const float *estimate, int64_t n,
                           double by_size[RG_RESOLUTIONS], double *db, rg_error *err) RG_MUST_USE;

/* Shares (0..1) of the energy of x that lie below low_hz and above high_hz; 0 for silence. Frames
 * of 4,096 samples, half overlap. */
typedef struct rg_outside {
    double below, above;
} rg_outside;
rg_status rg_energy_outside(const float *x, int64_t n, int32_t rate, double low_hz, double high_hz,
                            rg_outside *share, rg_error *err) RG_MUST_USE;

#endif
