/*
 * Distances between spectra, and where energy lies.
 *
 * One idea: the frames and mel bands of audio/spectrum.h, the reference's kept while the estimate's
 * pass by. Not here: the differentiable spectra of training (ops.h).
 */
#ifndef RG_EVAL_SPECTRUM_H
#define RG_EVAL_SPECTRUM_H

#include <stdbool.h>
#include <stdint.h>

#include "audio/spectrum.h"
#include "base/status.h"

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
