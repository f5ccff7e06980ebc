/*
 * Matrix products through cuBLASLt (gemm.h).
 *
 * One idea: cuBLASLt counts columns first, so a row-major product is asked for as its transpose:
 * c^T = op(b)^T op(a)^T, without a copy. Plans lie in sets of four by a hash of their key; the one
 * not used for longest makes room.
 */
#include "kernels/cuda/gemm.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "kernels/cuda/backend.h"

enum { WAYS = 4, SETS = RG_GEMM_PLANS / WAYS, FULL_ALIGNMENT = 256 };

typedef struct gemm_key {
    int64_t m, n, k, lda, ldb, ldc;
    int32_t type, operands, c_type, trans_a, trans_b;
    uint32_t align_a, align_b, align_c;
} gemm_key;

typedef struct plan {
    gemm_key key;
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t a, b, c;
    cublasLtMatmulAlgo_t algo;
    uint64_t used; /* 0: empty */
} plan;

struct rg_gemm_cache {
    plan plans[SETS][WAYS];
    uint64_t clock;
    rg_cublaslt lt; /* to destroy plans with */
};

rg_gemm_cache *rg_gemm_cache_create(rg_error *err)
{
    rg_gemm_cache *cache = calloc(1, sizeof *cache);
    if (!cache) rg_fail(err, RG_ERR_NOMEM, "out of memory for the plans of matrix products");
    return cache;
}

static void drop(rg_gemm_cache *cache, plan *p)
{
    if (p->product) cache->lt.cublasLtMatmulDescDestroy(p->product);
    if (p->a) cache->lt.cublasLtMatrixLayoutDestroy(p->a);
    if (p->b) cache->lt.cublasLtMatrixLayoutDestroy(p->b);
    if (p->c) cache->lt.cublasLtMatrixLayoutDestroy(p->c);
    *p = (plan){0};
}

void rg_gemm_cache_destroy(rg_gemm_cache *cache)
{
    if (!cache) return;
    for (int i = 0; i < RG_GEMM_PLANS; i++) drop(cache, &cache->plans[i / WAYS][i % WAYS]);
    free(cache);
}

static cudaDataType_t cuda_type(rg_dtype type)
{
    return type == RG_F16 ? CUDA_R_16F : type == RG_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static cublasComputeType_t compute_type(const gemm_key *k)
{
    if (k->type != RG_F32 || k->operands == RG_F32) return CUBLAS_COMPUTE_32F;
    return k->operands == RG_F16 ? CUBLAS_COMPUTE_32F_FAST_16F : CUBLAS_COMPUTE_32F_FAST_16BF;
}

static rg_status lt_check(const rg_gpu *gpu, cublasStatus_t code, const char *what,
                          const gemm_key *k, rg_error *err)
{
    if (code == CUBLAS_STATUS_SUCCESS) return RG_OK;
    return rg_fail(err, RG_ERR_DEVICE, "cuBLASLt: %s of a product (%lld,%lld,%lld): %s", what,
                   (long long)k->m, (long long)k->n, (long long)k->k,
                   gpu->lt.cublasLtGetStatusString(code));
}

#define LT(call, what) RG_TRY(lt_check(gpu, gpu->lt.call, what, k, err))

static rg_status describe(const rg_gpu *gpu, const gemm_key *k, plan *p, rg_error *err)
{
    const cublasOperation_t yes = CUBLAS_OP_T, no = CUBLAS_OP_N;
    const cublasOperation_t *op_a = k->trans_b ? &yes : &no, *op_b = k->trans_a ? &yes : &no;
    LT(cublasLtMatmulDescCreate(&p->product, compute_type(k), CUDA_R_32F), "description");
    LT(cublasLtMatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_TRANSA, op_a, sizeof *op_a),
       "description");
    LT(cublasLtMatmulDescSetAttribute(p->product, CUBLASLT_MATMUL_DESC_TRANSB, op_b, sizeof *op_b),
       "description");
    LT(cublasLtMatrixLayoutCreate(&p->a, cuda_type(k->type), (uint64_t)(k->trans_b ? k->k : k->n),
                                  (uint64_t)(k->trans_b ? k->n : k->k), k->ldb),
       "layout");
    LT(cublasLtMatrixLayoutCreate(&p->b, cuda_type(k->type), (uint64_t)(k->trans_a ? k->m : k->k),
                                  (uint64_t)(k->trans_a ? k->k : k->m), k->lda),
       "layout");
    LT(cublasLtMatrixLayoutCreate(&p->c, cuda_type(k->c_type), (uint64_t)k->n, (uint64_t)k->m,
                                  k->ldc),
       "layout");
    return RG_OK;
}

