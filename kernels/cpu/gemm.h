/*
 * What the GEMM's files share: gemm.c cuts a product into tasks, gemm_f32.c and gemm_bf16.c are one
 * task's product.
 */
#ifndef RG_KERNELS_CPU_GEMM_H
#define RG_KERNELS_CPU_GEMM_H

#include "kernels/cpu/cpu.h"

enum {
    RG_GEMM_COLS = 256, /* columns of a block: a block of b stays in L2 */
    RG_GEMM_TILES = 6,  /* tiles of rows that visit a panel before the next panel */
    RG_GEMM_STRIP = 504 /* rows that lie as columns and are interleaved at a time */
};

void rg__gemm_block_f32(const rg_isa *isa, const rg_gemm *g, float *scratch);
void rg__gemm_block_bf16(const rg_isa *isa, const rg_gemm *g, float *scratch);
int64_t rg__gemm_scratch_f32(const rg_isa *isa, int64_t segs, int64_t len);
int64_t rg__gemm_scratch_bf16(const rg_isa *isa, int64_t segs, int64_t len);

/*
 * out (rows, pitch) = rows [i0, i0 + rows) of a, k in [k0,k1), in bf16, filled up with zeros to
 * `deep` values each.
 */
void rg__gemm_left_bf16(const rg_isa *isa, const rg_gemm *g, int64_t i0, int64_t rows, int64_t k0,
                        int64_t k1, int64_t deep, uint16_t *out, int64_t pitch);

/*
 * For tiles that take pairs, and an a whose rows lie as columns: rows [i0, i0 + rows), at most
 * STRIP, k in [k0,k1) in bf16 as tiles, `tile` elements apart: pair k/2 of row i of a tile lies at
 * (k/2 * mr + i) * 2. Beside an odd last k zeros.
 */
void rg__gemm_pairs_bf16(const rg_isa *isa, const rg_gemm *g, int64_t i0, int64_t rows, int64_t k0,
                         int64_t k1, uint16_t *out, int64_t tile);

#endif
