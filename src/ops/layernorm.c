/*
 * layernorm: y = (s - mean) / sqrt(variance + eps) * gain + bias over the last axis of s = x, or of
 * s = x + residual, which is then an output too.
 *
 * One idea: mean and 1/deviation of each row are saved; the residual add costs no pass of its own.
 */
#include "ops/op_util.h"

typedef struct layernorm_attr {
    double eps;
} layernorm_attr;

enum { X, RESIDUAL, GAIN, BIAS };

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    (void)attr;
    RG_TRY(rg_op_want_rank(ex, in[X], "x", 1, RG_MAX_DIMS));
    rg_shape channels = RG_SHAPE(rg_shape_last(in[X]->shape));
    RG_TRY(rg_op_want_shape(ex, in[RESIDUAL], "residual", in[X]->shape));
    RG_TRY(rg_op_want_shape(ex, in[GAIN], "gain", channels));
    RG_TRY(rg_op_want_shape(ex, in[BIAS], "bias", channels));
    out[0] = out[1] = in[X]->shape;
    if (!in[RESIDUAL]) type[1] = RG_DTYPE_COUNT;
    return RG_OK;
}

static rg_layernorm_args args_of(const rg_node *n)
{
    const rg_layernorm_args args = {.x = n->in[X]->data,
                                    .residual = rg_op_data(n->in[RESIDUAL]),
                                    .gain = n->in[GAIN]->data,
                                    .bias = rg_op_data(n->in[BIAS]),
                                    .y = n->out[0]->data,
                                    .sum = rg_op_data(n->out[1]),
                                    .mean = rg_op_data(n->saved[0]),
                                    .rstd = rg_op_data(n->saved[1]),
                                    .rows = rg_shape_rows(n->in[X]->shape),
                                    .channels = rg_shape_last(n->in[X]->shape),
                                    .eps = ((const layernorm_attr *)n->attr)->eps};
    return args;
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    rg_shape rows = RG_SHAPE(rg_shape_rows(n->in[X]->shape));
    RG_TRY(rg_op_save(ex, n, 0, ex->real, rows));
    RG_TRY(rg_op_save(ex, n, 1, ex->real, rows));
    rg_layernorm_args args = args_of(n);
    return ex->kernels->layernorm.forward(&ex->kernel_ctx, &args);
}

/*
 * x and residual have the same gradient. It is computed once, where it may be written or where it
 * is the only one wanted; when both want it added, in scratch.
 */
static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    rg_tensor *first = din[X], *second = din[RESIDUAL];
    if (!first || (second && rg_op_adds(first) && !rg_op_adds(second))) {
        first = din[RESIDUAL];
        second = din[X];
    }
    int64_t count = rg_shape_count(n->in[X]->shape);
    bool aside = second && rg_op_adds(first);
    void *dx = aside ? rg_op_scratch(ex, count) : rg_op_data(first);
    if (aside && !dx) return RG_ERR_NOMEM;
    rg_layernorm_grad_args args = {.fwd = args_of(n),
                                   .dy = rg_op_data(dout[0]),
                                   .dsum = rg_op_data(dout[1]),
                                   .dx = dx,
                                   .dgain = rg_op_data(din[GAIN]),
                                   .dbias = rg_op_data(din[BIAS]),
                                   .add_dx = !aside && rg_op_adds(first),
                                   .add_dgain = rg_op_adds(din[GAIN]),
                                   .add_dbias = rg_op_adds(din[BIAS])};
    RG_TRY(ex->kernels->layernorm.grad(&ex->kernel_ctx, &args));
    if (aside) RG_TRY(rg_op_add_scaled(ex, dx, 1, NULL, first->data, count, true));
    return second ? rg_op_add_scaled(ex, dx, 1, NULL, second->data, count, rg_op_adds(second))
                  : RG_OK;
}

static int64_t flops(const rg_node *n)
{
    return 8 * rg_shape_count(n->in[X]->shape);
}

static const layernorm_attr usual = {1e-5};
static const rg_op_case cases[] = {
    {"plain", {REAL(2, 3, 5), ABSENT, REAL(5), REAL(5)}, &usual, 0},
    {"no bias", {REAL(4, 6), ABSENT, REAL(6)}, &usual, 0},
    {"residual", {REAL(2, 3, 5), REAL(2, 3, 5), REAL(5), REAL(5)}, &usual, 0},
    {"residual is x", {REAL(3, 5), SAME(0), REAL(5), REAL(5)}, &usual, 0},
    {"large eps", {REAL(3, 5), REAL(3, 5), REAL(5)}, &(layernorm_attr){0.5}, 0},
    {"wide", {REAL(2, 131), REAL(2, 131), REAL(131), REAL(131)}, &usual, 0},
    {"two channels", {AWAY(.2, 2, 2), ABSENT, REAL(2), REAL(2)}, &(layernorm_attr){0.1}, 0},
    {"one channel", {REAL(4, 1), ABSENT, REAL(1), REAL(1)}, &usual, 0},
    {"no rows", {REAL(0, 5), REAL(0, 5), REAL(5), REAL(5)}, &usual, 0},
};

const rg_op rg_op_layernorm = {
    .name = "layernorm",
    .n_in = 4,
    .n_out = 2,
    .input = {{.name = "x"},
              {.name = "residual", .optional = true},
              {.name = "gain", .wide = true},
              {.name = "bias", .wide = true, .optional = true}},
    .attr_size = sizeof(layernorm_attr),
    .flops = flops,
    RG_OP_PARTS,
};

rg_tensor *rg_layernorm(rg_exec *ex, rg_tensor *x, rg_tensor *gain, rg_tensor *bias, double eps)
{
    return rg_op_call(ex, &rg_op_layernorm, (rg_tensor *[RG_MAX_IN]){x, NULL, gain, bias},
                      &(layernorm_attr){eps});
}

rg_tensor *rg_residual_layernorm(rg_exec *ex, rg_tensor **x, rg_tensor *residual, rg_tensor *gain,
                                 rg_tensor *bias, double eps)
{
    rg_tensor *out[RG_MAX_OUT] = {0};
    if (!residual && !ex->error.code)
        rg_exec_fail(ex, RG_ERR_USAGE, "layernorm: input residual is NULL");
    rg_status status =
        rg_apply(ex, &rg_op_layernorm, (rg_tensor *[RG_MAX_IN]){*x, residual, gain, bias},
                 &(layernorm_attr){eps}, out);
    *x = status == RG_OK ? out[1] : NULL;
    return out[0];
}
