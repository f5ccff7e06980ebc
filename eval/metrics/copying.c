/*
 * Suffix array over frames, and shares of equal tokens (copying.h).
 */
#include "eval/metrics/copying.h"

#include <math.h>
#include <stdlib.h>

struct rg_copy_index {
    int32_t books;
    int64_t n, capacity, songs;
    uint64_t *symbols;       /* (n): one per frame, an end mark after each song */
    const uint64_t **sorted; /* (n) suffixes in order; NULL before the first search */
};

rg_copy_index *rg_copy_index_create(int32_t books, rg_error *err)
{
    rg_copy_index *index = calloc(1, sizeof *index);
    if (index)
        index->books = books;
    else
        rg_fail(err, RG_ERR_NOMEM, "no memory for an index of tokens");
    return index;
}

void rg_copy_index_free(rg_copy_index *index)
{
    if (!index) return;
    free(index->symbols);
    free(index->sorted);
    free(index);
}

/* Frames become numbers; 64 well-mixed bits, so unequal frames are as good as never equal. Even
 * numbers: odd ones are end marks. */
static uint64_t symbol_of(const int32_t *frame, int32_t books)
{
    uint64_t h = 0x9e3779b97f4a7c15u;
    for (int32_t q = 0; q < books; q++) {
        h ^= (uint64_t)(uint32_t)frame[q];
        h *= 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    return h & ~(uint64_t)1;
}

/* Symbols of frames with repeats left out; returns how many. */
static int64_t write_symbols(const int32_t *codes, int64_t frames, int32_t books, uint64_t *out)
{
    int64_t n = 0;
    for (int64_t f = 0; f < frames; f++) {
        uint64_t s = symbol_of(codes + f * books, books);
        if (n == 0 || out[n - 1] != s) out[n++] = s;
    }
    return n;
}

rg_status rg_copy_index_add(rg_copy_index *index, const int32_t *codes, int64_t frames,
                            rg_error *err)
{
    int64_t wanted = index->n + frames + 1;
    if (wanted > index->capacity) {
        int64_t capacity = wanted > 2 * index->capacity ? wanted : 2 * index->capacity;
        uint64_t *symbols = realloc(index->symbols, (size_t)capacity * sizeof *symbols);
        if (!symbols) return rg_fail(err, RG_ERR_NOMEM, "no memory for an index of tokens");
        index->symbols = symbols;
        index->capacity = capacity;
    }
    index->n += write_symbols(codes, frames, index->books, index->symbols + index->n);
    index->symbols[index->n++] = (uint64_t)(2 * index->songs++ + 1);
    return RG_OK;
}

/* End marks differ, so two suffixes part before either leaves the array. */
static int by_symbols(const void *a, const void *b)
{
    const uint64_t *x = *(const uint64_t *const *)a, *y = *(const uint64_t *const *)b;
    if (x == y) return 0;
    while (*x == *y) {
        x++;
        y++;
    }
    return *x < *y ? -1 : 1;
}

static rg_status sort_suffixes(rg_copy_index *index, rg_error *err)
{
    if (index->sorted) return RG_OK;
    index->sorted = malloc((size_t)(index->n > 0 ? index->n : 1) * sizeof *index->sorted);
    if (!index->sorted) return rg_fail(err, RG_ERR_NOMEM, "no memory for an index of tokens");
    for (int64_t i = 0; i < index->n; i++) index->sorted[i] = index->symbols + i;
    qsort(index->sorted, (size_t)index->n, sizeof *index->sorted, by_symbols);
    return RG_OK;
}

/* Symbols that x (n) shares with the beginning of a suffix; *below: x sorts before it. */
static int64_t shared(const uint64_t *x, int64_t n, const uint64_t *suffix, int *below)
{
    int64_t k = 0;
    while (k < n && x[k] == suffix[k]) k++;
    *below = k == n || x[k] < suffix[k];
    return k;
}

/* The longest beginning of x (n) in the index: a neighbour of x's place in order has it. */
static int64_t longest_prefix(const rg_copy_index *index, const uint64_t *x, int64_t n)
{
    int64_t low = 0, high = index->n, best = 0;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int below;
        int64_t k = shared(x, n, index->sorted[middle], &below);
        if (k > best) best = k;
        if (below)
            high = middle;
        else
            low = middle + 1;
    }
    return best;
}

rg_status rg_copy_longest(rg_copy_index *index, const int32_t *codes, int64_t frames,
                          int64_t *longest, rg_error *err)
{
    *longest = 0;
    if (frames <= 0) return RG_OK;
    RG_TRY(sort_suffixes(index, err));
    uint64_t *x = malloc((size_t)frames * sizeof *x);
    if (!x) return rg_fail(err, RG_ERR_NOMEM, "no memory for a search of tokens");
    int64_t n = write_symbols(codes, frames, index->books, x);
    for (int64_t i = 0; i < n && n - i > *longest; i++) {
        int64_t k = longest_prefix(index, x + i, n - i);
        if (k > *longest) *longest = k;
    }
    free(x);
    return RG_OK;
}

/* ---- shares ---- */

double rg_token_distance(const int32_t *a, const int32_t *b, int64_t frames, int32_t books)
{
    int64_t n = frames * books, differ = 0;
    for (int64_t i = 0; i < n; i++) differ += a[i] != b[i];
    return n > 0 ? (double)differ / (double)n : NAN;
}

static double equal_at(const int32_t *codes, int64_t frames, int32_t books, int64_t lag)
{
    int64_t equal = 0;
    for (int64_t f = lag; f < frames; f++) equal += codes[f * books] == codes[(f - lag) * books];
    return frames > lag ? (double)equal / (double)(frames - lag) : NAN;
}

double rg_token_repeats(const int32_t *codes, int64_t frames, int32_t books)
{
    return equal_at(codes, frames, books, 1);
}

double rg_token_loop(const int32_t *codes, int64_t frames, int32_t books, int64_t least,
                     int64_t most)
{
    double best = NAN;
    for (int64_t lag = least; lag <= most && lag < frames; lag++) {
        double share = equal_at(codes, frames, books, lag);
        if (!(share <= best)) best = share;
    }
    return best;
}
