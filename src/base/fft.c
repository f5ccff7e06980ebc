/*
 * The list of FFT plans (fft.h), whichever library makes them.
 *
 * One idea: plans are few, made once and never freed, so a list under a lock is all it takes.
 */
#include "base/fft.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/fft_plans.h"

enum { LARGEST = 1 << 20 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static rg__fft_entry *plans;

static rg__fft_entry *find(int32_t n)
{
    for (rg__fft_entry *e = plans; e; e = e->next)
        if (e->n == n) return e;
    return NULL;
}

static double *hann(int32_t n)
{
    const double pi = 3.14159265358979323846;
    double *window = malloc((size_t)n * sizeof *window);
    for (int32_t i = 0; window && i < n; i++) window[i] = 0.5 - 0.5 * cos(2 * pi * i / n);
    return window;
}

static rg__fft_entry *find_or_make(int32_t n)
{
    rg__fft_entry *entry = find(n);
    if (entry) return entry;
    double *window = hann(n);
    entry = window ? rg__fft_make(n) : NULL;
    if (!entry) {
        free(window);
        return NULL;
    }
    entry->n = n;
    entry->hann = window;
    entry->next = plans;
    plans = entry;
    return entry;
}

const rg_fft *rg_fft_plan(int32_t n, rg_error *err)
{
    if (n < 2 || n > LARGEST || n % 2) {
        rg_fail(err, RG_ERR_SHAPE, "an FFT of %d points: even sizes from 2 to %d are supported",
                (int)n, (int)LARGEST);
        return NULL;
    }
    pthread_mutex_lock(&lock);
    rg__fft_entry *entry = find_or_make(n);
    pthread_mutex_unlock(&lock);
    if (!entry) rg_fail(err, RG_ERR_NOMEM, "out of memory for an FFT of %d points", (int)n);
    return (const rg_fft *)entry;
}

const double *rg_fft_hann(const rg_fft *plan)
{
    return ((const rg__fft_entry *)plan)->hann;
}
