/*
 * Complex transforms by FFTW3 (single precision).
 *
 * One idea: FFTW_ESTIMATE plans by rule, not by measurement, so the same size gives the same plan
 * and the same bits in every process. Plans are made on 64-byte aligned buffers, as all that is
 * passed in is. FFTW's own real transforms are not used: they are less of vectors and take nearly
 * twice as long at lengths that are powers of two.
 */
#include <fftw3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/fft.h"
#include "base/fft_plans.h"
#include "base/text.h"

rg__fft_complex *rg__fft_make(int32_t points, bool inverse)
{
    const size_t bytes = ((size_t)points * sizeof(fftwf_complex) + 63) / 64 * 64;
    fftwf_complex *from = aligned_alloc(64, bytes), *to = aligned_alloc(64, bytes);
    fftwf_plan plan = NULL;
    if (from && to)
        plan = fftwf_plan_dft_1d(points, from, to, inverse ? FFTW_BACKWARD : FFTW_FORWARD,
                                 FFTW_ESTIMATE | FFTW_PRESERVE_INPUT);
    free(from);
    free(to);
    return (rg__fft_complex *)plan;
}

void rg__fft_free(rg__fft_complex *plan)
{
    if (plan) fftwf_destroy_plan((fftwf_plan)plan);
}

void rg__fft_run(const rg__fft_complex *plan, const float *from, float *to)
{
    /* FFTW's types have no const; PRESERVE_INPUT keeps `from` */
    fftwf_execute_dft((fftwf_plan)(uintptr_t)plan, (fftwf_complex *)(uintptr_t)from,
                      (fftwf_complex *)to);
}

/* fftwf_version is "fftw-3.3.10-sse2-avx": the number without the build's options is enough. */
const char *rg_fft_library(void)
{
    static char name[32];
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (!name[0]) {
        const char *version = fftwf_version + strcspn(fftwf_version, "0123456789");
        rg_format(name, sizeof name, "fftw %.*s", (int)strcspn(version, "-"), version);
    }
    pthread_mutex_unlock(&lock);
    return name;
}
