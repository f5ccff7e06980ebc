/*
 * Parameters: between the flat buffers and what operators see (params_private.h).
 *
 * One idea: refresh goes from values to views (fold, convert, pack), unfold from the views'
 * gradients to the flat ones; both may be repeated. What is packed as it lies in the values AdamW
 * packs while it updates them, so that a step reads them once. On a GPU refresh begins with what
 * the host has, and rg_params_fetch brings back what the steps made of it.
 */
#include <string.h>

#include "dist/zero.h"
#include "engine/params_private.h"

rg_weight_norm_args rg_weight_norm_sizes(rg_shape shape, int32_t axis)
{
    rg_weight_norm_args args = {.outer = 1, .n = shape.dim[axis], .inner = 1};
    for (int32_t i = 0; i < axis; i++) args.outer *= shape.dim[i];
    for (int32_t i = axis + 1; i < shape.ndim; i++) args.inner *= shape.dim[i];
    return args;
}

/* n floats as the kernels' real type: themselves, or a copy in scratch. */
static const void *as_real(rg_params *params, rg_exec *ex, const float *from, int64_t n)
{
    if (params->real == RG_F32) return from;
    double *copy = rg_arena_alloc(ex->scratch, (size_t)n * sizeof *copy);
    for (int64_t i = 0; copy && i < n; i++) copy[i] = from[i];
    return copy;
}

static rg_status no_scratch(rg_exec *ex)
{
    return rg_exec_fail(ex, RG_ERR_NOMEM, "scratch arena is full");
}

static rg_status set_plain(rg_params *params, const view *v)
{
    if (rg_view_is_flat(params, v)) return RG_OK;
    const float *from = params->on.values + v->plain->offset;
    double *to = v->tensor.data;
    for (int64_t i = 0, n = rg_shape_count(v->tensor.shape); i < n; i++) to[i] = from[i];
    return RG_OK;
}

static rg_status fold(rg_params *params, rg_exec *ex, const view *v)
{
    rg_weight_norm_args args = rg_weight_norm_sizes(v->v->shape, v->axis);
    args.v = as_real(params, ex, params->on.values + v->v->offset, rg_shape_count(v->v->shape));
    args.g = as_real(params, ex, params->on.values + v->g->offset, args.n);
    args.w = v->tensor.data;
    if (!args.v || !args.g) return no_scratch(ex);
    return ex->kernels->weight_norm.forward(&ex->kernel_ctx, &args);
}

rg_dtype rg_params_packed_type(const rg_params *params, const rg_exec *ex, const view *v)
{
    if (ex->stored) return ex->stored->real;
    if (ex->kernel_ctx.operands == RG_BF16) return RG_BF16;
    const bool linear = v->tensor.shape.ndim == 2; /* kernels.h */
    return params->packed_type == RG_I8 && !linear ? RG_F32 : params->packed_type;
}

/* Whether there is something to pack, and as what. */
static bool set_packed(const rg_params *params, const rg_exec *ex, view *v)
{
    rg_tensor *t = &v->tensor;
    t->packed = NULL;
    t->packed_type = rg_params_packed_type(params, ex, v);
    if (!v->packed || !ex->kernels->matrix.packed_size(rg_shape_rows(t->shape),
                                                       rg_shape_last(t->shape), t->packed_type))
        return false;
    t->packed = v->packed;
    return true;
}

static rg_status pack(const rg_params *params, rg_exec *ex, view *v)
{
    const rg_tensor *t = &v->tensor;
    if (!set_packed(params, ex, v)) return RG_OK;
    return ex->kernels->matrix.pack(&ex->kernel_ctx, t->data, rg_shape_rows(t->shape),
                                    rg_shape_last(t->shape), t->packed_type, v->packed);
}

