/*
 * What fft.c asks of a library: complex transforms. Not for anybody else.
 *
 * One idea: everything real, the tables and the list of plans are fft.c's; a library
 * brings a complex transform of so many points, which any number of threads may run at once.
 */
#ifndef RG_BASE_FFT_PLANS_H
#define RG_BASE_FFT_PLANS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct rg__fft_complex rg__fft_complex;

/* points >= 1. NULL when out of memory. Not called from two threads at once. */
rg__fft_complex *rg__fft_make(int32_t points, bool inverse);
/* Frees a plan; NULL: nothing. */
void rg__fft_free(rg__fft_complex *plan);
/* from (points, 2) -> to (points, 2), unnormalised. 64-byte aligned, not overlapping. */
void rg__fft_run(const rg__fft_complex *plan, const float *from, float *to);

#endif
