/*
 * The weight gradient of every product over rows: linear, conv1d, conv_tr1d (rows.h).
 *
 * One idea: small weights are summed by groups: rows are cut into fixed chunks, chunks into groups,
 * each group adds its chunks in order to a partial sum of its own, and those are added in order.
 * Large weights are one product over all rows, whose operands are staged once: the left rows
 * activated and padded, the right ones as panels. Which of the two, and every cut, depends on sizes
 * alone.
 */
#include "kernels/cpu/rows.h"

#include <string.h>

enum {
    GROUPS = 16,
    DEPTH = 384,    /* rows of a chunk: one block of k */
    PIECE = 131072, /* floats of a chunk's copy */
    SHORT = 192,    /* rows of an item up to which all items are one product */
    SUM_RUN = 4096,
    STAGE_RUN = 16384,
    BIAS_BLOCKS = 64,
    BIAS_ROWS = 256
};

/* dw as products: one with all taps as rows, or one for each tap when dilation parts them. */
static int64_t blocks_of(const rg_rows_grad *v)
{
    return v->taps == 1 || v->dilation == 1 ? 1 : v->taps;
}

static int64_t weights_of(const rg_rows_grad *v)
{
    return v->taps * v->left.c * v->right.c;
}

/* The left rows that rows [q0,q1) take begin here, and are so many. */
static int64_t left_first(const rg_rows_grad *v, int64_t q0)
{
    return q0 * v->left_step - v->left_pad;
}

static int64_t left_count(const rg_rows_grad *v, int64_t q)
{
    return (q - 1) * v->left_step + (v->taps - 1) * v->dilation + 1;
}

/* ---- sums into dw ---- */

typedef struct sum_job {
    const rg_isa *isa;
    const rg_rows_grad *v;
    float *partial; /* (groups, taps, left.c, right.c) */
    int64_t groups;
} sum_job;

/* dw (+)= the partial sums, floats [at, at + n). */
static void sum_plain(void *ctx, int64_t task, int32_t thread)
{
    (void)thread;
    const sum_job *j = ctx;
    const int64_t n = weights_of(j->v), at = task * SUM_RUN, count = min64(SUM_RUN, n - at);
    float *dw = j->v->dw + at;
    if (!j->v->add) memset(dw, 0, (size_t)count * sizeof(float));
    for (int64_t g = 0; g < j->groups; g++)
        j->isa->vec->accumulate(j->partial + g * n + at, dw, count);
}

/* One tap of the same, from (left.c, right.c) to (right.c, left.c), through the first partial
 * sums, which nobody needs any more. */
static void sum_turned(void *ctx, int64_t tap, int32_t thread)
{
    (void)thread;
    const sum_job *j = ctx;
    const rg_rows_grad *v = j->v;
    const int64_t n = weights_of(v), l = v->left.c, r = v->right.c;
    const int64_t to = v->reversed ? v->taps - 1 - tap : tap;
    float *sum = j->partial + tap * l * r, *dw = v->dw + to * l * r;
    for (int64_t g = 1; g < j->groups; g++)
        j->isa->vec->accumulate(j->partial + g * n + tap * l * r, sum, l * r);
    if (!v->add) {
        j->isa->vec->turn(sum, l, r, r, dw, l);
        return;
    }
    float *room = j->partial + j->groups * n + tap * l * r;
    j->isa->vec->turn(sum, l, r, r, room, l);
    j->isa->vec->accumulate(room, dw, l * r);
}

/* Room for the partial sums of so many groups, and for turning them. */
static float *partial_sums(rg_kernel_ctx *ctx, const rg_rows_grad *v, int64_t groups)
{
    return rg_cpu_scratch(ctx, (groups + (v->turned && v->add)) * weights_of(v));
}

static void sum_groups(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_rows_grad *v, float *partial,
                       int64_t groups)
{
    sum_job j = {isa, v, partial, groups};
    if (v->turned)
        rg_pool_run(ctx->pool, sum_turned, &j, v->taps);
    else
        rg_pool_run(ctx->pool, sum_plain, &j, div_up(weights_of(v), SUM_RUN));
}

/* ---- small weights: groups of chunks ---- */

typedef struct grad_job {
    const rg_isa *isa;
    const rg_rows_grad *v;
    rg_dtype operands;
    int64_t pieces, chunks, groups; /* chunks of an item, of all, groups of chunks */
    float *partial, *scratch;
    int64_t room_left, room_right, size;
} grad_job;

