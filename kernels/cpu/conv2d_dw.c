/*
 * Conv2d's weight gradient: outer products over the pixels of a row (conv2d.h).
 *
 * One idea: as in rows_grad.c: fixed pieces of rows in at most GROUPS groups, each with a partial
 * sum of its own, added in order; large weights have one group, whose tasks own taps instead.
 */
#include "kernels/cpu/winograd.h"

#include <string.h>

enum { GROUPS = 16, LARGE = 65536, SUM_RUN = 4096 };

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
    cut_dw(&j);
    j.scratch = rg_cpu_scratch(ctx, j.size * rg_pool_threads(ctx->pool));
    if (j.groups > 1) j.partial = rg_cpu_scratch(ctx, j.groups * j.weights);
    if (!j.scratch || (j.groups > 1 && !j.partial)) return ctx->error->code;
    rg_pool_run(ctx->pool, dw_task, &j, j.groups * j.tasks);
    if (j.groups > 1) rg_pool_run(ctx->pool, sum_task, &j, (j.weights + SUM_RUN - 1) / SUM_RUN);
    return RG_OK;
}
