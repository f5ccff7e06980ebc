/*
 * The weight gradient of every product over rows: linear, conv1d, conv_tr1d (rows.h).
 *
 * One idea: rows are cut into fixed chunks, chunks into at most GROUPS groups; a group adds its
 * chunks in order to its own partial sum, and the partial sums are added in order. Large weights
 * have one group, whose tasks own rows of dw instead. Nothing of this depends on the threads.
 */
#include "kernels/cpu/rows.h"

#include <string.h>

enum {
    GROUPS = 16,
    DEPTH = 384,   /* rows of a chunk: one block of k */
    PIECE = 65536, /* floats of a chunk's copy */
    LARGE = 32768, /* weights from which on there is one group */
    UNITS = 8,     /* tasks of one group */
    SUM_RUN = 4096,
    BIAS_BLOCKS = 64,
    BIAS_ROWS = 256
};

typedef struct grad_job {
    const rg_isa *isa;
    const rg_rows_grad *v;
    int64_t pieces, chunks, groups; /* chunks of an item, of all, groups of chunks */
    int64_t blocks, block_rows;     /* dw as blocks of block_rows rows: taps, or one */
    int64_t units, unit_rows;       /* tasks of a block */
    float *partial, *scratch;
    int64_t room_left, room_right, size;
} grad_job;

/* One chunk's contribution to rows [i0,i1) of every block of dw. */
static void add_chunk(const grad_job *j, int64_t chunk, int64_t i0, int64_t i1, float *dw,
                      const float *base, float *scratch)
{
    const rg_rows_grad *v = j->v;
    const int64_t item = chunk / j->pieces, piece = chunk % j->pieces;
    const int64_t q0 = v->q_count * piece / j->pieces, q1 = v->q_count * (piece + 1) / j->pieces;
    const int64_t left_taps = v->dilation ? v->taps - 1 : 0, n = v->right.c;
    const int64_t right_taps = v->right_tap ? v->taps - 1 : 0;
    const float *left =
        rg_rows_load(j->isa, &v->left, item, q0 * v->left_step - v->left_pad,
                     (q1 - 1) * v->left_step + left_taps * v->dilation - v->left_pad + 1, scratch);
    const float *right =
        rg_rows_load(j->isa, &v->right, item, q0 * v->right_step - v->right_pad,
                     (q1 - 1) * v->right_step + right_taps * v->right_tap - v->right_pad + 1,
                     scratch + j->room_left);
    rg_gemm g = {.m = i1 - i0, .n = n, .segs = 1, .len = q1 - q0, .a_row = 1, .b_type = RG_F32};
    g.a_col = v->left_step * v->left.c, g.b_row = v->right_step * n, g.c_row = g.base_row = n;
    for (int64_t tap = 0; tap < j->blocks; tap++) {
        const int64_t at = (tap * j->block_rows + i0) * n;
        g.a = left + tap * v->dilation * v->left.c + i0, g.b = right + tap * v->right_tap * n;
        g.c = dw + at, g.base = base ? base + at : NULL;
        rg_gemm_block(j->isa, &g, scratch + j->room_left + j->room_right);
    }
}

static void grad_task(void *ctx, int64_t task, int32_t thread)
{
    const grad_job *j = ctx;
    const rg_rows_grad *v = j->v;
    const int64_t group = task / j->units, unit = task % j->units;
    const int64_t weights = j->blocks * j->block_rows * v->right.c;
    float *dw = j->groups > 1 ? j->partial + group * weights : v->dw;
    const float *start = j->groups == 1 && v->add ? v->dw : NULL;
    const int64_t i0 = unit * j->unit_rows, i1 = min64(j->block_rows, i0 + j->unit_rows);
    const int64_t first = j->chunks * group / j->groups, last = j->chunks * (group + 1) / j->groups;
    for (int64_t chunk = first; chunk < last; chunk++)
        add_chunk(j, chunk, i0, i1, dw, chunk == first ? start : dw, j->scratch + thread * j->size);
}

