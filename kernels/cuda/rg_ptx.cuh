/*
 * Every PTX instruction that kernels use, and what it does on the CPU.
 *
 * One idea: the device's form is one asm statement; its twin, for the emulator, is written from the
 * fragment layouts of the PTX ISA (warp-level matrix instructions), so that kernels which depend on
 * who holds which element run unchanged. With lane = 4 g + t:
 *   A (16,16) row g, g + 8 in registers r[0], r[1] for columns 2t, 2t+1, in r[2], r[3] for 2t+8;
 *   B (16,8)  column g, rows 2t, 2t+1 in r[0], 2t+8, 2t+9 in r[1];
 *   C (16,8)  row g, columns 2t, 2t+1 in f[0], f[1]; row g + 8 in f[2], f[3].
 * Not here: everything that CUDA C++ can say (rg_cuda.cuh).
 */
#ifndef RG_KERNELS_CUDA_RG_PTX_CUH
#define RG_KERNELS_CUDA_RG_PTX_CUH

#include "kernels/cuda/rg_cuda.cuh"

struct rg_a16 { /* pairs of 16-bit elements */
    uint32_t r[4];
};
struct rg_b16 {
    uint32_t r[2];
};
struct rg_c16 {
    float f[4];
};

#if defined(__CUDACC__)

/* c += a b for elements O: __half, or __nv_bfloat16 (from sm_80; before that it traps). */
template <class O>
__device__ __forceinline__ void rg_mma_16816(rg_c16 &c, const rg_a16 &a, const rg_b16 &b);

#if __CUDA_ARCH__ >= 800
#define RG_MMA(type)                                                            \
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." type "." type ".f32 " \
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"        \
                 : "+f"(c.f[0]), "+f"(c.f[1]), "+f"(c.f[2]), "+f"(c.f[3])       \
                 : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]), "r"(b.r[1]))

template <>
__device__ __forceinline__ void rg_mma_16816<__half>(rg_c16 &c, const rg_a16 &a, const rg_b16 &b)
{
    RG_MMA("f16");
}

template <>
__device__ __forceinline__ void rg_mma_16816<__nv_bfloat16>(rg_c16 &c, const rg_a16 &a,
                                                            const rg_b16 &b)
{
    RG_MMA("bf16");
}
#undef RG_MMA
#else
/* Half of the depth, which is what sm_75 multiplies at a time. */
__device__ __forceinline__ void rg_mma_1688(rg_c16 &c, uint32_t a0, uint32_t a1, uint32_t b)
{
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
                 "{%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                 : "+f"(c.f[0]), "+f"(c.f[1]), "+f"(c.f[2]), "+f"(c.f[3])
                 : "r"(a0), "r"(a1), "r"(b));
}

template <>
__device__ __forceinline__ void rg_mma_16816<__half>(rg_c16 &c, const rg_a16 &a, const rg_b16 &b)
{
    rg_mma_1688(c, a.r[0], a.r[1], b.r[0]);
    rg_mma_1688(c, a.r[2], a.r[3], b.r[1]);
}

template <>
__device__ __forceinline__ void rg_mma_16816<__nv_bfloat16>(rg_c16 &, const rg_a16 &,
                                                            const rg_b16 &)
{
    __trap();
}
#endif

/*
 * Four matrices of 8 rows of 16 bytes in shared memory; lanes 8 m .. 8 m + 7 give the addresses of
 * the rows of matrix m, which lands in d.r[m]: lane 4 g + t gets columns 2t, 2t+1 of row g; of the
 * transposed matrix in the second form.
 */
__device__ __forceinline__ void rg_ldmatrix_x4(rg_a16 &d, const void *row)
{
    const uint32_t at = (uint32_t)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(d.r[0]), "=r"(d.r[1]), "=r"(d.r[2]), "=r"(d.r[3])
                 : "r"(at));
}

__device__ __forceinline__ void rg_ldmatrix_x4_trans(rg_a16 &d, const void *row)
{
    const uint32_t at = (uint32_t)__cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(d.r[0]), "=r"(d.r[1]), "=r"(d.r[2]), "=r"(d.r[3])
                 : "r"(at));
}

