/*
 * Composed songs: the library's grooves, plans and their labels, prompts, a whole build.
 *
 * One idea: a library of a few files written here stands for MMA's, and a Python script of a few
 * lines for MMA itself: it plays one note a beat, so that what is tested is ours. What renders
 * needs python3, libfluidsynth and a SoundFont and says SKIP without them.
 */
#include <dlfcn.h>
#include <string.h>

#include "base/fs.h"
#include "datasets/corpora/mma_build.h"
#include "datasets/corpora/mma_song.h"
#include "datasets/corpora/vary.h"
#include "datasets/prompts.h"
#include "test.h"

enum { STYLES = 40, SONGS = 60 };

static char root[600], packages[700], library[900];
static const char *soundfont;

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[1200];
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_make_folders(folder, &err), &err);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    RG_ASSERT_OK(rg_fs_write_atomic(path, text, strlen(text), &err), &err);
}

/* One track a name, one note a quarter; bars are the lines that begin with a number. */
static const char player[] =
    "import struct, sys\n"
    "text = open(sys.argv[sys.argv.index('-w') + 1]).read().split('\\n')\n"
    "tempo = int(text[0].split()[1])\n"
    "quarters = sum(len(l.split()) - 1 for l in text if l[:1].isdigit())\n"
    "def track(name, events):\n"
    "    data = b'\\0\\xff\\3' + bytes([len(name)]) + name + events + b'\\0\\xff\\x2f\\0'\n"
    "    return b'MTrk' + struct.pack('>I', len(data)) + data\n"
    "def notes(channel, program, pitch):\n"
    "    note = bytes([0, 0x90 | channel, pitch, 90, 96, 0x80 | channel, pitch, 0])\n"
    "    return bytes([0, 0xc0 | channel, program]) + note * quarters\n"
    "speed = b'\\0\\xff\\x51\\3' + struct.pack('>I', 60000000 // tempo)[1:]\n"
    "tracks = [track(b'', speed), track(b'Drum-Kick', notes(9, 0, 36)),\n"
    "          track(b'Walk-Low', notes(0, 25, 40)), track(b'Chord-Sus', notes(1, 0, 60)),\n"
    "          track(b'Aria', notes(2, 73, 72))]\n"
    "out = open(sys.argv[sys.argv.index('-f') + 1], 'wb')\n"
    "out.write(b'MThd' + struct.pack('>IHHH', 6, 1, len(tracks), 96) + b''.join(tracks))\n";

static void make_library(void)
{
    char name[64], text[600], tree[700], folder[800];
    if (strcmp(root, rg_test_folder()) == 0) return; /* each test has a folder of its own */
    snprintf(root, sizeof root, "%s", rg_test_folder());
    snprintf(packages, sizeof packages, "%s/packages", root);
    snprintf(tree, sizeof tree, "%s/tree", root);
    snprintf(library, sizeof library, "%s/usr/share/mma/lib/stdlib", tree);
    for (int i = 0; i < STYLES; i++) {
        snprintf(name, sizeof name, "soft-waltz%d.mma", i);
        snprintf(text, sizeof text,
                 "Begin Doc\n Time is short\nEnd\nTime %d // beats\n  TimeSig 4 4\n"
                 "DefGroove SoftWaltz%d  as is\nDefGroove SoftWaltz%dPlus more\n"
                 "DefGroove SoftWaltz%dIntro\nDefGroove SoftWaltz%dFill\n",
                 i % 2 ? 3 : 4, i, i, i, i);
        write_file(library, name, text);
    }
    write_file(library, "slow68.mma", "Time 6\nTimesig 6/8\nDefGroove Slow68\n");
    write_file(library, "rock128.mma", "Time 4\nDefGroove Rock-128\n");
    write_file(library, "readme.txt", "DefGroove NotOne\n");
    snprintf(folder, sizeof folder, "%s/usr/bin", tree);
    write_file(folder, "mma", player);
    snprintf(folder, sizeof folder, "%s/DEBIAN", tree);
    write_file(folder, "control",
               "Package: mma\nVersion: 9.9-1\nArchitecture: all\n"
               "Maintainer: Nobody <n@example.org>\nDescription: a player for a test\n");
    char command[2600];
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_make_folders(packages, &err), &err);
    snprintf(command, sizeof command,
             "chmod -R u=rwX,go=rX '%s' && dpkg-deb --root-owner-group -b '%s' "
             "'%s/mma_9.9-1_all.deb' >/dev/null",
             tree, tree, packages);
    ck_assert_int_eq(system(command), 0);
}

