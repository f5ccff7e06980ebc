/*
 * Generation end to end on an untrained bundle: scenes, seeds, exact locks, regeneration.
 */
#include "audio/audio.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/json.h"
#include "session_case.h"

static void hash_of(const char *name, char hex[65])
{
    rg_error err = {0};
    RG_ASSERT_OK(rg_sha256_file(in_folder(name), hex, &err), &err);
}

static void assert_same(const char *a, const char *b, bool same)
{
    char x[65], y[65];
    hash_of(a, x);
    hash_of(b, y);
    ck_assert_msg(!strcmp(x, y) == same, "%s and %s should %s", a, b, same ? "agree" : "differ");
}

START_TEST(same_seed_same_files)
{
    setup_roles(2);
    make_ok("one", (rg_generate_options){.seconds = 1.7, .has_seed = true, .seed = 5});
    make_ok("two", (rg_generate_options){.seconds = 1.7, .has_seed = true, .seed = 5});
    make_ok("other", (rg_generate_options){.seconds = 1.7, .has_seed = true, .seed = 6});
    assert_same("one/drums.wav", "two/drums.wav", true);
    assert_same("one/bass.wav", "two/bass.wav", true);
    assert_same("one/mix.wav", "two/mix.wav", true);
    assert_same("one/drums.wav", "other/drums.wav", false);
    teardown();
}
END_TEST

/* A text of scene.json, or of a role in it. */
static void scene_says(const char *scene, const char *role, const char *key, char out[128])
{
    rg_error err = {0};
    char path[256];
    size_t i;
    json_t *each;
    snprintf(path, sizeof path, "%s/scene.json", scene);
    json_t *object = rg_json_read(in_folder(path), 1 << 20, &err);
    ck_assert_msg(object != NULL, "%s", err.text);
    const json_t *place = role ? NULL : object;
    json_array_foreach(json_object_get(object, "roles"), i, each)
    {
        if (role && !strcmp(json_string_value(json_object_get(each, "name")), role)) place = each;
    }
    const char *text = json_string_value(json_object_get(place, key));
    ck_assert_msg(text != NULL, "%s: no '%s'", path, key);
    snprintf(out, 128, "%s", text);
    json_decref(object);
}

/* All files of two takes agree, and who made them. */
static void assert_same_take(const char *a, const char *b)
{
    static const char *const files[] = {"drums.wav", "bass.wav", "harmony.wav", "mix.wav",
                                        "codes.safetensors"};
    char x[128], y[128];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(x, sizeof x, "%s/%s", a, files[i]);
        snprintf(y, sizeof y, "%s/%s", b, files[i]);
        assert_same(x, y, true);
    }
    scene_says(a, NULL, "id", x);
    scene_says(b, NULL, "id", y);
    ck_assert_str_eq(x, y);
    scene_says(a, "bass", "seed", x);
    scene_says(b, "bass", "seed", y);
    ck_assert_str_eq(x, y);
    scene_says(a, "bass", "take", x);
    scene_says(b, "bass", "take", y);
    ck_assert_str_eq(x, y);
}

/* Twice with each precision: from nothing, and going on with spans and a lock. */
static void compare_takes(const char *precision, int32_t takes)
{
    char together[32], alone[64], name[64], from[1024], lock[1100], file[64];
    const char *again[] = {"harmony@0.4-0.8", "bass"}, *locks[] = {lock};
    snprintf(together, sizeof together, "%s-%d", precision, takes);
    rg_generate_options o = {
        .seconds = 1, .has_seed = true, .seed = 7, .takes = takes, .precision = precision};
    make_ok(together, o);
    for (int32_t i = 0; i < takes; i++) {
        snprintf(alone, sizeof alone, "%s-alone-%d", together, i);
        snprintf(name, sizeof name, i ? "%s/take-%d" : "%s", together, i);
        o.takes = 1, o.seed = 7 + (uint64_t)i;
        make_ok(alone, o);
        assert_same_take(name, alone);
    }
    snprintf(from, sizeof from, "%s", in_folder(name));
    snprintf(file, sizeof file, "%s/drums.wav", together);
    snprintf(lock, sizeof lock, "drums=%s@0.2-0.7", in_folder(file));
    o = (rg_generate_options){
        .from_folder = from, .regenerate = again, .n_regenerate = 2, .locks = locks, .n_locks = 1};
    snprintf(together, sizeof together, "%s-%d-on", precision, takes);
    o.takes = takes, o.has_seed = true, o.seed = 100;
    make_ok(together, o);
    o.takes = 1, o.seed = 100 + (uint64_t)takes - 1;
    snprintf(alone, sizeof alone, "%s-alone", together);
    make_ok(alone, o);
    snprintf(name, sizeof name, "%s/take-%d", together, takes - 1);
    assert_same_take(name, alone);
}

