/*
 * What attention's forward and gradient share (attention.h).
 */
#include <math.h>
#include <string.h>

#include "kernels/cpu/attention.h"

enum { KEYS = RG_ATTENTION_KEYS, PITCH = RG_ATTENTION_PITCH, ANGLE_ROWS = 32 };
enum { LINE = 16, AHEAD = 8 }; /* floats of a cache line; rows to fetch ahead */

float *rg_attention_room(float *base, int64_t *used, int64_t n)
{
    float *at = base ? base + *used : NULL;
    *used += div_up(n, 16) * 16;
    return at;
}

/* ---- once per call ---- */

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

typedef struct span {
    float low, high;
} span;

static span span_of(const float *pos, int64_t t0, int64_t t1)
{
    span s = {pos[t0], pos[t0]};
    for (int64_t t = t0 + 1; t < t1; t++) {
        s.low = pos[t] < s.low ? pos[t] : s.low;
        s.high = pos[t] > s.high ? pos[t] : s.high;
    }
    return s;
}

rg_status rg_attention_prepare(rg_kernel_ctx *ctx, rg_attention_job *j)
{
    const rg_attention_args *a = j->a;
    j->operands = ctx->operands;
    j->size = j->operands == RG_BF16 ? 2 : 4;
    j->tiles = rg_tiles_of(j->isa, j->operands);
    j->deep = rg_panels_depth(j->isa, j->operands, a->head_dim);
    j->blocks = div_up(a->t_k, KEYS);
    RG_TRY(make_positions(ctx, a->q_pos, a->t_q, &j->q_pos));
    RG_TRY(make_positions(ctx, a->k_pos, a->t_k, &j->k_pos));
    if (a->rope_base > 0 && a->head_dim > 1) {
        RG_TRY(make_angles(ctx, j, j->q_pos, a->t_q, &j->q_cos, &j->q_sin));
        RG_TRY(make_angles(ctx, j, j->k_pos, a->t_k, &j->k_cos, &j->k_sin));
    }
    float *spans = rg_cpu_scratch(ctx, 2 * j->blocks);
    if (!spans) return ctx->error->code;
    for (int64_t block = 0; block < j->blocks; block++) {
        const span s = span_of(j->k_pos, block * KEYS, min64(a->t_k, (block + 1) * KEYS));
        spans[2 * block] = s.low, spans[2 * block + 1] = s.high;
    }
    j->spans = spans;
    return RG_OK;
}

rg_status rg_attention_scratch(rg_kernel_ctx *ctx, rg_attention_job *j, int64_t used)
{
    j->scratch_size = used;
    j->scratch = rg_cpu_scratch(ctx, used * rg_pool_threads(ctx->pool));
    return j->scratch ? RG_OK : ctx->error->code;
}

/* ---- who sees whom ---- */

/* Whether some query of these positions may see a key at `key`. */
static bool may_see(const rg_attention_args *a, span q, double key)
{
    if (a->causal && key > q.high) return false;
    return !(a->window >= 0 && (key - q.high > a->window || q.low - key > a->window));
}

rg_reach rg_attention_reach(const rg_attention_job *j, int64_t t0, int64_t t1, int64_t block)
{
    const rg_attention_args *a = j->a;
    const float *pos = j->k_pos + block * KEYS;
    const double w = a->window;
    rg_reach r = {0, min64(KEYS, a->t_k - block * KEYS), a->key_mask != NULL};
    if (!a->causal && w < 0) return r;
    const span q = span_of(j->q_pos, t0, t1), k = {j->spans[2 * block], j->spans[2 * block + 1]};
    const double ahead = (double)k.high - q.low, behind = (double)q.high - k.low;
    if (!(a->causal && ahead > 0) && !(w >= 0 && (ahead > w || behind > w))) return r;
    r.masked = true;
    while (r.to > 0 && !may_see(a, q, pos[r.to - 1])) r.to--;
    while (r.from < r.to && !may_see(a, q, pos[r.from])) r.from++;
    if (r.from < r.to) r.from = r.from / j->tiles->width[0] * j->tiles->width[0];
    return r;
}

