/*
 * Real transforms of n points from a library's complex ones of m = n/2, and the list of plans.
 *
 * One idea: even samples are real parts, odd ones imaginary parts, and one pass over bins k and m-k
 * makes the real transform's bins of the complex one's, or back. With s = a + conj b and
 * d = a - conj b of bins a = Z[k], b = Z[m-k], and w = exp(-2 pi i k / n):
 *   X[k] = (s - i w d) / 2,     X[m-k] = conj (s + i w d) / 2;
 * back, twice as large, because a complex inverse brings m and a real one shall bring n:
 *   Z[k] = s + i conj(w) d,     Z[m-k] = conj (s - i conj(w) d)   of a = X[k], b = X[m-k].
 * Plans are few, made once and never freed, so a list under a lock is all they take.
 */
#include "base/fft.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/fft_plans.h"

enum { LARGEST = 1 << 20, STEP = 2 }; /* points; bins of a vector */

typedef float bins __attribute__((vector_size(16)));

struct rg_fft {
    rg_fft *next;
    int32_t n;
    rg__fft_complex *forward, *inverse; /* of n/2 points */
    float *sine, *cosine; /* of 2 pi k / n, k = 0 .. n/4, twice; of the cosine the first negated */
    double *hann;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static rg_fft *plans;

/* ---- plans ---- */

static void fill_tables(rg_fft *plan)
{
    const double step = 6.283185307179586 / plan->n;
    for (int32_t k = 0; k <= plan->n / 4; k++) {
        const float cosine = (float)cos(step * k);
        plan->sine[2 * k] = plan->sine[2 * k + 1] = (float)sin(step * k);
        plan->cosine[2 * k] = -cosine;
        plan->cosine[2 * k + 1] = cosine;
    }
    for (int32_t i = 0; i < plan->n; i++) plan->hann[i] = 0.5 - 0.5 * cos(step * i);
}

static rg_fft *make(int32_t n)
{
    rg_fft *plan = calloc(1, sizeof *plan);
    if (!plan) return NULL;
    const size_t turns = 2 * ((size_t)n / 4 + 1);
    plan->n = n;
    plan->sine = malloc(turns * sizeof *plan->sine);
    plan->cosine = malloc(turns * sizeof *plan->cosine);
    plan->hann = malloc((size_t)n * sizeof *plan->hann);
    plan->forward = rg__fft_make(n / 2, false);
    plan->inverse = rg__fft_make(n / 2, true);
    if (plan->sine && plan->cosine && plan->hann && plan->forward && plan->inverse) {
        fill_tables(plan);
        return plan;
    }
    rg__fft_free(plan->forward);
    rg__fft_free(plan->inverse);
    free(plan->hann);
    free(plan->cosine);
    free(plan->sine);
    free(plan);
    return NULL;
}

static rg_fft *find_or_make(int32_t n)
{
    for (rg_fft *p = plans; p; p = p->next)
        if (p->n == n) return p;
    rg_fft *plan = make(n);
    if (!plan) return NULL;
    plan->next = plans;
    plans = plan;
    return plan;
}

const rg_fft *rg_fft_plan(int32_t n, rg_error *err)
{
    if (n < 2 || n > LARGEST || n % 2) {
        rg_fail(err, RG_ERR_SHAPE, "an FFT of %d points: even sizes from 2 to %d are supported",
                (int)n, (int)LARGEST);
        return NULL;
    }
    pthread_mutex_lock(&lock);
    const rg_fft *plan = find_or_make(n);
    pthread_mutex_unlock(&lock);
    if (!plan) rg_fail(err, RG_ERR_NOMEM, "out of memory for an FFT of %d points", (int)n);
    return plan;
}

const double *rg_fft_hann(const rg_fft *plan)
{
    return plan->hann;
}

/* ---- the pass over bins, in place: `back` is -1 forward and 1 back ---- */

/* Bins k, k + 1 and their mirrors. */
static inline __attribute__((always_inline)) void turn_step(const rg_fft *p, int32_t k, float back,
                                                            float scale, float *z)
{
    const bins conj = {1, -1, 1, -1};
    float *mirror = z + 2 * (p->n / 2 - k - STEP + 1);
    bins a, b, sine, cosine;
    memcpy(&a, z + 2 * k, sizeof a);
    memcpy(&b, mirror, sizeof b);
    memcpy(&sine, p->sine + 2 * k, sizeof sine);
    memcpy(&cosine, p->cosine + 2 * k, sizeof cosine);
    b = conj * __builtin_shufflevector(b, b, 2, 3, 0, 1);
    const bins s = a + b, d = a - b, crossed = __builtin_shufflevector(d, d, 1, 0, 3, 2);
    const bins turned = back * (crossed * cosine) - d * sine;
    a = scale * (s + turned);
    b = scale * conj * (s - turned);
    b = __builtin_shufflevector(b, b, 2, 3, 0, 1);
    memcpy(z + 2 * k, &a, sizeof a);
    memcpy(mirror, &b, sizeof b);
}

/* Bin k and its mirror, which may be itself. */
static void turn_one(const rg_fft *p, int32_t k, float back, float scale, float *z)
{
    float *a = z + 2 * k, *b = z + 2 * (p->n / 2 - k);
    const float s[2] = {a[0] + b[0], a[1] - b[1]}, d[2] = {a[0] - b[0], a[1] + b[1]};
    const float sine = p->sine[2 * k], cosine = p->cosine[2 * k + 1];
    const float re = -back * (d[1] * cosine) - d[0] * sine;
    const float im = back * (d[0] * cosine) - d[1] * sine;
    a[0] = scale * (s[0] + re), a[1] = scale * (s[1] + im);
    b[0] = scale * (s[0] - re), b[1] = -scale * (s[1] - im);
}

static inline __attribute__((always_inline)) void turn(const rg_fft *p, float back, float scale,
                                                       float *z)
{
    const int32_t m = p->n / 2;
    int32_t k = 0;
    for (; 2 * (k + STEP - 1) < m; k += STEP) turn_step(p, k, back, scale, z);
    for (; 2 * k <= m; k++) turn_one(p, k, back, scale, z);
}

/* ---- transforms ---- */

static void assert_aligned(const float *x, const float *spectrum)
{
    assert((uintptr_t)x % 64 == 0 && (uintptr_t)spectrum % 64 == 0);
    (void)x;
    (void)spectrum;
}

void rg_fft_forward(const rg_fft *plan, const float *x, float *spectrum)
{
    assert_aligned(x, spectrum);
    rg__fft_run(plan->forward, x, spectrum);
    spectrum[plan->n] = spectrum[0], spectrum[plan->n + 1] = spectrum[1]; /* Z[m] = Z[0] */
    turn(plan, -1, 0.5F, spectrum);
    spectrum[1] = spectrum[plan->n + 1] = 0;
}

void rg_fft_inverse(const rg_fft *plan, float *spectrum, float *x)
{
    assert_aligned(x, spectrum);
    const float first = spectrum[0], last = spectrum[plan->n]; /* whose imaginary parts are zeros */
    turn(plan, 1, 1, spectrum);
    spectrum[0] = first + last, spectrum[1] = first - last;
    rg__fft_run(plan->inverse, spectrum, x);
}
