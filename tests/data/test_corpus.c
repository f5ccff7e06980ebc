/*
 * Building a corpus from packages made here: reading, doubles, groups, subsets, killed builds.
 *
 * One idea: .deb files with our own MIDI stand for the real ones, so nothing is downloaded. What
 * renders needs libfluidsynth and a SoundFont and says SKIP without them.
 */
#include <dlfcn.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/rng.h"
#include "datasets/corpora/band_build.h"
#include "midi_bytes.h"
#include "test.h"

enum { PIECES = 8 };

static char root[600], packages[700], cache[700];
static const char *soundfont;

static void write_bytes(const char *folder, const char *name, const void *data, size_t n)
{
    char path[1200];
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_make_folders(folder, &err), &err);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    RG_ASSERT_OK(rg_fs_write_atomic(path, data, n, &err), &err);
}

static void make_deb(const char *name, const char *tree)
{
    char folder[800], control[300], command[2400];
    snprintf(folder, sizeof folder, "%s/DEBIAN", tree);
    snprintf(
        control, sizeof control,
        "Package: %s\nVersion: 1:2.0-1\nArchitecture: all\nMaintainer: Nobody <n@example.org>\n"
        "Description: songs for a test\n",
        name);
    write_bytes(folder, "control", control, strlen(control));
    snprintf(
        command, sizeof command,
        "chmod -R u=rwX,go=rX '%s' && dpkg-deb --root-owner-group -b '%s' '%s/%s_2.0-1_all.deb' "
        ">/dev/null",
        tree, tree, packages, name);
    ck_assert_int_eq(system(command), 0);
}

/* A WAD file of two lumps: one song, one that is no song. */
static size_t make_wad(uint8_t *out, const rg_midi_bytes *song)
{
    static const char names[2][8] = {"D_SONG", "PLAYPAL"};
    const uint32_t sizes[2] = {(uint32_t)song->n, 4};
    size_t n = 12;
    memcpy(out + n, song->data, song->n);
    memcpy(out + n + song->n, "abcd", 4);
    n += song->n + 4;
    uint32_t header[2] = {2, (uint32_t)n}, at = 12;
    memcpy(out, "IWAD", 4);
    memcpy(out + 4, header, 8);
    for (int i = 0; i < 2; i++, n += 16) {
        memcpy(out + n, &at, 4);
        memcpy(out + n + 4, &sizes[i], 4);
        memcpy(out + n + 8, names[i], 8);
        at += sizes[i];
    }
    return n;
}

/* A long random tune, for likeness; `shift` transposes it. */
static void make_tune(rg_midi_bytes *b, int shift)
{
    rg_rng rng = rg_rng_make(5, 6);
    rg_mb_header(b, 0, 1, 96);
    rg_mb_begin(b);
    for (int i = 0; i < 200; i++)
        rg_mb_note(b, 0, 48, 0, 40 + shift + (int)rg_rng_below(&rng, 30), 80);
    rg_mb_end(b, 1);
}

/* Package test-band: pieces of 8 .. 15 bars and a double, an unwanted song, a short one, text.
 * Package test-wad: one lump. */
static void make_packages(void)
{
    static rg_midi_bytes b;
    static uint8_t wad[RG_MIDI_BYTES + 64];
    char tree[900], folder[1000], name[64];
    if (packages[0]) return;
    snprintf(root, sizeof root, "%s", rg_test_folder());
    snprintf(packages, sizeof packages, "%s/packages", root);
    snprintf(cache, sizeof cache, "%s/cache", root);
    snprintf(tree, sizeof tree, "%s/band", root);
    snprintf(folder, sizeof folder, "%s/usr/share/songs", tree);
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_make_folders(packages, &err), &err);
    for (int i = 0; i < PIECES; i++) {
        rg_mb_band(&b, 8 + i);
        snprintf(name, sizeof name, "Piece_No %d.mid", i);
        write_bytes(folder, name, b.data, b.n);
    }
    rg_mb_name(&b, "a comment that changes the file, not the music");
    write_bytes(folder, "again.mid", b.data, b.n);
    rg_mb_band(&b, 20);
    write_bytes(folder, "unwanted.mid", b.data, b.n);
    rg_mb_band(&b, 2);
    write_bytes(folder, "short.mid", b.data, b.n);
    write_bytes(folder, "broken.mid", "not music", 9);
    write_bytes(folder, "readme.txt", "hello", 5);
    write_bytes(folder, "damaged.mid.gz", "\037\213 and no more", 15);
    make_tune(&b, 0);
    write_bytes(folder, "tune.mid", b.data, b.n);
    make_tune(&b, 5);
    write_bytes(folder, "tune_higher.mid", b.data, b.n);
    snprintf(folder, sizeof folder, "%s/usr/share/songs/deeper/still", tree);
    rg_mb_band(&b, 16);
    write_bytes(folder, "tune.mid", b.data, b.n);
    rg_mb_band(&b, 17);
    write_bytes(folder, "zipped.MID", b.data, b.n);
    char command[1100];
    snprintf(command, sizeof command, "gzip -n '%s/zipped.MID'", folder);
    ck_assert_int_eq(system(command), 0);
    make_deb("test-band", tree);
    snprintf(tree, sizeof tree, "%s/wad", root);
    snprintf(folder, sizeof folder, "%s/usr/share/wads", tree);
    rg_mb_band(&b, 18);
    write_bytes(folder, "game.wad", wad, make_wad(wad, &b));
    make_deb("test-wad", tree);
}

