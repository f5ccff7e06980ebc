/*
 * Right operands in the tiles' order: panels, and a weight's packed form.
 *
 * One idea: a packed weight is two sets of panels, for x W and for dy W^T, so that forward and
 * input gradient are the same product and neither ever transposes. It carries no header: whoever
 * packs and whoever reads agree on rows, cols and type.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "kernels/cpu/cpu.h"

const rg_tiles *rg_tiles_of(const rg_isa *isa, rg_dtype type)
{
    return type == RG_BF16 ? isa->bf16 : isa->f32;
}

int rg_tiles_index(const rg_tiles *tiles, int64_t n)
{
    int i = 0;
    while (tiles->width[i + 1] >= n && tiles->width[i + 1] > 0) i++;
    return i;
}

int64_t rg_panels_depth(const rg_isa *isa, rg_dtype type, int64_t k)
{
    const int64_t step = rg_tiles_of(isa, type)->k_step;
    return div_up(k, step) * step;
}

int64_t rg_panels_element(rg_dtype type)
{
    return type == RG_I8 ? 1 : type == RG_BF16 ? 2 : 4;
}

/* Elements of the panels of (k,n). */
static int64_t panels_size(const rg_isa *isa, rg_dtype type, int64_t k, int64_t n)
{
    const rg_tiles *tiles = rg_tiles_of(isa, type);
    const int64_t full = n / tiles->width[0] * tiles->width[0];
    const int64_t last = n > full ? tiles->width[rg_tiles_index(tiles, n - full)] : 0;
    return rg_panels_depth(isa, type, k) * (full + last);
}

size_t rg_panels_bytes(const rg_isa *isa, rg_dtype type, int64_t k, int64_t n)
{
    return (size_t)(panels_size(isa, type, k, n) * rg_panels_element(type));
}

/* ---- panels ---- */

typedef struct pack_job {
    const rg_isa *isa;
    rg_dtype type;
    const float *b;
    int64_t b_row, b_col, k, n;
    void *out;
} pack_job;

/* A panel's part, `depth` deep. */
static void pack_part(const pack_job *j, const float *b, int64_t cols, int64_t width, int64_t depth,
                      float *out)
{
    if (j->b_col == 1) {
        j->isa->vec->pack_rows(b, j->b_row, cols, width, depth, out);
        return;
    }
    if (cols < width) memset(out, 0, (size_t)(depth * width) * sizeof *out);
    j->isa->vec->turn(b, cols, depth, j->b_col, out, width);
}

enum { DEPTH = 64 }; /* of a panel's part on its way to pairs; a multiple of every k_step */

/* The same as pairs, filled up to `deep`. Where b lies as columns its pairs lie side by side
 * already: they are turned as one number. */
static void pack_part16(const pack_job *j, const float *b, int64_t cols, int64_t width,
                        int64_t depth, int64_t deep, uint16_t *out)
{
    float part[RG_WIDEST_TILE * DEPTH / 2];
    if (j->b_col == 1) {
        j->isa->vec->pack_pairs(b, j->b_row, cols, width, depth, deep, out);
        return;
    }
    if (cols < width) memset(out, 0, (size_t)(deep * width) * sizeof *out);
    for (int64_t k = 0; k < depth; k += DEPTH) {
        const int64_t n = min64(DEPTH, depth - k), filled = min64(DEPTH, deep - k);
        for (int64_t c = 0; c < cols; c++) {
            uint16_t *row = (uint16_t *)(void *)(part + c * DEPTH / 2);
            j->isa->vec->narrow_bf16(b + c * j->b_col + k, row, n);
            memset(row + n, 0, (size_t)(filled - n) * sizeof *row);
        }
        j->isa->vec->turn(part, cols, filled / 2, DEPTH / 2, (float *)(void *)(out + k * width),
                          width);
    }
}

