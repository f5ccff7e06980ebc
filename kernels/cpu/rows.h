/*
 * Convolutions along time as products of overlapping rows: the part that conv1d, conv_tr1d and
 * linear's weight gradient share.
 *
 * One idea: a convolution and a transposed convolution are the same loop. Output row q takes `taps`
 * runs of input channels, at input rows q*step + j*dilation - pad; a transposed convolution by s is
 * that with step 1 and s output frames in every row (polyphase). Rows beyond the ends, and rows
 * that an activation must pass first, are copied in pieces that stay in L2.
 */
#ifndef RG_KERNELS_CPU_ROWS_H
#define RG_KERNELS_CPU_ROWS_H

#include "kernels/cpu/cpu.h"

enum { RG_ROWS_LARGE = 100000 }; /* weights from which on dw is one product over all rows */

/* Rows (batch,t,c) as a reader sees them: activated, and continued beyond both ends. */
typedef struct rg_rows {
    const float *x;
    int64_t batch, t, c;
    rg_pad pad_mode;
    rg_act act;
} rg_rows;

/* out item = rows q < q_count of n floats, cut to floats [skip, skip + length). */
typedef struct rg_rows_conv {
    rg_rows in;
    int64_t step, dilation, taps, pad;
    rg_gemm weight;    /* b, b_row, b_type: (taps * c, n) */
    const float *bias; /* (n) or NULL */
    int64_t q_count, n;
    float *out;
    int64_t skip, length;
    /* out (+)= result * act'(back_x) when back_x; the same shape as out */
    const float *back_x;
    rg_act back_act;
    bool add;
} rg_rows_conv;

/*
 * How many output rows are best computed as one of as many times the columns, where a row takes
 * `reach` input rows and the next begins `stride` further: few columns fill a vector badly, many
 * rows at once multiply more zeros. At least 1; always 1 for tiles that sum more than a pair of k
 * in an order of their own.
 */
int64_t rg_rows_frames(const rg_tiles *tiles, int64_t reach, int64_t stride, int64_t columns);

rg_status rg_rows_conv_run(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_rows_conv *v);

/*
 * dw (taps, left.c, right.c) (+)= sum over items and q < q_count of
 * left[q*left_step + j*dilation - left_pad] (x) right[q - right_pad].
 * turned: dw is (taps, right.c, left.c); then, reversed: with the last tap first.
 */
typedef struct rg_rows_grad {
    rg_rows left, right;
    int64_t left_step, left_pad, dilation, right_pad, taps, q_count;
    bool turned, reversed;
    float *dw;
    bool add;
} rg_rows_grad;

rg_status rg_rows_grad_run(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_rows_grad *v);

/* Rows [r0,r1) of an item as floats or in bf16: where they lie when they are plain floats, else
 * copied to `room`. */
const void *rg_rows_load(const rg_isa *isa, const rg_rows *in, rg_dtype type, int64_t item,
                         int64_t r0, int64_t r1, void *room);

#endif
