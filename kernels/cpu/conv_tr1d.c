/*
 * Transposed conv1d: forward in polyphase, its input gradient an ordinary strided convolution of
 * dy.
 */
#include "kernels/cpu/polyphase.h"

static rg_rows input_of(const rg_conv_tr1d_args *a)
{
    return (rg_rows){a->x, a->batch, a->t_in, a->c_in, RG_PAD_ZERO, a->act_in};
}

static rg_rows output_of(const rg_conv_tr1d_grad_args *g)
{
    return (rg_rows){g->dy, g->fwd.batch, g->fwd.t_out, g->fwd.c_out, RG_PAD_ZERO, RG_ACT_NONE};
}

rg_status rg_cpu_conv_tr1d(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_conv_tr1d_args *a)
{
    rg_polyphase p = {.in = input_of(a),
                      .w = a->w,
                      .taps = a->kernel,
                      .stride = a->stride,
                      .dilation = 1,
                      .c_out = a->c_out,
                      .bias = a->bias,
                      .trim = a->trim_left,
                      .t_out = a->t_out,
                      .out = a->y};
    RG_TRY(rg_polyphase_pack(isa, ctx, &p));
    return rg_polyphase_run(isa, ctx, &p);
}

/* dx[t] = act'(x[t]) * sum over k of dy[t*stride + k - trim] w[k]^T */
static rg_status input_grad(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_conv_tr1d_grad_args *g)
{
    const rg_conv_tr1d_args *a = &g->fwd;
    const int64_t k = a->kernel, ci = a->c_in, co = a->c_out;
    float *turned = rg_cpu_scratch(ctx, k * co * ci);
    if (!turned) return ctx->error->code;
    const float *w = a->w;
    for (int64_t tap = 0; tap < k; tap++)
        isa->vec->turn(w + tap * ci * co, ci, co, co, turned + tap * co * ci, ci);
    const void *panels = rg_panels_make(isa, ctx, ctx->operands, turned, ci, 1, k * co, ci);
    if (!panels) return ctx->error->code;
    rg_rows_conv v = {.in = output_of(g),
                      .step = a->stride,
                      .dilation = 1,
                      .taps = k,
                      .pad = a->trim_left,
                      .q_count = a->t_in,
                      .n = ci,
                      .out = g->dx,
                      .length = a->t_in * ci,
                      .back_x = a->x,
                      .back_act = a->act_in,
                      .add = g->add_dx};
    v.weight.b = panels, v.weight.b_type = v.weight.operands = ctx->operands;
    return rg_rows_conv_run(isa, ctx, &v);
}

rg_status rg_cpu_conv_tr1d_grad(const rg_isa *isa, rg_kernel_ctx *ctx,
                                const rg_conv_tr1d_grad_args *g)
{
    const rg_conv_tr1d_args *a = &g->fwd;
    if (g->dx) RG_TRY(input_grad(isa, ctx, g));
    if (g->dw) {
        const rg_rows_grad v = {.left = output_of(g),
                                .right = input_of(a),
                                .left_step = a->stride,
                                .left_pad = a->trim_left,
                                .dilation = 1,
                                .taps = a->kernel,
                                .q_count = a->t_in,
                                .turned = true,
                                .dw = g->dw,
                                .add = g->add_dw};
        RG_TRY(rg_rows_grad_run(isa, ctx, &v));
    }
    if (g->dbias)
        RG_TRY(rg_cpu_bias_grad(isa, ctx, g->dy, a->batch * a->t_out, a->c_out, a->c_out, g->dbias,
                                g->add_dbias));
    return RG_OK;
}
