/*
 * Weights and biases of a convolution as cuDNN reads them (parts.h).
 *
 * One idea: neighbouring threads write neighbours; what they read lies apart, but weights are few
 * and stay in the cache. Not here: matrices worth a tile in shared memory.
 */
#include "kernels/cuda/flat.cuh"
#include "kernels/cuda/parts.h"

namespace
{

template <class T>
__global__ void __launch_bounds__(RG_FLAT_THREADS)
    swap_kernel(const T *__restrict__ from, T *__restrict__ to, int64_t a, int64_t b, int64_t rest,
                int64_t n)
{
    const int64_t i = (int64_t)blockIdx.x * RG_FLAT_THREADS + threadIdx.x;
    if (i >= n) return;
    const int64_t row = rg_quotient(i, rest), k = i - row * rest;
    const int64_t second = rg_quotient(row, a), first = row - second * a;
    to[i] = from[(first * b + second) * rest + k];
}

template <class T>
__global__ void __launch_bounds__(RG_FLAT_THREADS)
    repeat_kernel(const float *__restrict__ row, T *__restrict__ to, int64_t cols, int64_t n,
                  bool wide)
{
    const int64_t i = rg_flat_at();
    if (i >= n) return;
    float v[RG_GROUP];
    RG_UNROLL
    for (int k = 0; k < RG_GROUP; k++) v[k] = row[rg_modulo(i + k, cols)];
    rg_store_group(to, i, n, wide, false, v);
}

template <class T>
rg_status swap_call(rg_kernel_ctx *ctx, const void *from, int64_t a, int64_t b, int64_t rest,
                    void *to)
{
    const int64_t n = a * b * rest;
    if (n == 0) return RG_OK;
    const dim3 blocks((unsigned)((n + RG_FLAT_THREADS - 1) / RG_FLAT_THREADS));
    return rg_cuda_check(ctx, RG_LAUNCH(swap_kernel<T>, blocks, dim3(RG_FLAT_THREADS), 0,
                                        (cudaStream_t)ctx->stream, (const T *)from, (T *)to, a, b,
                                        rest, n));
}

template <class T>
rg_status repeat_call(rg_kernel_ctx *ctx, const float *row, int64_t rows, int64_t cols, void *to)
{
    const int64_t n = rows * cols;
    if (n == 0) return RG_OK;
    return rg_cuda_check(ctx, RG_LAUNCH(repeat_kernel<T>, rg_flat_grid(n), dim3(RG_FLAT_THREADS), 0,
                                        (cudaStream_t)ctx->stream, row, (T *)to, cols, n,
                                        rg_wide((T *)to)));
}

} // namespace

extern "C" rg_status rg_cuda_swap(rg_kernel_ctx *ctx, rg_dtype type, const void *from, int64_t a,
                                  int64_t b, int64_t rest, void *to)
{
    return type == RG_F16 ? swap_call<__half>(ctx, from, a, b, rest, to)
                          : swap_call<__nv_bfloat16>(ctx, from, a, b, rest, to);
}

extern "C" rg_status rg_cuda_repeat(rg_kernel_ctx *ctx, rg_dtype type, const float *row,
                                    int64_t rows, int64_t cols, void *to)
{
    return type == RG_F16 ? repeat_call<__half>(ctx, row, rows, cols, to)
                          : repeat_call<__nv_bfloat16>(ctx, row, rows, cols, to);
}