/* b: see rg_panels_pack_part */
static void pack_columns(const pack_job *j, const float *b, int64_t n0, int64_t n1, int64_t k0,
                         int64_t k1)
{
    const rg_tiles *tiles = rg_tiles_of(j->isa, j->type);
    const int64_t deep = rg_panels_depth(j->isa, j->type, j->k);
    for (int64_t j0 = n0; j0 < n1; j0 += tiles->width[0]) {
        const int64_t cols = min64(tiles->width[0], j->n - j0);
        const int64_t width = tiles->width[rg_tiles_index(tiles, cols)];
        const int64_t at = j0 * deep + k0 * width;
        if (j->type == RG_BF16)
            pack_part16(j, b + j0 * j->b_col, cols, width, k1 - k0, (k1 < j->k ? k1 : deep) - k0,
                        (uint16_t *)j->out + at);
        else
            pack_part(j, b + j0 * j->b_col, cols, width, k1 - k0, (float *)j->out + at);
    }
}

static void pack_panel(void *ctx, int64_t panel, int32_t thread)
{
    (void)thread;
    const pack_job *j = ctx;
    const int64_t wide = rg_tiles_of(j->isa, j->type)->width[0], n0 = panel * wide;
    pack_columns(j, j->b, n0, min64(j->n, n0 + wide), 0, j->k);
}

void rg_panels_pack(const rg_isa *isa, rg_pool *pool, rg_dtype type, const float *b, int64_t b_row,
                    int64_t b_col, int64_t k, int64_t n, void *out)
{
    pack_job j = {isa, type, b, b_row, b_col, k, n, out};
    const int64_t wide = rg_tiles_of(isa, type)->width[0];
    rg_pool_run(k * n < 16384 ? NULL : pool, pack_panel, &j, div_up(n, wide));
}

void rg_panels_pack_part(const rg_isa *isa, rg_dtype type, const float *b, int64_t b_row,
                         int64_t b_col, int64_t k, int64_t n, int64_t n0, int64_t n1, int64_t k0,
                         int64_t k1, void *out)
{
    const pack_job j = {isa, type, b, b_row, b_col, k, n, out};
    pack_columns(&j, b, n0, n1, k0, k1);
}

void *rg_panels_make(const rg_isa *isa, rg_kernel_ctx *ctx, rg_dtype type, const float *b,
                     int64_t b_row, int64_t b_col, int64_t k, int64_t n)
{
    const size_t bytes = rg_panels_bytes(isa, type, k, n);
    void *panels = rg_cpu_scratch(ctx, (int64_t)(bytes + 3) / 4);
    if (panels) rg_panels_pack(isa, ctx->pool, type, b, b_row, b_col, k, n, panels);
    return panels;
}

/* ---- weights ---- */

/* Where the panels of the transpose begin, in bytes: at a full cache line. */
static size_t transpose_at(const rg_isa *isa, rg_dtype type, int64_t rows, int64_t cols)
{
    return (rg_panels_bytes(isa, type, rows, cols) + 63) / 64 * 64;
}

/* Scales fill whole cache lines. */
static int64_t scales_size(int64_t cols)
{
    return div_up(cols, 16) * 16;
}

const int8_t *rg_cpu_bytes(const void *packed, int64_t cols)
{
    return (const int8_t *)((const float *)packed + scales_size(cols));
}

/* s (n) of the columns of w (rows, cols apart). A column that is not finite gets NaN. */
static void find_scales(const float *w, int64_t rows, int64_t cols, int64_t n, float *scale)
{
    float most[RG_WIDEST_TILE] = {0}, bad[RG_WIDEST_TILE] = {0};
    for (int64_t k = 0; k < rows; k++, w += cols)
        for (int64_t j = 0; j < n; j++) {
            const float size = fabsf(w[j]);
            most[j] = size > most[j] ? size : most[j];
            bad[j] += w[j] - w[j];
        }
    for (int64_t j = 0; j < n; j++) {
        scale[j] = most[j] > 0 ? fmaxf(most[j] / 127, FLT_MIN) : 1;
        if (bad[j] != 0) scale[j] = NAN;
    }
}

