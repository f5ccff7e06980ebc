/*
 * Linear: y = act(x W + b), and its gradients.
 *
 * One idea: bias is the product's base and the activation runs over each finished block while it is
 * in cache (the scales of int8 too, and then bias after them); the gradient multiplies dy by
 * act'(pre) once and is then three products.
 */
#include <string.h>

#include "kernels/cpu/rows.h"

static rg_weight weight_of(const rg_linear_args *a)
{
    return (rg_weight){a->w, a->w_packed, a->packed_type, a->c_in, a->c_out};
}

typedef struct finish_ctx {
    const rg_isa *isa;
    const rg_linear_args *a;
    const float *scale; /* of columns in int8; NULL: bias is in the sums */
    float *sums;
} finish_ctx;

static void activate(void *user, int64_t m0, int64_t m1, int64_t n0, int64_t n1)
{
    const finish_ctx *f = user;
    const rg_linear_args *a = f->a;
    float *pre = f->sums;
    for (int64_t m = m0; m < m1; m++) {
        const int64_t at = m * a->c_out + n0;
        if (f->scale)
            f->isa->vec->scale_columns(f->scale + n0, a->bias ? (const float *)a->bias + n0 : NULL,
                                       pre + at, n1 - n0);
        if (a->act == RG_ACT_NONE) continue;
        f->isa->vec->act(a->act, RG_FUSED_LEAKY_SLOPE, pre + at, (float *)a->y + at, n1 - n0);
    }
}

rg_status rg_cpu_linear(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_linear_args *a)
{
    const bool act = a->act != RG_ACT_NONE;
    rg_gemm g = {.m = a->rows, .n = a->c_out, .segs = 1, .len = a->c_in, .a = a->x};
    g.a_row = a->c_in, g.a_col = 1;
    g.c = act && a->pre ? a->pre : a->y, g.c_row = a->c_out;
    finish_ctx f = {isa, a, NULL, g.c};
    if (a->w_packed && a->packed_type == RG_I8) {
        f.scale = a->w_packed;
        g.operands = RG_F32, g.b_type = RG_I8, g.b = rg_cpu_bytes(a->w_packed, a->c_out);
    } else {
        const rg_weight w = weight_of(a);
        RG_TRY(rg_gemm_set_weight(isa, ctx, &w, false, &g));
        g.base = a->bias;
    }
    return rg_gemm_run(isa, ctx, &g, act || f.scale ? activate : NULL, &f);
}

/* ---- gradient ---- */

enum { RUN = 8192 };

typedef struct act_job {
    const rg_isa *isa;
    const rg_linear_grad_args *a;
    float *dz;
    int64_t n;
} act_job;

static void act_task(void *ctx, int64_t task, int32_t thread)
{
    (void)thread;
    const act_job *j = ctx;
    const int64_t at = task * RUN, n = j->n - at < RUN ? j->n - at : RUN;
    const rg_linear_args *fwd = &j->a->fwd;
    j->isa->vec->act_grad(fwd->act, RG_FUSED_LEAKY_SLOPE, (const float *)fwd->pre + at,
                          (const float *)j->a->dy + at, j->dz + at, n, false);
}

/* dx (+)= dz w^T; dz is `type`, its rows `pitch` apart and filled up to `deep`. */
static rg_status input_grad(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_linear_grad_args *a,
                            const void *dz, rg_dtype type, int64_t pitch, int64_t deep)
{
    const rg_linear_args *f = &a->fwd;
    rg_gemm g = {.m = f->rows, .n = f->c_in, .segs = 1, .len = deep, .a = dz, .a_type = type};
    g.a_row = pitch, g.a_col = 1, g.c = a->dx, g.c_row = f->c_in;
    if (a->add_dx) g.base = a->dx, g.base_row = f->c_in;
    const rg_weight w = weight_of(f);
    RG_TRY(rg_gemm_set_weight(isa, ctx, &w, true, &g));
    return rg_gemm_run(isa, ctx, &g, NULL, NULL);
}

/* ---- in bf16: dz in all the forms that its readers want, in one pass over dy ---- */

enum { PIECE = 32 }; /* rows at a time, a multiple of every k_step */

typedef struct forms {
    const rg_isa *isa;
    const rg_linear_grad_args *a;
    int64_t block, pitch, deep; /* rows of a task; see rows */
    float *room;                /* (threads, PIECE, c_out) */
    uint16_t *rows, *panels;    /* (rows, pitch), filled up to `deep`; all panels */
    float *sums;                /* (tasks, c_out): of dz */
} forms;

