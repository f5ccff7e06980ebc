/*
 * Attention, gradient: scores are computed again block by block from the kept log-sum-exp.
 *
 * One idea: a task owns a head, so dq, dk and dv have one writer each; blocks of queries are the
 * outer loop, blocks of keys the inner, both in order. Inside a pair of blocks tiles of queries
 * make p, dscore and dq, then tiles of keys dk and dv; each leaves out what it cannot see.
 */
#include "kernels/cpu/attention.h"

#include <math.h>
#include <string.h>

enum {
    KEYS = RG_ATTENTION_KEYS,
    PITCH = RG_ATTENTION_PITCH,
    TILES = 4 /* of a block of queries */
};

/* A thread's scratch: a head's keys and values, a block of queries, their products. */
typedef struct head_grad {
    int64_t head, item, column;
    float *keys, *keys_turned, *values_turned; /* keys (Tk,D); (D,Tk) */
    float *dk, *dv;                            /* dense, still rotated */
    float *rows;                               /* a block of rotated keys */
    /* a block of queries and of dout: floats, left operands, right operands */
    float *q, *dout, *q_right, *dout_right, *dq, *delta;
    uint16_t *q16, *dout16;
    float *s, *dp; /* (queries, PITCH) */
    uint16_t *ds16;
    uint16_t *p_pairs, *ds_pairs; /* (queries / 2, PITCH, 2) */
} head_grad;

static int64_t place(const rg_attention_job *j, float *base, head_grad *h)
{
    const rg_attention_args *a = j->a;
    const int64_t d = a->head_dim, steps = j->blocks * KEYS, n = TILES * j->tiles->mr;
    const bool bf16 = j->operands == RG_BF16;
    int64_t used = 0;
    h->keys = rg_attention_room(base, &used, bf16 ? rg_attention_floats(j, steps, d) : steps * d);
    h->keys_turned = rg_attention_room(base, &used, rg_attention_floats(j, j->deep, steps));
    h->values_turned = rg_attention_room(base, &used, rg_attention_floats(j, j->deep, steps));
    h->dk = rg_attention_room(base, &used, a->t_k * d);
    h->dv = rg_attention_room(base, &used, a->t_k * d);
    h->q = rg_attention_room(base, &used, n * d);
    h->dout = rg_attention_room(base, &used, n * d);
    h->dq = rg_attention_room(base, &used, n * d);
    h->delta = rg_attention_room(base, &used, n);
    h->s = rg_attention_room(base, &used, n * PITCH);
    h->dp = rg_attention_room(base, &used, n * PITCH);
    if (!bf16) return used;
    h->rows = rg_attention_room(base, &used, KEYS * d);
    h->q_right = rg_attention_room(base, &used, rg_attention_floats(j, n, d));
    h->dout_right = rg_attention_room(base, &used, rg_attention_floats(j, n, d));
    h->q16 = (uint16_t *)(void *)rg_attention_room(base, &used, n * j->deep);
    h->dout16 = (uint16_t *)(void *)rg_attention_room(base, &used, n * j->deep);
    h->ds16 = (uint16_t *)(void *)rg_attention_room(base, &used, n * PITCH);
    h->p_pairs = (uint16_t *)(void *)rg_attention_room(base, &used, (n + 1) / 2 * PITCH);
    h->ds_pairs = (uint16_t *)(void *)rg_attention_room(base, &used, (n + 1) / 2 * PITCH);
    return used;
}

/* ---- keys and values ---- */

typedef struct key_block {
    int64_t block, k0, n;
    rg_right keys, keys_turned, values_turned;
} key_block;

