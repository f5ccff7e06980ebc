/*
 * Importers: small trees with the real names, each defect in a song of its own.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/roles.h"
#include "import_tree.h"

START_TEST(absent_is_not_silence)
{
    MAKE("in/A/drums.wav", 200, 0.3);
    MAKE("in/A/bass.wav", 80, 0);
    rg_store *store = imported("folder", "in");
    const rg_song *song = song_of(store, "A");
    ck_assert(has(store, song, "drums") && !has(store, song, "bass"));
    ck_assert(!has(store, song, "melody"));
    ASSERT_TOLD("'bass' has no sound");
    rg_store_close(store);
}
END_TEST

START_TEST(required_roles)
{
    rg_error err = {0};
    MAKE("in/A/drums.wav", 200, 0.3);
    ck_assert_int_eq(import("folder", "in", (rg_import_options){.require = "drums,bass"}, &err),
                     RG_ERR_FORMAT);
    ASSERT_TOLD("'bass' is required and is absent");
}
END_TEST

static const struct {
    int64_t more;
    rg_import_lengths policy;
    int64_t frames; /* 0: refused */
} length_cases[] = {{300, RG_IMPORT_TRIM, SECOND + 300},
                    {4000, RG_IMPORT_PAD, SECOND + 4000},
                    {4000, RG_IMPORT_TRIM, SECOND},
                    {4000, RG_IMPORT_ERROR, 0}};

START_TEST(lengths)
{
    for (size_t i = 0; i < sizeof length_cases / sizeof *length_cases; i++) {
        rg_error err = {0};
        rg_import_options o = {.lengths = length_cases[i].policy};
        RG_ASSERT_OK(rg_fs_remove_tree(at("store"), &err), &err);
        MAKE("in/A/drums.wav", 200, 0.3);
        MAKE("in/A/bass.wav", 80, 0.3, .frames = SECOND + length_cases[i].more);
        rg_status status = import("folder", "in", o, &err);
        ASSERT_TOLD("in length");
        ck_assert_int_eq(status, length_cases[i].frames ? RG_OK : RG_ERR_FORMAT);
        if (status != RG_OK) continue;
        rg_store *store = rg_store_open(at("store"), &err);
        ck_assert_msg(store != NULL, "%s", err.text);
        ck_assert_int_eq(song_of(store, "A")->frames, length_cases[i].frames);
        rg_store_close(store);
    }
}
END_TEST

START_TEST(rates_and_channels)
{
    MAKE("in/A/drums.wav", 200, 0.3, .rate = 44100, .channels = 2, .frames = 44100);
    MAKE("in/A/bass.wav", 80, 0.3, .rate = 16000, .channels = 3, .frames = 16000);
    rg_store *store = imported("folder", "in");
    const rg_song *song = song_of(store, "A");
    ck_assert_int_eq(song->frames, SECOND);
    ck_assert_int_eq(song->original_rate, 16000);
    RG_ASSERT_NEAR(song->rms_dbfs[0], song->rms_dbfs[1], 0.3);
    ASSERT_TOLD("'drums' has 44100 Hz");
    rg_store_close(store);
}
END_TEST

/* The second channel of two is the first one's opposite, or silent. */
static void make_stereo(const char *path, float second)
{
    rg_audio a = {0};
    rg_error err = {0};
    RG_ASSERT_OK(rg_audio_make(&a, SECOND, 2, RATE, &err), &err);
    for (int64_t i = 0; i < SECOND; i++) {
        a.samples[2 * i] = 0.4f * (float)sin(6.283185307179586 * 200 * (double)i / RATE);
        a.samples[2 * i + 1] = second * a.samples[2 * i];
    }
    make_parent(path);
    RG_ASSERT_OK(rg_audio_write_wav(at(path), &a, RG_PCM_S16, NULL, &err), &err);
    rg_audio_free(&a);
}

