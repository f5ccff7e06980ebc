/*
 * What the FFT back-ends share with fft.c: how plans are kept. Not for anybody else.
 *
 * One idea: a back-end's rg_fft begins with an entry, and rg__fft_make makes one.
 */
#ifndef RG_BASE_FFT_PLANS_H
#define RG_BASE_FFT_PLANS_H

#include <stdint.h>

typedef struct rg__fft_entry {
    int32_t n;
    double *hann;
    struct rg__fft_entry *next;
} rg__fft_entry;

/* A plan for n points whose first member is the entry; NULL when out of memory. Not called from two
 * threads at once. */
rg__fft_entry *rg__fft_make(int32_t n);

#endif
