/*
 * Whole evaluations on a toy store: reports of a codec run and of a track run, refusal of training
 * songs and near-duplicates, comparison of reports.
 */
#include "test.h"

#include <unistd.h>

#include "base/json.h"
#include "eval/evaluate.h"
#include "eval/internal.h"
#include "eval/metrics/signal.h"
#include "toy_bundle.h"
#include "toy_store.h"

enum { ROLES = 3, SONGS = 8 };
static const rg_toy toy = {ROLES, SONGS, 16000, 6, 0};

static void join(char out[1024], const char *name)
{
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_join(out, 1024, rg_test_folder(), name, &err), &err);
}

static int32_t store_channels = 1; /* of the store that runs and reports are of */

static const char *store_folder(void)
{
    static char folder[1024];
    join(folder, store_channels > 1 ? "stereo-store" : "store");
    if (!rg_fs_exists(folder)) rg_store_close(rg_toy_build_of(&toy, store_channels, folder));
    return folder;
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[1200];
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_join(path, sizeof path, folder, name, &err), &err);
    RG_ASSERT_OK(rg_fs_write_atomic(path, text, strlen(text), &err), &err);
}

/* Five validations of two curves over three songs: mel falls, SI-SDR does not rise. */
static void put_metrics(const char *folder)
{
    char text[8192] = "";
    size_t n = 0;
    for (int i = 0; i < 5; i++) {
        n += (size_t)snprintf(
            text + n, sizeof text - n,
            "{\"kind\":\"valid\",\"step\":%d,\"metrics\":{},\"items\":{\"mel_distance\":{\"a\":"
            "%d.0,\"b\":%d.5,\"c\":%d.1},\"si_sdr\":{\"a\":1.0,\"b\":%d,\"c\":2.0}}}\n",
            i * 100, 20 - i, 19 - i, 18 - i, -i);
    }
    snprintf(text + n, sizeof text - n, "{\"kind\":\"valid\",\"ste"); /* killed while it wrote */
    put(folder, "metrics.jsonl", text);
}

static void make_run_of(const char *folder, const char *role, const char *trained_on, uint64_t seed)
{
    char path[1200], text[2048];
    rg_error err = {0};
    rg_exec *ex = rg_toy_exec(NULL);
    RG_ASSERT_OK(rg_fs_join(path, sizeof path, folder, "checkpoints", &err), &err);
    RG_ASSERT_OK(rg_fs_make_folders(path, &err), &err);
    snprintf(path, sizeof path, "%s/checkpoints/step_0000400.safetensors", folder);
    rg_toy_codec(ex, path, role, seed);
    snprintf(path, sizeof path, "%s/best", folder);
    RG_ASSERT_OK(rg_fs_link("checkpoints/step_0000400.safetensors", path, &err), &err);
    snprintf(text, sizeof text,
             "{\"task\":\"codec\",\"role\":\"%s\",\"roles\":[\"%s\"],\"store\":\"%s\","
             "\"songs\":[\"%s\"]}",
             role, role, store_folder(), trained_on);
    put(folder, "describe.json", text);
    put(folder, "config.yaml", "task: codec\nrole: bass\n");
    put(folder, "env.json", "{\"version\": \"0.1.0\", \"seed\": 5}");
    put_metrics(folder);
    rg_exec_destroy(ex);
}

static void make_codec_run(const char *folder, const char *trained_on, uint64_t seed)
{
    make_run_of(folder, "bass", trained_on, seed);
}

static json_t *metrics_of(const char *folder)
{
    char path[1200];
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_join(path, sizeof path, folder, "metrics.json", &err), &err);
    json_t *metrics = rg_json_read(path, 1 << 26, &err);
    ck_assert_msg(metrics != NULL, "%s", err.text);
    return metrics;
}

static json_t *cell(const json_t *metrics, const char *table, const char *row, const char *column)
{
    json_t *rows =
        json_object_get(json_object_get(json_object_get(metrics, "tables"), table), "rows");
    json_t *found = json_object_get(json_object_get(rows, row), column);
    ck_assert_msg(found != NULL, "no cell %s / %s / %s", table, row, column);
    return found;
}

