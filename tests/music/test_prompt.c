/*
 * The prompt analyzer: what it finds, what it refuses, and a user's own words.
 */
#include "base/text.h"
#include "music/prompt/prompt.h"
#include "test.h"

static rg_vocabulary vocabulary;

static rg_prompt analyzed(const char *text)
{
    rg_error err = {0};
    rg_prompt prompt;
    if (!vocabulary.n) ck_assert(rg_vocabulary_make(&vocabulary));
    RG_ASSERT_OK(rg_prompt_analyze(text, &vocabulary, &prompt, &err), &err);
    return prompt;
}

static const char *first(const rg_prompt *prompt, const char *field)
{
    size_t i = 0;
    const rg_finding *f = rg_prompt_next(prompt, field, &i);
    return f ? f->value : "";
}

START_TEST(finds_all_fields)
{
    rg_prompt p = analyzed("dark techno with driving bassline, 128 bpm, A minor, 4/4");
    ck_assert_str_eq(first(&p, "genre"), "techno");
    ck_assert_str_eq(first(&p, "mood"), "dark");
    ck_assert_str_eq(first(&p, "energy"), "driving");
    ck_assert_str_eq(first(&p, "instruments"), "bassline");
    ck_assert_double_eq(p.tempo, 128);
    ck_assert_int_eq(p.key_tonic, 9);
    ck_assert_int_eq(p.key_mode, 1);
    ck_assert_int_eq(p.meter_beats, 4);
    ck_assert_str_eq(p.unknown, "");
}
END_TEST

START_TEST(takes_the_longest_phrase)
{
    rg_prompt p = analyzed("analog synth bass and 808 drums, drum and bass");
    size_t i = 0;
    ck_assert_str_eq(rg_prompt_next(&p, "instruments", &i)->value, "analog synth bass");
    ck_assert_str_eq(rg_prompt_next(&p, "instruments", &i)->value, "808 drums");
    ck_assert_ptr_null(rg_prompt_next(&p, "instruments", &i));
    ck_assert_str_eq(first(&p, "genre"), "drum and bass");
}
END_TEST

START_TEST(reads_keys)
{
    static const struct {
        const char *text;
        int tonic, mode;
    } keys[] = {{"Am", 9, 1},
                {"f# minor", 6, 1},
                {"Bb major", 10, 0},
                {"c sharp minor", 1, 1},
                {"E-flat major", 3, 0},
                {"G", 7, 0},
                {"c\xe2\x99\xafm", -1, 0}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        int32_t tonic = -1, mode = 0;
        bool ok = rg_key_parse(keys[i].text, &tonic, &mode);
        ck_assert_msg(ok == (keys[i].tonic >= 0), "%s", keys[i].text);
        if (ok) ck_assert_msg(tonic == keys[i].tonic && mode == keys[i].mode, "%s", keys[i].text);
    }
    ck_assert_int_eq(analyzed("something in c\xe2\x99\xafm").key_tonic, 1);
    ck_assert_int_eq(analyzed("a sad song").key_tonic, -1);
}
END_TEST

START_TEST(refuses_contradictions)
{
    static const char *const texts[] = {"120 bpm and 130 bpm", "A minor and C major", "3/4 or 4/4",
                                        "1000 bpm", "\xff\xfe"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        rg_error err = {0};
        rg_prompt prompt;
        analyzed("x");
        ck_assert_msg(rg_prompt_analyze(texts[i], &vocabulary, &prompt, &err) == RG_ERR_USAGE, "%s",
                      texts[i]);
        ck_assert(err.text[0]);
    }
}
END_TEST

START_TEST(names_what_it_does_not_know)
{
    rg_prompt p = analyzed("wobbly rock");
    ck_assert_str_eq(p.unknown, "wobbly");
    ck_assert_str_eq(first(&p, "genre"), "rock");
}
END_TEST

START_TEST(every_parent_is_a_word)
{
    analyzed("x");
    for (size_t i = 0; i < vocabulary.n; i++) {
        const rg_word *w = vocabulary.words + i;
        ck_assert_msg(!w->parent[0] || rg_vocabulary_find(&vocabulary, w->field, w->parent),
                      "%s: parent %s", w->word, w->parent);
    }
}
END_TEST

START_TEST(own_words_need_a_parent)
{
    rg_vocabulary v;
    rg_error err = {0};
    ck_assert(rg_vocabulary_make(&v));
    json_t *good =
        json_pack("[{s:s,s:s,s:s}]", "field", "genre", "word", "gqom", "parent", "house");
    json_t *bad = json_pack("[{s:s,s:s,s:s}]", "field", "genre", "word", "zzz", "parent", "nope");
    RG_ASSERT_OK(rg_vocabulary_extend(&v, good, "v.json", &err), &err);
    ck_assert_str_eq(rg_vocabulary_find(&v, "genre", "gqom")->parent, "house");
    ck_assert_int_eq(rg_vocabulary_extend(&v, bad, "v.json", &err), RG_ERR_FORMAT);
    ck_assert_str_eq(err.text,
                     "v.json: the word 'zzz' names the parent 'nope', which is no word of genre");
    json_decref(good);
    json_decref(bad);
    rg_vocabulary_free(&v);
}
END_TEST

RG_TEST_MAIN("prompt", 30, finds_all_fields, takes_the_longest_phrase, reads_keys,
             refuses_contradictions, names_what_it_does_not_know, every_parent_is_a_word,
             own_words_need_a_parent)
