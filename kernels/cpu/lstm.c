/*
 * LSTM over a sequence: one product for the inputs of all steps, then the recurrence.
 *
 * One idea: a step is cut by units, not by gates: whoever owns some units computes their columns of
 * all four gates and finishes their cells, so one rendezvous a step is enough, forward and
 * backward. Every thread owns the same units in all steps and visits them alternately up and down,
 * so that the recurrent weights that it read last are still in its cache when it reads them first.
 * The threads stay together for the whole sequence and meet by spinning: a step takes some 30
 * microseconds, of which waking anybody would be a good part. What a step leaves to be multiplied
 * by the next is rounded to the operands' type once, by the one who computed it.
 */
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "kernels/cpu/rows.h"

enum {
    SMALL_STEP = 60000, /* multiply-adds of a step below which one thread is faster */
    DEPTH = 512,        /* of a product at a time: a few rows of the left operand stay in L1 */
    GAP = 32,           /* between rows: equal distances would fall on few cache sets */
    PATIENCE = 16384    /* looks, about 0.3 ms, before the CPU is offered to others */
};

typedef struct lstm_job lstm_job;
/* Step t of units [j0, j0 + n). */
typedef void lstm_step_fn(const lstm_job *j, int64_t t, int64_t j0, int64_t n, float *scratch);

struct lstm_job {
    const rg_isa *isa;
    const rg_lstm_args *a;
    const rg_lstm_grad_args *grad; /* NULL: forward */
    lstm_step_fn *step;
    rg_gemm hh;            /* b: panels of w_hh or of its transpose */
    void *left;            /* (2,B,K): what a step leaves to the next, by parity of the step */
    int64_t left_row;      /* between its rows */
    float *gates, *cells;  /* (B,T,4H); (B,T,H), or (B,H) carried when `carry` */
    float *dpre, *dh, *dc; /* (B,T,4H), (B,H), (B,H) */
    bool carry, by_panels; /* by_panels: gates begin at panels */
    int64_t units, blocks; /* of a block; of all members together */
    int32_t members;
    atomic_int_least64_t arrived; /* members at the end of a step, over all steps */
    float *scratch;
    int64_t scratch_size;
};

static rg_weight weight_hh(const rg_lstm_args *a)
{
    return (rg_weight){a->w_hh, a->w_hh_packed, a->packed_type, a->hidden, 4 * a->hidden};
}

static rg_weight weight_ih(const rg_lstm_args *a)
{
    return (rg_weight){a->w_ih, a->w_ih_packed, a->packed_type, a->c_in, 4 * a->hidden};
}

/* ---- members: threads that take all steps together ---- */

/* Blocks of whole panels when the gates begin at panels, and several members when it is worth it.
 * By panels or not is a matter of H alone, because it decides the order of sums. */
static void cut_units(lstm_job *j, rg_kernel_ctx *ctx)
{
    const int64_t h = j->a->hidden, wide = j->isa->f32->width[0];
    j->by_panels = h % wide == 0;
    j->units = j->by_panels ? wide : h;
    j->blocks = h > 0 ? h / j->units : 0;
    j->members = j->blocks > 0;
    if (j->a->batch * h * h * 4 >= SMALL_STEP)
        j->members = (int32_t)min64(min64(rg_pool_threads(ctx->pool), rg_cpu_count()), j->blocks);
}

/* Returns when all members have taken `steps` steps: each then sees what the others wrote. */
static void meet(lstm_job *j, int64_t steps)
{
    atomic_fetch_add(&j->arrived, 1);
    for (int32_t looks = 0; atomic_load(&j->arrived) < steps * j->members; looks++) {
        if (looks < PATIENCE)
            __builtin_ia32_pause();
        else
            sched_yield();
    }
}

static void member_task(void *ctx, int64_t member, int32_t thread)
{
    lstm_job *j = ctx;
    const int64_t first = j->blocks * member / j->members;
    const int64_t last = j->blocks * (member + 1) / j->members - 1, steps = j->a->steps;
    float *scratch = j->scratch + thread * j->scratch_size;
    for (int64_t s = 0; s < steps; s++) {
        const int64_t t = j->grad ? steps - 1 - s : s;
        for (int64_t i = first; i <= last; i++) {
            const int64_t block = s % 2 ? last - (i - first) : i;
            j->step(j, t, block * j->units, j->units, scratch);
        }
        meet(j, s + 1);
    }
}