START_TEST(stereo_policies)
{
    static const struct {
        float second;
        rg_import_downmix policy;
        bool present;
    } cases[] = {{-1, RG_IMPORT_MEAN, false}, {-1, RG_IMPORT_LEFT, true},
                 {0, RG_IMPORT_MEAN, true},   {0, RG_IMPORT_LEFT, true},
                 {0, RG_IMPORT_RIGHT, false}, {0, RG_IMPORT_MONO, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rg_error err = {0};
        make_stereo("in/A/drums.wav", cases[i].second);
        MAKE("in/A/bass.wav", 80, 0.3);
        bool mono = cases[i].policy == RG_IMPORT_MONO;
        rg_status status =
            import("folder", "in", (rg_import_options){.downmix = cases[i].policy}, &err);
        ck_assert_msg(status == (mono ? RG_ERR_FORMAT : RG_OK), "%s", err.text);
        if (mono) ASSERT_TOLD("'drums' has 2 channels");
        bool cancels = cases[i].second < 0 && cases[i].policy == RG_IMPORT_MEAN;
        ck_assert_int_eq(strstr(log_text, "channels of 'drums' cancel each other") != NULL,
                         cancels);
        if (mono) continue;
        rg_store *store = rg_store_open(at("store"), &err);
        ck_assert_msg(store != NULL, "%s", err.text);
        ck_assert_int_eq(has(store, song_of(store, "A"), "drums"), cases[i].present);
        rg_store_close(store);
        RG_ASSERT_OK(rg_fs_remove_tree(at("store"), &err), &err);
    }
}
END_TEST

/* ROLE's samples of song A, (2, frames) on the heap. */
static float *both_channels(const rg_store *store, const char *role)
{
    rg_error err = {0};
    const rg_song *song = song_of(store, "A");
    float *x = malloc(2 * (size_t)song->frames * sizeof *x);
    for (int32_t c = 0; c < 2; c++)
        RG_ASSERT_OK(rg_store_read_channel(store, rg_store_find_song(store, song->id),
                                           rg_store_find_role(store, role), c, 0, song->frames,
                                           x + c * song->frames, &err),
                     &err);
    return x;
}

/* What cancels in the mean is there; one channel comes twice, and the song says so. */
START_TEST(stereo_is_kept)
{
    for (int32_t rate = RATE; rate <= 12000; rate += 4000) {
        rg_error err = {0};
        make_stereo("in/A/drums.wav", -1);
        MAKE("in/A/bass.wav", 80, 0.3);
        rg_store *store = imported_with(
            "folder", "in", (rg_import_options){.downmix = RG_IMPORT_KEEP, .rate = rate});
        const rg_song *song = song_of(store, "A");
        ck_assert_int_eq(rg_store_channels(store), 2);
        ck_assert(has(store, song, "drums") && has(store, song, "bass"));
        RG_ASSERT_NEAR(song->rms_dbfs[0] - song->rms_dbfs[1], 20 * log10(0.4 / 0.3), 0.2);
        float *drums = both_channels(store, "drums"), *bass = both_channels(store, "bass");
        for (int64_t i = 0, n = song->frames; i < n; i++)
            ck_assert_msg(drums[i] == -drums[n + i] && bass[i] == bass[n + i], "%d Hz: frame %lld",
                          rate, (long long)i);
        free(drums);
        free(bass);
        rg_provenance p;
        RG_ASSERT_OK(rg_store_provenance(store, 0, &p, &err), &err);
        const char *alike = strstr(p.role_map_json, "\"both_alike\":true");
        ck_assert_msg(alike && !strstr(alike + 9, "both_alike"), "%s", p.role_map_json);
        rg_provenance_free(&p);
        rg_store_close(store);
        RG_ASSERT_OK(rg_fs_remove_tree(at("store"), &err), &err);
    }
}
END_TEST

START_TEST(more_channels_than_two_are_not_kept)
{
    rg_error err = {0};
    MAKE("in/A/bass.wav", 80, 0.3, .channels = 3);
    ck_assert_int_eq(import("folder", "in", (rg_import_options){.downmix = RG_IMPORT_KEEP}, &err),
                     RG_ERR_FORMAT);
    ASSERT_TOLD("'bass' has 3 channels, one or two are kept");
}
END_TEST

/* A mixture whose right channel holds more than the stems' does not fit. */
START_TEST(a_stereo_mixture_is_compared_by_channel)
{
    for (int fits = 0; fits < 2; fits++) {
        rg_error err = {0};
        make_stereo("in/A/drums.wav", 0);
        make_stereo("in/A/mixture.wav", fits ? 0 : 1);
        rg_store_close(
            imported_with("folder", "in", (rg_import_options){.downmix = RG_IMPORT_KEEP}));
        ck_assert_int_eq(strstr(log_text, "do not sum to the mixture") == NULL, fits);
        RG_ASSERT_OK(rg_fs_remove_tree(at("store"), &err), &err);
    }
}
END_TEST

START_TEST(beyond_full_scale_and_offset)
{
    MAKE("in/A/drums.wav", 200, 1.7, .type = RG_PCM_F32);
    MAKE("in/A/bass.wav", 80, 0.3, .dc = 0.2);
    rg_store *store = imported("folder", "in");
    const rg_song *song = song_of(store, "A");
    ck_assert(song->peak[0] < 1);
    RG_ASSERT_NEAR(song->rms_dbfs[0] - song->rms_dbfs[1], 20 * log10(1.7 / 0.3), 0.5);
    ASSERT_TOLD("goes beyond full scale, to 1.70");
    ASSERT_TOLD("'bass' has an offset of 0.200");
    rg_store_close(store);
}
END_TEST

START_TEST(widths_of_samples)
{
    static const rg_pcm_type types[] = {RG_PCM_U8,  RG_PCM_S16, RG_PCM_S24,
                                        RG_PCM_S32, RG_PCM_F32, RG_PCM_F64};
    char path[64];
    for (int i = 0; i < 6; i++) {
        snprintf(path, sizeof path, "in/Width %d/drums.wav", i);
        MAKE(path, 200, 0.3, .type = types[i]);
    }
    rg_store *store = imported("folder", "in");
    ck_assert_int_eq(rg_store_songs(store), 6);
    for (int64_t i = 0; i < 6; i++) {
        const rg_song *song = rg_store_song(store, i);
        RG_ASSERT_NEAR(song->rms_dbfs[0] - song->gain_db, 20 * log10(0.3 / sqrt(2)), 0.1);
    }
    rg_store_close(store);
}
END_TEST

START_TEST(not_finite)
{
    rg_error err = {0};
    const float bad = NAN;
    MAKE("in/A/drums.wav", 200, 0.3, .type = RG_PCM_F32);
    MAKE("in/B/drums.wav", 200, 0.3);
    FILE *file = fopen(at("in/A/drums.wav"), "r+b");
    ck_assert(file && fseek(file, -4, SEEK_END) == 0 && fwrite(&bad, 4, 1, file) == 1);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_eq(import("folder", "in", (rg_import_options){0}, &err), RG_ERR_FORMAT);
    ASSERT_TOLD("frame 7999, channel 0 is not a finite number");
    ck_assert(!rg_fs_exists(at("store/index.jsonl")));
    rg_store *store = imported_with("folder", "in", (rg_import_options){.skip_bad = true});
    ck_assert_int_eq(rg_store_songs(store), 1);
    rg_store_close(store);
}
END_TEST

START_TEST(truncated_file)
{
    MAKE("in/A/drums.wav", 200, 0.3);
    MAKE("in/B/drums.wav", 300, 0.3);
    ck_assert_int_eq(truncate(at("in/A/drums.wav"), 30), 0);
    rg_store *store = imported_with("folder", "in", (rg_import_options){.skip_bad = true});
    ck_assert_int_eq(rg_store_songs(store), 1);
    ASSERT_TOLD("left out: A: ");
    rg_store_close(store);
}
END_TEST

START_TEST(sum_and_mixture)
{
    MAKE("in/A/drums.wav", 200, 0.3);
    MAKE("in/A/mixture.wav", 200, 0.3);
    MAKE("in/B/drums.wav", 300, 0.3);
    MAKE("in/B/mixture.wav", 500, 0.3);
    rg_store_close(imported("folder", "in"));
    ASSERT_TOLD("B: the stems do not sum to the mixture: 3.0 dB are left");
    ck_assert(!strstr(log_text, "A: the stems"));
}
END_TEST

START_TEST(doubles_share_a_side)
{
    MAKE("in/train/A/drums.wav", 200, 0.3);
    MAKE("in/test/B/drums.wav", 200, 0.3);
    MAKE("in/train/C/drums.wav", 300, 0.3);
    rg_store *store = imported("folder", "in");
    ck_assert_int_eq(song_of(store, "A")->split, RG_SPLIT_TEST);
    ck_assert_int_eq(song_of(store, "B")->split, RG_SPLIT_TEST);
    ck_assert_int_eq(song_of(store, "C")->split, RG_SPLIT_TRAIN);
    ck_assert_str_eq(song_of(store, "A")->group, song_of(store, "B")->group);
    ASSERT_TOLD("A: moved from train to test");
    rg_store_close(store);
}
END_TEST

START_TEST(unmapped_names)
{
    rg_error err = {0};
    rg_import_result result;
    char root[1400];
    MAKE("in/A/theremin.wav", 200, 0.3);
    MAKE("in/B/theremin.wav", 300, 0.3);
    MAKE("in/B/Bass Guitar.wav", 80, 0.3);
    snprintf(root, sizeof root, "%s", at("in"));
    rg_import_options o = {.root = root, .dry = true};
    RG_ASSERT_OK(rg_import("folder", &o, &result, NULL, &err), &err);
    ck_assert_str_eq(result.unmapped.data, "     2  theremin\n");
    rg_text_free(&result.unmapped);
}
END_TEST

START_TEST(musdb)
{
    static const char *const songs[] = {"train/Leaf - Wicked", "train/Leaf - Summerghost",
                                        "test/PR - Oh No"};
    static const char *const stems[] = {"mixture", "drums", "bass", "other", "vocals"};
    for (int s = 0; s < 3; s++)
        for (int k = 0; k < 5; k++) {
            char path[200];
            snprintf(path, sizeof path, "in/%s/%s.wav", songs[s], stems[k]);
            if (s != 1 || k != 4) MAKE(path, 100 * (k + 1) + s, 0.2, .channels = 2);
        }
    rg_store *store = imported("musdb18hq", "in");
    const rg_song *wicked = song_of(store, "Leaf - Wicked");
    ck_assert_int_eq(wicked->split, RG_SPLIT_TRAIN);
    ck_assert_int_eq(song_of(store, "Leaf - Summerghost")->split, RG_SPLIT_VALID);
    ck_assert_int_eq(song_of(store, "PR - Oh No")->split, RG_SPLIT_TEST);
    ck_assert(has(store, wicked, "harmony") && !has(store, wicked, "melody"));
    ck_assert(has(store, wicked, "vocals"));
    ck_assert(!has(store, song_of(store, "Leaf - Summerghost"), "vocals"));
    ASSERT_TOLD("Leaf - Wicked: known defect: guitar in the drums at 2:20 and 3:02");
    ASSERT_TOLD("Leaf - Wicked: 'drums' holds other instruments too");
    ASSERT_TOLD("PR - Oh No: the stems do not sum to the mixture");
    ASSERT_TOLD("Leaf - Summerghost: 'vocals.wav' is missing");
    rg_store_close(store);
}
END_TEST

START_TEST(stem_mp4)
{
    rg_error err = {0};
    write_text("in/train/A - B.stem.mp4", "x");
    ck_assert_int_eq(import("musdb18hq", "in", (rg_import_options){0}, &err), RG_ERR_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "ffmpeg -i SONG.stem.mp4 -map 0:0"), "%s", err.text);
    ck_assert_msg(strstr(err.text, "SONG/vocals.wav"), "%s", err.text);
}
END_TEST

