/*
 * The role rule: the built-in map, maps of users, any number of roles.
 */
#include "datasets/roles.h"

#include "base/fs.h"
#include "midi_bytes.h"
#include "test.h"

static rg_midi parse(const rg_midi_bytes *b)
{
    rg_midi m;
    rg_error err = {0};
    RG_ASSERT_OK(rg_midi_parse(b->data, b->n, "test.mid", &m, &err), &err);
    return m;
}

static rg_midi_parts assign(const rg_midi *m, const rg_role_map *map)
{
    static rg_midi_parts parts;
    rg_error err = {0};
    RG_ASSERT_OK(rg_roles_assign(m, map, &parts, &err), &err);
    return parts;
}

static int32_t role_of(const rg_midi_parts *p, int channel, int program)
{
    ck_assert_int_ge(p->of[channel][program], 0);
    return p->part[p->of[channel][program]].role;
}

static const char *write_map(const char *name, const char *text)
{
    static char path[700];
    rg_error err = {0};
    snprintf(path, sizeof path, "%s/%s", rg_test_folder(), name);
    RG_ASSERT_OK(rg_fs_write_atomic(path, text, strlen(text), &err), &err);
    return path;
}

START_TEST(a_band_gets_its_four_roles)
{
    static rg_midi_bytes b;
    rg_mb_band(&b, 8);
    rg_midi m = parse(&b);
    rg_midi_parts p = assign(&m, rg_role_map_band());
    ck_assert_int_eq(p.n, 4);
    ck_assert_int_eq(role_of(&p, 9, 0), 0);
    ck_assert_int_eq(role_of(&p, 0, 33), 1);
    ck_assert_int_eq(role_of(&p, 1, 48), 2);
    ck_assert_int_eq(role_of(&p, 2, 73), 3);
    const rg_midi_part *chords = &p.part[p.of[1][48]];
    RG_ASSERT_NEAR(chords->chordal, 1, 1e-12);
    ck_assert_msg(chords->polyphony > 2.9 && chords->polyphony < 3.1, "%g", chords->polyphony);
    ck_assert_str_eq(p.part[p.of[2][73]].track, "Melody");
    double share[4], start;
    rg_error err = {0};
    RG_ASSERT_OK(rg_roles_presence(&m, &p, 4, share, &err), &err);
    for (int r = 0; r < 4; r++) ck_assert_msg(share[r] > 0.9, "role %d: %g", r, share[r]);
    RG_ASSERT_OK(rg_roles_best_window(&m, &p, 4, 100, &start, &err), &err);
    ck_assert(start == 0);
    char text[64];
    rg_roles_instruments(&p, 1, 2, text, sizeof text);
    ck_assert_str_eq(text, "fingered bass");
    rg_roles_instruments(&p, 0, 2, text, sizeof text);
    ck_assert_str_eq(text, "drum kit");
    rg_midi_free(&m);
}
END_TEST

/* Three lines of 16 notes on programs 0, 1, 2 with the given names and pitches. */
static rg_midi three_lines(const char *const names[3], const int pitch[3])
{
    static rg_midi_bytes b;
    rg_mb_header(&b, 1, 3, 96);
    for (int k = 0; k < 3; k++) {
        rg_mb_begin(&b);
        rg_mb_name(&b, names[k]);
        rg_mb_event(&b, 0, 0xC0 | k, k, 0);
        for (int i = 0; i < 24; i++) rg_mb_note(&b, 0, 96, k, pitch[k] + i % 5, 80);
        rg_mb_end(&b, 1);
    }
    return parse(&b);
}

