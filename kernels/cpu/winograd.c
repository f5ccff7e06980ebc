/*
 * Winograd's F(2,3) along the height of an image (winograd.h): forward and weight gradient.
 *
 * One idea: a task owns a run of whole pairs; a transformed input row lives only as long as its
 * product, so that everything a thread touches stays in L2.
 */
#include "kernels/cpu/winograd.h"

#include <string.h>

enum { TASK_ROWS = 16, GROUPS = 16, SUM_RUN = 4096, LEAST_CHANNELS = 8 };

/* Transformed row i is input row plus[i] + sign[i] * input row other[i] of the pair's four. */
static const int plus[4] = {0, 1, 2, 1}, other[4] = {2, 2, 1, 3};
static const float sign[4] = {-1, 1, -1, -1};

typedef struct wino_job {
    const rg_isa *isa;
    const rg_winograd *v;
    int64_t task_rows, tasks;  /* of an item: rows of a task, tasks */
    int64_t width, at, inside; /* floats: of a padded row; where the image begins in it; of it */
    const float *panels;
    int64_t panel_size;
    const float *zeros; /* a row outside the image */
    const float *dy;
    float *partial, *scratch;
    int64_t groups, room, half, size; /* floats: a padded row, a product's row, all of a thread */
} wino_job;

bool rg_winograd_fits(const rg_kernel_ctx *ctx, const rg_conv2d_args *a)
{
    return ctx->operands == RG_F32 && a->kernel_h == 3 && a->stride_h == 1 &&
           min64(a->c_in, a->c_out) >= LEAST_CHANNELS;
}

/* Where a pair's first row is: row r of a task's run pairs with r + gap when (r / gap) is even. */
static bool opens_pair(const rg_winograd *v, int64_t r)
{
    return r / v->gap % 2 == 0;
}

/* The image's part of input row h. */
static const float *input_row(const wino_job *j, int64_t item, int64_t h)
{
    const rg_plane *in = &j->v->in;
    if (h < 0 || h >= in->h) return j->zeros;
    return in->x + ((item * in->h + h) * in->w + max64(0, -in->left)) * in->c;
}

/* Transformed row i of the pair at output row r; the row's margins are zeros already. */
static void transform(const wino_job *j, int64_t item, int64_t r, int i, float *row)
{
    const int64_t h = r + j->v->in.h0, gap = j->v->gap;
    j->isa->vec->combine(input_row(j, item, h + plus[i] * gap),
                         input_row(j, item, h + other[i] * gap), sign[i], row + j->at, j->inside);
}

static void clear_margins(const wino_job *j, float *row)
{
    const int64_t end = j->at + j->inside;
    memset(row, 0, (size_t)j->at * sizeof(float));
    memset(row + end, 0, (size_t)(j->width - end) * sizeof(float));
}

/* Sizes that both directions share, and the row of zeros. */
static rg_status prepare(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_winograd *v, wino_job *j)
{
    const rg_plane *in = &v->in;
    const int64_t skip = max64(0, -in->left), left = max64(0, in->left);
    *j = (wino_job){.isa = isa, .v = v, .width = in->width * in->c, .at = left * in->c};
    j->inside = max64(0, min64(in->w - skip, in->width - left)) * in->c;
    j->task_rows = div_up(TASK_ROWS, 2 * v->gap) * 2 * v->gap;
    j->tasks = div_up(v->rows, j->task_rows);
    j->room = div_up(j->width, 16) * 16;
    j->half = div_up(v->m * v->n, 16) * 16;
    float *zeros = rg_cpu_scratch(ctx, j->inside);
    if (!zeros) return ctx->error->code;
    memset(zeros, 0, (size_t)j->inside * sizeof(float));
    j->zeros = zeros;
    return RG_OK;
}

/* ---- forward ---- */