static rg_status run_steps(rg_kernel_ctx *ctx, lstm_job *j, int64_t depth)
{
    j->scratch_size = (rg_gemm_scratch(j->isa, 1, depth) + 15) / 16 * 16;
    j->scratch = rg_cpu_scratch(ctx, j->scratch_size * rg_pool_threads(ctx->pool));
    if (!j->scratch) return ctx->error->code;
    /* as many blocks as members: nobody can take a second one before all have theirs */
    rg_pool_run(j->members > 1 ? ctx->pool : NULL, member_task, j, j->members);
    return RG_OK;
}

/* ---- the product of a step ---- */

/* Item b of what step t leaves to the next; t -1: the initial state. */
static void *left_at(const lstm_job *j, int64_t t, int64_t b)
{
    const int64_t at = ((t & 1) * j->a->batch + b) * j->left_row;
    return (char *)j->left + at * (j->hh.operands == RG_BF16 ? 2 : 4);
}

/* Numbers [at, at + n) of it; x NULL: zeros. */
static void leave(const lstm_job *j, int64_t t, int64_t b, int64_t at, const float *x, int64_t n)
{
    void *left = left_at(j, t, b);
    if (!x)
        memset(left, 0, (size_t)n * (j->hh.operands == RG_BF16 ? 2 : 4));
    else if (j->hh.operands == RG_BF16)
        j->isa->vec->narrow_bf16(x, (uint16_t *)left + at, n);
    else
        memcpy((float *)left + at, x, (size_t)n * sizeof *x);
}

/* Panels of w_hh (K,N) or of its transpose, and room for what is multiplied by it. */
static rg_status recurrent_weight(rg_kernel_ctx *ctx, lstm_job *j, bool transposed)
{
    const rg_weight w = weight_hh(j->a);
    const int64_t k = transposed ? w.cols : w.rows, n = transposed ? w.rows : w.cols;
    rg_gemm *g = &j->hh;
    RG_TRY(rg_gemm_set_weight(j->isa, ctx, &w, transposed, g));
    if (g->b_row > 0) g->b = rg_panels_make(j->isa, ctx, RG_F32, w.w, w.cols, 1, w.rows, w.cols);
    j->left_row = div_up(k, GAP) * GAP + GAP;
    j->left = rg_cpu_scratch(ctx, 2 * j->a->batch * j->left_row);
    if (!g->b || !j->left) return ctx->error->code;
    g->m = j->a->batch, g->n = n, g->segs = 1, g->len = k, g->b_row = 0;
    g->a_type = g->operands, g->a_row = j->left_row, g->a_col = 1;
    return RG_OK;
}

/* c (B,n) += columns [n0, n0 + n) of what step t left, multiplied: a panel, or all of them. */
static void add_product(const lstm_job *j, int64_t t, int64_t n0, int64_t n, float *c,
                        int64_t c_row, float *scratch)
{
    const rg_tiles *tiles = rg_tiles_of(j->isa, j->hh.operands);
    rg_gemm g = j->hh;
    g.a = left_at(j, t, 0), g.b = rg_gemm_columns(j->isa, &g, n0), g.n = n;
    g.c = c, g.c_row = c_row, g.base = c, g.base_row = c_row;
    if (!j->by_panels) {
        rg_gemm_block(j->isa, &g, scratch);
        return;
    }
    const bool widened = g.operands == RG_F32 && g.b_type == RG_BF16;
    const int64_t a_size = g.a_type == RG_BF16 ? 2 : 4, b_size = g.b_type == RG_BF16 ? 2 : 4;
    rg_tile tile = {.m = g.m, .n = n, .a_row = g.a_row, .a_col = 1, .a_tile = tiles->mr * g.a_row};
    tile.segs = 1, tile.b_row = g.b_type == RG_BF16 ? 2 * n : n;
    tile.c = c, tile.c_row = c_row, tile.base = c, tile.base_row = c_row;
    for (int64_t k = 0; k < g.len; k += DEPTH) {
        tile.len = min64(DEPTH, g.len - k);
        tile.a = (const char *)g.a + k * a_size, tile.b = (const char *)g.b + k * n * b_size;
        (widened ? j->isa->weight_tile : tiles->tile[0])(&tile);
    }
}

/* ---- forward ---- */