#else

/* Element `part` of a register of pairs. */
template <class O> inline float rg_ptx_element(uint32_t pair, int part)
{
    O v;
    memcpy(static_cast<void *>(&v), reinterpret_cast<const char *>(&pair) + 2 * part, 2);
    return rg_tofloat(v);
}

/* The whole warp's product, by the lane that comes last; ptr[lane] = its a, b and c. */
template <class O> inline void rg_ptx_multiply(::cuemu::Coll *warp)
{
    float a[16][16], b[16][8];
    for (int lane = 0; lane < 32; lane++) {
        const int g = lane >> 2, t = lane & 3;
        const rg_a16 *la = static_cast<const rg_a16 *>(warp->ptr[lane][0]);
        const rg_b16 *lb = static_cast<const rg_b16 *>(warp->ptr[lane][1]);
        for (int i = 0; i < 8; i++)
            a[g + (i & 2) * 4][2 * t + (i & 1) + (i & 4) * 2] =
                rg_ptx_element<O>(la->r[i >> 1], i & 1);
        for (int i = 0; i < 4; i++)
            b[2 * t + (i & 1) + (i & 2) * 4][g] = rg_ptx_element<O>(lb->r[i >> 1], i & 1);
    }
    for (int lane = 0; lane < 32; lane++)
        for (int i = 0; i < 4; i++) {
            const int row = (lane >> 2) + (i & 2) * 4, col = 2 * (lane & 3) + (i & 1);
            float *sum = &static_cast<rg_c16 *>(warp->ptr[lane][2])->f[i];
            for (int k = 0; k < 16; k++) *sum += a[row][k] * b[k][col];
        }
}

template <class O> inline void rg_mma_16816(rg_c16 &c, const rg_a16 &a, const rg_b16 &b, CUEMU_AT)
{
    void *p[4] = {const_cast<rg_a16 *>(&a), const_cast<rg_b16 *>(&b), &c, nullptr};
    ::cuemu::coll_leave(::cuemu::coll_arrive(::cuemu::OP_MMA, CUEMU_FULL, nullptr, 0, f_, l_, p,
                                             rg_ptx_multiply<O>));
}

/* ptr[lane] = where its matrices go, and its row. */
inline void rg_ptx_load(::cuemu::Coll *warp)
{
    for (int lane = 0; lane < 32; lane++)
        for (int m = 0; m < 4; m++)
            memcpy(&static_cast<rg_a16 *>(warp->ptr[lane][0])->r[m],
                   static_cast<const char *>(warp->ptr[8 * m + (lane >> 2)][1]) + 4 * (lane & 3),
                   4);
}

inline void rg_ptx_load_trans(::cuemu::Coll *warp)
{
    for (int lane = 0; lane < 32; lane++)
        for (int i = 0; i < 8; i++) { /* element i & 1 of matrix i >> 1 */
            const int row = 8 * (i >> 1) + 2 * (lane & 3) + (i & 1);
            uint32_t *r = &static_cast<rg_a16 *>(warp->ptr[lane][0])->r[i >> 1];
            memcpy(reinterpret_cast<char *>(r) + 2 * (i & 1),
                   static_cast<const char *>(warp->ptr[row][1]) + 2 * (lane >> 2), 2);
        }
}

inline void rg_ldmatrix_x4(rg_a16 &d, const void *row, CUEMU_AT)
{
    void *p[4] = {&d, const_cast<void *>(row), nullptr, nullptr};
    ::cuemu::coll_leave(
        ::cuemu::coll_arrive(::cuemu::OP_LDSM, CUEMU_FULL, nullptr, 0, f_, l_, p, rg_ptx_load));
}

inline void rg_ldmatrix_x4_trans(rg_a16 &d, const void *row, CUEMU_AT)
{
    void *p[4] = {&d, const_cast<void *>(row), nullptr, nullptr};
    ::cuemu::coll_leave(::cuemu::coll_arrive(::cuemu::OP_LDSM, CUEMU_FULL, nullptr, 0, f_, l_, p,
                                             rg_ptx_load_trans));
}

#endif

#endif
