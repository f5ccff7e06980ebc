/*
 * One builder per slot and the table of shapes (kernel_cases.h).
 *
 * One idea: a row is a builder and up to twelve numbers; a builder describes the forward or the
 * gradient call of that row. Gradient structs begin with the forward struct, so the offsets of the
 * shared inputs are the same in both.
 */
#include "kernel_cases.h"

#include <math.h>
#include <stdio.h>

#include "test.h"

typedef void case_build(rg_call *c, const int64_t *p, bool grad);

/* ---- the calls ---- */

#define SLOT(name, T, G)                                                                      \
    static rg_status name##_call(const rg_kernels *k, rg_kernel_ctx *ctx, const void *a)      \
    {                                                                                         \
        return k->name.forward(ctx, a);                                                       \
    }                                                                                         \
    static rg_status name##_grad_call(const rg_kernels *k, rg_kernel_ctx *ctx, const void *a) \
    {                                                                                         \
        return k->name.grad(ctx, a);                                                          \
    }                                                                                         \
    _Static_assert(sizeof(T) <= RG_CALL_ARGS && sizeof(G) <= RG_CALL_ARGS, "args fit");
#define SINGLE(name, T)                                                                  \
    static rg_status name##_call(const rg_kernels *k, rg_kernel_ctx *ctx, const void *a) \
    {                                                                                    \
        return k->name(ctx, a);                                                          \
    }                                                                                    \
    _Static_assert(sizeof(T) <= RG_CALL_ARGS, "args fit");
SLOT(linear, rg_linear_args, rg_linear_grad_args)
SLOT(conv1d, rg_conv1d_args, rg_conv1d_grad_args)
SLOT(conv_tr1d, rg_conv_tr1d_args, rg_conv_tr1d_grad_args)
SLOT(conv2d, rg_conv2d_args, rg_conv2d_grad_args)
SLOT(lstm, rg_lstm_args, rg_lstm_grad_args)
SLOT(layernorm, rg_layernorm_args, rg_layernorm_grad_args)
SLOT(groupnorm, rg_groupnorm_args, rg_groupnorm_grad_args)
SLOT(attention, rg_attention_args, rg_attention_grad_args)
SLOT(embedding, rg_embedding_args, rg_embedding_grad_args)
SLOT(activation, rg_activation_args, rg_activation_grad_args)
SLOT(stft, rg_stft_args, rg_stft_grad_args)
SLOT(spectrogram, rg_spectrogram_args, rg_spectrogram_grad_args)
SLOT(distance, rg_distance_args, rg_distance_grad_args)
SLOT(add, rg_add_args, rg_reduce_args)
SLOT(convert, rg_convert_args, rg_convert_grad_args)
SLOT(weight_norm, rg_weight_norm_args, rg_weight_norm_args)
SINGLE(softmax_ce, rg_softmax_ce_args)
SINGLE(rvq, rg_rvq_args)
SINGLE(copy, rg_copy_args)
SINGLE(dropout, rg_dropout_args)
SINGLE(adamw, rg_adamw_args)
SINGLE(norm, rg_norm_args)

