/*
 * The shape rule of operators with a weight (weighted.h).
 */
#include "ops/weighted.h"

rg_status rg_weighted_check(rg_exec *ex, rg_tensor *const in[], int32_t low, int32_t high,
                            int32_t n_kernel, int64_t longest)
{
    RG_TRY(rg_op_want_rank(ex, in[0], "x", low, high));
    RG_TRY(rg_op_want_rank(ex, in[1], "w", n_kernel + 2, n_kernel + 2));
    static const char *const axes[] = {"kernel length", "kernel height", "kernel width"};
    rg_shape w = in[1]->shape;
    for (int32_t k = 0; k < n_kernel; k++)
        RG_TRY(rg_op_want_between(ex, axes[n_kernel - 1 + k], w.dim[k], 1, longest));
    w.dim[n_kernel] = rg_shape_last(in[0]->shape);
    RG_TRY(rg_op_want_shape(ex, in[1], "w", w));
    return rg_op_want_shape(ex, in[2], "bias", RG_SHAPE(rg_shape_last(w)));
}
