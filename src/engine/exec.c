/*
 * The exec: arenas, tensors, the tape and the one path by which every operator runs (exec.h).
 *
 * One idea: rg_apply checks inputs by the operator's table row, asks it for shapes, takes memory
 * from the step arena, runs it, and while recording keeps the node. Nothing here calls the heap
 * after rg_exec_create. Not here: gradients (backward.c), parameters (params.c).
 */
#include "engine/exec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

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
    ex->kernel_ctx =
        (rg_kernel_ctx){.scratch = ex->scratch, .pool = options->pool, .error = &ex->error};
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

rg_mark rg_tape_mark(rg_exec *ex)
{
    return (rg_mark){
        .arena = rg_arena_save(ex->step), .n_tape = ex->n_tape, .next_id = ex->next_id};
}

void rg_tape_rewind(rg_exec *ex, rg_mark mark)
{
    rg_arena_restore(ex->step, mark.arena);
    ex->n_tape = mark.n_tape;
    ex->next_id = mark.next_id;
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
    case RG_DTYPE_COUNT:
        break;
    }
    return NAN;
}

/* ---- operators ---- */

static rg_dtype input_dtype(const rg_exec *ex, rg_input_type type)
{
    static const rg_dtype of[] = {
        [RG_INPUT_F32] = RG_F32, [RG_INPUT_I32] = RG_I32, [RG_INPUT_U8] = RG_U8};
    return type == RG_INPUT_REAL ? ex->kernels->real : of[type];
}

static rg_status check_inputs(rg_exec *ex, const rg_op *op, rg_tensor *const in[])
{
    for (int32_t i = 0; i < op->n_in; i++) {
        const rg_op_input *want = &op->input[i];
        if (!in[i]) {
            if (want->optional) continue;
            return rg_exec_fail(ex, RG_ERR_USAGE, "input %s is NULL", want->name);
        }
        if (!in[i]->data && rg_shape_count(in[i]->shape) > 0)
            return rg_exec_fail(ex, RG_ERR_USAGE,
                                "input %s has no data yet: rg_params_finish comes first",
                                want->name);
        rg_dtype type = input_dtype(ex, want->type);
        if (in[i]->dtype != type)
            return rg_exec_fail(ex, RG_ERR_DTYPE, "input %s is %s, expected %s", want->name,
                                rg_dtype_text(in[i]->dtype), rg_dtype_text(type));
    }
    return RG_OK;
}

static rg_status make_outputs(rg_exec *ex, const rg_op *op, rg_node *n)
{
    rg_shape shape[RG_MAX_OUT] = {{0}};
    rg_dtype type[RG_MAX_OUT];
    for (int32_t i = 0; i < RG_MAX_OUT; i++) type[i] = ex->kernels->real;
    RG_TRY(op->infer(ex, n->in, n->attr, shape, type));
    for (int32_t i = 0; i < op->n_out; i++) {
        if (type[i] == RG_DTYPE_COUNT) continue;
        n->out[i] = rg_tensor_new(ex, type[i], shape[i]);
        if (!n->out[i]) return ex->error.code;
    }
    return RG_OK;
}

/* Keeps a finished node on the tape; its outputs point back to it. */
static rg_status record(rg_exec *ex, const rg_node *done)
{
    if (ex->n_tape == ex->cap_tape)
        return rg_exec_fail(ex, RG_ERR_NOMEM, "the tape is full (%d entries); ask for a larger one",
                            ex->cap_tape);
    rg_node *n = rg_arena_alloc(ex->step, sizeof *n);
    void *attr = done->op->attr_size ? rg_arena_alloc(ex->step, done->op->attr_size) : NULL;
    if (!n || (done->op->attr_size && !attr))
        return rg_exec_fail(ex, RG_ERR_NOMEM, "step arena is full; use a smaller batch");
    *n = *done;
    if (attr) n->attr = memcpy(attr, done->attr, done->op->attr_size);
    for (int32_t i = 0; i < RG_MAX_OUT; i++)
        if (n->out[i]) n->out[i]->node = n;
    ex->tape[ex->n_tape++] = n;
    return RG_OK;
}

