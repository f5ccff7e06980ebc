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

/* To the nearest, ties to even; NaN stays NaN. */
static uint16_t bf16_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    if ((u & 0x7fffffffU) > 0x7f800000U) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static void pack_panel(void *ctx, int64_t panel, int32_t thread)
{
    (void)thread;
    const pack_job *j = ctx;
    const int64_t j0 = panel * j->isa->width[0], cols = min64(j->isa->width[0], j->n - j0);
    const int64_t width = width_of(j->isa, cols), at = j0 * j->k;
    for (int64_t p = 0; p < j->k; p++) {
        const float *src = j->b + p * j->b_row + j0 * j->b_col;
        for (int64_t i = 0; i < width; i++) {
            const float v = i < cols ? src[i * j->b_col] : 0;
            if (j->out32)
                j->out32[at + p * width + i] = v;
            else
                j->out16[at + p * width + i] = bf16_of(v);
        }
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

void rg_cpu_turn(const float *x, int64_t rows, int64_t cols, int64_t ld_x, float *out,
                 int64_t ld_out)
{
    enum { SIDE = 16 }; /* a square of both matrices stays in L1 */
    for (int64_t r0 = 0; r0 < rows; r0 += SIDE)
        for (int64_t c0 = 0; c0 < cols; c0 += SIDE)
            for (int64_t c = c0; c < min64(cols, c0 + SIDE); c++)
                for (int64_t r = r0; r < min64(rows, r0 + SIDE); r++)
                    out[c * ld_out + r] = x[r * ld_x + c];
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
