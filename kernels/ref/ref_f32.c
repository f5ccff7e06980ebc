/*
 * The reference kernels in float: level "ref" of the CPU, for tests, valgrind and machines without
 * AVX2. One idea: the same source as ref_f64.c.
 */
typedef float real;
#define RG_REAL RG_F32
#define RG_REFERENCE_NAME "ref"
#include "kernels/ref/table.inc"

const rg_kernels *rg_kernels_reference(void)
{
    return &reference;
}
