/*
 * Stands in for cuBLASLt where kernels run in the emulator: the calls that gemm.c makes, with every
 * argument looked at as the library would.
 *
 * One idea: what the library would refuse, or what it leaves undefined, is refused here with a
 * line on stderr; what it does is done later, in the order of the stream. Prototypes come from
 * NVIDIA's own header. Not here: speed, the orders in which tensor cores add.
 */
#include <cublasLt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "emu_numbers.h"

void cuemu_enqueue(cudaStream_t stream, void (*fn)(void *), void *arg);
/* There under the checker: device memory that somebody wrote. */
void cuemu_check_written(const void *p, size_t n, const void *source) __attribute__((weak));

enum { MAGIC = 0x4c74416c, NEEDED_WORKSPACE = 1024 };

struct cublasLtContext {
    int live;
};

typedef struct description {
    cublasComputeType_t compute;
    cudaDataType_t scale;
    int32_t trans_a, trans_b;
} description;

typedef struct layout {
    cudaDataType_t type;
    uint64_t rows, cols;
    int64_t ld;
} layout;

typedef struct preference {
    uint64_t workspace;
    uint32_t sums, align[4];
} preference;

/* What an algorithm was chosen for; it must not be used for anything else. */
typedef struct choice {
    uint32_t magic, align[4];
} choice;
_Static_assert(sizeof(choice) <= sizeof(cublasLtMatmulAlgo_t), "a choice fits into an algorithm");

typedef struct product {
    description d;
    layout a, b, c;
    float alpha, beta;
    const char *pa, *pb, *pc;
    char *pd;
} product;

static cublasStatus_t refuse(const char *what)
{
    fprintf(stderr, "cuBLASLt stand-in: %s\n", what);
    return CUBLAS_STATUS_INVALID_VALUE;
}

#define REFUSE_IF(cond)                    \
    do {                                   \
        if (cond) return refuse("" #cond); \
    } while (0)

/* ---- handles ---- */

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    *handle = calloc(1, sizeof **handle);
    if (!*handle) return CUBLAS_STATUS_ALLOC_FAILED;
    (*handle)->live = 1;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
    REFUSE_IF(!handle || !handle->live);
    free(handle);
    return CUBLAS_STATUS_SUCCESS;
}

size_t cublasLtGetVersion(void)
{
    return CUBLAS_VERSION;
}

