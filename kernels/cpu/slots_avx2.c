/*
 * The slots of the AVX2 level: no code of its own, see table.inc.
 */
#define RG_ISA rg_isa_avx2
#define RG_FILL rg_cpu_fill_avx2
#include "kernels/cpu/table.inc"
