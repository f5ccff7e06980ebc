/*
 * Leaks between sides of the split, and imports that are stopped and go on.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "datasets/importers/import_print.h"
#include "import_tree.h"

enum { SECONDS = 24, LENGTH = SECONDS * RATE };

/* Music of a kind: notes of a few partials at seeded times and pitches. */
static void play(float *out, int64_t n, uint64_t seed)
{
    rg_rng rng = rg_rng_make(seed, 0);
    for (int note = 0; note < 8 * SECONDS; note++) {
        int64_t start = (int64_t)rg_rng_below(&rng, (uint64_t)n);
        int64_t length = RATE / 8 + (int64_t)rg_rng_below(&rng, RATE / 2);
        double hz = 110 * pow(2, (double)rg_rng_below(&rng, 48) / 12);
        for (int64_t i = 0; i < length && start + i < n; i++)
            for (int k = 1; k <= 4; k++)
                out[start + i] += (float)(0.06 / k * exp(-3.0 * (double)i / RATE) *
                                          sin(6.283185307179586 * hz * k * (double)i / RATE));
    }
}

/* Its frames from `first` on, louder or not, as 16-bit or float. */
static void record(const char *path, uint64_t seed, int64_t first, float gain, rg_pcm_type type)
{
    rg_audio a = {0};
    rg_error err = {0};
    RG_ASSERT_OK(rg_audio_make(&a, LENGTH, 1, RATE, &err), &err);
    play(a.samples, LENGTH, seed);
    memmove(a.samples, a.samples + first, (size_t)(LENGTH - first) * sizeof *a.samples);
    a.frames = LENGTH - first;
    for (int64_t i = 0; i < a.frames; i++) a.samples[i] *= gain;
    make_parent(path);
    RG_ASSERT_OK(rg_audio_write_wav(at(path), &a, type, NULL, &err), &err);
    rg_audio_free(&a);
}

START_TEST(near_doubles_share_a_side)
{
    record("in/train/A/drums.wav", 1, 0, 1, RG_PCM_S16);
    record("in/test/B/drums.wav", 1, 3001, 0.5f, RG_PCM_F32); /* quieter, and cut */
    record("in/train/C/drums.wav", 2, 0, 1, RG_PCM_S16);
    record("in/valid/D/drums.wav", 3, 0, 1, RG_PCM_S16);
    rg_store *store = imported("folder", "in");
    ck_assert_int_eq(song_of(store, "A")->split, RG_SPLIT_TEST);
    ck_assert_int_eq(song_of(store, "B")->split, RG_SPLIT_TEST);
    ck_assert_int_eq(song_of(store, "C")->split, RG_SPLIT_TRAIN);
    ck_assert_int_eq(song_of(store, "D")->split, RG_SPLIT_VALID);
    ck_assert_str_eq(song_of(store, "A")->group, song_of(store, "B")->group);
    ASSERT_TOLD("B: sounds like 'A'");
    ASSERT_TOLD("A: moved from train to test, beside its double");
    rg_store_close(store);
}
END_TEST

/* A song of two data sets: the second one's copy goes where the first one's lies. */
static void check_beside(rg_import_downmix downmix_of_first)
{
    char first[1400];
    rg_error err = {0};
    static const char *const former[] = {"in", "first", "store"};
    for (int k = 0; k < 3; k++) RG_ASSERT_OK(rg_fs_remove_tree(at(former[k]), &err), &err);
    record("in/test/Liz Nobody - Rainfall/drums.wav", 1, 0, 1, RG_PCM_S16);
    record("in/train/Other/drums.wav", 2, 0, 1, RG_PCM_S16);
    rg_store_close(imported_with("folder", "in", (rg_import_options){.downmix = downmix_of_first}));
    snprintf(first, sizeof first, "%s", at("first"));
    ck_assert_int_eq(rename(at("store"), first), 0);
    RG_ASSERT_OK(rg_fs_remove_tree(at("in"), &err), &err);
    record("in/train/LizNobody_Rainfall/bass.wav", 7, 0, 1, RG_PCM_S16); /* the name alone */
    record("in/test/Copy/bass.wav", 2, 500, 0.7f, RG_PCM_S16);           /* the sound alone */
    record("in/valid/New/bass.wav", 8, 0, 1, RG_PCM_S16);
    rg_store *store = imported_with("folder", "in", (rg_import_options){.beside = first});
    ck_assert_int_eq(rg_store_songs(store), 3);
    ck_assert_int_eq(song_of(store, "LizNobody Rainfall")->split, RG_SPLIT_TEST);
    ck_assert_int_eq(song_of(store, "Copy")->split, RG_SPLIT_TRAIN);
    ck_assert_int_eq(song_of(store, "New")->split, RG_SPLIT_VALID);
    ASSERT_TOLD("is named as 'Liz Nobody - Rainfall' of the store beside");
    ASSERT_TOLD("Copy: sounds like 'Other' of the store beside");
    ASSERT_TOLD("Copy: moved from test to train");
    rg_store_close(store);
}

START_TEST(store_beside)
{
    check_beside(RG_IMPORT_MEAN);
    check_beside(RG_IMPORT_KEEP); /* a mono copy of what a stereo store has */
}
END_TEST