/* The four transformed weights of w (3, len, n), as panels; the last with its sign turned. */
static rg_status transform_weight(rg_kernel_ctx *ctx, wino_job *j)
{
    const rg_winograd *v = j->v;
    const int64_t n = v->len * v->n;
    j->panel_size = (int64_t)rg_panels_bytes(j->isa, RG_F32, v->len, v->n) / 4;
    float *u = rg_cpu_scratch(ctx, 4 * n);
    float *panels = rg_cpu_scratch(ctx, 4 * j->panel_size);
    if (!u || !panels) return ctx->error->code;
    for (int64_t i = 0; i < n; i++) {
        const float g0 = v->w[i], g1 = v->w[n + i], g2 = v->w[2 * n + i];
        u[i] = g0;
        u[n + i] = 0.5F * (g0 + g1 + g2);
        u[2 * n + i] = 0.5F * (g0 - g1 + g2);
        u[3 * n + i] = -g2;
    }
    for (int64_t i = 0; i < 4; i++)
        rg_panels_pack(j->isa, ctx->pool, RG_F32, u + i * n, v->n, 1, v->len, v->n,
                       panels + i * j->panel_size);
    j->panels = panels;
    return RG_OK;
}

/* c = base + transformed row i times its weight. */
static void product(const wino_job *j, int i, const float *row, const float *base, int64_t base_row,
                    float *c, float *scratch)
{
    const rg_winograd *v = j->v;
    const rg_gemm g = {.m = v->m,
                       .n = v->n,
                       .segs = 1,
                       .len = v->len,
                       .a = row,
                       .a_row = v->a_row,
                       .a_col = 1,
                       .b = j->panels + i * j->panel_size,
                       .b_type = RG_F32,
                       .c = c,
                       .c_row = v->n,
                       .base = base,
                       .base_row = base_row};
    rg_gemm_block(j->isa, &g, scratch);
}

/* Output row r: product i on top of `half`, which may be overwritten. */
static void finish_row(const wino_job *j, int64_t item, int64_t r, int i, const float *row,
                       float *half, float *scratch)
{
    const rg_winograd *v = j->v;
    float *out = v->out + (item * v->rows + r) * v->length;
    const bool whole = !v->add && v->skip == 0 && v->length == v->m * v->n;
    float *done = whole ? out : half;
    product(j, i, row, half, v->n, done, scratch);
    if (v->act != RG_ACT_NONE) j->isa->vec->act(v->act, v->slope, done, done, v->m * v->n);
    if (whole) return;
    if (v->add)
        j->isa->vec->accumulate(half + v->skip, out, v->length);
    else
        memcpy(out, half + v->skip, (size_t)v->length * sizeof(float));
}

static void forward_task(void *ctx, int64_t task, int32_t thread)
{
    const wino_job *j = ctx;
    const rg_winograd *v = j->v;
    const int64_t item = task / j->tasks, r0 = task % j->tasks * j->task_rows;
    const int64_t r1 = min64(v->rows, r0 + j->task_rows);
    float *row = j->scratch + thread * j->size, *sum = row + j->room, *difference = sum + j->half;
    float *scratch = difference + j->half;
    clear_margins(j, row);
    for (int64_t r = r0; r < r1; r++) {
        if (!opens_pair(v, r)) continue;
        transform(j, item, r, 1, row);
        product(j, 1, row, v->bias, 0, sum, scratch);
        transform(j, item, r, 2, row);
        product(j, 2, row, NULL, 0, difference, scratch);
        j->isa->vec->butterfly(sum, difference, v->m * v->n);
        transform(j, item, r, 0, row);
        finish_row(j, item, r, 0, row, sum, scratch);
        if (r + v->gap >= v->rows) continue;
        transform(j, item, r, 3, row);
        finish_row(j, item, r + v->gap, 3, row, difference, scratch);
    }
}

rg_status rg_winograd_run(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_winograd *v)
{
    wino_job j;
    RG_TRY(prepare(isa, ctx, v, &j));
    RG_TRY(transform_weight(ctx, &j));
    j.size = j.room + 2 * j.half + div_up(rg_gemm_scratch(isa, 1, v->len), 16) * 16;
    j.scratch = rg_cpu_scratch(ctx, j.size * rg_pool_threads(ctx->pool));
    if (!j.scratch) return ctx->error->code;
    rg_pool_run(ctx->pool, forward_task, &j, v->batch * j.tasks);
    return RG_OK;
}

/* ---- weight gradient ---- */

