/*
 * spectrogram: magnitude or power of the STFT, optionally through a bank of bands, and its log.
 *
 * One idea: nothing of the spectrum is kept; the gradient transforms the frames again.
 */
#include "ops/stft_util.h"

typedef struct spectrogram_attr {
    rg_spectrogram_attr given;
    bool want_log;
} spectrogram_attr;

static rg_status infer(rg_exec *ex, rg_tensor *const in[], const void *attr, rg_shape out[],
                       rg_dtype type[])
{
    const spectrogram_attr *a = attr;
    int64_t frames, bins = a->given.stft.n_fft / 2 + 1;
    RG_TRY(rg_op_stft_frames(ex, in[0], &a->given.stft, &frames));
    RG_TRY(rg_op_want_between(ex, "power", a->given.power, 1, 2));
    if (a->want_log && !(a->given.log_floor > 0))
        return rg_exec_fail(ex, RG_ERR_USAGE, "log_floor is %g, expected above 0",
                            a->given.log_floor);
    RG_TRY(rg_op_want_rank(ex, in[1], "bank", 2, 2));
    if (in[1]) RG_TRY(rg_op_want_shape(ex, in[1], "bank", RG_SHAPE(bins, in[1]->shape.dim[1])));
    out[0] = RG_SHAPE(in[0]->shape.dim[0], frames, in[1] ? in[1]->shape.dim[1] : bins);
    out[1] = out[0];
    if (!a->want_log) type[1] = RG_DTYPE_COUNT;
    return RG_OK;
}

static rg_spectrogram_args args_of(const rg_node *n)
{
    const rg_spectrogram_attr *a = &((const spectrogram_attr *)n->attr)->given;
    const rg_spectrogram_args args = {
        .stft = rg_op_stft_args(n->in[0], &a->stft, n->out[0]->shape.dim[1]),
        .bank = rg_op_data(n->in[1]),
        .n_bands = n->in[1] ? n->in[1]->shape.dim[1] : 0,
        .power = a->power,
        .log_floor = a->log_floor,
        .y = n->out[0]->data,
        .log_y = rg_op_data(n->out[1])};
    return args;
}

static rg_status forward(rg_exec *ex, rg_node *n)
{
    rg_spectrogram_args args = args_of(n);
    return ex->kernels->spectrogram.forward(&ex->kernel_ctx, &args);
}

static rg_status backward(rg_exec *ex, const rg_node *n, rg_tensor *const dout[],
                          rg_tensor *const din[])
{
    rg_spectrogram_grad_args args = {.fwd = args_of(n),
                                     .dy = rg_op_data(dout[0]),
                                     .dlog_y = rg_op_data(dout[1]),
                                     .dx = rg_op_data(din[0]),
                                     .add_dx = rg_op_adds(din[0])};
    return ex->kernels->spectrogram.grad(&ex->kernel_ctx, &args);
}

#define STFT(n_fft, hop, pad, mode, normalized)            \
    {                                                      \
        n_fft, hop, pad, pad, 0, RG_PAD_##mode, normalized \
    }
#define ATTR(stft, power, log_floor, want_log) \
    &(spectrogram_attr)                        \
    {                                          \
        {stft, power, log_floor}, want_log     \
    }
#define BANK(...) COUNT(.1, .03, __VA_ARGS__) /* no band may be negative */
static const rg_op_case cases[] = {
    {"magnitude", {REAL(2, 30)}, ATTR(STFT(8, 4, 0, ZERO, false), 1, 0, false), 0},
    {"power", {REAL(2, 30)}, ATTR(STFT(8, 3, 2, ZERO, true), 2, 0, false), 0},
    {"log magnitude", {REAL(2, 30)}, ATTR(STFT(8, 4, 4, REFLECT, false), 1, 1e-2, true), 4},
    {"bands", {REAL(2, 40), BANK(9, 3)}, ATTR(STFT(16, 4, 8, REFLECT, true), 1, 0, false), 0},
    {"log bands of power",
     {REAL(2, 40), BANK(9, 3)},
     ATTR(STFT(16, 8, 0, ZERO, false), 2, 1, true),
     4},
    {"one band", {REAL(1, 8), BANK(5, 1)}, ATTR(STFT(8, 4, 0, ZERO, false), 2, 1, true), 0},
    {"too short for a frame", {REAL(2, 5)}, ATTR(STFT(8, 4, 0, ZERO, false), 1, 1, true), 0},
    {"empty", {REAL(0, 30)}, ATTR(STFT(8, 4, 0, ZERO, false), 1, 1, true), 0},
};

const rg_op rg_op_spectrogram = {
    .name = "spectrogram",
    .n_in = 2,
    .storage = RG_OP_WIDE,
    .n_out = 2,
    .input = {{.name = "x"}, {.name = "bank", .optional = true, .fixed = true}},
    .attr_size = sizeof(spectrogram_attr),
    RG_OP_PARTS,
};

rg_tensor *rg_spectrogram(rg_exec *ex, rg_tensor *x, rg_tensor *bank,
                          const rg_spectrogram_attr *attr, rg_tensor **log_y)
{
    rg_tensor *out[RG_MAX_OUT] = {0};
    const spectrogram_attr full = {.given = *attr, .want_log = log_y != NULL};
    rg_status status =
        rg_apply(ex, &rg_op_spectrogram, (rg_tensor *[RG_MAX_IN]){x, bank}, &full, out);
    if (log_y) *log_y = out[1];
    return status == RG_OK ? out[0] : NULL;
}
