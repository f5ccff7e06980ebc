/*
 * The track task through the trainer: three phases one after another on a toy store, what a run
 * holds, and that a run resumed gives the same bits.
 */
#include "train/track_task.h"

#include "audio/audio.h"
#include "base/fs.h"
#include "base/json.h"
#include "test.h"
#include "toy_bundle.h"
#include "toy_store.h"
#include "train/trainer.h"

enum { ROLES = 3, SONGS = 5 };
static const char config_text[] = "task: tracks\n"
                                  "name: toy\n"
                                  "threads: 1\n"
                                  "pin: false\n"
                                  "roles:\n"
                                  "  drums: {codec: x}\n"
                                  "  bass: {codec: x}\n"
                                  "  harmony: {codec: x}\n"
                                  "phase: 1\n"
                                  "steps: 20\n"
                                  "batch: 2\n"
                                  "store: x\n"
                                  "model: {width: 32, heads: 2, encoder_layers: 1,\n"
                                  "        decoder_layers: 2, frames: 64}\n"
                                  "optimizer: {ema_decay: 0.9, clip_norm: 1}\n"
                                  "schedule: {kind: constant, lr: 5.0e-3}\n"
                                  "validation: {windows: 2}\n"
                                  "validate_every: 10\n"
                                  "checkpoint_every: 10\n"
                                  "keep_checkpoints: 9\n";

typedef struct world {
    char folder[512], config[600], set[8][700];
    const char *overrides[16];
    size_t n;
} world;

static void add(world *w, const char *key, const char *value)
{
    char text[700];
    snprintf(text, sizeof text, "%s=%s", key, value);
    memcpy(w->set[w->n], text, sizeof text);
    w->overrides[w->n] = w->set[w->n];
    w->n++;
}

static void open_world(world *w)
{
    rg_error err = {0};
    char path[600], name[64];
    memset(w, 0, sizeof *w);
    snprintf(w->folder, sizeof w->folder, "%s", rg_test_folder());
    snprintf(w->config, sizeof w->config, "%s/toy.yaml", w->folder);
    RG_ASSERT_OK(rg_fs_write_atomic(w->config, config_text, strlen(config_text), &err), &err);
    snprintf(path, sizeof path, "%s/store", w->folder);
    rg_toy toy = {.roles = ROLES, .songs = SONGS, .rate = 16000, .seconds = 6, .absent = 2};
    rg_store_close(rg_toy_build(&toy, path));
    add(w, "store", path);
    add(w, "runs", w->folder);
    rg_exec *ex = rg_toy_exec(NULL);
    for (int32_t r = 0; r < ROLES; r++) {
        snprintf(path, sizeof path, "%s/codec-%s.safetensors", w->folder, rg_toy_role(r));
        rg_toy_codec(ex, path, rg_toy_role(r), 30 + (uint64_t)r);
        snprintf(name, sizeof name, "roles.%s.codec", rg_toy_role(r));
        add(w, name, path);
    }
    rg_exec_destroy(ex);
}

/* Trains with some further overrides; the run's folder in out. */
static void train(const world *w, const char *const *more, size_t n, bool resume, char *out)
{
    rg_error err = {0};
    const char *all[24];
    memcpy(all, w->overrides, w->n * sizeof *all);
    for (size_t i = 0; i < n; i++) all[w->n + i] = more[i];
    rg_train_options options = {.config_path = w->config,
                                .overrides = all,
                                .n_overrides = w->n + n,
                                .resume = resume,
                                .resume_step = -1};
    rg_train_result result = {0};
    RG_ASSERT_OK(rg_train(&options, NULL, &result, &err), &err);
    snprintf(out, RG_RUN_PATH, "%s", result.run_folder);
}

/* A number of the last (or first) validation of a run; NAN when it is not there. */
static double number(const char *run, const char *name, bool last)
{
    rg_error err = {0};
    char path[RG_RUN_PATH + 32], *text, *save = NULL;
    size_t n;
    double value = NAN;
    snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    RG_ASSERT_OK(rg_fs_read_all(path, 1 << 24, &text, &n, &err), &err);
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        json_t *record = json_loads(line, 0, NULL);
        const char *kind = json_string_value(json_object_get(record, "kind"));
        const json_t *v = json_object_get(record, name);
        if (!v) v = json_object_get(json_object_get(record, "metrics"), name);
        if (kind && strcmp(kind, "valid") == 0 && json_is_number(v) && (last || isnan(value)))
            value = json_number_value(v);
        json_decref(record);
    }
    free(text);
    return value;
}

