/*
 * Cases of operators as numbers (op_case.h).
 */
#include "op_case.h"

#include <inttypes.h>

#include "base/hash.h"
#include "test.h"

enum { CANARY = 64 };

static void *room(rg_arena *memory, size_t bytes)
{
    void *p = rg_arena_alloc(memory, bytes);
    ck_assert_msg(p != NULL, "the test's arena is full");
    return p;
}

rg_op_data rg_op_case_of(const rg_op *op, const rg_op_case *c, int32_t dropped, rg_arena *memory)
{
    rg_op_data d;
    ck_assert_msg(rg_op_data_make(op, c, dropped, memory, &d) == RG_OK, "the test's arena is full");
    return d;
}

static double *doubles_of(rg_exec *ex, rg_arena *memory, const rg_tensor *t)
{
    double *values = rg_tensor_doubles(ex, memory, t);
    ck_assert_msg(values != NULL, "the test's arena is full");
    return values;
}

static size_t tensor_bytes(const rg_tensor *t)
{
    return (size_t)rg_shape_count(t->shape) * rg_dtype_size(t->dtype);
}

/* A gradient buffer between canaries. */
static rg_tensor *guarded(const rg_op_data *d, rg_exec *ex, const rg_tensor *like, int32_t i,
                          bool add)
{
    size_t bytes = tensor_bytes(like);
    unsigned char *block = room(d->memory, bytes + 2 * CANARY);
    rg_tensor *t = room(d->memory, sizeof *t);
    *t = *like;
    memset(block, 0xff, bytes + 2 * CANARY); /* all ones is NaN */
    t->data = block + CANARY;
    t->flags = add ? RG_TENSOR_ACCUMULATE : 0;
    if (!add) return t;
    double *base = rg_random_doubles(d->memory, "base", i, rg_shape_count(t->shape));
    rg_tensor *from = rg_tensor_from_doubles(ex, ex->real, t->shape, base);
    if (bytes) memcpy(t->data, from->data, bytes);
    return t;
}

static void check_canaries(const rg_op_data *d, const rg_tensor *t, int32_t i)
{
    const unsigned char *before = (const unsigned char *)t->data - CANARY;
    const unsigned char *after = (const unsigned char *)t->data + tensor_bytes(t);
    for (int k = 0; k < CANARY; k++)
        ck_assert_msg(before[k] == 0xff && after[k] == 0xff,
                      "%s: wrote beyond the gradient of input %d", d->name, i);
}

static uint64_t hash_of(const rg_tensor *t)
{
    return t ? rg_xxh3(t->data, tensor_bytes(t)) : 0;
}

static void run_backward(const rg_op_data *d, rg_exec *ex, const rg_op_how *how,
                         rg_tensor *const in[], rg_tensor *const out[], rg_op_result *result)
{
    rg_tensor *dout[RG_MAX_OUT] = {0}, *din[RG_MAX_IN] = {0};
    uint64_t before[RG_MAX_OUT] = {0};
    const rg_node *node = NULL;
    bool any = false, wanted = false;
    for (int32_t j = 0; j < d->op->n_out; j++) {
        if (out[j]) node = out[j]->node;
        if (!(how->dout >> j & 1) || !rg_op_data_flows(d, (const rg_tensor *const *)out, j))
            continue;
        int64_t n = rg_shape_count(out[j]->shape);
        dout[j] = rg_tensor_from_doubles(ex, ex->real, out[j]->shape,
                                         rg_random_doubles(d->memory, "cotangent", j, n));
        before[j] = hash_of(dout[j]);
        any = true;
    }
    for (int32_t i = 0; i < d->op->n_in; i++) {
        if (!(how->din >> i & 1) || !rg_op_data_is_real(d, i)) continue;
        din[i] = guarded(d, ex, in[i], i, how->add >> i & 1);
        wanted = true;
    }
    if (!any || !wanted) return;
    rg_status status = d->op->backward(ex, node, dout, din);
    ck_assert_msg(status == RG_OK, "%s, backward: %s", d->name, ex->error.text);
    for (int32_t i = 0; i < d->op->n_in; i++) {
        if (!din[i]) continue;
        check_canaries(d, din[i], i);
        result->n_din[i] = rg_shape_count(din[i]->shape);
        result->din[i] = doubles_of(ex, d->memory, din[i]);
    }
    for (int32_t j = 0; j < d->op->n_out; j++)
        ck_assert_msg(!dout[j] || hash_of(dout[j]) == before[j],
                      "%s: changed the incoming gradient %d", d->name, j);
}

void rg_op_run(const rg_op_data *d, rg_exec *ex, const rg_op_how *how, rg_op_result *result)
{
    rg_tensor *in[RG_MAX_IN], *out[RG_MAX_OUT] = {0};
    uint64_t before[RG_MAX_IN];
    *result = (rg_op_result){0};
    rg_step_begin(ex, 7);
    ck_assert_msg(rg_op_data_inputs(d, ex, in) == RG_OK, "%s", ex->error.text);
    for (int32_t i = 0; i < RG_MAX_IN; i++) before[i] = hash_of(in[i]);
    bool was = rg_set_recording(ex, !how->no_recording);
    rg_status status = rg_apply(ex, d->op, in, d->c->attr, out);
    rg_set_recording(ex, was);
    ck_assert_msg(status == RG_OK, "%s: %s", d->name, ex->error.text);
    for (int32_t j = 0; j < d->op->n_out; j++) {
        if (!out[j]) continue;
        result->n_out[j] = rg_shape_count(out[j]->shape);
        result->out[j] = doubles_of(ex, d->memory, out[j]);
        ck_assert_msg(!how->no_recording || !out[j]->node, "%s: a node without recording", d->name);
    }
    if (!how->no_recording && how->dout) run_backward(d, ex, how, in, out, result);
    for (int32_t i = 0; i < RG_MAX_IN; i++)
        ck_assert_msg(hash_of(in[i]) == before[i], "%s: changed input %d", d->name, i);
}

static void same(const rg_op_data *d, const char *what, const char *kind, int32_t k,
                 const double *a, const double *b, int64_t n)
{
    ck_assert_msg(!a == !b, "%s, %s: %s %d is there only once", d->name, what, kind, k);
    for (int64_t i = 0; a && i < n; i++)
        ck_assert_msg(!memcmp(&a[i], &b[i], sizeof *a),
                      "%s, %s: %s %d, element %" PRId64 ": %.17g and %.17g", d->name, what, kind, k,
                      i, a[i], b[i]);
}

void rg_op_same_bits(const rg_op_data *d, const char *what, const rg_op_result *a,
                     const rg_op_result *b)
{
    for (int32_t j = 0; j < RG_MAX_OUT; j++)
        same(d, what, "output", j, a->out[j], b->out[j], a->n_out[j]);
    for (int32_t i = 0; i < RG_MAX_IN; i++)
        same(d, what, "gradient of input", i, a->din[i], b->din[i], a->n_din[i]);
}