static const char *const slakh_yaml =
    "UUID: 1234\naudio_dir: stems\nnormalized: true\noverall_gain: 0.18\nstems:\n"
    "  S00: {audio_rendered: true, inst_class: Bass, is_drum: false, program_num: 33}\n"
    "  S01: {audio_rendered: true, inst_class: Drums, is_drum: true, program_num: 128}\n"
    "  S02: {audio_rendered: false, inst_class: Piano, is_drum: false, program_num: 0}\n"
    "  S03: {audio_rendered: true, inst_class: Reed, is_drum: false, program_num: 65}\n";

START_TEST(slakh)
{
    write_text("in/train/Track00001/metadata.yaml", slakh_yaml);
    MAKE("in/train/Track00001/stems/S00.wav", 80, 0.2);
    MAKE("in/train/Track00001/stems/S01.wav", 200, 0.2);
    write_text("in/omitted/Track00002/metadata.yaml", slakh_yaml);
    write_text("in/test/Track00003/metadata.yaml", "a: &a [x, x]\nb: [*a, *a]\n");
    rg_store *store = imported_with("slakh", "in", (rg_import_options){.skip_bad = true});
    ck_assert_int_eq(rg_store_songs(store), 1);
    const rg_song *song = song_of(store, "Track00001");
    ck_assert(has(store, song, "bass") && has(store, song, "drums"));
    ck_assert(!has(store, song, "harmony") && !has(store, song, "melody"));
    ck_assert_str_eq(song->license, "CC-BY-4.0");
    ASSERT_TOLD("'stems/S03.flac' is missing");
    ck_assert(!strstr(log_text, "S02"));
    ASSERT_TOLD("left out: Track00003: metadata.yaml:1:");
    rg_store_close(store);
}
END_TEST

