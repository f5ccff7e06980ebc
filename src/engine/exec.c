/*
 * The exec: arenas, tensors, error (exec.h).
 *
 * One idea: all memory is reserved when the exec is created; nothing here calls the heap after
 * that. Not here: running operators (tape.c), gradients (backward.c), parameters (params.h).
 */
#include "engine/exec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#undef rg_exec_fail

static size_t or_default(size_t bytes, size_t gib)
{
    return bytes ? bytes : gib << 30;
}

static rg_status make_host_arenas(rg_exec *ex, const rg_exec_options *o, rg_error *err)
{
    const rg_exec_options none = {0};
    if (ex->gpu) o = &none; /* sizes are of data, which lie elsewhere */
    ex->step = rg_arena_create(or_default(o->step_bytes, 64), "step", err);
    ex->scratch = rg_arena_create(or_default(o->scratch_bytes, 16), "scratch", err);
    ex->persist = rg_arena_create(or_default(o->persist_bytes, 16), "persist", err);
    return ex->step && ex->scratch && ex->persist ? RG_OK : RG_ERR_NOMEM;
}

static rg_arena *device_arena(rg_exec *ex, int i, size_t bytes, const char *name, rg_error *err)
{
    ex->device_memory[i] = rg_gpu_alloc(ex->gpu, bytes, err);
    return ex->device_memory[i] ? rg_arena_create_over(ex->device_memory[i], bytes, name, err)
                                : NULL;
}

/* Where data lie: in the host's arenas, or in three of the device's. */
static rg_status make_data_arenas(rg_exec *ex, const rg_exec_options *o, rg_error *err)
{
    rg_arena *scratch = ex->scratch;
    ex->step_data = ex->step, ex->persist_data = ex->persist;
    if (ex->gpu) {
        ex->step_data = device_arena(ex, 0, or_default(o->step_bytes, 4), "device step", err);
        ex->persist_data =
            device_arena(ex, 1, or_default(o->persist_bytes, 1), "device persist", err);
        scratch = device_arena(ex, 2, or_default(o->scratch_bytes, 1), "device scratch", err);
    }
    ex->kernel_ctx = (rg_kernel_ctx){
        .operands = o->operands, .scratch = scratch, .pool = o->pool, .error = &ex->error};
    if (ex->gpu) rg_gpu_context(ex->gpu, &ex->kernel_ctx);
    return ex->step_data && ex->persist_data && scratch ? RG_OK : RG_ERR_NOMEM;
}

static rg_status make_arenas(rg_exec *ex, const rg_exec_options *o, rg_error *err)
{
    RG_TRY(make_host_arenas(ex, o, err));
    RG_TRY(make_data_arenas(ex, o, err));
    ex->tape = rg_arena_alloc(ex->persist, (size_t)ex->cap_tape * sizeof *ex->tape);
    if (!ex->tape)
        return rg_fail(err, RG_ERR_NOMEM, "persist arena is too small for a tape of %d entries",
                       ex->cap_tape);
    return RG_OK;
}

rg_exec *rg_exec_create(const rg_exec_options *options, rg_error *err)
{
    if (!options || !options->kernels) {
        rg_fail(err, RG_ERR_USAGE, "rg_exec_create: no kernels given");
        return NULL;
    }
    rg_exec *ex = calloc(1, sizeof *ex);
    if (!ex) {
        rg_fail(err, RG_ERR_NOMEM, "rg_exec_create: out of memory");
        return NULL;
    }
    ex->gpu = options->gpu;
    ex->graphs = options->gpu && options->graphs;
    ex->host = options->host ? options->host : ex;
    ex->kernels = options->kernels;
    ex->stored = options->stored;
    ex->real = options->kernels->real;
    ex->seed = options->seed;
    ex->recording = true;
    ex->cap_tape = options->tape_capacity > 0 ? options->tape_capacity : 65536;
    if (make_arenas(ex, options, err) != RG_OK) {
        rg_exec_destroy(ex);
        return NULL;
    }
    return ex;
}

void rg_exec_destroy(rg_exec *ex)
{
    if (!ex) return;
    if (ex->gpu) {
        rg_arena_destroy(ex->step_data);
        rg_arena_destroy(ex->persist_data);
        rg_arena_destroy(ex->kernel_ctx.scratch);
        for (int i = 0; i < 3; i++) rg_gpu_free(ex->gpu, ex->device_memory[i]);
    }
    rg_arena_destroy(ex->step);
    rg_arena_destroy(ex->scratch);
    rg_arena_destroy(ex->persist);
    free(ex);
}

rg_status rg_exec_status(const rg_exec *ex)
{
    return ex->error.code;
}

rg_status rg_exec_fail(rg_exec *ex, rg_status code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    rg_vfail(&ex->error, code, fmt, args);
    va_end(args);
    return code;
}

void rg_step_begin(rg_exec *ex, uint64_t step)
{
    rg_arena_reset(ex->step);
    rg_arena_reset(ex->step_data);
    ex->n_tape = 0;
    ex->next_id = 0;
    ex->flops = 0;
    ex->step_number = step;
}

