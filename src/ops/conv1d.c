/*
 * conv1d: y = conv(act_in(x), w) + bias over time, channels last.
 *
 * One idea: the kernel pads by itself; only a reflection of an input that is too short for it is
 * laid out here, as EnCodec does: zeros are put behind the input until it can be reflected, and as
 * many steps are cut from the padded end.
 */
#include "ops/weighted.h"

enum { MAX_STEPS = 1 << 30 };

static const rg_conv1d_attr *attr_of(const rg_node *n)
{
    return n->attr;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Steps of output; -1 when the kernel is longer than a padded input that is not empty. */
static int64_t steps_out(int64_t t_in, int64_t kernel, const rg_conv1d_attr *a)
{
    int64_t room = t_in + a->pad_left + a->pad_right - (kernel - 1) * a->dilation - 1;
    if (room < 0) return t_in ? -1 : 0;
    return room / a->stride + 1;
}

static rg_status check_attr(rg_exec *ex, const rg_conv1d_attr *a)
{
    RG_TRY(rg_op_want_between(ex, "stride", a->stride, 1, MAX_STEPS));
    RG_TRY(rg_op_want_between(ex, "dilation", a->dilation, 1, MAX_STEPS));
    RG_TRY(rg_op_want_between(ex, "pad_left", a->pad_left, 0, MAX_STEPS));
    RG_TRY(rg_op_want_between(ex, "pad_right", a->pad_right, 0, MAX_STEPS));
    RG_TRY(rg_op_want_between(ex, "pad_mode", a->pad_mode, 0, RG_PAD_COUNT - 1));
    return rg_op_want_between(ex, "act_in", a->act_in, 0, RG_ACT_COUNT - 1);
}

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    (void)type;
    RG_TRY(check_attr(ex, attr));
    RG_TRY(rg_weighted_check(ex, in, 3, 3, 1, MAX_STEPS));
    const int64_t *x = in[0]->shape.dim, *w = in[1]->shape.dim;
    int64_t t_out = steps_out(x[1], w[0], attr);
    char text[96];
    if (t_out < 0)
        return rg_exec_fail(ex, RG_ERR_SHAPE, "x is %s: too short for a kernel of %d steps",
                            rg_shape_text(in[0]->shape, text), (int)w[0]);
    out[0] = RG_SHAPE(x[0], t_out, w[2]);
    return RG_OK;
}

static rg_conv1d_args args_of(const rg_node *n)
{
    const rg_conv1d_attr *a = attr_of(n);
    const rg_conv1d_args args = {RG_WEIGHTED_ARGS(n),     RG_WEIGHTED_STEPS(n),
                                 .stride = a->stride,     .dilation = a->dilation,
                                 .pad_left = a->pad_left, .pad_right = a->pad_right,
                                 .pad_mode = a->pad_mode, .act_in = a->act_in};
    return args;
}

/* ---- reflection of short inputs ---- */

static bool is_short(const rg_conv1d_args *args)
{
    return args->pad_mode == RG_PAD_REFLECT &&
           args->t_in <= larger(args->pad_left, args->pad_right);
}

/* The step of x that stands at step t of its padded form, or -1: zero. */
static int64_t source_step(const rg_conv1d_args *args, int64_t t)
{
    int64_t length = larger(args->pad_left, args->pad_right) + 1, i = t - args->pad_left;
    if (i < 0) i = -i;
    if (i >= length) i = 2 * (length - 1) - i;
    return i < args->t_in ? i : -1;
}

/* Copies between x (B,T,C) and its padded form (B,P,C), or adds back. */
static rg_status move_padded(rg_exec *ex, const rg_conv1d_args *args, void *x, void *padded,
                             bool back)
{
    int64_t steps = args->t_in + args->pad_left + args->pad_right, c = args->c_in;
    for (int64_t t = 0; t < steps; t++) {
        int64_t from = source_step(args, t);
        if (from < 0) continue;
        void *outer = rg_op_at(ex, padded, t * c), *inner = rg_op_at(ex, x, from * c);
        int64_t ld_outer = steps * c, ld_inner = args->t_in * c;
        if (back)
            RG_TRY(rg_op_copy(ex, outer, ld_outer, inner, ld_inner, args->batch, c, true));
        else
            RG_TRY(rg_op_copy(ex, inner, ld_inner, outer, ld_outer, args->batch, c, false));
    }
    return RG_OK;
}

static rg_tensor padded_tensor(rg_exec *ex, const rg_conv1d_args *args)
{
    rg_tensor t = {
        .dtype = ex->kernels->real,
        .shape = RG_SHAPE(args->batch, args->t_in + args->pad_left + args->pad_right, args->c_in)};
    t.data = rg_op_scratch(ex, rg_shape_count(t.shape));
    if (t.data) rg_op_start_sum(ex, &t);
    return t;
}

