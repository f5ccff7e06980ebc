/*
 * The activations on the device, in fp32: ELU (alpha 1), GELU by erf, leaky ReLU.
 *
 * One idea: the kind is the same for all threads of a launch, so a branch on it costs no
 * divergence. Not here: the elementwise kernel (activation.cu) and those that fuse one on load or
 * store.
 */
#ifndef RG_KERNELS_CUDA_ACT_CUH
#define RG_KERNELS_CUDA_ACT_CUH

#include "kernels/cuda/rg_cuda.cuh"

__device__ __forceinline__ float rg_act_value(rg_act act, float slope, float x)
{
    switch (act) {
    case RG_ACT_ELU:
        return x > 0.f ? x : expm1f(x);
    case RG_ACT_GELU:
        return 0.5f * x * (1.f + erff(x * 0.70710678f));
    case RG_ACT_LEAKY_RELU:
        return x > 0.f ? x : slope * x;
    default:
        return x;
    }
}

/* d act(x) / dx; the left one at a kink. */
__device__ __forceinline__ float rg_act_derivative(rg_act act, float slope, float x)
{
    switch (act) {
    case RG_ACT_ELU:
        return x > 0.f ? 1.f : expf(x);
    case RG_ACT_GELU: /* Phi(x) + x phi(x), with 1/sqrt(2 pi) */
        return 0.5f * (1.f + erff(x * 0.70710678f)) + x * expf(-0.5f * x * x) * 0.39894228f;
    case RG_ACT_LEAKY_RELU:
        return x > 0.f ? 1.f : slope;
    default:
        return 1.f;
    }
}

#endif
