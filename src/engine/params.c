/*
 * Parameters in flat buffers (params.h).
 *
 * One idea: declaring fills a list of entries; rg_params_finish computes one layout and takes one
 * arena of exactly that size. Operators see "views": of a plain parameter its own values, of a
 * weight-normalised pair the folded weight. On kernels of doubles (gradient checks) every view and
 * its gradient is a converted copy, made at refresh and taken back at unfold; otherwise a plain
 * view is the flat buffer itself.
 */
#include "engine/params.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/* What operators see: one plain parameter, or the weight folded from a (g, v) pair. */
typedef struct view {
    rg_tensor tensor;
    rg_tensor gradient; /* of the tensor, in the kernels' type */
    rg_param *plain;    /* the parameter itself, or NULL */
    rg_param *g, *v;    /* the pair, or NULL */
    int32_t axis;       /* of g */
    bool matrix;
    void *packed;
} view;

typedef struct entry {
    rg_param param;
    rg_init init;
    rg_tensor state; /* of states */
    rg_param *v;     /* of a g: its pair, whose norms it starts with */
    int32_t axis;    /* of a g: the axis it belongs to */
} entry;

struct rg_params {
    entry **entries;
    view **views;
    rg_tensor **trainable; /* the views' tensors */
    size_t n_entries, n_views;
    int64_t elements, state_bytes;
    rg_arena *arena;
    float *values, *gradients, *moment1, *moment2, *ema;
    uint8_t *decay, *states;
    rg_dtype real, packed_type;
    rg_error error; /* of a declaration; told by finish */
    bool finished;
};

rg_params *rg_params_create(rg_error *err)
{
    rg_params *params = calloc(1, sizeof *params);
    if (!params) rg_fail(err, RG_ERR_NOMEM, "rg_params_create: out of memory");
    return params;
}

void rg_params_destroy(rg_params *params)
{
    if (!params) return;
    for (size_t i = 0; i < params->n_entries; i++) free(params->entries[i]);
    for (size_t i = 0; i < params->n_views; i++) free(params->views[i]);
    free(params->entries);
    free(params->views);
    free(params->trainable);
    rg_arena_destroy(params->arena);
    free(params);
}

/* ---- declarations ---- */

/* Room for one more pointer; grows by doubling at powers of two. */
static void *grown(rg_params *params, void *list, size_t n)
{
    if (n && (n & (n - 1))) return list;
    void *more = realloc(list, (n ? 2 * n : 1) * sizeof(void *));
    if (!more) rg_fail(&params->error, RG_ERR_NOMEM, "parameters: out of memory");
    return more;
}

static rg_param *add_entry(rg_params *params, const char *name, const char *suffix, rg_shape shape,
                           rg_param_kind kind)
{
    if (params->error.code) return NULL;
    assert(!params->finished);
    entry *e = calloc(1, sizeof *e);
    entry **list = grown(params, params->entries, params->n_entries);
    if (list) params->entries = list;
    if (!e || !list) {
        free(e);
        rg_fail(&params->error, RG_ERR_NOMEM, "parameter %s: out of memory", name);
        return NULL;
    }
    params->entries[params->n_entries++] = e;
    e->param = (rg_param){.shape = shape, .kind = kind, .dtype = RG_F32};
    e->param.decay = shape.ndim > 1 && kind != RG_PARAM_NORM_G;
    int n = snprintf(e->param.name, sizeof e->param.name, "%s%s", name, suffix);
    if (n < 0 || (size_t)n >= sizeof e->param.name) {
        rg_fail(&params->error, RG_ERR_MISMATCH, "parameter name %s... is longer than %d bytes",
                e->param.name, RG_NAME_SIZE - 1);
        return NULL;
    }
    return &e->param;
}

/* The entry that holds a parameter; the parameter is its first member. */
static entry *entry_of(rg_param *param)
{
    return (entry *)param;
}

static view *add_view(rg_params *params, rg_shape shape)
{
    if (params->error.code) return NULL;
    view *v = calloc(1, sizeof *v);
    view **list = grown(params, params->views, params->n_views);
    if (list) params->views = list;
    if (!v || !list) {
        free(v);
        rg_fail(&params->error, RG_ERR_NOMEM, "parameters: out of memory");
        return NULL;
    }
    params->views[params->n_views++] = v;
    v->tensor = (rg_tensor){.shape = shape, .flags = RG_TENSOR_PARAM, .id = -1};
    return v;
}

