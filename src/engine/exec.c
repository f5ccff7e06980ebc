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

static rg_status make_arenas(rg_exec *ex, const rg_exec_options *o, rg_error *err)
{
    ex->step = rg_arena_create(or_default(o->step_bytes, 64), "step", err);
    ex->scratch = rg_arena_create(or_default(o->scratch_bytes, 16), "scratch", err);
    ex->persist = rg_arena_create(or_default(o->persist_bytes, 16), "persist", err);
    if (!ex->step || !ex->scratch || !ex->persist) return RG_ERR_NOMEM;
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
    ex->device = RG_CPU;
    ex->kernels = options->kernels;
    ex->seed = options->seed;
    ex->recording = true;
    ex->cap_tape = options->tape_capacity > 0 ? options->tape_capacity : 65536;
    if (make_arenas(ex, options, err) != RG_OK) {
        rg_exec_destroy(ex);
        return NULL;
    }
    ex->kernel_ctx = (rg_kernel_ctx){.operands = options->operands,
                                     .scratch = ex->scratch,
                                     .pool = options->pool,
                                     .error = &ex->error};
    return ex;
}

void rg_exec_destroy(rg_exec *ex)
{
    if (!ex) return;
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
    (void)ex;
    if (bytes) memset(data, 0, bytes);
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

/* A header in `arena` over `data`, or over fresh memory of the arena when data is NULL. */
static rg_tensor *make_tensor(rg_exec *ex, rg_arena *arena, rg_dtype type, rg_shape shape,
                              void *data)
{
    if (ex->error.code) return NULL;
    rg_tensor *t = rg_arena_alloc(arena, sizeof *t);
    size_t bytes = (size_t)rg_shape_count(shape) * rg_dtype_size(type);
    if (t && !data) data = rg_arena_alloc(arena, bytes);
    if (!t || !data) {
        char text[96];
        rg_exec_fail(ex, RG_ERR_NOMEM,
                     "%s arena is full: no room for %s of shape %s; use a smaller batch",
                     rg_arena_name(arena), rg_dtype_text(type), rg_shape_text(shape, text));
        return NULL;
    }
    *t = (rg_tensor){.shape = shape, .dtype = type, .device = ex->device, .id = -1, .data = data};
    return t;
}

static rg_tensor *make_step_tensor(rg_exec *ex, rg_dtype type, rg_shape shape, void *data)
{
    rg_tensor *t = make_tensor(ex, ex->step, type, shape, data);
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

rg_tensor *rg_tensor_from_floats(rg_exec *ex, rg_shape shape, const float *values)
{
    rg_tensor *t = rg_tensor_new(ex, ex->kernels->real, shape);
    if (!t) return NULL;
    int64_t n = rg_shape_count(shape);
    if (t->dtype == RG_F64)
        for (int64_t i = 0; i < n; i++) ((double *)t->data)[i] = values[i];
    else if (n)
        memcpy(t->data, values, (size_t)n * sizeof *values);
    return t;
}

rg_tensor *rg_tensor_from_ints(rg_exec *ex, rg_shape shape, const int32_t *values)
{
    rg_tensor *t = rg_tensor_new(ex, RG_I32, shape);
    int64_t n = rg_shape_count(shape);
    if (t && n) memcpy(t->data, values, (size_t)n * sizeof *values);
    return t;
}

rg_tensor *rg_tensor_state(rg_exec *ex, rg_dtype type, rg_shape shape)
{
    rg_tensor *t = make_tensor(ex, ex->persist, type, shape, NULL);
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

double rg_tensor_get(const rg_tensor *t, int64_t i)
{
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

void rg_tensor_floats(const rg_tensor *t, int64_t first, int64_t n, float *out)
{
    if (t->dtype == RG_F32 && n > 0)
        memcpy(out, (const float *)t->data + first, (size_t)n * sizeof *out);
    else
        for (int64_t i = 0; i < n; i++) out[i] = (float)rg_tensor_get(t, first + i);
}
