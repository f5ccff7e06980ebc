/*
 * Attention, gradient: scores are computed again block by block from the kept log-sum-exp.
 *
 * One idea: a task owns a head, so dq, dk and dv have one writer each; blocks of queries are the
 * outer loop, blocks of keys the inner, both in order.
 */
#include "kernels/cpu/attention.h"

#include <math.h>
#include <string.h>

enum { KEYS = RG_ATTENTION_KEYS };

/* One head's dense operands and gradients, in a thread's scratch. */
typedef struct head_grad {
    int64_t head, item, column;
    float *q, *k;        /* (Tq,D) rotated and scaled, (Tk,D) rotated */
    float *dq, *dk, *dv; /* dense, still rotated */
    float *s, *dp;       /* (q_rows, KEYS) */
    float *delta;        /* (q_rows) */
    float *gemm;
} head_grad;

static head_grad place(const rg_attention_job *j, int64_t head, float *at)
{
    const rg_attention_args *a = j->a;
    const int64_t d = a->head_dim;
    head_grad h = {.head = head, .item = head / a->heads, .column = head % a->heads * d};
    h.q = at, h.k = h.q + a->t_q * d;
    h.dq = h.k + a->t_k * d, h.dk = h.dq + a->t_q * d, h.dv = h.dk + a->t_k * d;
    h.s = h.dv + a->t_k * d, h.dp = h.s + j->q_rows * KEYS;
    h.delta = h.dp + j->q_rows * KEYS, h.gemm = h.delta + j->q_rows;
    return h;
}

static int64_t scratch_of(const rg_attention_args *a, const rg_isa *isa)
{
    const int64_t d = a->head_dim, rows = RG_ATTENTION_TILES * isa->f32->mr;
    const int64_t depth = d > KEYS ? d : KEYS;
    const int64_t n = (2 * a->t_q + 3 * a->t_k) * d + rows * (2 * KEYS + 1);
    const int64_t least = KEYS * d; /* panel_task's rows */
    return ((n > least ? n : least) + rg_gemm_scratch(isa, 1, depth) + 15) / 16 * 16;
}

/* c (+)= the product of a block of p, plain or turned, and dense rows. */
static void add_product(const rg_attention_job *j, const head_grad *h, const float *p, bool turned,
                        int64_t m, int64_t k, const float *b, int64_t b_row, float *c)
{
    const int64_t d = j->a->head_dim;
    const rg_gemm g = {.m = m,
                       .n = d,
                       .segs = 1,
                       .len = k,
                       .a = p,
                       .a_row = turned ? 1 : KEYS,
                       .a_col = turned ? KEYS : 1,
                       .b = b,
                       .b_row = b_row,
                       .b_type = RG_F32,
                       .c = c,
                       .c_row = d,
                       .base = c,
                       .base_row = d};
    rg_gemm_block(j->isa, &g, h->gemm);
}

/* Queries [t0, t0 + rows) against one block of keys. */
static void block_grad(const rg_attention_job *j, const head_grad *h, int64_t t0, int64_t rows,
                       int64_t block, bool masked)
{
    const rg_attention_args *a = j->a;
    const int64_t d = a->head_dim, k0 = block * KEYS, n = min64(KEYS, a->t_k - k0);
    const int64_t width = a->heads * d;
    const float *dout = (const float *)j->grad->dout + (h->item * a->t_q + t0) * width + h->column;
    const float *lse = (const float *)a->lse + h->head * a->t_q + t0;
    rg_attention_scores(j, j->k_panels, h->head, block, h->q + t0 * d, rows, h->s, h->gemm);
    if (masked) rg_attention_mask(j, h->item, block, t0, rows, h->s);
    rg_gemm g = {.m = rows,
                 .n = n,
                 .segs = 1,
                 .len = d,
                 .a = dout,
                 .a_row = width,
                 .a_col = 1,
                 .b_type = RG_F32,
                 .c = h->dp,
                 .c_row = KEYS};
    g.b = j->v_panels + h->head * j->panel_size + k0 * d;
    rg_gemm_block(j->isa, &g, h->gemm);
    for (int64_t i = 0; i < rows; i++) {
        float *s = h->s + i * KEYS, *dp = h->dp + i * KEYS;
        if (lse[i] == -INFINITY) { /* a query that sees no key */
            memset(s, 0, (size_t)n * sizeof(float)), memset(dp, 0, (size_t)n * sizeof(float));
            continue;
        }
        j->isa->vec->softmax_row_grad(s, dp, n, lse[i], h->delta[i], 1);
    }
    if (j->grad->dv) add_product(j, h, h->s, true, n, rows, dout, width, h->dv + k0 * d);
    if (j->grad->dq) add_product(j, h, h->dp, false, rows, n, h->k + k0 * d, d, h->dq + t0 * d);
    if (j->grad->dk) add_product(j, h, h->dp, true, n, rows, h->q + t0 * d, d, h->dk + k0 * d);
}

