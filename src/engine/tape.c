/*
 * The one path by which every operator runs, and the tape it leaves (exec.h).
 *
 * One idea: rg_apply checks inputs by the operator's table row, asks it for shapes, takes memory
 * from the step arena, runs it, and while recording keeps the node. Not here: gradients
 * (backward.c).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "engine/exec.h"
#include "ops/ops.h"

static rg_dtype input_dtype(const rg_exec *ex, const rg_op_input *want, const rg_kernels *kernels)
{
    static const rg_dtype of[] = {
        [RG_INPUT_F32] = RG_F32, [RG_INPUT_I32] = RG_I32, [RG_INPUT_U8] = RG_U8};
    if (want->type != RG_INPUT_REAL) return of[want->type];
    return want->wide ? ex->real : kernels->real;
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
        rg_dtype type = input_dtype(ex, want, ex->kernels);
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
    rg_arena *scratch = ex->kernel_ctx.scratch;
    rg_arena_mark mark = rg_arena_save(scratch);
    rg_status status = op->forward(ex, n);
    rg_arena_restore(scratch, mark);
    RG_TRY(status);
    if (op->flops) ex->flops += op->flops(n);
    return ex->recording ? record(ex, n) : RG_OK;
}

static bool has_stored_input(const rg_exec *ex, const rg_op *op, rg_tensor *const in[])
{
    for (int32_t i = 0; i < op->n_in; i++)
        if (in[i] && op->input[i].type == RG_INPUT_REAL && !op->input[i].wide &&
            in[i]->dtype == ex->stored->real)
            return true;
    return false;
}

static const rg_kernels *kernels_for(const rg_exec *ex, const rg_op *op, rg_tensor *const in[])
{
    if (!ex->stored || op->storage == RG_OP_WIDE) return ex->kernels;
    if (op->storage == RG_OP_STORED) return ex->stored;
    return has_stored_input(ex, op, in) ? ex->stored : ex->kernels;
}

/*
 * t in the type that the input has on these kernels: converted on the tape between what is stored
 * and what is not. States are F32 on every backend; kernels of doubles (gradient checks) get a
 * copy.
 */
static rg_tensor *as_input(rg_exec *ex, const rg_op_input *want, const rg_kernels *kernels,
                           rg_tensor *t)
{
    if (!t || want->type != RG_INPUT_REAL) return t;
    const rg_dtype type = input_dtype(ex, want, kernels);
    if (t->dtype == type || !t->data) return t;
    if (ex->stored && t->dtype == ex->stored->real) return rg_widen(ex, t);
    if (ex->stored && t->dtype == ex->real) return rg_narrow(ex, t);
    if (ex->real != RG_F64 || t->dtype != RG_F32 || !(t->flags & RG_TENSOR_STATE)) return t;
    return rg_tensor_from_floats(ex, t->shape, t->data);
}

rg_status rg_apply(rg_exec *ex, const rg_op *op, rg_tensor *const in[], const void *attr,
                   rg_tensor *out[])
{
    for (int32_t i = 0; i < op->n_out; i++) out[i] = NULL;
    if (ex->error.code) return ex->error.code;
    rg_node n = {.op = op, .attr = attr, .recording = ex->recording};
    n.kernels = kernels_for(ex, op, in);
    n.stream = rg_rng_stream(ex->step_number, (uint64_t)ex->n_tape, 0);
    for (int32_t i = 0; i < op->n_in; i++) {
        n.in[i] = as_input(ex, &op->input[i], n.kernels, in[i]);
        n.in_version[i] = in[i] ? in[i]->version : 0;
    }
    if (ex->error.code) return ex->error.code;
    const rg_kernels_used before = rg_exec_use(ex, n.kernels);
    rg_status status = run(ex, op, &n);
    rg_exec_use_again(ex, before);
    if (status != RG_OK) {
        rg_exec_fail(ex, status, "%s", rg_status_text(status)); /* when the kernel said nothing */
        rg_error_prefix(&ex->error, "%s", op->name);
        return status;
    }
    memcpy(out, n.out, (size_t)op->n_out * sizeof *out);
    return RG_OK;
}

/* ---- looking at the tape ---- */

rg_mark rg_tape_mark(rg_exec *ex)
{
    return (rg_mark){.arena = rg_arena_save(ex->step),
                     .data = rg_arena_save(ex->step_data),
                     .n_tape = ex->n_tape,
                     .next_id = ex->next_id};
}

void rg_tape_rewind(rg_exec *ex, rg_mark mark)
{
    rg_arena_restore(ex->step, mark.arena);
    rg_arena_restore(ex->step_data, mark.data);
    ex->n_tape = mark.n_tape;
    ex->next_id = mark.next_id;
}

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