static double value(const json_t *metrics, const char *table, const char *row, const char *column)
{
    return json_number_value(json_object_get(cell(metrics, table, row, column), "value"));
}

static bool says(const json_t *metrics, const char *verdict, const char *words)
{
    size_t i;
    json_t *entry;
    json_array_foreach(
        json_object_get(metrics, "verdicts"), i,
        entry) if (strcmp(json_string_value(json_object_get(entry, "verdict")), verdict) == 0 &&
                   strstr(json_string_value(json_object_get(entry, "text")), words)) return true;
    return false;
}

static void check_page(const char *folder, const char *words)
{
    char path[1200], *page;
    size_t n;
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_join(path, sizeof path, folder, "index.html", &err), &err);
    RG_ASSERT_OK(rg_fs_read_all(path, 64 << 20, &page, &n, &err), &err);
    ck_assert_msg(strstr(page, words) != NULL, "the page does not say '%s'", words);
    ck_assert_ptr_null(strstr(page, "src=\"http"));
    ck_assert_ptr_nonnull(strstr(page, "</html>"));
    free(page);
}

/* Programs that are not there: no row depends on what is installed here. */
static void hide_programs(void)
{
    setenv("PATH", rg_test_folder(), 1);
}

static void check_codec_rows(const json_t *m)
{
    static const struct {
        const char *headline, *sizes;
        double bits;
    } rows[] = {{"bass: codec, 400 bit/s", "codec", 400},
                {"bass: 8-bit PCM, 400 bit/s", "8-bit PCM", 400},
                {"bass: silence", "silence", 0}};
    for (int i = 0; i < 3; i++) {
        RG_ASSERT_NEAR(value(m, "codecs", rows[i].headline, "bitrate"), rows[i].bits, 1e-6);
        double mean = (value(m, "codec-bass-sizes", rows[i].sizes, "mel_512") +
                       value(m, "codec-bass-sizes", rows[i].sizes, "mel_1024") +
                       value(m, "codec-bass-sizes", rows[i].sizes, "mel_2048")) /
                      3;
        RG_ASSERT_NEAR(value(m, "codecs", rows[i].headline, "mel"), mean, 1e-6);
    }
    ck_assert_str_eq(json_string_value(cell(m, "codecs", "bass: Opus", "bitrate")),
                     "opusenc is not installed (package opus-tools)");
    ck_assert_str_eq(json_string_value(cell(m, "codecs", "bass: low-pass at the band", "bitrate")),
                     "the band reaches half the rate");
    double si_snr = value(m, "codecs", "bass: codec, 400 bit/s", "si_snr");
    ck_assert(si_snr > -60 && si_snr < 100);
    RG_ASSERT_NEAR(value(m, "codecs", "bass: codec, 400 bit/s", "loudness_error"),
                   fabs(value(m, "codecs", "bass: codec, 400 bit/s", "loudness")),
                   1e-9); /* 1 song */
    double share = 0;
    static const char *const octaves[] = {"0-63 Hz",     "63-125 Hz",   "125-250 Hz",
                                          "250-500 Hz",  "500-1000 Hz", "1000-2000 Hz",
                                          "2000-4000 Hz"};
    for (int i = 0; i < 7; i++) share += value(m, "codec-bass-bands", octaves[i], "share");
    RG_ASSERT_NEAR(share, 100, 1e-6); /* one song: all of its energy below 4 kHz */
    ck_assert_ptr_null(json_object_get(
        json_object_get(json_object_get(json_object_get(m, "tables"), "codec-bass-bands"), "rows"),
        "4000-8000 Hz"));
    RG_ASSERT_NEAR(value(m, "codec-bass-bits", "bass", "band_high"), 4000, 0);
    RG_ASSERT_NEAR(value(m, "codec-outside", "mean over songs", "bass"),
                   value(m, "codec-outside", "toy-007", "bass"), 1e-9);
}

