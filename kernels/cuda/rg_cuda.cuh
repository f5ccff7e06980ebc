/*
 * The CUDA dialect of the kernels: all that a .cu file may use beyond plain CUDA C++ functions.
 *
 * One idea: the same source is compiled by nvcc for a GPU and by a C++ compiler for an emulator
 * that runs threads on the CPU (its headers are found first and then __CUDACC__ is not defined).
 * What the two spell differently has one name here: shared memory, launches, loops to unroll. So
 * kernels never write <<<>>>, __shared__ or asm.
 * Not here: instructions without a C++ form (rg_ptx.cuh), groups of elements (flat.cuh), sums over
 * more than a block (sums.cuh).
 */
#ifndef RG_KERNELS_CUDA_RG_CUDA_CUH
#define RG_KERNELS_CUDA_RG_CUDA_CUH

#include <cfloat>
#include <cmath>
#include <cstdint>
#include <utility>

#include <cuda_runtime.h>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/kernels.h"

/* ---- shared memory, loops, launches ---- */

/*
 * RG_SHARED(float, part, [32]): an array of the block; RG_SHARED_ALIGNED the same at a multiple of
 * A bytes. RG_DYN_SHARED(T, name): a pointer to the bytes that the launch gave, at a multiple of
 * 128. RG_UNROLL stands before a loop of constant length; RG_UNROLL_BY(n) lets n rounds of it
 * overlap and no more, where all of them would not fit into the registers.
 */
#if defined(__CUDACC__)
#define RG_SHARED(T, name, dims) __shared__ T name dims
#define RG_SHARED_ALIGNED(A, T, name, dims) \
    __shared__ __align__(A)                 \
    T name dims
#define RG_DYN_SHARED(T, name)                                      \
    extern __shared__ __align__(128) unsigned char rg_dyn_shared[]; \
    T *const name = reinterpret_cast<T *>(rg_dyn_shared)
