/*
 * Sides of the split (import_internal.h).
 *
 * One idea: songs are joined into groups by what they have in common (the same stems, a key that
 * their data set gives, prints that are alike), and a group lies on one side: where its songs were
 * to lie on several, test wins over valid over train, and it is said; where one of them is in the
 * store beside, it lies where that one does. Where a data set has no split, the content decides:
 * the first 32 bits of its hash modulo 100, below 10 test, below 20 valid, as in the corpora.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "datasets/importers/import_internal.h"
#include "datasets/importers/import_stem.h"

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

/* The file's sound at the print's rate, added to `sum`. */
static rg_status add_file(const char *path, rg__row *sum, rg_error *err)
{
    rg__stem *file = rg__stem_open(path, path, RG_IMPORT_MEAN, RG__PRINT_RATE, err);
    if (!file) return err->code;
    rg_status status = RG_OK;
    const float *x[RG_MAX_CHANNELS];
    int64_t n = 0, at = 0;
    do {
        status = rg__stem_next(file, x, &n, err);
        if (status == RG_OK) status = rg__row_add(sum, at, x[0], n, err);
        at += n;
    } while (status == RG_OK && n > 0);
    rg__stem_close(file);
    return status;
}

/* Of the mixture, or of all stems where there is none. */
static rg_status print_song(rg__import_song *song, rg_error *err)
{
    rg__row sum = {0};
    rg_status status = RG_OK;
    if (song->mixture) status = add_file(song->mixture, &sum, err);
    for (int32_t k = 0; status == RG_OK && !song->mixture && k < song->n; k++)
        status = add_file(song->stems[k].path, &sum, err);
    song->print = malloc(sizeof *song->print);
    if (status == RG_OK && !song->print)
        status = rg_fail(err, RG_ERR_NOMEM, "no memory for a song's print");
    if (status == RG_OK) status = rg__print_make(sum.samples, sum.length, song->print, err);
    free(sum.samples);
    return status;
}

static void look_at_song(void *ctx, int64_t i, int32_t thread)
{
    (void)thread;
    rg__import_song *song = &((rg__import_list *)ctx)->songs[i];
    if (song->fault.code == RG_OK && hash_song(song, &song->fault) == RG_OK)
        (void)!print_song(song, &song->fault);
}

/* ---- the store beside ---- */

/* Its songs as the groups need them. */
typedef struct beside {
    rg_store *store;
    rg__import_song *songs;
    int64_t n;
} beside;

static rg_status print_stored(const rg_store *store, int64_t i, rg__print *out, rg_error *err)
{
    float *sum = NULL;
    int64_t n = 0;
    rg_status status = RG_OK;
    for (int32_t r = 0; status == RG_OK && r < rg_store_roles(store); r++) {
        float *row = NULL;
        if (!rg_store_song(store, i)->present[r]) continue;
        status = rg_store_read_resampled(store, i, r, RG__PRINT_RATE, &row, &n, err);
        for (int64_t k = 0; status == RG_OK && sum && k < n; k++) sum[k] += row[k];
        if (sum)
            free(row);
        else
            sum = row;
    }
    if (status == RG_OK) status = rg__print_make(sum, sum ? n : 0, out, err);
    free(sum);
    return status;
}

static void look_beside(void *ctx, int64_t i, int32_t thread)
{
    (void)thread;
    beside *b = ctx;
    const rg_song *song = rg_store_song(b->store, i);
    rg__import_song *out = &b->songs[i];
    rg_copy_text(out->title, sizeof out->title, song->title);
    rg_copy_text(out->content_hash, sizeof out->content_hash, song->content_hash);
    out->split = song->split;
    out->has_split = true;
    out->notes = json_array();
    out->print = malloc(sizeof *out->print);
    if (out->notes && out->print)
        (void)!print_stored(b->store, i, out->print, &out->fault);
    else
        rg_fail(&out->fault, RG_ERR_NOMEM, "no memory for the store beside");
}

static rg_status read_beside(const char *folder, rg_pool *pool, beside *b, rg_error *err)
{
    if (!folder) return RG_OK;
    b->store = rg_store_open(folder, err);
    if (!b->store) return err ? err->code : RG_ERR_IO;
    b->songs = calloc((size_t)rg_store_songs(b->store), sizeof *b->songs);
    if (!b->songs) return rg_fail(err, RG_ERR_NOMEM, "no memory for the store beside");
    b->n = rg_store_songs(b->store);
    rg_pool_run(pool, look_beside, b, b->n);
    for (int64_t i = 0; i < b->n; i++)
        if (b->songs[i].fault.code != RG_OK)
            return rg_fail(err, b->songs[i].fault.code, "%s: %s", folder, b->songs[i].fault.text);
    return RG_OK;
}

static void free_beside(beside *b)
{
    for (int64_t i = 0; i < b->n; i++) {
        json_decref(b->songs[i].notes);
        free(b->songs[i].print);
    }
    free(b->songs);
    rg_store_close(b->store);
}

static rg_split split_of_content(const char *hash)
{
    unsigned value = 0;
    sscanf(hash, "%8x", &value);
    return value % 100 < 10 ? RG_SPLIT_TEST : value % 100 < 20 ? RG_SPLIT_VALID : RG_SPLIT_TRAIN;
}

/* ---- groups ---- */

/* Good songs, those of the store beside last, and for each one of its group that is nearer to the
 * group's first. */
typedef struct groups {
    rg__import_song **songs;
    int64_t *to, n, own;
} groups;

