/*
 * The MIDI reader: byte-level cases, times, damage, identity.
 */
#include "datasets/midi.h"

#include <stdbool.h>

#include "base/rng.h"
#include "midi_bytes.h"
#include "test.h"

static rg_midi parse(const rg_midi_bytes *b)
{
    rg_midi m;
    rg_error err = {0};
    RG_ASSERT_OK(rg_midi_parse(b->data, b->n, "test.mid", &m, &err), &err);
    return m;
}

static rg_status parse_error(const void *data, size_t n, rg_error *err)
{
    rg_midi m;
    rg_status status = rg_midi_parse(data, n, "test.mid", &m, err);
    if (status == RG_OK) rg_midi_free(&m);
    return status;
}

START_TEST(running_status_and_names)
{
    static rg_midi_bytes b;
    static const uint8_t run[] = {0, 0x93, 60, 100, 48, 60, 0, 0, 64, 90, 48, 64, 0};
    rg_mb_header(&b, 0, 1, 48);
    rg_mb_begin(&b);
    rg_mb_name(&b, " Gr\xfcn ");
    rg_mb_event(&b, 0, 0xC3, 25, 0);
    for (size_t i = 0; i < sizeof run; i++) rg_mb_byte(&b, run[i]);
    rg_mb_end(&b, 1);
    rg_midi m = parse(&b);
    ck_assert_int_eq(m.n_notes, 2);
    ck_assert_int_eq(m.warnings, 0);
    ck_assert_str_eq(m.names[0], "Gr\xc3\xbcn");
    ck_assert_int_eq(m.notes[1].pitch, 64);
    ck_assert_int_eq(m.notes[1].channel, 3);
    ck_assert_int_eq(m.notes[1].program, 25);
    RG_ASSERT_NEAR(m.notes[0].off, 0.5, 1e-12);
    RG_ASSERT_NEAR(m.notes[1].on, 0.5, 1e-12);
    RG_ASSERT_NEAR(m.seconds, 1.0, 1e-12);
    rg_midi_free(&m);
    rg_midi_free(&m);
}
END_TEST

START_TEST(tempo_changes_move_later_notes_only)
{
    static rg_midi_bytes b;
    rg_mb_header(&b, 1, 2, 100);
    rg_mb_begin(&b);
    rg_mb_tempo(&b, 100, 1000000); /* one beat at 120, then 60 bpm */
    rg_mb_end(&b, 1);
    rg_mb_begin(&b);
    rg_mb_note(&b, 0, 50, 0, 60, 64);
    rg_mb_note(&b, 150, 100, 0, 62, 64); /* tick 200: 0.5 s + 1 s */
    rg_mb_end(&b, 1);
    rg_midi m = parse(&b);
    RG_ASSERT_NEAR(m.notes[0].off, 0.25, 1e-12);
    RG_ASSERT_NEAR(m.notes[1].on, 1.5, 1e-12);
    RG_ASSERT_NEAR(m.notes[1].off, 2.5, 1e-12);
    rg_midi_free(&m);
}
END_TEST

START_TEST(smpte_time)
{
    static rg_midi_bytes b;
    rg_mb_header(&b, 0, 1, (256 - 25) << 8 | 40); /* 25 frames of 40 ticks: 1 ms a tick */
    rg_mb_begin(&b);
    rg_mb_tempo(&b, 0, 250000); /* must not matter */
    rg_mb_note(&b, 1500, 250, 0, 60, 64);
    rg_mb_end(&b, 1);
    rg_midi m = parse(&b);
    RG_ASSERT_NEAR(m.notes[0].on, 1.5, 1e-12);
    RG_ASSERT_NEAR(m.notes[0].off, 1.75, 1e-12);
    rg_midi_free(&m);
}
END_TEST

START_TEST(notes_pair_first_in_first_out_and_open_ones_end_with_the_file)
{
    static rg_midi_bytes b;
    rg_mb_header(&b, 0, 1, 50); /* 10 ms a tick */
    rg_mb_begin(&b);
    rg_mb_event(&b, 0, 0x90, 60, 10);
    rg_mb_event(&b, 10, 0x90, 60, 20);
    rg_mb_event(&b, 10, 0x80, 60, 0);
    rg_mb_event(&b, 80, 0xB0, 7, 100);
    rg_mb_event(&b, 0, 0x80, 99, 0); /* nobody's */
    rg_mb_end(&b, 1);
    rg_midi m = parse(&b);
    ck_assert_int_eq(m.n_notes, 2);
    RG_ASSERT_NEAR(m.notes[0].off, 0.2, 1e-12);
    ck_assert_int_eq(m.notes[0].velocity, 10);
    RG_ASSERT_NEAR(m.notes[1].off, 1.0, 1e-12);
    rg_midi_free(&m);
}
END_TEST

