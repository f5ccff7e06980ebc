/*
 * The elementwise loops in AVX-512 (vec.inc).
 */
#include "kernels/cpu/vec.inc"

const rg_vec rg_vec_avx512 = RG_VEC_TABLE;