static void count_pair(void *ctx, int64_t a, int64_t b)
{
    ck_assert_msg(b == a + 1 && a % 2 == 0, "%d is said to sound like %d", (int)a, (int)b);
    ++*(int *)ctx;
}

START_TEST(prints_of_many_songs)
{
    enum { SONGS = 24 };
    static rg__print prints[SONGS];
    const rg__print *all[SONGS];
    float *x = calloc(LENGTH, sizeof *x);
    for (uint64_t i = 0; i < SONGS; i++) {
        rg_error err = {0};
        memset(x, 0, LENGTH * sizeof *x);
        play(x, LENGTH, i == 5 ? 99 : i / 2); /* in pairs, but for 4 and 5 */
        for (int64_t k = 0; i % 2 && k < LENGTH; k++) x[k] = roundf(x[k] * 400) / 400; /* 8 bit */
        RG_ASSERT_OK(rg__print_make(x, LENGTH, &prints[i], &err), &err);
        ck_assert_int_ge(prints[i].n, RG__PRINT_LEAST);
        all[i] = &prints[i];
    }
    free(x);
    int pairs = 0;
    rg_error err = {0};
    all[7] = NULL;
    RG_ASSERT_OK(rg__print_compare(all, SONGS, count_pair, &pairs, &err), &err);
    ck_assert_int_eq(pairs, SONGS / 2 - 2);
}
END_TEST

/* ---- stopped imports ---- */

START_TEST(killed_import_goes_on)
{
    int kills = 0;
    char path[64], root[1400], out[1400];
    snprintf(root, sizeof root, "%s", at("in"));
    snprintf(out, sizeof out, "%s", at("store"));
    for (int i = 0; i < 6; i++) {
        snprintf(path, sizeof path, "in/Song %d/drums.wav", i);
        record(path, (uint64_t)i, 0, 1, RG_PCM_S16);
    }
    for (useconds_t delay = 20000; !rg_fs_exists(at("store/index.jsonl")); delay += 30000) {
        pid_t child = fork();
        if (child == 0) {
            rg_error err = {0};
            _exit(import_from("folder", root, out, (rg_import_options){0}, &err) != RG_OK);
        }
        usleep(delay);
        kill(child, SIGKILL);
        int status = 0;
        waitpid(child, &status, 0);
        ck_assert_msg(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "exit %d",
                      WEXITSTATUS(status));
        kills += WIFSIGNALED(status);
    }
    ck_assert_int_gt(kills, 0);
    rg_error err = {0};
    char hash[65];
    int64_t faults = -1;
    rg_store *store = rg_store_open(at("store"), &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    ck_assert_int_eq(rg_store_songs(store), 6);
    snprintf(hash, sizeof hash, "%s", rg_store_hash(store));
    rg_store_close(store);
    RG_ASSERT_OK(rg_store_verify(at("store"), NULL, NULL, &faults, &err), &err);
    ck_assert_int_eq(faults, 0);
    RG_ASSERT_OK(rg_fs_remove_tree(at("store"), &err), &err);
    store = imported("folder", "in"); /* at one go: the same store */
    ck_assert_str_eq(rg_store_hash(store), hash);
    rg_store_close(store);
}
END_TEST

/* What an earlier attempt stored is made again when it changed, and forgotten when it is gone. */
START_TEST(changed_songs_are_imported_again)
{
    rg_error err = {0};
    MAKE("in/train/A/drums.wav", 200, 0.3);
    MAKE("in/train/B/drums.wav", 300, 0.3);
    MAKE("in/train/C/drums.wav", 400, 0.3);
    write_text("in/test/D/drums.wav", "not sound");
    ck_assert_int_eq(import("folder", "in", (rg_import_options){0}, &err), RG_ERR_FORMAT);
    MAKE("in/train/B/drums.wav", 350, 0.3, .frames = 2 * SECOND); /* another content */
    MAKE("in/test/D/drums.wav", 200, 0.3);                        /* a double of A, to be tested */
    RG_ASSERT_OK(rg_fs_remove_tree(at("in/train/C"), &err), &err);
    rg_store *store = imported("folder", "in");
    ck_assert_int_eq(rg_store_songs(store), 3);
    ck_assert_int_eq(song_of(store, "A")->split, RG_SPLIT_TEST);
    ck_assert_int_eq(song_of(store, "B")->frames, 2 * SECOND);
    ck_assert_int_eq(song_of(store, "D")->split, RG_SPLIT_TEST);
    rg_store_close(store);
}
END_TEST

START_TEST(jobs_make_the_same_store)
{
    char hash[65] = "", path[64];
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "in/Song %d/bass.wav", i);
        MAKE(path, 100 + 10 * i, 0.3);
    }
    for (int jobs = 1; jobs <= 7; jobs += 2) {
        rg_error err = {0};
        rg_store *store = imported_with("folder", "in", (rg_import_options){.jobs = jobs});
        if (hash[0]) ck_assert_str_eq(rg_store_hash(store), hash);
        snprintf(hash, sizeof hash, "%s", rg_store_hash(store));
        rg_store_close(store);
        RG_ASSERT_OK(rg_fs_remove_tree(at("store"), &err), &err);
    }
}
END_TEST

RG_TEST_MAIN("import splits", 60, near_doubles_share_a_side, store_beside, prints_of_many_songs,
             killed_import_goes_on, changed_songs_are_imported_again, jobs_make_the_same_store)
