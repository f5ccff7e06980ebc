/*
 * What decides a scene besides its options: the sentence, and what is heard in locked files.
 */
#include "audio/audio.h"
#include "base/fs.h"
#include "base/json.h"
#include "session_case.h"

/* Seconds of a stem; 0: there is none. */
static double seconds_of(const char *scene, const char *role)
{
    char path[1100];
    rg_error err = {0};
    rg_audio audio = {0};
    snprintf(path, sizeof path, "%s/%s.wav", in_folder(scene), role);
    if (!rg_fs_exists(path)) return 0;
    RG_ASSERT_OK(rg_audio_read(path, &audio, &err), &err);
    const double seconds = (double)audio.frames / audio.rate;
    rg_audio_free(&audio);
    return seconds;
}

START_TEST(the_prompt_says_which_tracks_and_how_long)
{
    rg_error err = {0};
    setup_roles(2);
    make_ok("a", (rg_generate_options){.prompt = "2 seconds of techno without drums"});
    ck_assert_double_eq(seconds_of("a", "drums"), 0);
    RG_ASSERT_NEAR(seconds_of("a", "bass"), 2, 1e-4);
    make_ok("b", (rg_generate_options){.prompt = "only drums, 120 bpm, 1 bar"});
    ck_assert_double_eq(seconds_of("b", "bass"), 0);
    RG_ASSERT_NEAR(seconds_of("b", "drums"), 2, 1e-4);
    /* what is said with an option, or kept, wins */
    char lock[1200];
    snprintf(lock, sizeof lock, "drums=%s/drums.wav", in_folder("b"));
    const char *locks[] = {lock};
    make_ok("c", (rg_generate_options){
                     .prompt = "no drums", .seconds = 1.5, .locks = locks, .n_locks = 1});
    RG_ASSERT_NEAR(seconds_of("c", "drums"), 1.5, 1e-4);
    make_ok("d", (rg_generate_options){.prompt = "4 seconds", .seconds = 1.5});
    RG_ASSERT_NEAR(seconds_of("d", "bass"), 1.5, 1e-4);
    /* a scene that goes on keeps its tracks and its length */
    make_ok("e", (rg_generate_options){.from_folder = in_folder("d"), .prompt = "no bass, 3 s"});
    RG_ASSERT_NEAR(seconds_of("e", "bass"), 1.5, 1e-4);
    ck_assert_int_eq(make("f", (rg_generate_options){.prompt = "a cappella"}, &err), RG_ERR_USAGE);
    ck_assert_msg(strstr(err.text, "none of the bundle's tracks") != NULL, "%s", err.text);
    ck_assert(!rg_fs_exists(in_folder("f")));
    teardown();
}
END_TEST

/* Clicks at a tempo, as a file to lock. */
static void write_clicks(const char *name, double bpm, double seconds)
{
    rg_error err = {0};
    rg_audio a = {0};
    RG_ASSERT_OK(rg_audio_make(&a, (int64_t)(seconds * 16000), 1, 16000, &err), &err);
    for (int64_t i = 0; i < a.frames; i++) {
        const double t = (double)i / a.rate, since = fmod(t, 60 / bpm);
        a.samples[i] = (float)(0.7 * exp(-60 * since) * sin(6283.185307179586 * since));
    }
    RG_ASSERT_OK(rg_audio_write_wav(in_folder(name), &a, RG_PCM_S16, NULL, &err), &err);
    rg_audio_free(&a);
}

/* What a scene says of its tempo: asked for, and the note. */
static void tempo_of(const char *scene, char asked[32], char said[96])
{
    char path[1100];
    rg_error err = {0};
    size_t i;
    const json_t *row;
    snprintf(path, sizeof path, "%s/scene.json", in_folder(scene));
    json_t *all = rg_json_read(path, 1 << 20, &err);
    ck_assert_msg(all != NULL, "%s", err.text);
    asked[0] = said[0] = 0;
    json_array_foreach(json_object_get(all, "conditions"), i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "field")), "tempo") != 0) continue;
        snprintf(asked, 32, "%s", json_string_value(json_object_get(row, "asked")));
        snprintf(said, 96, "%s", json_string_value(json_object_get(row, "note")));
    }
    json_decref(all);
}

START_TEST(what_is_locked_is_heard)
{
    char lock[1200], asked[32], said[96];
    const char *locks[] = {lock};
    setup_roles(2);
    write_clicks("clicks.wav", 100, 8);
    snprintf(lock, sizeof lock, "drums=%s", in_folder("clicks.wav"));
    make_ok("a", (rg_generate_options){.prompt = "techno", .locks = locks, .n_locks = 1});
    tempo_of("a", asked, said);
    RG_ASSERT_NEAR(atof(asked), 100, 1);
    ck_assert_str_eq(said, "heard in the locked tracks");
    make_ok("b", (rg_generate_options){.prompt = "128 bpm", .locks = locks, .n_locks = 1});
    tempo_of("b", asked, said);
    ck_assert_str_eq(asked, "128");
    ck_assert_msg(strstr(said, "are heard at 100") || strstr(said, "are heard at 99"), "%s", said);
    /* a scene that goes on hears them again; what was not locked is not heard */
    make_ok("c", (rg_generate_options){.from_folder = in_folder("a"),
                                       .regenerate = (const char *[]){"bass"},
                                       .n_regenerate = 1});
    tempo_of("c", asked, said);
    RG_ASSERT_NEAR(atof(asked), 100, 1);
    make_ok("d", (rg_generate_options){.prompt = "techno", .seconds = 5});
    make_ok("e", (rg_generate_options){.from_folder = in_folder("d"),
                                       .regenerate = (const char *[]){"bass"},
                                       .n_regenerate = 1});
    tempo_of("e", asked, said);
    ck_assert_str_eq(said, "usual for the genre");
    teardown();
}
END_TEST

