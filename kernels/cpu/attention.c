/*
 * Attention, forward: an online softmax over blocks of keys (attention.h).
 */
#include "kernels/cpu/attention.h"

#include <math.h>
#include <string.h>

enum { KEYS = RG_ATTENTION_KEYS, ANGLE_ROWS = 32 };

/* ---- preparation ---- */

typedef struct angle_job {
    const rg_isa *isa;
    const float *pos;
    float *cosine, *sine;
    int64_t steps, half;
    double *rate; /* (half): radians of a step */
} angle_job;

static void angle_task(void *ctx, int64_t task, int32_t thread)
{
    (void)thread;
    const angle_job *j = ctx;
    const int64_t end = min64(j->steps, (task + 1) * ANGLE_ROWS);
    for (int64_t t = task * ANGLE_ROWS; t < end; t++)
        j->isa->vec->angle_row(j->pos[t], j->rate, j->cosine + t * j->half, j->sine + t * j->half,
                               j->half);
}

static rg_status make_angles(rg_kernel_ctx *ctx, const rg_attention_job *j, const float *pos,
                             int64_t steps, const float **cosine, const float **sine)
{
    const int64_t half = j->a->head_dim / 2;
    angle_job a = {.isa = j->isa, .pos = pos, .steps = steps, .half = half};
    a.cosine = rg_cpu_scratch(ctx, steps * half);
    a.sine = rg_cpu_scratch(ctx, steps * half);
    a.rate = (double *)(void *)rg_cpu_scratch(ctx, 2 * half);
    if (!a.cosine || !a.sine || !a.rate) return ctx->error->code;
    for (int64_t d = 0; d < half; d++) a.rate[d] = pow(j->a->rope_base, -(double)d / (double)half);
    rg_pool_run(ctx->pool, angle_task, &a, div_up(steps, ANGLE_ROWS));
    *cosine = a.cosine, *sine = a.sine;
    return RG_OK;
}

static rg_status make_positions(rg_kernel_ctx *ctx, const float *given, int64_t steps,
                                const float **out)
{
    *out = given;
    if (given) return RG_OK;
    float *pos = rg_cpu_scratch(ctx, steps);
    if (!pos) return ctx->error->code;
    for (int64_t t = 0; t < steps; t++) pos[t] = (float)t;
    *out = pos;
    return RG_OK;
}

void rg_attention_gather(const rg_attention_job *j, const float *m, int64_t ld, int64_t first,
                         int64_t t0, int64_t t1, const float *cosine, const float *sine,
                         float scale, float *out)
{
    const int64_t d = j->a->head_dim, half = d / 2;
    for (int64_t t = t0; t < t1; t++, out += d) {
        const float *row = m + first + t * ld;
        if (cosine) {
            out[d - 1] = scale * row[d - 1]; /* an odd D leaves one element unturned */
            j->isa->vec->rotate_row(row, cosine + t * half, sine + t * half, half, scale, out);
        } else {
            memcpy(out, row, (size_t)d * sizeof(float));
            if (scale != 1) j->isa->vec->scale_row(out, scale, d);
        }
    }
}

/* Panels (D, block) of one block of keys of one head, and of its values for the gradient. */
static void panel_task(void *ctx, int64_t task, int32_t thread)
{
    const rg_attention_job *j = ctx;
    const rg_attention_args *a = j->a;
    const int64_t head = task / j->k_blocks, block = task % j->k_blocks, d = a->head_dim;
    const int64_t item = head / a->heads, k0 = block * KEYS, k1 = min64(a->t_k, k0 + KEYS);
    const int64_t column = head % a->heads * d, at = head * j->panel_size + block * KEYS * d;
    float *rows = j->scratch + thread * j->scratch_size;
    if (rg_attention_sight(j, 0, a->t_q, k0, k1) == RG_SEES_NONE) return;
    rg_attention_gather(j, a->k, a->ld_k, item * a->t_k * a->ld_k + column, k0, k1, j->k_cos,
                        j->k_sin, 1, rows);
    rg_panels_pack(j->isa, NULL, RG_F32, rows, 1, d, d, k1 - k0, j->k_panels + at);
    if (!j->grad) return;
    const float *v = (const float *)a->v + (item * a->t_k + k0) * a->ld_v + column;
    rg_panels_pack(j->isa, NULL, RG_F32, v, 1, a->ld_v, d, k1 - k0, j->v_panels + at);
}

