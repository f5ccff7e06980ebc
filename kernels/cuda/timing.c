/*
 * Kernels timed call by call (kernels/gpu.h).
 *
 * One idea: a table of wrappers: each lets the idle kernel count the call, so that its row in the
 * tally is known, and has the real one between two events of the stream. Nothing waits until the
 * times are asked for, so the GPU works as it does without them.
 * Not here: what the times are compared with (train/roofline.c).
 */
#include <stdlib.h>

#include "kernels/cuda/backend.h"
#include "kernels/cuda/cuda.h"
#include "kernels/idle.h"

typedef struct lap {
    cudaEvent_t before, after;
    int32_t row;
} lap;

enum { PLAIN, STORED, TABLES };

struct rg_gpu_timing {
    rg_gpu *gpu;
    rg_tally *tally;
    rg_kernels idle, timed[TABLES];
    const rg_kernels *real[TABLES]; /* STORED may be NULL */
    lap *laps;
    int64_t n, made; /* calls that wait to be added; laps that have events */
};

/* A lap with events, the last of which is not queued yet; NULL with ctx->error. */
static lap *begin_lap(rg_kernel_ctx *ctx, rg_gpu_timing *t)
{
    if (t->n == t->made) {
        lap *laps = realloc(t->laps, (size_t)(t->made + 1) * sizeof *laps), new = {0};
        if (!laps) {
            rg_fail(ctx->error, RG_ERR_NOMEM, "no memory for times");
            return NULL;
        }
        t->laps = laps;
        if (rg_gpu_check(cudaEventCreate(&new.before), "making an event", ctx->error) != RG_OK)
            return NULL;
        if (rg_gpu_check(cudaEventCreate(&new.after), "making an event", ctx->error) != RG_OK) {
            cudaEventDestroy(new.before);
            return NULL;
        }
        t->laps[t->made++] = new;
    }
    lap *l = &t->laps[t->n++];
    l->row = t->tally->last;
    const cudaError_t queued = cudaEventRecord(l->before, t->gpu->stream);
    return rg_gpu_check(queued, "an event", ctx->error) == RG_OK ? l : NULL;
}

static rg_status end_lap(rg_kernel_ctx *ctx, rg_gpu_timing *t, const lap *l)
{
    return rg_gpu_check(cudaEventRecord(l->after, t->gpu->stream), "an event", ctx->error);
}

/* The idle kernel's scratch is of no use here. */
#define TIMED(function, member, table, args)                       \
    static rg_status function(rg_kernel_ctx *ctx, const args *a)   \
    {                                                              \
        rg_gpu_timing *t = ctx->tally->timing;                     \
        const rg_arena_mark mark = rg_arena_save(ctx->scratch);    \
        rg_status status = t->idle.member(ctx, a);                 \
        rg_arena_restore(ctx->scratch, mark);                      \
        const lap *l = status == RG_OK ? begin_lap(ctx, t) : NULL; \
        if (!l) return ctx->error->code;                           \
        RG_TRY(t->real[table]->member(ctx, a));                    \
        return end_lap(ctx, t, l);                                 \
    }
#define TIMED_SLOT(name, fwd, bwd)                              \
    TIMED(name##_plain, name.forward, PLAIN, rg_##fwd##_args)   \
    TIMED(name##_plain_grad, name.grad, PLAIN, rg_##bwd##_args) \
    TIMED(name##_stored, name.forward, STORED, rg_##fwd##_args) \
    TIMED(name##_stored_grad, name.grad, STORED, rg_##bwd##_args)
#define TIMED_CALL(name, args)                         \
    TIMED(name##_plain, name, PLAIN, rg_##args##_args) \
    TIMED(name##_stored, name, STORED, rg_##args##_args)

RG_CUDA_SLOTS(TIMED_SLOT)
RG_CUDA_CALLS(TIMED_CALL)

#define PLAIN_SLOT(name, fwd, bwd) .name = {name##_plain, name##_plain_grad},
#define PLAIN_CALL(name, args) .name = name##_plain,
#define STORED_SLOT(name, fwd, bwd) .name = {name##_stored, name##_stored_grad},
#define STORED_CALL(name, args) .name = name##_stored,

/* Matrices are packed by updates, whose time has them. */
static void make_tables(rg_gpu_timing *t)
{
    static const rg_kernels plain = {RG_CUDA_SLOTS(PLAIN_SLOT) RG_CUDA_CALLS(PLAIN_CALL)},
                            stored = {RG_CUDA_SLOTS(STORED_SLOT) RG_CUDA_CALLS(STORED_CALL)};
    t->timed[PLAIN] = plain;
    t->timed[STORED] = stored;
    for (int k = 0; k < TABLES; k++) {
        if (!t->real[k]) continue;
        t->timed[k].name = t->real[k]->name;
        t->timed[k].real = t->real[k]->real;
        t->timed[k].fast_operands = t->real[k]->fast_operands;
        t->timed[k].matrix = t->real[k]->matrix;
    }
}

rg_gpu_timing *rg_gpu_timing_create(rg_gpu *gpu, rg_tally *tally, const rg_kernels *kernels,
                                    const rg_kernels *stored, rg_error *err)
{
    rg_gpu_timing *t = calloc(1, sizeof *t);
    if (!t) {
        rg_fail(err, RG_ERR_NOMEM, "no memory for times");
        return NULL;
    }
    *t = (rg_gpu_timing){.gpu = gpu,
                         .tally = tally,
                         .idle = rg_kernels_idle(kernels),
                         .real = {[PLAIN] = kernels, [STORED] = stored}};
    make_tables(t);
    tally->timing = t;
    return t;
}

void rg_gpu_timing_destroy(rg_gpu_timing *t)
{
    if (!t) return;
    for (int64_t i = 0; i < t->made; i++) {
        cudaEventDestroy(t->laps[i].before);
        cudaEventDestroy(t->laps[i].after);
    }
    t->tally->timing = NULL;
    free(t->laps);
    free(t);
}

const rg_kernels *rg_gpu_timing_kernels(const rg_gpu_timing *t)
{
    return &t->timed[PLAIN];
}

const rg_kernels *rg_gpu_timing_stored(const rg_gpu_timing *t)
{
    return t->real[STORED] ? &t->timed[STORED] : NULL;
}

rg_status rg_gpu_timing_add(rg_gpu_timing *t, rg_error *err)
{
    RG_TRY(rg_gpu_wait(t->gpu, err));
    for (int64_t i = 0; i < t->n; i++) {
        const lap *l = &t->laps[i];
        float ms = 0;
        RG_TRY(rg_gpu_check(cudaEventElapsedTime(&ms, l->before, l->after), "times", err));
        t->tally->rows[l->row].seconds += 1e-3 * ms;
    }
    t->n = 0;
    return RG_OK;
}