rg_tensor *rg_params_add(rg_params *params, const char *name, rg_shape shape, rg_init init)
{
    rg_param *param = add_entry(params, name, "", shape, RG_PARAM_PLAIN);
    view *v = add_view(params, shape);
    if (!param || !v) return NULL;
    entry_of(param)->init = init;
    v->plain = param;
    return param->tensor = &v->tensor;
}

rg_tensor *rg_params_add_normed(rg_params *params, const char *name, rg_shape shape, int32_t axis,
                                rg_init init)
{
    assert(axis >= 0 && axis < shape.ndim);
    rg_param *g = add_entry(params, name, "_g", RG_SHAPE(shape.dim[axis]), RG_PARAM_NORM_G);
    rg_param *v = add_entry(params, name, "_v", shape, RG_PARAM_NORM_V);
    view *w = add_view(params, shape);
    if (!g || !v || !w) return NULL;
    entry_of(v)->init = init;
    entry_of(g)->v = v;
    entry_of(g)->axis = axis;
    w->g = g;
    w->v = v;
    w->axis = axis;
    return v->tensor = &w->tensor;
}

rg_tensor *rg_params_add_state(rg_params *params, const char *name, rg_dtype type, rg_shape shape)
{
    rg_param *param = add_entry(params, name, "", shape, RG_PARAM_STATE);
    if (!param) return NULL;
    entry *e = entry_of(param);
    param->dtype = type;
    param->decay = false;
    e->state = (rg_tensor){.shape = shape, .dtype = type, .flags = RG_TENSOR_STATE, .id = -1};
    return param->tensor = &e->state;
}

void rg_params_use_as_matrix(rg_params *params, rg_tensor *tensor)
{
    if (!tensor) return; /* an earlier declaration failed; finish says so */
    for (size_t i = params->n_views; i-- > 0;) {
        if (&params->views[i]->tensor != tensor) continue;
        params->views[i]->matrix = true;
        return;
    }
    assert(!"rg_params_use_as_matrix: not a parameter of this set");
}

/* ---- layout ---- */

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

static bool shares_flat_buffer(const rg_params *params, const view *v)
{
    return v->plain && params->real == RG_F32;
}

