/*
 * Right operands in the tiles' order: panels, and a weight's packed form.
 *
 * One idea: a packed weight is two sets of panels, for x W and for dy W^T, so that forward and
 * input gradient are the same product and neither ever transposes. It carries no header: whoever
 * packs and whoever reads agree on rows, cols and type.
 */
#include <string.h>

#include "kernels/cpu/cpu.h"

static int64_t width_of(const rg_isa *isa, int64_t n)
{
    int i = 0;
    while (isa->width[i + 1] >= n && isa->width[i + 1] > 0) i++;
    return isa->width[i];
}

int64_t rg_panels_size(const rg_isa *isa, int64_t k, int64_t n)
{
    const int64_t wide = isa->width[0], full = n / wide * wide;
    return k * (full + (n > full ? width_of(isa, n - full) : 0));
}

/* ---- panels ---- */

typedef struct pack_job {
    const rg_isa *isa;
    const float *b;
    int64_t b_row, b_col, k, n;
    float *out32;
    uint16_t *out16;
} pack_job;

/* Depths [k0, k0 + depth) of the panel whose first column is b. */
static void pack_part(const pack_job *j, const float *b, int64_t cols, int64_t width, int64_t k0,
                      int64_t depth, float *out)
{
    b += k0 * j->b_row;
    if (j->b_col == 1) {
        j->isa->vec->pack_rows(b, j->b_row, cols, width, depth, out);
        return;
    }
    if (cols < width) memset(out, 0, (size_t)(depth * width) * sizeof *out);
    j->isa->vec->turn(b, cols, depth, j->b_col, out, width);
}

enum { DEPTH = 64 }; /* of a panel's part on its way to bf16 */

static void pack_panel(void *ctx, int64_t panel, int32_t thread)
{
    (void)thread;
    const pack_job *j = ctx;
    const int64_t j0 = panel * j->isa->width[0], cols = min64(j->isa->width[0], j->n - j0);
    const int64_t width = width_of(j->isa, cols), at = j0 * j->k;
    const float *b = j->b + j0 * j->b_col;
    float part[DEPTH * RG_WIDEST_TILE];
    if (j->out32) {
        pack_part(j, b, cols, width, 0, j->k, j->out32 + at);
        return;
    }
    for (int64_t k0 = 0; k0 < j->k; k0 += DEPTH) {
        const int64_t depth = min64(DEPTH, j->k - k0);
        pack_part(j, b, cols, width, k0, depth, part);
        j->isa->vec->narrow_bf16(part, j->out16 + at + k0 * width, depth * width);
    }
}

static void run_pack(pack_job *j, rg_pool *pool)
{
    const int64_t panels = (j->n + j->isa->width[0] - 1) / j->isa->width[0];
    rg_pool_run(j->k * j->n < 16384 ? NULL : pool, pack_panel, j, panels);
}

void rg_panels_pack(const rg_isa *isa, rg_pool *pool, const float *b, int64_t b_row, int64_t b_col,
                    int64_t k, int64_t n, float *out)
{
    pack_job j = {.isa = isa, .b = b, .b_row = b_row, .b_col = b_col, .k = k, .n = n, .out32 = out};
    run_pack(&j, pool);
}

/* ---- weights ---- */

/* Where the panels of the transpose begin, in elements: at a full cache line. */
static int64_t transpose_at(const rg_isa *isa, int64_t rows, int64_t cols)
{
    return (rg_panels_size(isa, rows, cols) + 31) / 32 * 32;
}

size_t rg_cpu_packed_size(const rg_isa *isa, int64_t rows, int64_t cols, rg_dtype type)
{
    const int64_t n = transpose_at(isa, rows, cols) + rg_panels_size(isa, cols, rows);
    return (size_t)n * (type == RG_BF16 ? sizeof(uint16_t) : sizeof(float));
}

rg_status rg_cpu_pack(const rg_isa *isa, rg_kernel_ctx *ctx, const void *w, int64_t rows,
                      int64_t cols, rg_dtype type, void *packed)
{
    if (type != RG_F32 && type != RG_BF16)
        return rg_fail(ctx->error, RG_ERR_DTYPE, "weights are packed as F32 or BF16 on the CPU");
    const int64_t at = transpose_at(isa, rows, cols);
    pack_job plain = {.isa = isa, .b = w, .b_row = cols, .b_col = 1, .k = rows, .n = cols};
    pack_job turned = {.isa = isa, .b = w, .b_row = 1, .b_col = cols, .k = cols, .n = rows};
    if (type == RG_F32)
        plain.out32 = packed, turned.out32 = (float *)packed + at;
    else
        plain.out16 = packed, turned.out16 = (uint16_t *)packed + at;
    run_pack(&plain, ctx->pool);
    run_pack(&turned, ctx->pool);
    return RG_OK;
}

rg_status rg_gemm_set_weight(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_weight *w,
                             bool transposed, rg_gemm *g)
{
    g->b_row = 0, g->b_type = RG_F32;
    if (w->packed) {
        const int64_t at = transposed ? transpose_at(isa, w->rows, w->cols) : 0;
        g->b_type = w->type;
        g->b = (const char *)w->packed + at * (w->type == RG_BF16 ? 2 : 4);
        return RG_OK;
    }
    if (!transposed) {
        g->b = w->w, g->b_row = w->cols;
        return RG_OK;
    }
    float *panels = rg_cpu_scratch(ctx, rg_panels_size(isa, w->cols, w->rows));
    if (!panels) return ctx->error->code;
    rg_panels_pack(isa, ctx->pool, w->w, 1, w->cols, w->cols, w->rows, panels);
    g->b = panels;
    return RG_OK;
}
