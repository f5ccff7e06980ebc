/*
 * One task's product of fp32 operands: cut into blocks of k, columns and rows; what pays is packed.
 *
 * One idea: the left operand is read where it lies, given by strides, so that a convolution is a
 * product whose rows overlap; only the right operand is always in panels or narrow enough not to
 * need them. Weights in bf16 or int8 are widened, by the tile itself where few rows
 * visit them. Blocks of k (KC) depend on k alone, hence bits do too (cpu.h).
 */
#include "kernels/cpu/gemm.h"

enum {
    KC = 384,         /* depth of a block: 14 rows of it and a panel's stripe stay in L1 */
    SEGS_KC = 1024,   /* the same for segments: rows overlap, a block is whole segments */
    PACK_A_ROW = 400, /* rows of a this far apart and more fall on few cache sets: pack them */
    PACK_A_PANELS = 6,
    PACK_B_TILES = 4
};

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
    if (g->segs == 1) { /* even, for pairs of bf16 */
        const int64_t end = i + 1 < blocks ? g->len * (i + 1) / blocks / 2 * 2 : g->len;
        return (k_block){0, 1, g->len * i / blocks / 2 * 2, end};
    }
    return (k_block){g->segs * i / blocks, g->segs * (i + 1) / blocks, 0, g->len};
}

static int64_t k_block_depth(const rg_gemm *g)
{
    if (g->segs == 1) return min64(g->len, KC + 2);
    return g->len * min64(g->segs, max64(1, SEGS_KC / max64(1, g->len)));
}

int64_t rg__gemm_scratch_f32(const rg_isa *isa, int64_t segs, int64_t len)
{
    rg_gemm g = {.segs = segs, .len = len};
    int64_t depth = k_block_depth(&g);
    return depth * (RG_GEMM_COLS + RG_GEMM_TILES * isa->f32->mr) + 3 * (RG_ALIGN / 4);
}

/* ---- packing inside a block ---- */

/* Columns [n0,n1) of the plain rows of b, rows [k0,k1), as panels of this depth. */
static void pack_plain(const rg_isa *isa, const rg_gemm *g, int64_t k0, int64_t depth, int64_t n0,
                       int64_t n1, float *out)
{
    const float *b = (const float *)g->b + k0 * g->b_row + n0;
    for (int64_t j = 0, n = n1 - n0; j < n; j += isa->f32->width[0]) {
        int64_t cols = min64(isa->f32->width[0], n - j);
        int64_t width = isa->f32->width[rg_tiles_index(isa->f32, cols)];
        isa->vec->pack_rows(b + j, g->b_row, cols, width, depth, out + j * depth);
    }
}

