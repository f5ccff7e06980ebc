/*
 * The summary of a shard: the same songs with and without it, damage that verify names or opening
 * refuses, places of files that somebody repacked, and an index that lies.
 */
#include <fcntl.h>
#include <unistd.h>

#include <hdf5.h>

#include "base/fs.h"
#include "base/json.h"
#include "datasets/store_internal.h"
#include "toy_store.h"

static const rg_toy toy = {3, 4, 8000, 2.5, 2};

static const char *folder(void)
{
    static char path[700];
    snprintf(path, sizeof path, "%s/store", rg_test_folder());
    return path;
}

static const char *shard(void)
{
    static char path[800];
    snprintf(path, sizeof path, "%s/stems-00000-of-00001.h5", folder());
    return path;
}

/* The index of one shard of the size that it has now. */
static void write_index(int songs, int in_shard)
{
    char path[800], text[600];
    rg_error err = {0};
    snprintf(path, sizeof path, "%s/index.jsonl", folder());
    snprintf(
        text, sizeof text,
        "{\"format\":\"resonantgen-stems\",\"version\":\"1.0\",\"shards\":1,\"songs\":%d}\n"
        "{\"shard\":\"stems-00000-of-00001.h5\",\"songs\":%d,\"bytes\":%lld,\"sha256\":\"-\"}\n",
        songs, in_shard, (long long)rg_fs_size(shard()));
    RG_ASSERT_OK(rg_fs_write_atomic(path, text, strlen(text), &err), &err);
}

static rg_store *open_store(void)
{
    rg_error err = {0};
    rg_store *store = rg_store_open(folder(), &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    return store;
}

static void same_sound(const rg_store *a, const rg_store *b)
{
    float x[2000], y[2000];
    rg_error err = {0};
    for (int64_t i = 0; i < toy.songs; i++)
        for (int32_t r = 0; r < toy.roles; r++) {
            RG_ASSERT_OK(rg_store_read(a, i, r, 5000, 2000, x, &err), &err);
            RG_ASSERT_OK(rg_store_read(b, i, r, 5000, 2000, y, &err), &err);
            ck_assert_mem_eq(x, y, sizeof x);
        }
}

START_TEST(stores_without_a_summary_are_read_alike)
{
    rg_store *with = rg_toy_build(&toy, folder());
    hid_t file = H5Fopen(shard(), H5F_ACC_RDWR, H5P_DEFAULT);
    ck_assert(H5Ldelete(file, RG__STORE_SUMMARY, H5P_DEFAULT) >= 0);
    H5Fclose(file);
    write_index(toy.songs, toy.songs);
    rg_store *without = open_store();
    ck_assert_str_eq(rg_store_hash(with), rg_store_hash(without));
    for (int64_t i = 0; i < toy.songs; i++) {
        const rg_song *a = rg_store_song(with, i), *b = rg_store_song(without, i);
        const char *differs = rg__store_compare(toy.roles, a, b);
        ck_assert_msg(!differs, "song %lld: %s", (long long)i, differs);
        ck_assert_str_eq(a->id, b->id);
        ck_assert_int_eq(a->n_activity, rg__store_blocks(a->frames, toy.rate));
    }
    same_sound(with, without);
    rg_store_close(with);
    rg_store_close(without);
}
END_TEST

typedef struct faults {
    int n;
    char all[4000];
} faults;

static void note_fault(void *ctx, const char *song, const char *what)
{
    faults *f = ctx;
    size_t used = strlen(f->all);
    f->n++;
    snprintf(f->all + used, sizeof f->all - used, "%s: %s\n", song, what);
}

static faults verify(void)
{
    faults f = {0};
    int64_t n = 0;
    rg_error err = {0};
    RG_ASSERT_OK(rg_store_verify(folder(), note_fault, &f, &n, &err), &err);
    ck_assert_int_eq(n, f.n);
    return f;
}

/* Writes one value of a dataset of /summary in place. */
static void poke(const char *name, int64_t at, hid_t type, const void *value)
{
    char path[100];
    snprintf(path, sizeof path, RG__STORE_SUMMARY "/%s", name);
    hid_t file = H5Fopen(shard(), H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t set = H5Dopen2(file, path, H5P_DEFAULT), space = H5Dget_space(set);
    hsize_t first = (hsize_t)at, one = 1;
    hid_t memory = H5Screate_simple(1, &one, NULL);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, &first, NULL, &one, NULL);
    ck_assert(H5Dwrite(set, type, memory, space, H5P_DEFAULT, value) >= 0);
    H5Sclose(memory);
    H5Sclose(space);
    H5Dclose(set);
    H5Fclose(file);
    write_index(toy.songs, toy.songs);
}

START_TEST(verify_names_the_fact_in_which_both_differ)
{
    const double tempo = 77, beat = 0.1;
    const uint8_t level = 201;
    static const char *const names[] = {"tempo_bpm", "beats_s", "activity"};
    for (int k = 0; k < 3; k++) {
        rg_store_close(rg_toy_build(&toy, folder()));
        ck_assert_int_eq(verify().n, 0);
        if (k == 0) poke(names[k], 2, H5T_NATIVE_DOUBLE, &tempo);
        if (k == 1) poke(names[k], 1, H5T_NATIVE_DOUBLE, &beat);
        if (k == 2) poke(names[k], 3, H5T_NATIVE_UINT8, &level);
        faults f = verify();
        const char *what = k == 1 ? "beats" : names[k];
        ck_assert_msg(f.n >= 1 && strstr(f.all, what), "%s: %s", what, f.all);
        ck_assert_msg(strstr(f.all, k == 0 ? "toy-002: " : "toy-000: ") != NULL, "%s", f.all);
        rg_error err = {0};
        RG_ASSERT_OK(rg_fs_remove_tree(folder(), &err), &err);
    }
}
END_TEST

START_TEST(places_that_moved_are_asked_for_again)
{
    rg_store *before = rg_toy_build(&toy, folder());
    const int64_t wrong = 4096, outside = (int64_t)1 << 61, negative = -7;
    poke("audio_offset", 0, H5T_NATIVE_INT64, &wrong);
    rg_store *moved = open_store();
    same_sound(before, moved);
    rg_store_close(moved);
    rg_store_close(before);
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_remove_tree(folder(), &err), &err);
    before = rg_toy_build(&toy, folder());
    poke("audio_offset", 1, H5T_NATIVE_INT64, &outside);
    poke("audio_offset", 2, H5T_NATIVE_INT64, &negative);
    moved = open_store();
    same_sound(before, moved);
    rg_store_close(moved);
    rg_store_close(before);
}
END_TEST

