/*
 * Data sets by name: trees as their releases unpack, with the keys of their metadata.
 */
#include <unistd.h>

#include "datasets/roles.h"
#include "import_tree.h"

static const char *const moises_json =
    "{\"id\": \"u1\", \"song\": \"Lost\", \"artist\": \"Nobody\", \"genre\": \"rock\", \"stems\": ["
    "{\"id\": \"a\", \"stemName\": \"bass\", \"tracks\": [{\"id\": \"t1\", \"trackType\": \"tuba\","
    " \"extension\": \"wav\", \"has_bleed\": true}]},"
    "{\"id\": \"b\", \"stemName\": \"other_keys\", \"tracks\": [{\"id\": \"t2\", \"trackType\": "
    "\"synth lead\", \"extension\": \"wav\", \"has_bleed\": false}]},"
    "{\"id\": \"c\", \"stemName\": \"bass\", \"tracks\": [{\"id\": \"t3\", \"trackType\": "
    "\"bass guitar\", \"extension\": \"wav\", \"has_bleed\": false}]},"
    "{\"id\": \"d\", \"stemName\": \"other\", \"tracks\": [{\"id\": \"t4\", \"trackType\": "
    "\"click track\", \"extension\": \"wav\", \"has_bleed\": false}]},"
    "{\"id\": \"e\", \"stemName\": \"vocals\", \"tracks\": [{\"id\": \"t5\", \"trackType\": "
    "\"lead female singer\", \"extension\": \"wav\", \"has_bleed\": false}]}]}";

static void make_moises(const char *root)
{
    static const struct {
        const char *file;
        int rate;
        int64_t frames;
    } files[] = {{"bass/t1.wav", 8000, 8000},
                 {"other_keys/t2.wav", 16000, 20000},
                 {"bass/t3.wav", 8000, 7000},
                 {"other/t4.wav", 8000, 8000},
                 {"vocals/t5.wav", 8000, 8000}};
    char path[300];
    snprintf(path, sizeof path, "%s/data.json", root);
    write_text(path, moises_json);
    for (size_t i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/%s", root, files[i].file);
        MAKE(path, 100.0 * (double)(i + 1), 0.2, .rate = files[i].rate, .frames = files[i].frames);
    }
}

START_TEST(moisesdb)
{
    make_moises("in/moisesdb_v0.1/5f0e8a2c-u1");
    write_text("in/moisesdb_v0.1/u2/data.json",
               "{\"song\": \"Cut\", \"stems\": [{\"tracks\": 5}]}");
    write_text("in/moisesdb_v0.1/u3/data.json", "{\"song\": ");
    rg_store *store = imported_with("moisesdb", "in", (rg_import_options){.skip_bad = true});
    ck_assert_int_eq(rg_store_songs(store), 1);
    const rg_song *song = song_of(store, "Nobody - Lost");
    ck_assert(has(store, song, "bass") && has(store, song, "harmony"));
    ck_assert(has(store, song, "vocals") && !has(store, song, "melody"));
    ck_assert_str_eq(song->instruments[rg_store_find_role(store, "bass")], "tuba, bass guitar");
    ck_assert_str_eq(song->genre, "rock");
    ck_assert_str_eq(song->license, "CC-BY-NC-SA-4.0");
    ck_assert_int_eq(song->frames, 10000);
    ASSERT_TOLD("Nobody - Lost: 'tuba' holds other instruments too");
    ASSERT_TOLD("Nobody - Lost: stems differ by 0.375 s in length");
    ASSERT_TOLD("Nobody - Lost: no role takes 'click track'");
    ASSERT_TOLD("left out: Cut: ");
    ASSERT_TOLD("left out: u3: ");
    rg_store_close(store);
}
END_TEST

