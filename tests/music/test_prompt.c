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
    ck_assert_str_eq(first(&p, "energy"), "high");
    ck_assert_str_eq(first(&p, "instruments"), "bass");
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

START_TEST(reports_contradictions)
{
    static const struct {
        const char *text, *field, *kept, *dropped;
    } rows[] = {
        {"120 bpm and 130 bpm", "tempo_bpm", "120 bpm", "130 bpm"},
        {"slow 180 bpm", "tempo_bpm", "180 bpm", "slow"},
        {"1000 bpm", "tempo_bpm", "tempi are from 20 to 400", "1000 bpm"},
        {"A minor in C major", "key", "A minor", "C major"},
        {"3/4 or 4/4", "meter", "3/4", "4/4"},
        {"8 bars, 10 seconds", "duration_s", "8 bars", "10 seconds"},
        {"no drums, with drums", "tracks", "drums", "drums"},
        {"happy, sad", "moods", "happy", "sad"},
        {"calm then intense", "energy", "calm", "intense"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rg_prompt p = analyzed(rows[i].text);
        ck_assert_msg(p.n_conflicts == 1, "%s: %zu conflicts", rows[i].text, p.n_conflicts);
        ck_assert_str_eq(p.conflicts[0].field, rows[i].field);
        ck_assert_str_eq(p.conflicts[0].kept, rows[i].kept);
        ck_assert_str_eq(p.conflicts[0].dropped, rows[i].dropped);
    }
    ck_assert_uint_eq(analyzed("120 bpm, 120 bpm, A minor, minor key").n_conflicts, 0);
}
END_TEST

START_TEST(refuses_what_is_no_text)
{
    static const char *const texts[] = {"\xff\xfe", "techno \xe2\x99", "\xed\xa0\x80",
                                        "\xf4\x90\x80\x80", "\xc0\xaf"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        rg_error err = {0};
        rg_prompt prompt;
        analyzed("x");
        ck_assert_int_eq(rg_prompt_analyze(texts[i], &vocabulary, &prompt, &err), RG_ERR_USAGE);
        ck_assert_ptr_nonnull(strstr(err.text, "not UTF-8"));
    }
}
END_TEST

/* What a text asks for, without the places where it does. */
static void same_wishes(const char *a, const char *b)
{
    rg_prompt p = analyzed(a), q = analyzed(b);
    ck_assert_msg(p.tempo == q.tempo && p.tempo_low == q.tempo_low && p.tempo_high == q.tempo_high,
                  "%s / %s", a, b);
    ck_assert_msg(p.key_tonic == q.key_tonic && !strcmp(p.mode, q.mode), "%s / %s", a, b);
    ck_assert_msg(p.meter_beats == q.meter_beats && p.meter_unit == q.meter_unit, "%s / %s", a, b);
    ck_assert_msg(p.duration == q.duration && p.bars == q.bars, "%s / %s", a, b);
    ck_assert_msg(!memcmp(p.tracks, q.tracks, sizeof p.tracks), "%s / %s", a, b);
    ck_assert_msg(p.n == q.n && p.n_conflicts == q.n_conflicts, "%s / %s", a, b);
    for (size_t i = 0; i < p.n; i++) {
        const rg_finding *f = p.findings + i;
        size_t same = 0;
        for (size_t j = 0; j < q.n; j++) {
            const rg_finding *g = q.findings + j;
            same += !strcmp(f->field, g->field) && !strcmp(f->value, g->value) &&
                    !strcmp(f->role, g->role) && f->unwanted == g->unwanted;
        }
        ck_assert_msg(same == 1, "%s / %s: %s %s", a, b, f->field, f->value);
    }
}

static const char *const clauses[] = {
    "dark drums", "a warm bass", "no vocals",    "A minor", "128 bpm",   "6/8",           "techno",
    "16 bars",    "sax lead",    "not too fast", "lo-fi",   "builds up", "without guitar"};
enum { N_CLAUSES = sizeof clauses / sizeof *clauses };

static void join_clauses(char *out, size_t size, size_t step, size_t shift)
{
    out[0] = 0;
    for (size_t i = 0; i < N_CLAUSES; i++) {
        size_t n = strlen(out);
        rg_format(out + n, size - n, "%s%s", i ? ", " : "",
                  clauses[(i * step + shift) % N_CLAUSES]);
    }
}

START_TEST(order_case_and_space_change_nothing)
{
    char plain[512], other[512], spaced[1024];
    join_clauses(plain, sizeof plain, 1, 0);
    for (size_t step = 1; step < N_CLAUSES; step++)
        for (size_t shift = 0; shift < N_CLAUSES; shift += 3) {
            join_clauses(other, sizeof other, step, shift);
            same_wishes(plain, other);
        }
    size_t n = 0;
    for (const char *p = plain; *p; p++) {
        char c = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
        spaced[n++] = c;
        if (c == ' ') spaced[n++] = '\t', spaced[n++] = ' ';
    }
    spaced[n] = 0;
    same_wishes(plain, spaced);
}
END_TEST

START_TEST(an_adjective_changes_no_number)
{
    analyzed("x");
    rg_prompt plain = analyzed("techno, 128 bpm, in A minor, 6/8, 8 seconds");
    for (size_t i = 0; i < vocabulary.n; i++) {
        const rg_word *w = vocabulary.words + i;
        char text[128];
        if (strcmp(w->field, "mood") != 0 && strcmp(w->field, "production") != 0) continue;
        rg_format(text, sizeof text, "%s techno, 128 bpm, in A minor, 6/8, 8 seconds", w->word);
        rg_prompt p = analyzed(text);
        ck_assert_msg(p.tempo == plain.tempo && p.key_tonic == plain.key_tonic &&
                          !strcmp(p.mode, plain.mode) && p.meter_beats == plain.meter_beats &&
                          p.duration == plain.duration && p.n_conflicts == 0,
                      "%s", text);
    }
}
END_TEST

START_TEST(a_no_flips_only_its_target)
{
    static const char *const parts[] = {"drums", "bass", "melody", "vocals"};
    for (size_t i = 0; i < 4; i++) {
        char text[128] = "techno";
        for (size_t j = 0; j < 4; j++) {
            size_t n = strlen(text);
            rg_format(text + n, sizeof text - n, ", %s%s", i == j ? "no " : "", parts[j]);
        }
        rg_prompt p = analyzed(text);
        for (size_t t = 0; t < RG_PROMPT_TRACKS; t++) {
            bool named = strcmp(rg_prompt_track(t), "harmony") != 0;
            int wish = !named ? 0 : !strcmp(rg_prompt_track(t), parts[i]) ? -1 : 1;
            ck_assert_msg(p.tracks[t] == wish, "%s: %s", text, rg_prompt_track(t));
        }
        ck_assert_str_eq(first(&p, "genre"), "techno");
    }
    rg_prompt p = analyzed("no dark drums and a sad flute");
    ck_assert_str_eq(first(&p, "mood"), "sad");
    ck_assert_int_eq(p.tracks[0], -1);
    ck_assert_int_eq(p.tracks[3], 1);
}
END_TEST

/* "no drums, bass or melody": every member, of every choice of three in every order. */
START_TEST(a_list_is_denied_as_a_whole)
{
    static const char *const forms[] = {
        "techno, no %s, %s or %s, 120 bpm",    "techno, no %s, a warm %s, or %s, 120 bpm",
        "without %s, %s and %s: techno",       "techno without %s, dark %s, and %s",
        "TECHNO, neither %s, %s nor any %s",   "no %s/%s/%s, techno",
        "no %s or %s or loud %s in my techno", "without %s and %s or %s, techno",
    };
    for (int mask = 0; mask < 125; mask++) {
        const int a = mask % 5, b = mask / 5 % 5, c = mask / 25;
        if (a == b || b == c || a == c) continue;
        for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
            char text[160];
            snprintf(text, sizeof text, forms[f], rg_prompt_track((size_t)a),
                     rg_prompt_track((size_t)b), rg_prompt_track((size_t)c));
            rg_prompt p = analyzed(text);
            for (int t = 0; t < RG_PROMPT_TRACKS; t++) {
                const int wish = t == a || t == b || t == c ? -1 : 0;
                ck_assert_msg(p.tracks[t] == wish, "%s: %s is %d", text, rg_prompt_track((size_t)t),
                              p.tracks[t]);
            }
            ck_assert_msg(!strcmp(first(&p, "genre"), "techno") && p.n_conflicts == 0, "%s", text);
            ck_assert_msg(first(&p, "mood")[0] == 0, "%s", text);
        }
    }
}
END_TEST

