/*
 * Kernels one by one: tables of shapes, one timed job for each direction (bench.h).
 *
 * One idea: a row is a call of a slot of the kernel table on operands made once, so it times the
 * kernel and nothing else. Not here: whole models (bench_train.c and its siblings).
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/rng.h"
#include "train/bench_internal.h"

float *rg_bench_operand(rg_bench *b, int64_t n)
{
    float *x = rg_arena_alloc(b->data, (size_t)n * sizeof *x);
    rg_rng rng = rg_rng_make(1, (uint64_t)n);
    if (x)
        rg_rng_fill_uniform(&rng, x, n, -1, 1);
    else
        rg_fail(b->err, RG_ERR_NOMEM, "bench: no memory for an operand");
    return x;
}

static void *packed(rg_bench *b, const float *w, int64_t rows, int64_t cols)
{
    void *p =
        rg_arena_alloc(b->data, b->kernels->matrix.packed_size(rows, cols, b->ctx.operands) + 1);
    if (!p || b->kernels->matrix.pack(&b->ctx, w, rows, cols, b->ctx.operands, p) != RG_OK)
        return NULL;
    return p;
}

/* A slot's call as a job. */
#define JOB(name, call, type)                                                   \
    static rg_status name(rg_bench *b, void *args)                              \
    {                                                                           \
        const rg_status status = b->kernels->call(&b->ctx, (const type *)args); \
        rg_arena_reset(b->ctx.scratch);                                         \
        return status;                                                          \
    }
JOB(run_linear, linear.forward, rg_linear_args)
JOB(run_linear_grad, linear.grad, rg_linear_grad_args)
JOB(run_conv1d, conv1d.forward, rg_conv1d_args)
JOB(run_conv1d_grad, conv1d.grad, rg_conv1d_grad_args)
JOB(run_conv2d, conv2d.forward, rg_conv2d_args)
JOB(run_conv2d_grad, conv2d.grad, rg_conv2d_grad_args)
JOB(run_lstm, lstm.forward, rg_lstm_args)
JOB(run_lstm_grad, lstm.grad, rg_lstm_grad_args)
JOB(run_attention, attention.forward, rg_attention_args)
JOB(run_attention_grad, attention.grad, rg_attention_grad_args)

/* Forward, dx, dw of one operator: three jobs whose names differ in their last word. */
typedef struct passes {
    const char *group;
    const char *shape;
    double flop;
    rg_bench_fn *forward, *grad;
    void *args, *dx, *dw;
} passes;

static rg_status time_passes(rg_bench *b, const passes *p)
{
    char name[96];
    const rg_bench_work work = {.flop = p->flop};
    snprintf(name, sizeof name, "%s forward", p->shape);
    RG_TRY(rg_bench_time(b, p->group, name, &work, p->forward, p->args));
    snprintf(name, sizeof name, "%s dx", p->shape);
    RG_TRY(rg_bench_time(b, p->group, name, &work, p->grad, p->dx));
    snprintf(name, sizeof name, "%s dw", p->shape);
    return rg_bench_time(b, p->group, name, &work, p->grad, p->dw);
}

/* ---- gemm ---- */

typedef struct gemm_shape {
    int64_t rows, k, n;
    rg_act act;
} gemm_shape;

static const gemm_shape gemm_shapes[] = {
    {1024, 128, 384, RG_ACT_NONE},   {1024, 128, 512, RG_ACT_GELU},  {1024, 512, 128, RG_ACT_NONE},
    {2048, 512, 512, RG_ACT_NONE},   {2048, 512, 2048, RG_ACT_NONE}, {2048, 2048, 512, RG_ACT_NONE},
    {2048, 2048, 2048, RG_ACT_NONE}, {1, 512, 2048, RG_ACT_NONE},    {2, 512, 2048, RG_ACT_NONE},
    {2, 1024, 4096, RG_ACT_NONE},
};

