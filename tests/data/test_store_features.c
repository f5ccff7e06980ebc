/*
 * Features in stores: what is heard is kept, whoever and how many heard it; older stores get them,
 * and no failing call, power loss or second writer leaves half a store.
 */
#include <unistd.h>

#include <hdf5.h>

#include "audio/reader.h"
#include "base/fs.h"
#include "base/hash.h"
#include "datasets/song_features.h"
#include "faulty_fs.h"
#include "music/features/features.h"
#include "toy_store.h"

static const char *inside(const char *name)
{
    static char paths[4][800];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", rg_test_folder(), name);
    return path;
}

static int64_t faults;

static void count_fault(void *ctx, const char *song, const char *what)
{
    (void)ctx, (void)song, (void)what;
    faults++;
}

static int64_t verify(const char *folder)
{
    rg_error err = {0};
    int64_t n = 0;
    faults = 0;
    RG_ASSERT_OK(rg_store_verify(folder, count_fault, NULL, &n, &err), &err);
    ck_assert_int_eq(n, faults);
    return n;
}

static rg_store *opened(const char *folder)
{
    rg_error err = {0};
    rg_store *store = rg_store_open(folder, &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    return store;
}

/* Takes the features away: a store of an older program. */
static void forget(const char *folder)
{
    rg_error err = {0};
    rg_store *store = opened(folder);
    char path[900], name[128], hash[RG_SHA256_HEX], line[600];
    snprintf(path, sizeof path, "%s/stems-00000-of-00001.h5", folder);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    for (int64_t i = 0; i < rg_store_songs(store); i++) {
        snprintf(name, sizeof name, "/features/%s/heard", rg_store_song(store, i)->id);
        ck_assert(H5Ldelete(file, name, H5P_DEFAULT) >= 0);
    }
    ck_assert(H5Adelete(file, "features_version") >= 0);
    ck_assert(H5Fclose(file) >= 0);
    RG_ASSERT_OK(rg_sha256_file(path, hash, &err), &err);
    int n = snprintf(line, sizeof line,
                     "{\"format\":\"resonantgen-stems\",\"version\":\"1.0\",\"shards\":1,\"songs\":"
                     "%d}\n{\"shard\":\"stems-00000-of-00001.h5\",\"songs\":%d,\"bytes\":%lld,"
                     "\"sha256\":\"%s\"}\n",
                     (int)rg_store_songs(store), (int)rg_store_songs(store),
                     (long long)rg_fs_size(path), hash);
    rg_store_close(store);
    snprintf(path, sizeof path, "%s/index.jsonl", folder);
    RG_ASSERT_OK(rg_fs_write_atomic(path, line, (size_t)n, &err), &err);
    ck_assert_int_eq(verify(folder), 0);
}

static void check_same(const char *a_folder, const char *b_folder)
{
    rg_store *a = opened(a_folder), *b = opened(b_folder);
    rg_error err = {0};
    ck_assert_int_eq(rg_store_heard_songs(b), rg_store_songs(b));
    ck_assert_str_eq(rg_store_hash(a), rg_store_hash(b));
    for (int64_t i = 0; i < rg_store_songs(a); i++) {
        rg_song_features x, y;
        RG_ASSERT_OK(rg_store_features(a, i, &x, &err), &err);
        RG_ASSERT_OK(rg_store_features(b, i, &y, &err), &err);
        ck_assert_str_eq(x.version, y.version);
        ck_assert(x.tempo_bpm == y.tempo_bpm && x.tempo_confidence == y.tempo_confidence &&
                  x.key_tonic == y.key_tonic && x.loudness_lufs == y.loudness_lufs);
        ck_assert(x.n_beats == y.n_beats && x.n_onset == y.n_onset && x.n_chords == y.n_chords);
        size_t roles = (size_t)rg_store_roles(a);
        ck_assert_mem_eq(x.beats_s, y.beats_s, (size_t)x.n_beats * sizeof *x.beats_s);
        ck_assert_mem_eq(x.onset, y.onset, roles * (size_t)x.n_onset * sizeof *x.onset);
        ck_assert_mem_eq(x.energy, y.energy, roles * (size_t)x.n_energy * sizeof *x.energy);
        for (int64_t k = 0; k < x.n_chords; k++)
            ck_assert_str_eq(x.chords[k].label, y.chords[k].label);
        rg_song_features_free(&x);
        rg_song_features_free(&y);
    }
    rg_store_close(a);
    rg_store_close(b);
}

/* The song's roles from the store's own samples, heard here. */
static void hear_again(const rg_store *store, int64_t song, rg_features *out)
{
    const rg_song *s = rg_store_song(store, song);
    rg_feature_source sources[RG_MAX_ROLES];
    rg_audio audio[RG_MAX_ROLES];
    rg_error err = {0};
    int32_t n = 0;
    for (int32_t r = 0; r < rg_store_roles(store); r++) {
        if (!s->present[r]) continue;
        RG_ASSERT_OK(rg_audio_make(&audio[n], s->frames, 1, rg_store_rate(store), &err), &err);
        RG_ASSERT_OK(rg_store_read(store, song, r, 0, s->frames, audio[n].samples, &err), &err);
        sources[n] = (rg_feature_source){rg_store_role(store, r), rg_reader_of(&audio[n], &err)};
        n++;
    }
    RG_ASSERT_OK(rg_features_of(sources, n, out, &err), &err);
    while (n-- > 0) {
        rg_reader_close(sources[n].reader);
        rg_audio_free(&audio[n]);
    }
}

START_TEST(a_store_keeps_what_is_heard)
{
    const rg_toy toy = {3, 3, 16000, 20, 1};
    rg_store *store = rg_toy_build(&toy, inside("kept"));
    ck_assert_int_eq(rg_store_heard_songs(store), toy.songs);
    for (int64_t i = 0; i < toy.songs; i++) {
        rg_error err = {0};
        rg_features heard;
        rg_song_features f;
        hear_again(store, i, &heard);
        RG_ASSERT_OK(rg_store_features(store, i, &f, &err), &err);
        ck_assert_str_eq(f.version, RG_FEATURES_VERSION);
        ck_assert(f.tempo_bpm == heard.tempi[0].bpm && f.tempo_bpm > 0);
        ck_assert_int_eq(f.meter, heard.meter.beats);
        ck_assert_int_eq(f.key_tonic, heard.keys[0].key.tonic);
        ck_assert_int_eq(f.n_beats, heard.n_beats);
        ck_assert_mem_eq(f.beats_s, heard.beats_s, (size_t)f.n_beats * sizeof *f.beats_s);
        ck_assert_int_gt(f.n_downbeats, 0);
        ck_assert(f.downbeats_s[0] == heard.beats_s[heard.meter.first]);
        ck_assert_int_eq(f.n_chords, heard.n_chords);
        ck_assert_int_eq(f.n_energy, heard.blocks);
        const rg_song *s = rg_store_song(store, i);
        for (int32_t r = 0, stem = 0; r < toy.roles; r++) {
            const float *row = f.onset + r * f.n_onset;
            double sum = 0;
            for (int64_t k = 0; k < f.n_onset; k++) sum += row[k];
            ck_assert_int_eq(sum > 0, s->present[r]);
            if (s->present[r])
                ck_assert_mem_eq(row, heard.stems[stem++].onsets, (size_t)f.n_onset * sizeof *row);
        }
        rg_song_features_free(&f);
        rg_features_free(&heard);
    }
    rg_store_close(store);
    ck_assert_int_eq(verify(inside("kept")), 0);
}
END_TEST

START_TEST(an_older_store_is_heard_with_the_same_bits)
{
    const rg_toy toy = {3, 5, 8000, 6, 2};
    for (int32_t jobs = 1; jobs <= 3; jobs++) {
        const int32_t channels = jobs == 2 ? 2 : 1;
        const char *new = inside(channels == 2 ? "new-stereo" : "new");
        char folder[800];
        if (!rg_fs_exists(new)) rg_store_close(rg_toy_build_of(&toy, channels, new));
        snprintf(folder, sizeof folder, "%s-%d", inside("old"), jobs);
        rg_error err = {0};
        int64_t heard = 0;
        rg_store_close(rg_toy_build_of(&toy, channels, folder));
        forget(folder);
        rg_store *before = opened(folder);
        rg_song_features none;
        RG_ASSERT_OK(rg_store_features(before, 0, &none, &err), &err);
        ck_assert_str_eq(none.version, "");
        ck_assert_int_eq(rg_store_heard_songs(before), 0);
        RG_ASSERT_OK(rg_store_hear(folder, jobs, NULL, &heard, &err), &err);
        ck_assert_int_eq(heard, toy.songs);
        check_same(inside(channels == 2 ? "new-stereo" : "new"), folder);
        ck_assert_int_eq(verify(folder), 0);
        float x[10]; /* who had the store open goes on reading */
        RG_ASSERT_OK(rg_store_read(before, 0, 0, 0, 10, x, &err), &err);
        rg_store_close(before);
        RG_ASSERT_OK(rg_store_hear(folder, jobs, NULL, &heard, &err), &err);
        ck_assert_int_eq(heard, 0);
        ck_assert(!rg_fs_exists(inside("old-1/unfinished")));
    }
}
END_TEST

START_TEST(any_length_and_rate_is_heard)
{
    static const struct {
        int32_t rate;
        double seconds;
    } cases[] = {{1000, 0.001}, {1000, 5}, {8000, 0.0002}, {384000, 0.5}, {44100, 0.3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const rg_toy toy = {2, 3, cases[i].rate, cases[i].seconds, 0};
        char folder[800];
        snprintf(folder, sizeof folder, "%s-%zu", inside("odd"), i);
        rg_store_info info = rg_toy_info(&toy);
        rg_error err = {0};
        rg_store_writer *writer = rg_store_create(folder, &info, &err);
        ck_assert_msg(writer != NULL, "%s", err.text);
        int16_t *x = calloc((size_t)toy.roles, 2 * (size_t)(toy.rate * toy.seconds + 1));
        static double beats[2 * RG_TOY_MAX_BEATS];
        rg_song song;
        rg_toy_describe(&toy, 0, &song, beats);
        if (song.frames < 1) song.frames = 1;
        for (int64_t k = 0; k < 2 * song.frames; k++) x[k] = (int16_t)(1000 + k % 7);
        rg_provenance p = {.license = "CC0-1.0"};
        RG_ASSERT_OK(rg_store_add(writer, &song, &p, x, &err), &err);
        RG_ASSERT_OK(rg_store_finish(writer, &err), &err);
        ck_assert_int_eq(verify(folder), 0);
        free(x);
    }
}
END_TEST

START_TEST(another_writer_is_not_disturbed)
{
    const rg_toy toy = {2, 2, 8000, 1, 0};
    const char *folder = inside("busy");
    char unfinished[900], lock[900];
    rg_error err = {0};
    int64_t heard;
    rg_store_info info = rg_toy_info(&toy);
    rg_store_close(rg_toy_build(&toy, folder));
    forget(folder);
    snprintf(unfinished, sizeof unfinished, "%s/unfinished", folder);
    snprintf(lock, sizeof lock, "%s/unfinished/lock", folder);
    RG_ASSERT_OK(rg_fs_make_folders(unfinished, &err), &err);
    int held = rg_fs_lock(lock, &err);
    ck_assert_int_eq(rg_store_hear(folder, 1, NULL, &heard, &err), RG_ERR_IO);
    ck_assert_msg(strstr(err.text, "in use by process") != NULL, "%s", err.text);
    rg_error_clear(&err);
    ck_assert_ptr_null(rg_store_create(folder, &info, &err));
    ck_assert(rg_fs_exists(lock));
    rg_fs_unlock(held);
    rg_error_clear(&err);
    RG_ASSERT_OK(rg_store_hear(folder, 1, NULL, &heard, &err), &err);
    ck_assert_int_eq(heard, 2);
    ck_assert_int_eq(rg_store_hear(inside("nothing"), 1, NULL, &heard, &err), RG_ERR_FORMAT);
    ck_assert(!rg_fs_exists(inside("nothing")));
}
END_TEST

START_TEST(malformed_features_are_named)
{
    const rg_toy toy = {2, 2, 8000, 5, 0};
    const char *folder = inside("bad");
    char path[900];
    rg_store_close(rg_toy_build(&toy, folder));
    snprintf(path, sizeof path, "%s/stems-00000-of-00001.h5", folder);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t set = H5Dopen2(file, "/features/toy-001/heard/beats_s", H5P_DEFAULT);
    hid_t space = H5Dget_space(set);
    ck_assert_int_gt(H5Sget_simple_extent_npoints(space), 1);
    double *falling = calloc((size_t)H5Sget_simple_extent_npoints(space), sizeof *falling);
    falling[0] = 9;
    ck_assert(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, falling) >= 0);
    free(falling);
    H5Sclose(space);
    H5Dclose(set);
    ck_assert(H5Fclose(file) >= 0);
    rg_store *store = opened(folder);
    rg_error err = {0};
    rg_song_features f;
    ck_assert_int_eq(rg_store_features(store, 1, &f, &err), RG_ERR_FORMAT);
    ck_assert_msg(strstr(err.text, "features of song 'toy-001' are malformed") != NULL, "%s",
                  err.text);
    rg_store_close(store);
    ck_assert_int_eq(verify(folder), 1);
}
END_TEST

/* ---- the Nth call fails ---- */

static const rg_toy tiny = {2, 1, 1000, 1, 0};

/* A copy without fsync: disks are slow in that. */
static void copy_file(const char *from, const char *to, const char *name)
{
    char path[900], *data = NULL;
    size_t n = 0;
    rg_error err = {0};
    snprintf(path, sizeof path, "%s/%s", from, name);
    RG_ASSERT_OK(rg_fs_read_all(path, 1 << 24, &data, &n, &err), &err);
    snprintf(path, sizeof path, "%s/%s", to, name);
    FILE *file = fopen(path, "wb");
    ck_assert(file && fwrite(data, 1, n, file) == n && fclose(file) == 0);
    free(data);
}

static void make_older(const char *folder)
{
    char original[800];
    snprintf(original, sizeof original, "%s/original", rg_test_folder());
    rg_error err = {0};
    if (!rg_fs_exists(original)) {
        rg_store_close(rg_toy_build(&tiny, original));
        forget(original);
    }
    RG_ASSERT_OK(rg_fs_make_folders(folder, &err), &err);
    copy_file(original, folder, "stems-00000-of-00001.h5");
    copy_file(original, folder, "index.jsonl");
}

/* After whatever happened: the store is whole, and hearing it again ends well. */
static void check_recovery(const char *folder, bool again, int kind, int64_t nth)
{
    rg_error err = {0};
    int64_t heard;
    if (again && rg_store_hear(folder, 1, NULL, &heard, &err) != RG_OK)
        ck_abort_msg("%d %lld, then: %s", kind, (long long)nth, err.text);
    if (verify(folder) != 0) ck_abort_msg("%d %lld: faults", kind, (long long)nth);
    RG_ASSERT_OK(rg_fs_remove_tree(folder, &err), &err);
}

START_TEST(no_failing_call_leaves_half_a_store)
{
    const char *folder = inside("torture");
    int64_t failed = 0;
    for (int kind = RG_FS_FAIL; kind <= RG_FS_FULL; kind++) {
        bool hit = true, harmless = kind == RG_FS_SHORT || kind == RG_FS_EINTR;
        for (int64_t nth = 1; hit; nth += kind == RG_FS_FAIL ? 1 : 7) {
            rg_error err = {0};
            int64_t heard;
            make_older(folder);
            rg_faulty_begin((rg_fault)kind, nth);
            rg_status status = rg_store_hear(folder, 1, NULL, &heard, &err);
            hit = rg_faulty_end();
            failed += status != RG_OK;
            if (status != RG_OK && (!err.text[0] || harmless))
                ck_abort_msg("%d %lld: %s", kind, (long long)nth, err.text);
            check_recovery(folder, status != RG_OK, kind, nth);
        }
    }
    ck_assert_int_gt(failed, 20);
}
END_TEST

START_TEST(a_power_loss_leaves_a_whole_store)
{
    const char *folder = inside("power");
    for (int survive = 0; survive < 2; survive++) {
        bool hit = true;
        for (int64_t nth = 1 + survive; hit; nth += 4) {
            rg_error err = {0};
            int64_t heard;
            make_older(folder);
            rg_faulty_begin(RG_FS_POWER, nth);
            (void)!rg_store_hear(folder, 1, NULL, &heard, &err);
            hit = rg_faulty_end();
            rg_faulty_power_loss(survive != 0);
            check_recovery(folder, true, RG_FS_POWER, nth);
        }
    }
}
END_TEST

RG_TEST_MAIN("store_features", 300, a_store_keeps_what_is_heard,
             an_older_store_is_heard_with_the_same_bits, any_length_and_rate_is_heard,
             another_writer_is_not_disturbed, malformed_features_are_named,
             no_failing_call_leaves_half_a_store, a_power_loss_leaves_a_whole_store)