/* What follows a "no" and is no list stays wanted. */
START_TEST(a_list_ends_where_it_ends)
{
    static const char *const texts[] = {
        "no drums, bass and piano",
        "no drums, bass, piano",
        "without drums, and a warm bass",
        "no drums, just bass or piano",
        "no drums. bass with piano",
        "no drums or vocals, bass and piano",
        "without drums, bass",
        "no drums, a bass line",
        "no drums, no vocals, deep bass",
        "without drums, vocals and melody, bass and piano",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        rg_prompt p = analyzed(texts[i]);
        ck_assert_msg(p.tracks[0] == -1 && p.tracks[1] == 1, "%s", texts[i]);
    }
}
END_TEST

START_TEST(says_where_and_how_sure)
{
    rg_prompt p = analyzed("loud tehcno at about 130");
    size_t i = 0, j = 0;
    const rg_finding *genre = rg_prompt_next(&p, "genre", &i);
    const rg_finding *tempo = rg_prompt_next(&p, "tempo", &j);
    ck_assert_str_eq(genre->source, "tehcno");
    ck_assert_uint_eq(genre->from, 5);
    ck_assert_uint_eq(genre->to, 11);
    ck_assert_double_lt(genre->confidence, 1);
    ck_assert_str_eq(p.repaired, "tehcno > techno");
    ck_assert_double_eq(p.tempo_low, 130 * 0.95);
    ck_assert_double_lt(tempo->confidence, 1);
    p = analyzed("bebop");
    ck_assert_double_eq(p.tempo, 0);
    ck_assert_double_gt(p.usual_tempo, 150);
}
END_TEST

