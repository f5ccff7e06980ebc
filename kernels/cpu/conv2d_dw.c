/*
 * Conv2d's weight gradient: outer products over the pixels of a row (conv2d.h).
 *
 * One idea: as in rows_grad.c: fixed pieces of rows in at most GROUPS groups, each with a partial
 * sum of its own, added in order; large weights have one group, whose tasks own taps instead.
 * Tiles that take pairs of bf16 need pixels that one output pixel and the next take side by side:
 * an image row is interleaved once for all taps, and read by them where it lies.
 */
#include "kernels/cpu/winograd.h"

#include <string.h>

enum {
    GROUPS = 16,
    LARGE = 65536, /* weights */
    SUM_RUN = 4096,
    PIECE = 196608, /* values of dy's panels that a piece of rows has: 384 KiB */
    DEPTH = 256     /* of a product over interleaved rows, and more for long rows */
};

typedef struct dw_job {
    const rg_isa *isa;
    const rg_conv2d_grad_args *g;
    rg_dtype operands;
    int64_t rows, pieces, all, groups; /* rows of a piece; pieces of an item, of all; groups */
    int64_t runs, run; /* of taps along w that are one product: runs of `run` rows of dw */
    int64_t tasks;     /* of a group */
    int64_t width, weights;
    float *partial, *scratch;
    int64_t room, size;
} dw_job;

/* Adds piece `piece` to the blocks (kernel row, run) with number % tasks == task. */
static void add_piece(const dw_job *j, int64_t piece, int64_t task, float *dw, bool fresh,
                      float *scratch)
{
    const rg_conv2d_args *a = &j->g->fwd;
    const int64_t item = piece / j->pieces, oh0 = piece % j->pieces * j->rows, ci = a->c_in;
    const int64_t rows = min64(j->rows, a->h_out - oh0), pitch = j->width * ci, co = a->c_out;
    const rg_plane p = {(const float *)a->x + item * a->h_in * a->w_in * ci,
                        a->h_in,
                        a->w_in,
                        ci,
                        oh0 * a->stride_h - a->pad_h,
                        (rows - 1) * a->stride_h + (a->kernel_h - 1) * a->dilation_h + 1,
                        a->pad_w,
                        j->width};
    rg_plane_load(j->isa, &p, RG_F32, scratch);
    rg_gemm g = {.m = j->run,
                 .n = co,
                 .segs = 1,
                 .len = a->w_out,
                 .a_row = 1,
                 .a_col = a->stride_w * ci,
                 .b_row = co,
                 .b_type = RG_F32,
                 .operands = j->operands,
                 .c_row = co,
                 .base_row = co};
    for (int64_t r = 0; r < rows; r++) {
        const float *dy = (const float *)j->g->dy + ((item * a->h_out + oh0 + r) * a->w_out) * co;
        for (int64_t i = task; i < a->kernel_h * j->runs; i += j->tasks) {
            const int64_t kh = i / j->runs, kw = i % j->runs;
            g.a =
                scratch + (r * a->stride_h + kh * a->dilation_h) * pitch + kw * a->dilation_w * ci;
            g.b = dy, g.c = dw + i * j->run * co;
            g.base = fresh && r == 0 ? NULL : g.c;
            rg_gemm_block(j->isa, &g, scratch + j->room);
        }
    }
}

static void dw_task(void *ctx, int64_t task, int32_t thread)
{
    const dw_job *j = ctx;
    const int64_t group = task / j->tasks;
    float *dw = j->groups > 1 ? j->partial + group * j->weights : j->g->dw;
    const int64_t first = j->all * group / j->groups, last = j->all * (group + 1) / j->groups;
    for (int64_t piece = first; piece < last; piece++)
        add_piece(j, piece, task % j->tasks, dw, piece == first && (j->groups > 1 || !j->g->add_dw),
                  j->scratch + thread * j->size);
}

static void sum_task(void *ctx, int64_t task, int32_t thread)
{
    (void)thread;
    const dw_job *j = ctx;
    const int64_t at = task * SUM_RUN, n = min64(SUM_RUN, j->weights - at);
    float *dw = (float *)j->g->dw + at;
    if (!j->g->add_dw) memset(dw, 0, (size_t)n * sizeof(float));
    for (int64_t g = 0; g < j->groups; g++)
        j->isa->vec->accumulate(j->partial + g * j->weights + at, dw, n);
}

/* ---- bf16 in pairs ---- */

typedef struct pair_job {
    dw_job sum;
    int64_t all, piece, run; /* image rows: of all items; of a piece; of a product */
    int64_t len;             /* output pixels of a row, made even */
    int64_t gap, pitch;      /* floats from a pair's one to the other; pairs of an image row */
    int64_t rows_room, dy_room, size;
} pair_job;

/* Values of an output row's panel of n columns. */
static int64_t panel_size(const pair_job *j, int64_t n)
{
    const rg_tiles *tiles = j->sum.isa->bf16;
    return j->len * tiles->width[rg_tiles_index(tiles, n)];
}