static const rg_groove *find(const rg_groove *grooves, int64_t n, const char *name)
{
    for (int64_t i = 0; i < n; i++)
        if (strcmp(grooves[i].name, name) == 0) return &grooves[i];
    return NULL;
}

static rg_groove *read_grooves(int64_t *n)
{
    rg_groove *grooves = NULL;
    rg_error err = {0};
    make_library();
    RG_ASSERT_OK(rg_grooves_read(library, &grooves, n, &err), &err);
    return grooves;
}

START_TEST(grooves_are_read_with_meter_genre_and_side)
{
    int64_t n = 0;
    rg_groove *grooves = read_grooves(&n);
    ck_assert_int_eq(n, 2 * STYLES + 2);
    const rg_groove *g = find(grooves, n, "SoftWaltz7Plus");
    ck_assert_ptr_nonnull(g);
    ck_assert_str_eq(g->genre, "soft waltz7");
    ck_assert_str_eq(g->signature, "3/4");
    ck_assert_int_eq(g->quarters, 3);
    g = find(grooves, n, "Slow68");
    ck_assert(g && g->quarters == 6 && g->beats == 2);
    ck_assert_str_eq(g->signature, "6/8");
    g = find(grooves, n, "Rock-128");
    ck_assert(g && g->beats == 4);
    ck_assert_str_eq(g->signature, "12/8");
    ck_assert_ptr_null(find(grooves, n, "SoftWaltz1Intro"));
    for (int64_t i = 1; i < n; i++)
        if (strcmp(grooves[i].style, grooves[i - 1].style) == 0)
            ck_assert_int_eq(grooves[i].split, grooves[i - 1].split);
    free(grooves);
}
END_TEST

START_TEST(a_library_without_grooves_is_refused)
{
    char folder[800];
    rg_groove *grooves = NULL;
    int64_t n = 0;
    rg_error err = {0};
    make_library();
    snprintf(folder, sizeof folder, "%s/empty", root);
    write_file(folder, "x.mma", "Time 4\nDefGroove OnlyIntro\n");
    ck_assert_int_eq(rg_grooves_read(folder, &grooves, &n, &err), RG_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, folder));
    ck_assert_ptr_null(grooves);
}
END_TEST

/* Quarters and chords of the text, against the plan. */
static void check_text(const rg_mma_song *s)
{
    rg_text text;
    char *rest = NULL, line[128];
    int32_t quarters = 0, chords = 0;
    rg_text_init(&text, 1 << 16);
    rg_mma_write(s, &text);
    snprintf(line, sizeof line, "Groove stdlib/%s:%s\n", s->groove->style, s->groove->name);
    ck_assert_ptr_nonnull(strstr(text.data, line));
    for (char *l = strtok_r(text.data, "\n", &rest); l; l = strtok_r(NULL, "\n", &rest)) {
        char *words = NULL;
        if (*l < '0' || *l > '9') continue;
        for (char *w = strtok_r(strchr(l, ' '), " ", &words); w; w = strtok_r(NULL, " ", &words)) {
            if (*w != '/') ck_assert_int_eq(s->chords[chords++].quarter, quarters);
            quarters++;
        }
    }
    ck_assert_int_eq(quarters, s->bars * s->groove->quarters);
    ck_assert_int_eq(chords, s->n_chords);
    rg_text_free(&text);
}