START_TEST(junk_before_and_between_chunks_is_skipped)
{
    static rg_midi_bytes b, c;
    rg_mb_band(&b, 2);
    memcpy(c.data, "RIFF....RMIDdata", 16);
    memcpy(c.data + 16, b.data, 14);
    memcpy(c.data + 30, "Junk\0\0\0\3abc", 11);
    memcpy(c.data + 41, b.data + 14, b.n - 14);
    c.n = b.n + 27;
    rg_midi m = parse(&b), n = parse(&c);
    char first[33], second[33];
    rg_midi_content_hash(&m, first);
    rg_midi_content_hash(&n, second);
    ck_assert_str_eq(first, second);
    ck_assert_int_eq(m.n_notes, 8 + 8 + 6 + 8);
    rg_midi_free(&m);
    rg_midi_free(&n);
}
END_TEST

START_TEST(every_cut_file_is_read_as_far_as_it_goes)
{
    static rg_midi_bytes b;
    rg_mb_band(&b, 4);
    int64_t before = 0;
    for (size_t n = 0; n <= b.n; n++) {
        rg_midi m;
        rg_error err = {0};
        uint8_t *exact = malloc(n ? n : 1); /* so that sanitizers see a byte too far */
        memcpy(exact, b.data, n);
        rg_status status = rg_midi_parse(exact, n, "cut.mid", &m, &err);
        free(exact);
        ck_assert(status == RG_OK ? n >= 14 : n < 14);
        if (status != RG_OK) continue;
        ck_assert_int_ge(m.n_notes, before);
        before = m.n_notes;
        if (n > 22 && n < b.n - 4) ck_assert_msg(m.warnings > 0 || m.n_tracks < 5, "at %zu", n);
        rg_midi_free(&m);
    }
    ck_assert_int_eq(before, 16 + 16 + 12 + 16);
}
END_TEST

START_TEST(malformed_files_are_refused_or_warned_about)
{
    static rg_midi_bytes b;
    rg_error err = {0};
    ck_assert_int_eq(parse_error("", 0, &err), RG_ERR_FORMAT);
    rg_error_clear(&err);
    ck_assert_int_eq(parse_error("RIFF but no midi at all", 23, &err), RG_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "test.mid"));
    rg_error_clear(&err);
    rg_mb_header(&b, 1, 1, 0);
    ck_assert_int_eq(parse_error(b.data, b.n, &err), RG_ERR_FORMAT); /* zero division */
    rg_error_clear(&err);
    rg_mb_header(&b, 1, 5000, 96);
    ck_assert_int_eq(parse_error(b.data, b.n, &err), RG_ERR_FORMAT); /* 5000 tracks */

    static const uint8_t bad[][6] = {{0x81, 0x82, 0x83, 0x84, 0x85, 0},  /* 5-byte number */
                                     {0, 60, 100, 0, 0, 0},              /* no status yet */
                                     {0, 0xFF, 0x51, 0x7F, 1, 2},        /* meta too long */
                                     {0, 0xF0, 0xFF, 0xFF, 0xFF, 0x7F}}; /* SysEx too long */
    for (size_t i = 0; i < 4; i++) {
        rg_mb_header(&b, 0, 1, 96);
        rg_mb_begin(&b);
        for (int k = 0; k < 6; k++) rg_mb_byte(&b, bad[i][k]);
        rg_mb_end(&b, 0);
        rg_midi m = parse(&b);
        ck_assert_msg(m.warnings > 0, "case %zu", i);
        ck_assert_int_eq(m.n_notes, 0);
        rg_midi_free(&m);
    }
}
END_TEST

START_TEST(system_messages_do_not_upset_running_time)
{
    static rg_midi_bytes b;
    static const uint8_t odd[] = {0, 0xF1, 5, 0,    0xF2, 1,    2, 0, 0xF3, 7,
                                  0, 0xF6, 0, 0xFE, 0,    0xF0, 3, 1, 2,    0xF7};
    rg_mb_header(&b, 0, 1, 96);
    rg_mb_begin(&b);
    for (size_t i = 0; i < sizeof odd; i++) rg_mb_byte(&b, odd[i]);
    rg_mb_note(&b, 96, 96, 1, 50, 70);
    rg_mb_end(&b, 1);
    rg_midi m = parse(&b);
    ck_assert_int_eq(m.warnings, 0);
    ck_assert_int_eq(m.n_notes, 1);
    RG_ASSERT_NEAR(m.notes[0].on, 0.5, 1e-12);
    rg_midi_free(&m);
}
END_TEST