/* The state before step t, its rows `*pitch` apart; `initial` may be NULL, zeros. */
static const float *state_before(const float *states, const float *initial, int64_t t,
                                 int64_t steps, int64_t hidden, int64_t *pitch)
{
    *pitch = t > 0 ? steps * hidden : hidden;
    return t > 0 ? states + (t - 1) * hidden : initial;
}

static void forward_step(const lstm_job *j, int64_t t, int64_t j0, int64_t n, float *scratch)
{
    const rg_lstm_args *a = j->a;
    const int64_t h = a->hidden, wide = 4 * h, row_of_gates = a->steps * wide;
    float *gates = j->gates + t * wide;
    if (!j->by_panels) add_product(j, t - 1, 0, wide, gates, row_of_gates, scratch);
    for (int64_t q = 0; j->by_panels && q < 4; q++)
        add_product(j, t - 1, q * h + j0, n, gates + q * h + j0, row_of_gates, scratch);
    int64_t c_pitch;
    const float *c_prev = state_before(j->cells, a->c0, t, a->steps, h, &c_pitch);
    if (j->carry && t > 0) c_prev = j->cells, c_pitch = h;
    for (int64_t b = 0; b < a->batch; b++) {
        const int64_t row = (b * a->steps + t) * h + j0;
        float *c = j->carry ? j->cells + b * h + j0 : j->cells + row;
        j->isa->vec->lstm_cell(gates + b * row_of_gates + j0, h,
                               c_prev ? c_prev + b * c_pitch + j0 : NULL, c, (float *)a->y + row,
                               n);
        leave(j, t, b, j0, (const float *)a->y + row, n);
    }
}

/* h_last and c_last: the state after the last step. */
static void copy_last(const lstm_job *j)
{
    const rg_lstm_args *a = j->a;
    const int64_t h = a->hidden;
    const size_t bytes = (size_t)h * sizeof(float);
    for (int64_t b = 0; b < a->batch; b++) {
        int64_t pitch, c_pitch;
        const float *y = state_before(a->y, a->h0, a->steps, a->steps, h, &pitch);
        const float *c = state_before(j->cells, a->c0, a->steps, a->steps, h, &c_pitch);
        if (j->carry && a->steps > 0) c = j->cells, c_pitch = h;
        float *h_last = a->h_last ? (float *)a->h_last + b * h : NULL;
        float *c_last = a->c_last ? (float *)a->c_last + b * h : NULL;
        if (h_last && y) memcpy(h_last, y + b * pitch, bytes);
        if (h_last && !y) memset(h_last, 0, bytes);
        if (c_last && c) memcpy(c_last, c + b * c_pitch, bytes);
        if (c_last && !c) memset(c_last, 0, bytes);
    }
}

rg_status rg_cpu_lstm(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_lstm_args *a)
{
    const int64_t h = a->hidden, rows = a->batch * a->steps;
    lstm_job j = {.isa = isa, .a = a, .step = forward_step};
    j.gates = a->gates, j.cells = a->cells, j.carry = !a->cells;
    if (!j.gates) j.gates = rg_cpu_scratch(ctx, rows * 4 * h);
    if (!j.cells) j.cells = rg_cpu_scratch(ctx, a->batch * h);
    if (!j.gates || !j.cells) return ctx->error->code;
    rg_gemm g = {.m = rows, .n = 4 * h, .segs = 1, .len = a->c_in, .a = a->x, .a_row = a->c_in};
    g.a_col = 1, g.c = j.gates, g.c_row = 4 * h, g.base = a->bias;
    const rg_weight w = weight_ih(a);
    RG_TRY(rg_gemm_set_weight(isa, ctx, &w, false, &g));
    RG_TRY(rg_gemm_run(isa, ctx, &g, NULL, NULL));
    cut_units(&j, ctx);
    RG_TRY(recurrent_weight(ctx, &j, false));
    /* zeros are multiplied like any other state, so that a weight that is not finite shows */
    for (int64_t b = 0; b < a->batch; b++)
        leave(&j, -1, b, 0, a->h0 ? (const float *)a->h0 + b * h : NULL, h);
    RG_TRY(run_steps(ctx, &j, h));
    copy_last(&j);
    return RG_OK;
}

/* ---- gradient ---- */