static int64_t first_of(const groups *g, int64_t i)
{
    while (g->to[i] != i) i = g->to[i] = g->to[g->to[i]];
    return i;
}

/* What is noted is noted with the import's own song. */
static void join(groups *g, int64_t a, int64_t b, const char *why)
{
    int64_t x = first_of(g, a), y = first_of(g, b);
    if (x == y) return;
    g->to[x > y ? x : y] = x > y ? y : x;
    bool foreign = b >= g->own;
    int64_t own = foreign ? a : b, other = foreign ? b : a;
    rg__import_note(g->songs[own], "%s '%s'%s", why, g->songs[other]->title,
                    other >= g->own ? " of the store beside" : "");
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

static void join_alike(void *ctx, int64_t a, int64_t b)
{
    join(ctx, a, b, "sounds like");
}

/* "Liz Nelson - Rainfall" and "LizNelson_Rainfall" are one; short names may be anybody's. */
static const char *plain_name(const char *title, char out[128])
{
    enum { LEAST = 8 };
    size_t n = 0;
    for (; *title && n < 127; title++)
        if (isalnum((unsigned char)*title)) out[n++] = (char)tolower((unsigned char)*title);
    out[n < LEAST ? 0 : n] = 0;
    return out;
}

/* Joins songs with those of the store beside that have their name. */
static void join_names(groups *g, keyed *keys)
{
    char(*names)[128] = calloc((size_t)g->n + 1, sizeof *names);
    for (int64_t i = 0; names && i < g->n; i++)
        keys[i] = (keyed){plain_name(g->songs[i]->title, names[i]), i};
    if (names) qsort(keys, (size_t)g->n, sizeof *keys, by_key);
    for (int64_t i = 1; names && i < g->n; i++) { /* equal names: first ours, then theirs */
        if (!keys[i].key[0] || keys[i].song < g->own) continue;
        for (int64_t k = i; k > 0 && strcmp(keys[k - 1].key, keys[i].key) == 0; k--)
            if (keys[k - 1].song < g->own) join(g, keys[i].song, keys[k - 1].song, "is named as");
    }
    free(names);
}

/* Sides by group: RG_SPLIT_COUNT more where the store beside decides. */
static void choose_sides(const groups *g, int *sides)
{
    for (int64_t i = 0; i < g->n; i++) {
        rg__import_song *song = g->songs[i];
        if (!song->has_split) song->split = split_of_content(song->content_hash);
        int *side = &sides[first_of(g, i)], own = (int)song->split;
        if (i >= g->own) own += RG_SPLIT_COUNT;
        if (own > *side && *side < RG_SPLIT_COUNT) *side = own;
    }
}

static void take_sides(const groups *g, int *sides)
{
    choose_sides(g, sides);
    for (int64_t i = 0; i < g->own; i++) {
        rg__import_song *song = g->songs[i];
        int64_t first = first_of(g, i);
        rg_split side = (rg_split)(sides[first] % RG_SPLIT_COUNT);
        rg_copy_text(song->group, sizeof song->group, g->songs[first]->content_hash);
        if (song->split != side)
            rg__import_note(song, "moved from %s to %s, beside its double",
                            rg_split_name(song->split), rg_split_name(side));
        song->split = side;
    }
}

static rg_status group_all(groups *g, rg_error *err)
{
    size_t n = (size_t)g->n + 1;
    keyed *keys = calloc(n, sizeof *keys);
    int *sides = calloc(n, sizeof *sides); /* RG_SPLIT_TRAIN is 0 */
    const rg__print **prints = calloc(n, sizeof *prints);
    rg_status status = keys && sides && prints
                           ? RG_OK
                           : rg_fail(err, RG_ERR_NOMEM, "no memory for the list of songs");
    if (status == RG_OK) {
        join_equal(g, keys, offsetof(rg__import_song, content_hash), "has the same stems as");
        join_equal(g, keys, offsetof(rg__import_song, group), "is made from the same music as");
        join_names(g, keys);
        for (int64_t i = 0; i < g->n; i++) prints[i] = g->songs[i]->print;
        status = rg__print_compare(prints, g->n, join_alike, g, err);
    }
    if (status == RG_OK) take_sides(g, sides);
    free(keys);
    free(sides);
    free(prints);
    return status;
}

rg_status rg__import_settle(rg__import_list *list, rg_pool *pool, rg_error *err)
{
    beside other = {0};
    groups g = {0};
    rg_pool_run(pool, look_at_song, list, list->n);
    rg_status status = read_beside(list->options->beside, pool, &other, err);
    g.songs = calloc((size_t)(list->n + other.n), sizeof *g.songs);
    g.to = calloc((size_t)(list->n + other.n), sizeof *g.to);
    if (status == RG_OK && (!g.songs || !g.to))
        status = rg_fail(err, RG_ERR_NOMEM, "no memory for the list of songs");
    for (int64_t i = 0; status == RG_OK && i < list->n; i++)
        if (list->songs[i].fault.code == RG_OK) g.songs[g.n++] = &list->songs[i];
    g.own = g.n;
    for (int64_t i = 0; status == RG_OK && i < other.n; i++) g.songs[g.n++] = &other.songs[i];
    for (int64_t i = 0; i < g.n; i++) g.to[i] = i;
    if (status == RG_OK) status = group_all(&g, err);
    free(g.songs);
    free(g.to);
    free_beside(&other);
    return status;
}
