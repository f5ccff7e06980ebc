/*
 * Training crops per second: what reading a store, and the sampler, take of a core that training
 * has no use to spare.
 *
 * One idea: small stores of plucked tones are written into a temporary folder, so the figures cover
 * what a run does: drawing a place, reading stems, resampling, setting the level; all of it warm,
 * out of the system's memory. Not here: reading ahead by threads (datasets/sampler_ring.c), which
 * hides this time, not shortens it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/rng.h"
#include "datasets/sampler.h"
#include "train/bench_internal.h"

enum { CROP_RATE = 24000, CROPS = 16 };

/* One stem to be resampled; four to be read as they are. */
static const struct shape {
    int32_t rate, roles, songs, seconds;
} tones = {48000, 1, 4, 40}, bands = {32000, 4, 6, 60};

typedef struct loader {
    rg_store *store;
    rg_sampler *sampler;
    float *crops; /* (CROPS,CROP_RATE), or (roles, 2 s) */
    int64_t step;
    rg_rng rng;
} loader;

/* A tone that is plucked twice a second, each song and role in its own pitch. */
static void fill_stem(const struct shape *sh, int32_t song, int32_t role, int16_t *x)
{
    const double hz = 110 * (1 + song + role), tau = 6.283185307179586;
    const int64_t period = sh->rate / 2;
    for (int64_t i = 0; i < period; i++) {
        const double t = (double)i / sh->rate;
        x[i] = (int16_t)lrint(12000 * exp(-4 * t) * sin(tau * hz * t));
    }
    for (int64_t i = period; i < (int64_t)sh->rate * sh->seconds; i++) x[i] = x[i - period];
}

static rg_status add_songs(rg_bench *b, const struct shape *sh, rg_store_writer *writer)
{
    const rg_provenance provenance = {.package = "bench", .license = "CC0-1.0"};
    const int64_t frames = (int64_t)sh->rate * sh->seconds;
    int16_t *x = rg_arena_alloc(b->data, (size_t)(frames * sh->roles) * sizeof *x);
    if (!x) return rg_fail(b->err, RG_ERR_NOMEM, "bench: no memory for a song");
    for (int32_t i = 0; i < sh->songs; i++) {
        rg_song song = {.frames = frames, .key_tonic = -1};
        snprintf(song.id, sizeof song.id, "song-%d", (int)i);
        snprintf(song.group, sizeof song.group, "song-%d", (int)i);
        snprintf(song.content_hash, sizeof song.content_hash, "%032x", (unsigned)i);
        for (int32_t r = 0; r < sh->roles; r++) {
            song.present[r] = true;
            fill_stem(sh, i, r, x + r * frames);
        }
        RG_TRY(rg_store_add(writer, &song, &provenance, x, b->err));
    }
    return RG_OK;
}

static rg_status make_store(rg_bench *b, const struct shape *sh, const char *folder)
{
    const rg_store_info info = {.title = "bench",
                                .creator = "bench",
                                .license = "CC0-1.0",
                                .references = "",
                                .config_yaml = "corpus: bench\n",
                                .rate = sh->rate,
                                .n_roles = sh->roles,
                                .roles = {"tone", "two", "three", "four"}};
    rg_store_writer *writer = rg_store_create(folder, &info, b->err);
    if (!writer) return b->err->code;
    const rg_status status = add_songs(b, sh, writer);
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

static rg_status time_sampler(rg_bench *b, loader *l)
{
    RG_TRY(time_crops(b, l, "16 x 1 s, 24 kHz, held", (int64_t)256 << 20));
    return time_crops(b, l, "16 x 1 s, 24 kHz of 48 kHz, read", 0);
}

/* CROPS times two seconds of all stems of a song, at random places. */
static rg_status read_stems(rg_bench *b, void *args)
{
    loader *l = args;
    const int64_t n = 2 * (int64_t)bands.rate, frames = (int64_t)bands.rate * bands.seconds;
    for (int32_t i = 0; i < CROPS; i++) {
        const int64_t song = (int64_t)rg_rng_below(&l->rng, (uint64_t)bands.songs);
        const int64_t start = (int64_t)rg_rng_below(&l->rng, (uint64_t)(frames - n + 1));
        for (int32_t r = 0; r < bands.roles; r++)
            RG_TRY(rg_store_read(l->store, song, r, start, n, l->crops + r * n, b->err));
    }
    return RG_OK;
}

static rg_status time_stems(rg_bench *b, loader *l)
{
    const rg_bench_work work = {.count = CROPS,
                                .counted = "crops",
                                .bytes =
                                    (double)CROPS * bands.roles * 2 * bands.rate * sizeof(int16_t),
                                .threads = 1};
    l->rng = rg_rng_make(1, 0);
    return rg_bench_time(b, "loader", "16 x 4 stems of 2 s, 32 kHz, at random", &work, read_stems,
                         l);
}

static rg_status time_store(rg_bench *b, const struct shape *sh, const char *folder,
                            const char *name, rg_status (*run)(rg_bench *b, loader *l))
{
    char store[600];
    snprintf(store, sizeof store, "%s/%s", folder, name);
    RG_TRY(make_store(b, sh, store));
    loader l = {.store = rg_store_open(store, b->err)};
    if (!l.store) return b->err->code;
    l.crops = rg_arena_alloc(b->data, (size_t)CROPS * CROP_RATE * sizeof *l.crops);
    const rg_status status =
        l.crops ? run(b, &l) : rg_fail(b->err, RG_ERR_NOMEM, "bench: no memory for crops");
    rg_store_close(l.store);
    return status;
}

rg_status rg_bench_loader(rg_bench *b)
{
    const char *temporary = getenv("TMPDIR");
    char folder[512];
    snprintf(folder, sizeof folder, "%s/resonant-bench-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(folder))
        return rg_fail(b->err, RG_ERR_IO, "bench: cannot make a temporary folder %s", folder);
    rg_status status = time_store(b, &bands, folder, "bands", time_stems);
    if (status == RG_OK) status = time_store(b, &tones, folder, "tones", time_sampler);
    rg_error late = {0};
    const rg_status removed = rg_fs_remove_tree(folder, &late);
    if (status == RG_OK && removed != RG_OK) status = rg_fail(b->err, removed, "%s", late.text);
    return status;
}