static rg_status refresh_view(rg_params *params, rg_exec *ex, view *v, bool packed)
{
    rg_arena *scratch = ex->kernel_ctx.scratch;
    rg_arena_mark mark = rg_arena_save(scratch);
    rg_status status = v->plain ? set_plain(params, v) : fold(params, ex, v);
    if (status == RG_OK && !packed) status = pack(params, ex, v);
    rg_arena_restore(scratch, mark);
    v->tensor.version++;
    return status;
}

/* Whether AdamW packs it: a weight that operators read as it is updated. */
static bool packed_by_adamw(const rg_params *params, const rg_exec *ex, view *v)
{
    return rg_view_is_flat(params, v) && set_packed(params, ex, v) &&
           v->tensor.packed_type != RG_I8;
}

rg_status rg_params_matrices(rg_params *params, rg_exec *ex, rg_adamw_args *args)
{
    rg_adamw_matrix *list = rg_arena_alloc(ex->scratch, (params->n_views + 1) * sizeof *list);
    if (!list) return no_scratch(ex);
    args->matrices = list;
    for (size_t i = 0; i < params->n_views; i++) { /* plain ones were declared in their order */
        view *v = params->views[i];
        const rg_tensor *t = &v->tensor;
        if (!packed_by_adamw(params, ex, v)) continue;
        list[args->n_matrices++] =
            (rg_adamw_matrix){v->plain->offset, rg_shape_rows(t->shape), rg_shape_last(t->shape),
                              t->packed_type, v->packed};
    }
    return RG_OK;
}

static rg_status refresh(rg_params *params, rg_exec *ex, bool after_adamw)
{
    if (ex->error.code) return ex->error.code;
    for (size_t i = 0; i < params->n_views; i++) {
        view *v = params->views[i];
        rg_status status =
            refresh_view(params, ex, v, after_adamw && packed_by_adamw(params, ex, v));
        if (status != RG_OK) return rg_exec_fail(ex, status, "refreshing the parameters failed");
    }
    return RG_OK;
}

/* ---- between the host's copy and a GPU's ---- */

/* A buffer that both have, and its bytes. What only the host changes goes one way. */
typedef struct pair {
    void *host, *on;
    size_t bytes;
    bool sent_only;
} pair;
enum { PAIRS = 6 };

static void list_pairs(const rg_params *params, pair out[PAIRS])
{
    const flats *h = &params->host, *d = &params->on;
    const size_t bytes = (size_t)params->elements * sizeof(float);
    const pair all[PAIRS] = {{h->values, d->values, bytes, false},
                             {h->moment1, d->moment1, bytes, false},
                             {h->moment2, d->moment2, bytes, false},
                             {h->ema, d->ema, bytes, false},
                             {h->decay, d->decay, (size_t)params->elements, true},
                             {h->states, d->states, (size_t)params->state_bytes, true}};
    memcpy(out, all, sizeof all);
}

static rg_status send(rg_params *params, rg_exec *ex)
{
    pair all[PAIRS];
    list_pairs(params, all);
    for (int i = 0; params->gpu && i < PAIRS; i++)
        if (all[i].host)
            RG_TRY(rg_gpu_put(params->gpu, all[i].on, all[i].host, all[i].bytes, &ex->error));
    return RG_OK;
}

rg_status rg_params_fetch(const rg_params *params, rg_error *err)
{
    pair all[PAIRS];
    list_pairs(params, all);
    for (int i = 0; params->gpu && i < PAIRS; i++)
        if (all[i].host && !all[i].sent_only)
            RG_TRY(rg_gpu_get(params->gpu, all[i].host, all[i].on, all[i].bytes, err));
    return RG_OK;
}

rg_status rg_params_refresh(rg_params *params, rg_exec *ex)
{
    if (ex->error.code) return ex->error.code;
    RG_TRY(send(params, ex));
    return refresh(params, ex, false);
}

rg_status rg_params_repack(rg_params *params, rg_exec *ex)
{
    return refresh(params, ex, false);
}

rg_status rg_params_updated(rg_params *params, rg_exec *ex)
{
    return refresh(params, ex, true);
}

static void to_floats(const double *from, float *to, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] = (float)from[i];
}

