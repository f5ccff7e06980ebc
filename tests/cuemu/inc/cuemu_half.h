/*
 * What the toolkit's cuda_fp16.h and cuda_bf16.h keep from a plain compiler and kernels use.
 */
#ifndef CUEMU_HALF_H
#define CUEMU_HALF_H

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cmath>

/* The product is exact in double; its sum with c is rounded twice in rare gaps of exponents. */
inline __half __hfma(__half a, __half b, __half c)
{
    return __double2half((double)__half2float(a) * (double)__half2float(b) +
                         (double)__half2float(c));
}

inline __half2 __hfma2(__half2 a, __half2 b, __half2 c)
{
    return __half2(__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y));
}

#endif
