/*
 * Complex transforms by KissFFT.
 *
 * One idea: its configuration is the plan. KissFFT's own real transforms are not used, because they
 * keep a buffer in the plan and so are not thread-safe.
 */
#include <kissfft/kiss_fft.h>
#include <stdlib.h>

#include "base/fft.h"
#include "base/fft_plans.h"

#ifndef RG_FFT_VERSION
#define RG_FFT_VERSION ""
#endif

rg__fft_complex *rg__fft_make(int32_t points, bool inverse)
{
    return (rg__fft_complex *)kiss_fft_alloc(points, inverse, NULL, NULL);
}

void rg__fft_free(rg__fft_complex *plan)
{
    kiss_fft_free(plan);
}

void rg__fft_run(const rg__fft_complex *plan, const float *from, float *to)
{
    kiss_fft((kiss_fft_cfg)(uintptr_t)plan, (const kiss_fft_cpx *)(const void *)from,
             (kiss_fft_cpx *)(void *)to);
}

const char *rg_fft_library(void)
{
    return "kissfft " RG_FFT_VERSION;
}