static const char *const unwanted[] = {"unwanted", NULL};
static const rg_song_source sources[2] = {
    {"test-band", "band", "CC0-1.0", "usr/share/songs", ".mid", "test", NULL, unwanted},
    {"test-wad", "wad", "MIT", "usr/share/wads", ".wad", "test", "rock", NULL}};

static rg_song_list read_list(void)
{
    static rg_package from[2];
    rg_song_list list = {0};
    rg_error err = {0};
    make_packages();
    for (int i = 0; i < 2; i++) {
        RG_ASSERT_OK(rg_package_get(sources[i].package, packages, cache, NULL, &from[i], &err),
                     &err);
        RG_ASSERT_OK(rg_song_list_add(&list, &sources[i], &from[i], NULL, &err), &err);
    }
    RG_ASSERT_OK(rg_song_list_group(&list, &err), &err);
    ck_assert_str_eq(from[0].version, "1:2.0-1");
    return list;
}

START_TEST(songs_are_read_without_doubles_and_grouped)
{
    rg_song_list list = read_list();
    int grouped = 0;
    ck_assert_int_eq(list.n, PIECES + 2 + 2 + 1);
    ck_assert_int_eq(list.doubles, 1);
    ck_assert_int_eq(list.unusable, 3);
    bool numbered = false, unzipped = false;
    for (int64_t i = 0; i < list.n; i++) {
        numbered = numbered || strcmp(list.songs[i].id, "band.tune-2") == 0;
        unzipped = unzipped || strcmp(list.songs[i].id, "band.zipped") == 0;
    }
    ck_assert(numbered && unzipped); /* from a folder in the folder */
    for (int64_t i = 0; i < list.n; i++) {
        const rg_candidate *c = &list.songs[i];
        ck_assert_str_ne(c->id, "band.unwanted");
        if (strcmp(c->id, "band.tune") == 0 || strcmp(c->id, "band.tune-higher") == 0 ||
            strcmp(c->id, "band.tune-2") == 0) {
            ck_assert_str_eq(c->group, list.songs[i].group);
            grouped += strcmp(c->group, c->content_hash) != 0;
        } else {
            ck_assert_str_eq(c->group, c->content_hash);
        }
    }
    ck_assert_int_eq(grouped, 1);
    const rg_candidate *lump = &list.songs[list.n - 1];
    ck_assert_str_eq(lump->id, "wad.game-d-song");
    ck_assert_str_eq(lump->file, "usr/share/wads/game.wad#D_SONG");
    rg_song_list_free(&list);
}
END_TEST

/* ---- building ---- */

static rg_listed_song listed[PIECES + 1];
static char hashes[PIECES + 1][33];

/* All bands and the lump, in splits 0 1 2 0 1 2 ... */
static rg_band_corpus test_corpus(void)
{
    rg_song_list list = read_list();
    int64_t n = 0;
    for (int64_t i = 0; i < list.n; i++) {
        if (strncmp(list.songs[i].id, "band.tune", 9) == 0 ||
            strcmp(list.songs[i].id, "band.zipped") == 0)
            continue;
        snprintf(hashes[n], sizeof hashes[n], "%s", list.songs[i].content_hash);
        listed[n] = (rg_listed_song){(rg_split)(n % 3), hashes[n], ""};
        n++;
    }
    rg_song_list_free(&list);
    return (rg_band_corpus){.about = {.name = "test-corpus",
                                      .license = "CC0-1.0",
                                      .references = "made by a test",
                                      .soundfont_package = "none",
                                      .prompts = RG_PROMPT_LIST},
                            .sources = sources,
                            .n_sources = 2,
                            .listed = listed,
                            .n_listed = n};
}