/* Where a block's operands lie. */
static key_block block_at(const rg_attention_job *j, const head_grad *h, int64_t block)
{
    const int64_t d = j->a->head_dim, k0 = block * KEYS, n = min64(KEYS, j->a->t_k - k0);
    const int64_t turned = k0 * j->deep * j->size;
    key_block b = {.block = block, .k0 = k0, .n = n};
    b.keys_turned = (rg_right){(char *)h->keys_turned + turned, j->deep, n, 0};
    b.values_turned = (rg_right){(char *)h->values_turned + turned, j->deep, n, 0};
    if (j->operands == RG_F32)
        b.keys = (rg_right){h->keys + k0 * d, n, d, d};
    else
        b.keys = (rg_right){h->keys + block * rg_attention_floats(j, KEYS, d),
                            rg_panels_depth(j->isa, j->operands, n), d, 0};
    return b;
}

static void make_block(const rg_attention_job *j, const head_grad *h, int64_t block)
{
    const rg_attention_args *a = j->a;
    const int64_t d = a->head_dim;
    const key_block b = block_at(j, h, block);
    const float *k = (const float *)a->k + h->item * a->t_k * a->ld_k + h->column;
    const float *v = (const float *)a->v + (h->item * a->t_k + b.k0) * a->ld_v + h->column;
    float *rows = j->operands == RG_F32 ? h->keys + b.k0 * d : h->rows;
    rg_attention_gather(j, k, a->ld_k, b.k0, b.k0 + b.n, j->k_cos, j->k_sin, 1, rows);
    if (j->operands != RG_F32) rg_attention_right(j, rows, d, 1, b.n, d, (void *)b.keys.data);
    rg_attention_right(j, rows, 1, d, d, b.n, (void *)b.keys_turned.data);
    rg_attention_right(j, v, 1, a->ld_v, d, b.n, (void *)b.values_turned.data);
}

/* ---- queries ---- */

typedef struct query_block {
    int64_t t0, rows;
    rg_left q, dout;
    rg_right q_right, dout_right;
    rg_reach reach[TILES]; /* of a tile, in the block of keys at hand */
} query_block;

static query_block make_queries(const rg_attention_job *j, const head_grad *h, int64_t t0,
                                int64_t rows)
{
    const rg_attention_args *a = j->a;
    const int64_t d = a->head_dim, width = a->heads * d;
    const float *q = (const float *)a->q + h->item * a->t_q * a->ld_q + h->column;
    const int64_t at = h->item * a->t_q * width + h->column;
    const float *dout = (const float *)j->grad->dout + at;
    query_block b = {.t0 = t0, .rows = rows};
    rg_attention_gather(j, q, a->ld_q, t0, t0 + rows, j->q_cos, j->q_sin, 1 / sqrtf((float)d),
                        h->q);
    rg_attention_gather(j, dout, width, t0, t0 + rows, NULL, NULL, 1, h->dout);
    b.q = rg_attention_left(j, h->q, rows, h->q16);
    b.dout = rg_attention_left(j, h->dout, rows, h->dout16);
    b.q_right = rg_attention_right(j, h->q, d, 1, rows, d, h->q_right);
    b.dout_right = rg_attention_right(j, h->dout, d, 1, rows, d, h->dout_right);
    for (int64_t i = 0; i < rows; i++)
        h->delta[i] =
            j->isa->vec->dot(h->dout + i * d, (const float *)a->out + at + (t0 + i) * width, d);
    memset(h->dq, 0, (size_t)(rows * d) * sizeof(float));
    return b;
}

static rg_left left_rows(const rg_attention_job *j, rg_left a, int64_t row)
{
    return (rg_left){(const char *)a.data + row * a.row * j->size, a.row, a.col};
}

/* Gradients of the scores as a left operand, from key r.from on. */
static rg_left scores_grad(const rg_attention_job *j, const head_grad *h, int64_t row, int64_t rows,
                           rg_reach r)
{
    const int64_t n = div_up(r.to - r.from, 16) * 16;
    if (j->operands == RG_F32) return (rg_left){h->dp + row * PITCH + r.from, PITCH, 1};
    for (int64_t i = row; i < row + rows; i++)
        j->isa->vec->narrow_bf16(h->dp + i * PITCH + r.from, h->ds16 + i * PITCH, n);
    return (rg_left){h->ds16 + row * PITCH, PITCH, 1};
}

