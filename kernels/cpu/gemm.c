/*
 * The blocked GEMM over the pool: cuts a product into tasks.
 *
 * One idea: tasks are blocks of rows and columns, never of k, so that the cut changes no bit; a
 * task's product is gemm_f32.c's or gemm_bf16.c's.
 * Not here: the tiles (gemm_avx2.c and its like), the weights' packed form (pack.c).
 */
#include "kernels/cpu/gemm.h"

enum {
    ROWS_OF_TASK = 504,
    PAIRED = 256,          /* k of a task that interleaves them */
    SMALL_PRODUCT = 100000 /* multiply-adds below which threads cost more than they give */
};

int64_t rg_gemm_scratch(const rg_isa *isa, int64_t segs, int64_t len)
{
    return max64(rg__gemm_scratch_f32(isa, segs, len), rg__gemm_scratch_bf16(isa, segs, len));
}

void rg_gemm_block(const rg_isa *isa, const rg_gemm *g, float *scratch)
{
    if (g->operands == RG_BF16)
        rg__gemm_block_bf16(isa, g, scratch);
    else
        rg__gemm_block_f32(isa, g, scratch);
}

const void *rg_gemm_columns(const rg_isa *isa, const rg_gemm *g, int64_t n0)
{
    const int64_t size = rg_panels_element(g->b_type);
    if (g->b_row > 0) return (const char *)g->b + n0 * size;
    return (const char *)g->b + n0 * rg_panels_depth(isa, g->b_type, g->segs * g->len) * size;
}

/* ---- a product over the pool ---- */

typedef struct gemm_job {
    const rg_isa *isa;
    const rg_gemm *g;
    int64_t rows, cols, col_blocks; /* of a task */
    float *scratch;
    int64_t scratch_size; /* of a thread */
    rg_gemm_finish *finish;
    void *user;
} gemm_job;

/* The part of g that is rows [m0,m1), columns [n0,n1). n0 is a multiple of the widest tile. */
static rg_gemm part_of(const rg_isa *isa, const rg_gemm *g, int64_t m0, int64_t m1, int64_t n0,
                       int64_t n1)
{
    rg_gemm p = *g;
    p.m = m1 - m0, p.n = n1 - n0;
    const int64_t a0 = g->a_tile ? m0 / isa->bf16->mr * g->a_tile : m0 * g->a_row;
    p.a = (const char *)g->a + a0 * (g->a_type == RG_BF16 ? 2 : 4);
    p.b = rg_gemm_columns(isa, g, n0);
    p.c += m0 * g->c_row + n0;
    if (g->base) p.base += m0 * g->base_row + n0;
    return p;
}

static void gemm_task(void *ctx, int64_t task, int32_t thread)
{
    const gemm_job *j = ctx;
    const rg_gemm *g = j->g;
    const int64_t m0 = task / j->col_blocks * j->rows, m1 = min64(g->m, m0 + j->rows);
    const int64_t n0 = task % j->col_blocks * j->cols, n1 = min64(g->n, n0 + j->cols);
    rg_gemm part = part_of(j->isa, g, m0, m1, n0, n1);
    rg_gemm_block(j->isa, &part, j->scratch + thread * j->scratch_size);
    if (j->finish) j->finish(j->user, m0, m1, n0, n1);
}

/* Rows and columns of a task: about two tasks a thread, tall ones where b must be packed. */
static void cut_tasks(gemm_job *j, int32_t threads)
{
    const rg_gemm *g = j->g;
    const int64_t mr = rg_tiles_of(j->isa, g->operands)->mr, wide = j->isa->f32->width[0];
    j->cols = RG_GEMM_COLS;
    int64_t col_blocks = div_up(g->n, j->cols), want = threads > 1 ? 2 * threads : 1;
    if (g->m <= 2 * mr) { /* few rows: the weights are the work; split the columns */
        j->cols = max64(wide, div_up(div_up(g->n, want), wide) * wide);
        j->cols = min64(j->cols, RG_GEMM_COLS);
        j->rows = max64(1, g->m);
    } else {
        int64_t row_blocks = max64(div_up(g->m, ROWS_OF_TASK), div_up(want, col_blocks));
        j->rows = div_up(div_up(g->m, row_blocks), mr) * mr;
    }
    j->col_blocks = div_up(g->n, j->cols);
}

/* ---- a left operand that many tasks read, rounded to bf16 once ---- */

typedef struct left_job {
    const rg_isa *isa;
    const rg_gemm *g;
    uint16_t *out;
    int64_t deep, pitch;  /* of rows; pitch: from one to the next, or from tile to tile */
    int64_t strips, rows; /* of pairs: tasks side by side, rows of each */
} left_job;

