/*
 * The AVX-512 level: its elementwise loops and its slots. No text of its own, see vec.inc and
 * table.inc.
 */
#define RG_ISA rg_isa_avx512
#define RG_TILE_ROWS 14 /* as in gemm_avx512.c */
#define RG_VEC rg_vec_avx512
#define RG_FILL rg_cpu_fill_avx512
#include "kernels/cpu/table.inc"
