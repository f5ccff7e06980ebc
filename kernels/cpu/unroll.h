/*
 * RG_UNROLL in front of a loop with constant bounds: unroll it whole, in gcc's and clang's words.
 */
#ifndef RG_KERNELS_CPU_UNROLL_H
#define RG_KERNELS_CPU_UNROLL_H

#ifdef __clang__
#define RG_UNROLL _Pragma("unroll")
#else
#define RG_UNROLL _Pragma("GCC unroll 16")
#endif

#endif