START_TEST(codec_run_gets_a_report)
{
    char run[1024], out[1024], picture[1024];
    rg_error err = {0};
    hide_programs();
    join(run, "codec-run");
    join(out, "codec-report");
    make_codec_run(run, "toy-000", 1);
    rg_eval_options options = rg_eval_defaults(run);
    options.out = out;
    options.seconds = 3;
    RG_ASSERT_OK(rg_evaluate(&options, NULL, NULL, &err), &err);
    json_t *m = metrics_of(out);
    RG_ASSERT_NEAR(value(m, "codecs", "bass: silence", "snr"), 0, 1e-9);
    RG_ASSERT_NEAR(value(m, "codecs", "bass: original", "mel"), 0, 0);
    ck_assert(value(m, "codecs", "bass: silence", "mel") > 5);
    ck_assert(json_is_null(json_object_get(cell(m, "codecs", "bass: silence", "si_sdr"), "value")));
    RG_ASSERT_NEAR(value(m, "codec-bass-bits", "bass", "bitrate"), 2 * 4 * 50, 1e-6);
    check_codec_rows(m);
    join(picture, "codec-report/plots/spectrum-bass-1-difference.svg");
    ck_assert(rg_fs_exists(picture));
    RG_ASSERT_NEAR(value(m, "learning", "mel_distance", "change"), -3, 1e-9);
    ck_assert_str_eq(json_string_value(cell(m, "learning", "mel_distance", "better")), "yes");
    ck_assert_str_eq(json_string_value(cell(m, "learning", "si_sdr", "better")), "no");
    ck_assert(says(m, "bad", "1 of 2 validation curves surely got better"));
    check_page(out, "Codec: codec-run");
    json_decref(m);
    options.split = RG_SPLIT_TRAIN;
    RG_ASSERT_OK(rg_evaluate(&options, NULL, NULL, &err), &err);
    check_page(out, "ON TRAINING SONGS");
}
END_TEST

/* A codec of any role is measured on each of them, one of the mix on their sum. */
START_TEST(codecs_of_any_role_and_of_the_mix)
{
    static const char *const roles[] = {"any", "mix"};
    json_t *m[2];
    hide_programs();
    for (int i = 0; i < 2; i++) {
        char run[1024], out[1024], name[32];
        rg_error err = {0};
        snprintf(name, sizeof name, "%s-run", roles[i]);
        join(run, name);
        snprintf(name, sizeof name, "%s-report", roles[i]);
        join(out, name);
        make_run_of(run, roles[i], "toy-000", 1);
        rg_eval_options options = rg_eval_defaults(run);
        options.out = out;
        options.seconds = 3;
        RG_ASSERT_OK(rg_evaluate(&options, NULL, NULL, &err), &err);
        m[i] = metrics_of(out);
    }
    for (int32_t r = 0; r < ROLES; r++) {
        char row[64];
        snprintf(row, sizeof row, "%s: silence", rg_toy_role(r));
        ck_assert(value(m[0], "codecs", row, "mel") > 1);
        ck_assert(value(m[0], "codec-outside", "toy-007", rg_toy_role(r)) >= 0);
    }
    ck_assert(value(m[1], "codecs", "mix: silence", "mel") >
              value(m[0], "codecs", "bass: silence", "mel"));
    json_decref(m[0]);
    json_decref(m[1]);
}
END_TEST

/* Codebook 0 counts up, codebook 1 is drawn evenly: what its own song's past tells is 4 bits and
 * none; a song without codes says nothing. */
