/*
 * Real FFTs of a few sizes, batched: the one seam to FFTW3 or KissFFT (-DRG_FFT=fftw|kissfft).
 *
 * One idea: a plan is made once, outside any step, with fixed rules (FFTW_ESTIMATE, aligned
 * buffers), so that the same input gives the same bits in every process. Executing a plan is
 * thread-safe. Unnormalised both ways: inverse(forward(x)) = n * x.
 */
#ifndef RG_BASE_FFT_H
#define RG_BASE_FFT_H

#include <stdint.h>

#include "base/status.h"

RG_C_BEGIN

typedef struct rg_fft rg_fft;

/* n even, 2 .. 2^20. Plans live until the process ends and are shared: the same n gives the same
 * plan. */
const rg_fft *rg_fft_plan(int32_t n, rg_error *err);

/* The periodic Hann window of the plan's size: 0.5 - 0.5 cos(2 pi i / n). */
const double *rg_fft_hann(const rg_fft *plan);

/* x (n) -> spectrum (n/2+1, 2) interleaved re, im. 64-byte aligned, not overlapping. x is kept. */
void rg_fft_forward(const rg_fft *plan, const float *x, float *spectrum);
/* spectrum (n/2+1, 2) -> x (n). The spectrum may be overwritten. */
void rg_fft_inverse(const rg_fft *plan, float *spectrum, float *x);
/* "fftw 3.3.10" or "kissfft 131". */
const char *rg_fft_library(void);

RG_C_END

#endif
