/*
 * stft: windowed Fourier transforms of overlapping frames, real and imaginary parts side by side.
 *
 * One idea: the window is the periodic Hann window, whose squares add up to 3/8 n_fft exactly, so
 * "normalized" is a constant.
 */
#include <math.h>

#include "ops/stft_util.h"

enum { MAX_STEPS = 1 << 30 };

rg_status rg_op_stft_frames(rg_exec *ex, const rg_tensor *x, const rg_stft_attr *a, int64_t *frames)
{
    RG_TRY(rg_op_want_rank(ex, x, "x", 2, 2));
    RG_TRY(rg_op_want_between(ex, "n_fft", a->n_fft, 2, 1 << 20));
    RG_TRY(rg_op_want_between(ex, "n_fft, remainder by 2", a->n_fft % 2, 0, 0));
    RG_TRY(rg_op_want_between(ex, "hop", a->hop, 1, MAX_STEPS));
    RG_TRY(rg_op_want_between(ex, "frames", a->frames, 0, MAX_STEPS));
    RG_TRY(rg_op_want_between(ex, "pad_mode", a->pad_mode, 0, RG_PAD_COUNT - 1));
    int64_t steps = x->shape.dim[1];
    int64_t most = a->pad_mode == RG_PAD_REFLECT && steps ? steps - 1 : MAX_STEPS;
    RG_TRY(rg_op_want_between(ex, "pad_left", a->pad_left, 0, most));
    RG_TRY(rg_op_want_between(ex, "pad_right", a->pad_right, 0, most));
    int64_t room = steps + a->pad_left + a->pad_right - a->n_fft;
    *frames = steps == 0 ? 0 : a->frames ? a->frames : room < 0 ? 0 : room / a->hop + 1;
    return RG_OK;
}

rg_stft_args rg_op_stft_args(const rg_tensor *x, const rg_stft_attr *a, int64_t frames)
{
    const rg_stft_args args = {.x = x->data,
                               .batch = x->shape.dim[0],
                               .t_in = x->shape.dim[1],
                               .frames = frames,
                               .n_fft = a->n_fft,
                               .hop = a->hop,
                               .pad_left = a->pad_left,
                               .pad_right = a->pad_right,
                               .pad_mode = a->pad_mode,
                               .scale = a->normalized ? 1 / sqrt(0.375 * a->n_fft) : 1};
    return args;
}

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    (void)type;
    const rg_stft_attr *a = attr;
    int64_t frames;
    RG_TRY(rg_op_stft_frames(ex, in[0], a, &frames));
    out[0] = RG_SHAPE(in[0]->shape.dim[0], frames, a->n_fft / 2 + 1, 2);
    return RG_OK;
}

static rg_stft_args args_of(const rg_node *n)
{
    rg_stft_args args = rg_op_stft_args(n->in[0], n->attr, n->out[0]->shape.dim[1]);
    args.y = n->out[0]->data;
    return args;
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    rg_stft_args args = args_of(n);
    return ex->kernels->stft.forward(&ex->kernel_ctx, &args);
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    rg_stft_grad_args args = {.fwd = args_of(n),
                              .dy = dout[0]->data,
                              .dx = rg_op_data(din[0]),
                              .add_dx = rg_op_adds(din[0])};
    return ex->kernels->stft.grad(&ex->kernel_ctx, &args);
}

/* n_fft, hop, pads, frames, mode, normalized */
#define ATTR(...)   \
    &(rg_stft_attr) \
    {               \
        __VA_ARGS__ \
    }
static const rg_op_case cases[] = {
    {"bare", {REAL(2, 30)}, ATTR(8, 4, 0, 0, 0, RG_PAD_ZERO, false), 0},
    {"normalized", {REAL(2, 30)}, ATTR(16, 4, 0, 0, 0, RG_PAD_ZERO, true), 0},
    {"reflected", {REAL(2, 33)}, ATTR(16, 4, 8, 8, 0, RG_PAD_REFLECT, false), 0},
    {"zero fill beyond the pad", {REAL(1, 21)}, ATTR(8, 3, 2, 1, 9, RG_PAD_REFLECT, true), 0},
    {"gaps between frames", {REAL(1, 40)}, ATTR(4, 9, 1, 0, 0, RG_PAD_ZERO, false), 0},
    {"smallest", {REAL(1, 4)}, ATTR(2, 1, 0, 0, 0, RG_PAD_ZERO, false), 0},
    {"too short for a frame", {REAL(2, 5)}, ATTR(8, 2, 0, 0, 0, RG_PAD_ZERO, false), 0},
    {"empty", {REAL(2, 0)}, ATTR(8, 2, 4, 4, 0, RG_PAD_REFLECT, false), 0},
};

const rg_op rg_op_stft = {
    .name = "stft",
    .n_in = 1,
    .storage = RG_OP_WIDE,
    .n_out = 1,
    .input = {{.name = "x"}},
    .attr_size = sizeof(rg_stft_attr),
    RG_OP_PARTS,
};

rg_tensor *rg_stft(rg_exec *ex, rg_tensor *x, const rg_stft_attr *attr)
{
    return rg_op_call(ex, &rg_op_stft, (rg_tensor *[RG_MAX_IN]){x}, attr);
}
