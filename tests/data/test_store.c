/*
 * The stem store: round trip, roles as data, damage, killed and failing builders.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hdf5.h>

#include "base/fs.h"
#include "base/hash.h"
#include "faulty_fs.h"
#include "toy_store.h"

static const char *store_folder(const char *name)
{
    static char path[700];
    snprintf(path, sizeof path, "%s/%s", rg_test_folder(), name);
    return path;
}

static void check_round_trip(const rg_toy *toy, const rg_store *store)
{
    ck_assert_int_eq(rg_store_roles(store), toy->roles);
    ck_assert_int_eq(rg_store_songs(store), toy->songs);
    for (int32_t i = 0; i < toy->songs; i++) {
        char id[RG_ID_SIZE];
        snprintf(id, sizeof id, "toy-%03d", i);
        int64_t song = rg_store_find_song(store, id);
        ck_assert_int_ge(song, 0);
        const rg_song *s = rg_store_song(store, song);
        int16_t *x = malloc((size_t)s->frames * sizeof *x);
        float *y = malloc((size_t)s->frames * sizeof *y);
        for (int32_t r = 0; r < toy->roles; r++) {
            rg_error err = {0};
            RG_ASSERT_OK(rg_store_read(store, song, r, 0, s->frames, y, &err), &err);
            rg_toy_row(toy, i, r, s->frames, x);
            for (int64_t k = 0; k < s->frames; k++)
                ck_assert_msg(y[k] == (s->present[r] ? x[k] / 32768.0f : 0), "%s %d %lld", id, r,
                              (long long)k);
        }
        free(x);
        free(y);
    }
}

START_TEST(round_trip_with_two_and_five_roles)
{
    const rg_toy toys[] = {{2, 4, 16000, 3.3, 0}, {5, 3, 22050, 2.017, 3}};
    for (int i = 0; i < 2; i++) {
        rg_store *store = rg_toy_build(&toys[i], store_folder(i ? "five" : "two"));
        check_round_trip(&toys[i], store);
        const rg_song *s = rg_store_song(store, 1);
        RG_ASSERT_NEAR(s->tempo_bpm, 100, 1e-12);
        ck_assert_int_eq(s->meter, 4);
        ck_assert_int_eq(s->key_tonic, 1);
        RG_ASSERT_NEAR(s->beats[2], 2 * 60 / 100.0, 1e-12);
        ck_assert_str_eq(s->license, "CC0-1.0");
        ck_assert_str_eq(s->instruments[0], "noise");
        ck_assert_int_eq(rg_store_song(store, rg_store_songs(store) - 1)->split, RG_SPLIT_TEST);
        ck_assert_int_eq(rg_store_find_role(store, "bass"), 1);
        ck_assert_int_eq(rg_store_find_role(store, "violin"), -1);
        ck_assert_int_eq(rg_store_find_song(store, "nobody"), -1);
        rg_store_close(store);
    }
}
END_TEST

START_TEST(reads_beyond_the_song_are_zeros)
{
    const rg_toy toy = {2, 3, 8000, 1, 0};
    rg_store *store = rg_toy_build(&toy, store_folder("edges"));
    rg_error err = {0};
    float a[8000], b[100];
    RG_ASSERT_OK(rg_store_read(store, 0, 0, 0, 8000, a, &err), &err);
    RG_ASSERT_OK(rg_store_read(store, 0, 0, -50, 100, b, &err), &err);
    for (int i = 0; i < 100; i++) ck_assert(b[i] == (i < 50 ? 0 : a[i - 50]));
    RG_ASSERT_OK(rg_store_read(store, 0, 0, 7950, 100, b, &err), &err);
    for (int i = 0; i < 100; i++) ck_assert(b[i] == (i < 50 ? a[7950 + i] : 0));
    RG_ASSERT_OK(rg_store_read(store, 0, 0, 9000, 100, b, &err), &err);
    for (int i = 0; i < 100; i++) ck_assert(b[i] == 0);
    ck_assert_int_eq(rg_store_read(store, 0, 2, 0, 1, b, &err), RG_ERR_USAGE);
    rg_store_close(store);
}
END_TEST

START_TEST(activity_says_where_a_role_sounds)
{
    const rg_toy toy = {3, 3, 16000, 20, 2};
    rg_store *store = rg_toy_build(&toy, store_folder("activity"));
    ck_assert(rg_store_active_share(store, 0, 2, 0, 16000) == 0); /* absent */
    double whole = rg_store_active_share(store, 1, 1, 0, 20 * 16000);
    ck_assert_msg(whole > 0.6 && whole < 0.95, "share %g", whole); /* pauses one bar in five */
    const rg_song *s = rg_store_song(store, 1);
    int64_t quiet = 0;
    for (int64_t b = 0; b < s->n_activity; b++) {
        float x[1600];
        rg_error err = {0};
        double energy = 0;
        RG_ASSERT_OK(rg_store_read(store, 1, 1, b * 1600, 1600, x, &err), &err);
        for (int i = 0; i < 1600; i++) energy += (double)x[i] * x[i];
        double level = 10 * log10(energy / 1600 + 1e-12);
        if (level > -90) RG_ASSERT_NEAR(s->activity[s->n_activity + b], level + 96, 0.51);
        quiet += level < -60;
    }
    ck_assert_int_gt(quiet, 0);
    rg_store_close(store);
}
END_TEST

