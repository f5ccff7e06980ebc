/*
 * Songs written out of a store: the store's own samples in either format, all that is known about
 * the song, and no half folder whatever call fails.
 */
#include <unistd.h>

#include "audio/audio.h"
#include "base/fs.h"
#include "base/json.h"
#include "faulty_fs.h"
#include "music/features/features.h"
#include "toy_store.h"

static const rg_toy toy = {3, 3, 16000, 2.017, 2};

static const char *inside(const char *name)
{
    static char paths[4][800];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", rg_test_folder(), name);
    return path;
}

static void check_sound(const rg_store *store, int64_t song, int32_t role, const char *path)
{
    rg_error err = {0};
    rg_pcm pcm;
    int64_t n = rg_store_song(store, song)->frames;
    float *x = malloc((size_t)n * sizeof *x);
    RG_ASSERT_OK(rg_pcm_read(path, &pcm, &err), &err);
    RG_ASSERT_OK(rg_store_read(store, song, role, 0, n, x, &err), &err);
    ck_assert_int_eq(pcm.type, RG_PCM_S16);
    ck_assert_int_eq(pcm.frames, n);
    ck_assert_int_eq(pcm.rate, toy.rate);
    ck_assert_int_eq(pcm.channels, 1);
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(((int32_t *)pcm.samples)[i] == (int32_t)(x[i] * 32768) * 65536, "%s: %lld",
                      path, (long long)i);
    rg_pcm_free(&pcm);
    free(x);
}

static double number(const json_t *object, const char *key)
{
    ck_assert_msg(json_is_number(json_object_get(object, key)), "%s is no number", key);
    return json_number_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    ck_assert_msg(value != NULL, "%s is no text", key);
    return value;
}

START_TEST(stems_and_what_is_known)
{
    rg_store *store = rg_toy_build(&toy, inside("store"));
    for (int flac = 0; flac < 2; flac++) {
        rg_error err = {0};
        const char *end = flac ? "flac" : "wav";
        char out[800], path[900];
        snprintf(out, sizeof out, "%s", inside(end));
        RG_ASSERT_OK(rg_store_export(store, 0, out, flac, &err), &err);
        for (int32_t r = 0; r < 2; r++) {
            snprintf(path, sizeof path, "%s/%s.%s", out, rg_toy_role(r), end);
            check_sound(store, 0, r, path);
        }
        snprintf(path, sizeof path, "%s/harmony.%s", out, end); /* absent */
        ck_assert(!rg_fs_exists(path));
        snprintf(path, sizeof path, "%s/song.json", out);
        json_t *song = rg_json_read(path, 1 << 20, &err);
        ck_assert_msg(song != NULL, "%s", err.text);
        RG_ASSERT_OK(rg_json_check_format(song, "resonantgen-song", 1, path, &err), &err);
        ck_assert_str_eq(text(song, "id"), "toy-000");
        ck_assert_str_eq(text(song, "prompt"), "ambient, 90 bpm");
        ck_assert_str_eq(text(song, "split"), "train");
        ck_assert_str_eq(text(song, "store_hash"), rg_store_hash(store));
        RG_ASSERT_NEAR(number(song, "tempo_bpm"), 90, 0);
        ck_assert_str_eq(text(json_object_get(song, "key"), "tonic"), "C");
        ck_assert_str_eq(text(json_object_get(song, "key"), "mode"), "major");
        const json_t *beats = json_object_get(song, "beats_s");
        ck_assert_int_eq(json_array_size(beats), rg_store_song(store, 0)->n_beats);
        RG_ASSERT_NEAR(json_number_value(json_array_get(beats, 2)), 2 * 60 / 90.0, 1e-12);
        const json_t *heard = json_object_get(song, "heard");
        ck_assert_str_eq(text(heard, "version"), RG_FEATURES_VERSION);
        ck_assert(json_is_array(json_object_get(heard, "chords")));
        const json_t *roles = json_object_get(song, "roles");
        ck_assert_int_eq(json_array_size(roles), 3);
        ck_assert(json_is_false(json_object_get(json_array_get(roles, 2), "present")));
        ck_assert(json_is_null(json_object_get(json_array_get(roles, 2), "file")));
        ck_assert(json_is_null(json_object_get(json_array_get(roles, 2), "peak")));
        const json_t *from = json_object_get(song, "provenance");
        ck_assert_str_eq(text(from, "license"), "CC0-1.0");
        ck_assert_str_eq(text(from, "file"), "toy-000");
        ck_assert(json_is_null(json_object_get(from, "soundfont")));
        json_decref(song);
    }
    rg_store_close(store);
}
END_TEST

