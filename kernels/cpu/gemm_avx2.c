/*
 * The GEMM's tiles in AVX2 and FMA: 6 rows of 16, 8 or 4 columns.
 *
 * One idea: 12 accumulators, two vectors of b and one of a fill 15 of the 16 registers.
 */
#include <immintrin.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/unroll.h"

#define MR 6

/* Eight ones and eight zeros: a window of it is the mask of the first n lanes. */
static const int32_t lanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

static inline __m256i mask_of(int64_t n)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)(lanes + 8 - n));
}

static inline __m256 widened(const uint16_t *p)
{
    const __m128i half = _mm_loadu_si128((const __m128i *)(const void *)p);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

#define V __m256
#define LANES 8
#define ZERO _mm256_setzero_ps()
#define SPLAT(p) _mm256_broadcast_ss(p)
#define LOAD(p) _mm256_loadu_ps(p)
#define LOAD_PART(p, m) _mm256_maskload_ps(p, m)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define STORE_PART(p, m, v) _mm256_maskstore_ps(p, m, v)
#define FMA _mm256_fmadd_ps
#define ADD _mm256_add_ps
#define MASK __m256i
#define MASK_OF(n) mask_of(n)

#define NAME tile_16
#define ELEMENT float
#define LOAD_B LOAD
#define LOAD_B_PART LOAD_PART
#define NV 2
#include "kernels/cpu/micro.inc"

#define NAME tile_16_bf16
#define ELEMENT uint16_t
#define LOAD_B(p) widened(p)
#define LOAD_B_PART(p, m) widened(p) /* panels are filled up with zeros */
#define NV 2
#include "kernels/cpu/micro.inc"

#define NAME tile_8
#define ELEMENT float
#define LOAD_B LOAD
#define LOAD_B_PART LOAD_PART
#define NV 1
#include "kernels/cpu/micro.inc"
#include "kernels/cpu/micro_end.inc"

#define V __m128
#define LANES 4
#define ZERO _mm_setzero_ps()
#define SPLAT(p) _mm_broadcast_ss(p)
#define LOAD(p) _mm_loadu_ps(p)
#define LOAD_PART(p, m) _mm_maskload_ps(p, m)
#define STORE(p, v) _mm_storeu_ps(p, v)
#define STORE_PART(p, m, v) _mm_maskstore_ps(p, m, v)
#define FMA _mm_fmadd_ps
#define ADD _mm_add_ps
#define MASK __m128i
#define MASK_OF(n) _mm256_castsi256_si128(mask_of(n))

#define NAME tile_4
#define ELEMENT float
#define LOAD_B LOAD
#define LOAD_B_PART LOAD_PART
#define NV 1
#include "kernels/cpu/micro.inc"
#include "kernels/cpu/micro_end.inc"

/* Twelve chains hide the latency of every machine we know. */
static double burst(int64_t loops)
{
    __m256 a[12], x = _mm256_set1_ps(0.999F), y = _mm256_set1_ps(0.001F);
    float out[8];
    volatile float keep;
    RG_UNROLL
    for (int i = 0; i < 12; i++) a[i] = _mm256_set1_ps((float)i);
    for (int64_t k = 0; k < loops; k++) {
        RG_UNROLL
        for (int i = 0; i < 12; i++) a[i] = _mm256_fmadd_ps(a[i], x, y);
    }
    for (int i = 1; i < 12; i++) a[0] = _mm256_add_ps(a[0], a[i]);
    _mm256_storeu_ps(out, a[0]);
    keep = out[0];
    (void)keep;
    return (double)loops * 12 * 8 * 2;
}

const rg_isa rg_isa_avx2 = {
    .name = "avx2",
    .mr = MR,
    .width = {16, 8, 4, 0},
    .tile = {tile_16, tile_8, tile_4},
    .tile_bf16 = tile_16_bf16,
    .vec = &rg_vec_avx2,
    .burst = burst,
};
