/*
 * One task's product of bf16 operands, summed in fp32: cut into blocks of k, columns and rows.
 *
 * One idea: an instruction takes k_step neighbouring k of a row at once, so the left operand is
 * rows of bf16, made a few tiles at a time unless it lies so already; where it lies as columns,
 * pairs of them are interleaved. The right one is panels of pairs (cpu.h). Both are filled up with
 * zeros, so that no tile has a rest in k. Blocks of k depend on k alone.
 */
#include <string.h>

#include "kernels/cpu/gemm.h"

enum {
    KC = 768,       /* depth of a block: 14 rows of it are as large as fp32's */
    SEGS_KC = 2048, /* the same for segments */
    STEP = 32,      /* blocks begin at multiples of every k_step */
    GAP = 32,       /* between rows: equal distances would fall on few cache sets */
    TURN = 64,      /* k that are turned at a time */
    PAIRS = 8,      /* of k that are interleaved at a time, */
    STRIP = RG_GEMM_STRIP + RG_WIDEST_TILE /* and of how many rows at most */
};

/* ---- blocks of k, counted through the segments ---- */

/* Whether a block is whole segments, so that rows of bf16 can be read where they lie. */
static bool whole_segments(const rg_isa *isa, const rg_gemm *g)
{
    const bool rows = g->a_col == 1 || g->a_pairs;
    return g->segs > 1 && rows && g->len > 0 && g->len % isa->bf16->k_step == 0;
}

static int64_t blocks_of(const rg_isa *isa, const rg_gemm *g)
{
    if (whole_segments(isa, g)) return div_up(g->segs, max64(1, SEGS_KC / g->len));
    return max64(1, div_up(div_up(g->segs * g->len, STEP) * STEP, KC));
}

static int64_t block_start(const rg_isa *isa, const rg_gemm *g, int64_t i)
{
    const int64_t blocks = blocks_of(isa, g), k = g->segs * g->len;
    if (i >= blocks) return k;
    if (whole_segments(isa, g)) return g->segs * i / blocks * g->len;
    return div_up(k, STEP) * i / blocks * STEP;
}

static int64_t deepest(const rg_isa *isa, const rg_gemm *g)
{
    int64_t most = 0;
    for (int64_t i = 0; i < blocks_of(isa, g); i++)
        most = max64(most, block_start(isa, g, i + 1) - block_start(isa, g, i));
    return div_up(most, STEP) * STEP;
}

int64_t rg__gemm_scratch_bf16(const rg_isa *isa, int64_t segs, int64_t len)
{
    const rg_gemm rows = {.segs = segs, .len = len, .a_col = 1},
                  columns = {.segs = segs, .len = len};
    const int64_t deep = max64(deepest(isa, &rows), deepest(isa, &columns));
    const int64_t left = (deep + GAP) * RG_GEMM_TILES * isa->bf16->mr;
    return (left + deep * RG_GEMM_COLS) / 2 + 3 * (RG_ALIGN / 4);
}

/* ---- the left operand ---- */

/* A row's k in [k0,k1), which may run through several segments. */
static void narrow_row(const rg_isa *isa, const rg_gemm *g, int64_t i, int64_t k0, int64_t k1,
                       uint16_t *out)
{
    for (int64_t k = k0, n; k < k1; k += n, out += n) {
        const int64_t at = i * g->a_row + k / g->len * g->a_seg + k % g->len;
        n = min64(k1 - k, g->len - k % g->len);
        if (g->a_type == RG_BF16)
            memcpy(out, (const uint16_t *)g->a + at, (size_t)n * sizeof *out);
        else
            isa->vec->narrow_bf16((const float *)g->a + at, out, n);
    }
}

