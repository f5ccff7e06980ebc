/*
 * The blocked GEMM's driver: cuts a product into blocks of k, columns and rows, packs what pays,
 * and calls the instruction set's tiles.
 *
 * One idea: the left operand is read where it lies, given by strides, so that a convolution is a
 * product whose rows overlap; only the right operand is always in panels or narrow enough not to
 * need them. Blocks of k (KC) depend on k alone, hence bits do too (cpu.h).
 * Not here: the tiles (gemm_avx2.c, gemm_avx512.c), the weights' packed form (pack.c).
 */
#include "kernels/cpu/cpu.h"

enum {
    KC = 384,         /* depth of a block: 14 rows of it and a panel's stripe stay in L1 */
    SEGS_KC = 1024,   /* the same for segments: rows overlap, a block is whole segments */
    NC = 256,         /* columns of a block: KC x NC floats of b stay in L2 */
    CHUNK_TILES = 6,  /* tiles of rows that visit a panel before the next panel */
    PACK_A_ROW = 400, /* rows of a this far apart and more fall on few cache sets: pack them */
    PACK_A_PANELS = 6,
    PACK_B_TILES = 4,
    ROWS_OF_TASK = 504,
    SMALL_PRODUCT = 100000 /* multiply-adds below which threads cost more than they give */
};

/* The index of the narrowest tile that holds n columns. */
static int width_index(const rg_isa *isa, int64_t n)
{
    int i = 0;
    while (isa->width[i + 1] >= n && isa->width[i + 1] > 0) i++;
    return i;
}

/* ---- one block of k: [s0, s1) segments, [k0, k1) inside them ---- */

typedef struct k_block {
    int64_t s0, s1, k0, k1;
} k_block;

static int64_t k_blocks(const rg_gemm *g)
{
    if (g->segs == 1) return max64(1, div_up(g->len, KC));
    return max64(1, div_up(g->segs, max64(1, SEGS_KC / max64(1, g->len))));
}

static k_block k_block_at(const rg_gemm *g, int64_t blocks, int64_t i)
{
    if (g->segs == 1) return (k_block){0, 1, g->len * i / blocks, g->len * (i + 1) / blocks};
    return (k_block){g->segs * i / blocks, g->segs * (i + 1) / blocks, 0, g->len};
}

static int64_t k_block_depth(const rg_gemm *g)
{
    if (g->segs == 1) return min64(g->len, KC);
    return g->len * min64(g->segs, max64(1, SEGS_KC / max64(1, g->len)));
}

int64_t rg_gemm_scratch(const rg_isa *isa, int64_t segs, int64_t len)
{
    rg_gemm g = {.segs = segs, .len = len};
    int64_t depth = k_block_depth(&g);
    return depth * (NC + CHUNK_TILES * isa->mr) + 3 * (RG_ALIGN / 4);
}

/* ---- packing inside a block ---- */

/* Columns [n0,n1) of the plain rows of b, rows [k0,k1), as panels of this depth. */
static void pack_plain(const rg_isa *isa, const rg_gemm *g, int64_t k0, int64_t depth, int64_t n0,
                       int64_t n1, float *out)
{
    const float *b = (const float *)g->b + k0 * g->b_row + n0;
    for (int64_t j = 0, n = n1 - n0; j < n; j += isa->width[0]) {
        int64_t cols = min64(isa->width[0], n - j);
        int64_t width = isa->width[width_index(isa, cols)];
        isa->vec->pack_rows(b + j, g->b_row, cols, width, depth, out + j * depth);
    }
}

