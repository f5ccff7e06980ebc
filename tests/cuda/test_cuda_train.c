/*
 * `train` on a device: the run of a codec goes as it does on the CPU, and goes on there, and back;
 * with activations in 16 bits, too.
 */
#include <math.h>

#include "cuemu_control.h"
#include "test.h"
#include "toy_store.h"
#include "train/run_dir.h"
#include "train/trainer.h"

/* Made by the first call in each test's process; the device is small, for all of it is cleared. */
static const char *store(void)
{
    static char folder[700];
    if (folder[0]) return folder;
    const rg_toy toy = {2, 4, 8000, 6, 0};
    snprintf(folder, sizeof folder, "%s/store", rg_test_folder());
    rg_store_close(rg_toy_build(&toy, folder));
    ck_assert(cuemu_set("memory", "512"));
    return folder;
}

static void say(void *ctx, rg_log_level level, const char *text)
{
    (void)ctx, (void)level, (void)text;
}

static const char *activations = "fp32"; /* of the next runs */

/* Trains to `steps` on `device`, in runs/NAME; from where the run stands when it is there. */
static rg_status train(const char *device, const char *name, const char *steps, bool resume,
                       rg_train_result *result, rg_error *err)
{
    char config[700], in[720], runs[760], length[32], stored[48];
    const char *set[] = {in,
                         stored,
                         runs,
                         length,
                         "threads=1",
                         "pin=false",
                         "batch=2",
                         "crop_seconds=0.3",
                         "filters=4",
                         "dimension=16",
                         "data.threads=0",
                         "quantizer.start=0.3",
                         "quantizer.pool=1",
                         "validate_every=2",
                         "checkpoint_every=2",
                         "validation.seconds=0.3",
                         "validation.per_song=1"};
    rg_log log = {.line = say};
    snprintf(config, sizeof config, "%s/configs/codec/quickstart-bass.yaml", RG_SOURCE_DIR);
    snprintf(in, sizeof in, "store=%s", store());
    snprintf(runs, sizeof runs, "runs=%s/%s", rg_test_folder(), name);
    snprintf(length, sizeof length, "steps=%s", steps);
    snprintf(stored, sizeof stored, "precision.activations=%s", activations);
    const rg_train_options o = {.config_path = config,
                                .overrides = set,
                                .n_overrides = sizeof set / sizeof *set,
                                .resume = resume,
                                .resume_step = -1,
                                .device = device};
    return rg_train(&o, &log, result, err);
}

/* The last validation's distance. */
static double distance_of(const rg_train_result *result)
{
    static char line[1 << 16];
    char path[1400];
    double value = NAN;
    snprintf(path, sizeof path, "%s/metrics.jsonl", result->run_folder);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s", path);
    while (fgets(line, sizeof line, file)) {
        const char *at = strstr(line, "\"mel_distance\":");
        if (at) value = atof(strchr(at, ':') + 1);
    }
    fclose(file);
    ck_assert_msg(isfinite(value), "no validation in %s", path);
    return value;
}

START_TEST(a_run_goes_as_on_the_cpu)
{
    rg_error err = {0};
    rg_train_result here, there, back;
    RG_ASSERT_OK(train("cpu", "cpu", "6", false, &here, &err), &err);
    RG_ASSERT_OK(train("cuda", "cuda", "6", false, &there, &err), &err);
    ck_assert_int_eq(there.step, 6);
    RG_ASSERT_NEAR(distance_of(&there), distance_of(&here), 1e-3 * distance_of(&here));
    /* what a device has written the CPU goes on with, and the other way round */
    RG_ASSERT_OK(train("cpu", "cuda", "8", true, &back, &err), &err);
    RG_ASSERT_OK(train("cuda:0", "cpu", "8", true, &here, &err), &err);
    ck_assert_int_eq(back.step, 8);
    ck_assert_int_eq(here.step, 8);
    RG_ASSERT_NEAR(distance_of(&back), distance_of(&here), 1e-3 * distance_of(&here));
}
END_TEST

/* In fp16 with loss scaling, in bf16 without; a run in fp32 goes on in fp16, and back. */
START_TEST(a_run_in_16_bits_goes_as_in_fp32)
{
    rg_error err = {0};
    rg_train_result wide, half;
    RG_ASSERT_OK(train("cuda", "wide", "4", false, &wide, &err), &err);
    const double distance = distance_of(&wide);
    activations = "bf16";
    RG_ASSERT_OK(train("cuda", "bf16", "4", false, &half, &err), &err);
    RG_ASSERT_NEAR(distance_of(&half), distance, 0x1p-5 * distance);
    activations = "fp16";
    RG_ASSERT_OK(train("cuda", "fp16", "4", false, &half, &err), &err);
    RG_ASSERT_NEAR(distance_of(&half), distance, 0x1p-7 * distance);
    RG_ASSERT_OK(train("cuda", "wide", "6", true, &wide, &err), &err);
    activations = "fp32";
    RG_ASSERT_OK(train("cuda", "fp16", "6", true, &half, &err), &err);
    RG_ASSERT_NEAR(distance_of(&half), distance_of(&wide), 0x1p-7 * distance);
}
END_TEST

START_TEST(a_cpu_stores_nothing_in_16_bits)
{
    rg_error err = {0};
    rg_train_result result;
    activations = "fp16";
    ck_assert_int_eq(train("cpu", "none", "2", false, &result, &err), RG_ERR_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "precision.activations: fp16 is for GPUs") != NULL, "%s",
                  err.text);
}
END_TEST

START_TEST(what_is_not_there_is_refused)
{
    rg_error err = {0};
    rg_train_result result;
    ck_assert_int_ne(train("cuda:7", "none", "2", false, &result, &err), RG_OK);
    ck_assert_msg(strstr(err.text, "cuda:7: there are 1") != NULL, "%s", err.text);
    err = (rg_error){0};
    ck_assert_int_eq(train("cuda:x", "none", "2", false, &result, &err), RG_ERR_USAGE);
}
END_TEST

RG_TEST_MAIN("cuda training", 300, a_run_goes_as_on_the_cpu, a_run_in_16_bits_goes_as_in_fp32,
             a_cpu_stores_nothing_in_16_bits, what_is_not_there_is_refused)
