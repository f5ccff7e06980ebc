/*
 * What conv2d's forward and gradients share: padded planes in scratch.
 *
 * One idea: a task copies the few padded image rows that it reads, so that every output row is a
 * product of overlapping rows in `reach_h` segments of equal pitch; the input gradient is the same
 * loop over dy in polyphase along both axes, as in polyphase.h.
 */
#ifndef RG_KERNELS_CPU_CONV2D_H
#define RG_KERNELS_CPU_CONV2D_H

#include "kernels/cpu/cpu.h"

/* Rows [h0, h0 + rows) of an image (h,w,c), `left` pixels of zeros before and zeros behind up to
 * `width` pixels; rows outside the image are zeros. Loaded as floats or in bf16. */
typedef struct rg_plane {
    const float *x;
    int64_t h, w, c, h0, rows, left, width;
} rg_plane;

void rg_plane_load(const rg_isa *isa, const rg_plane *p, rg_dtype type, void *out);
/* Value `at` of a loaded plane. */
const void *rg_plane_at(const void *plane, rg_dtype type, int64_t at);

/* Rows of a task so that a plane of `pitch` floats a row stays in L2: at least 1. */
int64_t rg_plane_rows(int64_t pitch, int64_t extra, int64_t step, int64_t all);

rg_status rg_conv2d_dx(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_conv2d_grad_args *g);
rg_status rg_conv2d_dw(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_conv2d_grad_args *g);

#endif