/* Rows [i0, i0 + rows) of a as tiles: out[tile][k][mr]. */
static void pack_left(const rg_isa *isa, const rg_gemm *g, k_block kb, int64_t i0, int64_t rows,
                      float *out)
{
    const int64_t mr = isa->mr, len = kb.k1 - kb.k0, depth = (kb.s1 - kb.s0) * len;
    for (int64_t i = 0; i < rows; i += mr) {
        const int64_t n = min64(mr, rows - i);
        float *tile = out + i * depth;
        for (int64_t s = kb.s0; s < kb.s1; s++) {
            const float *a = g->a + (i0 + i) * g->a_row + s * g->a_seg + kb.k0 * g->a_col;
            if (g->a_row == 1 && n == mr) {
                isa->vec->pack_tile(a, g->a_col, len, tile);
                tile += len * mr;
                continue;
            }
            for (int64_t k = 0; k < len; k++, tile += mr)
                for (int64_t r = 0; r < n; r++) tile[r] = a[r * g->a_row + k * g->a_col];
        }
    }
}

/* ---- one block ---- */

typedef struct block {
    const rg_isa *isa;
    const rg_gemm *g;
    k_block kb;
    int64_t depth;
    float *left, *right; /* scratch for packed a and b */
    bool pack_left, pack_right;
    bool first;
} block;

/* A panel in bf16 that is visited once is widened by the tile itself. */
static bool reads_bf16(const block *b, int64_t n)
{
    return b->g->b_type == RG_BF16 && b->g->m <= b->isa->mr && width_index(b->isa, n) == 0;
}

/* The panel of columns [j, j+n) for this block of k, and its row pitch. */
static const void *panel_of(const block *b, int64_t j, int64_t n, int64_t n0, int64_t *pitch)
{
    const rg_gemm *g = b->g;
    const int64_t k = g->segs * g->len, width = b->isa->width[width_index(b->isa, n)];
    const int64_t k0 = b->kb.s0 * g->len + b->kb.k0;
    *pitch = width;
    if (b->pack_right) return b->right + (j - n0) * b->depth;
    if (g->b_row > 0) {
        *pitch = g->b_row;
        return (const float *)g->b + k0 * g->b_row + j;
    }
    if (g->b_type == RG_F32) return (const float *)g->b + j * k + k0 * width;
    const uint16_t *narrow = (const uint16_t *)g->b + j * k + k0 * width;
    if (reads_bf16(b, n)) return narrow;
    float *wide = b->right + (j - n0) * b->depth;
    b->isa->vec->widen_bf16(narrow, wide, b->depth * width);
    return wide;
}

/* Columns [n0,n1) of one block of k. */
static void run_columns(const block *b, int64_t n0, int64_t n1)
{
    const rg_gemm *g = b->g;
    const rg_isa *isa = b->isa;
    const int64_t wide = isa->width[0], chunk = CHUNK_TILES * isa->mr, len = b->kb.k1 - b->kb.k0;
    const void *panels[NC / 4];
    int64_t pitch[NC / 4];
    for (int64_t j = n0; j < n1; j += wide)
        panels[(j - n0) / wide] = panel_of(b, j, min64(wide, n1 - j), n0, &pitch[(j - n0) / wide]);
    rg_tile t = {.a_row = g->a_row,
                 .a_col = g->a_col,
                 .a_tile = isa->mr * g->a_row,
                 .a_seg = g->a_seg,
                 .segs = b->kb.s1 - b->kb.s0,
                 .len = len,
                 .c_row = g->c_row};
    if (b->pack_left) {
        t.a_row = 1, t.a_col = isa->mr, t.a_tile = isa->mr * b->depth;
        t.segs = 1, t.len = b->depth, t.a_seg = 0;
    }
    for (int64_t i = 0; i < g->m; i += chunk) {
        t.m = min64(chunk, g->m - i);
        t.a = g->a + i * g->a_row + b->kb.s0 * g->a_seg + b->kb.k0 * g->a_col;
        if (b->pack_left) pack_left(isa, g, b->kb, i, t.m, b->left), t.a = b->left;
        for (int64_t j = n0; j < n1; j += wide) {
            t.n = min64(wide, n1 - j);
            t.b = panels[(j - n0) / wide], t.b_row = pitch[(j - n0) / wide];
            t.c = g->c + i * g->c_row + j;
            t.base = b->first ? g->base : g->c, t.base_row = b->first ? g->base_row : g->c_row;
            if (t.base) t.base += i * t.base_row + j;
            rg_tile_fn *tile =
                reads_bf16(b, t.n) ? isa->tile_bf16 : isa->tile[width_index(isa, t.n)];
            tile(&t);
        }
    }
}