/* Output rows that image rows [h0, h1) meet. */
static int64_t first_out(const rg_conv2d_args *a, int64_t h0)
{
    return max64(0, h0 + a->pad_h - (a->kernel_h - 1) * a->dilation_h);
}

static int64_t last_out(const rg_conv2d_args *a, int64_t h1)
{
    return min64(a->h_out, h1 + a->pad_h);
}

/* Image rows [h0, h0 + rows) as pairs (x[i], x[i + gap]). */
static void load_pairs(const pair_job *j, int64_t item, int64_t h0, int64_t rows, uint16_t *pairs,
                       float *row)
{
    const rg_conv2d_args *a = &j->sum.g->fwd;
    const float *x = (const float *)a->x + item * a->h_in * a->w_in * a->c_in;
    const int64_t width = (j->pitch + j->gap) / a->c_in;
    rg_plane p = {x, a->h_in, a->w_in, a->c_in, h0, 1, a->pad_w, width};
    for (int64_t r = 0; r < rows; r++, p.h0++, pairs += 2 * j->pitch) {
        rg_plane_load(j->sum.isa, &p, RG_F32, row);
        j->sum.isa->vec->pair_row(row, row + j->gap, j->pitch, pairs);
    }
}

/* dw += what image rows [h0, h1), as pairs, and dy's panels from row `first` on give. */
static void add_rows(const pair_job *j, int64_t h0, int64_t h1, const uint16_t *pairs,
                     const uint16_t *dy, int64_t first, float *dw, float *scratch)
{
    const rg_conv2d_args *a = &j->sum.g->fwd;
    const int64_t co = a->c_out, wide = j->sum.isa->bf16->width[0], m = a->kernel_w * a->c_in;
    rg_gemm g = {.m = m, .len = j->len, .operands = RG_BF16, .a_type = RG_BF16, .a_pairs = true};
    g.a_row = 2, g.a_col = 2 * j->gap, g.a_seg = 2 * j->pitch;
    g.b_type = RG_BF16, g.c_row = g.base_row = co;
    for (int64_t kh = 0; kh < a->kernel_h; kh++) {
        const int64_t up = a->pad_h - kh * a->dilation_h; /* from image row to output row */
        const int64_t lo = max64(h0, -up), hi = min64(h1, a->h_out - up);
        if (lo >= hi) continue;
        g.segs = hi - lo, g.a = pairs + (lo - h0) * 2 * j->pitch;
        for (int64_t n0 = 0; n0 < co; n0 += wide) {
            g.n = min64(wide, co - n0);
            g.b = dy + n0 / wide * j->dy_room + (lo + up - first) * panel_size(j, g.n);
            g.base = g.c = dw + kh * m * co + n0;
            rg_gemm_block(j->sum.isa, &g, scratch);
        }
    }
}

/* dw += what image rows [h0, h1) of an item give: at most a piece. */
static void add_pairs(const pair_job *j, int64_t item, int64_t h0, int64_t h1, float *dw,
                      float *scratch)
{
    const rg_conv2d_args *a = &j->sum.g->fwd;
    const int64_t co = a->c_out, wide = j->sum.isa->bf16->width[0], first = first_out(a, h0);
    uint16_t *dy = (uint16_t *)(void *)scratch;
    for (int64_t n0 = 0; n0 < co; n0 += wide) {
        const int64_t n = min64(wide, co - n0), size = panel_size(j, n);
        const float *from = (const float *)j->sum.g->dy + item * a->h_out * a->w_out * co + n0;
        uint16_t *to = dy + n0 / wide * j->dy_room;
        for (int64_t r = first; r < last_out(a, h1); r++, to += size)
            j->sum.isa->vec->pack_pairs(from + r * a->w_out * co, co, n, size / j->len, a->w_out,
                                        j->len, to);
    }
    float *pairs = scratch + div_up(co, wide) * j->dy_room / 2, *row = pairs + j->rows_room;
    float *gemm = row + div_up(j->pitch + j->gap, 16) * 16;
    for (int64_t h = h0; h < h1; h += j->run) {
        const int64_t end = min64(h1, h + j->run);
        load_pairs(j, item, h, end - h, (uint16_t *)(void *)pairs, row);
        add_rows(j, h, end, (const uint16_t *)(const void *)pairs, dy, first, dw, gemm);
    }
}

static void pair_task(void *ctx, int64_t group, int32_t thread)
{
    const pair_job *j = ctx;
    const int64_t h_in = j->sum.g->fwd.h_in, last = j->all * (group + 1) / j->sum.groups;
    float *dw = j->sum.partial + group * j->sum.weights;
    memset(dw, 0, (size_t)j->sum.weights * sizeof(float));
    for (int64_t at = j->all * group / j->sum.groups, n; at < last; at += n) {
        const int64_t h = at % h_in;
        n = min64(min64(j->piece, h_in - h), last - at);
        add_pairs(j, at / h_in, h, h + n, dw, j->sum.scratch + thread * j->size);
    }
}

