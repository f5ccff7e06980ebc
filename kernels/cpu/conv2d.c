/*
 * Conv2d, channels last, zero padding: forward (conv2d.h).
 */
#include "kernels/cpu/winograd.h"

#include <string.h>

enum { PLANE = 98304 }; /* floats: 384 KiB */

void rg_plane_load(const rg_isa *isa, const rg_plane *p, rg_dtype type, void *plane)
{
    const int64_t size = type == RG_BF16 ? 2 : 4, pitch = p->width * p->c;
    const int64_t skip = max64(0, -p->left), before = max64(0, p->left) * p->c;
    const int64_t n = max64(0, min64(p->w - skip, p->width - max64(0, p->left))) * p->c;
    for (int64_t r = 0; r < p->rows; r++) {
        const int64_t h = p->h0 + r;
        char *out = (char *)plane + r * pitch * size, *end = out + (before + n) * size;
        if (h < 0 || h >= p->h) {
            memset(out, 0, (size_t)(pitch * size));
            continue;
        }
        const float *x = p->x + (h * p->w + skip) * p->c;
        memset(out, 0, (size_t)(before * size));
        if (type == RG_BF16)
            isa->vec->narrow_bf16(x, (uint16_t *)plane + r * pitch + before, n);
        else
            memcpy(out + before * size, x, (size_t)(n * size));
        memset(end, 0, (size_t)((pitch - before - n) * size));
    }
}

const void *rg_plane_at(const void *plane, rg_dtype type, int64_t at)
{
    return (const char *)plane + at * (type == RG_BF16 ? 2 : 4);
}

int64_t rg_plane_rows(int64_t pitch, int64_t extra, int64_t step, int64_t all)
{
    const int64_t fit = (PLANE / max64(1, pitch) - extra) / max64(1, step);
    const int64_t rows = max64(1, min64(fit, all)), blocks = (all + rows - 1) / rows;
    return max64(1, (all + max64(1, blocks) - 1) / max64(1, blocks));
}

/* ---- forward ---- */

typedef struct conv2d_job {
    const rg_isa *isa;
    const rg_conv2d_args *a;
    rg_gemm weight;
    int64_t taps_w; /* kernel_w with its dilation spelled out */
    int64_t rows, blocks, width;
    float *scratch;
    int64_t room, size;
} conv2d_job;

static void forward_task(void *ctx, int64_t task, int32_t thread)
{
    const conv2d_job *j = ctx;
    const rg_conv2d_args *a = j->a;
    const int64_t item = task / j->blocks, oh0 = task % j->blocks * j->rows;
    const int64_t rows = min64(j->rows, a->h_out - oh0), ci = a->c_in, pitch = j->width * ci;
    float *plane = j->scratch + thread * j->size;
    const rg_plane p = {(const float *)a->x + item * a->h_in * a->w_in * ci,
                        a->h_in,
                        a->w_in,
                        ci,
                        oh0 * a->stride_h - a->pad_h,
                        (rows - 1) * a->stride_h + (a->kernel_h - 1) * a->dilation_h + 1,
                        a->pad_w,
                        j->width};
    rg_gemm g = j->weight;
    g.a_type = g.operands;
    rg_plane_load(j->isa, &p, g.a_type, plane);
    g.m = a->w_out, g.n = a->c_out, g.segs = a->kernel_h, g.len = j->taps_w * ci;
    g.a_row = a->stride_w * ci, g.a_col = 1, g.a_seg = a->dilation_h * pitch;
    g.c_row = a->c_out, g.base = a->bias, g.base_row = 0;
    for (int64_t r = 0; r < rows; r++) {
        g.a = rg_plane_at(plane, g.a_type, r * a->stride_h * pitch);
        g.c = (float *)a->y + ((item * a->h_out + oh0 + r) * a->w_out) * a->c_out;
        rg_gemm_block(j->isa, &g, plane + j->room);
        if (a->act != RG_ACT_NONE)
            j->isa->vec->act(a->act, (float)a->slope, g.c, g.c, a->w_out * a->c_out);
    }
}

/* The weight with zeros between the taps of a dilated row; NULL with the error set. */
static const float *spread_weight(rg_kernel_ctx *ctx, const rg_conv2d_args *a, int64_t taps_w)
{
    if (a->dilation_w == 1) return a->w;
    const int64_t ci = a->c_in, co = a->c_out, k = a->kernel_h * taps_w * ci;
    float *spread = rg_cpu_scratch(ctx, k * co);
    if (!spread) return NULL;
    memset(spread, 0, (size_t)(k * co) * sizeof(float));
    for (int64_t t = 0; t < a->kernel_h * a->kernel_w; t++)
        memcpy(spread + (t / a->kernel_w * taps_w + t % a->kernel_w * a->dilation_w) * ci * co,
               (const float *)a->w + t * ci * co, (size_t)(ci * co) * sizeof(float));
    return spread;
}

static rg_status conv2d_weight(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_conv2d_args *a,
                               int64_t taps_w, rg_gemm *g)
{
    const int64_t co = a->c_out, k = a->kernel_h * taps_w * a->c_in;
    const rg_weight plain = {a->w, a->w_packed, a->packed_type, k, co};
    if (a->dilation_w == 1 && a->w_packed) return rg_gemm_set_weight(isa, ctx, &plain, false, g);
    const float *w = spread_weight(ctx, a, taps_w);
    if (!w) return ctx->error->code;
    g->b = rg_panels_make(isa, ctx, ctx->operands, w, co, 1, k, co);
    g->b_type = g->operands = ctx->operands;
    return g->b ? RG_OK : ctx->error->code;
}

