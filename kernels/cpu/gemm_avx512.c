/*
 * The GEMM's tiles in AVX-512: 14 rows of 32, 16, 8 or 4 columns.
 *
 * One idea: 28 accumulators, two vectors of b and one of a fill 31 of the 32 registers; narrow
 * products (the first and last layers of a codec) use narrower vectors, not emptier ones.
 */
#include <immintrin.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/unroll.h"

#define MR 14

static inline __m512 widened(const uint16_t *p)
{
    const __m256i half = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

#define V __m512
#define LANES 16
#define ZERO _mm512_setzero_ps()
#define SPLAT(p) _mm512_set1_ps(*(p))
#define LOAD(p) _mm512_loadu_ps(p)
#define LOAD_PART(p, m) _mm512_maskz_loadu_ps(m, p)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define STORE_PART(p, m, v) _mm512_mask_storeu_ps(p, m, v)
#define FMA _mm512_fmadd_ps
#define ADD _mm512_add_ps
#define MASK __mmask16
#define MASK_OF(n) ((__mmask16)((1U << (n)) - 1))

#define NAME tile_32
#define ELEMENT float
#define LOAD_B LOAD
#define LOAD_B_PART LOAD_PART
#define NV 2
#include "kernels/cpu/micro.inc"

#define NAME tile_32_bf16
#define ELEMENT uint16_t
#define LOAD_B(p) widened(p)
#define LOAD_B_PART(p, m) widened(p) /* panels are filled up with zeros */
#define NV 2
#include "kernels/cpu/micro.inc"

#define NAME tile_16
#define ELEMENT float
#define LOAD_B LOAD
#define LOAD_B_PART LOAD_PART
#define NV 1
#include "kernels/cpu/micro.inc"
#include "kernels/cpu/micro_end.inc"

#define V __m256
#define LANES 8
#define ZERO _mm256_setzero_ps()
#define SPLAT(p) _mm256_set1_ps(*(p))
#define LOAD(p) _mm256_loadu_ps(p)
#define LOAD_PART(p, m) _mm256_maskz_loadu_ps(m, p)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define STORE_PART(p, m, v) _mm256_mask_storeu_ps(p, m, v)
#define FMA _mm256_fmadd_ps
#define ADD _mm256_add_ps
#define MASK __mmask8
#define MASK_OF(n) ((__mmask8)((1U << (n)) - 1))

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
#define SPLAT(p) _mm_set1_ps(*(p))
#define LOAD(p) _mm_loadu_ps(p)
#define LOAD_PART(p, m) _mm_maskz_loadu_ps(m, p)
#define STORE(p, v) _mm_storeu_ps(p, v)
#define STORE_PART(p, m, v) _mm_mask_storeu_ps(p, m, v)
#define FMA _mm_fmadd_ps
#define ADD _mm_add_ps
#define MASK __mmask8
#define MASK_OF(n) ((__mmask8)((1U << (n)) - 1))

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
    __m512 a[12], x = _mm512_set1_ps(0.999F), y = _mm512_set1_ps(0.001F);
    float out[16];
    volatile float keep;
    RG_UNROLL
    for (int i = 0; i < 12; i++) a[i] = _mm512_set1_ps((float)i);
    for (int64_t k = 0; k < loops; k++) {
        RG_UNROLL
        for (int i = 0; i < 12; i++) a[i] = _mm512_fmadd_ps(a[i], x, y);
    }
    for (int i = 1; i < 12; i++) a[0] = _mm512_add_ps(a[0], a[i]);
    _mm512_storeu_ps(out, a[0]);
    keep = out[0];
    (void)keep;
    return (double)loops * 12 * 16 * 2;
}

const rg_isa rg_isa_avx512 = {
    .name = "avx512",
    .mr = MR,
    .width = {32, 16, 8, 4, 0},
    .tile = {tile_32, tile_16, tile_8, tile_4},
    .tile_bf16 = tile_32_bf16,
    .vec = &rg_vec_avx512,
    .burst = burst,
};
