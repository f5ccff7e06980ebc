/*
 * What opening a large store takes: memory that grows with songs, not with their samples, and a
 * sampler over all of them.
 *
 * One idea: shards with every fact of their songs but holes in the place of the samples, so that
 * 1,000 hours take some hundred megabytes of disk. RG_MANY_SONGS=100000 (36 s each, four roles,
 * 32 kHz) prints the figures; by default there are few, and only the bounds of memory are checked.
 */
#include <malloc.h>
#include <sys/resource.h>

#include "base/fs.h"
#include "base/log.h"
#include "datasets/sampler.h"
#include "datasets/store_internal.h"
#include "test.h"

enum { RATE = 32000, SECONDS = 36, ROLES = 4, BEATS = 72, PER_SHARD = 430 };
static const int64_t frames = (int64_t)RATE * SECONDS;

static void describe(int64_t i, rg_song *s, const double *beats, const uint8_t *activity)
{
    *s = (rg_song){.frames = frames, .tempo_bpm = 120, .meter = 4, .original_rate = RATE};
    snprintf(s->id, sizeof s->id, "song-%07lld", (long long)i);
    snprintf(s->title, sizeof s->title, "Song %lld", (long long)i);
    snprintf(s->prompt, sizeof s->prompt, "rock, 120 bpm, drums, bass, guitar");
    snprintf(s->content_hash, sizeof s->content_hash, "%032llx", (unsigned long long)i);
    snprintf(s->license, sizeof s->license, "CC0-1.0");
    for (int r = 0; r < ROLES; r++) s->present[r] = true;
    s->n_beats = BEATS;
    s->n_downbeats = BEATS / 4;
    s->beats = s->downbeats = beats;
    s->n_activity = rg__store_blocks(frames, RATE);
    s->activity = activity;
}

/* Room in the file, and nothing written to it. */
static bool make_hole(hid_t file, const char *id)
{
    char name[128];
    hsize_t dims[2] = {ROLES, (hsize_t)frames};
    snprintf(name, sizeof name, "/audio/%s", id);
    hid_t space = H5Screate_simple(2, dims, NULL), plist = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_alloc_time(plist, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(plist, H5D_FILL_TIME_NEVER);
    hid_t set = H5Dcreate2(file, name, H5T_STD_I16LE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    H5Pclose(plist);
    H5Sclose(space);
    return set >= 0 && H5Dclose(set) >= 0;
}

static void make_shard(const char *path, int64_t first, int64_t n)
{
    const rg_store_info info = {.title = "holes",
                                .config_yaml = "",
                                .rate = RATE,
                                .n_roles = ROLES,
                                .roles = {"drums", "bass", "harmony", "melody"}};
    double beats[BEATS];
    static uint8_t activity[ROLES * SECONDS * RG_ACTIVITY_PER_SECOND];
    rg_song *songs = calloc((size_t)n, sizeof *songs);
    rg_error failure = {0};
    for (int i = 0; i < BEATS; i++) beats[i] = 0.5 * i;
    memset(activity, 70, sizeof activity);
    rg__h5_quiet();
    hid_t file = rg__h5_create(path, &failure);
    ck_assert(file >= 0 && rg__store_put_root(file, &info) && rg__store_make_groups(file));
    for (int64_t i = 0; i < n; i++) {
        describe(first + i, &songs[i], beats, activity);
        ck_assert(make_hole(file, songs[i].id));
    }
    ck_assert(rg__store_complete(file, ROLES, songs, n));
    ck_assert(rg__h5_close_new(file, RG_OK, &failure, &failure) == RG_OK);
    free(songs);
}

static void make_store(const char *folder, int64_t songs)
{
    rg_text index;
    rg_error err = {0};
    char name[64], path[900];
    int64_t shards = (songs + PER_SHARD - 1) / PER_SHARD;
    rg_text_init(&index, 1 << 24);
    rg_text_printf(&index,
                   "{\"format\":\"resonantgen-stems\",\"version\":\"1.0\",\"shards\":%lld,"
                   "\"songs\":%lld}\n",
                   (long long)shards, (long long)songs);
    for (int64_t k = 0; k < shards; k++) {
        int64_t n = songs - k * PER_SHARD < PER_SHARD ? songs - k * PER_SHARD : PER_SHARD;
        snprintf(name, sizeof name, "stems-%05d-of-%05d.h5", (int)k, (int)shards);
        snprintf(path, sizeof path, "%s/%s", folder, name);
        make_shard(path, k * PER_SHARD, n);
        ck_assert(rg_fs_size(path) < (int64_t)1 << 32);
        rg_text_printf(&index,
                       "{\"shard\":\"%s\",\"songs\":%lld,\"bytes\":%lld,\"sha256\":\"-\"}\n", name,
                       (long long)n, (long long)rg_fs_size(path));
    }
    snprintf(path, sizeof path, "%s/index.jsonl", folder);
    RG_ASSERT_OK(rg_fs_write_atomic(path, index.data, index.n, &err), &err);
    rg_text_free(&index);
}

static double held_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return (double)info.uordblks + (double)info.hblkhd;
}

START_TEST(memory_and_start_up_grow_with_songs)
{
    const char *wanted = getenv("RG_MANY_SONGS");
    const int64_t songs = wanted ? atoll(wanted) : 1000;
    rg_error err = {0};
    make_store(rg_test_folder(), songs);
    double before = held_bytes(), began = rg_clock_seconds();
    rg_store *store = rg_store_open(rg_test_folder(), &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    double opened = rg_clock_seconds();
    rg_sampler_options o = rg_sampler_defaults();
    o.rate = RATE;
    o.frames = 2 * RATE;
    rg_sampler *sampler = rg_sampler_create(store, RG_ROLE_ANY, &o, &err);
    ck_assert_msg(sampler != NULL, "%s", err.text);
    double ready = rg_clock_seconds(), bytes = held_bytes() - before;
    ck_assert_int_eq(rg_store_songs(store), songs);
    ck_assert_int_eq(rg_sampler_describe(sampler).songs, ROLES * songs);
    ck_assert_msg(rg_store_find_song(store, "song-0000999") == 999, "the order is not by id");
    ck_assert_msg(bytes < 6000.0 * (double)songs, "%.0f bytes a song", bytes / (double)songs);
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    if (wanted)
        printf("%lld songs, %.0f hours: open %.2f s, sampler %.2f s, %.0f MB (%.0f MB at most)\n",
               (long long)songs, (double)songs * SECONDS / 3600, opened - began, ready - opened,
               bytes / 1e6, (double)use.ru_maxrss / 1e3);
    rg_sampler_destroy(sampler);
    rg_store_close(store);
}
END_TEST

RG_TEST_MAIN("many songs", 600, memory_and_start_up_grow_with_songs)
