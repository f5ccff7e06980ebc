/*
 * The GEMM's tiles in AVX-512: 14 rows of 32, 16, 8 or 4 columns.
 *
 * One idea: 28 accumulators, two vectors of b and one of a fill 31 of the 32 registers; narrow
 * products (the first and last layers of a codec) use narrower vectors, not emptier ones.
 */
#include <immintrin.h>
#include <string.h>

#include "kernels/cpu/avx512.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/unroll.h"

#define MR 14

/* One of each pair of bf16 as fp32: the one with the even k, or the odd. */
static inline __m512 half_16(__m512i pairs, int odd)
{
    const __m512i upper = _mm512_set1_epi32((int32_t)0xffff0000);
    return _mm512_castsi512_ps(odd ? _mm512_and_si512(pairs, upper) : _mm512_slli_epi32(pairs, 16));
}

static inline __m256 half_8(__m256i pairs, int odd)
{
    const __m256i upper = _mm256_set1_epi32((int32_t)0xffff0000);
    return _mm256_castsi256_ps(odd ? _mm256_and_si256(pairs, upper) : _mm256_slli_epi32(pairs, 16));
}

static inline __m128 half_4(__m128i pairs, int odd)
{
    const __m128i upper = _mm_set1_epi32((int32_t)0xffff0000);
    return _mm_castsi128_ps(odd ? _mm_and_si128(pairs, upper) : _mm_slli_epi32(pairs, 16));
}

static inline int32_t pair_at(const uint16_t *p)
{
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return pair;
}

static inline __m512 bytes_16(const int8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p)));
}

#define V __m512
#define LANES 16
#define ZERO _mm512_setzero_ps()
#define SPLAT(p) _mm512_set1_ps(*(p))
#define LOAD(p) _mm512_loadu_ps(p)
#define LOAD_PART(p, m) _mm512_maskz_loadu_ps(m, p)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define STORE_PART(p, m, v) _mm512_mask_storeu_ps(p, m, v)
#define HALF(p, odd) half_16(_mm512_loadu_si512(p), odd)
#define PAIRED(p, odd) half_16(_mm512_set1_epi32(pair_at(p)), odd)
#define BYTES(p) bytes_16(p)
#define FMA _mm512_fmadd_ps
#define ADD _mm512_add_ps
#define MASK __mmask16
#define MASK_OF(n) ((__mmask16)((1U << (n)) - 1))

#define NAME tile_32
#define NV 2
#include "kernels/cpu/micro_f32.inc"

#define NAME pairs_32
#define NV 2
#define LEFT uint16_t
#define LOAD_A(p, part) PAIRED(p, part)
#include "kernels/cpu/micro_bf16.inc"

#define NAME weight_32
#define NV 2
#define LEFT float
#define LOAD_A(p, part) SPLAT(p + part * a_col)
#include "kernels/cpu/micro_bf16.inc"

#define NAME bytes_32
#define NV 2
#include "kernels/cpu/micro_int8.inc"

#define NAME tile_16
#define NV 1
#include "kernels/cpu/micro_f32.inc"

#define NAME pairs_16
#define NV 1
#define LEFT uint16_t
#define LOAD_A(p, part) PAIRED(p, part)
#include "kernels/cpu/micro_bf16.inc"
#include "kernels/cpu/micro_end.inc"

#define V __m256
#define LANES 8
#define ZERO _mm256_setzero_ps()
#define SPLAT(p) _mm256_set1_ps(*(p))
#define LOAD(p) _mm256_loadu_ps(p)
#define LOAD_PART(p, m) _mm256_maskz_loadu_ps(m, p)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define STORE_PART(p, m, v) _mm256_mask_storeu_ps(p, m, v)
#define HALF(p, odd) half_8(_mm256_loadu_si256((const __m256i *)(const void *)(p)), odd)
#define PAIRED(p, odd) half_8(_mm256_set1_epi32(pair_at(p)), odd)
#define FMA _mm256_fmadd_ps
#define ADD _mm256_add_ps
#define MASK __mmask8
#define MASK_OF(n) ((__mmask8)((1U << (n)) - 1))

#define NAME tile_8
#define NV 1
#include "kernels/cpu/micro_f32.inc"

#define NAME pairs_8
#define NV 1
#define LEFT uint16_t
#define LOAD_A(p, part) PAIRED(p, part)
#include "kernels/cpu/micro_bf16.inc"
#include "kernels/cpu/micro_end.inc"

#define V __m128
#define LANES 4
#define ZERO _mm_setzero_ps()
#define SPLAT(p) _mm_set1_ps(*(p))
#define LOAD(p) _mm_loadu_ps(p)
#define LOAD_PART(p, m) _mm_maskz_loadu_ps(m, p)
#define STORE(p, v) _mm_storeu_ps(p, v)
#define STORE_PART(p, m, v) _mm_mask_storeu_ps(p, m, v)
#define HALF(p, odd) half_4(_mm_loadu_si128((const __m128i *)(const void *)(p)), odd)
#define PAIRED(p, odd) half_4(_mm_set1_epi32(pair_at(p)), odd)
#define FMA _mm_fmadd_ps
#define ADD _mm_add_ps
#define MASK __mmask8
#define MASK_OF(n) ((__mmask8)((1U << (n)) - 1))

#define NAME tile_4
#define NV 1
#include "kernels/cpu/micro_f32.inc"

#define NAME pairs_4
#define NV 1
#define LEFT uint16_t
#define LOAD_A(p, part) PAIRED(p, part)
#include "kernels/cpu/micro_bf16.inc"
#include "kernels/cpu/micro_end.inc"

/* Twelve chains hide the latency of every machine we know. */
double rg_burst_avx512(int64_t loops)
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

const rg_tiles rg_tiles_avx512 = {
    .mr = MR, .k_step = 1, .width = {32, 16, 8, 4, 0}, .tile = {tile_32, tile_16, tile_8, tile_4}};

static const rg_tiles pairs = {.mr = MR,
                               .k_step = 2,
                               .width = {32, 16, 8, 4, 0},
                               .tile = {pairs_32, pairs_16, pairs_8, pairs_4}};

void rg_weight_tile_avx512(const rg_tile *t)
{
    weight_32(t);
}

void rg_byte_tile_avx512(const rg_tile *t)
{
    bytes_32(t);
}

const rg_isa rg_isa_avx512 = {
    .name = "avx512",
    .pairs = &rg_isa_avx512,
    .f32 = &rg_tiles_avx512,
    .bf16 = &pairs,
    .weight_tile = rg_weight_tile_avx512,
    .byte_tile = rg_byte_tile_avx512,
    .vec = &rg_vec_avx512,
    .burst = rg_burst_avx512,
    .burst_bf16 = rg_burst_avx512,
};
