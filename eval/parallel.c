/*
 * Independent pieces of measuring on all threads.
 *
 * One idea: every index writes only its own results, so neither order nor threads change a number.
 */
#include <stdlib.h>

#include "eval/internal.h"

typedef struct outcome {
    rg_status status;
    rg_error error;
} outcome;

typedef struct work {
    rg_each_fn *fn;
    void *ctx;
    outcome *outcomes;
} work;

static void run_one(void *ctx, int64_t i, int32_t thread)
{
    work *w = ctx;
    (void)thread;
    w->outcomes[i].status = w->fn(w->ctx, i, &w->outcomes[i].error);
}

rg_status rg__each(const evaluation *e, int64_t n, rg_each_fn *fn, void *ctx, rg_error *err)
{
    work w = {fn, ctx, calloc((size_t)(n > 0 ? n : 1), sizeof(outcome))};
    rg_status status = RG_OK;
    if (!w.outcomes)
        return rg_fail(err, RG_ERR_NOMEM, "no memory to measure %lld things", (long long)n);
    rg_pool_run(e->pool, run_one, &w, n);
    for (int64_t i = 0; i < n && status == RG_OK; i++) {
        status = w.outcomes[i].status;
        if (status != RG_OK) *err = w.outcomes[i].error;
    }
    free(w.outcomes);
    return status;
}