START_TEST(beats_and_bars_follow_meter_and_tempo)
{
    static rg_midi_bytes b;
    const uint8_t three[4] = {3, 2, 24, 8}, six[4] = {6, 3, 36, 8}, odd[4] = {1, 4, 24, 8};
    rg_mb_header(&b, 0, 1, 96);
    rg_mb_begin(&b);
    rg_mb_meta(&b, 0, 0x58, three, 4);
    rg_mb_tempo(&b, 0, 600000);
    rg_mb_meta(&b, 6 * 3 * 96, 0x58, six, 4); /* after 6 bars of 3/4: 2 bars of 6/8 */
    rg_mb_meta(&b, 2 * 288, 0x58, odd, 4);    /* then nothing is known */
    rg_mb_note(&b, 96, 191, 0, 60, 60);
    rg_mb_end(&b, 1);
    rg_midi m = parse(&b);
    rg_midi_grid g;
    rg_error err = {0};
    RG_ASSERT_OK(rg_midi_beats(&m, &g, &err), &err);
    ck_assert_int_eq(g.n_beats, 18 + 4 + 3);
    ck_assert_int_eq(g.n_downbeats, 6 + 2);
    ck_assert_int_eq(g.meter, 3);
    ck_assert_str_eq(g.signature, "3/4");
    RG_ASSERT_NEAR(g.tempo_bpm, 100, 1e-9);
    RG_ASSERT_NEAR(g.downbeats[1], 1.8, 1e-9);
    RG_ASSERT_NEAR(g.beats[19] - g.beats[18], 0.9, 1e-9); /* dotted quarter */
    rg_midi_grid_free(&g);
    rg_midi_free(&m);
}
END_TEST

