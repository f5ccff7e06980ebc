/*
 * Matrix products through cuBLASLt.
 *
 * One idea: what cuBLASLt has to be told and asked about a product (layouts, the algorithm) is kept
 * by sizes, types and alignment, so that a call costs one launch. Products add in fp32 in an order
 * that the sizes decide.
 */
#ifndef RG_KERNELS_CUDA_GEMM_H
#define RG_KERNELS_CUDA_GEMM_H

#include "kernels/kernels.h"

RG_C_BEGIN

/* c (m,n) (+)= op(a) (m,k) op(b) (k,n), all row-major on the device; ld: elements between rows. */
typedef struct rg_gemm {
    int64_t m, n, k;
    const void *a, *b; /* of `type`; transposed: stored as (k,m) and (n,k) */
    int64_t lda, ldb, ldc;
    bool trans_a, trans_b, add;
    rg_dtype type;     /* F32, F16, BF16 */
    rg_dtype operands; /* of F32: what both are rounded to before they are multiplied */
    rg_dtype c_type;   /* F32 or `type` */
    void *c;           /* rows must not overlap */
} rg_gemm;

rg_status rg_cuda_gemm(rg_kernel_ctx *ctx, const rg_gemm *g);

/* The cache, one per GPU: opaque to all but gemm.c. */
typedef struct rg_gemm_cache rg_gemm_cache;
rg_gemm_cache *rg_gemm_cache_create(rg_error *err);
void rg_gemm_cache_destroy(rg_gemm_cache *cache); /* NULL is fine */
enum { RG_GEMM_PLANS = 2048 }; /* most that are kept; a codec's step has hundreds */

RG_C_END

#endif
