/*
 * The GEMM's tiles in AVX2 and FMA: 6 rows of 16, 8 or 4 columns.
 *
 * One idea: 12 accumulators, two vectors of b and one of a fill 15 of the 16 registers.
 */
#include <immintrin.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/unroll.h"

#define MR 6

/* Eight ones and eight zeros: a window of it is the mask of the first n lanes. */
static const int32_t lanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

static inline __m256i mask_of(int64_t n)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)(lanes + 8 - n));
}

/* One of each pair of bf16 as fp32: the one with the even k, or the odd. */
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

static inline __m256 bytes_8(const int8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p)));
}

#define V __m256
#define LANES 8
#define ZERO _mm256_setzero_ps()
#define SPLAT(p) _mm256_broadcast_ss(p)
#define LOAD(p) _mm256_loadu_ps(p)
#define LOAD_PART(p, m) _mm256_maskload_ps(p, m)
#define STORE(p, v) _mm256_storeu_ps(p, v)
#define STORE_PART(p, m, v) _mm256_maskstore_ps(p, m, v)
#define HALF(p, odd) half_8(_mm256_loadu_si256((const __m256i *)(const void *)(p)), odd)
#define PAIRED(p, odd) half_8(_mm256_set1_epi32(pair_at(p)), odd)
#define BYTES(p) bytes_8(p)
#define FMA _mm256_fmadd_ps
#define ADD _mm256_add_ps
#define MASK __m256i
#define MASK_OF(n) mask_of(n)

#define NAME tile_16
#define NV 2
#include "kernels/cpu/micro_f32.inc"

#define NAME pairs_16
#define NV 2
#define LEFT uint16_t
#define LOAD_A(p, part) PAIRED(p, part)
#include "kernels/cpu/micro_bf16.inc"

#define NAME weight_16
#define NV 2
#define LEFT float
#define LOAD_A(p, part) SPLAT(p + part * a_col)
#include "kernels/cpu/micro_bf16.inc"

#define NAME bytes_16
#define NV 2
#include "kernels/cpu/micro_int8.inc"

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
#define SPLAT(p) _mm_broadcast_ss(p)
#define LOAD(p) _mm_loadu_ps(p)
#define LOAD_PART(p, m) _mm_maskload_ps(p, m)
#define STORE(p, v) _mm_storeu_ps(p, v)
#define STORE_PART(p, m, v) _mm_maskstore_ps(p, m, v)
#define HALF(p, odd) half_4(_mm_loadu_si128((const __m128i *)(const void *)(p)), odd)
#define PAIRED(p, odd) half_4(_mm_set1_epi32(pair_at(p)), odd)
#define FMA _mm_fmadd_ps
#define ADD _mm_add_ps
#define MASK __m128i
#define MASK_OF(n) _mm256_castsi256_si128(mask_of(n))

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

static const rg_tiles f32 = {
    .mr = MR, .k_step = 1, .width = {16, 8, 4, 0}, .tile = {tile_16, tile_8, tile_4}};
static const rg_tiles pairs = {
    .mr = MR, .k_step = 2, .width = {16, 8, 4, 0}, .tile = {pairs_16, pairs_8, pairs_4}};

const rg_isa rg_isa_avx2 = {
    .name = "avx2",
    .pairs = &rg_isa_avx2,
    .f32 = &f32,
    .bf16 = &pairs,
    .weight_tile = weight_16,
    .byte_tile = bytes_16,
    .vec = &rg_vec_avx2,
    .burst = burst,
    .burst_bf16 = burst,
};
