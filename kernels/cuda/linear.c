/*
 * Linear layers: one product forward, two backward.
 *
 * One idea: the gradient at the value before the activation is made once, by the activation's own
 * kernel, and both products and the bias read it. dy itself serves where there is no activation.
 */
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/parts.h"

static rg_status linear_forward(rg_kernel_ctx *ctx, rg_dtype type, const rg_linear_args *a)
{
    if (a->rows == 0 || a->c_out == 0) return RG_OK;
    const void *w =
        rg_cuda_weight(ctx, type, a->w, a->w_packed, a->packed_type, a->c_in * a->c_out);
    if (!w) return ctx->error->code;
    RG_TRY(rg_cuda_gemm(ctx, &(rg_gemm){.m = a->rows,
                                        .n = a->c_out,
                                        .k = a->c_in,
                                        .a = a->x,
                                        .b = w,
                                        .lda = a->c_in,
                                        .ldb = a->c_out,
                                        .ldc = a->c_out,
                                        .type = type,
                                        .operands = ctx->operands,
                                        .c_type = type,
                                        .c = a->y}));
    if (!a->bias && !a->pre && a->act == RG_ACT_NONE) return RG_OK;
    return rg_cuda_bias_act(ctx, type,
                            &(rg_bias_act){.y = a->y,
                                           .pre = a->pre,
                                           .bias = a->bias,
                                           .rows = a->rows,
                                           .cols = a->c_out,
                                           .act = a->act,
                                           .slope = RG_FUSED_LEAKY_SLOPE});
}

/* dy act'(pre) in scratch, or dy itself. */
static const void *before_activation(rg_kernel_ctx *ctx, rg_dtype type,
                                     const rg_linear_grad_args *g)
{
    static rg_status (*const grads[])(rg_kernel_ctx *, const rg_activation_grad_args *) = {
        [RG_F32] = rg_cuda_activation_f32_grad,
        [RG_F16] = rg_cuda_activation_f16_grad,
        [RG_BF16] = rg_cuda_activation_bf16_grad,
    };
    const rg_linear_args *a = &g->fwd;
    if (a->act == RG_ACT_NONE) return g->dy;
    rg_activation_grad_args d = {
        .fwd = {.x = a->pre, .n = a->rows * a->c_out, .act = a->act, .slope = RG_FUSED_LEAKY_SLOPE},
        .dy = g->dy};
    d.dx = rg_cuda_scratch(ctx, d.fwd.n, type);
    if (!d.dx || grads[type](ctx, &d) != RG_OK) return NULL;
    return d.dx;
}

/* dx (M,K) (+)= dpre (M,N) w^T */
static rg_status linear_dx(rg_kernel_ctx *ctx, rg_dtype type, const rg_linear_grad_args *g,
                           const void *dpre)
{
    const rg_linear_args *a = &g->fwd;
    const void *w =
        rg_cuda_weight(ctx, type, a->w, a->w_packed, a->packed_type, a->c_in * a->c_out);
    if (!w) return ctx->error->code;
    return rg_cuda_gemm(ctx, &(rg_gemm){.m = a->rows,
                                        .n = a->c_in,
                                        .k = a->c_out,
                                        .a = dpre,
                                        .b = w,
                                        .lda = a->c_out,
                                        .ldb = a->c_out,
                                        .ldc = a->c_in,
                                        .trans_b = true,
                                        .add = g->add_dx,
                                        .type = type,
                                        .operands = ctx->operands,
                                        .c_type = type,
                                        .c = g->dx});
}

/* dw (K,N) (+)= x^T dpre */
static rg_status linear_dw(rg_kernel_ctx *ctx, rg_dtype type, const rg_linear_grad_args *g,
                           const void *dpre)
{
    const rg_linear_args *a = &g->fwd;
    return rg_cuda_gemm(ctx, &(rg_gemm){.m = a->c_in,
                                        .n = a->c_out,
                                        .k = a->rows,
                                        .a = a->x,
                                        .b = dpre,
                                        .lda = a->c_in,
                                        .ldb = a->c_out,
                                        .ldc = a->c_out,
                                        .trans_a = true,
                                        .add = g->add_dw,
                                        .type = type,
                                        .operands = ctx->operands,
                                        .c_type = RG_F32,
                                        .c = g->dw});
}

static rg_status linear_grad(rg_kernel_ctx *ctx, rg_dtype type, const rg_linear_grad_args *g)
{
    const rg_linear_args *a = &g->fwd;
    const void *dpre = before_activation(ctx, type, g);
    if (!dpre && a->rows * a->c_out > 0) return ctx->error->code;
    if (g->dx) RG_TRY(linear_dx(ctx, type, g, dpre));
    if (g->dw) RG_TRY(linear_dw(ctx, type, g, dpre));
    if (!g->dbias) return RG_OK;
    return rg_cuda_column_sums(ctx, type, dpre, a->rows, a->c_out, g->dbias, g->add_dbias);
}

RG_CUDA_SLOT_IN_C(linear)