#define RG_UNROLL _Pragma("unroll")
#define RG_PRAGMA(text) _Pragma(#text)
#define RG_UNROLL_BY(n) RG_PRAGMA(unroll n)
#define RG_ASSUME_ALIGNED(p, V) ((void)0)
#else
#include "cuemu_half.h"
#define RG_SHARED(T, name, dims) RG_SHARED_ALIGNED(16, T, name, dims)
#define RG_SHARED_ALIGNED(A, T, name, dims)                 \
    typedef T name##_array dims;                            \
    static char name##_key;                                 \
    name##_array &name = *reinterpret_cast<name##_array *>( \
        ::cuemu::shared_var(&name##_key, sizeof(name##_array), A, #name))
#define RG_DYN_SHARED(T, name) T *const name = reinterpret_cast<T *>(::cuemu::blk.dyn)
#define RG_UNROLL
#define RG_UNROLL_BY(n)
/* A GPU stops at a misaligned access; x86 does not. */
#define RG_ASSUME_ALIGNED(p, V) \
    if (reinterpret_cast<uintptr_t>(p) % alignof(V)) __trap()
#endif

/* What RG_LAUNCH calls: arguments are converted to the kernel's own parameter types. */
template <class... P, class... A>
static inline cudaError_t rg_launch(const char *name, void (*kernel)(P...), dim3 grid, dim3 block,
                                    size_t shared, cudaStream_t stream, A &&...args)
{
#if defined(__CUDACC__)
    (void)name;
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared;
    config.stream = stream;
    return cudaLaunchKernelEx(&config, kernel, static_cast<P>(std::forward<A>(args))...);
#else
    return ::cuemu::launch(name, kernel, grid, block, shared, stream, std::forward<A>(args)...);
#endif
}

/* RG_LAUNCH((kernel<T, 128>), grid, block, shared bytes, stream, arguments...): a kernel's name
 * with commas stands in parentheses. */
#define RG_LAUNCH(kernel, grid, block, shared, stream, ...) \
    rg_launch(#kernel, kernel, grid, block, shared, stream, __VA_ARGS__)

/* RG_OK, or RG_ERR_DEVICE with CUDA's text in ctx->error. */
static inline rg_status rg_cuda_check(rg_kernel_ctx *ctx, cudaError_t error)
{
    if (error == cudaSuccess) return RG_OK;
    return rg_fail(ctx->error, RG_ERR_DEVICE, "CUDA: %s", cudaGetErrorString(error));
}

/* ---- on the device ---- */

/* cos(pi x) and sin(pi x), which C++ lacks; the reduction of large angles would cost local
 * memory. */
__device__ __forceinline__ double rg_cospi(double x)
{
#if defined(__CUDACC__)
    return cospi(x);
#else
    return cos(3.14159265358979323846 * x);
#endif
}

__device__ __forceinline__ double rg_sinpi(double x)
{
#if defined(__CUDACC__)
    return sinpi(x);
#else
    return sin(3.14159265358979323846 * x);
#endif
}

/* The data is wrong (kernels.h, rg_fault_code); the kernel goes on. */
__device__ __forceinline__ void rg_fault(uint32_t *fault, rg_fault_code code)
{
    atomicMax(fault, (uint32_t)code);
}

/* One access of sizeof(V) bytes, at a multiple of its alignment. */
template <class V> __device__ __forceinline__ V rg_ld(const V *p)
{
    RG_ASSUME_ALIGNED(p, V);
    return *p;
}

template <class V> __device__ __forceinline__ void rg_st(V *p, const V &value)
{
    RG_ASSUME_ALIGNED(p, V);
    *p = value;
}

/* A stored value in fp32, and fp32 rounded to the stored type, ties to even. */
__device__ __forceinline__ float rg_tofloat(float v)
{
    return v;
}

__device__ __forceinline__ float rg_tofloat(__half v)
{
    return __half2float(v);
}

__device__ __forceinline__ float rg_tofloat(__nv_bfloat16 v)
{
    return __bfloat162float(v);
}

template <class T> __device__ __forceinline__ T rg_from(float v);

template <> __device__ __forceinline__ float rg_from<float>(float v)
{
    return v;
}

template <> __device__ __forceinline__ __half rg_from<__half>(float v)
{
    return __float2half_rn(v);
}

template <> __device__ __forceinline__ __nv_bfloat16 rg_from<__nv_bfloat16>(float v)
{
    return __float2bfloat16_rn(v);
}

#define RG_FULL 0xffffffffu /* every lane of a warp */

/* Over the 32 lanes, in a fixed order; every lane calls and every lane has the result. */
__device__ __forceinline__ float rg_warp_sum(float v)
{
    RG_UNROLL
    for (int step = 16; step > 0; step /= 2) v += __shfl_xor_sync(RG_FULL, v, step);
    return v;
}

__device__ __forceinline__ float rg_warp_max(float v)
{
    RG_UNROLL
    for (int step = 16; step > 0; step /= 2) v = fmaxf(v, __shfl_xor_sync(RG_FULL, v, step));
    return v;
}

enum { RG_REDUCE_SUM, RG_REDUCE_MAX };

/* Over the block, whose threads all call; blockDim.x is a multiple of 32. */
template <int OP> __device__ __forceinline__ float rg_block_reduce(float v)
{
    RG_SHARED(float, part, [32]);
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    v = OP == RG_REDUCE_SUM ? rg_warp_sum(v) : rg_warp_max(v);
    __syncthreads(); /* part may still be read from the call before */
    if (lane == 0) part[warp] = v;
    __syncthreads();
    if (warp == 0) {
        const float none = OP == RG_REDUCE_SUM ? 0.f : -INFINITY;
        v = lane < (int)blockDim.x / 32 ? part[lane] : none;
        v = OP == RG_REDUCE_SUM ? rg_warp_sum(v) : rg_warp_max(v);
        if (lane == 0) part[0] = v;
    }
    __syncthreads();
    return part[0];
}

/* ---- the functions of a slot (cuda.h declares them) ---- */

#define RG_CUDA_FUNCTION(function, symbol, T, args)                 \
    extern "C" rg_status symbol(rg_kernel_ctx *ctx, const args *a); \
    extern "C" rg_status symbol(rg_kernel_ctx *ctx, const args *a)  \
    {                                                               \
        return function<T>(ctx, a);                                 \
    }
#define RG_CUDA_SLOT_TYPE(name, suffix, T, forward_args, grad_args)              \
    RG_CUDA_FUNCTION(name##_forward, rg_cuda_##name##_##suffix, T, forward_args) \
    RG_CUDA_FUNCTION(name##_grad, rg_cuda_##name##_##suffix##_grad, T, grad_args)

/* name_forward<T> and name_grad<T> for every type of activations. */
#define RG_CUDA_SLOT_OF(name, forward_args, grad_args)            \
    RG_CUDA_SLOT_TYPE(name, f32, float, forward_args, grad_args)  \
    RG_CUDA_SLOT_TYPE(name, f16, __half, forward_args, grad_args) \
    RG_CUDA_SLOT_TYPE(name, bf16, __nv_bfloat16, forward_args, grad_args)
#define RG_CUDA_SLOT(name) RG_CUDA_SLOT_OF(name, rg_##name##_args, rg_##name##_grad_args)

/* name_call<T>. */
#define RG_CUDA_CALL(name)                                                        \
    RG_CUDA_FUNCTION(name##_call, rg_cuda_##name##_f32, float, rg_##name##_args)  \
    RG_CUDA_FUNCTION(name##_call, rg_cuda_##name##_f16, __half, rg_##name##_args) \
    RG_CUDA_FUNCTION(name##_call, rg_cuda_##name##_bf16, __nv_bfloat16, rg_##name##_args)

#endif