/* dw (+)= one chunk's products; dw is fresh before the first of a group. */
static void add_chunk(const grad_job *j, int64_t chunk, float *dw, bool fresh, float *scratch)
{
    const rg_rows_grad *v = j->v;
    const int64_t item = chunk / j->pieces, piece = chunk % j->pieces;
    const int64_t q0 = v->q_count * piece / j->pieces, q1 = v->q_count * (piece + 1) / j->pieces;
    const int64_t blocks = blocks_of(v), m = v->taps / blocks * v->left.c, n = v->right.c;
    const int64_t first = left_first(v, q0);
    const float *left = rg_rows_load(j->isa, &v->left, RG_F32, item, first,
                                     first + left_count(v, q1 - q0), scratch);
    const float *right = rg_rows_load(j->isa, &v->right, RG_F32, item, q0 - v->right_pad,
                                      q1 - v->right_pad, scratch + j->room_left);
    rg_gemm g = {.m = m, .n = n, .segs = 1, .len = q1 - q0, .a_row = 1, .b = right, .b_row = n};
    g.operands = j->operands, g.a_col = v->left_step * v->left.c, g.c_row = g.base_row = n;
    for (int64_t block = 0; block < blocks; block++) {
        g.a = left + block * v->dilation * v->left.c;
        g.c = dw + block * m * n, g.base = fresh ? NULL : g.c;
        rg_gemm_block(j->isa, &g, scratch + j->room_left + j->room_right);
    }
}

static void grad_task(void *ctx, int64_t group, int32_t thread)
{
    const grad_job *j = ctx;
    float *dw = j->partial + group * weights_of(j->v);
    const int64_t first = j->chunks * group / j->groups, last = j->chunks * (group + 1) / j->groups;
    for (int64_t chunk = first; chunk < last; chunk++)
        add_chunk(j, chunk, dw, chunk == first, j->scratch + thread * j->size);
}

static rg_status run_groups(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_rows_grad *v)
{
    grad_job j = {.isa = isa, .v = v, .operands = ctx->operands};
    const int64_t per_row = max64(v->left_step * v->left.c, v->right.c);
    j.pieces = div_up(v->q_count, max64(32, min64(DEPTH, PIECE / max64(1, per_row))));
    j.chunks = j.pieces * v->left.batch;
    j.groups = min64(GROUPS, j.chunks);
    const int64_t q = div_up(v->q_count, j.pieces);
    j.room_left = div_up(left_count(v, q) * v->left.c, 16) * 16;
    j.room_right = div_up(q * v->right.c, 16) * 16;
    j.size = j.room_left + j.room_right + div_up(rg_gemm_scratch(isa, 1, DEPTH), 16) * 16;
    j.scratch = rg_cpu_scratch(ctx, j.size * rg_pool_threads(ctx->pool));
    j.partial = partial_sums(ctx, v, j.groups);
    if (!j.scratch || !j.partial) return ctx->error->code;
    rg_pool_run(ctx->pool, grad_task, &j, j.groups);
    sum_groups(isa, ctx, v, j.partial, j.groups);
    return RG_OK;
}

/* ---- large weights: one product over staged rows ---- */

typedef struct stage_job {
    const rg_isa *isa;
    const rg_rows *in;
    int64_t first, count, run; /* rows of an item; of a task */
    float *out;
} stage_job;

static void stage_task(void *ctx, int64_t task, int32_t thread)
{
    (void)thread;
    const stage_job *j = ctx;
    const int64_t runs = div_up(j->count, j->run), item = task / runs, r0 = task % runs * j->run;
    const int64_t r1 = min64(j->count, r0 + j->run);
    float *out = j->out + (item * j->count + r0) * j->in->c;
    const float *at = rg_rows_load(j->isa, j->in, RG_F32, item, j->first + r0, j->first + r1, out);
    if (at != out) memcpy(out, at, (size_t)((r1 - r0) * j->in->c) * sizeof(float));
}

/* Rows [first, first + count) of every item, `pitch` floats from item to item: in place or copied.
 * NULL with the error set. */
static const float *stage(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_rows *in, int64_t first,
                          int64_t count, int64_t *pitch)
{
    *pitch = in->t * in->c;
    if (in->act == RG_ACT_NONE && first >= 0 && first + count <= in->t)
        return in->x + first * in->c;
    *pitch = count * in->c;
    stage_job j = {.isa = isa, .in = in, .first = first, .count = count};
    j.run = max64(1, STAGE_RUN / in->c);
    j.out = rg_cpu_scratch(ctx, in->batch * *pitch);
    if (j.out) rg_pool_run(ctx->pool, stage_task, &j, in->batch * div_up(count, j.run));
    return j.out;
}

