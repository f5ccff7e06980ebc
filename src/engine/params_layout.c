/*
 * Parameters: one layout, one arena of exactly its size, ids on the exec (params.h).
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "engine/params_private.h"

bool rg_view_is_flat(const rg_params *params, const view *v)
{
    return v->plain && params->real == RG_F32;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static rg_status check_names(const rg_params *params, rg_error *err)
{
    size_t n = params->n_entries;
    const char **names = malloc((n ? n : 1) * sizeof *names);
    if (!names) return rg_fail(err, RG_ERR_NOMEM, "parameters: out of memory");
    for (size_t i = 0; i < n; i++) names[i] = params->entries[i]->param.name;
    qsort(names, n, sizeof *names, compare_names);
    rg_status status = RG_OK;
    for (size_t i = 1; i < n && status == RG_OK; i++)
        if (!strcmp(names[i - 1], names[i]))
            status = rg_fail(err, RG_ERR_MISMATCH, "two parameters have the name %s", names[i]);
    free(names);
    return status;
}

static size_t round_up(size_t bytes)
{
    return (bytes + RG_ALIGN) / RG_ALIGN * RG_ALIGN; /* never 0 */
}

static void set_offsets(rg_params *params)
{
    size_t bytes = 0;
    for (size_t i = 0; i < params->n_entries; i++) {
        rg_param *p = &params->entries[i]->param;
        int64_t n = rg_shape_count(p->shape);
        if (p->kind == RG_PARAM_STATE) {
            p->offset = (int64_t)bytes;
            bytes += round_up((size_t)n * rg_dtype_size(p->dtype));
        } else {
            p->offset = params->elements;
            params->elements += n;
        }
    }
    params->state_bytes = (int64_t)bytes;
}

/* The same walk twice: without an arena it only counts, with one it takes zeroed memory. */
typedef struct taker {
    rg_arena *arena;
    size_t bytes;
    bool trainable;
} taker;

static void *take(taker *t, size_t bytes)
{
    t->bytes += round_up(bytes);
    return t->arena ? rg_arena_zalloc(t->arena, round_up(bytes)) : NULL;
}

static size_t packed_bytes(const view *v, const rg_kernels *kernels)
{
    if (!v->matrix || !kernels->matrix.packed_size) return 0;
    int64_t rows = rg_shape_rows(v->tensor.shape), cols = rg_shape_last(v->tensor.shape);
    size_t full = kernels->matrix.packed_size(rows, cols, RG_F32);
    size_t half = kernels->matrix.packed_size(rows, cols, RG_BF16);
    return full > half ? full : half;
}

static void take_view(rg_params *params, taker *t, view *v, const rg_kernels *kernels)
{
    size_t bytes = (size_t)rg_shape_count(v->tensor.shape) * rg_dtype_size(params->real);
    v->tensor.dtype = params->real;
    if (!rg_view_is_flat(params, v)) {
        v->tensor.data = take(t, bytes);
        if (t->trainable) v->gradient.data = take(t, bytes);
    } else if (t->arena) {
        v->tensor.data = params->values + v->plain->offset;
        if (t->trainable) v->gradient.data = params->gradients + v->plain->offset;
    }
    size_t packed = packed_bytes(v, kernels);
    if (packed) v->packed = take(t, packed);
    void *data = v->gradient.data;
    v->gradient = v->tensor;
    v->gradient.flags = 0;
    v->gradient.data = data;
}

static void lay_out(rg_params *params, taker *t, const rg_kernels *kernels)
{
    size_t n = (size_t)params->padded;
    params->values = take(t, n * sizeof(float));
    if (t->trainable) {
        params->gradients = take(t, n * sizeof(float));
        params->moment1 = take(t, n * sizeof(float));
        params->moment2 = take(t, n * sizeof(float));
        params->ema = take(t, n * sizeof(float));
        params->decay = take(t, n);
    }
    params->states = take(t, (size_t)params->state_bytes);
    for (size_t i = 0; i < params->n_views; i++) take_view(params, t, params->views[i], kernels);
}

static rg_status take_memory(rg_params *params, rg_exec *ex, bool trainable, rg_error *err)
{
    taker counting = {.trainable = trainable};
    lay_out(params, &counting, ex->kernels);
    double have = (double)rg_memory_available(), mib = 1024.0 * 1024.0;
    if ((double)counting.bytes > have)
        return rg_fail(err, RG_ERR_NOMEM,
                       "a model of %.1f M parameters needs %.0f MiB of memory%s, and %.0f MiB are "
                       "free; make it smaller",
                       (double)params->elements / 1e6, (double)counting.bytes / mib,
                       trainable ? " to be trained" : "", have / mib);
    params->arena = rg_arena_create(counting.bytes, "parameters", err);
    if (!params->arena) return RG_ERR_NOMEM;
    taker taking = {.arena = params->arena, .trainable = trainable};
    lay_out(params, &taking, ex->kernels);
    for (size_t i = 0; i < params->n_entries; i++) {
        entry *e = params->entries[i];
        if (e->param.kind == RG_PARAM_STATE) e->state.data = params->states + e->param.offset;
    }
    return RG_OK;
}

static rg_status register_views(rg_params *params, rg_exec *ex)
{
    params->trainable = calloc(params->n_views + 1, sizeof *params->trainable);
    rg_tensor *gradients = calloc(params->n_views + 1, sizeof *gradients);
    int32_t first = -1;
    if (params->trainable && gradients) {
        for (size_t i = 0; i < params->n_views; i++) gradients[i] = params->views[i]->gradient;
        first = rg_exec_add_params(ex, gradients, (int32_t)params->n_views);
    }
    free(gradients);
    if (first < 0) return rg_exec_fail(ex, RG_ERR_NOMEM, "parameters: out of memory");
    for (size_t i = 0; i < params->n_views; i++) {
        params->trainable[i] = &params->views[i]->tensor;
        params->trainable[i]->id = first + (int32_t)i;
        params->trainable[i]->device = ex->device;
    }
    return RG_OK;
}

rg_status rg_params_finish(rg_params *params, rg_exec *ex, uint64_t seed, bool trainable,
                           rg_error *err)
{
    if (ex->error.code) return rg_fail(err, ex->error.code, "%s", ex->error.text);
    if (params->error.code) return rg_fail(err, params->error.code, "%s", params->error.text);
    if (params->finished) return rg_fail(err, RG_ERR_USAGE, "parameters are finished already");
    RG_TRY(check_names(params, err));
    params->real = ex->kernels->real;
    set_offsets(params);
    params->padded = params->elements;
    if (trainable && ex->flat_multiple > 0)
        params->padded =
            (params->elements + ex->flat_multiple - 1) / ex->flat_multiple * ex->flat_multiple;
    RG_TRY(take_memory(params, ex, trainable, err));
    rg_params_initialise(params, seed, ex->kernel_ctx.pool);
    params->finished = true;
    rg_status status = register_views(params, ex);
    if (status == RG_OK) status = rg_params_refresh(params, ex);
    return status == RG_OK ? RG_OK : rg_fail(err, status, "%s", ex->error.text);
}
