/*
 * Attention, forward: an online softmax over blocks of keys (attention.h).
 *
 * One idea: a task is a head, or where heads are few a part of its queries; it makes the panels of
 * the keys and values that it sees and finds them in its own cache.
 */
#include "kernels/cpu/attention.h"

#include <math.h>
#include <string.h>

enum {
    KEYS = RG_ATTENTION_KEYS,
    PITCH = RG_ATTENTION_PITCH,
    PART_ROWS = 128, /* queries for which a part's own panels pay */
    FEW_TILES = 2,   /* of queries, for which values are read where they lie */
    LINE = 16        /* floats of a cache line */
};

/* A thread's scratch: panels of all keys, those of all values; a tile's operands and results. */
typedef struct part {
    int64_t head, item, column, first, end;
    float *keys, *values, *rows; /* rows: a block of turned keys */
    float *q, *out, *s, *max, *sum, *before;
    uint16_t *q16, *p16;
} part;

static int64_t place(const rg_attention_job *j, float *base, part *p)
{
    const int64_t d = j->a->head_dim, mr = j->tiles->mr, steps = j->blocks * KEYS;
    int64_t used = 0;
    p->keys = rg_attention_room(base, &used, rg_attention_floats(j, j->deep, steps));
    p->values = rg_attention_room(base, &used, rg_attention_floats(j, steps, d));
    p->rows = rg_attention_room(base, &used, KEYS * d);
    p->q = rg_attention_room(base, &used, mr * d);
    p->out = rg_attention_room(base, &used, mr * d);
    p->s = rg_attention_room(base, &used, mr * PITCH);
    p->max = rg_attention_room(base, &used, mr);
    p->sum = rg_attention_room(base, &used, mr);
    p->before = rg_attention_room(base, &used, mr);
    p->q16 = (uint16_t *)(void *)rg_attention_room(base, &used, mr * j->deep);
    p->p16 = (uint16_t *)(void *)rg_attention_room(base, &used, mr * PITCH / 2);
    return used;
}

/* ---- keys and values of a block ---- */

/* Asks for the rows of a block: they lie pages apart, which no hardware foresees. */
static void fetch_rows(const rg_attention_args *a, const part *p, const void *rows, int64_t ld,
                       int64_t block)
{
    const int64_t k0 = block * KEYS, n = min64(KEYS, a->t_k - k0);
    const float *row = (const float *)rows + (p->item * a->t_k + k0) * ld + p->column;
    for (int64_t i = 0; i < n; i++, row += ld)
        for (int64_t d = 0; d < a->head_dim; d += LINE) __builtin_prefetch(row + d, 0, 2);
}

static rg_right keys_of(const rg_attention_job *j, const part *p, int64_t block, bool pack)
{
    const rg_attention_args *a = j->a;
    const int64_t d = a->head_dim, k0 = block * KEYS, n = min64(KEYS, a->t_k - k0);
    char *room = (char *)p->keys + k0 * j->deep * j->size;
    if (!pack) return (rg_right){room, j->deep, n, 0};
    const float *k = (const float *)a->k + p->item * a->t_k * a->ld_k + p->column;
    if (!j->k_cos) return rg_attention_right(j, k + k0 * a->ld_k, 1, a->ld_k, d, n, room);
    rg_attention_gather(j, k, a->ld_k, k0, k0 + n, j->k_cos, j->k_sin, 1, p->rows);
    return rg_attention_right(j, p->rows, 1, d, d, n, room);
}

static rg_right values_of(const rg_attention_job *j, const part *p, int64_t block, bool pack)
{
    const rg_attention_args *a = j->a;
    const int64_t d = a->head_dim, k0 = block * KEYS, n = min64(KEYS, a->t_k - k0);
    const float *v = (const float *)a->v + (p->item * a->t_k + k0) * a->ld_v + p->column;
    const bool few = p->end - p->first <= FEW_TILES * j->tiles->mr && j->operands == RG_F32;
    float *room = p->values + block * rg_attention_floats(j, KEYS, d);
    if (few) return (rg_right){v, n, d, a->ld_v};
    if (!pack) return (rg_right){room, rg_panels_depth(j->isa, j->operands, n), d, 0};
    return rg_attention_right(j, v, a->ld_v, 1, n, d, room);
}

/* ---- a tile of queries ---- */

/* The weights as a product's left operand, from key r.from on. */
static rg_left weights_of(const rg_attention_job *j, const part *p, int64_t rows, rg_reach r)
{
    const int64_t n = div_up(r.to - r.from, 16) * 16;
    if (j->operands == RG_F32) return (rg_left){p->s + r.from, PITCH, 1};
    for (int64_t i = 0; i < rows; i++)
        j->isa->vec->narrow_bf16(p->s + i * PITCH + r.from, p->p16 + i * PITCH, n);
    return (rg_left){p->p16, PITCH, 1};
}

