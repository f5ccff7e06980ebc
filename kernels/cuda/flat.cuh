/*
 * Four neighbouring elements per thread: how every elementwise kernel reads and writes memory.
 *
 * One idea: a group of four is one access of 16 bytes (8 for two-byte types) where the launcher
 * found all pointers aligned to it, and four of one element elsewhere and at the end; the
 * arithmetic is the same and so are the bits. Not here: what is computed, sums (sums.cuh).
 */
#ifndef RG_KERNELS_CUDA_FLAT_CUH
#define RG_KERNELS_CUDA_FLAT_CUH

#include "kernels/cuda/rg_cuda.cuh"

enum { RG_GROUP = 4, RG_FLAT_THREADS = 256 };

template <class T> struct alignas(RG_GROUP * sizeof(T)) rg_group {
    T v[RG_GROUP];
};

/* Whether groups of T may be read at p; NULL, which nobody reads, may. */
template <class T> static bool rg_wide(const T *p)
{
    return reinterpret_cast<uintptr_t>(p) % sizeof(rg_group<T>) == 0;
}

/* Blocks of RG_FLAT_THREADS threads with a group each; n > 0. */
static inline dim3 rg_flat_grid(int64_t n)
{
    const int64_t block = (int64_t)RG_GROUP * RG_FLAT_THREADS;
    return dim3((unsigned)((n + block - 1) / block));
}

/* The first element of this thread's group. */
__device__ __forceinline__ int64_t rg_flat_at()
{
    return RG_GROUP * ((int64_t)blockIdx.x * RG_FLAT_THREADS + threadIdx.x);
}

/* v = p[i .. i+4), zeros from n on. */
template <class T>
__device__ __forceinline__ void rg_load_group(const T *p, int64_t i, int64_t n, bool wide,
                                              float v[RG_GROUP])
{
    if (wide && i + RG_GROUP <= n) {
        const rg_group<T> group = rg_ld(reinterpret_cast<const rg_group<T> *>(p + i));
        RG_UNROLL
        for (int k = 0; k < RG_GROUP; k++) v[k] = rg_tofloat(group.v[k]);
    } else {
        RG_UNROLL
        for (int k = 0; k < RG_GROUP; k++) v[k] = i + k < n ? rg_tofloat(p[i + k]) : 0.f;
    }
}

/* p[i .. i+4) (+)= v, up to n. */
template <class T>
__device__ __forceinline__ void rg_store_group(T *p, int64_t i, int64_t n, bool wide, bool add,
                                               const float v[RG_GROUP])
{
    float before[RG_GROUP] = {0.f, 0.f, 0.f, 0.f};
    if (add) rg_load_group(p, i, n, wide, before);
    rg_group<T> group;
    RG_UNROLL
    for (int k = 0; k < RG_GROUP; k++) group.v[k] = rg_from<T>(add ? before[k] + v[k] : v[k]);
    if (wide && i + RG_GROUP <= n) {
        rg_st(reinterpret_cast<rg_group<T> *>(p + i), group);
    } else {
        RG_UNROLL
        for (int k = 0; k < RG_GROUP; k++)
            if (i + k < n) p[i + k] = group.v[k];
    }
}

/* i / n and i % n; short divisions where both are short. */
__device__ __forceinline__ int64_t rg_quotient(int64_t i, int64_t n)
{
    if ((i | n) >> 32 == 0) return (uint32_t)i / (uint32_t)n;
    return i / n;
}

__device__ __forceinline__ int64_t rg_modulo(int64_t i, int64_t n)
{
    return i - rg_quotient(i, n) * n;
}

#endif