/* What is known of a stem stays with its song: names, types, bleed, rates and channels. */
START_TEST(bleed_is_kept)
{
    char *text;
    size_t n;
    rg_error err = {0};
    make_moises("in/moisesdb_v0.1/u1");
    rg_store_close(imported("moisesdb", "in"));
    RG_ASSERT_OK(rg_fs_read_all(at("store/stems-00000-of-00001.h5"), 1 << 24, &text, &n, &err),
                 &err);
    static const char *const kept[] = {
        "{\"name\":\"tuba\",\"role\":\"bass\",\"rate\":8000,\"channels\":1,\"peak\":",
        "\"bleed\":true}", "'tuba' holds other instruments too"};
    for (size_t i = 0; i < 3; i++) ck_assert(memmem(text, n, kept[i], strlen(kept[i])));
    free(text);
}
END_TEST

/* The content alone decides, so another name or folder has the same side. */
START_TEST(moisesdb_split_is_of_the_content)
{
    make_moises("in/moisesdb_v0.1/u1");
    rg_store *store = imported("moisesdb", "in");
    rg_split split = rg_store_song(store, 0)->split;
    unsigned value = 0;
    sscanf(rg_store_song(store, 0)->content_hash, "%8x", &value);
    ck_assert_int_eq(split, value % 100 < 10   ? RG_SPLIT_TEST
                            : value % 100 < 20 ? RG_SPLIT_VALID
                                               : RG_SPLIT_TRAIN);
    rg_store_close(store);
}
END_TEST

static const char *const medley_yaml =
    "album: ''\nartist: Liz Nobody\ncomposer: [A, B]\nexcerpt: 'no'\ngenre: Jazz\n"
    "has_bleed: 'yes'\ninstrumental: 'no'\nmix_filename: LizNobody_Rain_MIX.wav\norigin: X\n"
    "producer: ''\nraw_dir: LizNobody_Rain_RAW\nstem_dir: LizNobody_Rain_STEMS\nstems:\n"
    "  S01:\n    component: bass\n    filename: LizNobody_Rain_STEM_01.wav\n"
    "    instrument: tuba\n    raw:\n      R01: {filename: LizNobody_Rain_RAW_01_01.wav, "
    "instrument: tuba}\n"
    "  S02:\n    component: melody\n    filename: LizNobody_Rain_STEM_02.wav\n"
    "    instrument: acoustic guitar\n    raw: {}\n"
    "  S03:\n    component: ''\n    filename: LizNobody_Rain_STEM_03.wav\n"
    "    instrument: drum set\n    raw: {}\n"
    "  S04:\n    component: melody\n    filename: LizNobody_Rain_STEM_04.wav\n"
    "    instrument: female singer\n    raw: {}\n"
    "  S05:\n    component: ''\n    filename: LizNobody_Rain_STEM_05.wav\n"
    "    instrument: [violin section, cello section]\n    raw: {}\n"
    "  S06:\n    component: ''\n    filename: LizNobody_Rain_STEM_06.wav\n"
    "    instrument: Main System\n    raw: {}\n"
    "title: Rain\nversion: 1.2\nwebsite: []\n";

static void make_medley(const char *audio)
{
    char path[300];
    for (int i = 1; i <= 6; i++) {
        snprintf(path, sizeof path, "%s/LizNobody_Rain_STEMS/LizNobody_Rain_STEM_%02d.wav", audio,
                 i);
        MAKE(path, 100 * i, 0.1, .channels = 2);
    }
    snprintf(path, sizeof path, "%s/LizNobody_Rain_MIX.wav", audio);
    MAKE(path, 1000, 0.1, .channels = 2);
}

