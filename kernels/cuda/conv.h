/*
 * What the two ways of computing a convolution share: its sizes, and what goes in and out.
 *
 * One idea: a convolution leads from its wide side to its narrow one; x is the narrow side of a
 * transposed one. conv.c makes products of it, for every type; conv_dnn.c gives it to cuDNN.
 */
#ifndef RG_KERNELS_CUDA_CONV_H
#define RG_KERNELS_CUDA_CONV_H

#include "kernels/cuda/parts.h"

/* A convolution from the wide side (grid) to the narrow side (out), whichever of both is x. */
typedef struct rg_conv {
    rg_kernel_ctx *ctx;
    rg_dtype type;
    rg_grid grid, out; /* out: the narrow side, gw columns apart */
    int64_t rows;      /* of `out`, up to the last that is read */
    int32_t taps_h, taps_w;
    int32_t stride_h, stride_w, dilation_h, dilation_w;
    bool turned; /* each tap of w is (C_out, C_grid) instead of (C_grid, C_out) */
    const void *w;
} rg_conv;

/* What both directions of a convolution need to know of x and y beside the sizes. */
typedef struct rg_conv_sides {
    const void *x;
    rg_act act_in;
    const float *bias;
    rg_act act;
    double slope;
} rg_conv_sides;

/* Columns of the wide side that outputs look at, from the first to the last. */
static inline int64_t rg_conv_columns(const rg_conv *c)
{
    return (c->out.w - 1) * c->stride_w + (int64_t)(c->taps_w - 1) * c->dilation_w + 1;
}

/* Through cuDNN. *done is false, and nothing was queued, where it has no plan. */
rg_status rg_conv_dnn_forward(const rg_conv *c, const rg_conv_sides *s, void *y, bool *done);
/* dx (+)= the gradient; dy as the products have it: in the cells of the side that x is not. */
rg_status rg_conv_dnn_gradient(const rg_conv *c, const rg_conv_sides *s, const void *dy, void *dx,
                               bool add, bool *done);

#endif