const char *cublasLtGetStatusString(cublasStatus_t status)
{
    return status == CUBLAS_STATUS_SUCCESS         ? "CUBLAS_STATUS_SUCCESS"
           : status == CUBLAS_STATUS_NOT_SUPPORTED ? "CUBLAS_STATUS_NOT_SUPPORTED"
           : status == CUBLAS_STATUS_ALLOC_FAILED  ? "CUBLAS_STATUS_ALLOC_FAILED"
                                                   : "CUBLAS_STATUS_INVALID_VALUE";
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *desc, cublasComputeType_t compute,
                                        cudaDataType_t scale)
{
    REFUSE_IF(scale != CUDA_R_32F);
    description *d = calloc(1, sizeof *d);
    if (!d) return CUBLAS_STATUS_ALLOC_FAILED;
    *d = (description){compute, scale, CUBLAS_OP_N, CUBLAS_OP_N};
    *desc = (cublasLtMatmulDesc_t)(void *)d;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc)
{
    free(desc);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t what,
                                              const void *value, size_t size)
{
    description *d = (description *)(void *)desc;
    REFUSE_IF(!d || !value || size != sizeof d->trans_a);
    REFUSE_IF(what != CUBLASLT_MATMUL_DESC_TRANSA && what != CUBLASLT_MATMUL_DESC_TRANSB);
    memcpy(what == CUBLASLT_MATMUL_DESC_TRANSA ? &d->trans_a : &d->trans_b, value, size);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *out, cudaDataType type,
                                          uint64_t rows, uint64_t cols, int64_t ld)
{
    REFUSE_IF(type != CUDA_R_32F && type != CUDA_R_16F && type != CUDA_R_16BF);
    REFUSE_IF(rows == 0 || cols == 0 || rows > INT32_MAX || cols > INT32_MAX);
    REFUSE_IF(ld < (int64_t)rows);
    layout *l = calloc(1, sizeof *l);
    if (!l) return CUBLAS_STATUS_ALLOC_FAILED;
    *l = (layout){type, rows, cols, ld};
    *out = (cublasLtMatrixLayout_t)(void *)l;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l)
{
    free(l);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *out)
{
    preference *p = calloc(1, sizeof *p);
    if (!p) return CUBLAS_STATUS_ALLOC_FAILED;
    for (int i = 0; i < 4; i++) p->align[i] = 256;
    *out = (cublasLtMatmulPreference_t)(void *)p;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p)
{
    free(p);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t pref,
                                                    cublasLtMatmulPreferenceAttributes_t what,
                                                    const void *value, size_t size)
{
    preference *p = (preference *)(void *)pref;
    REFUSE_IF(!p || !value);
    if (what == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) {
        REFUSE_IF(size != sizeof p->workspace);
        memcpy(&p->workspace, value, size);
        return CUBLAS_STATUS_SUCCESS;
    }
    REFUSE_IF(size != sizeof p->sums);
    if (what == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK) {
        memcpy(&p->sums, value, size);
        return CUBLAS_STATUS_SUCCESS;
    }
    REFUSE_IF(what < CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES ||
              what > CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
    memcpy(&p->align[what - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value, size);
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- what fits ---- */

static size_t size_of(cudaDataType_t type)
{
    return type == CUDA_R_32F ? 4 : 2;
}

static cublasStatus_t check_types(const description *d, const layout *a, const layout *b,
                                  const layout *c)
{
    const bool fast =
        d->compute == CUBLAS_COMPUTE_32F_FAST_16F || d->compute == CUBLAS_COMPUTE_32F_FAST_16BF;
    REFUSE_IF(a->type != b->type);
    REFUSE_IF(c->type != CUDA_R_32F && c->type != a->type);
    REFUSE_IF(d->compute != CUBLAS_COMPUTE_32F && !fast);
    REFUSE_IF(fast && (a->type != CUDA_R_32F || c->type != CUDA_R_32F));
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t check_sizes(const description *d, const layout *a, const layout *b,
                                  const layout *c)
{
    const bool ta = d->trans_a != CUBLAS_OP_N, tb = d->trans_b != CUBLAS_OP_N;
    const uint64_t m = ta ? a->cols : a->rows, inner_a = ta ? a->rows : a->cols;
    const uint64_t n = tb ? b->rows : b->cols, inner_b = tb ? b->cols : b->rows;
    REFUSE_IF(inner_a != inner_b);
    REFUSE_IF(c->rows != m || c->cols != n);
    return check_types(d, a, b, c);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t da, cublasLtMatrixLayout_t db,
                                              cublasLtMatrixLayout_t dc, cublasLtMatrixLayout_t dd,
                                              cublasLtMatmulPreference_t pref, int wanted,
                                              cublasLtMatmulHeuristicResult_t found[], int *n)
{
    REFUSE_IF(!handle || !handle->live || !desc || !da || !db || !dc || !dd || !pref);
    REFUSE_IF(wanted < 1 || !found || !n);
    const preference *p = (const preference *)(const void *)pref;
    const choice chosen = {.magic = MAGIC,
                           .align = {p->align[0], p->align[1], p->align[2], p->align[3]}};
    const cublasStatus_t status =
        check_sizes((const description *)(const void *)desc, (const layout *)(const void *)da,
                    (const layout *)(const void *)db, (const layout *)(const void *)dc);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    *n = p->workspace >= NEEDED_WORKSPACE;
    memset(found, 0, sizeof *found);
    memcpy(&found->algo, &chosen, sizeof chosen);
    found->workspaceSize = NEEDED_WORKSPACE;
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- the product ---- */

static float operand(const description *d, float v)
{
    if (d->compute == CUBLAS_COMPUTE_32F_FAST_16BF) return from_bf16(to_bf16(v));
    if (d->compute == CUBLAS_COMPUTE_32F_FAST_16F) return from_half(to_half(v));
    return v;
}

/* op(x) as floats, the summed index running slowest: (inner, outer). */
static float *unfold(const product *p, const char *x, const layout *l, bool summed_first)
{
    const uint64_t inner = summed_first ? l->rows : l->cols,
                   outer = summed_first ? l->cols : l->rows;
    float *out = malloc((size_t)(inner * outer) * sizeof *out);
    for (uint64_t k = 0; out && k < inner; k++)
        for (uint64_t i = 0; i < outer; i++) {
            const uint64_t row = summed_first ? k : i, col = summed_first ? i : k;
            out[k * outer + i] = operand(&p->d, get(x, col * (uint64_t)l->ld + row, l->type));
        }
    return out;
}

static void multiply(void *arg)
{
    product *p = arg;
    const uint64_t m = p->c.rows, n = p->c.cols;
    const uint64_t inner = p->d.trans_a == CUBLAS_OP_N ? p->a.cols : p->a.rows;
    float *a = unfold(p, p->pa, &p->a, p->d.trans_a != CUBLAS_OP_N);
    float *b = unfold(p, p->pb, &p->b, p->d.trans_b == CUBLAS_OP_N);
    float *sum = malloc((size_t)m * sizeof *sum);
    if (!a || !b || !sum) abort();
    for (uint64_t j = 0; j < n; j++) {
        memset(sum, 0, (size_t)m * sizeof *sum);
        for (uint64_t k = 0; k < inner; k++) {
            const float v = b[k * n + j], *column = a + k * m;
            for (uint64_t i = 0; i < m; i++) sum[i] += column[i] * v;
        }
        for (uint64_t i = 0; i < m; i++) {
            const uint64_t at = j * (uint64_t)p->c.ld + i;
            const float old = p->beta == 0 ? 0 : p->beta * get(p->pc, at, p->c.type);
            put(p->pd, at, p->c.type, p->alpha * sum[i] + old);
        }
        const size_t size = p->c.type == CUDA_R_32F ? 4 : 2;
        if (cuemu_check_written)
            cuemu_check_written(p->pd + j * (uint64_t)p->c.ld * size, (size_t)m * size, NULL);
    }
    free(a), free(b), free(sum), free(p);
}

static bool aligned(const void *p, uint32_t to)
{
    return (uintptr_t)p % to == 0;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t da, const void *b,
                              cublasLtMatrixLayout_t db, const void *beta, const void *c,
                              cublasLtMatrixLayout_t dc, void *d, cublasLtMatrixLayout_t dd,
                              const cublasLtMatmulAlgo_t *algo, void *workspace, size_t size,
                              cudaStream_t stream)
{
    choice chosen = {0};
    REFUSE_IF(!handle || !handle->live || !desc || !da || !db || !dc || !dd || !algo || !stream);
    REFUSE_IF(!alpha || !beta || !a || !b || !c || !d);
    memcpy(&chosen, algo, sizeof chosen);
    REFUSE_IF(chosen.magic != MAGIC);
    REFUSE_IF(size < NEEDED_WORKSPACE || !workspace || !aligned(workspace, 256));
    REFUSE_IF(!aligned(a, chosen.align[0]) || !aligned(b, chosen.align[1]));
    REFUSE_IF(!aligned(c, chosen.align[2]) || !aligned(d, chosen.align[3]));
    REFUSE_IF(c != d || dc != dd);
    product *p = calloc(1, sizeof *p);
    if (!p) return CUBLAS_STATUS_ALLOC_FAILED;
    memcpy(&p->d, desc, sizeof p->d);
    memcpy(&p->a, da, sizeof p->a);
    memcpy(&p->b, db, sizeof p->b);
    memcpy(&p->c, dc, sizeof p->c);
    memcpy(&p->alpha, alpha, sizeof p->alpha);
    memcpy(&p->beta, beta, sizeof p->beta);
    p->pa = a, p->pb = b, p->pc = c, p->pd = d;
    const cublasStatus_t status = check_sizes(&p->d, &p->a, &p->b, &p->c);
    if (status != CUBLAS_STATUS_SUCCESS || !aligned(a, (uint32_t)size_of(p->a.type))) {
        free(p);
        return refuse("layouts, types or addresses do not fit the description");
    }
    cuemu_enqueue(stream, multiply, p);
    return CUBLAS_STATUS_SUCCESS;
}
