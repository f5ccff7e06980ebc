/*
 * The AVX2 level: its elementwise loops and its slots. No text of its own, see vec.inc and
 * table.inc.
 */
#define RG_ISA rg_isa_avx2
#define RG_TILE_ROWS 6 /* as in gemm_avx2.c */
#define RG_VEC rg_vec_avx2
#define RG_FILL rg_cpu_fill_avx2
#include "kernels/cpu/table.inc"