#define IN(T, m, n, scale) rg_call_in(c, #m, offsetof(T, m), n, scale)
#define INTS(T, m, n, low, high) rg_call_ints(c, #m, offsetof(T, m), n, low, high)
#define OUT(T, m, n, length) rg_call_out(c, #m, offsetof(T, m), n, (double)(length))
#define MAYBE(T, m, n, length) OUT(T, m, n, length)->nullable = true
/* A gradient output with its accumulate flag. */
#define GRAD(T, m, n, length)                                           \
    do {                                                                \
        rg_call_field *f_ = OUT(T, m, n, length);                       \
        f_->nullable = true, f_->add = (ptrdiff_t)offsetof(T, add_##m); \
    } while (0)

static double per_root(int64_t n)
{
    return 1 / sqrt(n > 0 ? (double)n : 1);
}

static void pack(rg_call *c, const char *field, size_t offset, size_t type_offset, int64_t rows,
                 int64_t cols)
{
    c->packs[c->n_packs++] = (rg_call_pack){
        offset, type_offset, (int32_t)(rg_call_find(c, field) - c->fields), rows, cols};
}
#define PACK(T, m, rows, cols) \
    pack(c, #m, offsetof(T, m##_packed), offsetof(T, packed_type), rows, cols)

/* What the forward call of the same case writes becomes an input of this one. */
static void take(rg_call *c, const char *name)
{
    rg_call forward;
    rg_kernel_case_build(c->index, false, c->memory, &forward);
    rg_call_take(c, &forward, name);
}

/* ---- builders, in the order of kernels.h; the numbers of a row are named in the table ---- */

static void linear(rg_call *c, const int64_t *p, bool grad)
{
    const int64_t rows = p[0], c_in = p[1], c_out = p[2];
    rg_linear_args *a = (void *)c->args;
    a->rows = rows, a->c_in = c_in, a->c_out = c_out, a->act = (rg_act)p[3];
    c->activated = a->act != RG_ACT_NONE;
    IN(rg_linear_args, x, rows * c_in, 1);
    IN(rg_linear_args, w, c_in * c_out, per_root(c_in));
    if (p[4]) IN(rg_linear_args, bias, c_out, 1);
    PACK(rg_linear_args, w, c_in, c_out);
    if (!grad) {
        OUT(rg_linear_args, y, rows * c_out, c_in);
        if (a->act != RG_ACT_NONE) MAYBE(rg_linear_args, pre, rows * c_out, c_in);
        return;
    }
    if (a->act != RG_ACT_NONE) take(c, "pre");
    IN(rg_linear_grad_args, dy, rows * c_out, 1);
    GRAD(rg_linear_grad_args, dx, rows * c_in, c_out);
    GRAD(rg_linear_grad_args, dw, c_in * c_out, rows);
    GRAD(rg_linear_grad_args, dbias, c_out, rows);
}

static void conv1d(rg_call *c, const int64_t *p, bool grad)
{
    rg_conv1d_args *a = (void *)c->args;
    *a = (rg_conv1d_args){.batch = p[0],
                          .t_in = p[1],
                          .c_in = p[2],
                          .c_out = p[3],
                          .kernel = (int32_t)p[4],
                          .stride = (int32_t)p[5],
                          .dilation = (int32_t)p[6],
                          .pad_left = p[7],
                          .pad_right = p[8],
                          .pad_mode = (rg_pad)p[9],
                          .act_in = (rg_act)p[10]};
    c->activated = a->act_in != RG_ACT_NONE;
    const int64_t room = a->t_in + a->pad_left + a->pad_right - (a->kernel - 1) * a->dilation - 1;
    a->t_out = room >= 0 ? room / a->stride + 1 : 0;
    const int64_t n_x = a->batch * a->t_in * a->c_in, n_w = a->kernel * a->c_in * a->c_out;
    const int64_t n_y = a->batch * a->t_out * a->c_out, length = a->kernel * a->c_in;
    IN(rg_conv1d_args, x, n_x, 1);
    IN(rg_conv1d_args, w, n_w, per_root(length));
    if (p[11]) IN(rg_conv1d_args, bias, a->c_out, 1);
    PACK(rg_conv1d_args, w, length, a->c_out);
    if (!grad) {
        OUT(rg_conv1d_args, y, n_y, length);
        return;
    }
    IN(rg_conv1d_grad_args, dy, n_y, 1);
    GRAD(rg_conv1d_grad_args, dx, n_x, a->kernel * a->c_out);
    GRAD(rg_conv1d_grad_args, dw, n_w, a->batch * a->t_out);
    GRAD(rg_conv1d_grad_args, dbias, a->c_out, a->batch * a->t_out);
}

static void conv_tr1d(rg_call *c, const int64_t *p, bool grad)
{
    rg_conv_tr1d_args *a = (void *)c->args;
    *a = (rg_conv_tr1d_args){.batch = p[0],
                             .t_in = p[1],
                             .c_in = p[2],
                             .c_out = p[3],
                             .kernel = (int32_t)p[4],
                             .stride = (int32_t)p[5],
                             .trim_left = p[6],
                             .act_in = (rg_act)p[8]};
    c->activated = a->act_in != RG_ACT_NONE;
    const int64_t full = a->t_in > 0 ? (a->t_in - 1) * a->stride + a->kernel - p[6] - p[7] : 0;
    a->t_out = full > 0 ? full : 0;
    const int64_t n_x = a->batch * a->t_in * a->c_in, n_w = a->kernel * a->c_in * a->c_out;
    const int64_t n_y = a->batch * a->t_out * a->c_out;
    IN(rg_conv_tr1d_args, x, n_x, 1);
    IN(rg_conv_tr1d_args, w, n_w, per_root(a->c_in));
    if (p[9]) IN(rg_conv_tr1d_args, bias, a->c_out, 1);
    PACK(rg_conv_tr1d_args, w, a->kernel * a->c_in, a->c_out);
    if (!grad) {
        OUT(rg_conv_tr1d_args, y, n_y, a->kernel * a->c_in);
        return;
    }
    IN(rg_conv_tr1d_grad_args, dy, n_y, 1);
    GRAD(rg_conv_tr1d_grad_args, dx, n_x, a->kernel * a->c_out);
    GRAD(rg_conv_tr1d_grad_args, dw, n_w, a->batch * a->t_in);
    GRAD(rg_conv_tr1d_grad_args, dbias, a->c_out, a->batch * a->t_out);
}

static int64_t conv_size(int64_t in, int64_t pad, int64_t kernel, int64_t dilation, int64_t stride)
{
    const int64_t room = in + 2 * pad - (kernel - 1) * dilation - 1;
    return room >= 0 ? room / stride + 1 : 0;
}

static void conv2d(rg_call *c, const int64_t *p, bool grad)
{
    rg_conv2d_args *a = (void *)c->args;
    *a = (rg_conv2d_args){.batch = p[0],
                          .h_in = p[1],
                          .w_in = p[2],
                          .c_in = p[3],
                          .c_out = p[4],
                          .kernel_h = (int32_t)p[5],
                          .kernel_w = (int32_t)p[6],
                          .stride_h = (int32_t)p[7],
                          .stride_w = (int32_t)p[8],
                          .dilation_h = (int32_t)p[9],
                          .dilation_w = 1,
                          .pad_h = (int32_t)p[10],
                          .pad_w = (int32_t)p[11],
                          .act = p[12] ? RG_ACT_LEAKY_RELU : RG_ACT_NONE,
                          .slope = 0.01 * (double)p[12]};
    c->activated = a->act != RG_ACT_NONE;
    a->h_out = conv_size(a->h_in, a->pad_h, a->kernel_h, a->dilation_h, a->stride_h);
    a->w_out = conv_size(a->w_in, a->pad_w, a->kernel_w, a->dilation_w, a->stride_w);
    const int64_t taps = (int64_t)a->kernel_h * a->kernel_w,
                  pixels = a->batch * a->h_out * a->w_out;
    const int64_t n_x = a->batch * a->h_in * a->w_in * a->c_in, n_w = taps * a->c_in * a->c_out;
    IN(rg_conv2d_args, x, n_x, 1);
    IN(rg_conv2d_args, w, n_w, per_root(taps * a->c_in));
    IN(rg_conv2d_args, bias, a->c_out, 1);
    PACK(rg_conv2d_args, w, taps * a->c_in, a->c_out);
    if (!grad) {
        OUT(rg_conv2d_args, y, pixels * a->c_out, taps * a->c_in);
        return;
    }
    if (c->activated) take(c, "y");
    IN(rg_conv2d_grad_args, dy, pixels * a->c_out, 1);
    GRAD(rg_conv2d_grad_args, dx, n_x, taps * a->c_out);
    GRAD(rg_conv2d_grad_args, dw, n_w, pixels);
    GRAD(rg_conv2d_grad_args, dbias, a->c_out, pixels);
}

static void lstm_outputs(rg_call *c, int64_t states, int64_t rows, int64_t hidden, double length)
{
    OUT(rg_lstm_args, y, rows * hidden, length);
    MAYBE(rg_lstm_args, gates, rows * 4 * hidden, length);
    MAYBE(rg_lstm_args, cells, rows * hidden, length);
    MAYBE(rg_lstm_args, h_last, states * hidden, length);
    MAYBE(rg_lstm_args, c_last, states * hidden, length);
}

static void lstm(rg_call *c, const int64_t *p, bool grad)
{
    const int64_t batch = p[0], steps = p[1], c_in = p[2], hidden = p[3], wide = 4 * hidden;
    const int64_t rows = batch * steps;
    rg_lstm_args *a = (void *)c->args;
    a->batch = batch, a->steps = steps, a->c_in = c_in, a->hidden = hidden;
    IN(rg_lstm_args, x, rows * c_in, 1);
    IN(rg_lstm_args, w_ih, c_in * wide, per_root(c_in));
    IN(rg_lstm_args, w_hh, hidden * wide, per_root(hidden));
    IN(rg_lstm_args, bias, wide, 1);
    if (p[4]) IN(rg_lstm_args, h0, batch * hidden, 1);
    if (p[4]) IN(rg_lstm_args, c0, batch * hidden, 1);
    PACK(rg_lstm_args, w_ih, c_in, wide);
    PACK(rg_lstm_args, w_hh, hidden, wide);
    if (!grad) {
        lstm_outputs(c, batch, rows, hidden, (double)(c_in + hidden));
        return;
    }
    take(c, "y"), take(c, "gates"), take(c, "cells");
    IN(rg_lstm_grad_args, dy, rows * hidden, 1);
    GRAD(rg_lstm_grad_args, dx, rows * c_in, wide * (steps + 1));
    GRAD(rg_lstm_grad_args, dw_ih, c_in * wide, rows * (steps + 1));
    GRAD(rg_lstm_grad_args, dw_hh, hidden * wide, rows * (steps + 1));
    GRAD(rg_lstm_grad_args, dbias, wide, rows * (steps + 1));
}

static void layernorm(rg_call *c, const int64_t *p, bool grad)
{
    const int64_t rows = p[0], channels = p[1], n = rows * channels;
    rg_layernorm_args *a = (void *)c->args;
    a->rows = rows, a->channels = channels, a->eps = 1e-5;
    IN(rg_layernorm_args, x, n, 1);
    if (p[2]) IN(rg_layernorm_args, residual, n, 2);
    IN(rg_layernorm_args, gain, channels, 1);
    if (p[3]) IN(rg_layernorm_args, bias, channels, 1);
    if (!grad) {
        OUT(rg_layernorm_args, y, n, channels);
        if (p[2]) OUT(rg_layernorm_args, sum, n, 1);
        MAYBE(rg_layernorm_args, mean, rows, channels);
        MAYBE(rg_layernorm_args, rstd, rows, channels);
        return;
    }
    take(c, "mean"), take(c, "rstd");
    if (p[2]) take(c, "sum");
    if (p[4] != 2) IN(rg_layernorm_grad_args, dy, n, 1);
    if (p[4] != 0) IN(rg_layernorm_grad_args, dsum, n, 1);
    GRAD(rg_layernorm_grad_args, dx, n, channels);
    GRAD(rg_layernorm_grad_args, dgain, channels, rows);
    GRAD(rg_layernorm_grad_args, dbias, channels, rows);
}

static void groupnorm(rg_call *c, const int64_t *p, bool grad)
{
    const int64_t batch = p[0], channels = p[2], n = batch * p[1] * channels,
                  length = p[1] * channels;
    rg_groupnorm_args *a = (void *)c->args;
    a->batch = batch, a->steps = p[1], a->channels = channels, a->eps = 1e-5;
    IN(rg_groupnorm_args, x, n, 1);
    IN(rg_groupnorm_args, gain, channels, 1);
    if (p[3]) IN(rg_groupnorm_args, bias, channels, 1);
    if (!grad) {
        OUT(rg_groupnorm_args, y, n, length);
        MAYBE(rg_groupnorm_args, mean, batch, length);
        MAYBE(rg_groupnorm_args, rstd, batch, length);
        return;
    }
    take(c, "mean"), take(c, "rstd");
    IN(rg_groupnorm_grad_args, dy, n, 1);
    GRAD(rg_groupnorm_grad_args, dx, n, length);
    GRAD(rg_groupnorm_grad_args, dgain, channels, batch * p[1]);
    GRAD(rg_groupnorm_grad_args, dbias, channels, batch * p[1]);
}

static void positions(rg_call *c, const char *name, size_t offset, int64_t n, int64_t quarters)
{
    rg_call_field *f = rg_call_in(c, name, offset, n, 1);
    f->type = RG_F32;
    for (int64_t i = 0; i < n; i++) f->values[i] = (double)(i * quarters) / 4;
}

/* kind 1: keys dropped at random; 2: the last item has no key at all. */
static void key_mask(rg_call *c, int64_t batch, int64_t t_k, int64_t kind)
{
    rg_call_field *f = INTS(rg_attention_args, key_mask, batch * t_k, 0, 3);
    f->type = RG_U8;
    for (int64_t i = 0; kind == 2 && i < t_k; i++) f->values[(batch - 1) * t_k + i] = 0;
}

static void attention(rg_call *c, const int64_t *p, bool grad)
{
    rg_attention_args *a = (void *)c->args;
    const int64_t batch = p[0], heads = p[1], t_q = p[2], t_k = p[3], dim = p[4];
    const int64_t wide = heads * dim, extra = p[10];
    *a = (rg_attention_args){.ld_q = wide + extra,
                             .ld_k = wide + 2 * extra,
                             .ld_v = wide + extra,
                             .batch = batch,
                             .heads = heads,
                             .t_q = t_q,
                             .t_k = t_k,
                             .head_dim = dim,
                             .causal = p[5],
                             .window = (double)p[6],
                             .rope_base = p[7] ? 10000 : 0};
    IN(rg_attention_args, q, batch * t_q * a->ld_q, 1);
    IN(rg_attention_args, k, batch * t_k * a->ld_k, 1);
    IN(rg_attention_args, v, batch * t_k * a->ld_v, 1);
    if (p[8]) key_mask(c, batch, t_k, p[8]);
    if (p[9]) positions(c, "q_pos", offsetof(rg_attention_args, q_pos), t_q, p[9]);
    if (p[9]) positions(c, "k_pos", offsetof(rg_attention_args, k_pos), t_k, 4);
    if (!grad) {
        OUT(rg_attention_args, out, batch * t_q * wide, t_k + dim);
        MAYBE(rg_attention_args, lse, batch * heads * t_q, t_k + dim);
        return;
    }
    take(c, "out"), take(c, "lse");
    IN(rg_attention_grad_args, dout, batch * t_q * wide, 1);
    MAYBE(rg_attention_grad_args, dq, batch * t_q * a->ld_q, t_k + dim);
    MAYBE(rg_attention_grad_args, dk, batch * t_k * a->ld_k, t_q + dim);
    MAYBE(rg_attention_grad_args, dv, batch * t_k * a->ld_v, t_q + dim);
}

static void embedding(rg_call *c, const int64_t *p, bool grad)
{
    rg_embedding_args *a = (void *)c->args;
    a->rows = p[0], a->books = p[1], a->entries = p[2], a->channels = p[3];
    INTS(rg_embedding_args, codes, a->rows * a->books, -1, a->entries - 1);
    IN(rg_embedding_args, table, a->books * a->entries * a->channels, 1);
    if (!grad) {
        OUT(rg_embedding_args, y, a->rows * a->channels, a->books);
        return;
    }
    IN(rg_embedding_grad_args, dy, a->rows * a->channels, 1);
    GRAD(rg_embedding_grad_args, dtable, a->books * a->entries * a->channels, a->rows);
}

static void activation(rg_call *c, const int64_t *p, bool grad)
{
    rg_activation_args *a = (void *)c->args;
    a->n = p[0], a->act = (rg_act)p[1], a->slope = (double)p[2] / 100;
    IN(rg_activation_args, x, a->n, 3);
    if (!grad) {
        OUT(rg_activation_args, y, a->n, 1);
        return;
    }
    IN(rg_activation_grad_args, dy, a->n, 1);
    GRAD(rg_activation_grad_args, dx, a->n, 1);
}

static void softmax_ce(rg_call *c, const int64_t *p, bool grad)
{
    (void)grad;
    rg_softmax_ce_args *a = (void *)c->args;
    a->rows = p[0], a->classes = p[1];
    IN(rg_softmax_ce_args, logits, a->rows * a->classes, 4);
    INTS(rg_softmax_ce_args, targets, a->rows, -1, p[3] ? -1 : a->classes - 1);
    if (p[2]) {
        rg_call_field *weight = IN(rg_softmax_ce_args, weight, a->rows, 1);
        weight->type = RG_F32;
        for (int64_t i = 0; i < a->rows; i++) weight->values[i] = (double)(i % 3);
    }
    OUT(rg_softmax_ce_args, loss, 1, a->rows + a->classes);
    MAYBE(rg_softmax_ce_args, nll, a->rows, a->classes);
    MAYBE(rg_softmax_ce_args, dlogits, a->rows * a->classes, a->classes);
}

static void rvq(rg_call *c, const int64_t *p, bool grad)
{
    (void)grad;
    rg_rvq_args *a = (void *)c->args;
    a->rows = p[0], a->dim = p[1], a->entries = p[2];
    a->n_books = (int32_t)p[3], a->n_q = (int32_t)p[4], a->fixed_codes = p[5];
    const int64_t n = a->rows * a->dim;
    IN(rg_rvq_args, x, n, 1);
    IN(rg_rvq_args, books, a->n_books * a->entries * a->dim, 0.7);
    INTS(rg_rvq_args, codes, a->rows * a->n_books, -1, a->entries - 1)->out = !a->fixed_codes;
    OUT(rg_rvq_args, q, n, p[4]);
    OUT(rg_rvq_args, commit, 1, n * p[4]);
    MAYBE(rg_rvq_args, dcommit, n, p[4]);
    MAYBE(rg_rvq_args, residuals, a->n_q * n, p[4]);
    c->nan_defined = false; /* the nearest entry to NaN is no entry */
}

static void stft_fields(rg_call *c, const int64_t *p, rg_stft_args *a)
{
    c->nan_defined = false; /* a transform may leave out products with its zeros */
    *a = (rg_stft_args){.batch = p[0],
                        .t_in = p[1],
                        .n_fft = (int32_t)p[2],
                        .hop = (int32_t)p[3],
                        .pad_left = p[4],
                        .pad_right = p[5],
                        .pad_mode = (rg_pad)p[6],
                        .frames = p[7],
                        .scale = per_root(p[2])};
    IN(rg_stft_args, x, a->batch * a->t_in, 1);
}

static void stft(rg_call *c, const int64_t *p, bool grad)
{
    rg_stft_args *a = (void *)c->args;
    stft_fields(c, p, a);
    const int64_t n_y = a->batch * a->frames * (a->n_fft / 2 + 1) * 2;
    if (!grad) {
        OUT(rg_stft_args, y, n_y, a->n_fft);
        return;
    }
    IN(rg_stft_grad_args, dy, n_y, 1);
    GRAD(rg_stft_grad_args, dx, a->batch * a->t_in, a->n_fft);
}

/* Triangles over the bins, a few bins each: mostly zeros, like a mel bank. */
static void bank(rg_call *c, int64_t bins, int64_t bands)
{
    rg_call_field *f = IN(rg_spectrogram_args, bank, bins * bands, 1);
    for (int64_t k = 0; k < bins; k++)
        for (int64_t m = 0; m < bands; m++) {
            const double centre = ((double)m + 0.5) * (double)bins / (double)bands;
            f->values[k * bands + m] = (float)fmax(0, 1.3 - fabs((double)k + 0.5 - centre) / 3);
        }
}

static void spectrogram(rg_call *c, const int64_t *p, bool grad)
{
    rg_spectrogram_args *a = (void *)c->args;
    stft_fields(c, p, &a->stft);
    a->n_bands = p[8], a->power = (int32_t)p[9], a->log_floor = 1e-3;
    const int64_t bins = a->stft.n_fft / 2 + 1;
    if (a->n_bands) bank(c, bins, a->n_bands);
    const int64_t n_y = a->stft.batch * a->stft.frames * (a->n_bands ? a->n_bands : bins);
    if (!grad) {
        MAYBE(rg_spectrogram_args, y, n_y, a->stft.n_fft);
        /* a bin far below the others has lost digits, which its logarithm shows */
        MAYBE(rg_spectrogram_args, log_y, n_y, 16 * a->stft.n_fft);
        return;
    }
    if (p[10] != 2) IN(rg_spectrogram_grad_args, dy, n_y, 1);
    if (p[10] != 1) IN(rg_spectrogram_grad_args, dlog_y, n_y, 1);
    /* a small bin's direction is as inexact as the frame is to it: 1 / |z| */
    GRAD(rg_spectrogram_grad_args, dx, a->stft.batch * a->stft.t_in, 16 * a->stft.n_fft);
}

static void distance(rg_call *c, const int64_t *p, bool grad)
{
    rg_distance_args *a = (void *)c->args;
    a->batch = p[0], a->n = p[1], a->kind = (rg_distance_kind)p[2], a->eps = 1e-3;
    IN(rg_distance_args, a, a->batch * a->n, 1);
    IN(rg_distance_args, b, a->batch * a->n, 1);
    if (!grad) {
        OUT(rg_distance_args, y, 1, a->batch * a->n);
        return;
    }
    IN(rg_distance_grad_args, dy, 1, 1);
    GRAD(rg_distance_grad_args, da, a->batch * a->n, a->n);
}

static void add(rg_call *c, const int64_t *p, bool grad)
{
    if (grad) {
        rg_reduce_args *a = (void *)c->args;
        a->n = p[0], a->n_b = p[1], a->scale = 0.7;
        IN(rg_reduce_args, dy, a->n, 1);
        GRAD(rg_reduce_args, db, a->n_b, a->n_b ? a->n / a->n_b : 1);
        return;
    }
    rg_add_args *a = (void *)c->args;
    a->n = p[0], a->n_b = p[1], a->alpha = 0.6, a->beta = -1.3;
    IN(rg_add_args, a, a->n, 1);
    if (p[2]) IN(rg_add_args, b, a->n_b, 1);
    if (p[3]) IN(rg_add_args, by, 1, 1);
    OUT(rg_add_args, y, a->n, 1);
}

static void weight_norm(rg_call *c, const int64_t *p, bool grad)
{
    rg_weight_norm_args *a = (void *)c->args;
    a->outer = p[0], a->n = p[1], a->inner = p[2];
    const int64_t n = a->outer * a->n * a->inner, length = a->outer * a->inner;
    IN(rg_weight_norm_args, v, n, 1);
    IN(rg_weight_norm_args, g, a->n, 1);
    if (!grad) {
        OUT(rg_weight_norm_args, w, n, length);
        return;
    }
    IN(rg_weight_norm_args, dw, n, 1);
    MAYBE(rg_weight_norm_args, dg, a->n, length);
    MAYBE(rg_weight_norm_args, dv, n, length);
}

static void convert(rg_call *c, const int64_t *p, bool grad)
{
    ((rg_convert_args *)(void *)c->args)->n = p[0];
    if (grad) {
        IN(rg_convert_grad_args, dy, p[0], 1);
        OUT(rg_convert_grad_args, dx, p[0], 1)->add =
            (ptrdiff_t)offsetof(rg_convert_grad_args, add_dx);
        return;
    }
    IN(rg_convert_args, x, p[0], 1);
    OUT(rg_convert_args, y, p[0], 1)->add = (ptrdiff_t)offsetof(rg_convert_args, add_y);
}

#include "kernel_cases_alone.inc"

/* ---- the table ---- */

typedef struct kernel_case {
    const char *slot;
    case_build *build;
    rg_call_fn *forward, *grad;
    int64_t p[13];
} kernel_case;

#define WITH(name, ...) {#name, name, name##_call, name##_grad_call, {__VA_ARGS__}},
#define ALONE(name, ...) {#name, name, name##_call, NULL, {__VA_ARGS__}},
static const kernel_case cases[] = {
#include "kernel_cases.def"
};

int32_t rg_kernel_case_count(void)
{
    return (int32_t)(sizeof cases / sizeof cases[0]);
}

bool rg_kernel_case_has_grad(int32_t index)
{
    return cases[index].grad != NULL;
}

const char *rg_kernel_case_slot(int32_t index)
{
    return cases[index].slot;
}

/* The same numbers for a case wherever it stands in the table. */
static uint64_t seed_of(const kernel_case *k)
{
    uint64_t seed = 0;
    for (const char *p = k->slot; *p; p++) seed = seed * 31 + (uint64_t)*p;
    for (int i = 0; i < 12; i++) seed = seed * 31 + (uint64_t)k->p[i];
    return seed;
}

#include "kernel_stored.inc"

void rg_kernel_case_build(int32_t index, bool grad, rg_arena *memory, rg_call *c)
{
    const kernel_case *k = &cases[index];
    *c = (rg_call){.fn = grad ? k->grad : k->forward, .nan_defined = true};
    c->index = index, c->seed = seed_of(k), c->memory = memory;
    int n = snprintf(c->name, sizeof c->name, "%s%s(", k->slot, grad ? ".grad" : "");
    for (int i = 0; i < 12; i++)
        n += snprintf(c->name + n, sizeof c->name - (size_t)n, "%s%lld", i ? " " : "",
                      (long long)k->p[i]);
    snprintf(c->name + n, sizeof c->name - (size_t)n, ")");
    k->build(c, k->p, grad);
    mark_stored(c, k->slot);
}