START_TEST(plans_are_drawn_from_seed_and_number_alone)
{
    int64_t n = 0, minor = 0, halved = 0;
    rg_groove *grooves = read_grooves(&n);
    static rg_mma_song a, b;
    for (int64_t i = 0; i < SONGS; i++) {
        rg_mma_compose(grooves, n, 7, i, &a);
        rg_mma_compose(grooves, n, 7, i, &b);
        ck_assert_mem_eq(&a, &b, sizeof a);
        ck_assert_int_eq(a.groove->split, rg_mma_split(i));
        ck_assert(a.bars <= RG_MMA_BARS && a.n_chords >= a.bars && a.n_chords <= RG_MMA_CHORDS);
        double tempo = rg_mma_tempo_bpm(&a);
        ck_assert_msg(tempo >= 56 && tempo <= 200, "tempo %g", tempo);
        minor += a.key_mode;
        halved += a.n_chords > a.bars;
        check_text(&a);
    }
    ck_assert(minor > SONGS / 5 && minor < SONGS * 3 / 5);
    ck_assert_int_gt(halved, 0);
    const rg_mma_chord chord = {.root = 9, .quality = 3};
    char label[16];
    rg_mma_chord_label(&chord, label);
    ck_assert_str_eq(label, "A:min7");
    free(grooves);
}
END_TEST

/* ---- prompts ---- */

START_TEST(prompts_say_what_is_known_and_no_more)
{
    static const char *const roles[] = {"drums", "bass", "melody"};
    rg_song s = {.tempo_bpm = 119.6, .meter = 4, .key_tonic = 9, .key_mode = 1};
    char first[256];
    int different = 0;
    snprintf(s.genre, sizeof s.genre, "bossa nova");
    snprintf(s.instruments[1], sizeof s.instruments[1], "fretless bass, tuba");
    s.present[0] = s.present[1] = true;
    for (int i = 0; i < 60; i++) {
        snprintf(s.id, sizeof s.id, "song-%d", i);
        rg_prompt_write(&s, 3, roles, RG_PROMPT_SENTENCE, 0);
        ck_assert_msg(strcasestr(s.prompt, "bossa nova") && strstr(s.prompt, "120") &&
                          strstr(s.prompt, "A minor") && strstr(s.prompt, "4/4") &&
                          strcasestr(s.prompt, "drums and fretless bass"),
                      "%s", s.prompt);
        ck_assert_msg(!strpbrk(s.prompt, "$[]") && !strstr(s.prompt, "melody"), "%s", s.prompt);
        if (i == 0) snprintf(first, sizeof first, "%s", s.prompt);
        different += strcmp(first, s.prompt) != 0;
    }
    ck_assert_int_gt(different, 30);
    rg_prompt_write(&s, 3, roles, RG_PROMPT_SENTENCE, 0);
    snprintf(first, sizeof first, "%s", s.prompt);
    rg_prompt_write(&s, 3, roles, RG_PROMPT_SENTENCE, 0);
    ck_assert_str_eq(first, s.prompt);
    rg_song unknown = {.key_tonic = -1};
    for (int i = 0; i < 30; i++) {
        snprintf(unknown.id, sizeof unknown.id, "song-%d", i);
        rg_prompt_write(&unknown, 3, roles, RG_PROMPT_SENTENCE, 0);
        ck_assert_msg(!strcasecmp(unknown.prompt, "music") ||
                          !strcasecmp(unknown.prompt, "a piece of music"),
                      "%s", unknown.prompt);
    }
}
END_TEST

/* ---- changed copies ---- */

START_TEST(changes_are_one_to_one_and_within_limits)
{
    char label[16] = "Bb:min7", none[16] = "N";
    bool up = false, down = false, faster = false, slower = false;
    for (int32_t copy = 1; copy <= 40; copy++) {
        const rg_change c = rg_change_draw("a.song", copy), again = rg_change_draw("a.song", copy);
        ck_assert_mem_eq(&c.program, &again.program, sizeof c.program);
        ck_assert(c.semitones == again.semitones && c.speed == again.speed);
        ck_assert(c.semitones != 0 && c.semitones >= -5 && c.semitones <= 5);
        ck_assert(c.speed >= 0.9 && c.speed <= 1.1);
        bool taken[128] = {false};
        for (int p = 0; p < 128; p++) {
            ck_assert(!taken[c.program[p]] && c.program[p] / 8 == p / 8);
            taken[c.program[p]] = true;
        }
        ck_assert(c.program[43] == 43 && c.program[47] == 47); /* bass and drums in strings */
        up = up || c.semitones > 0;
        down = down || c.semitones < 0;
        faster = faster || c.speed > 1.05;
        slower = slower || c.speed < 0.95;
    }
    ck_assert(up && down && faster && slower);
    rg_change change = rg_change_none();
    change.semitones = 3;
    rg_change_chord(&change, label);
    ck_assert_str_eq(label, "Db:min7");
    change.semitones = -5;
    rg_change_chord(&change, label);
    ck_assert_str_eq(label, "Ab:min7");
    rg_change_chord(&change, none);
    ck_assert_str_eq(none, "N");
}
END_TEST

