/*
 * The list of FFT plans (fft.h), whichever library makes them.
 *
 * One idea: plans are few, made once and never freed, so a list under a lock is all it takes.
 */
#include "base/fft.h"

#include <pthread.h>
#include <stddef.h>

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

static rg__fft_entry *find_or_make(int32_t n)
{
    rg__fft_entry *entry = find(n);
    if (entry) return entry;
    entry = rg__fft_make(n);
    if (!entry) return NULL;
    entry->n = n;
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