START_TEST(codes_are_coded_by_other_songs)
{
    enum { SONGS_CODED = 12, FRAMES = 4000, ENTRIES = 16 };
    rg_error err = {0};
    rg_codec codec = {.config = rg_toy_codec_config()};
    int64_t frames[SONGS_CODED], counts[2 * ENTRIES] = {0};
    int32_t *codes[SONGS_CODED];
    rg_rng rng = rg_rng_make(3, 3);
    for (int i = 0; i < SONGS_CODED; i++) {
        codes[i] = malloc(2 * FRAMES * sizeof **codes);
        frames[i] = i == 5 ? 0 : FRAMES;
        for (int t = 0; t < frames[i]; t++) {
            counts[codes[i][2 * t] = (t + i) % ENTRIES]++;
            counts[ENTRIES + (codes[i][2 * t + 1] = (int32_t)rg_rng_below(&rng, ENTRIES))]++;
        }
    }
    codec_result r = {
        .codec = &codec, .n = SONGS_CODED, .frames = frames, .codes = codes, .counts = counts};
    RG_ASSERT_OK(rg__codec_bits(&r, 1, &err), &err);
    for (int k = 0; k < 2; k++) {
        ck_assert_int_eq(r.books[k].held_out.n, SONGS_CODED - 1);
        RG_ASSERT_NEAR(r.books[k].held_out.mean, 4, 0.01);
    }
    RG_ASSERT_NEAR(r.books[0].previous.mean, 0, 0.01);
    ck_assert(r.books[1].previous.mean > 4 && r.books[1].previous.mean < 4.02);
    RG_ASSERT_NEAR(r.held_out_bitrate.mean, 50 * 8, 1);
    RG_ASSERT_NEAR(r.previous_bitrate.mean, 50 * 4, 1);
    RG_ASSERT_NEAR(r.entropy_bitrate, 50 * 8, 1);
    r.n = 1; /* no other song to learn from */
    RG_ASSERT_OK(rg__codec_bits(&r, 1, &err), &err);
    ck_assert(isnan(r.held_out_bitrate.mean) && r.held_out_bitrate.n == 0);
    for (int i = 0; i < SONGS_CODED; i++) free(codes[i]);
}
END_TEST

START_TEST(training_songs_are_refused)
{
    char run[1024], text[2048];
    rg_error err = {0};
    join(run, "leaking-run");
    make_codec_run(run, "toy-007", 1); /* the toy store's test song */
    rg_eval_options options = rg_eval_defaults(run);
    ck_assert_int_eq(rg_evaluate(&options, NULL, NULL, &err), RG_ERR_MISMATCH);
    ck_assert_msg(strstr(err.text, "toy-007") && strstr(err.text, "--split train"), "%s", err.text);
    snprintf(text, sizeof text,
             "{\"task\":\"codec\",\"role\":\"bass\",\"store\":\"%s\",\"songs\":[\"elsewhere\"],"
             "\"groups\":[\"toy-007\"]}",
             store_folder());
    put(run, "describe.json", text);
    rg_error_clear(&err);
    ck_assert_int_eq(rg_evaluate(&options, NULL, NULL, &err), RG_ERR_MISMATCH);
    ck_assert_msg(strstr(err.text, "near-duplicates") != NULL, "%s", err.text);
}
END_TEST

/* Two channels, loudness, chunks of 0.5 s of which a tenth overlaps. */
static rg_encodec_config stereo_config(void)
{
    rg_encodec_config c = rg_toy_codec_config();
    c.channels = 2;
    c.normalize = true;
    c.chunk_seconds = 0.5;
    c.chunk_overlap = 0.1;
    return c;
}

/* The mean over the channels of what a codec makes of x, each against its own. */
static double stereo_si_sdr(rg_exec *ex, rg_codec *codec, const rg_audio x[2])
{
    const rg_codec_cut cut = rg_codec_cut_of(&codec->config, x->frames);
    const size_t n = (size_t)x->frames;
    float *both = malloc(2 * n * sizeof *both), *y = malloc(2 * n * sizeof *y);
    float *scales = malloc((size_t)cut.chunks * sizeof *scales);
    int32_t *codes = malloc((size_t)(cut.chunks * cut.frames * RG_TOY_BOOKS) * sizeof *codes);
    for (size_t i = 0; i < 2 * n; i++) both[i] = x[i % 2].samples[i / 2];
    RG_ASSERT_OK(rg_codec_encode_chunks(ex, codec, both, x->frames, RG_TOY_BOOKS, codes, scales),
                 &ex->error);
    RG_ASSERT_OK(rg_codec_decode_chunks(ex, codec, codes, scales, RG_TOY_BOOKS, both, x->frames),
                 &ex->error);
    for (size_t i = 0; i < 2 * n; i++) y[i % 2 * n + i / 2] = both[i];
    double db[2];
    for (int c = 0; c < 2; c++) db[c] = rg_si_sdr(x[c].samples, y + (size_t)c * n, x->frames);
    ck_assert(fabs(db[0] - db[1]) > 1e-6); /* the channels' weights differ */
    free(both);
    free(y);
    free(scales);
    free(codes);
    return (db[0] + db[1]) / 2;
}

