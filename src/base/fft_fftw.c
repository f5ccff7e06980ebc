/*
 * fft.h on FFTW3 (single precision).
 *
 * One idea: FFTW_ESTIMATE plans by rule, not by measurement, so the same n gives the same plan and
 * the same bits in every process. Plans are made on 64-byte aligned buffers, as all that is passed
 * in is.
 */
#include <assert.h>
#include <fftw3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/fft.h"
#include "base/fft_plans.h"
#include "base/text.h"

struct rg_fft {
    rg__fft_entry entry;
    fftwf_plan forward, inverse;
};

rg__fft_entry *rg__fft_make(int32_t n)
{
    rg_fft *plan = calloc(1, sizeof *plan);
    size_t bytes = ((size_t)n + 2) * sizeof(float) / 64 * 64 + 64;
    float *x = aligned_alloc(64, bytes), *spectrum = aligned_alloc(64, bytes);
    if (plan && x && spectrum) {
        fftwf_complex *bins = (fftwf_complex *)spectrum;
        plan->forward = fftwf_plan_dft_r2c_1d(n, x, bins, FFTW_ESTIMATE | FFTW_PRESERVE_INPUT);
        plan->inverse = fftwf_plan_dft_c2r_1d(n, bins, x, FFTW_ESTIMATE | FFTW_DESTROY_INPUT);
    }
    free(x);
    free(spectrum);
    if (plan && plan->forward && plan->inverse) return &plan->entry;
    free(plan);
    return NULL;
}

static void assert_aligned(const float *x, const float *spectrum)
{
    assert((uintptr_t)x % 64 == 0 && (uintptr_t)spectrum % 64 == 0);
    (void)x;
    (void)spectrum;
}

void rg_fft_forward(const rg_fft *plan, const float *x, float *spectrum)
{
    assert_aligned(x, spectrum);
    /* FFTW's type has no const; PRESERVE_INPUT keeps x */
    fftwf_execute_dft_r2c(plan->forward, (float *)(uintptr_t)x, (fftwf_complex *)spectrum);
}

void rg_fft_inverse(const rg_fft *plan, float *spectrum, float *x)
{
    assert_aligned(x, spectrum);
    fftwf_execute_dft_c2r(plan->inverse, (fftwf_complex *)spectrum, x);
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
