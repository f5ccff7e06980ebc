/*
 * Parameters: one layout, one arena of exactly its size, ids on the exec (params.h).
 */
#include <assert.h>
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

static size_t round_up(size_t bytes, size_t align)
{
    return (bytes + align) / align * align; /* never 0 */
}

static void set_offsets(rg_params *params)
{
    size_t bytes = 0;
    params->elements = 0;
    for (size_t i = 0; i < params->n_entries; i++) {
        rg_param *p = &params->entries[i]->param;
        int64_t n = rg_shape_count(p->shape);
        if (p->kind == RG_PARAM_STATE) {
            p->offset = (int64_t)bytes;
            bytes += round_up((size_t)n * rg_dtype_size(p->dtype), RG_ALIGN);
        } else {
            p->offset = params->elements;
            params->elements += n;
        }
    }
    params->state_bytes = (int64_t)bytes;
}

/* The same walk twice: without an arena it only counts, with one it takes memory. */
typedef struct taker {
    rg_arena *arena;
    size_t bytes, align;
    bool failed; /* what was counted was not enough */
} taker;

static void *take(taker *t, size_t bytes)
{
    const size_t all = round_up(bytes, t->align);
    t->bytes += all;
    void *taken = t->arena ? rg_arena_alloc(t->arena, all) : NULL;
    t->failed = t->failed || (t->arena && !taken);
    return taken;
}

/* For any type that it may be packed in later; on a GPU for inference for the one that it is. */
static size_t packed_bytes(const rg_params *params, const view *v, bool trainable,
                           const rg_exec *ex)
{
    const rg_kernels *kernels = ex->kernels;
    if (!v->matrix || !kernels->matrix.packed_size) return 0;
    int64_t rows = rg_shape_rows(v->tensor.shape), cols = rg_shape_last(v->tensor.shape);
    if (ex->gpu && !trainable)
        return kernels->matrix.packed_size(rows, cols, rg_params_packed_type(params, ex, v));
    size_t full = kernels->matrix.packed_size(rows, cols, RG_F32);
    size_t half = kernels->matrix.packed_size(rows, cols, RG_BF16);
    return full > half ? full : half;
}

static void take_view(rg_params *params, taker *t, view *v, bool trainable, const rg_exec *ex)
{
    size_t bytes = (size_t)rg_shape_count(v->tensor.shape) * rg_dtype_size(params->real);
    v->tensor.dtype = params->real;
    if (!rg_view_is_flat(params, v)) {
        v->tensor.data = take(t, bytes);
        if (trainable) v->gradient.data = take(t, bytes);
    } else if (t->arena) {
        v->tensor.data = params->on.values + v->plain->offset;
        if (trainable) v->gradient.data = params->on.gradients + v->plain->offset;
    }
    size_t packed = packed_bytes(params, v, trainable, ex);
    if (packed) v->packed = take(t, packed);
    void *data = v->gradient.data;
    v->gradient = v->tensor;
    v->gradient.flags = 0;
    v->gradient.data = data;
}

static void take_flats(const rg_params *params, flats *f, taker *t, bool trained, bool gradients)
{
    const size_t n = (size_t)params->padded;
    f->values = take(t, n * sizeof(float));
    if (gradients) f->gradients = take(t, n * sizeof(float));
    if (trained) {
        f->moment1 = take(t, n * sizeof(float));
        f->moment2 = take(t, n * sizeof(float));
        f->ema = take(t, n * sizeof(float));
        f->decay = take(t, n);
        f->now = take(t, sizeof *f->now);
    }
    f->states = take(t, (size_t)params->state_bytes);
}

/* What kernels use. */
static void lay_out(rg_params *params, taker *t, bool trainable, const rg_exec *ex)
{
    take_flats(params, &params->on, t, trainable, trainable);
    for (size_t i = 0; i < params->n_views; i++)
        take_view(params, t, params->views[i], trainable, ex);
}

static rg_status check_room(const rg_params *params, size_t bytes, bool trainable, rg_error *err)
{
    const double have = (double)rg_memory_available(), mib = 1024.0 * 1024.0;
    if ((double)bytes <= have) return RG_OK;
    return rg_fail(err, RG_ERR_NOMEM,
                   "a model of %.1f M parameters needs %.0f MiB of memory%s, and %.0f MiB are "
                   "free; make it smaller",
                   (double)params->elements / 1e6, (double)bytes / mib,
                   trainable ? " to be trained" : "", have / mib);
}

/* Zeroed memory of the host, for what `counted` has counted; to be rehearsed addresses alone. */
static rg_status take_host(rg_params *params, taker *counted, bool trainable, rg_error *err)
{
    if (!params->rehearsed) RG_TRY(check_room(params, counted->bytes, trainable, err));
    params->arena = rg_arena_create(counted->bytes, "parameters", err);
    if (!params->arena) return RG_ERR_NOMEM;
    counted->arena = params->arena;
    if (params->rehearsed) return RG_OK;
    void *all = rg_arena_zalloc(params->arena, counted->bytes);
    if (!all) return rg_fail(err, RG_ERR_NOMEM, "no memory for parameters");
    rg_arena_reset(params->arena);
    return RG_OK;
}

static rg_status take_device(rg_params *params, taker *counted, rg_error *err)
{
    params->device_memory = rg_gpu_alloc(params->gpu, counted->bytes, err);
    if (!params->device_memory) return err->code;
    RG_TRY(rg_gpu_zero(params->gpu, params->device_memory, counted->bytes, err));
    counted->arena = params->device_arena =
        rg_arena_create_over(params->device_memory, counted->bytes, "device parameters", err);
    return counted->arena ? RG_OK : err->code;
}