START_TEST(tells_json_with_every_key)
{
    static const char *const keys[] = {"tempo_bpm", "key",        "meter",       "duration_s",
                                       "genres",    "moods",      "instruments", "tracks",
                                       "energy",    "production", "conflicts",   "unknown"};
    rg_prompt p = analyzed("16 bars of funk at 120 bpm in 3/4"), none = analyzed("");
    json_t *said = rg_prompt_to_json(&p), *empty = rg_prompt_to_json(&none);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        ck_assert_ptr_nonnull(json_object_get(said, keys[i]));
        json_t *value = json_object_get(empty, keys[i]);
        ck_assert(i < 4 || i == 8 ? json_is_null(value) : json_is_array(value) || i == 7);
    }
    json_t *length = json_object_get(said, "duration_s");
    ck_assert_double_eq(json_number_value(json_object_get(length, "value")), 24);
    ck_assert_str_eq(json_string_value(json_object_get(length, "source")), "said");
    ck_assert_int_eq(json_array_size(json_object_get(length, "span")), 2);
    json_decref(said);
    json_decref(empty);
}
END_TEST

/* A hostile text costs time in proportion; here only that it ends and keeps its bounds. */
START_TEST(reads_a_megabyte)
{
    static const char *const pieces[] = {"techno ", "no ", "a",      "120 ",  "one hundred ",
                                         "x,",      "~",   "zworp ", "in a ", "no drums, bass, ",
                                         "no bass/"};
    enum { BYTES = 1 << 20 };
    char *text = malloc(BYTES + 16);
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        size_t n = 0, m = strlen(pieces[i]);
        for (; n < BYTES; n += m) memcpy(text + n, pieces[i], m);
        text[n] = 0;
        rg_prompt p = analyzed(text);
        ck_assert(p.n <= RG_MAX_FINDINGS && p.n_conflicts <= RG_MAX_CONFLICTS);
    }
    free(text);
}
END_TEST

START_TEST(has_words_enough)
{
    size_t genres = 0, moods = 0;
    analyzed("x");
    for (size_t i = 0; i < vocabulary.n; i++) {
        const rg_word *w = vocabulary.words + i;
        char plain[RG_WORD_SIZE];
        rg_prompt p = analyzed(w->name);
        memcpy(plain, w->word, sizeof plain);
        bool genre = !strcmp(w->field, "genre"), mood = !strcmp(w->field, "mood");
        bool main = rg_vocabulary_find(&vocabulary, w->field, w->name) == w;
        genres += genre && main;
        moods += mood && main;
        if (genre) ck_assert_str_eq(first(&p, "genre"), w->name);
        if (mood) ck_assert_msg(w->valence != 0 || w->arousal != 0, "%s", plain);
        ck_assert_msg(!w->opposite[0] || rg_vocabulary_find(&vocabulary, "mood", w->opposite),
                      "%s: opposite %s", w->word, w->opposite);
    }
    ck_assert_uint_ge(genres, 60);
    ck_assert_uint_ge(moods, 40);
}
END_TEST