START_TEST(wrong_wishes_are_refused)
{
    const struct {
        rg_build_options o;
        const char *corpus, *said;
    } wishes[] = {{{.split = "dev"}, "mma-v1", "--split dev"},
                  {{.augment = 101}, "mma-v1", "--augment 101"},
                  {{.augment_soundfont = "x.sf2"}, "mma-v1", "--augment N"},
                  {{.midi = ""}, "mma-v1", "--midi"},
                  {{.midi = "m"}, "debian-band-v1", "--midi"},
                  {{.augment = 1}, "frets-real", "--augment"}};
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        rg_error err = {0};
        rg_build_options o = wishes[i].o;
        o.out = "x";
        ck_assert_int_eq(rg_corpus_build(wishes[i].corpus, &o, NULL, &err), RG_ERR_USAGE);
        ck_assert_msg(strstr(err.text, wishes[i].said) != NULL, "%s", err.text);
    }
}
END_TEST

/* ---- a build ---- */

START_TEST(songs_are_stored_with_true_labels)
{
    char out[700], cache[700], midi[700], path[900];
    rg_error err = {0};
    make_library();
    snprintf(out, sizeof out, "%s/store", root);
    snprintf(cache, sizeof cache, "%s/cache", root);
    snprintf(midi, sizeof midi, "%s/midi", root);
    const rg_build_options o = {.out = out,
                                .packages = packages,
                                .cache = cache,
                                .midi = midi,
                                .soundfont = soundfont,
                                .songs = 3,
                                .minutes = 0.2,
                                .rate = 8000,
                                .jobs = 2};
    RG_ASSERT_OK(rg_corpus_build("mma-v1", &o, NULL, &err), &err);
    rg_store *store = rg_store_open(out, &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    int64_t n = 0;
    rg_groove *grooves = read_grooves(&n);
    for (int64_t i = 0; i < 3; i++) {
        const rg_song *s = rg_store_song(store, i);
        static rg_mma_song plan;
        rg_mma_compose(grooves, n, 0, i, &plan);
        ck_assert_int_eq(s->split, rg_mma_split(i));
        ck_assert_str_eq(s->signature, plan.groove->signature);
        ck_assert_ptr_nonnull(strstr(s->groove, plan.groove->name));
        RG_ASSERT_NEAR(s->tempo_bpm, rg_mma_tempo_bpm(&plan), 1e-9);
        ck_assert_int_eq(s->key_tonic, plan.key_tonic);
        for (int r = 0; r < 4; r++) ck_assert_msg(s->present[r], "role %d", r);
        ck_assert_str_eq(s->instruments[1], "steel guitar"); /* by the track's name */
        double quarter = 60.0 / plan.tempo;
        ck_assert_int_gt(s->n_chords, 2);
        for (int64_t k = 0; k < s->n_chords; k++) {
            char label[16];
            rg_mma_chord_label(&plan.chords[k], label);
            ck_assert_str_eq(s->chords[k].label, label);
            RG_ASSERT_NEAR(s->chords[k].start, plan.chords[k].quarter * quarter, 1e-4);
        }
        double step = quarter * plan.groove->quarters / plan.groove->beats;
        RG_ASSERT_NEAR(s->beats[s->n_beats - 1], step * (double)(s->n_beats - 1), 1e-4);
        RG_ASSERT_NEAR(s->downbeats[1], quarter * plan.groove->quarters, 1e-4);
        snprintf(path, sizeof path, "%s/%s.json", midi, s->id);
        ck_assert(rg_fs_is_file(path));
    }
    free(grooves);
    rg_store_close(store);
}
END_TEST

/* Copy `number` of song s, against the change that made it. */
static void check_copy(const rg_store *store, const rg_song *s, int32_t number)
{
    char id[RG_ID_SIZE + 8];
    snprintf(id, sizeof id, "%s.a%d", s->id, number);
    int64_t at = rg_store_find_song(store, id);
    ck_assert_msg(at >= 0, "%s", id);
    const rg_song *copy = rg_store_song(store, at);
    const rg_change change = rg_change_draw(s->id, number);
    char label[16];
    ck_assert_int_eq(copy->split, s->split);
    ck_assert_str_eq(copy->group, s->group);
    ck_assert_str_ne(copy->content_hash, s->content_hash);
    ck_assert_int_eq(copy->key_tonic, (s->key_tonic + change.semitones + 12) % 12);
    ck_assert_int_eq(copy->key_mode, s->key_mode);
    RG_ASSERT_NEAR(copy->tempo_bpm, s->tempo_bpm * change.speed, 1e-9);
    RG_ASSERT_NEAR(copy->beats[3], s->beats[3] / change.speed, 1e-9);
    RG_ASSERT_NEAR(copy->chords[1].start, s->chords[1].start / change.speed, 1e-9);
    snprintf(label, sizeof label, "%s", s->chords[1].label);
    rg_change_chord(&change, label);
    ck_assert_str_eq(copy->chords[1].label, label);
    for (int r = 0; r < 4; r++) ck_assert(copy->present[r]);
}

START_TEST(copies_stay_with_their_song)
{
    char out[700], cache[700];
    rg_error err = {0};
    make_library();
    snprintf(out, sizeof out, "%s/copies", root);
    snprintf(cache, sizeof cache, "%s/cache", root);
    rg_build_options o = {.out = out,
                          .packages = packages,
                          .cache = cache,
                          .soundfont = soundfont,
                          .split = "test",
                          .augment = 2,
                          .augment_soundfont = soundfont,
                          .songs = 13,
                          .minutes = 0.2,
                          .rate = 8000,
                          .jobs = 2};
    RG_ASSERT_OK(rg_corpus_build("mma-v1", &o, NULL, &err), &err);
    rg_store *store = rg_store_open(out, &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    ck_assert_int_eq(rg_store_songs(store), 2 * 3); /* songs 2 and 12 */
    int64_t songs = 0;
    for (int64_t i = 0; i < rg_store_songs(store); i++) {
        const rg_song *s = rg_store_song(store, i);
        ck_assert_int_eq(s->split, RG_SPLIT_TEST);
        if (strstr(s->id, ".a")) continue;
        songs++;
        check_copy(store, s, 1);
        check_copy(store, s, 2);
    }
    ck_assert_int_eq(songs, 2);
    rg_store_close(store);
}
END_TEST

static bool can_render(void)
{
    static const char *const known[] = {"/usr/share/sounds/sf2/TimGM6mb.sf2",
                                        "/usr/share/sounds/sf2/FluidR3_GM.sf2",
                                        "/usr/share/sounds/sf2/default-GM.sf2"};
    soundfont = getenv("RG_SOUNDFONT");
    for (size_t i = 0; !soundfont && i < sizeof known / sizeof known[0]; i++)
        if (rg_fs_exists(known[i])) soundfont = known[i];
    if (!soundfont) printf("SKIP corpus rendering: no SoundFont is installed\n");
    if (soundfont && !dlopen("libfluidsynth.so.3", RTLD_NOW)) {
        printf("SKIP corpus rendering: libfluidsynth3 is not installed\n");
        return false;
    }
    return soundfont != NULL;
}

int main(void)
{
    const TTest *const tests[] = {
        grooves_are_read_with_meter_genre_and_side, a_library_without_grooves_is_refused,
        plans_are_drawn_from_seed_and_number_alone, prompts_say_what_is_known_and_no_more,
        changes_are_one_to_one_and_within_limits,   wrong_wishes_are_refused,
        songs_are_stored_with_true_labels,          copies_stay_with_their_song};
    size_t n = sizeof tests / sizeof tests[0];
    return rg_test_run("mma", tests, can_render() ? n : n - 2, 120);
}
