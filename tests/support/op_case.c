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

const char *rg_op_data_name(const rg_op_data *d)
{
    static char text[128];
    snprintf(text, sizeof text, "%s/%s%s%s", d->op->name, d->c->name,
             d->dropped < 0 ? "" : " without ",
             d->dropped < 0 ? "" : d->op->input[d->dropped].name);
    return text;
}

static rg_rng stream_of(const char *text, int32_t k)
{
    return rg_rng_make(42, rg_xxh3(text, strlen(text)) + (uint64_t)k);
}

double *rg_random_doubles(rg_arena *memory, const char *text, int32_t k, int64_t n)
{
    rg_rng rng = stream_of(text, k);
    double *values = room(memory, (size_t)n * sizeof *values);
    for (int64_t i = 0; i < n; i++) values[i] = (float)rg_rng_normal(&rng);
    return values;
}

static double one_value(const rg_case_in *in, rg_rng *rng, int64_t i)
{
    double v;
    switch (in->kind) {
    case RG_CASE_REAL:
    case RG_CASE_FIXED:
        v = rg_rng_normal(rng) * in->high;
        return (float)(v < 0 ? v - in->low : v + in->low);
    case RG_CASE_INT:
        return in->low + (double)rg_rng_below(rng, (uint64_t)(in->high - in->low + 1));
    case RG_CASE_MASK:
        v = rg_rng_uniform(rng) < in->high;
        return rg_shape_last(in->shape) && i % rg_shape_last(in->shape) == 0 ? 1 : v;
    case RG_CASE_COUNT:
        return (float)(in->low + (double)i * in->high);
    case RG_CASE_ABSENT:
    case RG_CASE_SAME:
        break;
    }
    return 0;
}

rg_op_data rg_op_data_make(const rg_op *op, const rg_op_case *c, int32_t dropped, rg_arena *memory)
{
    rg_op_data d = {.op = op, .c = c, .dropped = dropped, .memory = memory};
    for (int32_t i = 0; i < op->n_in; i++) {
        const rg_case_in *in = &c->in[i];
        if (i == dropped || in->kind == RG_CASE_ABSENT || in->kind == RG_CASE_SAME) continue;
        char name[160];
        snprintf(name, sizeof name, "%s/%s", op->name, c->name);
        rg_rng rng = stream_of(name, i);
        d.n[i] = rg_shape_count(in->shape);
        d.values[i] = room(memory, (size_t)d.n[i] * sizeof(double));
        for (int64_t k = 0; k < d.n[i]; k++) d.values[i][k] = one_value(in, &rng, k);
    }
    return d;
}

/* Converted on the host; through the exec's door where the tensor lies on a device. */
static rg_tensor *put_values(rg_exec *ex, rg_tensor *t, const double *values)
{
    const int64_t n = rg_shape_count(t->shape);
    void *typed = malloc((size_t)n * rg_dtype_size(t->dtype) + 1);
    ck_assert_msg(typed != NULL, "out of memory");
    for (int64_t i = 0; i < n; i++) {
        if (t->dtype == RG_F64) ((double *)typed)[i] = values[i];
        if (t->dtype == RG_F32) ((float *)typed)[i] = (float)values[i];
        if (t->dtype == RG_I32) ((int32_t *)typed)[i] = (int32_t)values[i];
        if (t->dtype == RG_U8) ((uint8_t *)typed)[i] = (uint8_t)values[i];
    }
    ck_assert_msg(rg_tensor_put(ex, t, typed) == RG_OK, "%s", ex->error.text);
    free(typed);
    return t;
}

rg_tensor *rg_tensor_from_doubles(rg_exec *ex, rg_shape shape, const double *values)
{
    rg_tensor *t = rg_tensor_new(ex, ex->kernels->real, shape);
    ck_assert_msg(t != NULL, "%s", ex->error.text);
    return put_values(ex, t, values);
}

static rg_tensor *typed_input(rg_exec *ex, rg_input_type type, rg_shape shape, const double *values)
{
    static const rg_dtype dtypes[] = {
        [RG_INPUT_F32] = RG_F32, [RG_INPUT_I32] = RG_I32, [RG_INPUT_U8] = RG_U8};
    if (type == RG_INPUT_REAL) return rg_tensor_from_doubles(ex, shape, values);
    rg_tensor *t = rg_tensor_new(ex, dtypes[type], shape);
    ck_assert_msg(t != NULL, "%s", ex->error.text);
    return put_values(ex, t, values);
}

void rg_op_data_inputs(const rg_op_data *d, rg_exec *ex, rg_tensor *in[RG_MAX_IN])
{
    memset(in, 0, RG_MAX_IN * sizeof *in);
    for (int32_t i = 0; i < d->op->n_in; i++) {
        const rg_case_in *c = &d->c->in[i];
        if (i == d->dropped) continue;
        if (c->kind == RG_CASE_SAME) in[i] = in[(int)c->low];
        if (d->values[i]) in[i] = typed_input(ex, d->op->input[i].type, c->shape, d->values[i]);
    }
}