static rg_build_options options_for(const char *out, int32_t songs, int32_t jobs)
{
    return (rg_build_options){.out = out,
                              .packages = packages,
                              .cache = cache,
                              .soundfont = soundfont,
                              .songs = songs,
                              .minutes = 0.2,
                              .rate = 8000,
                              .jobs = jobs};
}

static rg_store *build(const rg_band_corpus *corpus, const char *out, int32_t songs, int32_t jobs)
{
    rg_error err = {0};
    rg_build_options o = options_for(out, songs, jobs);
    RG_ASSERT_OK(rg_band_build(corpus, &o, NULL, &err), &err);
    rg_store *store = rg_store_open(out, &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    return store;
}

START_TEST(jobs_do_not_change_the_store_and_a_finished_one_is_left_alone)
{
    rg_band_corpus corpus = test_corpus();
    char one[700], three[700];
    snprintf(one, sizeof one, "%s/one", root);
    snprintf(three, sizeof three, "%s/three", root);
    rg_store *a = build(&corpus, one, 0, 1), *b = build(&corpus, three, 0, 3);
    ck_assert_str_eq(rg_store_hash(a), rg_store_hash(b));
    ck_assert_int_eq(rg_store_songs(a), PIECES + 1);
    int64_t i = rg_store_find_song(a, "wad.game-d-song");
    ck_assert_int_ge(i, 0);
    const rg_song *s = rg_store_song(a, i);
    ck_assert_str_eq(s->license, "MIT");
    ck_assert_str_eq(s->package, "test-wad");
    ck_assert_int_eq(s->frames, 12 * 8000);
    ck_assert_int_eq(s->key_tonic, 9);
    ck_assert_int_eq(s->meter, 4);
    ck_assert_str_eq(s->signature, "4/4");
    RG_ASSERT_NEAR(s->tempo_bpm, 120, 1e-9);
    ck_assert_ptr_nonnull(strstr(s->prompt, "120 bpm, A minor, 4/4, fingered bass"));
    ck_assert_int_eq(s->n_beats, 24);
    for (int r = 0; r < 4; r++) ck_assert(s->present[r]);
    rg_store_close(a);
    rg_store_close(b);
    rg_error err = {0};
    rg_build_options o = options_for(one, 0, 2);
    RG_ASSERT_OK(rg_band_build(&corpus, &o, NULL, &err), &err); /* again: nothing to do */
    o.rate = 16000;
    ck_assert_int_eq(rg_band_build(&corpus, &o, NULL, &err), RG_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(err.text, "finished"));
}
END_TEST

START_TEST(a_subset_has_all_three_splits)
{
    rg_band_corpus corpus = test_corpus();
    char out[700];
    for (int32_t n = 3; n <= 5; n += 2) {
        int count[RG_SPLIT_COUNT] = {0}, lumps = 0;
        snprintf(out, sizeof out, "%s/subset-%d", root, n);
        rg_store *store = build(&corpus, out, n, 2);
        ck_assert_int_eq(rg_store_songs(store), n);
        for (int64_t i = 0; i < n; i++) {
            count[rg_store_song(store, i)->split]++;
            lumps += strncmp(rg_store_song(store, i)->id, "wad.", 4) == 0;
        }
        ck_assert_int_eq(count[RG_SPLIT_VALID], 1);
        ck_assert_int_eq(count[RG_SPLIT_TEST], 1);
        ck_assert_int_eq(lumps, 1); /* sources take turns */
        rg_store_close(store);
    }
}
END_TEST

START_TEST(a_killed_build_goes_on)
{
    rg_band_corpus corpus = test_corpus();
    char out[700], clean[700], index[800];
    snprintf(out, sizeof out, "%s/killed", root);
    snprintf(index, sizeof index, "%s/index.jsonl", out);
    int kills = 0;
    for (useconds_t delay = 100000; !rg_fs_exists(index); delay += delay / 2) {
        pid_t child = fork();
        if (child == 0) {
            rg_error err = {0};
            rg_build_options o = options_for(out, 0, 2);
            _exit(rg_band_build(&corpus, &o, NULL, &err) == RG_OK ? 0 : 1);
        }
        usleep(delay);
        kill(child, SIGKILL);
        int status = 0;
        waitpid(child, &status, 0);
        ck_assert(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
        kills += WIFSIGNALED(status);
    }
    /* only now: FluidSynth's OpenMP does not survive a fork of a process that has rendered */
    snprintf(clean, sizeof clean, "%s/clean", root);
    rg_store *killed = build(&corpus, out, 0, 2), *whole = build(&corpus, clean, 0, 2);
    ck_assert_str_eq(rg_store_hash(killed), rg_store_hash(whole));
    rg_store_close(killed);
    rg_store_close(whole);
    ck_assert_int_gt(kills, 0);
}
END_TEST

START_TEST(two_and_five_roles_are_built_from_the_same_songs)
{
    static const char *const maps[2] = {
        "roles:\n  rhythm: {drum_channel: true, programs: [\"32-39\"]}\n  tune: {rest: true}\n",
        "roles:\n  kick: {drum_channel: true}\n  low: {programs: [\"32-39\"]}\n"
        "  strings: {programs: [\"40-51\"]}\n  winds: {programs: [\"72-79\"]}\n"
        "  other: {rest: true}\n"};
    rg_band_corpus corpus = test_corpus();
    char out[700], path[800];
    snprintf(path, sizeof path, "%s/map.yaml", root);
    for (int k = 0; k < 2; k++) {
        rg_error err = {0};
        snprintf(out, sizeof out, "%s/roles-%d", root, k);
        RG_ASSERT_OK(rg_fs_write_atomic(path, maps[k], strlen(maps[k]), &err), &err);
        rg_build_options o = options_for(out, 3, 2);
        o.role_map = path;
        rg_status status = rg_band_build(&corpus, &o, NULL, &err);
        if (k == 1) { /* nobody plays "other": no song has all five */
            ck_assert_int_eq(status, RG_ERR_MISMATCH);
            continue;
        }
        ck_assert_msg(status == RG_OK, "%s", err.text);
        rg_store *store = rg_store_open(out, &err);
        ck_assert_int_eq(rg_store_roles(store), 2);
        ck_assert_str_eq(rg_store_role(store, 0), "rhythm");
        rg_store_close(store);
    }
}
END_TEST

/* The same songs, and a drum kit that is spread over two channels; mono settings are others. */
START_TEST(stereo_is_built_from_the_same_songs)
{
    rg_band_corpus corpus = test_corpus();
    rg_error err = {0};
    char out[700];
    snprintf(out, sizeof out, "%s/stereo", root);
    rg_build_options o = options_for(out, 3, 2);
    o.channels = 2;
    RG_ASSERT_OK(rg_band_build(&corpus, &o, NULL, &err), &err);
    rg_store *store = rg_store_open(out, &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    ck_assert_int_eq(rg_store_channels(store), 2);
    const rg_song *song = rg_store_song(store, 0);
    float *x = malloc(2 * (size_t)song->frames * sizeof *x);
    bool differ = false;
    for (int32_t c = 0; c < 2; c++)
        RG_ASSERT_OK(
            rg_store_read_channel(store, 0, 0, c, 0, song->frames, x + c * song->frames, &err),
            &err);
    for (int64_t i = 0; i < song->frames; i++) differ = differ || x[i] != x[song->frames + i];
    ck_assert(song->present[0] && differ);
    free(x);
    rg_store_close(store);
    RG_ASSERT_OK(rg_band_build(&corpus, &o, NULL, &err), &err); /* again: nothing to do */
    o.channels = 1;
    ck_assert_int_eq(rg_band_build(&corpus, &o, NULL, &err), RG_ERR_MISMATCH);
}
END_TEST

/* ---- refusals, and the list itself ---- */

START_TEST(wrong_wishes_are_refused_in_words)
{
    rg_error err = {0};
    rg_build_options o = {.out = "x"};
    ck_assert_int_eq(rg_corpus_build("debian-bond-v0", &o, NULL, &err), RG_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "did you mean 'debian-band-v0'"));
    rg_error_clear(&err);
    ck_assert_int_eq(rg_corpus_build("something", &o, NULL, &err), RG_ERR_USAGE);
    for (int32_t i = 0; rg_corpus_at(i); i++)
        ck_assert_msg(strstr(err.text, rg_corpus_at(i)->name) != NULL, "%s", err.text);
    rg_error_clear(&err);
    o.songs = 2;
    ck_assert_int_eq(rg_corpus_build("debian-band-v0", &o, NULL, &err), RG_ERR_USAGE);
    rg_error_clear(&err);
    o = (rg_build_options){0};
    ck_assert_int_eq(rg_corpus_build("debian-band-v0", &o, NULL, &err), RG_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "--out"));
    rg_error_clear(&err);
    rg_package package;
    make_packages();
    ck_assert_int_eq(rg_package_get("missing", packages, cache, NULL, &package, &err),
                     RG_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "apt-get download missing"));
}
END_TEST