static rg_status bench_gemm_row(rg_bench *b, const gemm_shape *s)
{
    char shape[64];
    float *w = rg_bench_operand(b, s->k * s->n), *pre = rg_bench_operand(b, s->rows * s->n);
    rg_linear_args a = {.x = rg_bench_operand(b, s->rows * s->k),
                        .w = w,
                        .bias = rg_bench_operand(b, s->n),
                        .packed_type = b->ctx.operands,
                        .y = rg_bench_operand(b, s->rows * s->n),
                        .pre = pre,
                        .rows = s->rows,
                        .c_in = s->k,
                        .c_out = s->n,
                        .act = s->act};
    rg_linear_grad_args dx = {.dy = rg_bench_operand(b, s->rows * s->n),
                              .dx = rg_bench_operand(b, s->rows * s->k)};
    rg_linear_grad_args dw = {.dy = dx.dy, .dw = rg_bench_operand(b, s->k * s->n)};
    if (b->err->code != RG_OK) return b->err->code;
    a.w_packed = packed(b, w, s->k, s->n);
    dx.fwd = dw.fwd = a;
    if (s->act == RG_ACT_NONE) a.pre = NULL;
    snprintf(shape, sizeof shape, "%" PRId64 "x%" PRId64 " by %" PRId64 "%s", s->rows, s->k, s->n,
             s->act == RG_ACT_GELU ? " gelu" : "");
    const passes p = {
        "gemm", shape, 2.0 * (double)(s->rows * s->k * s->n), run_linear, run_linear_grad, &a,
        &dx,    &dw};
    return time_passes(b, &p);
}

rg_status rg_bench_gemm(rg_bench *b)
{
    for (size_t i = 0; i < sizeof gemm_shapes / sizeof gemm_shapes[0]; i++) {
        RG_TRY(bench_gemm_row(b, &gemm_shapes[i]));
        rg_arena_reset(b->data);
    }
    return RG_OK;
}

/* ---- conv ---- */

typedef struct conv_shape {
    int64_t batch, t, c_in, c_out;
    int32_t kernel, stride;
} conv_shape;

/* Layers of a codec with 8 filters as the quickstart trains it, then of one with 32. */
static const conv_shape conv_shapes[] = {
    {4, 12000, 1, 8, 7, 1},    {4, 12000, 8, 4, 3, 1},    {4, 12000, 8, 16, 6, 3},
    {4, 4000, 16, 32, 8, 4},   {4, 1000, 32, 64, 10, 5},  {4, 200, 64, 128, 16, 8},
    {4, 12000, 8, 1, 7, 1},    {4, 24000, 1, 32, 7, 1},   {4, 24000, 32, 1, 7, 1},
    {4, 24000, 32, 16, 3, 1},  {4, 24000, 16, 32, 1, 1},  {4, 24000, 32, 32, 3, 1},
    {4, 24000, 32, 64, 4, 2},  {4, 12000, 64, 128, 8, 4}, {4, 3000, 128, 256, 10, 5},
    {4, 600, 256, 512, 16, 8}, {4, 75, 512, 512, 7, 1},
};

static rg_status bench_conv_row(rg_bench *b, const conv_shape *s)
{
    char shape[64];
    const int64_t k = s->kernel, t_out = (s->t + (k - s->stride) - k) / s->stride + 1;
    float *w = rg_bench_operand(b, k * s->c_in * s->c_out);
    rg_conv1d_args a = {.x = rg_bench_operand(b, s->batch * s->t * s->c_in),
                        .w = w,
                        .bias = rg_bench_operand(b, s->c_out),
                        .packed_type = b->ctx.operands,
                        .y = rg_bench_operand(b, s->batch * t_out * s->c_out),
                        .batch = s->batch,
                        .t_in = s->t,
                        .t_out = t_out,
                        .c_in = s->c_in,
                        .c_out = s->c_out,
                        .kernel = s->kernel,
                        .stride = s->stride,
                        .dilation = 1,
                        .pad_left = k - s->stride,
                        .pad_mode = RG_PAD_REFLECT,
                        .act_in = s->c_in > 1 ? RG_ACT_ELU : RG_ACT_NONE};
    rg_conv1d_grad_args dx = {.dy = rg_bench_operand(b, s->batch * t_out * s->c_out),
                              .dx = rg_bench_operand(b, s->batch * s->t * s->c_in)};
    rg_conv1d_grad_args dw = {.dy = dx.dy, .dw = rg_bench_operand(b, k * s->c_in * s->c_out)};
    if (b->err->code != RG_OK) return b->err->code;
    a.w_packed = packed(b, w, k * s->c_in, s->c_out);
    dx.fwd = dw.fwd = a;
    snprintf(shape, sizeof shape,
             "conv1d %" PRId64 "->%" PRId64 " k%" PRId64 " s%" PRId32 " T %" PRId64, s->c_in,
             s->c_out, k, s->stride, s->t);
    const passes p = {"conv",
                      shape,
                      2.0 * (double)(s->batch * t_out * k * s->c_in * s->c_out),
                      run_conv1d,
                      run_conv1d_grad,
                      &a,
                      &dx,
                      &dw};
    return time_passes(b, &p);
}

/* ---- conv2d ---- */

typedef struct conv2d_shape {
    int64_t batch, h, w, c_in, c_out;
    int32_t kernel_h, kernel_w, stride_w, dilation_h;
} conv2d_shape;