/* Rows that lie as columns of floats: at most a tile of them. */
static void narrow_columns(const rg_isa *isa, const rg_gemm *g, int64_t i0, int64_t rows,
                           int64_t k0, int64_t k1, uint16_t *out, int64_t pitch)
{
    float part[RG_WIDEST_TILE * TURN];
    for (int64_t k = k0, n; k < k1; k += n) {
        const int64_t at = k / g->len * g->a_seg + k % g->len * g->a_col + i0;
        n = min64(TURN, min64(k1 - k, g->len - k % g->len));
        isa->vec->turn((const float *)g->a + at, n, rows, g->a_col, part, TURN);
        for (int64_t r = 0; r < rows; r++)
            isa->vec->narrow_bf16(part + r * TURN, out + r * pitch + k - k0, n);
    }
}

void rg__gemm_left_bf16(const rg_isa *isa, const rg_gemm *g, int64_t i0, int64_t rows, int64_t k0,
                        int64_t k1, int64_t deep, uint16_t *out, int64_t pitch)
{
    for (int64_t r = 0; r < rows; r += g->a_col == 1 ? 1 : RG_WIDEST_TILE) {
        if (g->a_col == 1)
            narrow_row(isa, g, i0 + r, k0, k1, out + r * pitch);
        else
            narrow_columns(isa, g, i0 + r, min64(RG_WIDEST_TILE, rows - r), k0, k1, out + r * pitch,
                           pitch);
    }
    for (int64_t r = 0; deep > k1 - k0 && r < rows; r++)
        memset(out + r * pitch + k1 - k0, 0, (size_t)(deep - (k1 - k0)) * sizeof *out);
}

/*
 * For tiles that take pairs nothing is turned: neighbouring k of a strip of rows are interleaved,
 * then cut into tiles, which so are read from end to end.
 */
void rg__gemm_pairs_bf16(const rg_isa *isa, const rg_gemm *g, int64_t i0, int64_t rows, int64_t k0,
                         int64_t k1, uint16_t *out, int64_t tile)
{
    float part[PAIRS * STRIP] = {0};
    const int64_t mr = isa->bf16->mr;
    int64_t seg = k0 / g->len, p = k0 % g->len;
    for (int64_t k = k0; k < k1; k += 2 * PAIRS, out += 2 * PAIRS * mr) {
        const int64_t n = min64(2 * PAIRS, k1 - k);
        const float *x[2 * PAIRS + 1] = {NULL};
        for (int64_t at = 0; at < n; at++) {
            x[at] = (const float *)g->a + seg * g->a_seg + p * g->a_col + i0;
            if (++p == g->len) p = 0, seg++;
        }
        for (int64_t at = 0; at < n; at += 2)
            isa->vec->pair_row(x[at], x[at + 1], rows, (uint16_t *)(void *)(part + at / 2 * STRIP));
        for (int64_t i = 0; i < rows; i += mr)
            isa->vec->pack_tile(part + i, STRIP, (n + 1) / 2,
                                (float *)(void *)(out + i / mr * tile));
    }
}

/* ---- one block ---- */

typedef struct block {
    const rg_isa *isa;
    const rg_gemm *g;
    int64_t k0, k1, deep; /* deep: filled up */
    bool first, direct;   /* direct: a is read where it lies */
    uint16_t *left, *right;
} block;

/* The rows that a chunk's tiles read: t's part of the left operand. */
static void set_left(const block *b, int64_t i, rg_tile *t)
{
    const rg_gemm *g = b->g;
    const rg_tiles *tiles = b->isa->bf16;
    t->a_col = 1, t->a_seg = 0, t->segs = 1, t->len = b->deep;
    if (b->direct) {
        const int64_t len = max64(1, g->len), s0 = b->k0 / len, at = b->k0 % len * g->a_col;
        t->a_tile = g->a_tile ? g->a_tile : tiles->mr * g->a_row;
        t->a = (const uint16_t *)g->a + i / tiles->mr * t->a_tile + s0 * g->a_seg + at;
        t->a_row = g->a_row, t->a_col = g->a_col, t->a_seg = g->a_seg;
        t->segs = g->segs > 1 ? (b->k1 - b->k0) / g->len : 1;
        t->len = g->segs > 1 ? g->len : b->k1 - b->k0;
    } else if (g->a_col != 1 && tiles->k_step == 2) {
        t->a_row = 2, t->a_col = tiles->mr, t->a_tile = tiles->mr * (b->deep + GAP);
        rg__gemm_pairs_bf16(b->isa, g, i, t->m, b->k0, b->k1, b->left, t->a_tile);
        t->a = b->left;
    } else {
        t->a_row = b->deep + GAP, t->a_tile = tiles->mr * t->a_row;
        rg__gemm_left_bf16(b->isa, g, i, t->m, b->k0, b->k1, b->deep, b->left, t->a_row);
        t->a = b->left;
    }
}