START_TEST(a_damaged_package_is_named)
{
    rg_error err = {0};
    rg_package package;
    make_packages();
    write_bytes(packages, "damaged_1_all.deb", "!<arch>\nnothing", 15);
    ck_assert_int_eq(rg_package_get("damaged", packages, cache, NULL, &package, &err), RG_ERR_IO);
    ck_assert_msg(strstr(err.text, "dpkg-deb") != NULL, "%s", err.text);
}
END_TEST

static void check_list(const rg_band_corpus *c, int64_t songs)
{
    int64_t count[RG_SPLIT_COUNT] = {0};
    ck_assert_int_eq(c->n_listed, songs);
    for (int64_t i = 0; i < c->n_listed; i++) {
        ck_assert_int_eq(strlen(c->listed[i].content_hash), 32);
        ck_assert_ptr_null(strstr(c->listed[i].id, "moo-redfarn"));
        count[c->listed[i].split]++;
        for (int64_t k = 0; k < i; k++)
            if (!strcmp(c->listed[i].content_hash, c->listed[k].content_hash) ||
                !strcmp(c->listed[i].id, c->listed[k].id))
                ck_abort_msg("%s and %s", c->listed[i].id, c->listed[k].id);
    }
    ck_assert(count[RG_SPLIT_VALID] >= 10 && count[RG_SPLIT_TEST] >= 10);
    ck_assert_int_gt(count[RG_SPLIT_TRAIN], 90);
}

