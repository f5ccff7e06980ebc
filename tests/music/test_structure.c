/*
 * Sections: boundaries planted in rows are found at their bar and nowhere else, in a sound too.
 */
#include "test.h"

#include "base/rng.h"
#include "music/features/features.h"
#include "music/features/structure.h"

enum { WIDTH = 5, MOST = 64, RATE = 16000 };

typedef struct song {
    float rows[MOST * WIDTH];
    double starts[MOST + 1];
    int64_t n;
    rg_section *sections;
    int64_t found;
} song;

/* Bars of two seconds; `form` has a letter a bar, equal letters are alike but for the noise. */
static void cut(song *s, const char *form, double noise, uint64_t seed)
{
    rg_error err = {0};
    rg_rng rng = rg_rng_make(seed, 0);
    *s = (song){.n = (int64_t)strlen(form)};
    for (int64_t i = 0; i <= s->n; i++) s->starts[i] = 1 + 2.0 * (double)i;
    for (int64_t i = 0; i < s->n; i++)
        for (int c = 0; c < WIDTH; c++)
            s->rows[i * WIDTH + c] = (float)((c == form[i] - 'A') + noise * rg_rng_uniform(&rng));
    RG_ASSERT_OK(rg_sections_of(s->rows, s->n, WIDTH, s->starts, s->starts[s->n], &s->sections,
                                &s->found, &err),
                 &err);
}

START_TEST(planted_boundaries_are_found_at_their_bar)
{
    static const char *forms[] = {"AAAAAAAABBBBBBBBAAAAAAAA", "AAAABBBBBBBBBBBBCCCCCCDDDDDDDDDD",
                                  "AAAAABBBBBCCCCCDDDDDEEEEE"};
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++)
        for (uint64_t seed = 0; seed < 5; seed++) {
            song s;
            int64_t next = 0;
            cut(&s, forms[f], 0.1, seed);
            for (int64_t i = 0; i < s.n; i++) {
                if (i > 0 && forms[f][i] == forms[f][i - 1]) continue;
                ck_assert_int_lt(next, s.found);
                ck_assert_double_eq(s.sections[next].start_s, i ? s.starts[i] : 0);
                ck_assert_double_eq(s.sections[next].end_s, next + 1 < s.found
                                                                ? s.sections[next + 1].start_s
                                                                : s.starts[s.n]);
                ck_assert(s.sections[next].confidence > 0.5 && s.sections[next].confidence <= 1);
                next++;
            }
            ck_assert_int_eq(next, s.found);
            free(s.sections);
        }
}
END_TEST

START_TEST(what_does_not_change_is_one_section)
{
    static const char *forms[] = {"", "A", "AB", "AAABBBB", "AAAAAAAAAAAAAAAAAAAAAAAA"};
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        song s;
        cut(&s, forms[f], 0.05, 7);
        ck_assert_int_eq(s.found, 1);
        ck_assert_double_eq(s.sections[0].start_s, 0);
        ck_assert_double_eq(s.sections[0].end_s, s.starts[s.n]);
        free(s.sections);
    }
}
END_TEST

/* A beat every half second, four to the bar; C and G below, from the 9th bar Eb and Bb, louder. */
static void play(rg_audio *a)
{
    static const double roots[2][2] = {{130.81, 196.0}, {155.56, 233.08}};
    for (int64_t t = 0; t < a->frames; t++) {
        const double at = (double)t / a->rate, beat = fmod(at, 0.5);
        const int part = at >= 16, bar = (int)(at / 2);
        const double hz = roots[part][bar % 2], level = part ? 0.2 : 0.1;
        double x = 0;
        for (int third = 0; third < 3; third++) {
            static const double triad[] = {1, 1.2599, 1.4983};
            x += level * sin(2 * M_PI * hz * triad[third] * at);
        }
        x += (fmod(at, 2) < 0.5 ? 0.6 : 0.3) * exp(-beat * 200) * sin(2 * M_PI * 1000 * beat);
        a->samples[t] = (float)x;
    }
}

START_TEST(a_song_of_two_parts_has_two_sections)
{
    rg_audio a = {0};
    rg_error err = {0};
    rg_features f;
    RG_ASSERT_OK(rg_audio_make(&a, 32 * (int64_t)RATE, 1, RATE, &err), &err);
    play(&a);
    rg_reader *reader = rg_reader_of(&a, &err);
    RG_ASSERT_OK(rg_features_of(&(rg_feature_source){"mix", reader}, 1, &f, &err), &err);
    rg_reader_close(reader);
    ck_assert_int_eq(f.n_sections, 2);
    RG_ASSERT_NEAR(f.sections[1].start_s, 16, 2.1); /* a bar, as bars may begin late */
    rg_features_free(&f);
    rg_audio_free(&a);
}
END_TEST

RG_TEST_MAIN("structure", 60, planted_boundaries_are_found_at_their_bar,
             what_does_not_change_is_one_section, a_song_of_two_parts_has_two_sections)
