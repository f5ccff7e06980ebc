/*
 * Cases of operators as numbers (op_data.h).
 */
#include "engine/op_data.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"

static rg_rng stream_of(const char *text, int32_t k)
{
    return rg_rng_make(42, rg_xxh3(text, strlen(text)) + (uint64_t)k);
}

double *rg_random_doubles(rg_arena *memory, const char *text, int32_t k, int64_t n)
{
    rg_rng rng = stream_of(text, k);
    double *values = rg_arena_alloc(memory, (size_t)n * sizeof *values);
    for (int64_t i = 0; values && i < n; i++) values[i] = (float)rg_rng_normal(&rng);
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

rg_status rg_op_data_make(const rg_op *op, const rg_op_case *c, int32_t dropped, rg_arena *memory,
                          rg_op_data *out)
{
    char stream[RG_OP_DATA_NAME + 32];
    *out = (rg_op_data){.op = op, .c = c, .dropped = dropped, .memory = memory};
    snprintf(stream, sizeof stream, "%s/%s", op->name, c->name);
    snprintf(out->name, sizeof out->name, "%s/%s%s%s", op->name, c->name,
             dropped < 0 ? "" : " without ", dropped < 0 ? "" : op->input[dropped].name);
    for (int32_t i = 0; i < op->n_in; i++) {
        const rg_case_in *in = &c->in[i];
        if (i == dropped || in->kind == RG_CASE_ABSENT || in->kind == RG_CASE_SAME) continue;
        rg_rng rng = stream_of(stream, i);
        out->n[i] = rg_shape_count(in->shape);
        out->values[i] = rg_arena_alloc(memory, (size_t)out->n[i] * sizeof(double));
        if (!out->values[i]) return RG_ERR_NOMEM;
        for (int64_t k = 0; k < out->n[i]; k++) out->values[i][k] = one_value(in, &rng, k);
    }
    return RG_OK;
}

static uint16_t half_of(double v, rg_dtype type)
{
    return type == RG_F16 ? rg_f16_from_float((float)v) : rg_bf16_from_float((float)v);
}

void rg_round_doubles(double *values, int64_t n, rg_dtype type)
{
    if (type != RG_F16 && type != RG_BF16) return;
    for (int64_t i = 0; i < n; i++) {
        const uint16_t half = half_of(values[i], type);
        values[i] = type == RG_F16 ? rg_f16_to_float(half) : rg_bf16_to_float(half);
    }
}

/* Converted on the host; through the exec's door where the tensor lies on a device. */
static rg_tensor *put_values(rg_exec *ex, rg_tensor *t, const double *values)
{
    void *typed = rg_tensor_fill(ex, t);
    if (!typed || !values) return NULL;
    for (int64_t i = 0, n = rg_shape_count(t->shape); i < n; i++) {
        if (t->dtype == RG_F64) ((double *)typed)[i] = values[i];
        if (t->dtype == RG_F32) ((float *)typed)[i] = (float)values[i];
        if (t->dtype == RG_F16 || t->dtype == RG_BF16)
            ((uint16_t *)typed)[i] = half_of(values[i], t->dtype);
        if (t->dtype == RG_I32) ((int32_t *)typed)[i] = (int32_t)values[i];
        if (t->dtype == RG_U8) ((uint8_t *)typed)[i] = (uint8_t)values[i];
    }
    return rg_tensor_filled(ex, t, typed);
}

rg_tensor *rg_tensor_from_doubles(rg_exec *ex, rg_dtype type, rg_shape shape, const double *values)
{
    return put_values(ex, rg_tensor_new(ex, type, shape), values);
}

/* The type in which an operator takes its input i, so that nothing has to be converted. */
static rg_dtype type_of_input(const rg_exec *ex, const rg_op *op, int32_t i)
{
    static const rg_dtype dtypes[] = {
        [RG_INPUT_F32] = RG_F32, [RG_INPUT_I32] = RG_I32, [RG_INPUT_U8] = RG_U8};
    const rg_op_input *want = &op->input[i];
    if (want->type != RG_INPUT_REAL) return dtypes[want->type];
    return op->storage == RG_OP_WIDE || want->wide ? ex->real : rg_exec_activations(ex);
}

rg_status rg_op_data_inputs(const rg_op_data *d, rg_exec *ex, rg_tensor *in[RG_MAX_IN])
{
    memset(in, 0, RG_MAX_IN * sizeof *in);
    for (int32_t i = 0; i < d->op->n_in; i++) {
        const rg_case_in *c = &d->c->in[i];
        if (i == d->dropped) continue;
        if (c->kind == RG_CASE_SAME) in[i] = in[(int)c->low];
        if (d->values[i])
            in[i] = rg_tensor_from_doubles(ex, type_of_input(ex, d->op, i), c->shape, d->values[i]);
    }
    return rg_exec_status(ex);
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

double *rg_tensor_doubles(rg_exec *ex, rg_arena *memory, const rg_tensor *t)
{
    const int64_t n = rg_shape_count(t->shape);
    double *values = rg_arena_alloc(memory, (size_t)n * sizeof *values);
    rg_tensor host = *t;
    host.gpu = NULL;
    host.data = t->gpu ? (void *)(uintptr_t)rg_tensor_read(ex, t) : t->data;
    if (!values || !host.data) return NULL;
    for (int64_t i = 0; i < n; i++) values[i] = rg_tensor_get(&host, i);
    return values;
}