static rg_split side_of(const rg_band_corpus *c, const char *id)
{
    for (int64_t i = 0; i < c->n_listed; i++)
        if (strcmp(c->listed[i].id, id) == 0) return c->listed[i].split;
    ck_abort_msg("%s is not listed", id);
    return RG_SPLIT_COUNT;
}

START_TEST(the_committed_lists_are_sound)
{
    static const char *const alike[][2] = {{"mma.twinkle", "mma.twinkle1"},
                                           {"mma.twinkle", "mma.twinkle2"},
                                           {"mma.twinkle", "mma.twinkle3"},
                                           {"mma.fella1", "mma.fella2"},
                                           {"mma.cresc", "mma.volume"}};
    const rg_band_corpus *v0 = &rg_debian_band_v0, *v1 = &rg_debian_band_v1;
    check_list(v0, 148);
    check_list(v1, 216);
    for (int64_t i = 0; i < v0->n_listed; i++)
        ck_assert_int_eq(side_of(v1, v0->listed[i].id), v0->listed[i].split);
    for (size_t i = 0; i < sizeof alike / sizeof alike[0]; i++)
        ck_assert_int_eq(side_of(v1, alike[i][0]), side_of(v1, alike[i][1]));
}
END_TEST

static const char *find_soundfont(void)
{
    static const char *const known[] = {"/usr/share/sounds/sf2/TimGM6mb.sf2",
                                        "/usr/share/sounds/sf2/FluidR3_GM.sf2",
                                        "/usr/share/sounds/sf2/default-GM.sf2"};
    const char *given = getenv("RG_SOUNDFONT");
    if (given) return given;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (rg_fs_exists(known[i])) return known[i];
    return NULL;
}

int main(void)
{
    const TTest *const tests[] = {songs_are_read_without_doubles_and_grouped,
                                  wrong_wishes_are_refused_in_words,
                                  a_damaged_package_is_named,
                                  the_committed_lists_are_sound,
                                  jobs_do_not_change_the_store_and_a_finished_one_is_left_alone,
                                  a_subset_has_all_three_splits,
                                  a_killed_build_goes_on,
                                  two_and_five_roles_are_built_from_the_same_songs,
                                  stereo_is_built_from_the_same_songs};
    size_t n = sizeof tests / sizeof tests[0];
    soundfont = find_soundfont();
    if (!soundfont || !dlopen("libfluidsynth.so.3", RTLD_NOW)) {
        printf("SKIP corpus rendering: %s\n",
               soundfont ? "libfluidsynth3 is not installed" : "no SoundFont is installed");
        n -= 5;
    }
    return rg_test_run("corpus", tests, n, 120);
}