START_TEST(names_and_registers_decide_where_programs_do_not)
{
    enum { DRUMS, BASS, HARMONY, MELODY };
    static const struct {
        const char *names[3];
        int pitch[3], role[3];
    } cases[] = {
        {{"E-Bass", "lead voice", "Pad"}, {40, 72, 60}, {BASS, MELODY, HARMONY}},
        {{"Bassoon", "Solo", "x"}, {60, 72, 58}, {HARMONY, MELODY, HARMONY}},
        {{"low", "", "main theme"}, {36, 62, 60}, {BASS, HARMONY, MELODY}},
        {{"bass (high)", "lead", "comp"}, {70, 72, 60}, {HARMONY, MELODY, HARMONY}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rg_midi m = three_lines(cases[i].names, cases[i].pitch);
        rg_midi_parts p = assign(&m, rg_role_map_band());
        for (int k = 0; k < 3; k++)
            ck_assert_msg(role_of(&p, k, k) == cases[i].role[k], "case %zu, part %d: role %d", i, k,
                          role_of(&p, k, k));
        rg_midi_free(&m);
    }
}
END_TEST

START_TEST(percussion_and_effects)
{
    static rg_midi_bytes b;
    static const int program[] = {47, 117, 122, 0};
    rg_mb_header(&b, 0, 1, 96);
    rg_mb_begin(&b);
    for (int k = 0; k < 4; k++) {
        rg_mb_event(&b, 0, 0xC0 | k, program[k], 0);
        for (int i = 0; i < 20; i++) rg_mb_note(&b, 0, 48, k, 60, 80);
    }
    rg_mb_end(&b, 1);
    rg_midi m = parse(&b);
    rg_midi_parts p = assign(&m, rg_role_map_band());
    ck_assert_int_eq(role_of(&p, 0, 47), 0);
    ck_assert_int_eq(role_of(&p, 1, 117), 0);
    ck_assert_int_eq(role_of(&p, 2, 122), RG_ROLE_DROP);
    ck_assert_int_eq(role_of(&p, 3, 0), 2); /* one free part is no lead */
    rg_midi_free(&m);
}
END_TEST

START_TEST(the_file_in_configs_is_the_built_in_map)
{
    static rg_role_map map;
    rg_error err = {0};
    RG_ASSERT_OK(rg_role_map_load(RG_SOURCE_DIR "/configs/roles/band.yaml", &map, &err), &err);
    char *file = rg_role_map_to_json(&map), *built_in = rg_role_map_to_json(rg_role_map_band());
    ck_assert_str_eq(file, built_in);
    ck_assert_ptr_nonnull(strstr(file, "melody"));
    free(file);
    free(built_in);
}
END_TEST

START_TEST(maps_of_two_and_of_five_roles)
{
    static rg_role_map two, five;
    static rg_midi_bytes b;
    rg_error err = {0};
    RG_ASSERT_OK(rg_role_map_load(write_map("two.yaml", "roles:\n"
                                                        "  rhythm:\n"
                                                        "    drum_channel: true\n"
                                                        "    programs: [\"32-39\"]\n"
                                                        "  rest:\n"
                                                        "    rest: true\n"),
                                  &two, &err),
                 &err);
    RG_ASSERT_OK(rg_role_map_load(write_map("five.yaml", "roles:\n"
                                                         "  drums: {drum_channel: true}\n"
                                                         "  bass: {programs: [\"32-39\"]}\n"
                                                         "  strings: {programs: [\"40-51\"]}\n"
                                                         "  winds: {programs: [\"56-79\"]}\n"
                                                         "  other: {rest: true}\n"),
                                  &five, &err),
                 &err);
    rg_mb_band(&b, 4);
    rg_midi m = parse(&b);
    static const int expected[2][4] = {{0, 0, 1, 1}, {0, 1, 2, 3}};
    for (int k = 0; k < 2; k++) {
        rg_midi_parts p = assign(&m, k ? &five : &two);
        static const int channel[4] = {9, 0, 1, 2}, program[4] = {0, 33, 48, 73};
        for (int i = 0; i < 4; i++)
            ck_assert_msg(role_of(&p, channel[i], program[i]) == expected[k][i], "map %d part %d",
                          k, i);
    }
    rg_midi_free(&m);
}
END_TEST

START_TEST(faulty_maps_are_refused_in_words)
{
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"roles: {}\n", "role"},
        {"roles:\n  a: {programs: [\"130\"]}\n", "130"},
        {"roles:\n  a: {programs: [\"9-3\"]}\n", "9-3"},
        {"roles:\n  a: {rest: true}\n  b: {rest: true}\n", "only one role"},
        {"roles:\n  a: {leed: true}\n", "lead"},
        {"roles:\n  a: {names: [\"a pattern that is much too long for us\"]}\n", "longer"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static rg_role_map map;
        rg_error err = {0};
        rg_status status = rg_role_map_load(write_map("faulty.yaml", cases[i].text), &map, &err);
        ck_assert_msg(status == RG_ERR_CONFIG && strstr(err.text, cases[i].word), "case %zu: %s", i,
                      err.text);
    }
}
END_TEST

START_TEST(the_best_window_is_where_most_roles_sound)
{
    static rg_midi_bytes b;
    rg_mb_header(&b, 1, 2, 96); /* 0.5 s a quarter note */
    rg_mb_begin(&b);
    for (int i = 0; i < 120; i++) rg_mb_note(&b, 0, 96, 9, 36, 90); /* drums for 60 s */
    rg_mb_end(&b, 1);
    rg_mb_begin(&b);
    rg_mb_event(&b, 0, 0xC0, 33, 0);
    rg_mb_note(&b, 40 * 192, 10 * 192, 0, 40, 90); /* bass from 40 to 50 s */
    rg_mb_end(&b, 1);
    rg_midi m = parse(&b);
    rg_midi_parts p = assign(&m, rg_role_map_band());
    rg_error err = {0};
    double start;
    RG_ASSERT_OK(rg_roles_best_window(&m, &p, 4, 10, &start, &err), &err);
    ck_assert_msg(start >= 40 && start <= 41, "start %g", start);
    rg_midi_free(&m);
}
END_TEST

RG_TEST_MAIN("roles", 60, a_band_gets_its_four_roles,
             names_and_registers_decide_where_programs_do_not, percussion_and_effects,
             the_file_in_configs_is_the_built_in_map, maps_of_two_and_of_five_roles,
             faulty_maps_are_refused_in_words, the_best_window_is_where_most_roles_sound)