START_TEST(manifest)
{
    MAKE("in/mix.wav", 200, 0.3);
    MAKE("in/d.wav", 200, 0.3);
    write_text("in/data.jsonl",
               "{\"path\": \"mix.wav\", \"duration\": 1.0, \"sample_rate\": 8000, \"title\": \"A\","
               " \"genre\": \"rock\", \"split\": \"valid\", \"stems\": {\"drums\": \"d.wav\"}}\n\n"
               "{\"path\": \"mix.wav\"}\n"
               "{\"title\": \"C\", \"stems\": {\"bass\": \"../../../../../etc/passwd\"}}\n"
               "{\"title\": \n");
    rg_store *store =
        imported_with("manifest", "in/data.jsonl", (rg_import_options){.skip_bad = true});
    ck_assert_int_eq(rg_store_songs(store), 1);
    const rg_song *song = song_of(store, "A");
    ck_assert_int_eq(song->split, RG_SPLIT_VALID);
    ck_assert_str_eq(song->genre, "rock");
    ASSERT_TOLD("mix.wav: no role takes 'mixture'");
    ASSERT_TOLD("left out: C: '../../../../../etc/passwd' is not a file inside the data set");
    ASSERT_TOLD("left out: line 5: ");
    rg_store_close(store);
}
END_TEST

