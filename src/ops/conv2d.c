/*
 * conv2d: y = act(conv(x, w) + bias) over (height, width), zero padding, channels last.
 */
#include "ops/weighted.h"

enum { MAX_STEPS = 1 << 20 };

static rg_status check_attr(rg_exec *ex, const rg_conv2d_attr *a)
{
    RG_TRY(rg_op_want_between(ex, "stride_h", a->stride_h, 1, MAX_STEPS));
    RG_TRY(rg_op_want_between(ex, "stride_w", a->stride_w, 1, MAX_STEPS));
    RG_TRY(rg_op_want_between(ex, "dilation_h", a->dilation_h, 1, MAX_STEPS));
    RG_TRY(rg_op_want_between(ex, "dilation_w", a->dilation_w, 1, MAX_STEPS));
    RG_TRY(rg_op_want_between(ex, "pad_h", a->pad_h, 0, MAX_STEPS));
    RG_TRY(rg_op_want_between(ex, "pad_w", a->pad_w, 0, MAX_STEPS));
    if (a->act != RG_ACT_NONE && a->act != RG_ACT_LEAKY_RELU)
        return rg_exec_fail(ex, RG_ERR_SHAPE, "act is %d: only LEAKY_RELU follows an image",
                            (int)a->act);
    if (!(a->slope >= 0))
        return rg_exec_fail(ex, RG_ERR_SHAPE, "slope is %g; it must be 0 or more", a->slope);
    return RG_OK;
}

/* Length of one axis of the output; 0 when the kernel does not fit. */
static int64_t length_out(int64_t in, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad)
{
    int64_t room = in + 2 * pad - (kernel - 1) * dilation - 1;
    return room < 0 || in == 0 ? 0 : room / stride + 1;
}

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    (void)type;
    const rg_conv2d_attr *a = attr;
    RG_TRY(check_attr(ex, a));
    RG_TRY(rg_weighted_check(ex, in, 4, 4, 2, MAX_STEPS));
    const int64_t *x = in[0]->shape.dim, *w = in[1]->shape.dim;
    int64_t h = length_out(x[1], w[0], a->stride_h, a->dilation_h, a->pad_h);
    int64_t width = length_out(x[2], w[1], a->stride_w, a->dilation_w, a->pad_w);
    char text[96];
    if ((x[1] && !h) || (x[2] && !width))
        return rg_exec_fail(ex, RG_ERR_SHAPE, "x is %s: too small for a kernel of %d x %d",
                            rg_shape_text(in[0]->shape, text), (int)w[0], (int)w[1]);
    out[0] = RG_SHAPE(x[0], h, width, w[3]);
    return RG_OK;
}

static rg_conv2d_args args_of(const rg_node *n)
{
    const rg_conv2d_attr *a = n->attr;
    const int64_t *x = n->in[0]->shape.dim, *w = n->in[1]->shape.dim, *y = n->out[0]->shape.dim;
    const rg_conv2d_args args = {RG_WEIGHTED_ARGS(n),
                                 .batch = x[0],
                                 .h_in = x[1],
                                 .w_in = x[2],
                                 .h_out = y[1],
                                 .w_out = y[2],
                                 .c_in = x[3],
                                 .c_out = w[3],
                                 .kernel_h = (int32_t)w[0],
                                 .kernel_w = (int32_t)w[1],
                                 .stride_h = a->stride_h,
                                 .stride_w = a->stride_w,
                                 .dilation_h = a->dilation_h,
                                 .dilation_w = a->dilation_w,
                                 .pad_h = a->pad_h,
                                 .pad_w = a->pad_w,
                                 .act = a->act,
                                 .slope = a->slope};
    return args;
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    rg_conv2d_args args = args_of(n);
    return ex->kernels->conv2d.forward(&ex->kernel_ctx, &args);
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    rg_conv2d_grad_args args = {.fwd = args_of(n), RG_WEIGHTED_GRADS(dout, din)};
    return ex->kernels->conv2d.grad(&ex->kernel_ctx, &args);
}

static int64_t flops(const rg_node *n)
{
    return 2 * rg_shape_rows(n->out[0]->shape) * rg_shape_count(n->in[1]->shape);
}

/* strides, dilations, pads; height before width */
#define ATTR(...) LEAKY(RG_ACT_NONE, 0, __VA_ARGS__)
#define LEAKY(act, slope, sh, sw, dh, dw, ph, pw) \
    &(rg_conv2d_attr)                             \
    {                                             \
        sh, sw, dh, dw, ph, pw, act, slope        \
    }
static const rg_op_case cases[] = {
    {"pointwise", {REAL(2, 3, 4, 2), REAL(1, 1, 2, 3), REAL(3)}, ATTR(1, 1, 1, 1, 0, 0), 0},
    {"same", {REAL(2, 4, 5, 2), REAL(3, 3, 2, 3), REAL(3)}, ATTR(1, 1, 1, 1, 1, 1), 0},
    {"discriminator", {REAL(1, 5, 12, 2), REAL(3, 9, 2, 3), REAL(3)}, ATTR(1, 2, 1, 1, 1, 4), 0},
    {"dilated in time", {REAL(1, 7, 9, 2), REAL(3, 9, 2, 2), REAL(2)}, ATTR(1, 2, 2, 1, 2, 4), 0},
    {"no bias, no pad", {REAL(2, 4, 5, 3), REAL(2, 3, 3, 2)}, ATTR(2, 1, 1, 2, 0, 0), 0},
    {"all different", {REAL(2, 7, 8, 2), REAL(3, 2, 2, 3), REAL(3)}, ATTR(2, 3, 2, 3, 1, 2), 0},
    {"one in, one out", {REAL(2, 5, 6, 1), REAL(3, 3, 1, 1), REAL(1)}, ATTR(1, 1, 1, 1, 1, 1), 0},
    {"wide", {REAL(1, 3, 6, 33), REAL(3, 3, 33, 18), REAL(18)}, ATTR(1, 1, 1, 1, 1, 1), 2},
    {"leaky",
     {REAL(2, 5, 7, 2), REAL(3, 3, 2, 5), REAL(5)},
     LEAKY(RG_ACT_LEAKY_RELU, 0.2, 1, 2, 1, 1, 1, 1),
     0},
    {"leaky, channels in pairs of rows",
     {REAL(1, 5, 6, 8), REAL(3, 3, 8, 8), REAL(8)},
     LEAKY(RG_ACT_LEAKY_RELU, 0.3, 1, 1, 1, 1, 1, 1),
     0},
    {"one of everything", {REAL(1, 1, 1, 1), REAL(1, 1, 1, 1), REAL(1)}, ATTR(1, 1, 1, 1, 0, 0), 0},
    {"no items", {REAL(0, 3, 4, 2), REAL(1, 1, 2, 3), REAL(3)}, ATTR(1, 1, 1, 1, 0, 0), 0},
    {"no frames", {REAL(2, 0, 4, 2), REAL(3, 3, 2, 3), REAL(3)}, ATTR(1, 1, 1, 1, 1, 1), 0},
};

RG_WEIGHTED_OP(conv2d, rg_conv2d_attr);

rg_tensor *rg_conv2d(rg_exec *ex, rg_tensor *x, rg_tensor *w, rg_tensor *bias,
                     const rg_conv2d_attr *attr)
{
    return rg_op_call(ex, &rg_op_conv2d, (rg_tensor *[RG_MAX_IN]){x, w, bias}, attr);
}
