/*
 * groupnorm: y = (x - mean) / sqrt(variance + eps) * gain + bias, mean and variance of each item
 * over its steps and channels (one group).
 *
 * One idea: mean and 1/deviation of each item are saved; the gradient takes x again.
 */
#include "ops/op_util.h"

typedef struct groupnorm_attr {
    double eps;
} groupnorm_attr;

enum { X, GAIN, BIAS };

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    (void)attr, (void)type;
    RG_TRY(rg_op_want_rank(ex, in[X], "x", 3, 3));
    rg_shape channels = RG_SHAPE(rg_shape_last(in[X]->shape));
    RG_TRY(rg_op_want_shape(ex, in[GAIN], "gain", channels));
    RG_TRY(rg_op_want_shape(ex, in[BIAS], "bias", channels));
    out[0] = in[X]->shape;
    return RG_OK;
}

static rg_groupnorm_args args_of(const rg_node *n)
{
    const int64_t *dim = n->in[X]->shape.dim;
    return (rg_groupnorm_args){.x = n->in[X]->data,
                               .gain = n->in[GAIN]->data,
                               .bias = rg_op_data(n->in[BIAS]),
                               .y = n->out[0]->data,
                               .mean = rg_op_data(n->saved[0]),
                               .rstd = rg_op_data(n->saved[1]),
                               .batch = dim[0],
                               .steps = dim[1],
                               .channels = dim[2],
                               .eps = ((const groupnorm_attr *)n->attr)->eps};
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    rg_shape items = RG_SHAPE(n->in[X]->shape.dim[0]);
    RG_TRY(rg_op_save(ex, n, 0, ex->real, items));
    RG_TRY(rg_op_save(ex, n, 1, ex->real, items));
    rg_groupnorm_args args = args_of(n);
    return ex->kernels->groupnorm.forward(&ex->kernel_ctx, &args);
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    rg_groupnorm_grad_args args = {.fwd = args_of(n),
                                   .dy = dout[0]->data,
                                   .dx = rg_op_data(din[X]),
                                   .dgain = rg_op_data(din[GAIN]),
                                   .dbias = rg_op_data(din[BIAS]),
                                   .add_dx = rg_op_adds(din[X]),
                                   .add_dgain = rg_op_adds(din[GAIN]),
                                   .add_dbias = rg_op_adds(din[BIAS])};
    return ex->kernels->groupnorm.grad(&ex->kernel_ctx, &args);
}

static int64_t flops(const rg_node *n)
{
    return 8 * rg_shape_count(n->in[X]->shape);
}

static const groupnorm_attr usual = {1e-5};
static const rg_op_case cases[] = {
    {"plain", {REAL(2, 3, 5), REAL(5), REAL(5)}, &usual, 0},
    {"no bias", {REAL(2, 4, 3), REAL(3)}, &usual, 0},
    {"large eps", {REAL(1, 3, 2), REAL(2), REAL(2)}, &(groupnorm_attr){0.5}, 0},
    {"several blocks", {REAL(1, 600, 33), REAL(33), REAL(33)}, &usual, 0},
    {"one channel", {REAL(2, 7, 1), REAL(1), REAL(1)}, &usual, 0},
    {"no items", {REAL(0, 3, 5), REAL(5), REAL(5)}, &usual, 0},
    {"no steps", {REAL(2, 0, 5), REAL(5), REAL(5)}, &usual, 0},
};

const rg_op rg_op_groupnorm = {
    .name = "groupnorm",
    .n_in = 3,
    .n_out = 1,
    .input = {{.name = "x"},
              {.name = "gain", .wide = true},
              {.name = "bias", .wide = true, .optional = true}},
    .attr_size = sizeof(groupnorm_attr),
    .flops = flops,
    RG_OP_PARTS,
};

rg_tensor *rg_groupnorm(rg_exec *ex, rg_tensor *x, rg_tensor *gain, rg_tensor *bias, double eps)
{
    return rg_op_call(ex, &rg_op_groupnorm, (rg_tensor *[RG_MAX_IN]){x, gain, bias},
                      &(groupnorm_attr){eps});
}