START_TEST(takes_at_once_are_those_made_alone)
{
    setup_roles(3);
    compare_takes("fp32", 3);
    compare_takes("bf16", 2);
    compare_takes("int8", 7); /* 21 rows: more than a tile has */
    assert_same("int8-7/take-1/bass.wav", "int8-7/take-2/bass.wav", false);
    teardown();
}
END_TEST

static void refused(const char *out, rg_generate_options o, const char *expected)
{
    rg_error err = {0};
    ck_assert_msg(make(out, o, &err) != RG_OK, "should be refused: %s", expected);
    ck_assert_msg(strstr(err.text, expected) != NULL, "expected '%s' in '%s'", expected, err.text);
    ck_assert(!rg_fs_exists(in_folder(out)) || rg_fs_is_folder(in_folder(out)));
}

START_TEST(takes_that_cannot_differ_are_refused)
{
    char from[1024];
    setup_roles(2);
    make_ok("scene", (rg_generate_options){.seconds = 0.5, .takes = 2});
    snprintf(from, sizeof from, "%s", in_folder("scene/take-1"));
    refused("a", (rg_generate_options){.from_folder = from, .takes = 2}, "no role is made anew");
    char lock[1100];
    snprintf(lock, sizeof lock, "drums=%s@0.1-0.2", in_folder("scene/drums.wav"));
    const char *locks[] = {lock}; /* the rest of it is made, with the old seed */
    refused("a",
            (rg_generate_options){.from_folder = from, .takes = 2, .locks = locks, .n_locks = 1},
            "no role is made anew");
    refused("b", (rg_generate_options){.seconds = 1, .takes = 17}, "--takes 17: 1 to 16");
    refused("c", (rg_generate_options){.seconds = 1, .takes = -1}, "--takes -1: 1 to 16");
    ck_assert(!rg_fs_exists(in_folder("a")));
    ck_assert(!rg_fs_exists(in_folder("scene/take-1/take-1")));
    teardown();
}
END_TEST

START_TEST(threads_do_not_change_bits)
{
    rg_error err = {0};
    setup_roles(2);
    make_ok("two-threads", (rg_generate_options){.seconds = 1});
    rg_exec_destroy(ex);
    ex = rg_toy_exec(NULL);
    make_ok("one-thread", (rg_generate_options){.seconds = 1});
    assert_same("two-threads/mix.wav", "one-thread/mix.wav", true);
    (void)err;
    teardown();
}
END_TEST

static void write_noise(const char *name, rg_pcm_type type, int32_t rate, int32_t channels,
                        int64_t frames)
{
    rg_error err = {0};
    size_t bytes = rg_pcm_sample_bytes(type), n = (size_t)(frames * channels);
    rg_pcm pcm = {type, calloc(n, bytes), frames, channels, rate};
    rg_rng rng = rg_rng_make(9, 9);
    for (size_t i = 0; i < n; i++) {
        double v = rg_rng_normal(&rng) * 0.1;
        if (type == RG_PCM_F32)
            ((float *)pcm.samples)[i] = (float)v;
        else
            ((int32_t *)pcm.samples)[i] =
                (int32_t)(v * 0x1p31) & ~((type == RG_PCM_S24 ? 0xff : 0xffff));
    }
    RG_ASSERT_OK(rg_pcm_write_wav(in_folder(name), &pcm, &err), &err);
    rg_pcm_free(&pcm);
}

/* Bytes of the samples [start, end) of two files are equal, and so is the format. */
static void assert_locked(const char *locked, const char *made, int64_t start, int64_t end)
{
    rg_error err = {0};
    rg_pcm a, b;
    RG_ASSERT_OK(rg_pcm_read(in_folder(locked), &a, &err), &err);
    RG_ASSERT_OK(rg_pcm_read(in_folder(made), &b, &err), &err);
    ck_assert_int_eq(a.type, b.type);
    ck_assert_int_eq(a.rate, b.rate);
    ck_assert_int_eq(a.channels, b.channels);
    size_t frame = rg_pcm_sample_bytes(a.type) * (size_t)a.channels;
    char x[65], y[65];
    rg_sha256_of((char *)a.samples + (size_t)start * frame, (size_t)(end - start) * frame, x);
    rg_sha256_of((char *)b.samples + (size_t)start * frame, (size_t)(end - start) * frame, y);
    ck_assert_msg(!strcmp(x, y), "%s: locked samples %lld..%lld changed", made, (long long)start,
                  (long long)end);
    rg_pcm_free(&a);
    rg_pcm_free(&b);
}