/* Rows [i0, i0 + rows) of a as tiles: out[tile][k][mr]. */
static void pack_left(const rg_isa *isa, const rg_gemm *g, k_block kb, int64_t i0, int64_t rows,
                      float *out)
{
    const int64_t mr = isa->f32->mr, len = kb.k1 - kb.k0, depth = (kb.s1 - kb.s0) * len;
    for (int64_t i = 0; i < rows; i += mr) {
        const int64_t n = min64(mr, rows - i);
        float *tile = out + i * depth;
        for (int64_t s = kb.s0; s < kb.s1; s++) {
            const float *a =
                (const float *)g->a + (i0 + i) * g->a_row + s * g->a_seg + kb.k0 * g->a_col;
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

/* The tile that widens a panel of weights in bf16 or int8 itself: where it is visited once. */
static rg_tile_fn *narrow_tile(const block *b, int64_t n)
{
    const rg_gemm *g = b->g;
    if (g->m > b->isa->f32->mr || g->segs != 1 || rg_tiles_index(b->isa->f32, n) != 0) return NULL;
    if (g->b_type == RG_I8) return b->isa->byte_tile;
    return g->b_type == RG_BF16 && b->depth % 2 == 0 ? b->isa->weight_tile : NULL;
}

/* The panel of columns [j, j+n) for this block of k, and its row pitch. */
static const void *panel_of(const block *b, int64_t j, int64_t n, int64_t n0, int64_t *pitch)
{
    const rg_gemm *g = b->g;
    const int64_t k = g->segs * g->len, width = b->isa->f32->width[rg_tiles_index(b->isa->f32, n)];
    const int64_t k0 = b->kb.s0 * g->len + b->kb.k0;
    *pitch = width;
    if (b->pack_right) return b->right + (j - n0) * b->depth;
    if (g->b_row > 0) {
        *pitch = g->b_row;
        return (const float *)g->b + k0 * g->b_row + j;
    }
    if (g->b_type == RG_F32) return (const float *)g->b + j * k + k0 * width;
    float *room = b->right + (j - n0) * b->depth;
    if (g->b_type == RG_I8) {
        const int8_t *bytes = (const int8_t *)g->b + j * k + k0 * width;
        if (narrow_tile(b, n)) return bytes;
        b->isa->vec->widen_bytes(bytes, room, b->depth * width);
        return room;
    }
    const int64_t wide = b->isa->bf16->width[rg_tiles_index(b->isa->bf16, n)];
    const uint16_t *panel = (const uint16_t *)g->b + j * rg_panels_depth(b->isa, RG_BF16, k);
    if (narrow_tile(b, n)) {
        *pitch = 2 * wide;
        return panel + k0 * wide;
    }
    b->isa->vec->widen_pairs(panel, wide, k0, b->depth, width, room);
    return room;
}

/* Columns [n0,n1) of one block of k. */
static void run_columns(const block *b, int64_t n0, int64_t n1)
{
    const rg_gemm *g = b->g;
    const rg_isa *isa = b->isa;
    const int64_t wide = isa->f32->width[0], chunk = RG_GEMM_TILES * isa->f32->mr,
                  len = b->kb.k1 - b->kb.k0;
    const void *panels[RG_GEMM_COLS / 4];
    int64_t pitch[RG_GEMM_COLS / 4];
    for (int64_t j = n0; j < n1; j += wide)
        panels[(j - n0) / wide] = panel_of(b, j, min64(wide, n1 - j), n0, &pitch[(j - n0) / wide]);
    rg_tile t = {.a_row = g->a_row,
                 .a_col = g->a_col,
                 .a_tile = isa->f32->mr * g->a_row,
                 .a_seg = g->a_seg,
                 .segs = b->kb.s1 - b->kb.s0,
                 .len = len,
                 .c_row = g->c_row};
    if (b->pack_left) {
        t.a_row = 1, t.a_col = isa->f32->mr, t.a_tile = isa->f32->mr * b->depth;
        t.segs = 1, t.len = b->depth, t.a_seg = 0;
    }
    for (int64_t i = 0; i < g->m; i += chunk) {
        t.m = min64(chunk, g->m - i);
        t.a = (const float *)g->a + i * g->a_row + b->kb.s0 * g->a_seg + b->kb.k0 * g->a_col;
        if (b->pack_left) pack_left(isa, g, b->kb, i, t.m, b->left), t.a = b->left;
        for (int64_t j = n0; j < n1; j += wide) {
            t.n = min64(wide, n1 - j);
            t.b = panels[(j - n0) / wide], t.b_row = pitch[(j - n0) / wide];
            t.c = g->c + i * g->c_row + j;
            t.base = b->first ? g->base : g->c, t.base_row = b->first ? g->base_row : g->c_row;
            if (t.base) t.base += i * t.base_row + j;
            rg_tile_fn *narrow = narrow_tile(b, t.n);
            (narrow ? narrow : isa->f32->tile[rg_tiles_index(isa->f32, t.n)])(&t);
        }
    }
}

void rg__gemm_block_f32(const rg_isa *isa, const rg_gemm *g, float *scratch)
{
    const int64_t blocks = k_blocks(g), depth = k_block_depth(g);
    block b = {.isa = isa, .g = g, .left = scratch};
    b.right = scratch + (depth * RG_GEMM_TILES * isa->f32->mr + 15) / 16 * 16;
    /* few rows read each panel once: one panel after the other, as it lies in memory */
    const bool stream = g->m <= isa->f32->mr && g->b_row == 0;
    const int64_t cols = stream ? isa->f32->width[0] : RG_GEMM_COLS;
    for (int64_t n0 = 0; n0 < g->n; n0 += cols) {
        const int64_t n1 = min64(g->n, n0 + cols), panels = div_up(n1 - n0, isa->f32->width[0]);
        b.pack_right = g->b_row > isa->f32->width[0] && g->m > PACK_B_TILES * isa->f32->mr;
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