START_TEST(names_what_it_does_not_know)
{
    rg_prompt p = analyzed("zworp rock");
    ck_assert_str_eq(p.unknown, "zworp");
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

START_TEST(a_vocabulary_comes_back_from_its_file)
{
    rg_vocabulary made, read;
    rg_error err = {0};
    char path[700];
    snprintf(path, sizeof path, "%s/vocabulary.json", rg_test_folder());
    ck_assert(rg_vocabulary_make(&made));
    made.words[0].low = 21; /* not as it is built in */
    made.words[0].high = 22;
    RG_ASSERT_OK(rg_vocabulary_write(&made, path, &err), &err);
    RG_ASSERT_OK(rg_vocabulary_read(&read, path, &err), &err);
    ck_assert_uint_eq(read.n, made.n);
    for (size_t i = 0; i < made.n; i++) {
        const rg_word *a = made.words + i, *b = read.words + i;
        ck_assert_msg(!strcmp(a->field, b->field) && !strcmp(a->word, b->word) &&
                          !strcmp(a->name, b->name) && !strcmp(a->parent, b->parent) &&
                          !strcmp(a->role, b->role) && !strcmp(a->opposite, b->opposite) &&
                          a->valence == b->valence && a->arousal == b->arousal &&
                          a->low == b->low && a->high == b->high && a->next == b->next,
                      "%s %s", a->field, a->word);
    }
    ck_assert_mem_eq(made.longest, read.longest, sizeof made.longest);
    rg_vocabulary_free(&read);
    rg_vocabulary_free(&made);
    ck_assert_int_eq(rg_vocabulary_read(&read, rg_test_folder(), &err), err.code);
    ck_assert_int_ne(err.code, RG_OK);
    rg_vocabulary_free(&read);
}
END_TEST

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
}

START_TEST(reads_words_from_a_file)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"field: genre\n", "words"},
        {"field: genre\nwords: {gqom: {parent: nope}}\n", "names the parent 'nope'"},
        {"field: genre\nwords: {gqom: {}}\n", "names no parent"},
        {"field: genre\nwords: {gqom: {parnt: house}}\n", "parnt"},
        {"field: genre\nwords: {gqom: {parent: house, tempo: [9, 500]}}\n", "20 to 400"},
        {"field: genre\nwords: {'': {parent: house}}\n", "empty"},
        {"field: genre\nwords: {gqom: house}\n", "no map"},
    };
    char path[256];
    rg_vocabulary v;
    rg_error err = {0};
    const char *folder = rg_test_folder();
    rg_format(path, sizeof path, "%s/words.yaml", folder);
    ck_assert(rg_vocabulary_make(&v));
    write_text(path, "field: genre\nwords:\n  gqom: {parent: house, aliases: [durban beat]}\n");
    RG_ASSERT_OK(rg_vocabulary_load(&v, path, &err), &err);
    ck_assert_str_eq(rg_vocabulary_find(&v, "genre", "Durban Beat")->name, "gqom");
    /* a known name: what is said anew wins, for its aliases too; the rest stays */
    write_text(path,
               "field: genre\nwords:\n  drum and bass: {tempo: [150, 160], aliases: [house]}\n");
    RG_ASSERT_OK(rg_vocabulary_load(&v, path, &err), &err);
    const rg_word *dnb = rg_vocabulary_find(&v, "genre", "dnb");
    ck_assert_str_eq(dnb->name, "drum and bass");
    ck_assert_double_eq(dnb->low, 150);
    ck_assert_str_ne(dnb->parent, "");
    ck_assert_str_eq(rg_vocabulary_find(&v, "genre", "house")->name, "drum and bass");
    ck_assert_str_eq(rg_vocabulary_find(&v, "genre", "house")->word, "house");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rg_vocabulary_free(&v);
        ck_assert(rg_vocabulary_make(&v));
        write_text(path, bad[i].text);
        err = (rg_error){0};
        ck_assert_int_ne(rg_vocabulary_load(&v, path, &err), RG_OK);
        ck_assert_msg(strstr(err.text, bad[i].says) != NULL, "%s", err.text);
    }
    rg_vocabulary_free(&v);
}
END_TEST

RG_TEST_MAIN("prompt", 60, finds_all_fields, takes_the_longest_phrase, reads_keys,
             reports_contradictions, refuses_what_is_no_text, order_case_and_space_change_nothing,
             an_adjective_changes_no_number, a_no_flips_only_its_target,
             a_list_is_denied_as_a_whole, a_list_ends_where_it_ends, says_where_and_how_sure,
             tells_json_with_every_key, reads_a_megabyte, has_words_enough,
             names_what_it_does_not_know, every_parent_is_a_word, own_words_need_a_parent,
             a_vocabulary_comes_back_from_its_file, reads_words_from_a_file)
