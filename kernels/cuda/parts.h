/*
 * Kernels that no slot of the table is, but slots are made of: conversions, bias and activation
 * after a product, sums of columns, grids round a convolution.
 *
 * One idea: a convolution is a few products over rows of a grid, which is a tensor with its padding
 * written out. enter.. makes a grid of a tensor, leave.. a tensor of a grid.
 * `type` is that of activations, F32, F16 or BF16. All work is queued to ctx->stream.
 */
#ifndef RG_KERNELS_CUDA_PARTS_H
#define RG_KERNELS_CUDA_PARTS_H

#include "kernels/kernels.h"

RG_C_BEGIN

/* to[i] = from[i], rounded to the nearest, i < n; between F32 and any type of activations. */
rg_status rg_cuda_convert(rg_kernel_ctx *ctx, const void *from, rg_dtype from_type, void *to,
                          rg_dtype to_type, int64_t n);

/*
 * A weight of n floats as its products with activations of `type` read it: `packed` where it is of
 * that type, else converted to scratch. With F32 a packed weight is read where its rounding is not
 * that of ctx->operands anyway. NULL after an error.
 */
const void *rg_cuda_weight(rg_kernel_ctx *ctx, rg_dtype type, const void *w, const void *packed,
                           rg_dtype packed_type, int64_t n);

/* Device scratch; NULL, with the error recorded, when there is no room. */
void *rg_cuda_scratch(rg_kernel_ctx *ctx, int64_t n, rg_dtype type);

/* y (rows,cols) = act(y + bias (cols)); pre, or NULL, takes y + bias. bias NULL: none. */
typedef struct rg_bias_act {
    void *y, *pre;
    const float *bias;
    int64_t rows, cols;
    rg_act act;
    double slope;
} rg_bias_act;
rg_status rg_cuda_bias_act(rg_kernel_ctx *ctx, rg_dtype type, const rg_bias_act *a);

/* sums (cols) (+)= the sums of the columns of x (rows,cols), in a fixed order. */
rg_status rg_cuda_column_sums(rg_kernel_ctx *ctx, rg_dtype type, const void *x, int64_t rows,
                              int64_t cols, float *sums, bool add);

/* to (b,a,rest) = from (a,b,rest); each row of to (rows,cols) = row (cols). F16 or BF16. */
rg_status rg_cuda_swap(rg_kernel_ctx *ctx, rg_dtype type, const void *from, int64_t a, int64_t b,
                       int64_t rest, void *to);
rg_status rg_cuda_repeat(rg_kernel_ctx *ctx, rg_dtype type, const float *row, int64_t rows,
                         int64_t cols, void *to);

/*
 * A grid (B, GH, GW, C) over a tensor (B, H, W, C): cell (r,q) is the element of row
 * r * step - top and column q - left. Cells beyond the tensor are 0; `reflect`: those of columns
 * -left .. -1 and W .. W + right - 1 are the columns mirrored at the border instead.
 */
typedef struct rg_grid {
    int64_t batch, h, w, c, gh, gw, step, top, left, right;
    bool reflect;
} rg_grid;

/* grid = act(x): both of `type`. */
rg_status rg_cuda_enter(rg_kernel_ctx *ctx, rg_dtype type, const rg_grid *g, const void *x,
                        rg_act act, double slope, void *grid);
/* grid = x act'(y), y as an activation wrote it whose derivative its sign tells; y NULL: x. */
rg_status rg_cuda_enter_grad(rg_kernel_ctx *ctx, rg_dtype type, const rg_grid *g, const void *x,
                             const void *y, double slope, void *grid);
/* x (+)= act'(at) times the sum of the cells (of grid_type: F32, or `type`) that are copies of each
 * element. at NULL: 1. */
rg_status rg_cuda_leave_grad(rg_kernel_ctx *ctx, rg_dtype type, const rg_grid *g,
                             rg_dtype grid_type, const void *grid, const void *at, rg_act act,
                             double slope, void *x, bool add);
/* y = act(cell + bias (C)) of the cell (F32) that each element lies on. */
rg_status rg_cuda_leave(rg_kernel_ctx *ctx, rg_dtype type, const rg_grid *g, const float *grid,
                        const float *bias, rg_act act, double slope, void *y);

RG_C_END

#endif