/* p and dscore of a tile of queries from `row` on, zeros for keys out of reach; their dq. */
static void query_tile(const rg_attention_job *j, const head_grad *h, const query_block *q,
                       const key_block *k, int64_t row, int64_t rows, rg_reach r)
{
    const rg_attention_args *a = j->a;
    const int64_t d = a->head_dim, t0 = q->t0 + row, whole = div_up(k->n, 16) * 16;
    const float *lse = (const float *)a->lse + h->head * a->t_q + t0;
    float *s = h->s + row * PITCH, *dp = h->dp + row * PITCH;
    if (r.from < r.to) {
        const rg_left queries = left_rows(j, q->q, row), dout = left_rows(j, q->dout, row);
        rg_attention_multiply(j, queries, rows, &k->keys_turned, 0, d, r.from, r.to, s, PITCH,
                              false);
        if (r.masked) rg_attention_mask(j, h->item, k->block, t0, rows, r, s);
        rg_attention_multiply(j, dout, rows, &k->values_turned, 0, d, r.from, r.to, dp, PITCH,
                              false);
    }
    for (int64_t i = 0; i < rows; i++, s += PITCH, dp += PITCH) {
        j->isa->vec->softmax_row_grad(s + r.from, dp + r.from, r.to - r.from, lse[i],
                                      h->delta[row + i]);
        memset(s, 0, (size_t)r.from * sizeof *s);
        memset(dp, 0, (size_t)r.from * sizeof *dp);
        memset(s + r.to, 0, (size_t)(whole - r.to) * sizeof *s);
        memset(dp + r.to, 0, (size_t)(whole - r.to) * sizeof *dp);
    }
    if (!j->grad->dq || r.from >= r.to) return;
    const rg_left ds = scores_grad(j, h, row, rows, r);
    rg_attention_multiply(j, ds, rows, &k->keys, r.from, r.to, 0, d, h->dq + row * d, d, true);
}

/* Neighbouring rows of p or dscore side by side, beside an odd last one zeros. */
static void pair_rows(const rg_attention_job *j, const float *s, int64_t rows, int64_t n,
                      uint16_t *out)
{
    for (int64_t i = 0; i < rows; i += 2)
        j->isa->vec->pair_row(s + i * PITCH, i + 1 < rows ? s + (i + 1) * PITCH : NULL, n,
                              out + i * PITCH);
}

/* A block of p or dscore, turned, as a left operand: from query `row`, key `key` on. */
static rg_left turned_at(const rg_attention_job *j, const float *s, const uint16_t *pairs,
                         int64_t row, int64_t key)
{
    if (j->operands == RG_F32) return (rg_left){s + row * PITCH + key, 1, PITCH};
    return (rg_left){pairs + row * PITCH + 2 * key, 2, PITCH};
}

/* dk and dv of a tile of keys, from the tiles of queries that reach it. */
static void key_tile(const rg_attention_job *j, const head_grad *h, const query_block *q,
                     const key_block *k, int64_t key)
{
    const int64_t d = j->a->head_dim, mr = j->tiles->mr, n = min64(mr, k->n - key);
    int64_t first = 0, end = div_up(q->rows, mr);
    while (end > 0 && (q->reach[end - 1].to <= key || q->reach[end - 1].from >= key + n)) end--;
    while (first < end && (q->reach[first].to <= key || q->reach[first].from >= key + n)) first++;
    if (first >= end) return;
    const int64_t r0 = first * mr, r1 = min64(q->rows, end * mr), at = (k->k0 + key) * d;
    if (j->grad->dv)
        rg_attention_multiply(j, turned_at(j, h->s, h->p_pairs, r0, key), n, &q->dout_right, r0, r1,
                              0, d, h->dv + at, d, true);
    if (j->grad->dk)
        rg_attention_multiply(j, turned_at(j, h->dp, h->ds_pairs, r0, key), n, &q->q_right, r0, r1,
                              0, d, h->dk + at, d, true);
}