START_TEST(hostile_names)
{
    MAKE("out.wav", 200, 0.3);
    MAKE("in/\x1b[31m<script>/drums.wav", 200, 0.3);
    MAKE("in/B/drums.wav", 300, 0.3);
    ck_assert_int_eq(symlink(at("out.wav"), at("in/B/bass.wav")), 0);
    MAKE("in/C/drums.wav", 400, 0.3);
    ck_assert_int_eq(mkfifo(at("in/C/bass.wav"), 0600), 0);
    rg_store *store = imported_with("folder", "in", (rg_import_options){.skip_bad = true});
    ck_assert_int_eq(rg_store_songs(store), 1);
    ck_assert_str_eq(rg_store_song(store, 0)->id, "folder.31m-script");
    ck_assert_str_eq(rg_store_song(store, 0)->title, "?[31m<script>");
    ASSERT_TOLD("left out: B: 'bass.wav' is not a file inside the data set");
    ASSERT_TOLD("left out: C: 'bass.wav' is not a file inside the data set");
    ck_assert(!strchr(log_text, 0x1b));
    rg_store_close(store);
}
END_TEST

START_TEST(built_in_map_is_the_file)
{
    rg_error err = {0};
    static rg_role_map map;
    RG_ASSERT_OK(rg_role_map_load(RG_SOURCE_DIR "/configs/roles/stems.yaml", &map, &err), &err);
    ck_assert_mem_eq(&map, rg_role_map_stems(), sizeof map);
    ck_assert_int_eq(rg_role_map_find(&map, "bassoon", -1), 3);
    ck_assert_int_eq(rg_role_map_find(&map, "bass drum", -1), 0);
    ck_assert_int_eq(rg_role_map_find(&map, "Electric_Bass", -1), 1);
    ck_assert_int_eq(rg_role_map_find(&map, "other_keys", -1), 2);
    ck_assert_int_eq(rg_role_map_find(&map, "Strings (continued)", 48), 2);
}
END_TEST

START_TEST(goes_on)
{
    rg_error err = {0};
    MAKE("in/A/drums.wav", 200, 0.3);
    write_text("in/B/drums.wav", "not sound");
    ck_assert_int_eq(import("folder", "in", (rg_import_options){0}, &err), RG_ERR_FORMAT);
    MAKE("in/B/drums.wav", 300, 0.3);
    rg_store *store = imported("folder", "in");
    ck_assert_int_eq(rg_store_songs(store), 2);
    int64_t faults = -1;
    RG_ASSERT_OK(rg_store_verify(at("store"), NULL, NULL, &faults, &err), &err);
    ck_assert_int_eq(faults, 0);
    rg_store_close(store);
}
END_TEST

RG_TEST_MAIN("import", 60, absent_is_not_silence, required_roles, lengths, rates_and_channels,
             stereo_policies, stereo_is_kept, more_channels_than_two_are_not_kept,
             a_stereo_mixture_is_compared_by_channel, widths_of_samples,
             beyond_full_scale_and_offset, not_finite, truncated_file, sum_and_mixture,
             doubles_share_a_side, unmapped_names, musdb, stem_mp4, slakh, manifest, hostile_names,
             built_in_map_is_the_file, goes_on)
