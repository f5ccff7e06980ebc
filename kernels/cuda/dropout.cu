/*
 * Dropout: element i is kept by word i % 4 of Philox(seed, stream, i / 4).
 *
 * One idea: a thread's group of four elements is one block of the generator, so each block is drawn
 * once; the same elements are dropped as on the CPU. Not here: the generator (base/philox.h).
 */
#include "kernels/cuda/flat.cuh"

#define RG_PHILOX_INLINE static __device__ __forceinline__
#include "base/philox.h"

namespace
{

/* Kept are words >= least. */
template <class T>
__global__ void __launch_bounds__(RG_FLAT_THREADS)
    dropout_kernel(const T *__restrict__ x, T *__restrict__ y, int64_t n, bool wide, uint64_t least,
                   float scale, uint64_t seed, uint64_t stream, bool add_y)
{
    const int64_t i = rg_flat_at();
    if (i >= n) return;
    uint32_t words[4];
    float v[RG_GROUP];
    rg_philox_block(seed, stream, (uint64_t)(i / RG_GROUP), words);
    rg_load_group(x, i, n, wide, v);
    RG_UNROLL
    for (int k = 0; k < RG_GROUP; k++) v[k] = words[k] >= least ? v[k] * scale : 0.f;
    rg_store_group(y, i, n, wide, add_y, v);
}

template <class T> static rg_status dropout_call(rg_kernel_ctx *ctx, const rg_dropout_args *a)
{
    const T *x = (const T *)a->x;
    T *y = (T *)a->y;
    if (a->n == 0) return RG_OK;
    const uint64_t least = (uint64_t)ceil(a->p * 0x1p32); /* word 2^-32 >= p, exactly */
    return rg_cuda_check(ctx,
                         RG_LAUNCH(dropout_kernel<T>, rg_flat_grid(a->n), dim3(RG_FLAT_THREADS), 0,
                                   (cudaStream_t)ctx->stream, x, y, a->n, rg_wide(x) && rg_wide(y),
                                   least, (float)(1 / (1 - a->p)), a->seed, a->stream, a->add_y));
}

} // namespace

RG_CUDA_CALL(dropout)
