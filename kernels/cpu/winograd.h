/*
 * Three taps along the height of an image by Winograd's F(2,3) (Lavin & Gray 2016).
 *
 * One idea: output rows t and t + gap, which take input rows d0, d1, d2 and d1, d2, d3 (gap apart),
 * cost four products of whole rows instead of six:
 *
 *   m0 = (d0 - d2) g0                    y[t]       = m0 + m1 + m2
 *   m1 = (d1 + d2) (g0 + g1 + g2) / 2    y[t + gap] = m1 - m2 - m3
 *   m2 = (d2 - d1) (g0 - g1 + g2) / 2
 *   m3 = (d1 - d3) g2
 *
 * The weight gradient is the adjoint of the same. Pairs are counted from the image's first output
 * row, so bits depend on the row inside the image, but neither on batch, width nor threads.
 *
 * Error, with u = 2^-24, S the sum of |w| over an output's taps and D the largest |d|: the
 * products' terms sum to at most 4 D S and pass at most len + 7 roundings, hence
 * |error| <= 4 (len + 7) u D S, where the direct sum has (3 len + 1) u D S. The weight gradient of
 * P pairs of pixels sums terms of at most 6 P D max|dy| (test_winograd.c holds all three to that).
 * Not here: where pairs do not fit (conv2d.c), products (gemm.c).
 */
#ifndef RG_KERNELS_CPU_WINOGRAD_H
#define RG_KERNELS_CPU_WINOGRAD_H

#include "kernels/cpu/conv2d.h"

/* Whether it does this convolution, and faster than six products would. Not with bf16 operands,
 * whose sums would have to be rounded again. */
bool rg_winograd_fits(const rg_kernel_ctx *ctx, const rg_conv2d_args *a);

/*
 * Output row r < rows of an item: m rows of n floats, row i the product of `len` floats at
 * i * a_row of padded input rows r + in.h0, + gap, + 2 gap, and w (3, len, n).
 * Floats [skip, skip + length) of it go to out (batch, rows, length), added when `add`.
 */
typedef struct rg_winograd {
    rg_plane in; /* of the first item; `rows` unused */
    int64_t batch, gap, rows, m, n, len, a_row;
    const float *w, *bias; /* bias (n) or NULL */
    float *out;
    int64_t skip, length;
    bool add;
    rg_act act; /* of out, before it is added */
    float slope;
} rg_winograd;

/* A convolution's input side: all but w, bias and out. */
rg_winograd rg_conv2d_pairs(const rg_conv2d_args *a);

rg_status rg_winograd_run(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_winograd *v);

/* The gradient of w from dy (batch, rows, m, n), which nothing cuts: dw (3, len, n) (+)= it. */
rg_status rg_winograd_dw(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_winograd *v,
                         const float *dy, float *dw, bool add);

#endif