START_TEST(medleydb)
{
    static const char *const metadata[] = {
        "in/V1/LizNobody_Rain/LizNobody_Rain_METADATA.yaml",
        "in/Metadata/LizNobody_Rain_METADATA.yaml",
    };
    rg_error err = {0};
    for (size_t i = 0; i < 2; i++) {
        make_medley("in/V1/LizNobody_Rain");
        write_text(metadata[i], medley_yaml);
        rg_store *store = imported("medleydb", "in");
        const rg_song *song = song_of(store, "Liz Nobody - Rain");
        ck_assert_str_eq(song->instruments[rg_store_find_role(store, "bass")], "tuba");
        ck_assert_str_eq(song->instruments[rg_store_find_role(store, "melody")], "acoustic guitar");
        ck_assert_str_eq(song->instruments[rg_store_find_role(store, "drums")], "drum set");
        ck_assert_str_eq(song->instruments[rg_store_find_role(store, "vocals")], "female singer");
        ck_assert_str_eq(song->instruments[rg_store_find_role(store, "harmony")],
                         "violin section, cello section");
        ck_assert_str_eq(song->genre, "Jazz");
        ASSERT_TOLD("its stems bleed into each other");
        ASSERT_TOLD("no role takes 'Main System'");
        ASSERT_TOLD("the stems do not sum to the mixture");
        rg_store_close(store);
        RG_ASSERT_OK(rg_fs_remove_tree(at("in"), &err), &err);
        RG_ASSERT_OK(rg_fs_remove_tree(at("store"), &err), &err);
    }
}
END_TEST

START_TEST(medleydb_without_metadata)
{
    rg_error err = {0};
    make_medley("in/LizNobody_Rain");
    ck_assert_int_eq(import("medleydb", "in", (rg_import_options){0}, &err), RG_ERR_FORMAT);
    ASSERT_TOLD("left out: LizNobody Rain: 'LizNobody_Rain_METADATA.yaml' is missing");
}
END_TEST

/* ---- Slakh2100 ---- */

static void make_slakh(const char *folder, double hz)
{
    char path[200];
    snprintf(path, sizeof path, "in/%s/metadata.yaml", folder);
    write_text(path, "stems:\n  S00: {audio_rendered: true, inst_class: Bass, is_drum: false, "
                     "program_num: 33}\n");
    snprintf(path, sizeof path, "in/%s/stems/S00.wav", folder);
    MAKE(path, hz, 0.2);
}

START_TEST(slakh_is_redux)
{
    make_slakh("train/Track00010", 100);
    make_slakh("train/Track00049", 120); /* the MIDI file of 10 */
    make_slakh("test/Track01939", 140);  /* that of 4 */
    make_slakh("validation/Track01602", 160);
    rg_store *store = imported("slakh", "in");
    ck_assert_int_eq(rg_store_songs(store), 2);
    ck_assert_int_eq(song_of(store, "Track00010")->split, RG_SPLIT_TRAIN);
    ck_assert_int_eq(song_of(store, "Track01602")->split, RG_SPLIT_VALID);
    rg_store_close(store);
}
END_TEST

START_TEST(slakh_doubles_share_a_side)
{
    make_slakh("train/Track00004", 100);
    make_slakh("test/Track01939", 140);
    make_slakh("train/Track00005", 160);
    rg_store *store = imported_with("slakh", "in", (rg_import_options){.keep_doubles = true});
    ck_assert_int_eq(rg_store_songs(store), 3);
    const rg_song *a = song_of(store, "Track00004"), *b = song_of(store, "Track01939");
    ck_assert_int_eq(a->split, RG_SPLIT_TEST);
    ck_assert_int_eq(b->split, RG_SPLIT_TEST);
    ck_assert_str_eq(a->group, b->group);
    ck_assert_int_eq(song_of(store, "Track00005")->split, RG_SPLIT_TRAIN);
    ASSERT_TOLD("Track01939: is made from the same music as 'Track00004'");
    ASSERT_TOLD("Track00004: moved from train to test");
    rg_store_close(store);
}
END_TEST

START_TEST(slakh_without_split_folders)
{
    make_slakh("Track00001", 100);
    make_slakh("Track01501", 120);
    make_slakh("Track01876", 140);
    rg_store *store = imported("slakh", "in");
    ck_assert_int_eq(song_of(store, "Track00001")->split, RG_SPLIT_TRAIN);
    ck_assert_int_eq(song_of(store, "Track01501")->split, RG_SPLIT_VALID);
    ck_assert_int_eq(song_of(store, "Track01876")->split, RG_SPLIT_TEST);
    rg_store_close(store);
}
END_TEST

