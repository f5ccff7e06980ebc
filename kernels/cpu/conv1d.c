/*
 * Conv1d along time, channels last: forward and gradients as products over rows (rows.h).
 *
 * One idea: few output channels are made many by taking several frames as one row of the product
 * (rows.h). The input gradient is a transposed convolution of dy, done in polyphase: phase p of the
 * stride takes taps p, p + stride, ... of dy, so that `stride` neighbouring frames are the columns
 * of one product. Reflected frames are computed like inner ones and then added where they came
 * from.
 */
#include "kernels/cpu/polyphase.h"
#include "kernels/cpu/rows.h"

#include <string.h>

static rg_rows input_of(const rg_conv1d_args *a)
{
    return (rg_rows){a->x, a->batch, a->t_in, a->c_in, a->pad_mode, a->act_in};
}

/* v as `frames` output frames a row: their weights side by side, each begun a stride lower. */
static rg_status widen(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_conv1d_args *a,
                       int64_t frames, rg_rows_conv *v)
{
    const int64_t ci = a->c_in, co = a->c_out, n = frames * co;
    const int64_t taps = a->kernel + (frames - 1) * a->stride;
    float *plain = rg_cpu_scratch(ctx, taps * ci * n);
    float *bias = rg_cpu_scratch(ctx, n);
    if (!plain || !bias) return ctx->error->code;
    memset(plain, 0, (size_t)(taps * ci * n) * sizeof(float));
    for (int64_t f = 0; f < frames; f++) {
        for (int64_t i = 0; i < a->kernel * ci; i++) {
            const int64_t row = f * a->stride + i / ci;
            memcpy(plain + (row * ci + i % ci) * n + f * co, (const float *)a->w + i * co,
                   (size_t)co * sizeof(float));
        }
        if (a->bias) memcpy(bias + f * co, a->bias, (size_t)co * sizeof(float));
    }
    v->weight.b = rg_panels_make(isa, ctx, ctx->operands, plain, n, 1, taps * ci, n);
    v->weight.b_type = v->weight.operands = ctx->operands;
    v->step = frames * a->stride, v->taps = taps;
    v->q_count = div_up(a->t_out, frames), v->n = n, v->bias = a->bias ? bias : NULL;
    return v->weight.b ? RG_OK : ctx->error->code;
}

rg_status rg_cpu_conv1d(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_conv1d_args *a)
{
    rg_rows_conv v = {.in = input_of(a),
                      .step = a->stride,
                      .dilation = a->dilation,
                      .taps = a->kernel,
                      .pad = a->pad_left,
                      .bias = a->bias,
                      .q_count = a->t_out,
                      .n = a->c_out,
                      .out = a->y,
                      .length = a->t_out * a->c_out};
    const int64_t frames = a->dilation > 1 ? 1
                                           : rg_rows_frames(rg_tiles_of(isa, ctx->operands),
                                                            a->kernel, a->stride, a->c_out);
    const bool rounded = a->w_packed && a->packed_type == RG_BF16 && ctx->operands == RG_F32;
    const bool narrow = frames > 1 && !rounded;
    if (narrow) {
        RG_TRY(widen(isa, ctx, a, frames, &v));
    } else {
        const rg_weight w = {a->w, a->w_packed, a->packed_type, a->kernel * a->c_in, a->c_out};
        RG_TRY(rg_gemm_set_weight(isa, ctx, &w, false, &v.weight));
    }
    return rg_rows_conv_run(isa, ctx, &v);
}

/* ---- input gradient ---- */

typedef struct fold_job {
    const rg_isa *isa;
    const rg_conv1d_grad_args *g;
    const float *edge;   /* (batch, rows, c_in): gradients of the padded frames of one side */
    int64_t first, rows; /* padded frame of the first row */
} fold_job;