static rg_status bench_conv2d(rg_bench *b, const char *group, const conv2d_shape *s)
{
    char shape[64];
    const int64_t w_out = (s->w - 1) / s->stride_w + 1, taps = (int64_t)s->kernel_h * s->kernel_w;
    const int64_t n_w = taps * s->c_in * s->c_out, pixels = s->batch * s->h;
    float *w = rg_bench_operand(b, n_w);
    rg_conv2d_args a = {.x = rg_bench_operand(b, pixels * s->w * s->c_in),
                        .w = w,
                        .bias = rg_bench_operand(b, s->c_out),
                        .packed_type = b->ctx.operands,
                        .y = rg_bench_operand(b, pixels * w_out * s->c_out),
                        .batch = s->batch,
                        .h_in = s->h,
                        .w_in = s->w,
                        .h_out = s->h,
                        .w_out = w_out,
                        .c_in = s->c_in,
                        .c_out = s->c_out,
                        .kernel_h = s->kernel_h,
                        .kernel_w = s->kernel_w,
                        .stride_h = 1,
                        .stride_w = s->stride_w,
                        .dilation_h = s->dilation_h,
                        .dilation_w = 1,
                        .pad_h = (s->kernel_h - 1) * s->dilation_h / 2,
                        .pad_w = s->kernel_w / 2};
    rg_conv2d_grad_args dx = {.dy = rg_bench_operand(b, pixels * w_out * s->c_out),
                              .dx = rg_bench_operand(b, pixels * s->w * s->c_in)};
    rg_conv2d_grad_args dw = {.dy = dx.dy, .dw = rg_bench_operand(b, n_w)};
    if (b->err->code != RG_OK) return b->err->code;
    a.w_packed = packed(b, w, taps * s->c_in, s->c_out);
    dx.fwd = dw.fwd = a;
    snprintf(shape, sizeof shape, "%d->%d %dx%d s %d d %d %dx%d", (int)s->c_in, (int)s->c_out,
             s->kernel_h, s->kernel_w, s->stride_w, s->dilation_h, (int)s->h, (int)s->w);
    const double flop = 2.0 * (double)(pixels * w_out * n_w);
    const passes p = {group, shape, flop, run_conv2d, run_conv2d_grad, &a, &dx, &dw};
    RG_TRY(time_passes(b, &p));
    rg_arena_reset(b->data);
    return RG_OK;
}

rg_status rg_bench_conv(rg_bench *b)
{
    for (size_t i = 0; i < sizeof conv_shapes / sizeof conv_shapes[0]; i++) {
        RG_TRY(bench_conv_row(b, &conv_shapes[i]));
        rg_arena_reset(b->data);
    }
    RG_TRY(bench_conv2d(b, "conv", &(conv2d_shape){4, 90, 513, 8, 8, 3, 9, 2, 1}));
    return bench_conv2d(b, "conv", &(conv2d_shape){4, 90, 513, 32, 32, 3, 9, 2, 1});
}

/* A discriminator of spectrograms (EnCodec, Defossez et al. 2022), layer by layer: batch 8 of one
 * second at 24 kHz, a scale for every length of the transform, hops of a quarter of it. */
rg_status rg_bench_discriminator(rg_bench *b)
{
    static const int64_t lengths[] = {2048, 1024, 512, 256, 128};
    static const conv2d_shape layers[] = {
        {.c_in = 2, .c_out = 32, .kernel_h = 3, .kernel_w = 9, .stride_w = 1, .dilation_h = 1},
        {.c_in = 32, .c_out = 32, .kernel_h = 3, .kernel_w = 9, .stride_w = 2, .dilation_h = 1},
        {.c_in = 32, .c_out = 32, .kernel_h = 3, .kernel_w = 9, .stride_w = 2, .dilation_h = 2},
        {.c_in = 32, .c_out = 32, .kernel_h = 3, .kernel_w = 9, .stride_w = 2, .dilation_h = 4},
        {.c_in = 32, .c_out = 32, .kernel_h = 3, .kernel_w = 3, .stride_w = 1, .dilation_h = 1},
        {.c_in = 32, .c_out = 1, .kernel_h = 3, .kernel_w = 3, .stride_w = 1, .dilation_h = 1},
    };
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        int64_t w = lengths[i] / 2 + 1;
        for (size_t k = 0; k < sizeof layers / sizeof layers[0]; k++) {
            conv2d_shape s = layers[k];
            s.batch = 8, s.h = (24000 - lengths[i]) / (lengths[i] / 4) + 1, s.w = w;
            RG_TRY(bench_conv2d(b, "discriminator", &s));
            w = (w - 1) / s.stride_w + 1;
        }
    }
    return RG_OK;
}

