/*
 * The GEMM's tiles for bf16 operands with AVX512-BF16: 14 rows of 32 or 16 columns.
 *
 * One idea: VDPBF16PS adds the products of two neighbouring k to each fp32 sum, so a tile is fp32's
 * with half the steps. It rounds to nearest and takes subnormal numbers as zeros in any mode.
 */
#include <immintrin.h>
#include <string.h>

#include "kernels/cpu/avx512.h"
#include "kernels/cpu/unroll.h"

#define MR 14

static inline __m512bh pairs_at(const uint16_t *p)
{
    return (__m512bh)_mm512_loadu_si512(p);
}

static inline __m512bh splat_pair(const uint16_t *p)
{
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return (__m512bh)_mm512_set1_epi32(pair);
}

#define V __m512
#define LANES 16
#define ZERO _mm512_setzero_ps()
#define LOAD(p) _mm512_loadu_ps(p)
#define LOAD_PART(p, m) _mm512_maskz_loadu_ps(m, p)
#define STORE(p, v) _mm512_storeu_ps(p, v)
#define STORE_PART(p, m, v) _mm512_mask_storeu_ps(p, m, v)
#define ADD _mm512_add_ps
#define MASK __mmask16
#define MASK_OF(n) ((__mmask16)((1U << (n)) - 1))

#define NAME pairs_32
#define NV 2
#include "kernels/cpu/micro_pairs.inc"

#define NAME pairs_16
#define NV 1
#include "kernels/cpu/micro_pairs.inc"

#include "kernels/cpu/micro_end.inc"

static double burst(int64_t loops)
{
    __m512 a[12];
    const __m512bh x = (__m512bh)_mm512_set1_epi32(0x3f7f3f7f), y = x;
    float out[16];
    volatile float keep;
    RG_UNROLL
    for (int i = 0; i < 12; i++) a[i] = _mm512_set1_ps((float)i);
    for (int64_t k = 0; k < loops; k++) {
        RG_UNROLL
        for (int i = 0; i < 12; i++) a[i] = _mm512_dpbf16_ps(a[i], x, y);
    }
    for (int i = 1; i < 12; i++) a[0] = _mm512_add_ps(a[0], a[i]);
    _mm512_storeu_ps(out, a[0]);
    keep = out[0];
    (void)keep;
    return (double)loops * 12 * 32 * 2;
}

static const rg_tiles pairs = {
    .mr = MR, .k_step = 2, .width = {32, 16, 0}, .tile = {pairs_32, pairs_16}};

const rg_isa rg_isa_avx512bf16 = {
    .name = "avx512bf16",
    .pairs = &rg_isa_avx512bf16,
    .f32 = &rg_tiles_avx512,
    .bf16 = &pairs,
    .weight_tile = rg_weight_tile_avx512,
    .fast = RG_BF16,
    .byte_tile = rg_byte_tile_avx512,
    .vec = &rg_vec_avx512bf16,
    .burst = rg_burst_avx512,
    .burst_bf16 = burst,
};