/* Adds an item's padded frames to the frames that they reflect. */
static void fold_task(void *ctx, int64_t item, int32_t thread)
{
    (void)thread;
    const fold_job *j = ctx;
    const rg_conv1d_args *a = &j->g->fwd;
    const int64_t c = a->c_in;
    for (int64_t i = 0; i < j->rows; i++) {
        const int64_t r = j->first + i, s = r < 0 ? -r : 2 * (a->t_in - 1) - r;
        const int64_t at = (item * a->t_in + s) * c;
        j->isa->vec->act_grad(a->act_in, RG_FUSED_LEAKY_SLOPE, (const float *)a->x + at,
                              j->edge + (item * j->rows + i) * c, (float *)j->g->dx + at, c, true);
    }
}

/* Frames [first, first + rows) of the padded input, counted from the first real one. */
static rg_status fold_side(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_conv1d_grad_args *g,
                           rg_polyphase p, int64_t first, int64_t rows)
{
    if (rows <= 0) return RG_OK;
    const rg_conv1d_args *a = &g->fwd;
    float *edge = rg_cpu_scratch(ctx, a->batch * rows * a->c_in);
    if (!edge) return ctx->error->code;
    p.out = edge, p.add = false, p.back_x = NULL, p.back_act = RG_ACT_NONE;
    p.trim = a->pad_left + first, p.t_out = rows;
    RG_TRY(rg_polyphase_run(isa, ctx, &p));
    fold_job j = {isa, g, edge, first, rows};
    rg_pool_run(a->batch * rows * a->c_in < 16384 ? NULL : ctx->pool, fold_task, &j, a->batch);
    return RG_OK;
}

static rg_status input_grad(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_conv1d_grad_args *g)
{
    const rg_conv1d_args *a = &g->fwd;
    rg_polyphase p = {.in = {g->dy, a->batch, a->t_out, a->c_out, RG_PAD_ZERO, RG_ACT_NONE},
                      .w = a->w,
                      .turned = true,
                      .taps = a->kernel,
                      .stride = a->stride,
                      .dilation = a->dilation,
                      .c_out = a->c_in,
                      .trim = a->pad_left,
                      .t_out = a->t_in,
                      .out = g->dx,
                      .back_x = a->x,
                      .back_act = a->act_in,
                      .add = g->add_dx};
    RG_TRY(rg_polyphase_pack(isa, ctx, &p));
    RG_TRY(rg_polyphase_run(isa, ctx, &p));
    if (a->pad_mode != RG_PAD_REFLECT) return RG_OK;
    RG_TRY(fold_side(isa, ctx, g, p, -a->pad_left, a->pad_left));
    return fold_side(isa, ctx, g, p, a->t_in, a->pad_right);
}

/* ---- weight gradient ---- */

/*
 * Outer products of the rows that a tap reads and dy. Where dy is the narrower one and nothing is
 * strided, the taps move along dy instead, backwards, and the wide input fills the tiles.
 */
static rg_status weight_grad(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_conv1d_grad_args *g)
{
    const rg_conv1d_args *a = &g->fwd;
    rg_rows_grad v = {.left = input_of(a),
                      .right = {g->dy, a->batch, a->t_out, a->c_out, RG_PAD_ZERO, RG_ACT_NONE},
                      .left_step = a->stride,
                      .left_pad = a->pad_left,
                      .dilation = a->dilation,
                      .taps = a->kernel,
                      .q_count = a->t_out,
                      .dw = g->dw,
                      .add = g->add_dw};
    if (a->stride == 1 && a->c_out < min64(a->c_in, isa->f32->width[0])) {
        const rg_rows x = v.left;
        const int64_t reach = (int64_t)(a->kernel - 1) * a->dilation;
        v.left = v.right, v.left_pad = reach;
        v.right = x, v.right_pad = a->pad_left;
        v.q_count = a->t_out + reach;
        v.turned = v.reversed = true;
    }
    return rg_rows_grad_run(isa, ctx, &v);
}

rg_status rg_cpu_conv1d_grad(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_conv1d_grad_args *g)
{
    const rg_conv1d_args *a = &g->fwd;
    if (g->dx) RG_TRY(input_grad(isa, ctx, g));
    if (g->dw) RG_TRY(weight_grad(isa, ctx, g));
    if (g->dbias)
        RG_TRY(rg_cpu_bias_grad(isa, ctx, g->dy, a->batch * a->t_out, a->c_out, a->c_out, g->dbias,
                                g->add_dbias));
    return RG_OK;
}
