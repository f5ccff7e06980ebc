/*
 * Sums of many equal ranges in one fixed order (comm.h).
 *
 * One idea: blocks that stay in the cache; each is halved until one range is left.
 */
#include <string.h>

#include "dist/comm_private.h"

enum { BLOCK = 128 };

static void add_rows(const float *a, const float *b, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) out[i] = a[i] + b[i];
}

static void add_block(const float *const *parts, int32_t count, int64_t at, float *out, int64_t n)
{
    /* The first halving reads the parts themselves; rows above half of them stay unused. */
    float row[RG_COMM_WORLD / 2 + 1][BLOCK];
    int32_t half = (count + 1) / 2;
    for (int32_t r = 0; r < half; r++) {
        if (r + half < count)
            add_rows(parts[r] + at, parts[r + half] + at, row[r], n);
        else
            memcpy(row[r], parts[r] + at, (size_t)n * sizeof **row);
    }
    while (half > 1) {
        int32_t left = half;
        half = (left + 1) / 2;
        for (int32_t r = 0; r + half < left; r++) add_rows(row[r], row[r + half], row[r], n);
    }
    memcpy(out + at, row[0], (size_t)n * sizeof *out);
}

void rg_tree_add(const float *const *parts, int32_t count, float *out, int64_t n)
{
    for (int64_t at = 0; at < n; at += BLOCK)
        add_block(parts, count, at, out, n - at < BLOCK ? n - at : BLOCK);
}
