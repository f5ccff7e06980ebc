/*
 * Overlapping rows: the loader and the convolution loop (rows.h).
 *
 * One idea: a task is one item's run of output rows, short enough that its input stays in L2.
 */
#include "kernels/cpu/rows.h"

#include <string.h>

enum {
    PIECE = 32768, /* values of a task's input or output copy: 128 KiB */
    PART = 512     /* values on their way through an activation to bf16 */
};

/* ---- rows ---- */

/* `n` activated values of src to value `at` of out. */
static void load_run(const rg_isa *isa, const rg_rows *in, rg_dtype type, const float *src,
                     int64_t n, void *out, int64_t at)
{
    float part[PART];
    if (type == RG_F32 && in->act == RG_ACT_NONE) {
        memcpy((float *)out + at, src, (size_t)n * sizeof(float));
        return;
    }
    if (type == RG_F32) {
        isa->vec->act(in->act, RG_FUSED_LEAKY_SLOPE, src, (float *)out + at, n);
        return;
    }
    if (in->act == RG_ACT_NONE) {
        isa->vec->narrow_bf16(src, (uint16_t *)out + at, n);
        return;
    }
    for (int64_t i = 0, count; i < n; i += count) {
        count = min64(PART, n - i);
        isa->vec->act(in->act, RG_FUSED_LEAKY_SLOPE, src + i, part, count);
        isa->vec->narrow_bf16(part, (uint16_t *)out + at + i, count);
    }
}

/* The frame that row r < 0 or r >= t repeats; -1 for zeros. */
static int64_t outside(const rg_rows *in, int64_t r)
{
    if (in->pad_mode != RG_PAD_REFLECT) return -1;
    const int64_t s = r < 0 ? -r : 2 * (in->t - 1) - r;
    return s >= 0 && s < in->t ? s : -1;
}

const void *rg_rows_load(const rg_isa *isa, const rg_rows *in, rg_dtype type, int64_t item,
                         int64_t r0, int64_t r1, void *room)
{
    const float *x = in->x + item * in->t * in->c;
    const int64_t c = in->c, size = type == RG_BF16 ? 2 : 4;
    if (type == RG_F32 && r0 >= 0 && r1 <= in->t && in->act == RG_ACT_NONE) return x + r0 * c;
    const int64_t lo = min64(max64(r0, 0), in->t), hi = max64(min64(r1, in->t), lo);
    for (int64_t r = r0; r < r1; r++) {
        if (r == lo && hi > lo) {
            load_run(isa, in, type, x + lo * c, (hi - lo) * c, room, (lo - r0) * c);
            r = hi - 1;
            continue;
        }
        const int64_t s = outside(in, r);
        if (s < 0)
            memset((char *)room + (r - r0) * c * size, 0, (size_t)(c * size));
        else
            load_run(isa, in, type, x + s * c, c, room, (r - r0) * c);
    }
    return room;
}

/* ---- narrow outputs ---- */

enum { MOST_FRAMES = 16, NARROWEST = 8 /* columns that cost as much as fewer */ };

/* What a product of n columns costs for each of its depth. */
static int64_t columns_cost(const rg_tiles *tiles, int64_t n)
{
    const int64_t width = tiles->width[rg_tiles_index(tiles, n)];
    return div_up(n, width) * max64(width, NARROWEST);
}

int64_t rg_rows_frames(const rg_tiles *tiles, int64_t reach, int64_t stride, int64_t columns)
{
    int64_t best = 1;
    if (tiles->k_step > 2) return 1; /* an element's bits would depend on its place in the row */
    double least = (double)(reach * columns_cost(tiles, columns));
    for (int64_t f = 2; f <= MOST_FRAMES; f *= 2) {
        const int64_t depth = reach + (f - 1) * stride;
        const double cost = (double)(depth * columns_cost(tiles, f * columns)) / (double)f;
        if (cost < least) least = cost, best = f;
    }
    return best;
}

/* ---- the convolution loop ---- */

typedef struct conv_job {
    const rg_isa *isa;
    const rg_rows_conv *v;
    int64_t rows, pieces, cols, col_blocks; /* of a task */
    float *scratch;
    int64_t room, out_room, size; /* floats of a thread's parts: input, output, all */
} conv_job;