/* Makes args read a padded copy of x, if it has to. */
static rg_status lay_out(rg_exec *ex, rg_conv1d_args *args)
{
    if (!is_short(args)) return RG_OK;
    rg_tensor padded = padded_tensor(ex, args);
    if (!padded.data) return RG_ERR_NOMEM;
    RG_TRY(move_padded(ex, args, (void *)(uintptr_t)args->x, padded.data, false));
    args->x = padded.data;
    args->t_in = padded.shape.dim[1];
    args->pad_left = args->pad_right = 0;
    args->pad_mode = RG_PAD_ZERO;
    return RG_OK;
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    rg_conv1d_args args = args_of(n);
    RG_TRY(lay_out(ex, &args));
    return ex->kernels->conv1d.forward(&ex->kernel_ctx, &args);
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    const rg_conv1d_args given = args_of(n);
    rg_conv1d_grad_args args = {.fwd = given, RG_WEIGHTED_GRADS(dout, din)};
    RG_TRY(lay_out(ex, &args.fwd));
    bool fold = din[0] && is_short(&given);
    if (fold) {
        args.dx = padded_tensor(ex, &given).data;
        if (!args.dx) return RG_ERR_NOMEM;
        args.add_dx = true;
    }
    RG_TRY(ex->kernels->conv1d.grad(&ex->kernel_ctx, &args));
    if (!fold) return RG_OK;
    rg_op_start_sum(ex, din[0]);
    return move_padded(ex, &given, din[0]->data, args.dx, true);
}

static int64_t flops(const rg_node *n)
{
    return 2 * rg_shape_rows(n->out[0]->shape) * rg_shape_count(n->in[1]->shape);
}

#define ATTR(stride, dilation, left, right, mode, act)             \
    &(rg_conv1d_attr)                                              \
    {                                                              \
        stride, dilation, left, right, RG_PAD_##mode, RG_ACT_##act \
    }
static const rg_op_case cases[] = {
    {"pointwise", {REAL(2, 5, 3), REAL(1, 3, 4), REAL(4)}, ATTR(1, 1, 0, 0, ZERO, NONE), 0},
    {"causal", {REAL(2, 9, 3), REAL(7, 3, 4), REAL(4)}, ATTR(1, 1, 6, 0, ZERO, NONE), 0},
    {"same, no bias", {REAL(2, 9, 3), REAL(3, 3, 4)}, ATTR(1, 1, 1, 1, ZERO, NONE), 0},
    {"causal reflect elu",
     {AWAY(.01, 2, 9, 3), REAL(7, 3, 4), REAL(4)},
     ATTR(1, 1, 6, 0, REFLECT, ELU),
     0},
    {"reflect both", {REAL(2, 9, 2), REAL(5, 2, 3), REAL(3)}, ATTR(1, 1, 3, 2, REFLECT, NONE), 0},
    {"strided elu", {AWAY(.01, 2, 12, 3), REAL(4, 3, 5), REAL(5)}, ATTR(2, 1, 2, 0, ZERO, ELU), 0},
    {"stride 5 reflect",
     {REAL(1, 23, 2), REAL(10, 2, 3), REAL(3)},
     ATTR(5, 1, 3, 4, REFLECT, NONE),
     0},
    {"stride beyond kernel",
     {REAL(2, 11, 2), REAL(2, 2, 3), REAL(3)},
     ATTR(3, 1, 0, 1, ZERO, NONE),
     0},
    {"dilated", {REAL(2, 11, 3), REAL(3, 3, 2), REAL(2)}, ATTR(1, 3, 6, 0, ZERO, NONE), 0},
    {"dilated strided reflect gelu",
     {REAL(2, 13, 2), REAL(3, 2, 2), REAL(2)},
     ATTR(2, 2, 2, 3, REFLECT, GELU),
     0},
    {"leaky", {AWAY(.01, 2, 6, 3), REAL(3, 3, 2), REAL(2)}, ATTR(1, 1, 2, 0, ZERO, LEAKY_RELU), 0},
    {"mono in", {REAL(2, 40, 1), REAL(7, 1, 8), REAL(8)}, ATTR(1, 1, 6, 0, REFLECT, NONE), 0},
    {"mono out", {AWAY(.01, 2, 40, 8), REAL(7, 8, 1), REAL(1)}, ATTR(1, 1, 3, 3, REFLECT, ELU), 0},
    {"wide", {REAL(1, 19, 33), REAL(3, 33, 35), REAL(35)}, ATTR(1, 1, 2, 0, ZERO, NONE), 0},
    {"short reflect", {REAL(2, 3, 2), REAL(7, 2, 3), REAL(3)}, ATTR(1, 1, 6, 0, REFLECT, NONE), 0},
    {"short reflect both",
     {REAL(2, 2, 2), REAL(7, 2, 3), REAL(3)},
     ATTR(1, 1, 3, 3, REFLECT, NONE),
     0},
    {"short reflect strided",
     {AWAY(.01, 2, 1, 2), REAL(8, 2, 3), REAL(3)},
     ATTR(4, 1, 4, 3, REFLECT, ELU),
     0},
    {"one of everything", {REAL(1, 1, 1), REAL(1, 1, 1), REAL(1)}, ATTR(1, 1, 0, 0, ZERO, NONE), 0},
    {"no steps", {REAL(2, 0, 3), REAL(7, 3, 4), REAL(4)}, ATTR(1, 1, 6, 0, ZERO, NONE), 0},
    {"no items", {REAL(0, 5, 3), REAL(3, 3, 4), REAL(4)}, ATTR(1, 1, 2, 0, ZERO, NONE), 0},
};

RG_WEIGHTED_OP(conv1d, rg_conv1d_attr);

rg_tensor *rg_conv1d(rg_exec *ex, rg_tensor *x, rg_tensor *w, rg_tensor *bias,
                     const rg_conv1d_attr *attr)
{
    return rg_op_call(ex, &rg_op_conv1d, (rg_tensor *[RG_MAX_IN]){x, w, bias}, attr);
}