START_TEST(a_malformed_summary_is_refused)
{
    const int64_t negative = -1, huge = (int64_t)1 << 60;
    const double late = -5, infinite = INFINITY;
    const int32_t tonic = 12;
    const struct {
        const char *name;
        int64_t at;
        hid_t type;
        const void *value;
    } bad[] = {
        {"n_beats", 0, H5T_NATIVE_INT64, &negative},    {"n_beats", 3, H5T_NATIVE_INT64, &huge},
        {"n_downbeats", 1, H5T_NATIVE_INT64, &huge},    {"beats_s", 2, H5T_NATIVE_DOUBLE, &late},
        {"tempo_bpm", 1, H5T_NATIVE_DOUBLE, &infinite}, {"key_tonic", 1, H5T_NATIVE_INT32, &tonic}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rg_error err = {0};
        rg_store_close(rg_toy_build(&toy, folder()));
        poke(bad[i].name, bad[i].at, bad[i].type, bad[i].value);
        rg_store *store = rg_store_open(folder(), &err);
        ck_assert_msg(!store, "%s", bad[i].name);
        ck_assert_msg(strstr(err.text, "/summary") != NULL, "%s: %s", bad[i].name, err.text);
        ck_assert_int_eq(verify().n, 1);
        RG_ASSERT_OK(rg_fs_remove_tree(folder(), &err), &err);
    }
}
END_TEST

START_TEST(an_index_that_lies_is_a_fault)
{
    rg_error err = {0};
    rg_store_close(rg_toy_build(&toy, folder()));
    char stranger[800];
    snprintf(stranger, sizeof stranger, "%s/stems-00001-of-00002.h5", folder());
    RG_ASSERT_OK(rg_fs_write_atomic(stranger, "x", 1, &err), &err);
    faults f = verify();
    ck_assert_int_eq(f.n, 1);
    ck_assert_msg(strstr(f.all, "stems-00001-of-00002.h5: is not in the index"), "%s", f.all);
    ck_assert(unlink(stranger) == 0);
    write_index(toy.songs + 1, toy.songs);
    f = verify(); /* the count, and the SHA-256 */
    ck_assert_int_eq(f.n, 2);
    ck_assert_msg(strstr(f.all, "says 5 songs, the shards hold 4"), "%s", f.all);
    write_index(toy.songs, toy.songs - 1);
    f = verify();
    ck_assert_int_eq(f.n, 1);
    ck_assert_msg(strstr(f.all, "holds 4 songs, the index says 3"), "%s", f.all);
}
END_TEST

RG_TEST_MAIN("store summary", 60, stores_without_a_summary_are_read_alike,
             verify_names_the_fact_in_which_both_differ, places_that_moved_are_asked_for_again,
             a_malformed_summary_is_refused, an_index_that_lies_is_a_fault)