rg_status rg_attention_prepare(rg_kernel_ctx *ctx, rg_attention_job *j)
{
    const rg_attention_args *a = j->a;
    RG_TRY(make_positions(ctx, a->q_pos, a->t_q, &j->q_pos));
    RG_TRY(make_positions(ctx, a->k_pos, a->t_k, &j->k_pos));
    if (a->rope_base > 0 && a->head_dim > 1) {
        RG_TRY(make_angles(ctx, j, j->q_pos, a->t_q, &j->q_cos, &j->q_sin));
        RG_TRY(make_angles(ctx, j, j->k_pos, a->t_k, &j->k_cos, &j->k_sin));
    }
    j->k_blocks = (a->t_k + KEYS - 1) / KEYS;
    j->panel_size = j->k_blocks * KEYS * a->head_dim;
    j->q_rows = RG_ATTENTION_TILES * j->isa->f32->mr;
    j->q_blocks = (a->t_q + j->q_rows - 1) / j->q_rows;
    const int64_t size = a->batch * a->heads * j->panel_size;
    j->k_panels = rg_cpu_scratch(ctx, size);
    j->v_panels = j->grad ? rg_cpu_scratch(ctx, size) : NULL;
    j->scratch = rg_cpu_scratch(ctx, j->scratch_size * rg_pool_threads(ctx->pool));
    if (!j->k_panels || (j->grad && !j->v_panels) || !j->scratch) return ctx->error->code;
    rg_pool_run(ctx->pool, panel_task, j, a->batch * a->heads * j->k_blocks);
    return RG_OK;
}

/* ---- who sees whom ---- */

typedef struct span {
    double low, high;
} span;

static span span_of(const float *pos, int64_t t0, int64_t t1)
{
    span s = {pos[t0], pos[t0]};
    for (int64_t t = t0 + 1; t < t1; t++) {
        if (pos[t] < s.low) s.low = pos[t];
        if (pos[t] > s.high) s.high = pos[t];
    }
    return s;
}

rg_sight rg_attention_sight(const rg_attention_job *j, int64_t t0, int64_t t1, int64_t k0,
                            int64_t k1)
{
    const rg_attention_args *a = j->a;
    if (!a->causal && a->window < 0) return a->key_mask ? RG_SEES_SOME : RG_SEES_ALL;
    const span q = span_of(j->q_pos, t0, t1), k = span_of(j->k_pos, k0, k1);
    const double w = a->window;
    if (a->causal && k.low > q.high) return RG_SEES_NONE;
    if (w >= 0 && (k.low - q.high > w || q.low - k.high > w)) return RG_SEES_NONE;
    if (a->key_mask || (a->causal && k.high > q.low)) return RG_SEES_SOME;
    if (w >= 0 && (k.high - q.low > w || q.high - k.low > w)) return RG_SEES_SOME;
    return RG_SEES_ALL;
}

void rg_attention_mask(const rg_attention_job *j, int64_t item, int64_t block, int64_t t0,
                       int64_t rows, float *s)
{
    const rg_attention_args *a = j->a;
    const int64_t k0 = block * KEYS, n = min64(KEYS, a->t_k - k0);
    const uint8_t *allow = a->key_mask ? a->key_mask + item * a->t_k + k0 : NULL;
    for (int64_t i = 0; i < rows; i++)
        j->isa->vec->mask_row(s + i * KEYS, j->k_pos + k0, allow, j->q_pos[t0 + i], a->causal,
                              a->window, n);
}

void rg_attention_scores(const rg_attention_job *j, const float *panels, int64_t head,
                         int64_t block, const float *q, int64_t rows, float *s, float *gemm)
{
    const int64_t d = j->a->head_dim;
    rg_gemm g = {.m = rows,
                 .n = min64(KEYS, j->a->t_k - block * KEYS),
                 .segs = 1,
                 .len = d,
                 .a = q,
                 .a_row = d,
                 .a_col = 1,
                 .b_type = RG_F32,
                 .c = s,
                 .c_row = KEYS};
    g.b = panels + head * j->panel_size + block * KEYS * d;
    rg_gemm_block(j->isa, &g, gemm);
}

