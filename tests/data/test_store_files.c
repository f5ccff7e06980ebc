/*
 * A store of more shards than may be open: read by several threads, through HDF5, and closed whole,
 * it holds what it held with all of them open.
 */
#include "test.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/resource.h>

#include "base/rng.h"
#include "toy_store.h"

enum { SONGS = 40, THREADS = 4, READS = 400, DESCRIPTORS = 100 };

static const rg_toy toy = {2, SONGS, 8000, 1, 0};

static rg_store *open_store(const char *folder)
{
    rg_error err = {0};
    rg_store *store = rg_store_open(folder, &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    return store;
}

/* One shard a song. */
static rg_store *make_store(char folder[700])
{
    rg_error err = {0};
    snprintf(folder, 700, "%s/store", rg_test_folder());
    rg_store_info info = rg_toy_info(&toy);
    info.shard_bytes = 1;
    rg_store_writer *writer = rg_store_create(folder, &info, &err);
    for (int32_t i = 0; i < SONGS; i++) RG_ASSERT_OK(rg_toy_add(&toy, writer, i, &err), &err);
    RG_ASSERT_OK(rg_store_finish(writer, &err), &err);
    return open_store(folder);
}

static int descriptors(void)
{
    int n = 0;
    DIR *folder = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(folder);
    while (readdir(folder)) n++;
    closedir(folder);
    return n - 3; /* ., .. and the folder's own */
}

static void limit_to(rlim_t n)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = n;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

typedef struct reader {
    const rg_store *all, *few;
    uint64_t seed;
    int64_t differ, failed;
} reader;

static void *read_anywhere(void *ctx)
{
    reader *r = ctx;
    rg_error err = {0};
    rg_rng rng = rg_rng_make(r->seed, 0);
    for (int i = 0; i < READS; i++) {
        float a[500], b[500];
        const int64_t song = (int64_t)rg_rng_below(&rng, SONGS);
        const int32_t role = (int32_t)rg_rng_below(&rng, 2);
        const int64_t start = (int64_t)rg_rng_below(&rng, 7000);
        r->failed += rg_store_read(r->all, song, role, start, 500, a, &err) != RG_OK;
        r->failed += rg_store_read(r->few, song, role, start, 500, b, &err) != RG_OK;
        r->differ += memcmp(a, b, sizeof a) != 0;
    }
    return NULL;
}

START_TEST(a_few_descriptors_serve_many_shards)
{
    char folder[700];
    rg_error err = {0};
    const int before = descriptors();
    rg_store *all = make_store(folder);
    ck_assert_int_ge(descriptors(), before + SONGS);
    const int open = descriptors();
    limit_to(DESCRIPTORS);
    rg_store *few = open_store(folder);
    ck_assert_int_le(descriptors() - open, DESCRIPTORS / 4);
    reader readers[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        readers[i] = (reader){.all = all, .few = few, .seed = (uint64_t)i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_anywhere, &readers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(readers[i].failed, 0);
        ck_assert_int_eq(readers[i].differ, 0);
    }
    for (int64_t i = 0; i < SONGS; i++) {
        rg_provenance p, q;
        RG_ASSERT_OK(rg_store_provenance(few, i, &p, &err), &err);
        RG_ASSERT_OK(rg_store_provenance(all, i, &q, &err), &err);
        ck_assert_str_eq(p.package, q.package);
        ck_assert_str_eq(p.file, q.file);
        rg_provenance_free(&p);
        rg_provenance_free(&q);
    }
    ck_assert_int_le(descriptors() - open, DESCRIPTORS / 4 + 2 * 8); /* 8 of HDF5's a store */
    rg_store_close(few);
    rg_store_close(all);
    ck_assert_int_eq(descriptors(), before);
}
END_TEST

RG_TEST_MAIN("store files", 120, a_few_descriptors_serve_many_shards)