START_TEST(what_is_not_known_is_null)
{
    rg_error err = {0};
    rg_store_info info = rg_toy_info(&toy);
    rg_store_writer *writer = rg_store_create(inside("store"), &info, &err);
    int16_t x[300] = {1};
    rg_song s = {.frames = 100, .id = "bare", .present = {true}, .key_tonic = -1};
    s.loudness_lufs = -INFINITY;
    memcpy(s.title, "caf\xe9 <b>", 9); /* Latin-1: not UTF-8 */
    rg_provenance p = {.license = "CC0-1.0"};
    RG_ASSERT_OK(rg_store_add(writer, &s, &p, x, &err), &err);
    RG_ASSERT_OK(rg_store_finish(writer, &err), &err);
    rg_store *store = rg_store_open(inside("store"), &err);
    RG_ASSERT_OK(rg_store_export(store, 0, inside("out"), false, &err), &err);
    rg_store_close(store);
    json_t *song = rg_json_read(inside("out/song.json"), 1 << 20, &err);
    ck_assert_msg(song != NULL, "%s", err.text);
    static const char *const unknown[] = {"key", "tempo_bpm", "meter", "genre", "loudness_lufs"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        ck_assert_msg(json_is_null(json_object_get(song, unknown[i])), "%s", unknown[i]);
    ck_assert_str_eq(text(song, "title"), "caf? <b>");
    json_decref(song);
}
END_TEST

START_TEST(a_bad_song_or_a_folder_in_use_is_refused)
{
    rg_error err = {0};
    rg_store *store = rg_toy_build(&toy, inside("store"));
    ck_assert_int_eq(rg_store_export(store, 3, inside("out"), false, &err), RG_ERR_USAGE);
    rg_error_clear(&err);
    ck_assert_int_eq(rg_store_export(store, -1, inside("out"), false, &err), RG_ERR_USAGE);
    rg_error_clear(&err);
    ck_assert(!rg_fs_exists(inside("out")));
    ck_assert_int_eq(rg_store_export(store, 0, inside("store"), false, &err), RG_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "store"));
    rg_store_close(store);
}
END_TEST

/* Each call of the file system fails in turn: the folder is whole or not there. */
START_TEST(a_failing_call_leaves_no_half_folder)
{
    const rg_toy tiny = {2, 1, 1000, 1, 0};
    rg_store *store = rg_toy_build(&tiny, inside("store"));
    char out[800], json[800];
    snprintf(out, sizeof out, "%s", inside("out"));
    snprintf(json, sizeof json, "%s", inside("out/song.json"));
    for (int kind = RG_FS_FAIL; kind <= RG_FS_EINTR; kind++) {
        bool hit = true;
        int64_t nth = 1, failed = 0;
        for (; hit; nth++) {
            rg_error err = {0};
            rg_faulty_begin((rg_fault)kind, nth);
            rg_status status = rg_store_export(store, 0, out, nth % 2, &err);
            hit = rg_faulty_end();
            failed += status != RG_OK;
            bool whole = rg_fs_exists(out);
            if (whole) {
                json_t *song = rg_json_read(json, 1 << 20, &err);
                whole = song != NULL;
                json_decref(song);
                RG_ASSERT_OK(rg_fs_remove_tree(out, &err), &err);
            } else if (status == RG_OK || !err.text[0])
                ck_abort_msg("kind %d, call %lld: nothing and no error", kind, (long long)nth);
            if (status == RG_OK && !whole) ck_abort_msg("kind %d, call %lld", kind, (long long)nth);
        }
        ck_assert_int_gt(nth, 10);
        if (kind == RG_FS_FAIL || kind == RG_FS_FULL) ck_assert_int_gt(failed, 3);
        if (kind == RG_FS_EINTR || kind == RG_FS_SHORT) ck_assert_int_eq(failed, 0);
    }
    rg_store_close(store);
}
END_TEST

RG_TEST_MAIN("store export", 100, stems_and_what_is_known, what_is_not_known_is_null,
             a_bad_song_or_a_folder_in_use_is_refused, a_failing_call_leaves_no_half_folder)