/* ---- damage ---- */

typedef struct faults {
    int n;
    char song[64], what[512];
} faults;

static void note_fault(void *ctx, const char *song, const char *what)
{
    faults *f = ctx;
    f->n++;
    snprintf(f->song, sizeof f->song, "%s", song);
    snprintf(f->what, sizeof f->what, "%s", what);
}

static faults verify(const char *folder)
{
    faults f = {0};
    int64_t n = 0;
    rg_error err = {0};
    RG_ASSERT_OK(rg_store_verify(folder, note_fault, &f, &n, &err), &err);
    ck_assert_int_eq(n, f.n);
    return f;
}

static void flip(const char *path, int64_t at)
{
    int fd = open(path, O_RDWR);
    unsigned char byte;
    ck_assert(pread(fd, &byte, 1, at) == 1);
    byte ^= 1;
    ck_assert(pwrite(fd, &byte, 1, at) == 1);
    close(fd);
}

START_TEST(verify_finds_a_flipped_byte_anywhere)
{
    const rg_toy toy = {2, 3, 8000, 2, 0};
    const char *folder = store_folder("flip");
    rg_store_close(rg_toy_build(&toy, folder));
    ck_assert_int_eq(verify(folder).n, 0);
    char path[800];
    snprintf(path, sizeof path, "%s/stems-00000-of-00001.h5", folder);
    int64_t size = rg_fs_size(path), named = 0;
    for (int64_t at = 0; at < size; at += 1009) {
        flip(path, at);
        faults f = verify(folder);
        ck_assert_msg(f.n >= 1, "byte %lld of %lld", (long long)at, (long long)size);
        named += strncmp(f.song, "toy-", 4) == 0;
        flip(path, at);
    }
    ck_assert_msg(named > size / 1009 / 2, "only %lld faults named a song", (long long)named);
    ck_assert_int_eq(verify(folder).n, 0);
}
END_TEST

