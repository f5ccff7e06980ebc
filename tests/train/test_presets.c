/*
 * Every configuration of a codec in configs/codec opens, and trains two steps with a discriminator
 * where it has one, at a tiny size.
 */
#include <dirent.h>

#include "models/encodec.h"
#include "test.h"
#include "toy_store.h"
#include "train/trainer.h"

static void say(void *ctx, rg_log_level level, const char *text)
{
    (void)ctx, (void)level, (void)text;
}

/* Two steps of a file; the run's last checkpoint is loaded as a codec. */
static void train_two_steps(const char *file, const char *store, rg_codec *codec, rg_exec *ex)
{
    char path[700], in[800], runs[800], checkpoint[1400];
    const char *set[] = {in,
                         runs,
                         "steps=2",
                         "threads=1",
                         "pin=false",
                         "batch=2",
                         "crop_seconds=0.2",
                         "filters=2",
                         "dimension=8",
                         "lstm_layers=1",
                         "data.threads=0",
                         "discriminator.filters=2",
                         "discriminator.start=0",
                         "quantizer.start=0",
                         "quantizer.pool=1",
                         "validate_every=2",
                         "checkpoint_every=2",
                         "validation.seconds=0.2",
                         "validation.per_song=1"};
    rg_log log = {.line = say};
    rg_error err = {0};
    rg_train_result result;
    snprintf(path, sizeof path, "%s/configs/codec/%s", RG_SOURCE_DIR, file);
    snprintf(in, sizeof in, "store=%s", store);
    snprintf(runs, sizeof runs, "runs=%s/runs", rg_test_folder());
    rg_train_options o = {
        .config_path = path, .overrides = set, .n_overrides = sizeof set / sizeof *set};
    rg_status status = rg_train(&o, &log, &result, &err);
    ck_assert_msg(status == RG_OK, "%s: %s", file, err.text);
    ck_assert_int_eq(result.step, 2);
    snprintf(checkpoint, sizeof checkpoint, "%s/checkpoints/step_0000002.safetensors",
             result.run_folder);
    RG_ASSERT_OK(rg_codec_load(checkpoint, ex, codec, &err), &err);
}

/* What presets are known by; the others are only trained. */
static void check_facts(const char *file, const rg_codec *codec)
{
    static const struct {
        const char *file;
        int32_t rate, channels, codebooks;
        double kbps;
        bool causal, normalize;
    } facts[] = {
        {"audiocraft-24k.yaml", 24000, 1, 32, 24, true, false},
        {"audiocraft-32k-music.yaml", 32000, 1, 4, 2.2, false, false},
        {"paper-24k.yaml", 24000, 1, 32, 24, true, false},
        {"paper-48k-stereo.yaml", 48000, 2, 16, 24, false, true},
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        if (strcmp(facts[i].file, file) != 0) continue;
        const rg_encodec_config *c = &codec->config;
        ck_assert_int_eq(c->sample_rate, facts[i].rate);
        ck_assert_int_eq(c->channels, facts[i].channels);
        ck_assert_int_eq(c->codebooks, facts[i].codebooks);
        RG_ASSERT_NEAR(rg_encodec_bitrate(c) / 1000, facts[i].kbps, 1e-9);
        ck_assert_int_eq(c->causal, facts[i].causal);
        ck_assert_int_eq(c->normalize, facts[i].normalize);
    }
}

START_TEST(every_preset_trains)
{
    char store[700], folder[700];
    rg_error err = {0};
    const rg_toy toy = {4, 3, 48000, 3, 0};
    snprintf(store, sizeof store, "%s/store", rg_test_folder());
    rg_store_close(rg_toy_build(&toy, store));
    snprintf(folder, sizeof folder, "%s/configs/codec", RG_SOURCE_DIR);
    DIR *files = opendir(folder);
    ck_assert_ptr_nonnull(files);
    int32_t trained = 0;
    for (struct dirent *file; (file = readdir(files));) {
        if (!strstr(file->d_name, ".yaml") || strstr(file->d_name, "common")) continue;
        rg_exec *ex =
            rg_exec_create(&(rg_exec_options){.kernels = rg_kernels_cpu(&err), .seed = 1}, &err);
        rg_codec codec;
        ck_assert_msg(ex != NULL, "%s", err.text);
        train_two_steps(file->d_name, store, &codec, ex);
        check_facts(file->d_name, &codec);
        rg_codec_free(&codec);
        rg_exec_destroy(ex);
        trained++;
    }
    closedir(files);
    ck_assert_int_ge(trained, 12);
}
END_TEST

RG_TEST_MAIN("train/presets", 300, every_preset_trains)