/* Whether pairs serve this gradient: not where a tile takes more than two, or rows are strided. */
static bool by_pairs(const rg_isa *isa, const rg_kernel_ctx *ctx, const rg_conv2d_args *a)
{
    return ctx->operands == RG_BF16 && isa->bf16->k_step == 2 && a->stride_h == 1 &&
           a->dilation_w == 1 && a->h_in > 0;
}

static rg_status dw_by_pairs(const rg_isa *isa, rg_kernel_ctx *ctx, dw_job *sum)
{
    const rg_conv2d_args *a = &sum->g->fwd;
    pair_job j = {.sum = *sum, .all = a->batch * a->h_in, .len = div_up(a->w_out, 2) * 2};
    const int64_t wide = isa->bf16->width[0], reach = (a->kernel_h - 1) * a->dilation_h;
    j.gap = a->stride_w * a->c_in;
    j.pitch = ((j.len - 2) * a->stride_w + a->kernel_w) * a->c_in;
    j.run = max64(1, DEPTH / j.len);
    const int64_t panel = panel_size(&j, min64(wide, a->c_out)), panels = div_up(a->c_out, wide);
    j.piece = max64(1, PIECE / (panel * panels) - reach);
    j.dy_room = div_up((j.piece + reach) * panel, 32) * 32;
    j.rows_room = div_up(j.run * j.pitch, 16) * 16;
    j.size = panels * j.dy_room / 2 + j.rows_room + div_up(j.pitch + j.gap, 16) * 16 +
             div_up(rg_gemm_scratch(isa, j.run, j.len), 16) * 16;
    j.sum.groups = min64(GROUPS, j.all);
    j.sum.scratch = rg_cpu_scratch(ctx, j.size * rg_pool_threads(ctx->pool));
    j.sum.partial = rg_cpu_scratch(ctx, j.sum.groups * j.sum.weights);
    if (!j.sum.scratch || !j.sum.partial) return ctx->error->code;
    rg_pool_run(ctx->pool, pair_task, &j, j.sum.groups);
    rg_pool_run(ctx->pool, sum_task, &j.sum, div_up(j.sum.weights, SUM_RUN));
    return RG_OK;
}

/* ---- any ---- */

static void cut_dw(dw_job *j)
{
    const rg_conv2d_args *a = &j->g->fwd;
    const int64_t taps_w = (a->kernel_w - 1) * a->dilation_w + 1, ci = a->c_in;
    const int64_t extra = (a->kernel_h - 1) * a->dilation_h + 1;
    j->runs = a->dilation_w == 1 ? 1 : a->kernel_w;
    j->run = a->dilation_w == 1 ? a->kernel_w * ci : ci;
    j->width = (a->w_out - 1) * a->stride_w + taps_w;
    j->rows = rg_plane_rows(j->width * ci, extra, a->stride_h, a->h_out);
    j->pieces = (a->h_out + j->rows - 1) / j->rows;
    j->all = a->batch * j->pieces;
    j->groups = j->weights >= LARGE ? 1 : min64(GROUPS, j->all);
    j->tasks = j->groups > 1 ? 1 : a->kernel_h * j->runs;
    j->room = (((j->rows - 1) * a->stride_h + extra) * j->width * ci + 15) / 16 * 16;
    j->size = j->room + (rg_gemm_scratch(j->isa, 1, a->w_out) + 15) / 16 * 16;
}

rg_status rg_conv2d_dw(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_conv2d_grad_args *g)
{
    const rg_conv2d_args *a = &g->fwd;
    dw_job j = {.isa = isa, .g = g, .operands = ctx->operands};
    j.weights = (int64_t)a->kernel_h * a->kernel_w * a->c_in * a->c_out;
    if (j.weights <= 0) return RG_OK;
    if (a->batch * a->h_out * a->w_out <= 0) {
        if (!g->add_dw) memset(g->dw, 0, (size_t)j.weights * sizeof(float));
        return RG_OK;
    }
    if (rg_winograd_fits(ctx, a) && a->dilation_w == 1 && j.weights < LARGE) {
        const rg_winograd v = rg_conv2d_pairs(a);
        return rg_winograd_dw(isa, ctx, &v, g->dy, g->dw, g->add_dw);
    }
    if (by_pairs(isa, ctx, a)) return dw_by_pairs(isa, ctx, &j);
    cut_dw(&j);
    j.scratch = rg_cpu_scratch(ctx, j.size * rg_pool_threads(ctx->pool));
    if (j.groups > 1) j.partial = rg_cpu_scratch(ctx, j.groups * j.weights);
    if (!j.scratch || (j.groups > 1 && !j.partial)) return ctx->error->code;
    rg_pool_run(ctx->pool, dw_task, &j, j.groups * j.tasks);
    if (j.groups > 1) rg_pool_run(ctx->pool, sum_task, &j, (j.weights + SUM_RUN - 1) / SUM_RUN);
    return RG_OK;
}
