/*
 * The elementwise loops in AVX2 (vec.inc).
 */
#include "kernels/cpu/vec.inc"

const rg_vec rg_vec_avx2 = RG_VEC_TABLE;