static void block_grad(const rg_attention_job *j, const head_grad *h, query_block *q, int64_t block)
{
    const int64_t mr = j->tiles->mr;
    const key_block k = block_at(j, h, block);
    bool any = false;
    for (int64_t row = 0; row < q->rows; row += mr) {
        const int64_t t0 = q->t0 + row;
        const rg_reach r = rg_attention_reach(j, t0, t0 + min64(mr, q->rows - row), block);
        q->reach[row / mr] = r;
        any |= r.from < r.to;
    }
    if (!any) return;
    for (int64_t row = 0; row < q->rows; row += mr)
        query_tile(j, h, q, &k, row, min64(mr, q->rows - row), q->reach[row / mr]);
    if (j->operands != RG_F32) {
        const int64_t whole = div_up(k.n, 16) * 16;
        pair_rows(j, h->s, q->rows, whole, h->p_pairs);
        pair_rows(j, h->dp, q->rows, whole, h->ds_pairs);
    }
    for (int64_t key = 0; key < k.n; key += mr) key_tile(j, h, q, &k, key);
}

/* Adds dense gradients of steps [t0,t1) to a head's columns, turned back: by minus the angle. */
static void scatter(const rg_attention_job *j, const head_grad *h, const float *rows, int64_t steps,
                    int64_t t0, int64_t t1, const float *cosine, const float *sine, float scale,
                    float *out, int64_t ld)
{
    const int64_t d = j->a->head_dim, half = d / 2;
    const rg_vec *vec = j->isa->vec;
    if (!out) return;
    out += (h->item * steps + t0) * ld + h->column;
    for (int64_t t = t0; t < t1; t++, rows += d, out += ld) {
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
    const int64_t d = a->head_dim, step = TILES * j->tiles->mr;
    head_grad h = {.head = task, .item = task / a->heads, .column = task % a->heads * d};
    place(j, j->scratch + thread * j->scratch_size, &h);
    for (int64_t block = 0; block < j->blocks; block++) {
        const rg_reach r = rg_attention_reach(j, 0, a->t_q, block);
        if (r.from < r.to) make_block(j, &h, block);
    }
    memset(h.dk, 0, (size_t)(a->t_k * d) * sizeof(float));
    memset(h.dv, 0, (size_t)(a->t_k * d) * sizeof(float));
    for (int64_t t0 = 0; t0 < a->t_q; t0 += step) {
        const int64_t rows = min64(step, a->t_q - t0);
        query_block q = make_queries(j, &h, t0, rows);
        for (int64_t block = 0; block < j->blocks; block++) block_grad(j, &h, &q, block);
        scatter(j, &h, h.dq, a->t_q, t0, t0 + rows, j->q_cos, j->q_sin, 1 / sqrtf((float)d),
                j->grad->dq, a->ld_q);
    }
    scatter(j, &h, h.dk, a->t_k, 0, a->t_k, j->k_cos, j->k_sin, 1, j->grad->dk, a->ld_k);
    scatter(j, &h, h.dv, a->t_k, 0, a->t_k, NULL, NULL, 1, j->grad->dv, a->ld_v);
}

rg_status rg_cpu_attention_grad(const rg_isa *isa, rg_kernel_ctx *ctx,
                                const rg_attention_grad_args *g)
{
    const rg_attention_args *a = &g->fwd;
    if (a->batch * a->heads * a->t_q * a->t_k * a->head_dim <= 0) return RG_OK;
    rg_attention_job j = {.isa = isa->pairs, .a = a, .grad = g};
    RG_TRY(rg_attention_prepare(ctx, &j));
    head_grad h = {0};
    RG_TRY(rg_attention_scratch(ctx, &j, place(&j, NULL, &h)));
    rg_pool_run(ctx->pool, grad_task, &j, a->batch * a->heads);
    return RG_OK;
}