static void left_task(void *ctx, int64_t task, int32_t thread)
{
    (void)thread;
    const left_job *j = ctx;
    const int64_t i = task * RG_WIDEST_TILE, rows = min64(RG_WIDEST_TILE, j->g->m - i);
    rg__gemm_left_bf16(j->isa, j->g, i, rows, 0, j->g->segs * j->g->len, j->deep,
                       j->out + i * j->pitch, j->pitch);
}

/* g with its left operand in bf16, in scratch. */
static rg_status round_left(const rg_isa *isa, rg_kernel_ctx *ctx, rg_pool *pool, rg_gemm *g)
{
    const int64_t deep = rg_panels_depth(isa, RG_BF16, g->segs * g->len);
    const int64_t pitch = div_up(deep, 32) * 32 + 32;
    left_job j = {.isa = isa, .g = g, .deep = deep, .pitch = pitch};
    j.out = (uint16_t *)(void *)rg_cpu_scratch(ctx, g->m * pitch / 2);
    if (!j.out) return ctx->error->code;
    rg_pool_run(pool, left_task, &j, div_up(g->m, RG_WIDEST_TILE));
    g->a = j.out, g->a_type = RG_BF16, g->a_row = pitch, g->a_col = 1, g->segs = 1, g->len = deep;
    return RG_OK;
}

static void pairs_task(void *ctx, int64_t task, int32_t thread)
{
    (void)thread;
    const left_job *j = ctx;
    const int64_t mr = j->isa->bf16->mr, i = task % j->strips * j->rows;
    const int64_t k0 = task / j->strips * PAIRED, k1 = min64(j->g->segs * j->g->len, k0 + PAIRED);
    rg__gemm_pairs_bf16(j->isa, j->g, i, min64(j->rows, j->g->m - i), k0, k1,
                        j->out + i / mr * j->pitch + k0 * mr, j->pitch);
}

/* The same as tiles of pairs. */
static rg_status pair_left(const rg_isa *isa, rg_kernel_ctx *ctx, rg_pool *pool, rg_gemm *g)
{
    const int64_t k = g->segs * g->len, mr = isa->bf16->mr, tiles = div_up(g->m, mr);
    left_job j = {.isa = isa, .g = g, .strips = div_up(g->m, RG_GEMM_STRIP / mr * mr)};
    j.rows = div_up(tiles, j.strips) * mr;
    j.pitch = rg_panels_depth(isa, RG_BF16, k) * mr;
    j.out = (uint16_t *)(void *)rg_cpu_scratch(ctx, div_up(tiles * j.pitch, 2));
    if (!j.out) return ctx->error->code;
    rg_pool_run(pool, pairs_task, &j, j.strips * div_up(k, PAIRED));
    g->a = j.out, g->a_type = RG_BF16, g->a_pairs = true, g->segs = 1, g->len = j.pitch / mr;
    g->a_tile = j.pitch, g->a_row = 2, g->a_col = mr;
    return RG_OK;
}

rg_status rg_gemm_run(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_gemm *product,
                      rg_gemm_finish *finish, void *user)
{
    if (product->m <= 0 || product->n <= 0) return RG_OK;
    rg_gemm copy = *product, *g = &copy;
    const bool small = g->m * g->n * max64(1, g->segs * g->len) < SMALL_PRODUCT;
    rg_pool *pool = small ? NULL : ctx->pool;
    const int32_t threads = rg_pool_threads(pool);
    gemm_job j = {.isa = isa, .g = g, .finish = finish, .user = user};
    cut_tasks(&j, threads);
    if (g->operands == RG_BF16 && g->a_type == RG_F32 && j.col_blocks > 1 && g->len > 0) {
        if (g->a_col != 1 && isa->bf16->k_step == 2)
            RG_TRY(pair_left(isa, ctx, pool, g));
        else if (g->a_col != 1 || g->segs == 1)
            RG_TRY(round_left(isa, ctx, pool, g));
    }
    j.scratch_size = (rg_gemm_scratch(isa, g->segs, g->len) + 15) / 16 * 16;
    j.scratch = rg_cpu_scratch(ctx, j.scratch_size * threads);
    if (!j.scratch) return ctx->error->code;
    rg_pool_run(pool, gemm_task, &j, div_up(g->m, j.rows) * j.col_blocks);
    return RG_OK;
}

float *rg_cpu_scratch(rg_kernel_ctx *ctx, int64_t n)
{
    float *p = rg_arena_alloc(ctx->scratch, (size_t)max64(n, 1) * sizeof(float));
    if (!p)
        rg_fail(ctx->error, RG_ERR_NOMEM, "kernel scratch: %lld bytes do not fit in arena '%s'",
                (long long)n * 4, rg_arena_name(ctx->scratch));
    return p;
}
