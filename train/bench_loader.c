/*
 * Training crops per second: what the sampler takes of a core that training has no use to spare.
 *
 * One idea: a small store of plucked tones is written into a temporary folder, so the figure
 * covers what a run does: drawing a place, reading a stem, resampling, setting the level. Not here:
 * reading ahead by threads (datasets/sampler_ring.c), which hides this time, not shortens it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/rng.h"
#include "datasets/sampler.h"
#include "train/bench_internal.h"

enum { STORE_RATE = 48000, SONGS = 4, SONG_SECONDS = 40, CROP_RATE = 24000, CROPS = 16 };
static const int64_t song_frames = (int64_t)STORE_RATE * SONG_SECONDS;

typedef struct loader {
    rg_store *store;
    rg_sampler *sampler;
    float *crops; /* (CROPS,CROP_RATE) */
    int64_t step;
} loader;

/* A tone that is plucked twice a second, each song in its own pitch. */
static void fill_song(int32_t song, int16_t *x)
{
    const double hz = 110 * (1 + song), tau = 6.283185307179586;
    for (int64_t i = 0; i < song_frames; i++) {
        const double t = (double)i / STORE_RATE;
        x[i] = (int16_t)lrint(12000 * exp(-4 * fmod(t, 0.5)) * sin(tau * hz * t));
    }
}

static rg_status add_songs(rg_bench *b, rg_store_writer *writer)
{
    const rg_provenance provenance = {.package = "bench", .license = "CC0-1.0"};
    int16_t *x = rg_arena_alloc(b->data, (size_t)song_frames * sizeof *x);
    if (!x) return rg_fail(b->err, RG_ERR_NOMEM, "bench: no memory for a song");
    for (int32_t i = 0; i < SONGS; i++) {
        rg_song song = {.frames = song_frames, .present = {true}, .key_tonic = -1};
        snprintf(song.id, sizeof song.id, "song-%d", (int)i);
        snprintf(song.group, sizeof song.group, "song-%d", (int)i);
        snprintf(song.content_hash, sizeof song.content_hash, "%032x", (unsigned)i);
        fill_song(i, x);
        RG_TRY(rg_store_add(writer, &song, &provenance, x, b->err));
    }
    return RG_OK;
}

static rg_status make_store(rg_bench *b, const char *folder)
{
    const rg_store_info info = {.title = "bench",
                                .creator = "bench",
                                .license = "CC0-1.0",
                                .references = "",
                                .config_yaml = "corpus: bench\n",
                                .rate = STORE_RATE,
                                .n_roles = 1,
                                .roles = {"tone"}};
    rg_store_writer *writer = rg_store_create(folder, &info, b->err);
    if (!writer) return b->err->code;
    const rg_status status = add_songs(b, writer);
    if (status == RG_OK) return rg_store_finish(writer, b->err);
    rg_store_abandon(writer);
    return status;
}

static rg_status next_batch(rg_bench *b, void *args)
{
    loader *l = args;
    return rg_sampler_next(l->sampler, l->step++, 0, l->crops, NULL, b->err);
}

/* `hold` bytes of resampled songs are kept; 0: each crop is read and resampled by itself. */
static rg_status time_crops(rg_bench *b, loader *l, const char *name, int64_t hold)
{
    const rg_bench_work work = {.count = CROPS,
                                .counted = "crops",
                                .bytes = (double)CROPS * CROP_RATE * sizeof(float),
                                .threads = 1};
    rg_sampler_options o = rg_sampler_defaults();
    o.rate = CROP_RATE;
    o.frames = CROP_RATE;
    o.batch = CROPS;
    o.threads = 0;
    o.hold_bytes = hold;
    o.low_dbfs = -28;
    o.high_dbfs = -14;
    l->sampler = rg_sampler_create(l->store, 0, &o, b->err);
    if (!l->sampler) return b->err->code;
    rg_status status = rg_sampler_start(l->sampler, b->err);
    if (status == RG_OK) status = rg_bench_time(b, "loader", name, &work, next_batch, l);
    rg_sampler_destroy(l->sampler);
    return status;
}

static rg_status time_store(rg_bench *b, const char *folder)
{
    RG_TRY(make_store(b, folder));
    loader l = {.store = rg_store_open(folder, b->err)};
    if (!l.store) return b->err->code;
    l.crops = rg_arena_alloc(b->data, (size_t)CROPS * CROP_RATE * sizeof *l.crops);
    rg_status status = RG_OK;
    if (!l.crops) status = rg_fail(b->err, RG_ERR_NOMEM, "bench: no memory for crops");
    if (status == RG_OK) status = time_crops(b, &l, "16 x 1 s, 24 kHz, held", (int64_t)256 << 20);
    if (status == RG_OK) status = time_crops(b, &l, "16 x 1 s, 24 kHz of 48 kHz, read", 0);
    rg_store_close(l.store);
    return status;
}

rg_status rg_bench_loader(rg_bench *b)
{
    const char *temporary = getenv("TMPDIR");
    char folder[512], store[600];
    snprintf(folder, sizeof folder, "%s/resonant-bench-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(folder))
        return rg_fail(b->err, RG_ERR_IO, "bench: cannot make a temporary folder %s", folder);
    snprintf(store, sizeof store, "%s/store", folder);
    rg_status status = time_store(b, store);
    rg_error late = {0};
    const rg_status removed = rg_fs_remove_tree(folder, &late);
    if (status == RG_OK && removed != RG_OK) status = rg_fail(b->err, removed, "%s", late.text);
    return status;
}
