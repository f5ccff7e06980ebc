/*
 * conv_tr1d: transposed convolution over time, channels last, trimmed on both sides.
 *
 * One idea: the trim on the right is only a shorter output; the kernel knows the left one.
 */
#include "ops/weighted.h"

enum { MAX_STEPS = 1 << 30 };

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    (void)type;
    const rg_conv_tr1d_attr *a = attr;
    RG_TRY(rg_op_want_between(ex, "stride", a->stride, 1, MAX_STEPS));
    RG_TRY(rg_op_want_between(ex, "trim_left", a->trim_left, 0, MAX_STEPS));
    RG_TRY(rg_op_want_between(ex, "trim_right", a->trim_right, 0, MAX_STEPS));
    RG_TRY(rg_op_want_between(ex, "act_in", a->act_in, 0, RG_ACT_COUNT - 1));
    RG_TRY(rg_weighted_check(ex, in, 3, 3, 1, MAX_STEPS));
    const int64_t *x = in[0]->shape.dim, *w = in[1]->shape.dim;
    int64_t t_out = x[1] ? (x[1] - 1) * a->stride + w[0] - a->trim_left - a->trim_right : 0;
    char text[96];
    if (t_out < 0)
        return rg_exec_fail(ex, RG_ERR_SHAPE, "x is %s: trims leave nothing of it",
                            rg_shape_text(in[0]->shape, text));
    out[0] = RG_SHAPE(x[0], t_out, w[2]);
    return RG_OK;
}

static rg_conv_tr1d_args args_of(const rg_node *n)
{
    const rg_conv_tr1d_attr *a = n->attr;
    const rg_conv_tr1d_args args = {RG_WEIGHTED_ARGS(n), RG_WEIGHTED_STEPS(n), .stride = a->stride,
                                    .trim_left = a->trim_left, .act_in = a->act_in};
    return args;
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    rg_conv_tr1d_args args = args_of(n);
    return ex->kernels->conv_tr1d.forward(&ex->kernel_ctx, &args);
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    rg_conv_tr1d_grad_args args = {.fwd = args_of(n), RG_WEIGHTED_GRADS(dout, din)};
    return ex->kernels->conv_tr1d.grad(&ex->kernel_ctx, &args);
}

static int64_t flops(const rg_node *n)
{
    return 2 * rg_shape_rows(n->in[0]->shape) * rg_shape_count(n->in[1]->shape);
}

#define ATTR(stride, left, right, act)    \
    &(rg_conv_tr1d_attr)                  \
    {                                     \
        stride, left, right, RG_ACT_##act \
    }
static const rg_op_case cases[] = {
    {"stride 1", {REAL(2, 5, 3), REAL(3, 3, 4), REAL(4)}, ATTR(1, 0, 0, NONE), 0},
    {"causal doubling", {REAL(2, 5, 3), REAL(4, 3, 2), REAL(2)}, ATTR(2, 0, 2, NONE), 0},
    {"symmetric trims", {AWAY(.01, 2, 5, 3), REAL(4, 3, 2), REAL(2)}, ATTR(2, 1, 1, ELU), 0},
    {"stride 5, odd trims", {AWAY(.01, 1, 4, 3), REAL(10, 3, 2), REAL(2)}, ATTR(5, 3, 2, ELU), 0},
    {"stride 8, no bias", {REAL(2, 3, 4), REAL(16, 4, 3)}, ATTR(8, 4, 4, NONE), 0},
    {"kernel below stride", {REAL(2, 4, 2), REAL(2, 2, 3), REAL(3)}, ATTR(3, 0, 0, NONE), 0},
    {"kernel no multiple", {REAL(2, 4, 2), REAL(7, 2, 3), REAL(3)}, ATTR(3, 1, 2, GELU), 0},
    {"mono out", {REAL(2, 7, 5), REAL(4, 5, 1), REAL(1)}, ATTR(2, 1, 1, NONE), 0},
    {"wide", {REAL(1, 9, 34), REAL(4, 34, 33), REAL(33)}, ATTR(2, 1, 1, NONE), 0},
    {"one of everything", {REAL(1, 1, 1), REAL(1, 1, 1), REAL(1)}, ATTR(1, 0, 0, NONE), 0},
    {"no steps", {REAL(2, 0, 3), REAL(4, 3, 2), REAL(2)}, ATTR(2, 0, 2, NONE), 0},
};

RG_WEIGHTED_OP(conv_tr1d, rg_conv_tr1d_attr);

rg_tensor *rg_conv_tr1d(rg_exec *ex, rg_tensor *x, rg_tensor *w, rg_tensor *bias,
                        const rg_conv_tr1d_attr *attr)
{
    return rg_op_call(ex, &rg_op_conv_tr1d, (rg_tensor *[RG_MAX_IN]){x, w, bias}, attr);
}