static rg_status run(rg_exec *ex, const rg_op *op, rg_node *n)
{
    RG_TRY(check_inputs(ex, op, n->in));
    RG_TRY(make_outputs(ex, op, n));
    rg_arena_mark mark = rg_arena_save(ex->scratch);
    rg_status status = op->forward(ex, n);
    rg_arena_restore(ex->scratch, mark);
    RG_TRY(status);
    if (op->flops) ex->flops += op->flops(n);
    return ex->recording ? record(ex, n) : RG_OK;
}

/* States are F32 on every backend; kernels of doubles (gradient checks) get a converted copy. */
static rg_tensor *as_input(rg_exec *ex, const rg_op_input *want, rg_tensor *t)
{
    if (!t || want->type != RG_INPUT_REAL || ex->kernels->real == RG_F32) return t;
    if (t->dtype != RG_F32 || !(t->flags & RG_TENSOR_STATE) || !t->data) return t;
    return rg_tensor_from_floats(ex, t->shape, t->data);
}

rg_status rg_apply(rg_exec *ex, const rg_op *op, rg_tensor *const in[], const void *attr,
                   rg_tensor *out[])
{
    for (int32_t i = 0; i < op->n_out; i++) out[i] = NULL;
    if (ex->error.code) return ex->error.code;
    rg_node n = {.op = op, .attr = attr, .recording = ex->recording};
    n.stream = rg_rng_stream(ex->step_number, (uint64_t)ex->n_tape, 0);
    for (int32_t i = 0; i < op->n_in; i++) {
        n.in[i] = as_input(ex, &op->input[i], in[i]);
        n.in_version[i] = in[i] ? in[i]->version : 0;
    }
    if (ex->error.code) return ex->error.code;
    rg_status status = run(ex, op, &n);
    if (status != RG_OK) {
        rg_exec_fail(ex, status, "%s", rg_status_text(status)); /* when the kernel said nothing */
        rg_error_prefix(&ex->error, "%s", op->name);
        return status;
    }
    memcpy(out, n.out, (size_t)op->n_out * sizeof *out);
    return RG_OK;
}

/* ---- looking at the tape ---- */

static bool all_finite(const rg_tensor *t)
{
    if (t->dtype == RG_I32 || t->dtype == RG_I64 || t->dtype == RG_U8) return true;
    int64_t n = rg_shape_count(t->shape);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(rg_tensor_get(t, i))) return false;
    return true;
}

bool rg_tape_first_nonfinite(rg_exec *ex, char *name, size_t size)
{
    for (int32_t i = 0; i < ex->n_tape; i++) {
        const rg_node *n = ex->tape[i];
        for (int32_t j = 0; j < n->op->n_out; j++) {
            if (!n->out[j] || all_finite(n->out[j])) continue;
            snprintf(name, size, "%s#%d output %d", n->op->name, i, j);
            return true;
        }
    }
    return false;
}

static uint64_t mix_tensor(uint64_t hash, const rg_tensor *t)
{
    int64_t words[RG_MAX_DIMS + 3] = {(int64_t)hash, t ? t->shape.ndim : -1};
    if (t) {
        words[2] = t->dtype;
        memcpy(words + 3, t->shape.dim, (size_t)t->shape.ndim * sizeof words[0]);
    }
    return rg_xxh3(words, sizeof words);
}

uint64_t rg_tape_hash(const rg_exec *ex)
{
    uint64_t hash = (uint64_t)ex->n_tape;
    for (int32_t i = 0; i < ex->n_tape; i++) {
        const rg_node *n = ex->tape[i];
        hash ^= rg_xxh3(n->op->name, strlen(n->op->name));
        for (int32_t j = 0; j < n->op->n_in; j++) hash = mix_tensor(hash, n->in[j]);
        for (int32_t j = 0; j < n->op->n_out; j++) hash = mix_tensor(hash, n->out[j]);
    }
    return hash;
}