/* ---- forward ---- */

/* One block of queries of one head. Scratch: q, out (rows, D), scores, max and sum (rows), gemm. */
static void forward_task(void *ctx, int64_t task, int32_t thread)
{
    const rg_attention_job *j = ctx;
    const rg_attention_args *a = j->a;
    const rg_vec *vec = j->isa->vec;
    const int64_t d = a->head_dim, head = task / j->q_blocks, item = head / a->heads;
    const int64_t t0 = task % j->q_blocks * j->q_rows, rows = min64(j->q_rows, a->t_q - t0);
    const int64_t column = head % a->heads * d, width = a->heads * d;
    float *q = j->scratch + thread * j->scratch_size, *out = q + j->q_rows * d;
    float *s = out + j->q_rows * d, *max = s + j->q_rows * KEYS, *sum = max + j->q_rows;
    float *gemm = sum + j->q_rows;
    rg_attention_gather(j, a->q, a->ld_q, item * a->t_q * a->ld_q + column, t0, t0 + rows, j->q_cos,
                        j->q_sin, 1 / sqrtf((float)d), q);
    memset(out, 0, (size_t)(rows * d) * sizeof(float));
    for (int64_t i = 0; i < rows; i++) max[i] = -INFINITY, sum[i] = 0;
    for (int64_t block = 0; block < j->k_blocks; block++) {
        const int64_t k0 = block * KEYS, n = min64(KEYS, a->t_k - k0);
        const rg_sight sight = rg_attention_sight(j, t0, t0 + rows, k0, k0 + n);
        if (sight == RG_SEES_NONE) continue;
        rg_attention_scores(j, j->k_panels, head, block, q, rows, s, gemm);
        if (sight == RG_SEES_SOME) rg_attention_mask(j, item, block, t0, rows, s);
        for (int64_t i = 0; i < rows; i++) {
            const float before = vec->softmax_row(s + i * KEYS, n, KEYS, &max[i], &sum[i]);
            if (before != 1) vec->scale_row(out + i * d, before, d);
        }
        rg_gemm g = {.m = rows,
                     .n = d,
                     .segs = 1,
                     .len = n,
                     .a = s,
                     .a_row = KEYS,
                     .a_col = 1,
                     .b_row = a->ld_v,
                     .b_type = RG_F32,
                     .c = out,
                     .c_row = d,
                     .base = out,
                     .base_row = d};
        g.b = (const float *)a->v + (item * a->t_k + k0) * a->ld_v + column;
        rg_gemm_block(j->isa, &g, gemm);
    }
    for (int64_t i = 0; i < rows; i++) {
        float *y = (float *)a->out + (item * a->t_q + t0 + i) * width + column;
        memcpy(y, out + i * d, (size_t)d * sizeof(float));
        vec->scale_row(y, sum[i] > 0 ? 1 / sum[i] : (sum[i] == 0 ? 0 : sum[i]), d);
        if (a->lse)
            ((float *)a->lse)[head * a->t_q + t0 + i] =
                sum[i] == 0 ? -INFINITY : max[i] + logf(sum[i]);
    }
}

rg_status rg_cpu_attention(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_attention_args *a)
{
    if (a->batch * a->heads * a->t_q * a->head_dim <= 0) return RG_OK;
    rg_attention_job j = {.isa = isa, .a = a};
    const int64_t rows = RG_ATTENTION_TILES * isa->f32->mr, d = a->head_dim;
    const int64_t depth = d > KEYS ? d : KEYS;
    j.scratch_size = rows * (2 * d + KEYS + 2) + KEYS * d + rg_gemm_scratch(isa, 1, depth);
    j.scratch_size = (j.scratch_size + 15) / 16 * 16;
    RG_TRY(rg_attention_prepare(ctx, &j));
    rg_pool_run(ctx->pool, forward_task, &j, a->batch * a->heads * j.q_blocks);
    return RG_OK;
}
