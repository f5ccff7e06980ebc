/*
 * The AMX level: AVX-512 with products of bf16 operands by AMX-BF16's tiles.
 */
#include "kernels/cpu/cpu.h"

#define RG_ISA rg_isa_amx
#include "kernels/cpu/bind.inc"

void rg_cpu_fill_amx(rg_kernels *k)
{
    fill_products(k);
}