static void sum_task(void *ctx, int64_t task, int32_t thread)
{
    (void)thread;
    const grad_job *j = ctx;
    const int64_t n = j->blocks * j->block_rows * j->v->right.c;
    const int64_t at = task * SUM_RUN, count = min64(SUM_RUN, n - at);
    float *dw = j->v->dw + at;
    if (!j->v->add) memset(dw, 0, (size_t)count * sizeof(float));
    for (int64_t g = 0; g < j->groups; g++)
        j->isa->vec->accumulate(j->partial + g * n + at, dw, count);
}

/* Chunks and groups by sizes only; units, which change no bit, by the threads too. */
static void cut_grad(grad_job *j, int32_t threads)
{
    const rg_rows_grad *v = j->v;
    const int64_t per_row = max64(v->left_step * v->left.c, v->right_step * v->right.c);
    const int64_t depth = max64(32, min64(DEPTH, PIECE / max64(1, per_row)));
    const bool merged = v->taps == 1 || v->dilation == 1;
    j->blocks = merged ? 1 : v->taps;
    j->block_rows = merged ? v->taps * v->left.c : v->left.c;
    j->pieces = div_up(v->q_count, depth);
    j->chunks = j->pieces * v->left.batch;
    const int64_t weights = j->blocks * j->block_rows * v->right.c;
    j->groups = weights >= LARGE ? 1 : min64(GROUPS, j->chunks);
    j->unit_rows = j->block_rows;
    if (j->groups == 1) {
        const int64_t mr = j->isa->mr, units = threads > 1 ? UNITS * threads : 1;
        j->unit_rows = max64(3, div_up(div_up(j->block_rows, units), mr)) * mr;
    }
    j->units = max64(1, div_up(j->block_rows, j->unit_rows));
}

static int64_t rows_room(const grad_job *j, int64_t step, int64_t tap, int64_t c)
{
    const int64_t q = div_up(j->v->q_count, j->pieces);
    return ((q * step + (j->v->taps - 1) * tap + 1) * c + 31) / 16 * 16;
}

rg_status rg_rows_grad_run(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_rows_grad *v)
{
    const int64_t weights = v->taps * v->left.c * v->right.c;
    if (weights <= 0) return RG_OK;
    if (v->q_count <= 0 || v->left.batch <= 0) {
        if (!v->add) memset(v->dw, 0, (size_t)weights * sizeof(float));
        return RG_OK;
    }
    grad_job j = {.isa = isa, .v = v};
    const int32_t threads = rg_pool_threads(ctx->pool);
    cut_grad(&j, threads);
    j.room_left = rows_room(&j, v->left_step, v->dilation, v->left.c);
    j.room_right = rows_room(&j, v->right_step, v->right_tap, v->right.c);
    j.size = j.room_left + j.room_right + (rg_gemm_scratch(isa, 1, DEPTH) + 15) / 16 * 16;
    j.scratch = rg_cpu_scratch(ctx, j.size * threads);
    if (j.groups > 1) j.partial = rg_cpu_scratch(ctx, j.groups * weights);
    if (!j.scratch || (j.groups > 1 && !j.partial)) return ctx->error->code;
    rg_pool_run(ctx->pool, grad_task, &j, j.groups * j.units);
    if (j.groups > 1) rg_pool_run(ctx->pool, sum_task, &j, div_up(weights, SUM_RUN));
    return RG_OK;
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

rg_status rg_cpu_bias_grad(const rg_isa *isa, rg_kernel_ctx *ctx, const float *x, int64_t rows,
                           int64_t n, int64_t ld, float *sum, bool add)
{
    bias_job j = {.isa = isa, .x = x, .rows = rows, .n = n, .ld = ld};
    j.block = max64(BIAS_ROWS, div_up(rows, BIAS_BLOCKS));
    const int64_t blocks = div_up(rows, j.block);
    j.partial = rg_cpu_scratch(ctx, blocks * n);
    if (!j.partial) return ctx->error->code;
    rg_pool_run(rows * n < 16384 ? NULL : ctx->pool, bias_task, &j, blocks);
    if (!add) memset(sum, 0, (size_t)n * sizeof(float));
    for (int64_t b = 0; b < blocks; b++) isa->vec->accumulate(j.partial + b * n, sum, n);
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
                            .right_step = 1,
                            .taps = 1,
                            .q_count = rows,
                            .dw = dw,
                            .add = add};
    return rg_rows_grad_run(isa, ctx, &v);
}