/* 3 s of the bass at the codec's 8000 Hz, of each channel of the store: one serves for two. */
static void read_channels(const rg_store *store, int64_t song, int64_t start, rg_audio x[2])
{
    rg_error err = {0};
    for (int32_t c = 0; c < 2; c++) {
        rg_audio raw = {0};
        RG_ASSERT_OK(rg_audio_make(&raw, 3 * 16000, 1, 16000, &err), &err);
        RG_ASSERT_OK(rg_store_read_channel(store, song, 1, c % rg_store_channels(store), start,
                                           raw.frames, raw.samples, &err),
                     &err);
        RG_ASSERT_OK(rg_audio_resample(&raw, 8000, &x[c], &err), &err);
        rg_audio_free(&raw);
    }
}

/* In a report of a stereo store the excerpt to hear is the channels' mean. */
static void check_excerpt(const codec_excerpt *excerpt, const rg_audio x[2])
{
    for (int64_t t = 0; t < x->frames; t++)
        ck_assert_float_eq_tol(excerpt->original.samples[t],
                               (x[0].samples[t] + x[1].samples[t]) / 2, 1e-6F);
}

static void check_stereo_codec(void)
{
    rg_error err = {0};
    char run[1024], out[1024], path[1200];
    hide_programs();
    join(run, store_channels > 1 ? "stereo-run" : "mono-run");
    join(out, store_channels > 1 ? "stereo-report" : "mono-report");
    make_codec_run(run, "toy-000", 1);
    snprintf(path, sizeof path, "%s/checkpoints/step_0000400.safetensors", run);
    rg_pool *pool = rg_pool_create(2, 0, false, &err);
    rg_exec *ex = rg_toy_exec(pool);
    rg_toy_codec_of(ex, path, "bass", 1, stereo_config());
    rg_eval_options options = rg_eval_defaults(run);
    options.out = out;
    options.seconds = 3;
    RG_ASSERT_OK(rg_evaluate(&options, NULL, NULL, &err), &err);
    check_page(out, store_channels > 1 ? "of the codec&#39;s 2 channels got the stem&#39;s own"
                                       : "each of the codec&#39;s 2 channels got the same sound");
    check_page(out, "the loudness of each chunk");

    int64_t song = SONGS - 1;
    rg_codec codec;
    codec_result r;
    codec_excerpt excerpt;
    evaluation e = {.options = options,
                    .store = rg_store_open(store_folder(), &err),
                    .songs = &song,
                    .n_songs = 1,
                    .pool = pool,
                    .codecs = ex};
    RG_ASSERT_OK(rg_codec_load(path, ex, &codec, &err), &err);
    RG_ASSERT_OK(rg__codec_measure(&e, &codec, NULL, &r, &err), &err);
    RG_ASSERT_OK(rg__codec_excerpt(&e, &r, 0, &excerpt, &err), &err);
    rg_audio x[2];
    read_channels(e.store, song, r.start[0], x);
    check_excerpt(&excerpt, x);
    RG_ASSERT_NEAR(rg__codec_values(&r, CODEC_OURS, CODEC_SI_SDR)[0], stereo_si_sdr(ex, &codec, x),
                   1e-9);
    for (int c = 0; c < 2; c++) rg_audio_free(&x[c]);
    /* 3 s from 0.45 s to 0.45 s: six chunks of 25 frames and one of 0.3 s. */
    ck_assert_int_eq(r.frames[0], 6 * 25 + 15);
    RG_ASSERT_NEAR(r.nominal_bitrate, 2 * 4 * 25 / 0.45, 1e-9);
    rg__codec_excerpt_free(&excerpt);
    rg__codec_result_free(&r);
    rg_codec_free(&codec);
    rg_store_close(e.store);
    rg_exec_destroy(ex);
    rg_pool_destroy(pool);
}

