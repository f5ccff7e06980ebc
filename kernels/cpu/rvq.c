/*
 * The residual vector quantizer: the nearest entry is the largest of 2 r.e - |e|^2, so a search is
 * a product with the book and a maximum per row.
 *
 * One idea: a task takes some rows through all books, so their residuals never leave the cache.
 * Tasks are a few tiles of rows, so few that every thread gets the same number of them. A single
 * row, as a live stream has, is the right operand of that product, and the books stay as they lie.
 */
#include <string.h>

#include "kernels/cpu/cpu.h"

enum { PREPARED = 128, ROW_TILES = 4, ROW_TASKS = 8 }; /* entries; tiles; tasks of a thread */

typedef struct rvq_job {
    const rg_isa *isa;
    const rg_rvq_args *a;
    float *panels, *norms;    /* (n_q, D x V as panels) or NULL: one row; (n_q, V) */
    int64_t panel_size, rows; /* of a book; of a task */
    double *squares;          /* (M): what the books left of each row */
    float *scratch;
    int64_t size;
} rvq_job;

/* Row m, whose residual is r, by entry `code` of book k; left: the sum of what books left over. */
static void take_entry(const rvq_job *j, int64_t m, int64_t k, int32_t code, float *r, float *left)
{
    const rg_rvq_args *a = j->a;
    const float *entry = (const float *)a->books + (k * a->entries + code) * a->dim;
    j->isa->vec->add_scaled(entry, -1, r, a->dim);
    j->isa->vec->accumulate(r, left, a->dim);
    j->squares[m] += (double)j->isa->vec->dot(r, r, a->dim);
}

static void book_rows(const rvq_job *j, int64_t k, int64_t m0, int64_t rows, float *r, float *left,
                      bool *ended, float *s, float *gemm)
{
    const rg_rvq_args *a = j->a;
    const int64_t d = a->dim;
    if (a->residuals)
        memcpy((float *)a->residuals + (k * a->rows + m0) * d, r, (size_t)(rows * d) * sizeof *r);
    if (!a->fixed_codes && !j->panels) {
        rg_gemm g = {.m = a->entries,
                     .n = 1,
                     .segs = 1,
                     .len = d,
                     .a = (const float *)a->books + k * a->entries * d,
                     .a_row = d,
                     .a_col = 1,
                     .b = r,
                     .b_row = 1,
                     .c = s,
                     .c_row = 1};
        rg_gemm_block(j->isa, &g, gemm);
    } else if (!a->fixed_codes) {
        rg_gemm g = {.m = rows,
                     .n = a->entries,
                     .segs = 1,
                     .len = d,
                     .a = r,
                     .a_row = d,
                     .a_col = 1,
                     .b = j->panels + k * j->panel_size,
                     .b_type = RG_F32,
                     .c = s,
                     .c_row = a->entries};
        rg_gemm_block(j->isa, &g, gemm);
    }
    for (int64_t i = 0; i < rows; i++) {
        int32_t *code = &a->codes[(m0 + i) * a->n_books + k];
        if (!a->fixed_codes)
            *code =
                j->isa->vec->argmax_row(s + i * a->entries, j->norms + k * a->entries, a->entries);
        ended[i] |= *code < 0;
        if (!ended[i]) take_entry(j, m0 + i, k, *code, r + i * d, left + i * d);
    }
}

static void rvq_task(void *ctx, int64_t task, int32_t thread)
{
    const rvq_job *j = ctx;
    const rg_rvq_args *a = j->a;
    const int64_t d = a->dim, m0 = task * j->rows, rows = min64(j->rows, a->rows - m0);
    float *r = j->scratch + thread * j->size, *left = r + j->rows * d, *s = left + j->rows * d;
    float *gemm = s + j->rows * a->entries;
    bool ended[ROW_TILES * RG_WIDEST_TILE] = {false}; /* no tile is taller than wide */
    const float *x = (const float *)a->x + m0 * d;
    memcpy(r, x, (size_t)(rows * d) * sizeof(float));
    memset(left, 0, (size_t)(rows * d) * sizeof(float));
    for (int64_t i = 0; i < rows; i++) j->squares[m0 + i] = 0;
    for (int64_t k = 0; k < a->n_q; k++) book_rows(j, k, m0, rows, r, left, ended, s, gemm);
    const double count = (double)a->n_q * (double)a->rows * (double)d;
    if (a->q) {
        float *q = (float *)a->q + m0 * d;
        memcpy(q, x, (size_t)(rows * d) * sizeof(float));
        j->isa->vec->add_scaled(r, -1, q, rows * d);
    }
    if (!a->dcommit) return;
    float *out = (float *)a->dcommit + m0 * d;
    memcpy(out, left, (size_t)(rows * d) * sizeof(float));
    j->isa->vec->scale_row(out, count > 0 ? (float)(2 / count) : 0, rows * d);
}