START_TEST(locked_files_stay_bit_identical)
{
    static const struct {
        rg_pcm_type type;
        int32_t rate, channels;
        int64_t frames;
    } files[] = {{RG_PCM_S24, 44100, 2, 57331},
                 {RG_PCM_F32, 48000, 2, 60001},
                 {RG_PCM_S16, 22050, 1, 23457}};
    setup_roles(2);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char lock[1100], out[32], made[64];
        write_noise("in.wav", files[i].type, files[i].rate, files[i].channels, files[i].frames);
        snprintf(lock, sizeof lock, "drums=%s", in_folder("in.wav"));
        snprintf(out, sizeof out, "locked-%zu", i);
        snprintf(made, sizeof made, "%s/drums.wav", out);
        const char *locks[] = {lock};
        make_ok(out, (rg_generate_options){.locks = locks, .n_locks = 1});
        assert_locked("in.wav", made, 0, files[i].frames);
        rg_error err = {0};
        rg_pcm pcm;
        RG_ASSERT_OK(rg_pcm_read(in_folder(made), &pcm, &err), &err);
        ck_assert_int_eq(pcm.frames, files[i].frames);
        rg_pcm_free(&pcm);
    }
    teardown();
}
END_TEST

START_TEST(a_locked_span_stays_and_the_rest_is_made)
{
    char lock[1100];
    setup_roles(2);
    write_noise("in.wav", RG_PCM_S24, 44100, 2, 88200);
    snprintf(lock, sizeof lock, "bass=%s@0.5-1.25", in_folder("in.wav"));
    const char *locks[] = {lock};
    make_ok("span", (rg_generate_options){.locks = locks, .n_locks = 1});
    assert_locked("in.wav", "span/bass.wav", 22050, 55125);
    rg_error err = {0};
    rg_pcm a, b;
    RG_ASSERT_OK(rg_pcm_read(in_folder("in.wav"), &a, &err), &err);
    RG_ASSERT_OK(rg_pcm_read(in_folder("span/bass.wav"), &b, &err), &err);
    ck_assert(memcmp(a.samples, b.samples, 4000) != 0);
    rg_pcm_free(&a);
    rg_pcm_free(&b);
    teardown();
}
END_TEST

START_TEST(regenerating_a_role_keeps_all_else)
{
    char from[1024];
    setup_roles(3);
    make_ok("scene", (rg_generate_options){.seconds = 1.5});
    snprintf(from, sizeof from, "%s", in_folder("scene"));
    const char *again[] = {"bass"}, *part[] = {"harmony@0.5-1.0"};
    make_ok("whole",
            (rg_generate_options){.from_folder = from, .regenerate = again, .n_regenerate = 1});
    assert_same("scene/drums.wav", "whole/drums.wav", true);
    assert_same("scene/harmony.wav", "whole/harmony.wav", true);
    assert_same("scene/bass.wav", "whole/bass.wav", false);
    make_ok("part",
            (rg_generate_options){.from_folder = from, .regenerate = part, .n_regenerate = 1});
    assert_same("scene/drums.wav", "part/drums.wav", true);
    assert_same("scene/harmony.wav", "part/harmony.wav", false);
    assert_locked("scene/harmony.wav", "part/harmony.wav", 0, 8000);
    assert_locked("scene/harmony.wav", "part/harmony.wav", 16000, 24000);
    teardown();
}
END_TEST

START_TEST(nothing_to_regenerate_is_a_copy)
{
    char from[1024];
    setup_roles(2);
    make_ok("scene", (rg_generate_options){.seconds = 1});
    snprintf(from, sizeof from, "%s", in_folder("scene"));
    make_ok("copy", (rg_generate_options){.from_folder = from});
    assert_same("scene/drums.wav", "copy/drums.wav", true);
    assert_same("scene/codes.safetensors", "copy/codes.safetensors", true);
    teardown();
}
END_TEST

