/*
 * Linear: y = act(x W + b), and its gradients.
 *
 * One idea: bias is the product's base and the activation runs over each finished block while it is
 * in cache (the scales of int8 too, and then bias after them); the gradient multiplies dy by
 * act'(pre) once and is then three products.
 */
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

rg_status rg_cpu_linear_grad(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_linear_grad_args *a)
{
    const rg_linear_args *f = &a->fwd;
    const float *dz = a->dy;
    if (f->act != RG_ACT_NONE) {
        act_job j = {isa, a, NULL, f->rows * f->c_out};
        j.dz = rg_cpu_scratch(ctx, j.n);
        if (!j.dz) return ctx->error->code;
        rg_pool_run(ctx->pool, act_task, &j, (j.n + RUN - 1) / RUN);
        dz = j.dz;
    }
    if (a->dx) {
        rg_gemm g = {.m = f->rows, .n = f->c_in, .segs = 1, .len = f->c_out, .a = dz};
        g.a_row = f->c_out, g.a_col = 1, g.c = a->dx, g.c_row = f->c_in;
        if (a->add_dx) g.base = a->dx, g.base_row = f->c_in;
        const rg_weight w = weight_of(f);
        RG_TRY(rg_gemm_set_weight(isa, ctx, &w, true, &g));
        RG_TRY(rg_gemm_run(isa, ctx, &g, NULL, NULL));
    }
    if (a->dw)
        RG_TRY(
            rg_gemm_weight_grad(isa, ctx, f->x, dz, f->rows, f->c_in, f->c_out, a->dw, a->add_dw));
    if (a->dbias)
        RG_TRY(rg_cpu_bias_grad(isa, ctx, dz, f->rows, f->c_out, f->c_out, a->dbias, a->add_dbias));
    return RG_OK;
}