/* Adds dense gradients to a head's columns, turned back: by minus the angle. */
static void scatter(const rg_attention_job *j, const head_grad *h, const float *rows, int64_t steps,
                    const float *cosine, const float *sine, float scale, float *out, int64_t ld)
{
    const int64_t d = j->a->head_dim, half = d / 2;
    const rg_vec *vec = j->isa->vec;
    if (!out) return;
    out += h->item * steps * ld + h->column;
    for (int64_t t = 0; t < steps; t++, rows += d, out += ld) {
        if (cosine) {
            vec->unrotate_row(rows, cosine + t * half, sine + t * half, half, scale, out);
            if (d % 2) out[d - 1] += scale * rows[d - 1];
        } else {
            vec->add_scaled(rows, scale, out, d);
        }
    }
}

static void grad_task(void *ctx, int64_t task, int32_t thread)
{
    const rg_attention_job *j = ctx;
    const rg_attention_args *a = j->a;
    const int64_t d = a->head_dim, width = a->heads * d;
    const head_grad h = place(j, task, j->scratch + thread * j->scratch_size);
    const float scale = 1 / sqrtf((float)d);
    rg_attention_gather(j, a->q, a->ld_q, h.item * a->t_q * a->ld_q + h.column, 0, a->t_q, j->q_cos,
                        j->q_sin, scale, h.q);
    rg_attention_gather(j, a->k, a->ld_k, h.item * a->t_k * a->ld_k + h.column, 0, a->t_k, j->k_cos,
                        j->k_sin, 1, h.k);
    memset(h.dq, 0, (size_t)((a->t_q + 2 * a->t_k) * d) * sizeof(float));
    for (int64_t t0 = 0; t0 < a->t_q; t0 += j->q_rows) {
        const int64_t rows = min64(j->q_rows, a->t_q - t0);
        for (int64_t i = 0; i < rows; i++) {
            const int64_t at = (h.item * a->t_q + t0 + i) * width + h.column;
            h.delta[i] =
                j->isa->vec->dot((const float *)j->grad->dout + at, (const float *)a->out + at, d);
        }
        for (int64_t block = 0; block < j->k_blocks; block++) {
            const int64_t k0 = block * KEYS, k1 = min64(a->t_k, k0 + KEYS);
            const rg_sight sight = rg_attention_sight(j, t0, t0 + rows, k0, k1);
            if (sight != RG_SEES_NONE) block_grad(j, &h, t0, rows, block, sight == RG_SEES_SOME);
        }
    }
    scatter(j, &h, h.dq, a->t_q, j->q_cos, j->q_sin, scale, j->grad->dq, a->ld_q);
    scatter(j, &h, h.dk, a->t_k, j->k_cos, j->k_sin, 1, j->grad->dk, a->ld_k);
    scatter(j, &h, h.dv, a->t_k, NULL, NULL, 1, j->grad->dv, a->ld_v);
}

rg_status rg_cpu_attention_grad(const rg_isa *isa, rg_kernel_ctx *ctx,
                                const rg_attention_grad_args *g)
{
    const rg_attention_args *a = &g->fwd;
    if (a->batch * a->heads * a->t_q * a->t_k * a->head_dim <= 0) return RG_OK;
    rg_attention_job j = {.isa = isa, .a = a, .grad = g};
    j.scratch_size = scratch_of(a, isa);
    RG_TRY(rg_attention_prepare(ctx, &j));
    rg_pool_run(ctx->pool, grad_task, &j, a->batch * a->heads);
    return RG_OK;
}