/* Zeroes one role of the first song and mends its checksums, as a careless program would. */
static void write_zeros(const char *path, const rg_toy *toy)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t set = H5Dopen2(file, "/audio/toy-000", H5P_DEFAULT);
    size_t n = (size_t)(toy->seconds * toy->rate) * (size_t)toy->roles;
    int16_t *x = malloc(n * sizeof *x);
    ck_assert(H5Dread(set, H5T_NATIVE_INT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    memset(x + n / 2, 0, n / 2 * sizeof *x);
    ck_assert(H5Dwrite(set, H5T_NATIVE_INT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    uint64_t sum = rg_xxh3(x, n * sizeof *x), sums[8];
    ck_assert_int_le(toy->songs, 8);
    hid_t attr = H5Aopen(set, "xxh3", H5P_DEFAULT);
    ck_assert(H5Awrite(attr, H5T_NATIVE_UINT64, &sum) >= 0);
    H5Aclose(attr);
    H5Dclose(set);
    set = H5Dopen2(file, "/summary/xxh3", H5P_DEFAULT);
    ck_assert(H5Dread(set, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, sums) >= 0);
    sums[0] = sum;
    ck_assert(H5Dwrite(set, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, sums) >= 0);
    H5Dclose(set);
    H5Fclose(file);
    free(x);
}

START_TEST(verify_names_the_song_with_a_role_of_zeros)
{
    const rg_toy toy = {2, 3, 8000, 2, 0};
    const char *folder = store_folder("zeros");
    rg_store_close(rg_toy_build(&toy, folder));
    char path[800];
    snprintf(path, sizeof path, "%s/stems-00000-of-00001.h5", folder);
    write_zeros(path, &toy);
    faults f = verify(folder);
    ck_assert_str_eq(f.song, "toy-000");
    ck_assert_ptr_nonnull(strstr(f.what, "bass"));
}
END_TEST

START_TEST(a_role_of_zeros_is_refused_when_it_is_added)
{
    const rg_toy toy = {2, 3, 8000, 1, 0};
    rg_store_info info = rg_toy_info(&toy);
    rg_error err = {0};
    rg_store_writer *writer = rg_store_create(store_folder("refused"), &info, &err);
    int16_t *x = calloc(2 * 8000, sizeof *x);
    rg_song s = {.frames = 8000, .id = "silent", .present = {true, true}};
    x[5] = 1;
    rg_provenance p = {.license = "CC0-1.0"};
    ck_assert_int_eq(rg_store_add(writer, &s, &p, x, &err), RG_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "bass"));
    rg_error_clear(&err);
    s.present[1] = false;
    RG_ASSERT_OK(rg_store_add(writer, &s, &p, x, &err), &err);
    p.license = "";
    ck_assert_int_eq(rg_store_add(writer, &s, &p, x, &err), RG_ERR_USAGE);
    rg_store_abandon(writer);
    free(x);
}
END_TEST

START_TEST(an_incomplete_or_foreign_store_is_refused)
{
    const rg_toy toy = {2, 3, 8000, 2, 0};
    char folder[700], path[800];
    snprintf(folder, sizeof folder, "%s", store_folder("cut"));
    rg_store_close(rg_toy_build(&toy, folder));
    snprintf(path, sizeof path, "%s/stems-00000-of-00001.h5", folder);
    int64_t size = rg_fs_size(path);
    ck_assert(truncate(path, size - 100) == 0);
    rg_error err = {0};
    ck_assert_ptr_null(rg_store_open(folder, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "stems-00000-of-00001.h5"));
    ck_assert_int_eq(verify(folder).n, 1);

    rg_error_clear(&err);
    ck_assert_ptr_null(rg_store_open(store_folder("nowhere"), &err));
    ck_assert_ptr_nonnull(strstr(err.text, "no stem store"));

    rg_error_clear(&err);
    rg_store_info info = rg_toy_info(&toy);
    snprintf(folder, sizeof folder, "%s", store_folder("unfinished"));
    rg_store_abandon(rg_store_create(folder, &info, &err));
    ck_assert_ptr_null(rg_store_open(folder, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "not finished"));

    rg_error_clear(&err);
    info.rate = 16000;
    ck_assert_ptr_null(rg_store_create(folder, &info, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "sample_rate"));
}
END_TEST

START_TEST(shards_are_cut_at_the_wanted_size)
{
    const rg_toy toy = {2, 5, 8000, 2, 0};
    char folder[700], path[800];
    snprintf(folder, sizeof folder, "%s", store_folder("shards"));
    rg_store_info info = rg_toy_info(&toy);
    info.shard_bytes = 100000; /* a song takes about 80 kB */
    rg_error err = {0};
    rg_store_writer *writer = rg_store_create(folder, &info, &err);
    for (int32_t i = 0; i < toy.songs; i++) RG_ASSERT_OK(rg_toy_add(&toy, writer, i, &err), &err);
    RG_ASSERT_OK(rg_store_finish(writer, &err), &err);
    snprintf(path, sizeof path, "%s/stems-00004-of-00005.h5", folder);
    ck_assert(rg_fs_exists(path));
    rg_store *store = rg_store_open(folder, &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    check_round_trip(&toy, store);
    rg_store_close(store);
    ck_assert_int_eq(verify(folder).n, 0);
}
END_TEST

/* ---- killed and failing builders ---- */

/* Adds every missing song and finishes; runs in a child that may be killed. */
static void build_all(const rg_toy *toy, const char *folder)
{
    rg_error err = {0};
    rg_store_info info = rg_toy_info(toy);
    rg_store_writer *writer = rg_store_create(folder, &info, &err);
    if (!writer) _exit(3);
    for (int32_t i = 0; i < toy->songs; i++) {
        char id[RG_ID_SIZE];
        snprintf(id, sizeof id, "toy-%03d", i);
        if (!rg_store_has(writer, id) && rg_toy_add(toy, writer, i, &err) != RG_OK) _exit(4);
    }
    _exit(rg_store_finish(writer, &err) == RG_OK ? 0 : 5);
}

static bool finished(const char *folder)
{
    char path[800];
    snprintf(path, sizeof path, "%s/index.jsonl", folder);
    return rg_fs_exists(path);
}

START_TEST(a_killed_build_goes_on)
{
    const rg_toy toy = {4, 12, 16000, 4, 0};
    char folder[700], clean[700], hash[65];
    snprintf(clean, sizeof clean, "%s", store_folder("clean"));
    rg_store *store = rg_toy_build(&toy, clean);
    snprintf(hash, sizeof hash, "%s", rg_store_hash(store));
    rg_store_close(store);
    for (int round = 0; round < 4; round++) {
        snprintf(folder, sizeof folder, "%s/killed-%d", rg_test_folder(), round);
        int kills = 0;
        for (useconds_t delay = 3000; !finished(folder); delay += 7000 + 1000 * (useconds_t)round) {
            pid_t child = fork();
            if (child == 0) build_all(&toy, folder);
            usleep(delay);
            kill(child, SIGKILL);
            int status = 0;
            waitpid(child, &status, 0);
            ck_assert_msg(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "exit %d",
                          WEXITSTATUS(status));
            kills += WIFSIGNALED(status);
        }
        rg_error err = {0};
        store = rg_store_open(folder, &err);
        ck_assert_msg(store != NULL, "%s", err.text);
        ck_assert_str_eq(rg_store_hash(store), hash);
        rg_store_close(store);
        ck_assert_int_eq(verify(folder).n, 0);
        ck_assert_int_gt(kills, 0);
    }
}
END_TEST

START_TEST(a_full_disk_leaves_no_half_store)
{
    const rg_toy toy = {2, 4, 8000, 2, 0};
    int failures = 0;
    for (rlim_t limit = 2000; limit < 600000; limit += 37000) {
        char folder[700];
        snprintf(folder, sizeof folder, "%s/full-%ld", rg_test_folder(), (long)limit);
        pid_t child = fork();
        if (child == 0) {
            signal(SIGXFSZ, SIG_IGN); /* writes beyond the limit fail with EFBIG */
            setrlimit(RLIMIT_FSIZE, &(struct rlimit){limit, limit});
            build_all(&toy, folder);
        }
        int status = 0;
        waitpid(child, &status, 0);
        ck_assert_msg(WIFEXITED(status), "limit %ld: died of signal %d", (long)limit,
                      WTERMSIG(status));
        ck_assert_int_eq(WEXITSTATUS(status) == 0, finished(folder));
        failures += WEXITSTATUS(status) != 0;
        child = fork();
        if (child == 0 && finished(folder)) _exit(0);
        if (child == 0) build_all(&toy, folder);
        waitpid(child, &status, 0);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "limit %ld: then exit %d",
                      (long)limit, WEXITSTATUS(status));
        ck_assert_int_eq(verify(folder).n, 0);
    }
    ck_assert_int_ge(failures, 4);
}
END_TEST

/* ---- the Nth call fails ---- */

static rg_status try_build(const rg_toy *toy, const char *folder, rg_error *err)
{
    rg_store_info info = rg_toy_info(toy);
    rg_store_writer *writer = rg_store_create(folder, &info, err);
    if (!writer) return err->code;
    for (int32_t i = 0; i < toy->songs; i++) {
        char id[RG_ID_SIZE];
        snprintf(id, sizeof id, "toy-%03d", i);
        rg_status status = rg_store_has(writer, id) ? RG_OK : rg_toy_add(toy, writer, i, err);
        if (status == RG_OK) continue;
        rg_store_abandon(writer);
        return status;
    }
    return rg_store_finish(writer, err);
}

/* After whatever happened: what is there is whole, and building again makes it whole. */
static void check_recovery(const rg_toy *toy, const char *folder, const char *what, int64_t nth)
{
    rg_error err = {0};
    if (finished(folder)) {
        rg_store *store = rg_store_open(folder, &err);
        if (!store) ck_abort_msg("%s %lld: %s", what, (long long)nth, err.text);
        rg_store_close(store);
    } else if (try_build(toy, folder, &err) != RG_OK) {
        ck_abort_msg("%s %lld, then: %s", what, (long long)nth, err.text);
    }
    if (verify(folder).n != 0) ck_abort_msg("%s %lld: faults", what, (long long)nth);
    RG_ASSERT_OK(rg_fs_remove_tree(folder, &err), &err);
}

static const rg_toy tiny = {2, 1, 1000, 1, 0};

/* Every call is at fault once, or every RG_TEST_STRIDE-th where each takes long (valgrind). */
static int64_t stride(void)
{
    const char *text = getenv("RG_TEST_STRIDE");
    const int64_t n = text ? atoi(text) : 1;
    return n > 1 ? n : 1;
}

/* Builds with the Nth call at fault for every N; how many builds failed. */
static int64_t torture(rg_fault kind, const char *name)
{
    const char *folder = store_folder(name);
    bool hit = true, harmless = kind == RG_FS_SHORT || kind == RG_FS_EINTR;
    int64_t failed = 0, nth = 1;
    for (; hit; nth += stride()) {
        rg_error err = {0};
        rg_faulty_begin(kind, nth);
        rg_status status = try_build(&tiny, folder, &err);
        hit = rg_faulty_end();
        failed += status != RG_OK;
        if (status != RG_OK && (!err.text[0] || harmless))
            ck_abort_msg("%s %lld: %s", name, (long long)nth, err.text);
        check_recovery(&tiny, folder, name, nth);
    }
    ck_assert_msg(nth > 20, "%s: only %lld calls", name, (long long)nth);
    return failed;
}

START_TEST(a_failing_call_fails_the_build_and_no_more)
{
    ck_assert_int_gt(torture(RG_FS_FAIL, "EIO"), 10);
}
END_TEST

START_TEST(a_disk_that_fills_up_fails_the_build_and_no_more)
{
    ck_assert_int_gt(torture(RG_FS_FULL, "disk full"), 10);
}
END_TEST

START_TEST(short_and_interrupted_calls_are_gone_over)
{
    ck_assert_int_eq(torture(RG_FS_SHORT, "short"), 0);
    ck_assert_int_eq(torture(RG_FS_EINTR, "interrupted"), 0);
}
END_TEST

START_TEST(a_power_loss_leaves_a_whole_store_or_one_that_goes_on)
{
    const char *folder = store_folder("power");
    for (int survive = 0; survive < 2; survive++) {
        bool hit = true;
        for (int64_t nth = 1; hit; nth += 3 * stride()) {
            rg_error err = {0};
            rg_faulty_begin(RG_FS_POWER, nth);
            (void)!try_build(&tiny, folder, &err);
            hit = rg_faulty_end();
            rg_faulty_power_loss(survive != 0);
            check_recovery(&tiny, folder, survive ? "power, names kept" : "power", nth);
        }
    }
}
END_TEST

START_TEST(reading_survives_a_failure_of_every_call)
{
    char folder[700];
    snprintf(folder, sizeof folder, "%s", store_folder("reading"));
    rg_store_close(rg_toy_build(&tiny, folder));
    float x[1000], y[1000];
    rg_error clean = {0};
    rg_store *store = rg_store_open(folder, &clean);
    RG_ASSERT_OK(rg_store_read(store, 0, 1, 0, 1000, x, &clean), &clean);
    rg_store_close(store);
    for (int kind = RG_FS_FAIL; kind <= RG_FS_EINTR; kind++) {
        bool hit = true;
        for (int64_t nth = 1; hit; nth++) {
            rg_error err = {0};
            rg_faulty_begin((rg_fault)kind, nth);
            store = rg_store_open(folder, &err);
            rg_status status = store ? rg_store_read(store, 0, 1, 0, 1000, y, &err) : err.code;
            rg_store_close(store);
            hit = rg_faulty_end();
            bool right = status == RG_OK ? memcmp(x, y, sizeof x) == 0 : err.text[0] != 0;
            if (!right || (kind != RG_FS_FAIL && status != RG_OK))
                ck_abort_msg("kind %d, call %lld: %s", kind, (long long)nth, err.text);
        }
    }
}
END_TEST

RG_TEST_MAIN("store", 300, round_trip_with_two_and_five_roles, reads_beyond_the_song_are_zeros,
             activity_says_where_a_role_sounds, verify_finds_a_flipped_byte_anywhere,
             verify_names_the_song_with_a_role_of_zeros,
             a_role_of_zeros_is_refused_when_it_is_added, an_incomplete_or_foreign_store_is_refused,
             shards_are_cut_at_the_wanted_size, a_killed_build_goes_on,
             a_full_disk_leaves_no_half_store, a_failing_call_fails_the_build_and_no_more,
             a_disk_that_fills_up_fails_the_build_and_no_more,
             short_and_interrupted_calls_are_gone_over,
             a_power_loss_leaves_a_whole_store_or_one_that_goes_on,
             reading_survives_a_failure_of_every_call)