void rg_gemm_block(const rg_isa *isa, const rg_gemm *g, float *scratch)
{
    const int64_t blocks = k_blocks(g), depth = k_block_depth(g);
    block b = {.isa = isa, .g = g, .left = scratch};
    b.right = scratch + (depth * CHUNK_TILES * isa->mr + 15) / 16 * 16;
    for (int64_t n0 = 0; n0 < g->n; n0 += NC) {
        const int64_t n1 = min64(g->n, n0 + NC), panels = div_up(n1 - n0, isa->width[0]);
        b.pack_right = g->b_row > isa->width[0] && g->m > PACK_B_TILES * isa->mr;
        b.pack_left =
            g->a_col == 1 ? g->a_row >= PACK_A_ROW && panels >= PACK_A_PANELS : panels >= 2;
        for (int64_t i = 0; i < blocks; i++) {
            b.kb = k_block_at(g, blocks, i);
            b.depth = (b.kb.s1 - b.kb.s0) * (b.kb.k1 - b.kb.k0);
            b.first = i == 0;
            if (b.pack_right)
                pack_plain(isa, g, b.kb.s0 * g->len + b.kb.k0, b.depth, n0, n1, b.right);
            run_columns(&b, n0, n1);
        }
    }
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
static rg_gemm part_of(const rg_gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1)
{
    rg_gemm p = *g;
    const int64_t k = g->segs * g->len, size = g->b_type == RG_F32 ? 4 : 2;
    p.m = m1 - m0, p.n = n1 - n0;
    p.a += m0 * g->a_row;
    p.b = (const char *)g->b + (g->b_row > 0 ? n0 : n0 * k) * size;
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
    rg_gemm part = part_of(g, m0, m1, n0, n1);
    rg_gemm_block(j->isa, &part, j->scratch + thread * j->scratch_size);
    if (j->finish) j->finish(j->user, m0, m1, n0, n1);
}

/* Rows and columns of a task: about two tasks a thread, tall ones where b must be packed. */
static void cut_tasks(gemm_job *j, int32_t threads)
{
    const rg_gemm *g = j->g;
    const int64_t mr = j->isa->mr, wide = j->isa->width[0];
    j->cols = NC;
    int64_t col_blocks = div_up(g->n, j->cols), want = threads > 1 ? 2 * threads : 1;
    if (g->m <= 2 * mr) { /* few rows: the weights are the work; split the columns */
        j->cols = max64(wide, div_up(div_up(g->n, want), wide) * wide);
        j->cols = min64(j->cols, NC);
        j->rows = max64(1, g->m);
    } else {
        int64_t row_blocks = max64(div_up(g->m, ROWS_OF_TASK), div_up(want, col_blocks));
        j->rows = div_up(div_up(g->m, row_blocks), mr) * mr;
    }
    j->col_blocks = div_up(g->n, j->cols);
}

rg_status rg_gemm_run(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_gemm *g,
                      rg_gemm_finish *finish, void *user)
{
    if (g->m <= 0 || g->n <= 0) return RG_OK;
    const bool small = g->m * g->n * max64(1, g->segs * g->len) < SMALL_PRODUCT;
    rg_pool *pool = small ? NULL : ctx->pool;
    const int32_t threads = rg_pool_threads(pool);
    gemm_job j = {.isa = isa, .g = g, .finish = finish, .user = user};
    cut_tasks(&j, threads);
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
