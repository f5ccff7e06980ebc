/*
 * Recordings as songs of Frets on Fire: the importer, and the corpus of two packages.
 */
#include "datasets/corpora/corpus.h"
#include "import_tree.h"

static void make_song(const char *folder, double hz)
{
    char path[900];
    snprintf(path, sizeof path, "%s/guitar.ogg", folder); /* what is in a file counts */
    MAKE(path, hz, 0.2);
    snprintf(path, sizeof path, "%s/song.ogg", folder);
    MAKE(path, 2.5 * hz, 0.3);
    snprintf(path, sizeof path, "%s/song.ini", folder);
    write_text(path, "[song]\nname = x\n");
}

START_TEST(songs_of_the_game)
{
    rg_error err = {0};
    make_song("in/a/songs/muldjord/First One", 200);
    make_song("in/b/c/songs/unknown/Second", 330);
    MAKE("in/b/c/songs/unknown/Third/rhythm.ogg", 100, 0.2);
    MAKE("in/b/c/songs/unknown/Third/guitar.ogg", 500, 0.2);
    rg_import_options o = {.license = "CC0-1.0"};
    RG_ASSERT_OK(import_from("fretsonfire", at("in"), at("out"), o, &err), &err);
    rg_store *store = rg_store_open(at("out"), &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    ck_assert_int_eq(rg_store_songs(store), 3);
    int known = 0;
    for (int64_t i = 0; i < 3; i++) {
        const rg_song *s = rg_store_song(store, i);
        bool first = strcmp(s->title, "First One") == 0;
        ck_assert_int_eq(s->split, RG_SPLIT_TEST);
        ck_assert_str_eq(s->license, first ? "CC-BY-SA-3.0" : "CC0-1.0");
        ck_assert_msg(strcasestr(s->prompt, "guitar") != NULL, "%s", s->prompt);
        known += first;
    }
    ck_assert_int_eq(known, 1);
    ASSERT_TOLD("Third: 'song.ogg' is missing");
    rg_store_close(store);
}
END_TEST

static void make_package(const char *name, const char *song, double hz)
{
    char path[900], text[400], command[3200];
    snprintf(path, sizeof path, "%s/usr/share/games/songs/%s", name, song);
    make_song(path, hz);
    snprintf(path, sizeof path, "%s/DEBIAN/control", name);
    snprintf(text, sizeof text,
             "Package: %s\nVersion: 3-1\nArchitecture: all\n"
             "Maintainer: Nobody <n@example.org>\nDescription: songs for a test\n",
             name);
    write_text(path, text);
    write_text("packages/empty", "");
    snprintf(command, sizeof command,
             "chmod -R u=rwX,go=rX '%s' && dpkg-deb --root-owner-group -b '%s' "
             "'%s/%s_3-1_all.deb' >/dev/null",
             at(name), at(name), at("packages"), name);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(the_corpus_is_guitar_against_the_rest)
{
    rg_error err = {0};
    make_package("fretsonfire-songs-muldjord", "muldjord/One", 210);
    make_package("fretsonfire-songs-sectoid", "sectoid/Two", 310);
    rg_build_options o = {.out = at("store"),
                          .packages = at("packages"),
                          .cache = at("cache"),
                          .rate = RATE,
                          .jobs = 2};
    RG_ASSERT_OK(rg_corpus_build("frets-real", &o, NULL, &err), &err);
    rg_store *store = rg_store_open(at("store"), &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    ck_assert_int_eq(rg_store_songs(store), 2);
    ck_assert_int_eq(rg_store_roles(store), 2);
    ck_assert_str_eq(rg_store_role(store, 0), "guitar");
    ck_assert_str_eq(rg_store_role(store, 1), "rest");
    for (int64_t i = 0; i < 2; i++) {
        const rg_song *s = rg_store_song(store, i);
        ck_assert(s->present[0] && s->present[1]);
        ck_assert_str_eq(s->instruments[1], "band");
        ck_assert_str_eq(s->license, strcmp(s->title, "One") == 0 ? "CC-BY-SA-3.0" : "MIT");
    }
    rg_store_close(store);
    RG_ASSERT_OK(rg_corpus_build("frets-real", &o, NULL, &err), &err); /* again: nothing to do */
    o.channels = 2;                                                    /* of other settings */
    ck_assert_int_eq(rg_corpus_build("frets-real", &o, NULL, &err), RG_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(err.text, "finished"));
    rg_error_clear(&err);
    o.out = at("stereo");
    RG_ASSERT_OK(rg_corpus_build("frets-real", &o, NULL, &err), &err);
    store = rg_store_open(at("stereo"), &err);
    ck_assert(store != NULL && rg_store_channels(store) == 2 && rg_store_songs(store) == 2);
    rg_store_close(store);
    o.songs = 4;
    ck_assert_int_eq(rg_corpus_build("frets-real", &o, NULL, &err), RG_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "--songs"));
}
END_TEST

RG_TEST_MAIN("frets", 60, songs_of_the_game, the_corpus_is_guitar_against_the_rest)