static rg_status take_memory(rg_params *params, rg_exec *ex, bool trainable, rg_error *err)
{
    taker data = {.align = params->gpu ? RG_ARENA_DEVICE_ALIGN : RG_ALIGN},
          copy = {.align = RG_ALIGN};
    lay_out(params, &data, trainable, ex);
    if (params->gpu) {
        take_flats(params, &params->host, &copy, trainable, false);
        RG_TRY(take_host(params, &copy, trainable, err));
        RG_TRY(take_device(params, &data, err));
        if (trainable)
            params->outcome = rg_gpu_letter_create(params->gpu, sizeof(rg_adamw_now), err);
        if (trainable && !params->outcome) return err->code;
        take_flats(params, &params->host, &copy, trainable, false);
    } else {
        RG_TRY(take_host(params, &data, trainable, err));
    }
    lay_out(params, &data, trainable, ex);
    if (!params->gpu) params->host = params->on;
    if (data.failed || copy.failed) return rg_fail(err, RG_ERR_NOMEM, "no memory for parameters");
    for (size_t i = 0; i < params->n_entries; i++) {
        entry *e = params->entries[i];
        if (e->param.kind != RG_PARAM_STATE) continue;
        e->state.data = params->on.states + e->param.offset;
        e->state.host = params->host.states + e->param.offset;
        e->state.gpu = params->gpu;
    }
    return RG_OK;
}

/* Ids are given once: what is finished again on the same exec keeps its own. */
static rg_status register_views(rg_params *params, rg_exec *ex)
{
    if (params->known_to == ex) return RG_OK;
    rg_tensor *gradients = calloc(params->n_views + 1, sizeof *gradients);
    int32_t first = -1;
    if (!params->trainable)
        params->trainable = calloc(params->n_views + 1, sizeof *params->trainable);
    if (params->trainable && gradients) {
        for (size_t i = 0; i < params->n_views; i++) gradients[i] = params->views[i]->gradient;
        first = rg_exec_add_params(ex, gradients, (int32_t)params->n_views);
    }
    free(gradients);
    if (first < 0) return rg_exec_fail(ex, RG_ERR_NOMEM, "parameters: out of memory");
    for (size_t i = 0; i < params->n_views; i++) {
        params->trainable[i] = &params->views[i]->tensor;
        params->trainable[i]->id = first + (int32_t)i;
        params->trainable[i]->gpu = ex->gpu;
    }
    params->known_to = ex;
    return RG_OK;
}

/* Sizes, memory and ids. */
static rg_status settle(rg_params *params, rg_exec *ex, bool trainable, rg_error *err)
{
    if (ex->error.code) return rg_fail(err, ex->error.code, "%s", ex->error.text);
    if (params->error.code) return rg_fail(err, params->error.code, "%s", params->error.text);
    if (params->finished) return rg_fail(err, RG_ERR_USAGE, "parameters are finished already");
    RG_TRY(check_names(params, err));
    params->real = ex->kernels->real;
    params->gpu = ex->gpu;
    set_offsets(params);
    params->padded = params->elements;
    if (trainable && ex->flat_multiple > 0)
        params->padded =
            (params->elements + ex->flat_multiple - 1) / ex->flat_multiple * ex->flat_multiple;
    RG_TRY(take_memory(params, ex, trainable, err));
    params->finished = true;
    const rg_status status = register_views(params, ex);
    return status == RG_OK ? RG_OK : rg_fail(err, status, "%s", ex->error.text);
}

rg_status rg_params_finish(rg_params *params, rg_exec *ex, uint64_t seed, bool trainable,
                           rg_error *err)
{
    RG_TRY(settle(params, ex, trainable, err));
    rg_params_initialise(params, seed, ex->kernel_ctx.pool);
    const rg_status status = rg_params_refresh(params, ex);
    return status == RG_OK ? RG_OK : rg_fail(err, status, "%s", ex->error.text);
}

/* What operators are told of packed weights: that they are there. */
rg_status rg_params_rehearse(rg_params *params, rg_exec *ex, rg_error *err)
{
    params->rehearsed = true;
    RG_TRY(settle(params, ex, false, err));
    for (size_t i = 0; i < params->n_views; i++)
        params->views[i]->tensor.packed = params->views[i]->packed;
    return RG_OK;
}

void rg_params_release(rg_params *params)
{
    assert(!params->on.gradients);
    rg_arena_destroy(params->device_arena);
    if (params->gpu) rg_gpu_free(params->gpu, params->device_memory);
    rg_arena_destroy(params->arena);
    params->arena = params->device_arena = NULL;
    params->device_memory = NULL;
    params->host = params->on = (flats){0};
    params->finished = params->rehearsed = false;
    for (size_t i = 0; i < params->n_views; i++) {
        view *v = params->views[i];
        v->tensor.data = v->gradient.data = v->packed = NULL;
        v->tensor.packed = NULL;
    }
}

rg_params_size rg_params_count_bytes(rg_params *params, const rg_exec *ex)
{
    taker on = {.align = ex->gpu ? RG_ARENA_DEVICE_ALIGN : RG_ALIGN}, copy = {.align = RG_ALIGN};
    assert(!params->finished);
    params->real = ex->kernels->real;
    set_offsets(params);
    params->padded = params->elements;
    lay_out(params, &on, false, ex);
    if (ex->gpu) take_flats(params, &params->host, &copy, false, false);
    return (rg_params_size){
        .elements = params->elements, .bytes = (int64_t)on.bytes, .copy = (int64_t)copy.bytes};
}