/* ---- one layer of an LSTM, attention ---- */

rg_status rg_bench_lstm_layer(rg_bench *b)
{
    enum { B = 4, T = 75, H = 512, ROWS = B * T, WIDE = 4 * H };
    const double flop = 2.0 * ROWS * WIDE * (2 * H);
    float *w_ih = rg_bench_operand(b, H * WIDE), *w_hh = rg_bench_operand(b, H * WIDE);
    if (b->err->code != RG_OK) return b->err->code;
    for (int64_t i = 0; i < (int64_t)H * WIDE; i++) w_ih[i] *= 0.04F, w_hh[i] *= 0.04F;
    rg_lstm_args a = {.x = rg_bench_operand(b, ROWS * H),
                      .w_ih = w_ih,
                      .w_hh = w_hh,
                      .bias = rg_bench_operand(b, WIDE),
                      .w_ih_packed = packed(b, w_ih, H, WIDE),
                      .w_hh_packed = packed(b, w_hh, H, WIDE),
                      .packed_type = b->ctx.operands,
                      .y = rg_bench_operand(b, ROWS * H),
                      .gates = rg_bench_operand(b, ROWS * WIDE),
                      .cells = rg_bench_operand(b, ROWS * H),
                      .batch = B,
                      .steps = T,
                      .c_in = H,
                      .hidden = H};
    rg_lstm_grad_args g = {.fwd = a,
                           .dy = rg_bench_operand(b, ROWS * H),
                           .dx = rg_bench_operand(b, ROWS * H),
                           .dw_ih = rg_bench_operand(b, H * WIDE),
                           .dw_hh = rg_bench_operand(b, H * WIDE),
                           .dbias = rg_bench_operand(b, WIDE)};
    if (b->err->code != RG_OK) return b->err->code;
    RG_TRY(rg_bench_time(b, "lstm", "layer B 4 T 75 C 512 forward", &(rg_bench_work){.flop = flop},
                         run_lstm, &a));
    return rg_bench_time(b, "lstm", "layer B 4 T 75 C 512 backward",
                         &(rg_bench_work){.flop = 2 * flop}, run_lstm_grad, &g);
}

static rg_status bench_attention_row(rg_bench *b, int64_t batch, int64_t heads, int64_t t,
                                     int64_t d, bool causal)
{
    char name[96];
    const int64_t width = heads * d, n = batch * t * width;
    float *qkv = rg_bench_operand(b, 3 * n), *dqkv = rg_bench_operand(b, 3 * n);
    rg_attention_args a = {.q = qkv,
                           .k = qkv + width,
                           .v = qkv + 2 * width,
                           .ld_q = 3 * width,
                           .ld_k = 3 * width,
                           .ld_v = 3 * width,
                           .out = rg_bench_operand(b, n),
                           .lse = rg_bench_operand(b, batch * heads * t),
                           .batch = batch,
                           .heads = heads,
                           .t_q = t,
                           .t_k = t,
                           .head_dim = d,
                           .causal = causal,
                           .window = -1,
                           .rope_base = 10000};
    if (b->err->code != RG_OK) return b->err->code;
    rg_attention_grad_args g = {.fwd = a,
                                .dout = rg_bench_operand(b, n),
                                .dq = dqkv,
                                .dk = dqkv + width,
                                .dv = dqkv + 2 * width};
    const double flop = 4.0 * (double)(n * t) * (causal ? 0.5 : 1);
    const char *kind = causal ? "causal" : "full";
    snprintf(name, sizeof name, "B %d H %d T %d D %d %s forward", (int)batch, (int)heads, (int)t,
             (int)d, kind);
    RG_TRY(rg_bench_time(b, "attention", name, &(rg_bench_work){.flop = flop}, run_attention, &a));
    snprintf(name, sizeof name, "B %d H %d T %d D %d %s backward", (int)batch, (int)heads, (int)t,
             (int)d, kind);
    RG_TRY(rg_bench_time(b, "attention", name, &(rg_bench_work){.flop = 2.5 * flop},
                         run_attention_grad, &g));
    rg_arena_reset(b->data);
    return RG_OK;
}

rg_status rg_bench_attention(rg_bench *b)
{
    RG_TRY(bench_attention_row(b, 4, 4, 256, 32, true));
    RG_TRY(bench_attention_row(b, 4, 4, 256, 32, false));
    return bench_attention_row(b, 4, 8, 512, 64, true);
}
