/*
 * Sides of the split (import_internal.h).
 *
 * One idea: songs are joined into groups by what they have in common (the same stems, a key that
 * their data set gives), and a group lies on one side: where its songs were to lie on several, test
 * wins over valid over train, and it is said. Where a data set has no split, the content decides:
 * the first 32 bits of its hash modulo 100, below 10 test, below 20 valid, as in the corpora.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "datasets/importers/import_internal.h"

/* ---- content ---- */

static int by_text(const void *a, const void *b)
{
    return memcmp(a, b, RG_SHA256_HEX);
}

/* Hash of all stems, whatever their names and order. */
static rg_status hash_song(rg__import_song *song, rg_error *err)
{
    char hash[RG_SHA256_HEX], (*each)[RG_SHA256_HEX] = calloc((size_t)song->n + 1, sizeof *each);
    if (!each) return rg_fail(err, RG_ERR_NOMEM, "no memory to hash stems");
    rg_status status = RG_OK;
    for (int32_t k = 0; status == RG_OK && k < song->n; k++)
        status = rg_sha256_file(song->stems[k].path, each[k], err);
    qsort(each, (size_t)song->n, sizeof *each, by_text);
    rg_sha256_of(each, (size_t)song->n * sizeof *each, hash);
    free(each);
    snprintf(song->content_hash, sizeof song->content_hash, "%.32s", hash);
    return status;
}

static void hash_block(void *ctx, int64_t i, int32_t thread)
{
    (void)thread;
    rg__import_song *song = &((rg__import_list *)ctx)->songs[i];
    if (song->fault.code == RG_OK) (void)!hash_song(song, &song->fault);
}

static rg_split split_of_content(const char *hash)
{
    unsigned value = 0;
    sscanf(hash, "%8x", &value);
    return value % 100 < 10 ? RG_SPLIT_TEST : value % 100 < 20 ? RG_SPLIT_VALID : RG_SPLIT_TRAIN;
}

/* ---- groups ---- */

/* Good songs, and for each one of its group that is nearer to the group's first. */
typedef struct groups {
    rg__import_song **songs;
    int64_t *to, n;
} groups;

static int64_t first_of(const groups *g, int64_t i)
{
    while (g->to[i] != i) i = g->to[i] = g->to[g->to[i]];
    return i;
}

static void join(groups *g, int64_t a, int64_t b, const char *why)
{
    int64_t x = first_of(g, a), y = first_of(g, b);
    if (x == y) return;
    g->to[x > y ? x : y] = x > y ? y : x;
    rg__import_note(g->songs[b], "%s '%s'", why, g->songs[a]->title);
}

/* A song under a key that others may have too. */
typedef struct keyed {
    const char *key;
    int64_t song;
} keyed;

static int by_key(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : (x->song > y->song) - (x->song < y->song);
}

/* Joins songs of equal texts at `offset`; empty ones are nobody's. */
static void join_equal(groups *g, keyed *keys, size_t offset, const char *why)
{
    for (int64_t i = 0; i < g->n; i++) keys[i] = (keyed){(const char *)g->songs[i] + offset, i};
    qsort(keys, (size_t)g->n, sizeof *keys, by_key);
    for (int64_t i = 1; i < g->n; i++)
        if (keys[i].key[0] && strcmp(keys[i - 1].key, keys[i].key) == 0)
            join(g, keys[i - 1].song, keys[i].song, why);
}

static void take_sides(const groups *g, rg_split *sides)
{
    for (int64_t i = 0; i < g->n; i++) {
        rg__import_song *song = g->songs[i];
        if (!song->has_split) song->split = split_of_content(song->content_hash);
        rg_split *side = &sides[first_of(g, i)];
        if (song->split > *side) *side = song->split;
    }
    for (int64_t i = 0; i < g->n; i++) {
        rg__import_song *song = g->songs[i];
        int64_t first = first_of(g, i);
        rg_copy_text(song->group, sizeof song->group, g->songs[first]->content_hash);
        if (song->split != sides[first])
            rg__import_note(song, "moved from %s to %s, beside its double",
                            rg_split_name(song->split), rg_split_name(sides[first]));
        song->split = sides[first];
    }
}

rg_status rg__import_settle(rg__import_list *list, rg_pool *pool, rg_error *err)
{
    rg_pool_run(pool, hash_block, list, list->n);
    size_t n = (size_t)list->n;
    groups g = {.songs = calloc(n, sizeof *g.songs), .to = calloc(n, sizeof *g.to)};
    keyed *keys = calloc(n, sizeof *keys);
    rg_split *sides = calloc(n, sizeof *sides); /* RG_SPLIT_TRAIN is 0 */
    bool memory = g.songs && g.to && keys && sides;
    for (int64_t i = 0; memory && i < list->n; i++) {
        if (list->songs[i].fault.code != RG_OK) continue;
        g.songs[g.n] = &list->songs[i];
        g.to[g.n] = g.n;
        g.n++;
    }
    if (memory) {
        join_equal(&g, keys, offsetof(rg__import_song, content_hash), "has the same stems as");
        join_equal(&g, keys, offsetof(rg__import_song, group), "is made from the same music as");
        take_sides(&g, sides);
    }
    free(g.songs);
    free(g.to);
    free(keys);
    free(sides);
    return memory ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for the list of songs");
}