bool rg_set_recording(rg_exec *ex, bool on)
{
    bool was = ex->recording;
    ex->recording = on;
    return was;
}

void rg_exec_zero(rg_exec *ex, void *data, size_t bytes)
{
    if (ex->gpu) {
        if (rg_gpu_zero(ex->gpu, data, bytes, &ex->error) != RG_OK) return; /* the error sticks */
    } else if (bytes) {
        memset(data, 0, bytes);
    }
}

rg_kernels_used rg_exec_use(rg_exec *ex, const rg_kernels *kernels)
{
    const rg_kernels_used before = {ex->kernels, ex->kernel_ctx.operands};
    ex->kernels = kernels;
    if (kernels == ex->stored) ex->kernel_ctx.operands = kernels->real;
    return before;
}

void rg_exec_use_again(rg_exec *ex, rg_kernels_used before)
{
    ex->kernels = before.kernels;
    ex->kernel_ctx.operands = before.operands;
}

/* Results of a GPU's kernel stay in its memory until they are asked for. */
rg_status rg_exec_norm(rg_exec *ex, const float *g, int64_t n, double *sum_squares, bool *finite)
{
    struct {
        double sum_squares;
        bool finite;
    } result = {.finite = true}, *there = &result;
    rg_arena_mark mark = rg_arena_save(ex->kernel_ctx.scratch);
    if (ex->gpu) there = rg_arena_alloc(ex->kernel_ctx.scratch, sizeof *there);
    if (!there) return rg_exec_fail(ex, RG_ERR_NOMEM, "scratch arena is full");
    const rg_norm_args args = {
        .g = g, .n = n, .sum_squares = &there->sum_squares, .finite = &there->finite};
    rg_status status = ex->kernels->norm(&ex->kernel_ctx, &args);
    if (status == RG_OK && ex->gpu)
        status = rg_gpu_get(ex->gpu, &result, there, sizeof result, &ex->error);
    rg_arena_restore(ex->kernel_ctx.scratch, mark);
    *sum_squares = result.sum_squares;
    *finite = result.finite;
    return status;
}

int32_t rg_exec_add_params(rg_exec *ex, const rg_tensor *gradients, int32_t n)
{
    int32_t first = ex->n_param_ids, need = first + n;
    if (need > ex->cap_param_ids) {
        int32_t capacity = 2 * need;
        rg_tensor *grown = rg_arena_alloc(ex->persist, (size_t)capacity * sizeof *grown);
        if (!grown) {
            rg_exec_fail(ex, RG_ERR_NOMEM, "persist arena is full: %d parameters", need);
            return -1;
        }
        if (first) memcpy(grown, ex->param_gradients, (size_t)first * sizeof *grown);
        ex->param_gradients = grown;
        ex->cap_param_ids = capacity;
    }
    if (n) memcpy(ex->param_gradients + first, gradients, (size_t)n * sizeof *gradients);
    ex->n_param_ids = need;
    return first;
}

/* ---- tensors ---- */

/* A header in `arena` over `data`, or over fresh memory of `of_data` when data is NULL. */
static rg_tensor *make_tensor(rg_exec *ex, rg_arena *arena, rg_arena *of_data, rg_dtype type,
                              rg_shape shape, void *data)
{
    if (ex->error.code) return NULL;
    rg_tensor *t = rg_arena_alloc(arena, sizeof *t);
    size_t bytes = (size_t)rg_shape_count(shape) * rg_dtype_size(type);
    if (t && !data) data = rg_arena_alloc(of_data, bytes);
    if (!t || !data) {
        char text[96];
        rg_exec_fail(ex, RG_ERR_NOMEM,
                     "%s arena is full: no room for %s of shape %s; use a smaller batch",
                     rg_arena_name(of_data), rg_dtype_text(type), rg_shape_text(shape, text));
        return NULL;
    }
    *t = (rg_tensor){.shape = shape, .dtype = type, .gpu = ex->gpu, .id = -1, .data = data};
    return t;
}

static rg_tensor *make_step_tensor(rg_exec *ex, rg_dtype type, rg_shape shape, void *data)
{
    rg_tensor *t = make_tensor(ex, ex->step, ex->step_data, type, shape, data);
    if (t) t->id = ex->next_id++;
    return t;
}

rg_tensor *rg_tensor_new(rg_exec *ex, rg_dtype type, rg_shape shape)
{
    return make_step_tensor(ex, type, shape, NULL);
}

rg_tensor *rg_tensor_wrap(rg_exec *ex, rg_dtype type, rg_shape shape, void *data)
{
    if (!data && rg_shape_count(shape) > 0) {
        rg_exec_fail(ex, RG_ERR_USAGE, "rg_tensor_wrap: no data given");
        return NULL;
    }
    return make_step_tensor(ex, type, shape, data);
}

rg_status rg_tensor_put(rg_exec *ex, rg_tensor *t, const void *values)
{
    const size_t bytes = (size_t)rg_shape_count(t->shape) * rg_dtype_size(t->dtype);
    if (t->gpu) return rg_gpu_put(t->gpu, t->data, values, bytes, &ex->error);
    if (bytes) memcpy(t->data, values, bytes);
    return RG_OK;
}