rg_winograd rg_conv2d_pairs(const rg_conv2d_args *a)
{
    const int64_t taps_w = (a->kernel_w - 1) * a->dilation_w + 1, length = a->w_out * a->c_out;
    return (rg_winograd){
        .in = {a->x, a->h_in, a->w_in, a->c_in, -a->pad_h, 0, a->pad_w,
               (a->w_out - 1) * a->stride_w + taps_w},
        .batch = a->batch,
        .gap = a->dilation_h,
        .rows = a->h_out,
        .m = a->w_out,
        .n = a->c_out,
        .len = taps_w * a->c_in,
        .a_row = a->stride_w * a->c_in,
        .length = length,
    };
}

/* Packed weights in bf16 have no exact transform: they are multiplied as they are. */
static bool by_pairs(const rg_kernel_ctx *ctx, const rg_conv2d_args *a)
{
    return rg_winograd_fits(ctx, a) && !(a->w_packed && a->packed_type == RG_BF16);
}

static rg_status forward_by_pairs(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_conv2d_args *a)
{
    rg_winograd v = rg_conv2d_pairs(a);
    v.w = spread_weight(ctx, a, v.len / a->c_in);
    v.bias = a->bias, v.out = a->y, v.act = a->act, v.slope = (float)a->slope;
    return v.w ? rg_winograd_run(isa, ctx, &v) : ctx->error->code;
}

rg_status rg_cpu_conv2d(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_conv2d_args *a)
{
    if (a->batch * a->h_out * a->w_out * a->c_out <= 0) return RG_OK;
    if (by_pairs(ctx, a)) return forward_by_pairs(isa, ctx, a);
    conv2d_job j = {.isa = isa, .a = a};
    j.taps_w = (a->kernel_w - 1) * a->dilation_w + 1;
    RG_TRY(conv2d_weight(isa, ctx, a, j.taps_w, &j.weight));
    j.width = (a->w_out - 1) * a->stride_w + j.taps_w;
    const int64_t pitch = j.width * a->c_in, extra = (a->kernel_h - 1) * a->dilation_h + 1;
    j.rows = rg_plane_rows(pitch, extra, a->stride_h, a->h_out);
    j.blocks = (a->h_out + j.rows - 1) / j.rows;
    j.room = (((j.rows - 1) * a->stride_h + extra) * pitch + 15) / 16 * 16;
    j.size = j.room + (rg_gemm_scratch(isa, a->kernel_h, j.taps_w * a->c_in) + 15) / 16 * 16;
    j.scratch = rg_cpu_scratch(ctx, j.size * rg_pool_threads(ctx->pool));
    if (!j.scratch) return ctx->error->code;
    rg_pool_run(ctx->pool, forward_task, &j, a->batch * j.blocks);
    return RG_OK;
}

/* ---- gradients ---- */

enum { BLOCKS = 64, BLOCK_ROWS = 256 }; /* of dy */

typedef struct before_job {
    const rg_isa *isa;
    const rg_conv2d_grad_args *g;
    int64_t rows, block;
    float *d, *sums; /* (rows, C_out); (blocks, C_out): their sums, for dbias */
} before_job;

/* A block of the gradient of what act was given, and its sum while it is in cache. */
static void before_task(void *ctx, int64_t task, int32_t thread)
{
    (void)thread;
    const before_job *j = ctx;
    const rg_conv2d_args *a = &j->g->fwd;
    const int64_t co = a->c_out, r0 = task * j->block, rows = min64(j->block, j->rows - r0);
    const float *y = (const float *)a->y + r0 * co, *dy = (const float *)j->g->dy + r0 * co;
    float *d = j->d + r0 * co, *sum = j->sums + task * co;
    j->isa->vec->act_grad(a->act, (float)a->slope, y, dy, d, rows * co, false);
    memset(sum, 0, (size_t)co * sizeof(float));
    j->isa->vec->col_sum(d, rows, co, co, sum);
}

/* The gradient of what act was given, in scratch, and dbias. NULL with the error set. */
static const float *before_act(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_conv2d_grad_args *g)
{
    const rg_conv2d_args *a = &g->fwd;
    const int64_t co = a->c_out;
    before_job j = {.isa = isa, .g = g, .rows = a->batch * a->h_out * a->w_out};
    j.block = max64(BLOCK_ROWS, div_up(j.rows, BLOCKS));
    const int64_t blocks = div_up(j.rows, j.block);
    j.d = rg_cpu_scratch(ctx, j.rows * co), j.sums = rg_cpu_scratch(ctx, blocks * co);
    if (!j.d || !j.sums) return NULL;
    rg_pool_run(ctx->pool, before_task, &j, blocks);
    if (g->dbias && !g->add_dbias) memset(g->dbias, 0, (size_t)co * sizeof(float));
    for (int64_t b = 0; g->dbias && b < blocks; b++)
        isa->vec->accumulate(j.sums + b * co, g->dbias, co);
    return j.d;
}

rg_status rg_cpu_conv2d_grad(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_conv2d_grad_args *args)
{
    rg_conv2d_grad_args copy = *args, *g = &copy;
    const rg_conv2d_args *a = &g->fwd;
    if (a->act != RG_ACT_NONE) {
        g->dy = before_act(isa, ctx, args);
        if (!g->dy) return ctx->error->code;
        g->dbias = NULL;
    }
    if (g->dx) RG_TRY(rg_conv2d_dx(isa, ctx, g));
    if (g->dw) RG_TRY(rg_conv2d_dw(isa, ctx, g));
    if (g->dbias)
        RG_TRY(rg_cpu_bias_grad(isa, ctx, g->dy, a->batch * a->h_out * a->w_out, a->c_out, a->c_out,
                                g->dbias, g->add_dbias));
    return RG_OK;
}