static rg_status unfold_pair(rg_params *params, rg_exec *ex, const view *v)
{
    rg_weight_norm_args args = rg_weight_norm_sizes(v->v->shape, v->axis);
    int64_t n = rg_shape_count(v->v->shape);
    float *dg = params->on.gradients + v->g->offset, *dv = params->on.gradients + v->v->offset;
    bool same = params->real == RG_F32;
    args.v = as_real(params, ex, params->on.values + v->v->offset, n);
    args.g = as_real(params, ex, params->on.values + v->g->offset, args.n);
    args.dw = v->gradient.data;
    args.dg = same ? (void *)dg : rg_arena_alloc(ex->scratch, (size_t)args.n * sizeof(double));
    args.dv = same ? (void *)dv : rg_arena_alloc(ex->scratch, (size_t)n * sizeof(double));
    if (!args.v || !args.g || !args.dg || !args.dv) return no_scratch(ex);
    RG_TRY(ex->kernels->weight_norm.grad(&ex->kernel_ctx, &args));
    if (same) return RG_OK;
    to_floats(args.dg, dg, args.n);
    to_floats(args.dv, dv, n);
    return RG_OK;
}

static rg_status unfold_view(rg_params *params, rg_exec *ex, const view *v)
{
    if (rg_view_is_flat(params, v)) return RG_OK;
    if (v->plain) {
        to_floats(v->gradient.data, params->on.gradients + v->plain->offset,
                  rg_shape_count(v->tensor.shape));
        return RG_OK;
    }
    rg_arena *scratch = ex->kernel_ctx.scratch;
    rg_arena_mark mark = rg_arena_save(scratch);
    rg_status status = unfold_pair(params, ex, v);
    rg_arena_restore(scratch, mark);
    return status;
}

rg_status rg_params_unfold_view(rg_params *params, rg_exec *ex, size_t i)
{
    rg_status status = unfold_view(params, ex, params->views[i]);
    if (status == RG_OK) return RG_OK;
    return rg_exec_fail(ex, status, "unfolding the gradients failed");
}

rg_status rg_params_unfold_gradients(rg_params *params, rg_exec *ex)
{
    if (ex->error.code) return ex->error.code;
    if (!params->on.gradients)
        return rg_exec_fail(ex, RG_ERR_USAGE, "these parameters were finished as not trainable");
    for (size_t i = 0; i < params->n_views; i++) RG_TRY(rg_params_unfold_view(params, ex, i));
    return RG_OK;
}

/* A GPU that fails to clear memory fails the next call too, which tells it. */
static void clear(const rg_params *params, void *data, size_t bytes)
{
    rg_error err = {0};
    if (!params->gpu)
        memset(data, 0, bytes);
    else
        (void)!rg_gpu_zero(params->gpu, data, bytes, &err);
}

void rg_params_zero_gradients(rg_params *params)
{
    if (!params->on.gradients) return;
    rg_zero_forget_gradients(params);
    clear(params, params->on.gradients, (size_t)params->elements * sizeof(float));
    for (size_t i = 0; i < params->n_views; i++) {
        const rg_tensor *g = &params->views[i]->gradient;
        if (rg_view_is_flat(params, params->views[i])) continue;
        clear(params, g->data, (size_t)rg_shape_count(g->shape) * rg_dtype_size(g->dtype));
    }
}

rg_status rg_params_swap_ema(rg_params *params, rg_exec *ex)
{
    if (!params->host.ema)
        return rg_exec_fail(ex, RG_ERR_USAGE, "parameters that are not trained have no EMA");
    RG_TRY(rg_params_fetch(params, &ex->error));
    for (int64_t i = 0; i < params->elements; i++) {
        float value = params->host.values[i];
        params->host.values[i] = params->host.ema[i];
        params->host.ema[i] = value;
    }
    return rg_params_refresh(params, ex);
}

void rg_params_set_packed_type(rg_params *params, rg_dtype type)
{
    params->packed_type = type;
}