START_TEST(bad_requests_get_one_line)
{
    char from[1024];
    setup_roles(2);
    make_ok("scene", (rg_generate_options){.seconds = 1});
    snprintf(from, sizeof from, "%s", in_folder("scene"));
    const char *unknown[] = {"viola=x.wav"}, *absent[] = {"drums=nothing-here.wav"},
               *again[] = {"bass@2-1"}, *plain[] = {"bass"}, *set[] = {"tempo=9000"};
    refused("a", (rg_generate_options){.locks = unknown, .n_locks = 1}, "no role 'viola'");
    refused("b", (rg_generate_options){.locks = absent, .n_locks = 1}, "nothing-here.wav");
    refused("c", (rg_generate_options){.from_folder = from, .regenerate = again, .n_regenerate = 1},
            "is empty");
    refused("d", (rg_generate_options){.regenerate = plain, .n_regenerate = 1}, "--from");
    refused("e", (rg_generate_options){.settings = set, .n_settings = 1}, "20 to 400");
    refused("scene", (rg_generate_options){.seconds = 1}, "not empty");
    ck_assert(!rg_fs_exists(in_folder("a")));
    teardown();
}
END_TEST

START_TEST(changed_audio_is_refused)
{
    char from[1024];
    rg_error err = {0};
    setup_roles(2);
    make_ok("scene", (rg_generate_options){.seconds = 1});
    snprintf(from, sizeof from, "%s", in_folder("scene"));
    RG_ASSERT_OK(rg_fs_write_atomic(in_folder("scene/bass.wav"), "x", 1, &err), &err);
    refused("next", (rg_generate_options){.from_folder = from}, "changed since");
    teardown();
}
END_TEST

/* Puts `value` (new reference) in the place of a member of in_folder("scene/scene.json"), or of its
 * first role. */
static void change_scene(bool role, const char *key, json_t *value)
{
    rg_error err = {0};
    json_t *scene = rg_json_read(in_folder("scene/scene.json"), 1 << 20, &err);
    json_t *place = role ? json_array_get(json_object_get(scene, "roles"), 0) : scene;
    ck_assert_int_eq(json_object_set_new(place, key, value), 0);
    RG_ASSERT_OK(rg_json_write(scene, in_folder("scene/scene.json"), &err), &err);
    json_decref(scene);
}

START_TEST(what_a_scene_says_is_checked)
{
    static const struct {
        bool role;
        const char *key, *value, *told;
    } lies[] = {{false, "frames", "7", "in 7 frames"},
                {false, "frame_rate", "49", "frames a second"},
                {false, "seconds", "601", "601 s"},
                {false, "settings", "[7]", "setting 1 is not a text"},
                {false, "settings", "{}", "'settings' is"},
                {false, "roles", "[]", "has 0 roles"},
                {false, "sampling", "{}", "'temperature' is missing"},
                {false, "precision", "\"fp8\"", "precision 'fp8'"},
                {false, "takes", "7", "not a list"},
                {false, "takes", "[\"take-1\", \"../x\"]", "does not name 'take-2'"},
                {true, "seed", "\"-1\"", "seed '-1'"},
                {true, "seed", "\"18446744073709551616\"", "below 2^64"},
                {true, "absent", "0", "not true or false"},
                {true, "locked", "[[1,0]]", "locked span 1"}};
    char from[1024];
    setup_roles(2);
    make_ok("scene", (rg_generate_options){.seconds = 1});
    snprintf(from, sizeof from, "%s", in_folder("scene"));
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        rg_error err = {0};
        char *text;
        size_t n;
        RG_ASSERT_OK(rg_fs_read_all(in_folder("scene/scene.json"), 1 << 20, &text, &n, &err), &err);
        change_scene(lies[i].role, lies[i].key, json_loads(lies[i].value, JSON_DECODE_ANY, NULL));
        refused("next", (rg_generate_options){.from_folder = from}, lies[i].told);
        RG_ASSERT_OK(rg_fs_write_atomic(in_folder("scene/scene.json"), text, n, &err), &err);
        free(text);
    }
    make_ok("next", (rg_generate_options){.from_folder = from});
    teardown();
}
END_TEST