static void forms_task(void *ctx, int64_t task, int32_t thread)
{
    const forms *j = ctx;
    const rg_linear_args *f = &j->a->fwd;
    const rg_vec *vec = j->isa->vec;
    const int64_t n = f->c_out, end = min64(f->rows, (task + 1) * j->block);
    float *sum = j->sums + task * n, *room = j->room + thread * PIECE * n;
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int64_t r = task * j->block; r < end; r += PIECE) {
        const int64_t rows = min64(PIECE, end - r);
        const float *dz = (const float *)j->a->dy + r * n;
        if (f->act != RG_ACT_NONE) {
            vec->act_grad(f->act, RG_FUSED_LEAKY_SLOPE, (const float *)f->pre + r * n, dz, room,
                          rows * n, false);
            dz = room;
        }
        for (int64_t i = 0; j->a->dx && i < rows; i++) {
            uint16_t *out = j->rows + (r + i) * j->pitch;
            vec->narrow_bf16(dz + i * n, out, n);
            memset(out + n, 0, (size_t)(j->deep - n) * sizeof *out);
        }
        rg_panels_pack_part(j->isa, RG_BF16, dz, n, 1, f->rows, n, 0, n, r, r + rows, j->panels);
        vec->col_sum(dz, rows, n, n, sum);
    }
}

/* The weights are so many that dw is one product over all rows. */
static rg_status grad_bf16(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_linear_grad_args *a)
{
    const rg_linear_args *f = &a->fwd;
    const int64_t n = f->c_out;
    forms j = {.isa = isa, .a = a, .block = rg_cpu_bias_block(f->rows)};
    const int64_t tasks = div_up(f->rows, j.block);
    j.deep = rg_panels_depth(isa, RG_BF16, n), j.pitch = div_up(j.deep, 32) * 32 + 32;
    j.room = rg_cpu_scratch(ctx, rg_pool_threads(ctx->pool) * PIECE * n);
    j.rows = (uint16_t *)(void *)rg_cpu_scratch(ctx, a->dx ? f->rows * j.pitch / 2 : 0);
    j.panels = (uint16_t *)(void *)rg_cpu_scratch(
        ctx, (int64_t)rg_panels_bytes(isa, RG_BF16, f->rows, n) / 4 + 1);
    j.sums = rg_cpu_scratch(ctx, tasks * n);
    if (!j.room || !j.rows || !j.panels || !j.sums) return ctx->error->code;
    rg_pool_run(ctx->pool, forms_task, &j, tasks);
    if (a->dbias) rg_cpu_add_sums(isa, j.sums, tasks, n, a->dbias, a->add_dbias);
    if (a->dx) RG_TRY(input_grad(isa, ctx, a, j.rows, RG_BF16, j.pitch, j.deep));
    rg_gemm g = {.m = f->c_in, .n = n, .segs = 1, .len = f->rows, .operands = RG_BF16, .a = f->x};
    g.a_row = 1, g.a_col = f->c_in, g.b = j.panels, g.b_type = RG_BF16;
    g.c = a->dw, g.c_row = g.base_row = n, g.base = a->add_dw ? a->dw : NULL;
    return rg_gemm_run(isa, ctx, &g, NULL, NULL);
}

rg_status rg_cpu_linear_grad(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_linear_grad_args *a)
{
    const rg_linear_args *f = &a->fwd;
    if (ctx->operands == RG_BF16 && a->dw && f->rows > 0 && f->c_in * f->c_out >= RG_ROWS_LARGE)
        return grad_bf16(isa, ctx, a);
    const float *dz = a->dy;
    if (f->act != RG_ACT_NONE) {
        act_job j = {isa, a, NULL, f->rows * f->c_out};
        j.dz = rg_cpu_scratch(ctx, j.n);
        if (!j.dz) return ctx->error->code;
        rg_pool_run(ctx->pool, act_task, &j, (j.n + RUN - 1) / RUN);
        dz = j.dz;
    }
    if (a->dx) RG_TRY(input_grad(isa, ctx, a, dz, RG_F32, f->c_out, f->c_out));
    if (a->dw)
        RG_TRY(
            rg_gemm_weight_grad(isa, ctx, f->x, dz, f->rows, f->c_in, f->c_out, a->dw, a->add_dw));
    if (a->dbias)
        RG_TRY(rg_cpu_bias_grad(isa, ctx, dz, f->rows, f->c_out, f->c_out, a->dbias, a->add_dbias));
    return RG_OK;
}