/* Ten quarters under the first meter, then 24 under the second: the longer one is the song's. */
START_TEST(the_signature_is_the_one_most_bars_are_written_in)
{
    static const struct {
        uint8_t first[2], second[2];
        const char *signature;
        int meter;
    } cases[] = {
        {{4, 2}, {6, 3}, "6/8", 2}, {{6, 3}, {4, 2}, "4/4", 4}, {{3, 2}, {12, 3}, "12/8", 4},
        {{4, 2}, {2, 1}, "2/2", 2}, {{4, 2}, {5, 2}, "5/4", 5}, {{2, 2}, {6, 3}, "6/8", 2},
        {{4, 2}, {1, 4}, "", 0},    {{4, 2}, {7, 3}, "", 0},    {{16, 2}, {16, 2}, "16/4", 16},
        {{4, 2}, {0, 2}, "", 0},    {{2, 3}, {9, 3}, "9/8", 3}, {{4, 2}, {255, 255}, "", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static rg_midi_bytes b;
        const uint8_t first[4] = {cases[i].first[0], cases[i].first[1], 24, 8};
        const uint8_t second[4] = {cases[i].second[0], cases[i].second[1], 24, 8};
        rg_mb_header(&b, 0, 1, 96);
        rg_mb_begin(&b);
        rg_mb_meta(&b, 0, 0x58, first, 4);
        rg_mb_meta(&b, 10 * 96, 0x58, second, 4);
        rg_mb_note(&b, 0, 24 * 96, 0, 60, 60);
        rg_mb_end(&b, 1);
        rg_midi m = parse(&b);
        rg_midi_grid g;
        rg_error err = {0};
        RG_ASSERT_OK(rg_midi_beats(&m, &g, &err), &err);
        ck_assert_msg(strcmp(g.signature, cases[i].signature) == 0, "%zu: %s", i, g.signature);
        ck_assert_int_eq(g.meter, cases[i].meter);
        rg_midi_grid_free(&g);
        rg_midi_free(&m);
    }
}
END_TEST

START_TEST(keys_are_trusted_when_they_say_something)
{
    static const struct {
        int sharps, minor, again, tonic;
    } cases[] = {{0, 0, 0, -1}, {0, 1, 0, 9},  {1, 0, 1, 7},    {-3, 1, -3, 0},
                 {6, 0, 6, 6},  {2, 0, 3, -1}, {-7, 0, -7, 11}, {9, 0, 9, -1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static rg_midi_bytes b;
        const uint8_t key[2] = {(uint8_t)cases[i].sharps, (uint8_t)cases[i].minor};
        const uint8_t again[2] = {(uint8_t)cases[i].again, (uint8_t)cases[i].minor};
        rg_mb_header(&b, 0, 1, 96);
        rg_mb_begin(&b);
        rg_mb_meta(&b, 0, 0x59, key, 2);
        rg_mb_meta(&b, 96, 0x59, again, 2);
        rg_mb_end(&b, 1);
        rg_midi m = parse(&b);
        int32_t tonic, minor;
        rg_midi_key_of(&m, &tonic, &minor);
        ck_assert_msg(tonic == cases[i].tonic, "case %zu: tonic %d", i, tonic);
        rg_midi_free(&m);
    }
}
END_TEST

/* Rewrites every note's pitch by `shift` and its velocity, or changes the program: same music. */
START_TEST(identity_is_the_notes_and_likeness_ignores_the_key)
{
    static rg_midi_bytes b, c;
    rg_rng rng = rg_rng_make(3, 5);
    int pitch[300];
    for (int i = 0; i < 300; i++) pitch[i] = 40 + (int)rg_rng_below(&rng, 40);
    rg_midi m[3];
    for (int k = 0; k < 3; k++) {
        rg_midi_bytes *to = k == 2 ? &c : &b;
        rg_mb_header(to, 0, 1, 96);
        rg_mb_begin(to);
        rg_mb_event(to, 0, 0xC0, 10 * k, 0);
        for (int i = 0; i < 300; i++)
            rg_mb_note(to, 0, 24, 0, pitch[i] + (k == 2 ? 5 : 0), 60 + 10 * k);
        rg_mb_end(to, 1);
        m[k] = parse(to);
    }
    char hash[3][33];
    uint64_t *runs[4];
    int64_t n[4];
    rg_error err = {0};
    for (int k = 0; k < 3; k++) {
        rg_midi_content_hash(&m[k], hash[k]);
        RG_ASSERT_OK(rg_midi_signature(&m[k], &runs[k], &n[k], &err), &err);
    }
    ck_assert_str_eq(hash[0], hash[1]);
    ck_assert_str_ne(hash[0], hash[2]);
    RG_ASSERT_NEAR(rg_midi_likeness(runs[0], n[0], runs[2], n[2]), 1, 1e-12);
    rg_mb_band(&b, 40);
    rg_midi other = parse(&b);
    RG_ASSERT_OK(rg_midi_signature(&other, &runs[3], &n[3], &err), &err);
    ck_assert(rg_midi_likeness(runs[0], n[0], runs[3], n[3]) < 0.05);
    for (int k = 0; k < 4; k++) free(runs[k]);
    for (int k = 0; k < 3; k++) rg_midi_free(&m[k]);
    rg_midi_free(&other);
}
END_TEST

static bool is_sane(const rg_midi *m, const rg_midi_grid *g)
{
    bool sane = true;
    for (int64_t i = 0; i < m->n_notes; i++) {
        const rg_midi_note *n = &m->notes[i];
        sane = sane && isfinite(n->on) && n->on >= 0 && n->off >= n->on && n->off <= m->seconds;
        sane = sane && (i == 0 || n->on >= m->notes[i - 1].on);
        sane = sane && n->pitch < 128 && n->channel < 16 && n->program < 128 && n->velocity > 0;
    }
    for (int64_t i = 1; i < g->n_beats; i++) sane = sane && g->beats[i] >= g->beats[i - 1];
    return sane;
}

/* Random damage to a real file: whatever comes out, it is finite and in order. */
START_TEST(damaged_files_never_give_nonsense)
{
    static rg_midi_bytes b, c;
    rg_mb_band(&b, 8);
    rg_rng rng = rg_rng_make(1, 2);
    int read = 0;
    for (int round = 0; round < 2000; round++) {
        memcpy(c.data, b.data, b.n);
        int hits = 1 + (int)rg_rng_below(&rng, 8);
        for (int k = 0; k < hits; k++)
            c.data[rg_rng_below(&rng, b.n)] = (uint8_t)rg_rng_below(&rng, 256);
        rg_midi m;
        rg_midi_grid g;
        rg_error err = {0};
        if (rg_midi_parse(c.data, b.n, "damaged.mid", &m, &err) != RG_OK) continue;
        read++;
        rg_status status = rg_midi_beats(&m, &g, &err);
        bool sane = status == RG_OK && is_sane(&m, &g);
        rg_midi_grid_free(&g);
        rg_midi_free(&m);
        if (!sane) ck_abort_msg("round %d: %s", round, err.text);
    }
    ck_assert_int_gt(read, 1000);
}
END_TEST

RG_TEST_MAIN("midi", 60, running_status_and_names, tempo_changes_move_later_notes_only, smpte_time,
             notes_pair_first_in_first_out_and_open_ones_end_with_the_file,
             junk_before_and_between_chunks_is_skipped, every_cut_file_is_read_as_far_as_it_goes,
             malformed_files_are_refused_or_warned_about, system_messages_do_not_upset_running_time,
             beats_and_bars_follow_meter_and_tempo,
             the_signature_is_the_one_most_bars_are_written_in,
             keys_are_trusted_when_they_say_something,
             identity_is_the_notes_and_likeness_ignores_the_key, damaged_files_never_give_nonsense)
