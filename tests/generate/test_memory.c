/*
 * Memory of generation: what is counted beforehand, models that take turns, and what is refused.
 */
#include "base/fs.h"
#include "base/hash.h"
#include "generate/memory.h"
#include "session_case.h"

enum { ROLES = 3 };
static const rg_generate_plan plan = {.frames = 100, .takes = 2, .seconds = 2, .rate = 16000};
static const rg_generate_options wish = {.seconds = 2, .takes = 2, .has_seed = true, .seed = 4};

static rg_generate_need count(void)
{
    rg_error err = {0};
    rg_bundle bundle;
    rg_generate_need need;
    RG_ASSERT_OK(rg_bundle_describe(&bundle, in_folder("bundle"), ex, &err), &err);
    ck_assert_int_eq(bundle.loads, 0);
    RG_ASSERT_OK(rg_generate_count(&bundle, &plan, &need, &err), &err);
    rg_bundle_close(&bundle);
    return need;
}

static int64_t least_of(const rg_generate_need *n)
{
    return n->shared + n->caches + n->step + n->scratch + n->data + n->largest;
}

static rg_generate_result made_within(const char *out, int64_t memory)
{
    rg_error err = {0};
    rg_generate_result result;
    char path[1024];
    rg_generate_options o = wish;
    snprintf(path, sizeof path, "%s", in_folder(out));
    o.bundle_folder = in_folder("bundle"), o.out_folder = path;
    o.prompt = "128 bpm", o.rate = plan.rate, o.memory = memory;
    RG_ASSERT_OK(rg_generate(&o, ex, NULL, &result, &err), &err);
    return result;
}

static void assert_same_files(const char *a, const char *b)
{
    static const char *const files[] = {"drums.wav", "bass.wav", "harmony.wav", "take-1/bass.wav",
                                        "codes.safetensors"};
    char path[64], x[65], y[65];
    rg_error err = {0};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", a, files[i]);
        RG_ASSERT_OK(rg_sha256_file(in_folder(path), x, &err), &err);
        snprintf(path, sizeof path, "%s/%s", b, files[i]);
        RG_ASSERT_OK(rg_sha256_file(in_folder(path), y, &err), &err);
        ck_assert_msg(!strcmp(x, y), "%s differs between %s and %s", files[i], a, b);
    }
}

/* With room for all, each model is loaded once; with room for one, at every turn. */
START_TEST(music_is_the_same_within_any_limit)
{
    setup_roles(ROLES);
    const rg_generate_need n = count();
    const int64_t least = least_of(&n);
    ck_assert_int_eq(made_within("free", 0).loads, 2 * ROLES);
    ck_assert_int_eq(made_within("all", least - n.largest + n.weights).loads, 2 * ROLES);
    const int64_t some = made_within("some", least + n.largest).loads;
    const int64_t one = made_within("one", least).loads;
    ck_assert_int_gt(some, 2 * ROLES);
    ck_assert_int_ge(one, some);
    assert_same_files("free", "all");
    assert_same_files("free", "some");
    assert_same_files("free", "one");
    teardown();
}
END_TEST

START_TEST(what_has_no_room_is_refused_at_once)
{
    rg_error err = {0};
    setup_roles(ROLES);
    const rg_generate_need n = count();
    rg_generate_options o = wish;
    o.memory = least_of(&n) - 1;
    ck_assert_int_eq(make("no", o, &err), RG_ERR_NOMEM);
    static const char *const parts[] = {"needs", "MiB of memory at least", "caches", "the codec of",
                                        "make fewer takes at once, or give it more with --memory"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        ck_assert_msg(strstr(err.text, parts[i]) != NULL, "no '%s' in '%s'", parts[i], err.text);
    ck_assert(!rg_fs_exists(in_folder("no")));
    err = (rg_error){0};
    o.takes = 1, o.memory = 1000;
    ck_assert_int_eq(make("no", o, &err), RG_ERR_NOMEM);
    ck_assert_msg(strstr(err.text, "; give it more with --memory") != NULL, "%s", err.text);
    teardown();
}
END_TEST

/* The real passes take what the idle ones said, but for panels of products, whose size is fixed. */
START_TEST(passes_take_what_was_counted)
{
    setup_roles(ROLES);
    const rg_generate_need n = count();
    rg_arena_watch(ex->step);
    made_within("scene", 0);
    const int64_t step = (int64_t)rg_arena_high_water(ex->step);
    ck_assert_msg(step <= n.step && n.step <= 2 * step, "%lld bytes taken, %lld counted",
                  (long long)step, (long long)n.step);
    teardown();
}
END_TEST

/* The part that was not needed for the longest time goes first. */
START_TEST(the_oldest_goes_first)
{
    rg_error err = {0};
    rg_bundle b;
    setup_roles(ROLES);
    RG_ASSERT_OK(rg_bundle_describe(&b, in_folder("bundle"), ex, &err), &err);
    const rg_bundle_part *tracks = b.parts[RG_PART_TRACK];
    b.limit = 2 * tracks[0].size.bytes;
    for (int32_t r = 0; r < 2; r++) RG_ASSERT_OK(rg_bundle_need(&b, RG_PART_TRACK, r, &err), &err);
    RG_ASSERT_OK(rg_bundle_need(&b, RG_PART_TRACK, 0, &err), &err);
    RG_ASSERT_OK(rg_bundle_need(&b, RG_PART_TRACK, 2, &err), &err);
    ck_assert(tracks[0].here && !tracks[1].here && tracks[2].here);
    ck_assert_int_eq(b.loads, 3);
    b.limit = 10;
    ck_assert_int_eq(rg_bundle_need(&b, RG_PART_TRACK, 1, &err), RG_ERR_NOMEM);
    ck_assert_msg(strstr(err.text, "the track of bass takes") != NULL, "%s", err.text);
    rg_bundle_close(&b);
    teardown();
}
END_TEST

RG_TEST_MAIN("memory", 120, music_is_the_same_within_any_limit, what_has_no_room_is_refused_at_once,
             passes_take_what_was_counted, the_oldest_goes_first)