/* 390 doubles leave 1289, 270 and 151 tracks, and what is kept is no double itself. */
START_TEST(slakh_list_is_redux)
{
    static const struct {
        int track, kept;
    } doubles[] = {
#define DOUBLE(track, kept) {track, kept},
#include "datasets/importers/slakh_doubles.list"
#undef DOUBLE
    };
    int left[3] = {1500, 375, 225};
    static bool gone[2101];
    size_t n = sizeof doubles / sizeof *doubles;
    ck_assert_uint_eq(n, 390);
    for (size_t i = 0; i < n; i++) {
        ck_assert(doubles[i].track >= 1 && doubles[i].track <= 2100);
        ck_assert(i == 0 || doubles[i].track > doubles[i - 1].track);
        gone[doubles[i].track] = true;
        left[doubles[i].track <= 1500 ? 0 : doubles[i].track <= 1875 ? 1 : 2]--;
    }
    for (size_t i = 0; i < n; i++) ck_assert(!gone[doubles[i].kept]);
    ck_assert(left[0] == 1289 && left[1] == 270 && left[2] == 151);
}
END_TEST

START_TEST(musdb_has_14_validation_tracks)
{
    static const char *const valid[] = {"Actions - One Minute Smile",
                                        "Clara Berry And Wooldog - Waltz For My Victims",
                                        "Johnny Lokke - Promises & Lies",
                                        "Patrick Talbot - A Reason To Leave",
                                        "Triviul - Angelsaint",
                                        "Alexander Ross - Goodbye Bolero",
                                        "Fergessen - Nos Palpitants",
                                        "Leaf - Summerghost",
                                        "Skelpolu - Human Mistakes",
                                        "Young Griffo - Pennies",
                                        "ANiMAL - Rockshow",
                                        "James May - On The Line",
                                        "Meaxic - Take A Step",
                                        "Traffic Experiment - Sirens"};
    char path[200];
    for (int i = 0; i < 14; i++) {
        snprintf(path, sizeof path, "in/train/%s/bass.wav", valid[i]);
        MAKE(path, 80 + 3 * i, 0.2);
    }
    MAKE("in/train/Leaf - Wicked/bass.wav", 200, 0.2);
    rg_store *store = imported("musdb18hq", "in");
    for (int64_t i = 0; i < 15; i++) {
        const rg_song *song = rg_store_song(store, i);
        bool train = strcmp(song->title, "Leaf - Wicked") == 0;
        ck_assert_int_eq(song->split, train ? RG_SPLIT_TRAIN : RG_SPLIT_VALID);
    }
    rg_store_close(store);
}
END_TEST

START_TEST(metadata_is_a_file_of_the_data_set)
{
    static const char *const sets[] = {"slakh", "moisesdb", "medleydb"};
    static const char *const files[] = {"Track00001/metadata.yaml", "u1/data.json",
                                        "A_B/A_B_METADATA.yaml"};
    write_text("secret", "stems: {S00: {filename: x}}\n");
    for (size_t i = 0; i < 3; i++) {
        rg_error err = {0};
        char path[300];
        snprintf(path, sizeof path, "in%zu/%s", i, files[i]);
        make_parent(path);
        ck_assert_int_eq(symlink(at("secret"), at(path)), 0);
        snprintf(path, sizeof path, "in%zu", i);
        RG_ASSERT_OK(rg_fs_remove_tree(at("store"), &err), &err);
        rg_status status = import(sets[i], path, (rg_import_options){0}, &err);
        ck_assert_msg(status == RG_ERR_FORMAT, "%s", err.text);
        ASSERT_TOLD("is not a file inside the data set");
        ck_assert(!strstr(log_text, "filename: x"));
    }
}
END_TEST

RG_TEST_MAIN("import sets", 60, moisesdb, bleed_is_kept, moisesdb_split_is_of_the_content, medleydb,
             medleydb_without_metadata, slakh_is_redux, slakh_doubles_share_a_side,
             slakh_without_split_folders, slakh_list_is_redux, musdb_has_14_validation_tracks,
             metadata_is_a_file_of_the_data_set)
