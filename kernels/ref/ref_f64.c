/*
 * The reference kernels in double: the truth that every other level and every gradient is checked
 * against. One idea: the same source as ref_f32.c.
 */
typedef double real;
#define RG_REAL RG_F64
#define RG_REFERENCE_NAME "ref64"
#include "kernels/ref/table.inc"

const rg_kernels *rg_kernels_reference64(void)
{
    return &reference;
}
