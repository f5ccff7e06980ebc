/*
 * k-means (kmeans.h).
 */
#include "nn/kmeans.h"

#include <math.h>
#include <string.h>

/* Fisher-Yates over `order`, of which the first k are used; k > n goes round. */
static void draw_centres(const float *vectors, int64_t n, int32_t dim, int32_t k, rg_rng rng,
                         int64_t *order, float *centres)
{
    for (int64_t i = 0; i < n; i++) order[i] = i;
    for (int64_t i = 0; i < n && i < k; i++) {
        int64_t j = i + (int64_t)rg_rng_below(&rng, (uint64_t)(n - i));
        int64_t kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    for (int64_t i = 0; i < k; i++) {
        memcpy(centres + i * dim, vectors + order[i % n] * dim, (size_t)dim * sizeof(float));
    }
}

/* Means of the vectors of each centre; `sums` (k,dim) is scratch. */
static void move_centres(const float *vectors, int64_t n, int32_t dim, int32_t k,
                         const int32_t *codes, float *centres, float *counts, double *sums)
{
    memset(sums, 0, (size_t)k * (size_t)dim * sizeof(double));
    memset(counts, 0, (size_t)k * sizeof(float));
    for (int64_t i = 0; i < n; i++) {
        double *sum = sums + (int64_t)codes[i] * dim;
        for (int32_t d = 0; d < dim; d++) sum[d] += (double)vectors[i * dim + d];
        counts[codes[i]] += 1;
    }
    for (int64_t c = 0; c < k; c++) {
        if (counts[c] == 0) continue;
        for (int32_t d = 0; d < dim; d++) {
            centres[c * dim + d] = (float)(sums[c * dim + d] / (double)counts[c]);
        }
    }
}

/* codes of all vectors; says whether any differs from `codes`, which takes the new ones. */
static rg_status assign(rg_exec *ex, rg_rvq_args *args, int32_t *codes, bool *changed)
{
    rg_kernel_ctx ctx = {.scratch = ex->scratch, .pool = ex->kernel_ctx.pool, .error = &ex->error};
    const rg_kernels *kernels = ex->gpu ? rg_kernels_cpu(&ex->error) : ex->kernels;
    if (!kernels) return ex->error.code;
    rg_arena_mark mark = rg_arena_save(ex->scratch);
    rg_status status = kernels->rvq(&ctx, args);
    rg_arena_restore(ex->scratch, mark);
    size_t bytes = (size_t)args->rows * sizeof(int32_t);
    *changed = memcmp(codes, args->codes, bytes) != 0;
    memcpy(codes, args->codes, bytes);
    return status;
}

static rg_status run_rounds(rg_exec *ex, rg_rvq_args *args, int32_t rounds, float *centres,
                            float *counts, int32_t *codes, double *sums)
{
    int32_t dim = (int32_t)args->dim, k = (int32_t)args->entries;
    bool changed = true;
    RG_TRY(assign(ex, args, codes, &changed));
    changed = true;
    for (int32_t round = 0; round < rounds && changed; round++) {
        move_centres(args->x, args->rows, dim, k, codes, centres, counts, sums);
        RG_TRY(assign(ex, args, codes, &changed));
    }
    memset(counts, 0, (size_t)k * sizeof(float));
    for (int64_t i = 0; i < args->rows; i++) counts[codes[i]] += 1;
    return RG_OK;
}

rg_status rg_kmeans(rg_exec *ex, const float *vectors, int64_t n, int32_t dim, int32_t k,
                    int32_t rounds, rg_rng rng, float *centres, float *counts, int32_t *codes)
{
    for (int64_t i = 0; i < n * dim; i++) {
        if (!isfinite(vectors[i]))
            return rg_exec_fail(ex, RG_ERR_NUMERIC, "k-means: vector %lld is not finite",
                                (long long)(i / dim));
    }
    rg_arena_mark mark = rg_arena_save(ex->scratch);
    size_t rows = (size_t)n, width = (size_t)dim;
    int64_t *order = rg_arena_alloc(ex->scratch, rows * sizeof *order);
    double *sums = rg_arena_alloc(ex->scratch, (size_t)k * width * sizeof *sums);
    float *nearest = rg_arena_alloc(ex->scratch, rows * width * sizeof *nearest);
    int32_t *found = rg_arena_alloc(ex->scratch, rows * sizeof *found);
    float *commit = rg_arena_alloc(ex->scratch, sizeof *commit);
    rg_status status = RG_ERR_NOMEM;
    if (order && sums && nearest && found && commit) {
        draw_centres(vectors, n, dim, k, rng, order, centres);
        memset(codes, 0, rows * sizeof *codes);
        rg_rvq_args args = {.x = vectors,
                            .books = centres,
                            .codes = found,
                            .q = nearest,
                            .commit = commit,
                            .rows = n,
                            .dim = dim,
                            .entries = k,
                            .n_books = 1,
                            .n_q = 1};
        status = run_rounds(ex, &args, rounds, centres, counts, codes, sums);
    } else {
        rg_exec_fail(ex, status, "k-means: no memory for %lld vectors", (long long)n);
    }
    rg_arena_restore(ex->scratch, mark);
    return status;
}
