/*
 * The kernels of the reference that know one type only: the optimizer's, always float.
 */
#ifndef RG_KERNELS_REF_REF_H
#define RG_KERNELS_REF_REF_H

#include "kernels/kernels.h"

rg_status rg_ref_adamw_begin(rg_kernel_ctx *ctx, const rg_adamw_begin_args *a);
/* Of a step that is skipped. */
void rg_ref_adamw_skip(const rg_adamw_args *a);
rg_status rg_ref_adamw(rg_kernel_ctx *ctx, const rg_adamw_args *a);
rg_status rg_ref_norm(rg_kernel_ctx *ctx, const rg_norm_args *a);

#endif