START_TEST(a_genre_has_its_usual_tempo)
{
    static const struct {
        const char *prompt, *setting, *asked, *said;
    } cases[] = {{"techno", NULL, "132.5", "usual for the genre"},
                 {"techno, 120 bpm", NULL, "120", ""},
                 {"techno", "tempo=90", "90", ""},
                 {"dark drums", NULL, "", ""}};
    setup_roles(2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[8], asked[32], said[96];
        const char *settings[] = {cases[i].setting};
        snprintf(name, sizeof name, "g%zu", i);
        make_ok(name, (rg_generate_options){.prompt = cases[i].prompt,
                                            .seconds = 1,
                                            .settings = settings,
                                            .n_settings = cases[i].setting != NULL});
        tempo_of(name, asked, said);
        ck_assert_str_eq(asked, cases[i].asked);
        ck_assert_str_eq(said, cases[i].said);
    }
    teardown();
}
END_TEST

/* The genre that a scene says it was asked for. */
static void genre_of(const char *scene, char asked[32])
{
    char path[1100];
    rg_error err = {0};
    size_t i;
    const json_t *row;
    snprintf(path, sizeof path, "%s/scene.json", in_folder(scene));
    json_t *all = rg_json_read(path, 1 << 20, &err);
    ck_assert_msg(all != NULL, "%s", err.text);
    asked[0] = 0;
    json_array_foreach(json_object_get(all, "conditions"), i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "field")), "genre") != 0) continue;
        snprintf(asked, 32, "%s", json_string_value(json_object_get(row, "asked")));
    }
    json_decref(all);
}

START_TEST(words_of_ones_own_are_understood)
{
    static const char words[] =
        "field: genre\nwords:\n  gqom: {parent: techno, tempo: [124, 128]}\n";
    static const char slower[] =
        "field: genre\nwords:\n  gqom: {parent: techno, tempo: [108, 112]}\n";
    static const char orphan[] = "field: genre\nwords:\n  gqom: {parent: nope}\n";
    char asked[32], said[96];
    rg_error err = {0};
    setup_roles(2);
    RG_ASSERT_OK(rg_fs_make_folders(in_folder("words"), &err), &err);
    RG_ASSERT_OK(rg_fs_write_atomic(in_folder("words/own.yaml"), words, sizeof words - 1, &err),
                 &err);
    RG_ASSERT_OK(rg_fs_write_atomic(in_folder("orphan.yaml"), orphan, sizeof orphan - 1, &err),
                 &err);
    make_ok("a", (rg_generate_options){.prompt = "gqom", .seconds = 1});
    genre_of("a", asked);
    ck_assert_str_eq(asked, "");
    make_ok("b", (rg_generate_options){
                     .prompt = "gqom", .seconds = 1, .vocabulary = in_folder("words")});
    genre_of("b", asked);
    ck_assert_str_eq(asked, "gqom");
    tempo_of("b", asked, said);
    ck_assert_str_eq(asked, "126");
    /* a scene that goes on knows its words, and those given anew win */
    make_ok("d", (rg_generate_options){.from_folder = in_folder("b"),
                                       .regenerate = (const char *[]){"bass"},
                                       .n_regenerate = 1});
    genre_of("d", asked);
    ck_assert_str_eq(asked, "gqom");
    RG_ASSERT_OK(rg_fs_write_atomic(in_folder("slower.yaml"), slower, sizeof slower - 1, &err),
                 &err);
    make_ok("e", (rg_generate_options){.from_folder = in_folder("d"),
                                       .vocabulary = in_folder("slower.yaml")});
    tempo_of("e", asked, said);
    ck_assert_str_eq(asked, "110");
    RG_ASSERT_OK(rg_fs_write_atomic(in_folder("b/vocabulary.json"), "{}", 2, &err), &err);
    ck_assert_int_ne(make("f", (rg_generate_options){.from_folder = in_folder("b")}, &err), RG_OK);
    ck_assert_msg(strstr(err.text, "vocabulary.json") != NULL, "%s", err.text);
    err = (rg_error){0};
    ck_assert_int_eq(
        make("c", (rg_generate_options){.prompt = "gqom", .vocabulary = in_folder("orphan.yaml")},
             &err),
        RG_ERR_CONFIG);
    ck_assert_msg(strstr(err.text, "names the parent 'nope'") != NULL, "%s", err.text);
    ck_assert(!rg_fs_exists(in_folder("c")));
    teardown();
}
END_TEST

RG_TEST_MAIN("session asks", 120, the_prompt_says_which_tracks_and_how_long,
             what_is_locked_is_heard, a_genre_has_its_usual_tempo, words_of_ones_own_are_understood)
