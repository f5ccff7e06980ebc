/*
 * Transposed convolution in polyphase: out[t*stride + k*dilation - trim] += in[t] w[k].
 *
 * One idea: with F = the stride, output frames q*F .. q*F + F-1 are the columns of one product,
 * whose rows are the `reach` last input frames up to q; where that is narrow, a few such rows are
 * one (rg_rows_frames). Each output element is one chain, so a stream that keeps those frames gives
 * the same bits as the whole signal. Taps that a dilation skips are zeros.
 */
#ifndef RG_KERNELS_CPU_POLYPHASE_H
#define RG_KERNELS_CPU_POLYPHASE_H

#include "kernels/cpu/rows.h"

typedef struct rg_polyphase {
    rg_rows in;     /* (B,T,C) */
    const float *w; /* (taps, in.c, c_out), or turned: (taps, c_out, in.c) */
    bool turned;
    int64_t taps, stride, dilation, c_out;
    const float *bias; /* (c_out) or NULL */
    int64_t trim, t_out;
    float *out;          /* (B, t_out, c_out) */
    const float *back_x; /* see rg_rows_conv */
    rg_act back_act;
    bool add;
    /* made by rg_polyphase_pack: panels of ctx->operands, strides in a row of the product */
    const void *panels;
    const float *bias_rows;
    int64_t frames;
} rg_polyphase;

/* Makes p->panels and p->bias_rows in scratch. */
rg_status rg_polyphase_pack(const rg_isa *isa, rg_kernel_ctx *ctx, rg_polyphase *p);
rg_status rg_polyphase_run(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_polyphase *p);

#endif