bool rg_op_data_is_real(const rg_op_data *d, int32_t i)
{
    return d->values[i] && d->c->in[i].kind == RG_CASE_REAL && !d->op->input[i].fixed &&
           d->op->input[i].type == RG_INPUT_REAL;
}

bool rg_op_data_flows(const rg_op_data *d, const rg_tensor *const out[], int32_t j)
{
    return out[j] && !d->op->fixed_out[j] && out[j]->dtype != RG_I32;
}

double *rg_tensor_doubles(rg_arena *memory, const rg_tensor *t)
{
    int64_t n = rg_shape_count(t->shape);
    double *values = room(memory, (size_t)n * sizeof *values);
    for (int64_t i = 0; i < n; i++) values[i] = rg_tensor_get(t, i);
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
    rg_tensor *from = rg_tensor_from_doubles(ex, t->shape, base);
    if (bytes) memcpy(t->data, from->data, bytes);
    return t;
}

static void check_canaries(const rg_op_data *d, const rg_tensor *t, int32_t i)
{
    const unsigned char *before = (const unsigned char *)t->data - CANARY;
    const unsigned char *after = (const unsigned char *)t->data + tensor_bytes(t);
    for (int k = 0; k < CANARY; k++)
        ck_assert_msg(before[k] == 0xff && after[k] == 0xff,
                      "%s: wrote beyond the gradient of input %d", rg_op_data_name(d), i);
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
        dout[j] = rg_tensor_from_doubles(ex, out[j]->shape,
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
    ck_assert_msg(status == RG_OK, "%s, backward: %s", rg_op_data_name(d), ex->error.text);
    for (int32_t i = 0; i < d->op->n_in; i++) {
        if (!din[i]) continue;
        check_canaries(d, din[i], i);
        result->n_din[i] = rg_shape_count(din[i]->shape);
        result->din[i] = rg_tensor_doubles(d->memory, din[i]);
    }
    for (int32_t j = 0; j < d->op->n_out; j++)
        ck_assert_msg(!dout[j] || hash_of(dout[j]) == before[j],
                      "%s: changed the incoming gradient %d", rg_op_data_name(d), j);
}

void rg_op_run(const rg_op_data *d, rg_exec *ex, const rg_op_how *how, rg_op_result *result)
{
    rg_tensor *in[RG_MAX_IN], *out[RG_MAX_OUT] = {0};
    uint64_t before[RG_MAX_IN];
    *result = (rg_op_result){0};
    rg_step_begin(ex, 7);
    rg_op_data_inputs(d, ex, in);
    for (int32_t i = 0; i < RG_MAX_IN; i++) before[i] = hash_of(in[i]);
    bool was = rg_set_recording(ex, !how->no_recording);
    rg_status status = rg_apply(ex, d->op, in, d->c->attr, out);
    rg_set_recording(ex, was);
    ck_assert_msg(status == RG_OK, "%s: %s", rg_op_data_name(d), ex->error.text);
    for (int32_t j = 0; j < d->op->n_out; j++) {
        if (!out[j]) continue;
        result->n_out[j] = rg_shape_count(out[j]->shape);
        result->out[j] = rg_tensor_doubles(d->memory, out[j]);
        ck_assert_msg(!how->no_recording || !out[j]->node, "%s: a node without recording",
                      rg_op_data_name(d));
    }
    if (!how->no_recording && how->dout) run_backward(d, ex, how, in, out, result);
    for (int32_t i = 0; i < RG_MAX_IN; i++)
        ck_assert_msg(hash_of(in[i]) == before[i], "%s: changed input %d", rg_op_data_name(d), i);
}

static void same(const rg_op_data *d, const char *what, const char *kind, int32_t k,
                 const double *a, const double *b, int64_t n)
{
    ck_assert_msg(!a == !b, "%s, %s: %s %d is there only once", rg_op_data_name(d), what, kind, k);
    for (int64_t i = 0; a && i < n; i++)
        ck_assert_msg(!memcmp(&a[i], &b[i], sizeof *a),
                      "%s, %s: %s %d, element %" PRId64 ": %.17g and %.17g", rg_op_data_name(d),
                      what, kind, k, i, a[i], b[i]);
}

void rg_op_same_bits(const rg_op_data *d, const char *what, const rg_op_result *a,
                     const rg_op_result *b)
{
    for (int32_t j = 0; j < RG_MAX_OUT; j++)
        same(d, what, "output", j, a->out[j], b->out[j], a->n_out[j]);
    for (int32_t i = 0; i < RG_MAX_IN; i++)
        same(d, what, "gradient of input", i, a->din[i], b->din[i], a->n_din[i]);
}