rg_tensor *rg_tensor_filled(rg_exec *ex, rg_tensor *t, const void *values)
{
    if (!t || ex->error.code || (!t->gpu && values == t->data)) return ex->error.code ? NULL : t;
    return rg_tensor_put(ex, t, values) == RG_OK ? t : NULL;
}

void *rg_tensor_fill(rg_exec *ex, const rg_tensor *t)
{
    if (!t || ex->error.code) return NULL;
    if (!t->gpu) return t->data;
    void *host =
        rg_arena_alloc(ex->step, (size_t)rg_shape_count(t->shape) * rg_dtype_size(t->dtype));
    if (!host) rg_exec_fail(ex, RG_ERR_NOMEM, "step arena is full; use a smaller batch");
    return host;
}

const void *rg_tensor_read(rg_exec *ex, const rg_tensor *t)
{
    void *host = rg_tensor_fill(ex, t);
    if (!host || !t->gpu) return host;
    const size_t bytes = (size_t)rg_shape_count(t->shape) * rg_dtype_size(t->dtype);
    return rg_gpu_get(t->gpu, host, t->data, bytes, &ex->error) == RG_OK ? host : NULL;
}

rg_tensor *rg_tensor_from_floats(rg_exec *ex, rg_shape shape, const float *values)
{
    rg_tensor *t = rg_tensor_new(ex, ex->kernels->real, shape);
    if (!t || t->dtype != RG_F64) return rg_tensor_filled(ex, t, values);
    int64_t n = rg_shape_count(shape);
    for (int64_t i = 0; i < n; i++) ((double *)t->data)[i] = values[i];
    return t;
}

rg_tensor *rg_tensor_from_ints(rg_exec *ex, rg_shape shape, const int32_t *values)
{
    return rg_tensor_filled(ex, rg_tensor_new(ex, RG_I32, shape), values);
}

rg_tensor *rg_tensor_state(rg_exec *ex, rg_dtype type, rg_shape shape)
{
    rg_tensor *t = make_tensor(ex, ex->persist, ex->persist_data, type, shape, NULL);
    if (!t) return NULL;
    t->flags = RG_TENSOR_STATE;
    rg_exec_zero(ex, t->data, (size_t)rg_shape_count(shape) * rg_dtype_size(type));
    return t;
}

rg_tensor *rg_detach(rg_exec *ex, rg_tensor *t)
{
    if (!t) return NULL;
    return make_step_tensor(ex, t->dtype, t->shape, t->data);
}

/* Elements first .. first+n-1 of a device's tensor; false when its work failed. */
static bool fetch(const rg_tensor *t, int64_t first, int64_t n, void *out)
{
    const size_t size = rg_dtype_size(t->dtype);
    rg_error err = {0};
    return rg_gpu_get(t->gpu, out, (const char *)t->data + (size_t)first * size, (size_t)n * size,
                      &err) == RG_OK;
}

double rg_tensor_get(const rg_tensor *t, int64_t i)
{
    if (t->gpu) {
        _Alignas(8) char value[8];
        rg_tensor one = {.dtype = t->dtype, .data = value};
        return fetch(t, i, 1, value) ? rg_tensor_get(&one, 0) : NAN;
    }
    switch (t->dtype) {
    case RG_F32:
        return ((const float *)t->data)[i];
    case RG_F64:
        return ((const double *)t->data)[i];
    case RG_BF16:
        return rg_bf16_to_float(((const uint16_t *)t->data)[i]);
    case RG_F16:
        return rg_f16_to_float(((const uint16_t *)t->data)[i]);
    case RG_I32:
        return ((const int32_t *)t->data)[i];
    case RG_I64:
        return (double)((const int64_t *)t->data)[i];
    case RG_U8:
        return ((const uint8_t *)t->data)[i];
    case RG_I8:
        return ((const int8_t *)t->data)[i];
    case RG_DTYPE_COUNT:
        break;
    }
    return NAN;
}

/* n halves that fill the second half of `out`: each is read before its place is written. */
static void widen_in_place(rg_dtype type, int64_t n, float *out)
{
    const char *from = (const char *)out + 2 * n;
    for (int64_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, from + 2 * i, sizeof half);
        out[i] = type == RG_F16 ? rg_f16_to_float(half) : rg_bf16_to_float(half);
    }
}

void rg_tensor_floats(const rg_tensor *t, int64_t first, int64_t n, float *out)
{
    const bool half = t->dtype == RG_F16 || t->dtype == RG_BF16;
    if (t->gpu && (half || t->dtype == RG_F32) && n > 0) {
        if (!fetch(t, first, n, (char *)out + (half ? 2 * n : 0)))
            for (int64_t i = 0; i < n; i++) out[i] = NAN;
        else if (half)
            widen_in_place(t->dtype, n, out);
    } else if (t->dtype == RG_F32 && n > 0) {
        memcpy(out, (const float *)t->data + first, (size_t)n * sizeof *out);
    } else {
        for (int64_t i = 0; i < n; i++) out[i] = (float)rg_tensor_get(t, first + i);
    }
}
