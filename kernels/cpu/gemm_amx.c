/*
 * The GEMM's tiles for bf16 operands with AMX-BF16: gemm_amx.inc by instructions.
 *
 * One idea: TDPBF16PS sums even and odd k of a tile apart, each by fused multiply-adds, then adds
 * both sums to C; it rounds to nearest and takes subnormal numbers as zeros in any mode.
 */
#include <immintrin.h>

#include "kernels/cpu/avx512.h"

/* gcc's intrinsics do not tell it that they read memory: what was written stays before them, what
 * is written next behind them. */
#define KEEP(p) __asm__ volatile("" : : "r"(p) : "memory")

static inline void load_config(const void *config)
{
    KEEP(config);
    _tile_loadconfig(config);
    KEEP(config);
}

#define UNIT_CONFIGURE(p) load_config(p)
#define UNIT_RELEASE() _tile_release()
#define UNIT_ZERO(t) _tile_zero(t)
#define UNIT_LOAD(t, p, pitch)        \
    do {                              \
        const void *from_ = (p);      \
        KEEP(from_);                  \
        _tile_loadd(t, from_, pitch); \
        KEEP(from_);                  \
    } while (0)
#define UNIT_STORE(t, p, pitch) _tile_stored(t, p, pitch)
#define UNIT_MULTIPLY(c, a, b) _tile_dpbf16ps(c, a, b)
#include "kernels/cpu/gemm_amx.inc"

static const rg_tiles pairs = {
    .mr = BLOCK, .k_step = STEP, .width = {32, 16, 0}, .tile = {pairs_32, pairs_16}};

/* An instruction takes as long as some ten of AVX-512. */
static double burst(int64_t loops)
{
    configure(BLOCK);
    /* the configuration leaves zeros in all tiles */
    const int64_t rounds = loops / 4;
    for (int64_t k = 0; k < rounds; k++) {
        UNIT_MULTIPLY(C00, A0, B0);
        UNIT_MULTIPLY(C01, A0, B1);
        UNIT_MULTIPLY(C10, A1, B0);
        UNIT_MULTIPLY(C11, A1, B1);
    }
    UNIT_RELEASE();
    return (double)rounds * (2 * BLOCK * BLOCK * STEP);
}

const rg_isa rg_isa_amx = {
    .name = "amx",
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
