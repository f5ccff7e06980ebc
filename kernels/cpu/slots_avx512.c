/*
 * The slots of the AVX-512 level: no code of its own, see table.inc.
 */
#define RG_ISA rg_isa_avx512
#define RG_FILL rg_cpu_fill_avx512
#include "kernels/cpu/table.inc"