START_TEST(codecs_of_two_channels_and_chunks)
{
    for (store_channels = 1; store_channels <= 2; store_channels++) check_stereo_codec();
    store_channels = 1;
}
END_TEST

START_TEST(what_is_no_run_is_refused)
{
    char path[1024];
    rg_error err = {0};
    join(path, "nothing");
    rg_eval_options options = rg_eval_defaults(path);
    ck_assert_int_eq(rg_evaluate(&options, NULL, NULL, &err), RG_ERR_USAGE);
    rg_error_clear(&err);
    options.target = rg_test_folder();
    ck_assert_int_eq(rg_evaluate(&options, NULL, NULL, &err), RG_ERR_USAGE);
    ck_assert_msg(strstr(err.text, "neither a run") != NULL, "%s", err.text);
}
END_TEST

START_TEST(a_step_is_chosen)
{
    char run[1024], report[1200];
    rg_error err = {0};
    join(run, "stepped-run");
    make_codec_run(run, "toy-000", 1);
    snprintf(report, sizeof report, "%s/best", run);
    ck_assert_int_eq(unlink(report), 0);
    rg_eval_options options = rg_eval_defaults(run);
    options.seconds = 1;
    ck_assert_int_eq(rg_evaluate(&options, NULL, NULL, &err), RG_ERR_USAGE);
    ck_assert_msg(strstr(err.text, "no checkpoint yet") != NULL, "%s", err.text);
    rg_error_clear(&err);
    options.step = 401;
    ck_assert_int_eq(rg_evaluate(&options, NULL, NULL, &err), RG_ERR_USAGE);
    ck_assert_msg(strstr(err.text, "no checkpoint of step 401") != NULL, "%s", err.text);
    rg_error_clear(&err);
    options.step = 400;
    RG_ASSERT_OK(rg_evaluate(&options, NULL, NULL, &err), &err);
    snprintf(report, sizeof report, "%s/eval/test-400/metrics.json", run);
    ck_assert(rg_fs_exists(report));
}
END_TEST

START_TEST(reports_are_compared)
{
    char run_a[1024], run_b[1024], a[1024], b[1024], out[1024];
    rg_error err = {0};
    int64_t worse = -1;
    join(run_a, "run-a");
    join(run_b, "run-b");
    join(a, "a");
    join(b, "b");
    join(out, "comparison");
    make_codec_run(run_a, "toy-000", 1);
    make_codec_run(run_b, "toy-000", 2);
    rg_eval_options options = rg_eval_defaults(run_a);
    options.out = a;
    options.split = RG_SPLIT_TRAIN; /* six songs */
    options.seconds = 2;
    RG_ASSERT_OK(rg_evaluate(&options, NULL, NULL, &err), &err);
    options.target = run_b;
    options.out = b;
    RG_ASSERT_OK(rg_evaluate(&options, NULL, NULL, &err), &err);
    RG_ASSERT_OK(rg_eval_compare(a, a, NULL, NULL, &worse, &err), &err);
    ck_assert_int_eq(worse, 0);
    int64_t back = -1;
    RG_ASSERT_OK(rg_eval_compare(a, b, out, NULL, &worse, &err), &err);
    RG_ASSERT_OK(rg_eval_compare(b, a, NULL, NULL, &back, &err), &err);
    ck_assert_msg(worse + back > 0, "two different untrained codecs show no sure difference");
    check_page(out, "B − A");
    ck_assert_int_eq(rg_eval_compare(a, run_a, NULL, NULL, &worse, &err), RG_ERR_USAGE);
}
END_TEST

static void make_track_run(const char *folder)
{
    char text[2048];
    rg_exec *ex = rg_toy_exec(NULL);
    rg_toy_run(ex, folder, ROLES);
    rg_exec_destroy(ex);
    snprintf(
        text, sizeof text,
        "{\"task\":\"tracks\",\"phase\":1,\"roles\":[\"drums\",\"bass\",\"harmony\"],\"store\":"
        "\"%s\",\"songs\":[\"toy-000\"],\"words\":{\"key\":{\"A minor\":1}}}",
        store_folder());
    put(folder, "describe.json", text);
    put_metrics(folder);
}