void rg_attention_mask(const rg_attention_job *j, int64_t item, int64_t block, int64_t t0,
                       int64_t rows, rg_reach r, float *s)
{
    const rg_attention_args *a = j->a;
    const int64_t k0 = block * KEYS + r.from;
    const uint8_t *allow = a->key_mask ? a->key_mask + item * a->t_k + k0 : NULL;
    for (int64_t i = 0; i < rows; i++)
        j->isa->vec->mask_row(s + i * PITCH + r.from, j->k_pos + k0, allow, j->q_pos[t0 + i],
                              a->causal, a->window, r.to - r.from);
}

void rg_attention_gather(const rg_attention_job *j, const float *m, int64_t ld, int64_t t0,
                         int64_t t1, const float *cosine, const float *sine, float scale,
                         float *out)
{
    const int64_t d = j->a->head_dim, half = d / 2;
    for (int64_t t = t0; t < t1; t++, out += d) {
        const float *row = m + t * ld, *ahead = m + min64(t + AHEAD, t1 - 1) * ld;
        for (int64_t i = 0; i < d; i += LINE) __builtin_prefetch(ahead + i);
        if (cosine) {
            out[d - 1] = scale * row[d - 1]; /* an odd D leaves one element unturned */
            j->isa->vec->rotate_row(row, cosine + t * half, sine + t * half, half, scale, out);
        } else {
            memcpy(out, row, (size_t)d * sizeof(float));
            if (scale != 1) j->isa->vec->scale_row(out, scale, d);
        }
    }
}

/* ---- operands ---- */

int64_t rg_attention_floats(const rg_attention_job *j, int64_t rows, int64_t cols)
{
    const int64_t filled = div_up(cols, RG_WIDEST_TILE) * RG_WIDEST_TILE;
    return div_up(rows, 2) * 2 * filled * j->size / 4;
}

rg_left rg_attention_left(const rg_attention_job *j, const float *x, int64_t n, uint16_t *room)
{
    const int64_t d = j->a->head_dim;
    if (j->operands == RG_F32) return (rg_left){x, d, 1};
    for (int64_t i = 0; i < n; i++) {
        j->isa->vec->narrow_bf16(x + i * d, room + i * j->deep, d);
        for (int64_t k = d; k < j->deep; k++) room[i * j->deep + k] = 0;
    }
    return (rg_left){room, j->deep, 1};
}

rg_right rg_attention_right(const rg_attention_job *j, const float *x, int64_t row, int64_t col,
                            int64_t k, int64_t n, void *room)
{
    if (!room) return (rg_right){x, k, n, row};
    rg_panels_pack(j->isa, NULL, j->operands, x, row, col, k, n, room);
    return (rg_right){room, rg_panels_depth(j->isa, j->operands, k), n, 0};
}

void rg_attention_multiply(const rg_attention_job *j, rg_left a, int64_t m, const rg_right *b,
                           int64_t k0, int64_t k1, int64_t n0, int64_t n1, float *c, int64_t c_row,
                           bool add)
{
    const rg_tiles *tiles = j->tiles;
    rg_tile t = {.m = m,
                 .a = a.data,
                 .a_row = a.row,
                 .a_col = a.col,
                 .a_tile = tiles->mr * a.row,
                 .segs = 1,
                 .len = rg_panels_depth(j->isa, j->operands, k1 - k0),
                 .c_row = c_row,
                 .base_row = c_row};
    for (int64_t n = n0; n < n1; n += tiles->width[0]) {
        t.n = min64(tiles->width[0], b->cols - n);
        const int index = rg_tiles_index(tiles, t.n);
        const int64_t width = tiles->width[index];
        const int64_t at = b->pitch ? k0 * b->pitch + n : n * b->depth + k0 * width;
        t.b = (const char *)b->data + at * j->size;
        t.b_row = b->pitch ? b->pitch : width * tiles->k_step;
        t.c = c + n, t.base = add ? t.c : NULL;
        tiles->tile[index](&t);
    }
}