START_TEST(three_phases)
{
    world w;
    char run[3][RG_RUN_PATH], init[RG_RUN_PATH + 8];
    open_world(&w);
    const char *one[] = {"steps=60"};
    train(&w, one, 1, false, run[0]);
    double first = number(run[0], "bits", false), last = number(run[0], "bits", true);
    ck_assert_msg(last < first, "bits %.3f -> %.3f", first, last);
    ck_assert(isfinite(number(run[0], "bass/unigram", true)));
    ck_assert(isfinite(number(run[0], "bass/bigram", true)));
    ck_assert(isfinite(number(run[0], "bass/bits_1", true)));
    ck_assert(isfinite(number(run[0], "bass/none/bits", true)));
    for (int32_t phase = 2; phase <= 3; phase++) {
        char key[16];
        snprintf(init, sizeof init, "init=%s", run[phase - 2]);
        snprintf(key, sizeof key, "phase=%d", phase);
        const char *more[] = {init, key, phase == 2 ? "name=two" : "name=three"};
        train(&w, more, 3, false, run[phase - 1]);
    }
    ck_assert(isfinite(number(run[1], "bass/roles/bits", true)));
    ck_assert(isfinite(number(run[1], "bass/shuffle_gap", true)));
    ck_assert(isfinite(number(run[2], "harmony/rectangle/bits", true)));
    ck_assert(isfinite(number(run[2], "harmony/none/bits", true)));
    /* what a run holds is enough for a bundle */
    rg_error err = {0};
    rg_exec *ex = rg_toy_exec(NULL);
    rg_bundle bundle;
    char path[600];
    snprintf(path, sizeof path, "%s/bundle", w.folder);
    RG_ASSERT_OK(rg_bundle_export(run[2], path, ex, NULL, &err), &err);
    RG_ASSERT_OK(rg_bundle_open(&bundle, path, ex, &err), &err);
    ck_assert_int_eq(bundle.config.n_roles, ROLES);
    ck_assert_int_ge(rg_track_word(&bundle.config, "genre", "techno"), 0);
    ck_assert_int_ge(rg_bundle_trained_with(&bundle, "genre", "techno"), 1);
    ck_assert_int_ge(rg_track_nearest(&bundle.config, "tempo", 120), 0);
    rg_bundle_close(&bundle);
    rg_exec_destroy(ex);
}
END_TEST

static void hash_of(const char *run, int32_t step, char hex[65])
{
    rg_error err = {0};
    char path[RG_RUN_PATH + 64];
    snprintf(path, sizeof path, "%s/checkpoints/step_%07d.safetensors", run, step);
    RG_ASSERT_OK(rg_weights_hash(path, hex, &err), &err);
}

/* All that a sample holds: every role and the mix, made and as the codecs leave the song. */
static void check_samples(const char *run, int32_t step)
{
    static const char *const names[] = {"drums-made", "bass-made", "harmony-codec", "mix-made",
                                        "mix-codec"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        rg_error err = {0};
        rg_audio audio = {0};
        char path[RG_RUN_PATH + 64];
        snprintf(path, sizeof path, "%s/samples/step_%07d/%s.wav", run, step, names[i]);
        RG_ASSERT_OK(rg_audio_read(path, &audio, &err), &err);
        ck_assert_msg(rg_audio_levels(&audio).peak > 0, "%s is silent", path);
        rg_audio_free(&audio);
    }
}

/* Phase 2 has every random choice of the task in it; listening to a run changes nothing. */
START_TEST(resumed_runs_have_the_same_bits)
{
    world w;
    char whole[RG_RUN_PATH], parts[RG_RUN_PATH], a[65], b[65];
    open_world(&w);
    const char *once[] = {"phase=2", "name=whole", "sample_every=5"};
    const char *half[] = {"phase=2", "name=parts", "steps=10"};
    const char *rest[] = {"phase=2", "name=parts"};
    train(&w, once, 3, false, whole);
    check_samples(whole, 5);
    check_samples(whole, 20);
    train(&w, half, 3, false, parts);
    train(&w, rest, 2, true, parts);
    hash_of(whole, 20, a);
    hash_of(parts, 20, b);
    ck_assert_str_eq(a, b);
}
END_TEST

START_TEST(too_large_is_refused)
{
    static const struct {
        const char *set[3], *word;
    } rows[] = {
        {{"batch=4096", "model.width=512", "model.frames=256"}, "lower batch (now 4096)"},
        {{"batch=4096", "model.frames=16384", "validation.windows=1024"}, "lower batch"},
        {{"model.width=8192", "model.encoder_layers=32", "model.decoder_layers=32"},
         "make it smaller"},
    };
    world w;
    open_world(&w);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rg_error err = {0};
        const char *all[24];
        memcpy(all, w.overrides, w.n * sizeof *all);
        memcpy(all + w.n, rows[i].set, sizeof rows[i].set);
        all[w.n + 3] = "runs=none";
        rg_train_options options = {
            .config_path = w.config, .overrides = all, .n_overrides = w.n + 4, .resume_step = -1};
        rg_train_result result = {0};
        rg_status status = rg_train(&options, NULL, &result, &err);
        ck_assert_msg(status == RG_ERR_NOMEM && strstr(err.text, rows[i].word), "%zu: %d %s", i,
                      status, err.text);
        ck_assert(!rg_fs_exists("none"));
    }
}
END_TEST

START_TEST(wrong_codecs_are_refused)
{
    world w;
    rg_error err = {0};
    open_world(&w);
    char swapped[700];
    snprintf(swapped, sizeof swapped, "roles.bass.codec=%s/codec-drums.safetensors",
             rg_test_folder());
    w.overrides[w.n++] = swapped;
    rg_train_options options = {
        .config_path = w.config, .overrides = w.overrides, .n_overrides = w.n, .resume_step = -1};
    rg_train_result result = {0};
    ck_assert_int_eq(rg_train(&options, NULL, &result, &err), RG_ERR_CONFIG);
    ck_assert_msg(strstr(err.text, "codec of role 'drums', not 'bass'") != NULL, "%s", err.text);
}
END_TEST

RG_TEST_MAIN("track_task", 120, three_phases, resumed_runs_have_the_same_bits, too_large_is_refused,
             wrong_codecs_are_refused)