/* For a block of units: the gradient that arrives from step t+1, then the cell of step t. */
static void backward_step(const lstm_job *j, int64_t t, int64_t j0, int64_t n, float *scratch)
{
    const rg_lstm_args *a = j->a;
    const int64_t h = a->hidden, wide = 4 * h;
    const float *dy = j->grad->dy;
    for (int64_t b = 0; b < a->batch; b++)
        memcpy(j->dh + b * h + j0, dy + (b * a->steps + t) * h + j0, (size_t)n * sizeof(float));
    if (t + 1 < a->steps) add_product(j, t + 1, j0, n, j->dh + j0, h, scratch);
    int64_t pitch;
    const float *c_prev = state_before(a->cells, a->c0, t, a->steps, h, &pitch);
    for (int64_t b = 0; b < a->batch; b++) {
        const int64_t row = b * a->steps + t;
        j->isa->vec->lstm_cell_grad((const float *)a->gates + row * wide + j0, h,
                                    (const float *)a->cells + row * h + j0,
                                    c_prev ? c_prev + b * pitch + j0 : NULL, j->dh + b * h + j0,
                                    j->dc + b * h + j0, j->dpre + row * wide + j0, n);
        for (int64_t q = 0; q < 4; q++)
            leave(j, t, b, q * h + j0, j->dpre + row * wide + q * h + j0, n);
    }
}

/* dw_hh: the outputs one step earlier, and the initial state at step 0, times dpre. */
static rg_status recurrent_grad(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_lstm_grad_args *g,
                                const float *dpre)
{
    const rg_lstm_args *a = &g->fwd;
    const int64_t h = a->hidden;
    rg_rows_grad v = {.left = {.x = a->y, .batch = a->batch, .t = a->steps, .c = h},
                      .right = {.x = dpre, .batch = a->batch, .t = a->steps, .c = 4 * h},
                      .left_step = 1,
                      .left_pad = 1,
                      .taps = 1,
                      .q_count = a->steps,
                      .dw = g->dw_hh,
                      .add = g->add_dw_hh};
    RG_TRY(rg_rows_grad_run(isa, ctx, &v));
    if (!a->h0 || a->steps <= 0) return RG_OK;
    v.left = (rg_rows){.x = a->h0, .batch = a->batch, .t = 1, .c = h};
    v.left_pad = 0, v.q_count = 1, v.add = true;
    return rg_rows_grad_run(isa, ctx, &v);
}

static rg_status input_grads(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_lstm_grad_args *g,
                             const float *dpre)
{
    const rg_lstm_args *a = &g->fwd;
    const int64_t rows = a->batch * a->steps, wide = 4 * a->hidden;
    if (g->dx) {
        rg_gemm p = {.m = rows, .n = a->c_in, .segs = 1, .len = wide, .a = dpre, .a_row = wide};
        p.a_col = 1, p.c = g->dx, p.c_row = a->c_in;
        if (g->add_dx) p.base = g->dx, p.base_row = a->c_in;
        const rg_weight w = weight_ih(a);
        RG_TRY(rg_gemm_set_weight(isa, ctx, &w, true, &p));
        RG_TRY(rg_gemm_run(isa, ctx, &p, NULL, NULL));
    }
    if (g->dw_ih)
        RG_TRY(
            rg_gemm_weight_grad(isa, ctx, a->x, dpre, rows, a->c_in, wide, g->dw_ih, g->add_dw_ih));
    if (g->dbias)
        RG_TRY(rg_cpu_bias_grad(isa, ctx, dpre, rows, wide, wide, g->dbias, g->add_dbias));
    return RG_OK;
}

rg_status rg_cpu_lstm_grad(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_lstm_grad_args *g)
{
    const rg_lstm_args *a = &g->fwd;
    const int64_t h = a->hidden, rows = a->batch * a->steps;
    lstm_job j = {.isa = isa, .a = a, .grad = g, .step = backward_step};
    j.dpre = rg_cpu_scratch(ctx, rows * 4 * h);
    j.dh = rg_cpu_scratch(ctx, a->batch * h);
    j.dc = rg_cpu_scratch(ctx, a->batch * h);
    if (!j.dpre || !j.dh || !j.dc) return ctx->error->code;
    memset(j.dc, 0, (size_t)(a->batch * h) * sizeof(float));
    cut_units(&j, ctx);
    RG_TRY(recurrent_weight(ctx, &j, true));
    RG_TRY(run_steps(ctx, &j, 4 * h));
    RG_TRY(input_grads(isa, ctx, g, j.dpre));
    return g->dw_hh ? recurrent_grad(isa, ctx, g, j.dpre) : RG_OK;
}