START_TEST(track_run_gets_a_report)
{
    char run[1024], out[1024];
    rg_error err = {0};
    join(run, "track-run");
    join(out, "track-report");
    RG_ASSERT_OK(rg_fs_make_folders(run, &err), &err);
    make_track_run(run);
    rg_eval_options options = rg_eval_defaults(run);
    options.out = out;
    options.seconds = 3;
    options.samples = 1;
    options.sample_seconds = 1;
    RG_ASSERT_OK(rg_evaluate(&options, NULL, NULL, &err), &err);
    json_t *m = metrics_of(out);
    /* Untrained gates are shut, so context changes nothing; roles have their own models. */
    RG_ASSERT_NEAR(value(m, "bits", "bass", "even"), 4, 1e-12);
    ck_assert(value(m, "bits", "bass", "true") > 0.5 && value(m, "bits", "bass", "true") < 12);
    RG_ASSERT_NEAR(value(m, "bits", "bass", "none"), value(m, "bits", "bass", "true"), 1e-4);
    ck_assert(value(m, "bits", "bass", "true") != value(m, "bits", "drums", "true"));
    ck_assert_str_eq(json_string_value(cell(m, "regeneration", "drums", "Outcome")), "identical");
    ck_assert(says(m, "good", "Every kept stem is identical"));
    cell(m, "coherence-rhythm", "real, through the codecs", "bass");
    cell(m, "distance", "white noise", "kad");
    RG_ASSERT_NEAR(value(m, "right-context", "bass", "gain"), 0, 1e-4);
    RG_ASSERT_NEAR(value(m, "seams", "all tracks", "outside"), 0, 0);
    ck_assert(value(m, "seams", "bass", "changed") > 0);
    ck_assert(value(m, "accuracy", "bass", "top1") <= 100);
    ck_assert_str_eq(json_string_value(cell(m, "distance", "generated", "warning")),
                     "small sample");
    ck_assert(value(m, "copying", "harmony, made", "differs") > 0);
    ck_assert(says(m, "good", "No sample outside of the regenerated spans"));
    check_page(out, "Tracks: track-run");
    json_decref(m);
}
END_TEST

/* Six songs: pairs of them can be crossed. The gates of an untrained model are shut, so it hears
 * nothing, which the tests of listening must say; real music must pass them. */
START_TEST(what_does_not_listen_is_seen)
{
    char run[1024], out[1024];
    rg_error err = {0};
    join(run, "deaf-run");
    join(out, "deaf-report");
    RG_ASSERT_OK(rg_fs_make_folders(run, &err), &err);
    make_track_run(run);
    rg_eval_options options = rg_eval_defaults(run);
    options.out = out;
    options.split = RG_SPLIT_TRAIN;
    options.seconds = options.sample_seconds = 1;
    options.samples = 1;
    options.songs = 2;
    RG_ASSERT_OK(rg_evaluate(&options, NULL, NULL, &err), &err);
    json_t *m = metrics_of(out);
    /* the same seed and nothing heard: one and the same bass, which fits no drums as its own */
    RG_ASSERT_NEAR(value(m, "swap", "generated, drums seen", "found"), 50, 1e-9);
    ck_assert(value(m, "swap", "real", "found") > 50);
    RG_ASSERT_NEAR(value(m, "transposition", "generated, harmony seen", "gain"),
                   value(m, "transposition", "generated, harmony not seen", "gain"), 1e-9);
    RG_ASSERT_NEAR(value(m, "transposition", "generated, harmony seen", "turned"), 0, 0);
    ck_assert(value(m, "transposition", "real bass, moved alike", "gain") > 0.1);
    ck_assert(value(m, "transposition", "real bass, moved alike", "turned") > 80);
    json_decref(m);
}
END_TEST

RG_TEST_MAIN("evaluate", 300, codec_run_gets_a_report, codes_are_coded_by_other_songs,
             codecs_of_any_role_and_of_the_mix, training_songs_are_refused,
             what_is_no_run_is_refused, a_step_is_chosen, codecs_of_two_channels_and_chunks,
             reports_are_compared, track_run_gets_a_report, what_does_not_listen_is_seen)