static void add_block(const rg_attention_job *j, const part *p, rg_left q, int64_t t0, int64_t rows,
                      int64_t block)
{
    const rg_vec *vec = j->isa->vec;
    const int64_t d = j->a->head_dim;
    const rg_reach r = rg_attention_reach(j, t0, t0 + rows, block);
    if (r.from >= r.to) return;
    const rg_right k = keys_of(j, p, block, false), v = values_of(j, p, block, false);
    rg_attention_multiply(j, q, rows, &k, 0, d, r.from, r.to, p->s, PITCH, false);
    if (r.masked) rg_attention_mask(j, p->item, block, t0, rows, r, p->s);
    vec->softmax_rows(p->s + r.from, PITCH, rows, r.to - r.from, p->max, p->sum, p->before);
    for (int64_t i = 0; i < rows; i++)
        if (p->before[i] != 1) vec->scale_row(p->out + i * d, p->before[i], d);
    const rg_left weights = weights_of(j, p, rows, r);
    rg_attention_multiply(j, weights, rows, &v, r.from, r.to, 0, d, p->out, d, true);
}

static void finish_tile(const rg_attention_job *j, const part *p, int64_t t0, int64_t rows)
{
    const rg_attention_args *a = j->a;
    const int64_t d = a->head_dim, width = a->heads * d;
    for (int64_t i = 0; i < rows; i++) {
        const float sum = p->sum[i];
        float *y = (float *)a->out + (p->item * a->t_q + t0 + i) * width + p->column;
        memcpy(y, p->out + i * d, (size_t)d * sizeof(float));
        j->isa->vec->scale_row(y, sum > 0 ? 1 / sum : sum, d); /* 0, NaN: themselves */
        if (a->lse)
            ((float *)a->lse)[p->head * a->t_q + t0 + i] =
                sum == 0 ? -INFINITY : p->max[i] + logf(sum);
    }
}

static void forward_tile(const rg_attention_job *j, const part *p, int64_t t0, int64_t rows)
{
    const rg_attention_args *a = j->a;
    const int64_t d = a->head_dim;
    const float *q = (const float *)a->q + p->item * a->t_q * a->ld_q + p->column;
    rg_attention_gather(j, q, a->ld_q, t0, t0 + rows, j->q_cos, j->q_sin, 1 / sqrtf((float)d),
                        p->q);
    const rg_left left = rg_attention_left(j, p->q, rows, p->q16);
    memset(p->out, 0, (size_t)(rows * d) * sizeof(float));
    for (int64_t i = 0; i < rows; i++) p->max[i] = -INFINITY, p->sum[i] = 0;
    for (int64_t block = 0; block < j->blocks; block++) add_block(j, p, left, t0, rows, block);
    finish_tile(j, p, t0, rows);
}

static void forward_task(void *ctx, int64_t task, int32_t thread)
{
    const rg_attention_job *j = ctx;
    const rg_attention_args *a = j->a;
    const int64_t head = task / j->parts, first = task % j->parts * j->part_rows;
    part p = {.head = head, .item = head / a->heads, .column = head % a->heads * a->head_dim};
    p.first = first, p.end = min64(a->t_q, first + j->part_rows);
    place(j, j->scratch + thread * j->scratch_size, &p);
    for (int64_t block = 0; block < j->blocks; block++) {
        const rg_reach r = rg_attention_reach(j, p.first, p.end, block);
        if (r.from >= r.to) continue;
        fetch_rows(a, &p, a->k, a->ld_k, block), fetch_rows(a, &p, a->v, a->ld_v, block);
        keys_of(j, &p, block, true), values_of(j, &p, block, true);
    }
    for (int64_t t = p.first; t < p.end; t += j->tiles->mr)
        forward_tile(j, &p, t, min64(j->tiles->mr, p.end - t));
}

rg_status rg_cpu_attention(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_attention_args *a)
{
    const int64_t heads = a->batch * a->heads, want = 2 * rg_pool_threads(ctx->pool);
    if (heads * a->t_q * a->head_dim <= 0) return RG_OK;
    rg_attention_job j = {.isa = isa->pairs, .a = a}; /* weights lie as pairs of keys */
    RG_TRY(rg_attention_prepare(ctx, &j));
    j.parts = max64(1, min64(div_up(want, heads), a->t_q / PART_ROWS));
    j.part_rows = div_up(div_up(a->t_q, j.parts), j.tiles->mr) * j.tiles->mr;
    j.parts = div_up(a->t_q, j.part_rows);
    part p;
    RG_TRY(rg_attention_scratch(ctx, &j, place(&j, NULL, &p)));
    rg_pool_run(ctx->pool, forward_task, &j, heads * j.parts);
    return RG_OK;
}
