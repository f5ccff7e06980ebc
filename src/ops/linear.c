/*
 * linear: y = act(x w + bias) over the last axis.
 *
 * One idea: all dims of x but the last are rows of one GEMM. The value before a nonlinear act is
 * saved for the gradient.
 */
#include "ops/weighted.h"

typedef struct linear_attr {
    rg_act act;
} linear_attr;

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    (void)type;
    RG_TRY(rg_op_want_between(ex, "act", ((const linear_attr *)attr)->act, 0, RG_ACT_COUNT - 1));
    RG_TRY(rg_weighted_check(ex, in, 1, RG_MAX_DIMS, 0, 0));
    out[0] = in[0]->shape;
    out[0].dim[out[0].ndim - 1] = rg_shape_last(in[1]->shape);
    return RG_OK;
}

static rg_linear_args args_of(const rg_node *n)
{
    const rg_linear_args args = {RG_WEIGHTED_ARGS(n),
                                 .pre = rg_op_data(n->saved[0]),
                                 .rows = rg_shape_rows(n->in[0]->shape),
                                 .c_in = n->in[1]->shape.dim[0],
                                 .c_out = n->in[1]->shape.dim[1],
                                 .act = ((const linear_attr *)n->attr)->act};
    return args;
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    if (((const linear_attr *)n->attr)->act != RG_ACT_NONE)
        RG_TRY(rg_op_save(ex, n, 0, n->out[0]->dtype, n->out[0]->shape));
    rg_linear_args args = args_of(n);
    return ex->kernels->linear.forward(&ex->kernel_ctx, &args);
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    rg_linear_grad_args args = {.fwd = args_of(n), RG_WEIGHTED_GRADS(dout, din)};
    return ex->kernels->linear.grad(&ex->kernel_ctx, &args);
}

static int64_t flops(const rg_node *n)
{
    return 2 * rg_shape_rows(n->in[0]->shape) * rg_shape_count(n->in[1]->shape);
}

static const rg_op_case cases[] = {
    {"plain", {REAL(2, 3, 5), REAL(5, 4), REAL(4)}, &(linear_attr){RG_ACT_NONE}, 0},
    {"no bias", {REAL(7, 33), REAL(33, 17)}, &(linear_attr){RG_ACT_NONE}, 0},
    {"gelu", {REAL(2, 3, 5), REAL(5, 4), REAL(4)}, &(linear_attr){RG_ACT_GELU}, 0},
    {"elu", {REAL(6, 5), REAL(5, 4), REAL(4)}, &(linear_attr){RG_ACT_ELU}, 0},
    {"vector", {REAL(5), REAL(5, 4), REAL(4)}, &(linear_attr){RG_ACT_NONE}, 0},
    {"wide", {REAL(3, 130), REAL(130, 67), REAL(67)}, &(linear_attr){RG_ACT_GELU}, 2},
    {"one of everything", {REAL(1, 1), REAL(1, 1), REAL(1)}, &(linear_attr){RG_ACT_NONE}, 0},
    {"no rows", {REAL(0, 5), REAL(5, 4), REAL(4)}, &(linear_attr){RG_ACT_GELU}, 0},
    {"no inputs", {REAL(3, 0), REAL(0, 4), REAL(4)}, &(linear_attr){RG_ACT_NONE}, 0},
    {"no outputs", {REAL(3, 5), REAL(5, 0), REAL(0)}, &(linear_attr){RG_ACT_NONE}, 0},
};

RG_WEIGHTED_OP(linear, linear_attr);

rg_tensor *rg_linear(rg_exec *ex, rg_tensor *x, rg_tensor *w, rg_tensor *bias, rg_act act)
{
    return rg_op_call(ex, &rg_op_linear, (rg_tensor *[RG_MAX_IN]){x, w, bias}, &(linear_attr){act});
}