static rg_status prefer(const rg_gpu *gpu, const gemm_key *k, cublasLtMatmulPreference_t wish,
                        rg_error *err)
{
    const size_t workspace = RG_GPU_WORKSPACE;
    const uint32_t sums = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE; /* partial sums stay fp32 */
    const struct {
        cublasLtMatmulPreferenceAttributes_t what;
        const void *value;
        size_t size;
    } wishes[] = {
        {CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace},
        {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &sums, sizeof sums},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &k->align_b, sizeof k->align_b},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &k->align_a, sizeof k->align_a},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &k->align_c, sizeof k->align_c},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &k->align_c, sizeof k->align_c},
    };
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++)
        LT(cublasLtMatmulPreferenceSetAttribute(wish, wishes[i].what, wishes[i].value,
                                                wishes[i].size),
           "preference");
    return RG_OK;
}

static rg_status choose(const rg_gpu *gpu, const gemm_key *k, plan *p, rg_error *err)
{
    cublasLtMatmulPreference_t wish;
    LT(cublasLtMatmulPreferenceCreate(&wish), "preference");
    cublasLtMatmulHeuristicResult_t best = {0};
    int found = 0;
    rg_status status = prefer(gpu, k, wish, err);
    if (status == RG_OK)
        status =
            lt_check(gpu,
                     gpu->lt.cublasLtMatmulAlgoGetHeuristic(gpu->lt_handle, p->product, p->a, p->b,
                                                            p->c, p->c, wish, 1, &best, &found),
                     "choice of an algorithm", k, err);
    gpu->lt.cublasLtMatmulPreferenceDestroy(wish);
    RG_TRY(status);
    if (found < 1)
        return rg_fail(err, RG_ERR_UNSUPPORTED,
                       "cuBLASLt has no algorithm for a product (%lld,%lld,%lld)", (long long)k->m,
                       (long long)k->n, (long long)k->k);
    p->algo = best.algo;
    return RG_OK;
}

/* The plan of a key: one that is kept, or a new one in place of its set's oldest. */
static plan *find(rg_gpu *gpu, const gemm_key *k, rg_error *err)
{
    rg_gemm_cache *cache = gpu->gemms;
    plan *set = cache->plans[rg_xxh3(k, sizeof *k) % SETS], *oldest = set;
    cache->lt = gpu->lt;
    for (int i = 0; i < WAYS; i++) {
        if (set[i].used && !memcmp(&set[i].key, k, sizeof *k)) {
            set[i].used = ++cache->clock;
            return &set[i];
        }
        if (set[i].used < oldest->used) oldest = &set[i];
    }
    drop(cache, oldest);
    if (describe(gpu, k, oldest, err) != RG_OK || choose(gpu, k, oldest, err) != RG_OK) {
        drop(cache, oldest);
        return NULL;
    }
    oldest->key = *k;
    oldest->used = ++cache->clock;
    return oldest;
}

/* The largest power of two, at most FULL_ALIGNMENT, that p is a multiple of. */
static uint32_t alignment(const void *p)
{
    const uintptr_t low = (uintptr_t)p & (uintptr_t) - (intptr_t)(uintptr_t)p;
    return low && low < FULL_ALIGNMENT ? (uint32_t)low : FULL_ALIGNMENT;
}

static void make_key(const rg_gemm *g, gemm_key *key)
{
    memset(key, 0, sizeof *key); /* its bytes are compared */
    key->m = g->m, key->n = g->n, key->k = g->k;
    key->lda = g->lda, key->ldb = g->ldb, key->ldc = g->ldc;
    key->type = g->type, key->operands = g->operands, key->c_type = g->c_type;
    key->trans_a = g->trans_a, key->trans_b = g->trans_b;
    key->align_a = alignment(g->a), key->align_b = alignment(g->b), key->align_c = alignment(g->c);
}

/* A product over nothing. */
static rg_status clear(rg_kernel_ctx *ctx, const rg_gemm *g)
{
    const size_t size = g->c_type == RG_F32 ? 4 : 2;
    for (int64_t i = 0; i < g->m && !g->add; i++)
        RG_TRY(rg_gpu_check(cudaMemsetAsync((char *)g->c + (size_t)(i * g->ldc) * size, 0,
                                            (size_t)g->n * size, ctx->stream),
                            "clearing a product", ctx->error));
    return RG_OK;
}

rg_status rg_cuda_gemm(rg_kernel_ctx *ctx, const rg_gemm *g)
{
    if (g->m == 0 || g->n == 0) return RG_OK;
    if (g->k == 0) return clear(ctx, g);
    rg_gpu *gpu = ctx->gpu;
    const float one = 1, beta = g->add ? 1 : 0;
    gemm_key key;
    make_key(g, &key);
    const plan *p = find(gpu, &key, ctx->error);
    if (!p) return ctx->error->code;
    return lt_check(gpu,
                    gpu->lt.cublasLtMatmul(gpu->lt_handle, p->product, &one, g->b, p->a, g->a, p->b,
                                           &beta, g->c, p->c, g->c, p->c, &p->algo, gpu->workspace,
                                           RG_GPU_WORKSPACE, ctx->stream),
                    "launch", &key, ctx->error);
}
