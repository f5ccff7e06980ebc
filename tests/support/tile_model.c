/*
 * The model of the tile unit (tile_model.h).
 *
 * One idea: sums are fmaf's, which rounds once, as the unit does; only what becomes subnormal needs
 * care, since the unit takes subnormal numbers as zeros and never makes any.
 */
#include "tile_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TILES = 8, ROWS = 16, BYTES = 64 };

typedef struct config {
    uint8_t palette, start_row, none[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} config;

static _Thread_local struct {
    config now; /* palette 0: not configured */
    uint8_t data[TILES][ROWS][BYTES];
} unit;

/* ---- what faults ---- */

static void require(bool holds, const char *what, int tile)
{
    if (holds) return;
    fprintf(stderr, "tile unit: %s (tile %d)\n", what, tile);
    abort();
}

static void require_tile(int tile)
{
    require(tile >= 0 && tile < TILES, "no such tile", tile);
    require(unit.now.palette == 1, "not configured", tile);
    require(unit.now.rows[tile] > 0, "a tile that is not configured", tile);
}

/* ---- configuration ---- */

void rg_tile_model_configure(const void *from)
{
    config next;
    memcpy(&next, from, sizeof next);
    require(next.palette <= 1, "no such palette", -1);
    for (int i = 0; i < 14; i++) require(!next.none[i], "a reserved byte is not zero", -1);
    for (int t = 0; t < 16; t++) {
        const int rows = next.rows[t], bytes = next.row_bytes[t];
        require(t < TILES || (!rows && !bytes), "a tile beyond the eighth", t);
        require(rows <= ROWS && bytes <= BYTES, "a tile larger than 16 rows of 64 bytes", t);
        require(!rows == !bytes, "rows without columns, or the other way round", t);
    }
    memset(&unit, 0, sizeof unit);
    unit.now = next;
}

void rg_tile_model_release(void)
{
    memset(&unit, 0, sizeof unit);
}

bool rg_tile_model_is_configured(void)
{
    return unit.now.palette == 1;
}

/* ---- memory ---- */

void rg_tile_model_zero(int tile)
{
    require_tile(tile);
    memset(unit.data[tile], 0, sizeof unit.data[tile]);
}

void rg_tile_model_load(int tile, const void *from, int64_t pitch)
{
    require_tile(tile);
    memset(unit.data[tile], 0, sizeof unit.data[tile]);
    for (int i = 0; i < unit.now.rows[tile]; i++)
        memcpy(unit.data[tile][i], (const char *)from + i * pitch, unit.now.row_bytes[tile]);
}

void rg_tile_model_store(int tile, void *to, int64_t pitch)
{
    require_tile(tile);
    for (int i = 0; i < unit.now.rows[tile]; i++)
        memcpy((char *)to + i * pitch, unit.data[tile][i], unit.now.row_bytes[tile]);
}

/* ---- arithmetic ---- */

/* Subnormal numbers are zeros of their sign. */
static float flush(float x)
{
    return fabsf(x) < 0x1p-126F ? copysignf(0, x) : x;
}

static float add(float x, float y)
{
    return flush(flush(x) + flush(y));
}

/*
 * x y + sum, rounded once. A result below the smallest normal number is flushed, and "below" is
 * judged after rounding as if exponents had no end: what fmaf rounds up to that number from the
 * coarser grid of subnormal ones is computed again where the grid is as fine.
 */
static float fused(float x, float y, float sum)
{
    const float r = flush(fmaf(x, y, sum));
    if (fabsf(r) != 0x1p-126F) return r;
    if (fabsf(x) < fabsf(y))
        x *= 0x1p60F;
    else
        y *= 0x1p60F;
    return fabsf(fmaf(x, y, sum * 0x1p60F)) < 0x1p-66F ? copysignf(0, r) : r;
}

/* bf16 number i of a row. */
static float value(const uint8_t *row, int i)
{
    uint16_t half;
    memcpy(&half, row + sizeof half * (size_t)i, sizeof half);
    const uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return flush(x);
}

void rg_tile_model_multiply(int c, int a, int b)
{
    require_tile(c), require_tile(a), require_tile(b);
    const config *now = &unit.now;
    const int depth = now->row_bytes[a] / 4, cols = now->row_bytes[c] / 4;
    require(c != a && a != b && c != b, "the same tile twice", c);
    require(now->row_bytes[a] % 4 == 0 && now->row_bytes[c] % 4 == 0, "columns that are no pairs",
            c);
    require(now->rows[c] == now->rows[a], "rows of c and a", c);
    require(now->row_bytes[c] == now->row_bytes[b], "columns of c and b", c);
    require(depth == now->rows[b], "columns of a, rows of b", a);
    for (int i = 0; i < now->rows[c]; i++) {
        float even[BYTES / 4] = {0}, odd[BYTES / 4] = {0}, row[BYTES / 4];
        for (int k = 0; k < depth; k++)
            for (int j = 0; j < cols; j++) {
                const float first = value(unit.data[a][i], 2 * k);
                const float second = value(unit.data[a][i], 2 * k + 1);
                even[j] = fused(first, value(unit.data[b][k], 2 * j), even[j]);
                odd[j] = fused(second, value(unit.data[b][k], 2 * j + 1), odd[j]);
            }
        memcpy(row, unit.data[c][i], sizeof row);
        for (int j = 0; j < cols; j++) row[j] = add(row[j], add(even[j], odd[j]));
        memcpy(unit.data[c][i], row, sizeof row);
    }
}
