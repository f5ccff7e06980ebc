/*
 * The AVX512-BF16 level: AVX-512 with products of bf16 operands by its own tiles.
 */
#include "kernels/cpu/cpu.h"

#define RG_ISA rg_isa_avx512bf16
#include "kernels/cpu/bind.inc"

void rg_cpu_fill_avx512bf16(rg_kernels *k)
{
    fill_products(k);
}