START_TEST(seeds_and_settings_go_on)
{
    char from[1024], again[1024];
    rg_error err = {0};
    const char *set[] = {"tempo=100", "key=A minor"}, *later[] = {"tempo=120"};
    setup_roles(2);
    make_ok(
        "one",
        (rg_generate_options){
            .seconds = 1, .has_seed = true, .seed = INT64_MAX, .settings = set, .n_settings = 2});
    snprintf(from, sizeof from, "%s", in_folder("one"));
    const char *drums[] = {"drums"};
    make_ok("two", (rg_generate_options){.from_folder = from,
                                         .regenerate = drums,
                                         .n_regenerate = 1,
                                         .settings = later,
                                         .n_settings = 1});
    snprintf(again, sizeof again, "%s", in_folder("two"));
    make_ok("three", (rg_generate_options){.from_folder = again});
    json_t *scene = rg_json_read(in_folder("three/scene.json"), 1 << 20, &err);
    const json_t *settings = json_object_get(scene, "settings");
    ck_assert_int_eq((int)json_array_size(settings), 2);
    ck_assert_str_eq(json_string_value(json_array_get(settings, 0)), "key=A minor");
    ck_assert_str_eq(json_string_value(json_array_get(settings, 1)), "tempo=120");
    const json_t *role = json_array_get(json_object_get(scene, "roles"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(role, "seed")), "9223372036854775808");
    json_decref(scene);
    teardown();
}
END_TEST

static void assert_precision(const char *scene_json, const char *expected)
{
    rg_error err = {0};
    json_t *scene = rg_json_read(in_folder(scene_json), 1 << 20, &err);
    ck_assert_msg(scene != NULL, "%s", err.text);
    ck_assert_str_eq(json_string_value(json_object_get(scene, "precision")), expected);
    json_decref(scene);
}

START_TEST(precision_goes_on)
{
    char from[1024];
    const char *drums[] = {"drums"};
    setup_roles(2);
    make_ok("plain", (rg_generate_options){.seconds = 1});
    make_ok("scene", (rg_generate_options){.seconds = 1, .precision = "int8"});
    make_ok("same", (rg_generate_options){.seconds = 1, .precision = "int8"});
    assert_precision("plain/scene.json", "fp32");
    assert_precision("scene/scene.json", "int8");
    assert_same("scene/mix.wav", "same/mix.wav", true);
    snprintf(from, sizeof from, "%s", in_folder("scene"));
    make_ok("again",
            (rg_generate_options){.from_folder = from, .regenerate = drums, .n_regenerate = 1});
    assert_precision("again/scene.json", "int8");
    make_ok("other", (rg_generate_options){.from_folder = from, .precision = "bf16"});
    assert_precision("other/scene.json", "bf16");
    refused("next", (rg_generate_options){.precision = "fp8"},
            "'fp8' is not fp32, fp16, bf16 or int8");
    teardown();
}
END_TEST

START_TEST(a_damaged_bundle_is_refused)
{
    rg_error err = {0};
    char *data;
    size_t n;
    setup_roles(2);
    const char *path = in_folder("bundle/track-bass.safetensors");
    RG_ASSERT_OK(rg_fs_read_all(path, 1 << 26, &data, &n, &err), &err);
    data[n - 5] ^= 1;
    RG_ASSERT_OK(rg_fs_write_atomic(path, data, n, &err), &err);
    free(data);
    refused("next", (rg_generate_options){.seconds = 1}, "track-bass.safetensors");
    teardown();
}
END_TEST

START_TEST(cancel_leaves_nothing)
{
    static volatile sig_atomic_t stop = 2;
    rg_error err = {0};
    setup_roles(2);
    ck_assert_int_eq(make("gone", (rg_generate_options){.seconds = 2, .stop = &stop}, &err),
                     RG_ERR_CANCELLED);
    ck_assert(!rg_fs_exists(in_folder("gone")));
    teardown();
}
END_TEST

START_TEST(five_roles)
{
    setup_roles(5);
    make_ok("five", (rg_generate_options){.seconds = 1});
    ck_assert(rg_fs_exists(in_folder("five/strings.wav")));
    teardown();
}
END_TEST

RG_TEST_MAIN("session", 120, same_seed_same_files, takes_at_once_are_those_made_alone,
             takes_that_cannot_differ_are_refused, threads_do_not_change_bits,
             locked_files_stay_bit_identical, a_locked_span_stays_and_the_rest_is_made,
             regenerating_a_role_keeps_all_else, nothing_to_regenerate_is_a_copy,
             bad_requests_get_one_line, changed_audio_is_refused, what_a_scene_says_is_checked,
             seeds_and_settings_go_on, precision_goes_on, a_damaged_bundle_is_refused,
             cancel_leaves_nothing, five_roles)