/* du (4, len, n) += the products of the pair at row r; fresh: = */
static void add_pair(const wino_job *j, int64_t item, int64_t r, float *du, bool fresh, float *row)
{
    const rg_winograd *v = j->v;
    const int64_t n = v->m * v->n, weights = v->len * v->n;
    float *sum = row + j->room, *difference = sum + j->half, *scratch = difference + j->half;
    const float *dy0 = j->dy + (item * v->rows + r) * n, *dy1 = dy0 + v->gap * n;
    const bool pair = r + v->gap < v->rows;
    if (pair) {
        j->isa->vec->combine(dy0, dy1, 1, sum, n);
        j->isa->vec->combine(dy0, dy1, -1, difference, n);
    }
    const float *right[4] = {dy0, pair ? sum : dy0, pair ? difference : dy0, pair ? dy1 : NULL};
    rg_gemm g = {.m = v->len, .n = v->n, .segs = 1, .len = v->m, .a = row, .a_row = 1};
    g.a_col = v->a_row, g.b_row = g.c_row = g.base_row = v->n, g.b_type = RG_F32;
    for (int i = 0; i < 4; i++) {
        g.b = right[i], g.c = du + i * weights, g.base = fresh ? NULL : g.c;
        if (!g.b) {
            if (fresh) memset(g.c, 0, (size_t)weights * sizeof(float));
            continue;
        }
        transform(j, item, r, i, row);
        rg_gemm_block(j->isa, &g, scratch);
    }
}

static void dw_task(void *ctx, int64_t group, int32_t thread)
{
    const wino_job *j = ctx;
    const rg_winograd *v = j->v;
    const int64_t all = v->batch * j->tasks;
    const int64_t first = all * group / j->groups, last = all * (group + 1) / j->groups;
    float *row = j->scratch + thread * j->size, *du = j->partial + group * 4 * v->len * v->n;
    clear_margins(j, row);
    bool fresh = true;
    for (int64_t task = first; task < last; task++) {
        const int64_t item = task / j->tasks, r0 = task % j->tasks * j->task_rows;
        for (int64_t r = r0; r < min64(v->rows, r0 + j->task_rows); r++) {
            if (!opens_pair(v, r)) continue;
            add_pair(j, item, r, du, fresh, row);
            fresh = false;
        }
    }
}

typedef struct fold_job {
    const wino_job *j;
    float *dw;
    bool add;
} fold_job;

/* The groups' sums, added in order into the first, and back to the three taps. */
static void fold_task(void *ctx, int64_t task, int32_t thread)
{
    (void)thread;
    const fold_job *f = ctx;
    const wino_job *j = f->j;
    const int64_t n = j->v->len * j->v->n, at = task * SUM_RUN, count = min64(SUM_RUN, n - at);
    float *u = j->partial + at, *dw = f->dw + at;
    for (int64_t g = 1; g < j->groups; g++)
        for (int64_t i = 0; i < 4; i++)
            j->isa->vec->accumulate(u + (4 * g + i) * n, u + i * n, count);
    for (int64_t i = 0; i < count; i++) {
        const float sum = 0.5F * (u[n + i] + u[2 * n + i]);
        const float g[3] = {u[i] + sum, 0.5F * (u[n + i] - u[2 * n + i]), sum - u[3 * n + i]};
        for (int64_t k = 0; k < 3; k++) dw[k * n + i] = f->add ? dw[k * n + i] + g[k] : g[k];
    }
}

rg_status rg_winograd_dw(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_winograd *v,
                         const float *dy, float *dw, bool add)
{
    wino_job j;
    RG_TRY(prepare(isa, ctx, v, &j));
    j.dy = dy, j.groups = min64(GROUPS, v->batch * j.tasks);
    j.size = j.room + 2 * j.half + div_up(rg_gemm_scratch(isa, 1, v->m), 16) * 16;
    j.scratch = rg_cpu_scratch(ctx, j.size * rg_pool_threads(ctx->pool));
    j.partial = rg_cpu_scratch(ctx, j.groups * 4 * v->len * v->n);
    if (!j.scratch || !j.partial) return ctx->error->code;
    rg_pool_run(ctx->pool, dw_task, &j, j.groups);
    fold_job f = {&j, dw, add};
    rg_pool_run(ctx->pool, fold_task, &f, div_up(v->len * v->n, SUM_RUN));
    return RG_OK;
}
