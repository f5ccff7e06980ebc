/*
 * Convolutions with one channel on one side: the first and the last layer of codecs and
 * discriminators.
 *
 * One idea: with one channel there is nothing for a product of matrices to reuse: every value of
 * the other side meets each tap once. So these read memory once and write it once, with padding,
 * reflection, bias and activations on the way, where products would write grids out first.
 * In fp32 sums; `type` is that of activations. All work is queued to ctx->stream.
 */
#ifndef RG_KERNELS_CUDA_CONV_THIN_H
#define RG_KERNELS_CUDA_CONV_THIN_H

#include "kernels/kernels.h"

RG_C_BEGIN

/*
 * From the wide side (B,h,w,.) to the narrow one (B,h_out,w_out,.), w (KH,KW,C): tap (kh,kw) of
 * output (i,j) reads row i stride_h + kh dilation_h - top and column j stride_w + kw dilation_w -
 * left; beyond the tensor are zeros, or the columns mirrored at the border.
 */
typedef struct rg_thin {
    rg_dtype type, operands;
    int64_t batch, channels; /* C: of the side that is not thin */
    int32_t h, w, h_out, w_out, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int32_t top, left;
    bool reflect, thin_wide; /* whether the wide side has the one channel; else the narrow one */
} rg_thin;

/* What a pass writes beside the sums over taps. */
typedef struct rg_thin_ends {
    const float *bias; /* forward: of the narrow side's channels, or NULL */
    rg_act act, act_in;
    double slope;  /* of act; act_in's is RG_FUSED_LEAKY_SLOPE */
    const void *x; /* the wide side before act_in; dx with act_in NONE does not read it */
    bool add;      /* dx and dw: added to what is there */
} rg_thin_ends;

/* y = act(bias + taps over act_in(x)), w of `type`. */
rg_status rg_cuda_thin_forward(rg_kernel_ctx *ctx, const rg_thin *t, const rg_thin_ends *ends,
                               const void *w, void *y);
/* dx (+)= act_in'(x) times taps over dy. */
rg_status rg_cuda_thin_dx(rg_kernel_ctx *ctx, const rg_thin *t, const rg_thin_ends *ends,
                          const void *w, const void *dy, void *dx);
/* dw (KH,KW,C), F32 (+)= sums over outputs of act_in(x) dy, in a fixed order. */
rg_status rg_cuda_thin_dw(rg_kernel_ctx *ctx, const rg_thin *t, const rg_thin_ends *ends,
                          const void *dy, float *dw);

RG_C_END

#endif
