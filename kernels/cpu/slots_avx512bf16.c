/*
 * The AVX512-BF16 level: AVX-512 with products of bf16 operands by its own tiles, and with operands
 * rounded by its instructions. Its other elementwise loops are AVX-512's text once more.
 */
#include <immintrin.h>

#define RG_ISA rg_isa_avx512bf16
#define RG_TILE_ROWS 14 /* as in gemm_avx512.c */
#define RG_VEC rg_vec_avx512bf16
#include "kernels/cpu/vec.inc"

#include "kernels/cpu/bind.inc"

void rg_cpu_fill_avx512bf16(rg_kernels *k)
{
    fill_products(k);
}
