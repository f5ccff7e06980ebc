/*
 * fft.h on KissFFT.
 *
 * One idea: a real transform of n points is a complex one of n/2 points (even samples as real part,
 * odd ones as imaginary part) and one pass that separates the two halves; KissFFT's own real
 * transform is not used, because it keeps a buffer in the plan and so is not thread-safe.
 */
#include <kissfft/kiss_fft.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fft.h"
#include "base/fft_plans.h"

#ifndef RG_FFT_VERSION
#define RG_FFT_VERSION ""
#endif

struct rg_fft {
    rg__fft_entry entry;
    kiss_fft_cfg forward, inverse; /* of n/2 points; NULL for n = 2 */
    float *twiddles;               /* (n/4+1, 2): exp(-2 pi i k / n) */
};

rg__fft_entry *rg__fft_make(int32_t n)
{
    rg_fft *plan = calloc(1, sizeof *plan);
    if (!plan) return NULL;
    plan->twiddles = malloc(((size_t)n / 4 + 1) * 2 * sizeof(float));
    if (n > 2) {
        plan->forward = kiss_fft_alloc(n / 2, 0, NULL, NULL);
        plan->inverse = kiss_fft_alloc(n / 2, 1, NULL, NULL);
    }
    if (!plan->twiddles || (n > 2 && (!plan->forward || !plan->inverse))) {
        kiss_fft_free(plan->forward);
        kiss_fft_free(plan->inverse);
        free(plan->twiddles);
        free(plan);
        return NULL;
    }
    for (int32_t k = 0; k <= n / 4; k++) {
        double angle = -6.283185307179586 * k / n;
        plan->twiddles[2 * k] = (float)cos(angle);
        plan->twiddles[2 * k + 1] = (float)sin(angle);
    }
    return &plan->entry;
}

static void transform(kiss_fft_cfg cfg, const float *from, float *to)
{
    if (cfg)
        kiss_fft(cfg, (const kiss_fft_cpx *)(const void *)from, (kiss_fft_cpx *)(void *)to);
    else
        memcpy(to, from, 2 * sizeof *to);
}

/*
 * For one pair of bins a = Z[k], b = Z[m-k] (m = n/2) and w = exp(-2 pi i k / n):
 *   even = (a + conj b) / 2, odd = -i (a - conj b) / 2,
 *   X[k] = even + w odd,     X[m-k] = conj(even - w odd).
 */
static void separate(float *a, float *b, const float *w)
{
    float even_re = 0.5f * (a[0] + b[0]), even_im = 0.5f * (a[1] - b[1]);
    float odd_re = 0.5f * (a[1] + b[1]), odd_im = -0.5f * (a[0] - b[0]);
    float turned_re = w[0] * odd_re - w[1] * odd_im, turned_im = w[0] * odd_im + w[1] * odd_re;
    a[0] = even_re + turned_re;
    a[1] = even_im + turned_im;
    b[0] = even_re - turned_re;
    b[1] = turned_im - even_im;
}

/* The reverse, times two: the complex transform brings n/2, the whole shall bring n. */
static void join(float *a, float *b, const float *w)
{
    float even_re = a[0] + b[0], even_im = a[1] - b[1];
    float turned_re = a[0] - b[0], turned_im = a[1] + b[1];
    float odd_re = w[0] * turned_re + w[1] * turned_im,
          odd_im = w[0] * turned_im - w[1] * turned_re;
    a[0] = even_re - odd_im;
    a[1] = even_im + odd_re;
    b[0] = even_re + odd_im;
    b[1] = odd_re - even_im;
}

void rg_fft_forward(const rg_fft *plan, const float *x, float *spectrum)
{
    int32_t m = plan->entry.n / 2;
    transform(plan->forward, x, spectrum);
    float re = spectrum[0], im = spectrum[1];
    spectrum[0] = re + im;
    spectrum[1] = 0;
    spectrum[2 * m] = re - im;
    spectrum[2 * m + 1] = 0;
    for (int32_t k = 1; k < m - k; k++)
        separate(spectrum + 2 * k, spectrum + 2 * (m - k), plan->twiddles + 2 * k);
    if (m % 2 == 0) spectrum[m + 1] = -spectrum[m + 1]; /* k = m/2: w = -i, X = conj Z */
}

void rg_fft_inverse(const rg_fft *plan, float *spectrum, float *x)
{
    int32_t m = plan->entry.n / 2;
    float first = spectrum[0], last = spectrum[2 * m];
    spectrum[0] = first + last;
    spectrum[1] = first - last;
    for (int32_t k = 1; k < m - k; k++)
        join(spectrum + 2 * k, spectrum + 2 * (m - k), plan->twiddles + 2 * k);
    if (m % 2 == 0) {
        spectrum[m] = 2 * spectrum[m];
        spectrum[m + 1] = -2 * spectrum[m + 1];
    }
    transform(plan->inverse, spectrum, x);
}

const char *rg_fft_library(void)
{
    return "kissfft " RG_FFT_VERSION;
}