/* out (+)= y, through the derivative, for floats [at, at + n) of an item's uncut output. */
static void store_run(const conv_job *j, int64_t item, const float *y, int64_t at, int64_t n)
{
    const rg_rows_conv *v = j->v;
    const int64_t lo = max64(at, v->skip), hi = min64(at + n, v->skip + v->length);
    if (lo >= hi) return;
    const int64_t to = item * v->length + lo - v->skip;
    float *out = v->out + to;
    const float *from = y + lo - at;
    if (v->back_x && v->back_act != RG_ACT_NONE)
        j->isa->vec->act_grad(v->back_act, RG_FUSED_LEAKY_SLOPE, v->back_x + to, from, out, hi - lo,
                              v->add);
    else if (v->add)
        j->isa->vec->accumulate(from, out, hi - lo);
    else
        memcpy(out, from, (size_t)(hi - lo) * sizeof(float));
}

static void conv_task(void *ctx, int64_t task, int32_t thread)
{
    const conv_job *j = ctx;
    const rg_rows_conv *v = j->v;
    const int64_t block = task / j->col_blocks, n0 = task % j->col_blocks * j->cols;
    const int64_t item = block / j->pieces, q0 = block % j->pieces * j->rows;
    const int64_t q1 = min64(v->q_count, q0 + j->rows), cols = min64(j->cols, v->n - n0);
    float *room = j->scratch + thread * j->size, *tmp = room + j->room, *gemm = tmp + j->out_room;
    const int64_t c = v->in.c, r0 = q0 * v->step - v->pad;
    const int64_t r1 = (q1 - 1) * v->step + (v->taps - 1) * v->dilation - v->pad + 1;
    rg_gemm g = v->weight;
    g.m = q1 - q0, g.n = cols;
    g.a_type = g.operands;
    g.a = rg_rows_load(j->isa, &v->in, g.a_type, item, r0, r1, room);
    g.a_row = v->step * c, g.a_col = 1;
    g.segs = v->dilation == 1 ? 1 : v->taps;
    g.len = v->dilation == 1 ? v->taps * c : c;
    g.a_seg = v->dilation * c;
    g.b = rg_gemm_columns(j->isa, &g, n0);
    g.base = v->bias ? v->bias + n0 : NULL, g.base_row = 0;
    const int64_t at = q0 * v->n;
    if (!v->back_x && !v->add && at >= v->skip && q1 * v->n <= v->skip + v->length) {
        g.c = v->out + item * v->length + at - v->skip + n0, g.c_row = v->n;
        rg_gemm_block(j->isa, &g, gemm);
        return;
    }
    g.c = tmp, g.c_row = cols;
    rg_gemm_block(j->isa, &g, gemm);
    if (cols == v->n) {
        store_run(j, item, tmp, at, g.m * cols);
        return;
    }
    for (int64_t q = 0; q < g.m; q++) store_run(j, item, tmp + q * cols, at + q * v->n + n0, cols);
}

/* Rows of a task by size, columns whole unless there would be too few tasks. */
static void cut_conv(conv_job *j, int32_t threads)
{
    const rg_rows_conv *v = j->v;
    const int64_t mr = j->isa->f32->mr, wide = j->isa->f32->width[0];
    const int64_t per_row = max64(v->step * v->in.c, v->n);
    int64_t rows = max64(4, PIECE / max64(1, per_row) / mr) * mr;
    int64_t pieces = max64(1, div_up(v->q_count, rows));
    j->rows = div_up(div_up(v->q_count, pieces), mr) * mr;
    j->pieces = max64(1, div_up(v->q_count, j->rows));
    const int64_t tasks = j->pieces * v->in.batch;
    j->cols = v->n;
    if (threads > 1 && tasks < 3 * threads && v->n > wide) {
        const int64_t split = div_up(3 * threads, tasks);
        j->cols = max64(div_up(div_up(v->n, split), wide), 1) * wide;
    }
    j->col_blocks = max64(1, div_up(v->n, j->cols));
}

rg_status rg_rows_conv_run(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_rows_conv *v)
{
    if (v->q_count <= 0 || v->n <= 0 || v->in.batch <= 0) return RG_OK;
    conv_job j = {.isa = isa, .v = v};
    const int32_t threads = rg_pool_threads(ctx->pool);
    cut_conv(&j, threads);
    const int64_t rows_in = (j.rows - 1) * v->step + (v->taps - 1) * v->dilation + 1;
    const bool one = v->dilation == 1;
    j.room = (rows_in * v->in.c + 15) / 16 * 16;
    j.out_room = (j.rows * j.cols + 15) / 16 * 16;
    j.size =
        j.room + j.out_room +
        (rg_gemm_scratch(isa, one ? 1 : v->taps, one ? v->taps * v->in.c : v->in.c) + 15) / 16 * 16;
    j.scratch = rg_cpu_scratch(ctx, j.size * threads);
    if (!j.scratch) return ctx->error->code;
    rg_pool_run(ctx->pool, conv_task, &j, v->in.batch * j.pieces * j.col_blocks);
    return RG_OK;
}