static void take_view(rg_params *params, taker *t, view *v, const rg_kernels *kernels)
{
    size_t bytes = (size_t)rg_shape_count(v->tensor.shape) * rg_dtype_size(params->real);
    v->tensor.dtype = params->real;
    if (!shares_flat_buffer(params, v)) {
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
    size_t n = (size_t)params->elements;
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
    params->arena = rg_arena_create(counting.bytes, "parameters", err);
    if (!params->arena) return RG_ERR_NOMEM;
    taker taking = {.arena = params->arena, .trainable = trainable};
    lay_out(params, &taking, ex->kernels);
    for (size_t i = 0; i < params->n_entries; i++) {
        entry *e = params->entries[i];
        e->state.data = params->states + e->param.offset;
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

/* ---- initial values ---- */

static float truncated_normal(rg_rng *rng)
{
    for (;;) {
        double v = rg_rng_normal(rng);
        if (fabs(v) <= 3) return (float)v;
    }
}

static void fill(float *out, int64_t n, rg_init init, rg_rng *rng)
{
    switch (init.kind) {
    case RG_INIT_ZEROS:
        break;
    case RG_INIT_ONES:
        for (int64_t i = 0; i < n; i++) out[i] = 1;
        break;
    case RG_INIT_NORMAL:
        rg_rng_fill_normal(rng, out, n, 0, (float)init.scale);
        break;
    case RG_INIT_TRUNCATED:
        for (int64_t i = 0; i < n; i++) out[i] = (float)init.scale * truncated_normal(rng);
        break;
    case RG_INIT_UNIFORM:
        rg_rng_fill_uniform(rng, out, n, (float)-init.scale, (float)init.scale);
        break;
    }
}

/* v as (outer, n, inner) round the axis of g. */
static rg_weight_norm_args norm_args(rg_shape shape, int32_t axis)
{
    rg_weight_norm_args args = {.outer = 1, .n = shape.dim[axis], .inner = 1};
    for (int32_t i = 0; i < axis; i++) args.outer *= shape.dim[i];
    for (int32_t i = axis + 1; i < shape.ndim; i++) args.inner *= shape.dim[i];
    return args;
}

/* g starts as the norms of v, so that the folded weight starts as v. */
static void fill_norms(const rg_params *params, const entry *g)
{
    rg_weight_norm_args a = norm_args(g->v->shape, g->axis);
    const float *v = params->values + g->v->offset;
    for (int64_t k = 0; k < a.n; k++) {
        double sum = 0;
        for (int64_t o = 0; o < a.outer; o++)
            for (int64_t i = 0; i < a.inner; i++) {
                double x = v[(o * a.n + k) * a.inner + i];
                sum += x * x;
            }
        params->values[g->param.offset + k] = (float)sqrt(sum);
    }
}

static void initialise(rg_params *params, uint64_t seed)
{
    for (size_t i = 0; i < params->n_entries; i++) {
        const entry *e = params->entries[i];
        if (e->param.kind == RG_PARAM_STATE) continue;
        int64_t n = rg_shape_count(e->param.shape);
        rg_rng rng = rg_rng_make(seed, rg_xxh3(e->param.name, strlen(e->param.name)));
        fill(params->values + e->param.offset, n, e->init, &rng);
        if (params->decay && n) memset(params->decay + e->param.offset, e->param.decay, (size_t)n);
    }
    for (size_t i = 0; i < params->n_entries; i++)
        if (params->entries[i]->v) fill_norms(params, params->entries[i]);
    if (params->ema && params->elements)
        memcpy(params->ema, params->values, (size_t)params->elements * sizeof(float));
}

static rg_status finish(rg_params *params, rg_exec *ex, uint64_t seed, bool trainable,
                        rg_error *err)
{
    if (params->error.code) return rg_fail(err, params->error.code, "%s", params->error.text);
    if (params->finished) return rg_fail(err, RG_ERR_USAGE, "parameters are finished already");
    RG_TRY(check_names(params, err));
    params->real = ex->kernels->real;
    set_offsets(params);
    RG_TRY(take_memory(params, ex, trainable, err));
    initialise(params, seed);
    params->finished = true;
    rg_status status = register_views(params, ex);
    if (status == RG_OK) status = rg_params_refresh(params, ex);
    return status == RG_OK ? RG_OK : rg_fail(err, status, "%s", ex->error.text);
}

rg_status rg_params_finish(rg_params *params, rg_exec *ex, uint64_t seed, bool trainable,
                           rg_error *err)
{
    if (ex->error.code) return rg_fail(err, ex->error.code, "%s", ex->error.text);
    return finish(params, ex, seed, trainable, err);
}

/* ---- between the flat buffers and what operators see ---- */

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
    if (shares_flat_buffer(params, v)) return RG_OK;
    const float *from = params->values + v->plain->offset;
    double *to = v->tensor.data;
    for (int64_t i = 0, n = rg_shape_count(v->tensor.shape); i < n; i++) to[i] = from[i];
    return RG_OK;
}

static rg_status fold(rg_params *params, rg_exec *ex, const view *v)
{
    rg_weight_norm_args args = norm_args(v->v->shape, v->axis);
    args.v = as_real(params, ex, params->values + v->v->offset, rg_shape_count(v->v->shape));
    args.g = as_real(params, ex, params->values + v->g->offset, args.n);
    args.w = v->tensor.data;
    if (!args.v || !args.g) return no_scratch(ex);
    return ex->kernels->weight_norm.forward(&ex->kernel_ctx, &args);
}

static rg_status pack(const rg_params *params, rg_exec *ex, view *v)
{
    rg_tensor *t = &v->tensor;
    int64_t rows = rg_shape_rows(t->shape), cols = rg_shape_last(t->shape);
    t->packed = NULL;
    t->packed_type = params->packed_type;
    if (!v->packed || !ex->kernels->matrix.packed_size(rows, cols, params->packed_type))
        return RG_OK;
    t->packed = v->packed;
    return ex->kernels->matrix.pack(&ex->kernel_ctx, t->data, rows, cols, params->packed_type,
                                    v->packed);
}

static rg_status refresh_view(rg_params *params, rg_exec *ex, view *v)
{
    rg_arena_mark mark = rg_arena_save(ex->scratch);
    rg_status status = v->plain ? set_plain(params, v) : fold(params, ex, v);
    if (status == RG_OK) status = pack(params, ex, v);
    rg_arena_restore(ex->scratch, mark);
    v->tensor.version++;
    return status;
}

rg_status rg_params_refresh(rg_params *params, rg_exec *ex)
{
    if (ex->error.code) return ex->error.code;
    for (size_t i = 0; i < params->n_views; i++) {
        rg_status status = refresh_view(params, ex, params->views[i]);
        if (status != RG_OK) return rg_exec_fail(ex, status, "refreshing the parameters failed");
    }
    return RG_OK;
}

static void to_floats(const double *from, float *to, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] = (float)from[i];
}

static rg_status unfold_pair(rg_params *params, rg_exec *ex, const view *v)
{
    rg_weight_norm_args args = norm_args(v->v->shape, v->axis);
    int64_t n = rg_shape_count(v->v->shape);
    float *dg = params->gradients + v->g->offset, *dv = params->gradients + v->v->offset;
    bool same = params->real == RG_F32;
    args.v = as_real(params, ex, params->values + v->v->offset, n);
    args.g = as_real(params, ex, params->values + v->g->offset, args.n);
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
    if (shares_flat_buffer(params, v)) return RG_OK;
    if (v->plain) {
        to_floats(v->gradient.data, params->gradients + v->plain->offset,
                  rg_shape_count(v->tensor.shape));
        return RG_OK;
    }
    rg_arena_mark mark = rg_arena_save(ex->scratch);
    rg_status status = unfold_pair(params, ex, v);
    rg_arena_restore(ex->scratch, mark);
    return status;
}

rg_status rg_params_unfold_gradients(rg_params *params, rg_exec *ex)
{
    if (ex->error.code) return ex->error.code;
    if (!params->gradients)
        return rg_exec_fail(ex, RG_ERR_USAGE, "these parameters were finished as not trainable");
    for (size_t i = 0; i < params->n_views; i++) {
        rg_status status = unfold_view(params, ex, params->views[i]);
        if (status != RG_OK) return rg_exec_fail(ex, status, "unfolding the gradients failed");
    }
    return RG_OK;
}

void rg_params_zero_gradients(rg_params *params)
{
    if (!params->gradients) return;
    memset(params->gradients, 0, (size_t)params->elements * sizeof(float));
    for (size_t i = 0; i < params->n_views; i++) {
        const rg_tensor *g = &params->views[i]->gradient;
        if (shares_flat_buffer(params, params->views[i])) continue;
        memset(g->data, 0, (size_t)rg_shape_count(g->shape) * rg_dtype_size(g->dtype));
    }
}

rg_status rg_params_swap_ema(rg_params *params, rg_exec *ex)
{
    if (!params->ema)
        return rg_exec_fail(ex, RG_ERR_USAGE, "parameters that are not trained have no EMA");
    for (int64_t i = 0; i < params->elements; i++) {
        float value = params->values[i];
        params->values[i] = params->ema[i];
        params->ema[i] = value;
    }
    return rg_params_refresh(params, ex);
}

void rg_params_set_packed_type(rg_params *params, rg_dtype type)
{
    params->packed_type = type;
}

/* ---- looking at them ---- */

size_t rg_params_count(const rg_params *params)
{
    return params->n_entries;
}

const rg_param *rg_params_at(const rg_params *params, size_t i)
{
    return i < params->n_entries ? &params->entries[i]->param : NULL;
}

const rg_param *rg_params_find(const rg_params *params, const char *name)
{
    for (size_t i = 0; i < params->n_entries; i++)
        if (!strcmp(params->entries[i]->param.name, name)) return &params->entries[i]->param;
    return NULL;
}

int64_t rg_params_elements(const rg_params *params)
{
    return params->elements;
}

rg_tensor *const *rg_params_trainable(const rg_params *params, int32_t *n)
{
    *n = params->gradients ? (int32_t)params->n_views : 0;
    return params->trainable;
}

float *rg_params_values(rg_params *params)
{
    return params->values;
}

float *rg_params_gradients(rg_params *params)
{
    return params->gradients;
}

float *rg_params_moment1(rg_params *params)
{
    return params->moment1;
}

float *rg_params_moment2(rg_params *params)
{
    return params->moment2;
}

float *rg_params_ema(rg_params *params)
{
    return params->ema;
}

const uint8_t *rg_params_decay(const rg_params *params)
{
    return params->decay;
}

void *rg_param_data(rg_params *params, const rg_param *param)
{
    if (param->kind == RG_PARAM_STATE) return params->states + param->offset;
    return params->values + param->offset;
}

const char *rg_params_name_of(const rg_params *params, int64_t i)
{
    for (size_t k = 0; k < params->n_entries; k++) {
        const rg_param *p = &params->entries[k]->param;
        if (p->kind == RG_PARAM_STATE || i < p->offset) continue;
        if (i < p->offset + rg_shape_count(p->shape)) return p->name;
    }
    return "";
}