static rg_status check(rg_kernel_ctx *ctx, const rg_rvq_args *a)
{
    if (!a->fixed_codes && a->entries == 0 && a->rows > 0 && a->n_q > 0)
        return rg_fail(ctx->error, RG_ERR_SHAPE, "quantizer: its books have no entries");
    for (int64_t m = 0; a->fixed_codes && m < a->rows; m++)
        for (int64_t k = 0; k < a->n_q; k++)
            if (a->codes[m * a->n_books + k] >= a->entries)
                return rg_fail(ctx->error, RG_ERR_SHAPE,
                               "code %d at row %lld, book %lld: the book has %lld entries",
                               a->codes[m * a->n_books + k], (long long)m, (long long)k,
                               (long long)a->entries);
    return RG_OK;
}

/* PREPARED entries of a book: their panels and squared lengths. */
static void prepare_task(void *ctx, int64_t task, int32_t thread)
{
    (void)thread;
    const rvq_job *j = ctx;
    const int64_t d = j->a->dim, v = j->a->entries, parts = div_up(v, PREPARED);
    const int64_t k = task / parts, first = task % parts * PREPARED;
    const int64_t n = min64(PREPARED, v - first);
    const float *entries = (const float *)j->a->books + (k * v + first) * d;
    if (j->panels)
        rg_panels_pack(j->isa, NULL, RG_F32, entries, 1, d, d, n,
                       j->panels + k * j->panel_size + first * d);
    for (int64_t i = 0; i < n; i++)
        j->norms[k * v + first + i] = j->isa->vec->dot(entries + i * d, entries + i * d, d);
}

static rg_status prepare(rg_kernel_ctx *ctx, rvq_job *j)
{
    const rg_rvq_args *a = j->a;
    j->panel_size = (int64_t)rg_panels_bytes(j->isa, RG_F32, a->dim, a->entries) / 4;
    if (a->rows != 1) j->panels = rg_cpu_scratch(ctx, a->n_q * j->panel_size);
    j->norms = rg_cpu_scratch(ctx, a->n_q * a->entries);
    if ((a->rows != 1 && !j->panels) || !j->norms) return ctx->error->code;
    rg_pool_run(ctx->pool, prepare_task, j, a->n_q * div_up(a->entries, PREPARED));
    return RG_OK;
}

/* As many as ROW_TILES tiles, but so few that there are ROW_TASKS tasks for every thread. */
static int64_t rows_of_task(const rg_isa *isa, const rg_kernel_ctx *ctx, int64_t rows)
{
    const int64_t tiles = div_up(rows, isa->f32->mr), threads = rg_pool_threads(ctx->pool);
    if (threads == 1) return ROW_TILES * isa->f32->mr;
    return isa->f32->mr * max64(1, min64(ROW_TILES, tiles / (ROW_TASKS * threads)));
}

rg_status rg_cpu_rvq(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_rvq_args *a)
{
    RG_TRY(check(ctx, a));
    rvq_job j = {.isa = isa, .a = a, .rows = rows_of_task(isa, ctx, a->rows)};
    if (!a->fixed_codes) RG_TRY(prepare(ctx, &j));
    j.size = j.rows * (2 * a->dim + a->entries) + rg_gemm_scratch(isa, 1, a->dim);
    j.size = (j.size + 15) / 16 * 16;
    j.scratch = rg_cpu_scratch(ctx, j.size * rg_pool_threads(ctx->pool));
    j.squares = (double *)(void *)rg_cpu_scratch(ctx, 2 * a->rows);
    if (!j.scratch || !j.squares) return ctx->error->code;
    rg_pool_run(ctx->pool, rvq_task, &j, div_up(a->rows, j.rows));
    double total = 0;
    for (int64_t m = 0; m < a->rows; m++) total += j.squares[m];
    const double count = (double)a->n_q * (double)a->rows * (double)a->dim;
    if (a->commit) *(float *)a->commit = (float)(count > 0 ? total / count : 0);
    return RG_OK;
}
