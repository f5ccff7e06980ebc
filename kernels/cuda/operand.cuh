/*
 * Values as operands of products, as ctx->operands asks.
 *
 * One idea: rounding is a function of the value alone, so it may be done where a value is loaded,
 * kept or made, whichever is least often.
 */
#ifndef RG_KERNELS_CUDA_OPERAND_CUH
#define RG_KERNELS_CUDA_OPERAND_CUH

#include "kernels/cuda/rg_cuda.cuh"

/* v rounded to `operands`: to nearest, ties to even; F32: v itself. */
__device__ __forceinline__ float rg_operand(float v, rg_dtype operands)
{
    if (operands == RG_BF16) return rg_tofloat(rg_from<__nv_bfloat16>(v));
    if (operands == RG_F16) return rg_tofloat(rg_from<__half>(v));
    return v;
}

#endif