static rg_status run_whole(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_rows_grad *v)
{
    const int64_t q = v->q_count, n = v->right.c, blocks = blocks_of(v);
    int64_t left_pitch, right_pitch;
    const float *left = stage(isa, ctx, &v->left, left_first(v, 0), left_count(v, q), &left_pitch);
    const float *right = stage(isa, ctx, &v->right, -v->right_pad, q, &right_pitch);
    const bool together = q <= SHORT && right_pitch == q * n;
    const int64_t items = together ? v->left.batch : 1;
    const rg_dtype type = ctx->operands;
    const size_t bytes = rg_panels_bytes(isa, type, items * q, n);
    void *panels = rg_cpu_scratch(ctx, (int64_t)(bytes + 3) / 4);
    float *dw = v->turned ? partial_sums(ctx, v, 1) : v->dw;
    if (!left || !right || !panels || !dw) return ctx->error->code;
    rg_gemm g = {.m = v->taps / blocks * v->left.c, .n = n, .segs = items, .len = q, .a_row = 1};
    g.a_col = v->left_step * v->left.c, g.a_seg = left_pitch, g.c_row = g.base_row = n;
    g.b = panels, g.b_type = g.operands = type;
    for (int64_t item = 0; item < v->left.batch; item += items) {
        rg_panels_pack(isa, ctx->pool, type, right + item * right_pitch, n, 1, items * q, n,
                       panels);
        const bool fresh = item == 0 && (v->turned || !v->add);
        for (int64_t block = 0; block < blocks; block++) {
            g.a = left + item * left_pitch + block * v->dilation * v->left.c;
            g.c = dw + block * g.m * n, g.base = fresh ? NULL : g.c;
            RG_TRY(rg_gemm_run(isa, ctx, &g, NULL, NULL));
        }
    }
    if (v->turned) sum_groups(isa, ctx, v, dw, 1);
    return RG_OK;
}

rg_status rg_rows_grad_run(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_rows_grad *v)
{
    const int64_t weights = weights_of(v);
    if (weights <= 0) return RG_OK;
    if (v->q_count <= 0 || v->left.batch <= 0) {
        if (!v->add) memset(v->dw, 0, (size_t)weights * sizeof(float));
        return RG_OK;
    }
    return weights < RG_ROWS_LARGE ? run_groups(isa, ctx, v) : run_whole(isa, ctx, v);
}

/* ---- bias: the sum of rows ---- */

typedef struct bias_job {
    const rg_isa *isa;
    const float *x;
    int64_t rows, n, ld, block;
    float *partial;
} bias_job;

static void bias_task(void *ctx, int64_t task, int32_t thread)
{
    (void)thread;
    const bias_job *j = ctx;
    float *sum = j->partial + task * j->n;
    memset(sum, 0, (size_t)j->n * sizeof(float));
    const int64_t r0 = task * j->block, r1 = min64(j->rows, r0 + j->block);
    j->isa->vec->col_sum(j->x + r0 * j->ld, r1 - r0, j->n, j->ld, sum);
}

int64_t rg_cpu_bias_block(int64_t rows)
{
    return div_up(max64(BIAS_ROWS, div_up(rows, BIAS_BLOCKS)), 32) * 32;
}

void rg_cpu_add_sums(const rg_isa *isa, const float *sums, int64_t blocks, int64_t n, float *sum,
                     bool add)
{
    if (!add) memset(sum, 0, (size_t)n * sizeof(float));
    for (int64_t b = 0; b < blocks; b++) isa->vec->accumulate(sums + b * n, sum, n);
}

rg_status rg_cpu_bias_grad(const rg_isa *isa, rg_kernel_ctx *ctx, const float *x, int64_t rows,
                           int64_t n, int64_t ld, float *sum, bool add)
{
    bias_job j = {.isa = isa, .x = x, .rows = rows, .n = n, .ld = ld};
    j.block = rg_cpu_bias_block(rows);
    const int64_t blocks = div_up(rows, j.block);
    j.partial = rg_cpu_scratch(ctx, blocks * n);
    if (!j.partial) return ctx->error->code;
    rg_pool_run(rows * n < 16384 ? NULL : ctx->pool, bias_task, &j, blocks);
    rg_cpu_add_sums(isa, j.partial, blocks, n, sum, add);
    return RG_OK;
}

/* ---- the plain product x^T dy ---- */

rg_status rg_gemm_weight_grad(const rg_isa *isa, rg_kernel_ctx *ctx, const float *x,
                              const float *dy, int64_t rows, int64_t m, int64_t n, float *dw,
                              bool add)
{
    const rg_rows_grad v = {.left = {.x = x, .batch = 1, .t = rows, .c = m},
                            .right = {.x = dy, .batch = 1, .t = rows, .c = n},
                            .left_step = 1,
                            .dilation = 1,
                            .taps = 1,
                            .q_count = rows,
                            .dw = dw,
                            .add = add};
    return rg_rows_grad_run(isa, ctx, &v);
}