typedef struct bytes_job {
    const rg_isa *isa;
    const float *w;
    int64_t rows, cols;
    float *scale;
    int8_t *out;
} bytes_job;

static void bytes_panel(void *ctx, int64_t panel, int32_t thread)
{
    (void)thread;
    const bytes_job *j = ctx;
    const rg_tiles *tiles = j->isa->f32;
    const int64_t j0 = panel * tiles->width[0], n = min64(tiles->width[0], j->cols - j0);
    const int64_t width = tiles->width[rg_tiles_index(tiles, n)];
    const float *w = j->w + j0;
    int8_t *out = j->out + j0 * j->rows;
    find_scales(w, j->rows, j->cols, n, j->scale + j0);
    for (int64_t k = 0; k < j->rows; k++, w += j->cols, out += width) {
        memset(out, 0, (size_t)width);
        j->isa->vec->narrow_bytes(w, j->scale + j0, out, n);
    }
}

static void pack_bytes(const rg_isa *isa, rg_pool *pool, const float *w, int64_t rows, int64_t cols,
                       void *packed)
{
    bytes_job j = {isa, w, rows, cols, packed, (int8_t *)packed + 4 * scales_size(cols)};
    rg_pool_run(rows * cols < 16384 ? NULL : pool, bytes_panel, &j,
                div_up(cols, isa->f32->width[0]));
}

size_t rg_cpu_packed_size(const rg_isa *isa, int64_t rows, int64_t cols, rg_dtype type)
{
    if (type == RG_I8)
        return (size_t)(4 * scales_size(cols)) + rg_panels_bytes(isa, type, rows, cols);
    return transpose_at(isa, type, rows, cols) + rg_panels_bytes(isa, type, cols, rows);
}

rg_status rg_cpu_pack(const rg_isa *isa, rg_kernel_ctx *ctx, const void *w, int64_t rows,
                      int64_t cols, rg_dtype type, void *packed)
{
    if (type != RG_F32 && type != RG_BF16 && type != RG_I8)
        return rg_fail(ctx->error, RG_ERR_DTYPE, "weights are packed as F32, BF16 or I8");
    if (type == RG_I8) {
        pack_bytes(isa, ctx->pool, w, rows, cols, packed);
        return RG_OK;
    }
    rg_panels_pack(isa, ctx->pool, type, w, cols, 1, rows, cols, packed);
    rg_panels_pack(isa, ctx->pool, type, w, 1, cols, cols, rows,
                   (char *)packed + transpose_at(isa, type, rows, cols));
    return RG_OK;
}

void rg_cpu_pack_block(const rg_isa *isa, const float *w, int64_t rows, int64_t cols, rg_dtype type,
                       int64_t r0, int64_t r1, int64_t c0, int64_t c1, void *packed)
{
    char *turned = (char *)packed + transpose_at(isa, type, rows, cols);
    rg_panels_pack_part(isa, type, w + r0 * cols, cols, 1, rows, cols, c0, c1, r0, r1, packed);
    rg_panels_pack_part(isa, type, w + c0, 1, cols, cols, rows, r0, r1, c0, c1, turned);
}

rg_status rg_gemm_set_weight(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_weight *w,
                             bool transposed, rg_gemm *g)
{
    const rg_dtype type = g->operands = ctx->operands;
    g->b_row = 0, g->b_type = type;
    if (w->packed && (w->type == type || (w->type == RG_BF16 && type == RG_F32))) {
        g->b_type = w->type;
        g->b = (const char *)w->packed +
               (transposed ? transpose_at(isa, w->type, w->rows, w->cols) : 0);
        return RG_OK;
    }
    if (!transposed && type == RG_F32) {
        g->b = w->w, g->b_row = w->cols;
        return RG_OK;
    }
    g->b = transposed ? rg_panels_make(isa, ctx, type, w->w, 1, w->cols, w->cols, w->rows)
                      : rg_panels_make(isa, ctx, type, w->w, w->cols, 1, w->rows, w->cols);
    return g->b ? RG_OK : ctx->error->code;
}