/* The panel of n columns from j on, for this block of k. */
static const uint16_t *panel_of(const block *b, int64_t j, int64_t n, int64_t n0, int64_t width)
{
    const rg_gemm *g = b->g;
    if (g->b_row == 0) {
        const int64_t deep = rg_panels_depth(b->isa, RG_BF16, g->segs * g->len);
        return (const uint16_t *)g->b + j * deep + b->k0 * width;
    }
    uint16_t *panel = b->right + (j - n0) * b->deep;
    b->isa->vec->pack_pairs((const float *)g->b + b->k0 * g->b_row + j, g->b_row, n, width,
                            b->k1 - b->k0, b->deep, panel);
    return panel;
}

static void run_columns(const block *b, int64_t n0, int64_t n1)
{
    const rg_gemm *g = b->g;
    const rg_tiles *tiles = b->isa->bf16;
    const int64_t wide = tiles->width[0], chunk = RG_GEMM_TILES * tiles->mr;
    const uint16_t *panels[RG_GEMM_COLS / 4];
    for (int64_t j = n0; j < n1; j += wide) {
        const int64_t n = min64(wide, n1 - j);
        panels[(j - n0) / wide] = panel_of(b, j, n, n0, tiles->width[rg_tiles_index(tiles, n)]);
    }
    rg_tile t = {.c_row = g->c_row};
    for (int64_t i = 0; i < g->m; i += chunk) {
        t.m = min64(chunk, g->m - i);
        set_left(b, i, &t);
        for (int64_t j = n0; j < n1; j += wide) {
            t.n = min64(wide, n1 - j);
            const int index = rg_tiles_index(tiles, t.n);
            t.b = panels[(j - n0) / wide], t.b_row = 2 * tiles->width[index];
            t.c = g->c + i * g->c_row + j;
            t.base = b->first ? g->base : g->c, t.base_row = b->first ? g->base_row : g->c_row;
            if (t.base) t.base += i * t.base_row + j;
            tiles->tile[index](&t);
        }
    }
}

void rg__gemm_block_bf16(const rg_isa *isa, const rg_gemm *g, float *scratch)
{
    const rg_tiles *tiles = isa->bf16;
    const int64_t deep = deepest(isa, g), blocks = blocks_of(isa, g);
    block b = {.isa = isa, .g = g, .left = (uint16_t *)(void *)scratch};
    b.right = b.left + ((deep + GAP) * RG_GEMM_TILES * tiles->mr + 31) / 32 * 32;
    b.direct = g->a_type == RG_BF16 && g->len > 0 && g->len % tiles->k_step == 0 &&
               (g->segs == 1 || whole_segments(isa, g));
    for (int64_t n0 = 0; n0 < g->n; n0 += RG_GEMM_COLS)
        for (int64_t i = 0; i < blocks; i++) {
            b.k0 = block_start(isa, g, i), b.k1 = block_start(isa, g, i + 1);
            b.deep = div_up(b.k1 - b.k0, tiles->k_step) * tiles->k_step;
            b.first = i == 0;
            run_columns(&b, n0, min64(g->n, n0 + RG_GEMM_COLS));
        }
}
