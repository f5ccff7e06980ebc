/*
 * Training that goes on from a codec that is there: an EnCodec of transformers, imported.
 */
#include "codec_loop.h"
#include "eval/metrics/signal.h"
#include "models/bundle.h"
#include "models/hf.h"

static const char *const model[] = {
    "sample_rate=24000", "frame_rate=75",      "ratios=[8, 5, 4, 2]",
    "filters=2",         "dimension=8",        "lstm_layers=2",
    "causal=true",       "conv_shortcut=true", "pad_mode=reflect",
    "codebooks=32",      "entries=16",         "bandwidths=[0.6, 1.2, 2.4, 4.8, 9.6]"};
enum { MODEL = sizeof model / sizeof *model };

static rg_exec *make_exec(void)
{
    rg_error err = {0};
    rg_exec *ex = rg_exec_create(&(rg_exec_options){.kernels = rg_kernels_cpu(&err)}, &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    rg_set_recording(ex, false);
    return ex;
}

/* The golden as a bundle `name` in the test's folder; "init=" and its path. */
static const char *import(const char *name, bool keep)
{
    static char key[800];
    const char *path = key + strlen("init=");
    rg_error err = {0};
    rg_exec *ex = make_exec();
    snprintf(key, sizeof key, "init=%s/%s", rg_test_folder(), name);
    if (!rg_fs_exists(path))
        RG_ASSERT_OK(rg_hf_import(RG_SOURCE_DIR "/tests/golden/encodec/24khz", path,
                                  &(rg_hf_options){.keep_training_state = keep}, ex, NULL, &err),
                     &err);
    rg_exec_destroy(ex);
    return key;
}

/* With the model of the golden and what `more`, a list that ends with NULL, says. */
static loop *open_model(const char *init, const char *const *more)
{
    const char *set[MODEL + 8] = {init};
    toy_rate = 24000;
    memcpy(set + 1, model, sizeof model);
    for (size_t i = 0; more[i]; i++) set[MODEL + 1 + i] = more[i];
    return open_with(set, 2);
}

static const char *const nothing_more[] = {NULL};

/* What the codec of a bundle, used as such, makes of the run's first validation crops. */
static double mean_si_sdr(const char *bundle, const rg_fixed_crops *crops)
{
    rg_error err = {0};
    rg_codec codec;
    rg_exec *ex = make_exec();
    double sum = 0;
    RG_ASSERT_OK(rg_codec_open(bundle, ex, &codec, &err), &err);
    const rg_codec_cut cut = rg_codec_cut_of(&codec.config, crops->frames);
    const int32_t books = codec.config.codebooks;
    int32_t *codes = malloc((size_t)(cut.chunks * cut.frames * books) * sizeof *codes);
    float *y = malloc((size_t)crops->frames * sizeof *y), scale;
    ck_assert_int_eq(cut.chunks, 1);
    for (int64_t i = 0; i < crops->n; i++) {
        const float *x = crops->samples + i * crops->frames;
        rg_step_begin(ex, 0);
        rg_status status =
            rg_codec_encode_chunks(ex, &codec, x, crops->frames, books, codes, &scale);
        RG_ASSERT_OK(status, &ex->error);
        status = rg_codec_decode_chunks(ex, &codec, codes, &scale, books, y, crops->frames);
        RG_ASSERT_OK(status, &ex->error);
        sum += rg_si_sdr(x, y, crops->frames) / (double)crops->n;
    }
    free(codes);
    free(y);
    rg_codec_free(&codec);
    rg_exec_destroy(ex);
    return sum;
}

START_TEST(a_run_goes_on_from_an_imported_codec)
{
    const char *init = import("plain", false);
    loop *l = open_model(init, nothing_more);
    rg_codec_run *task = l->self;
    json_t *items, *described;
    rg_metrics before = validate(l, 0, &items);
    json_decref(items);
    RG_ASSERT_NEAR(rg_metrics_get(&before, "si_sdr"),
                   mean_si_sdr(init + strlen("init="), &task->valid), 1e-6);
    /* As k-means leaves them: the sizes of a codebook are the vectors of a step. */
    const rg_quantizer *q = rg_encodec_quantizer(task->model);
    const float *sizes = q->cluster_size->data, *sums = q->sums->data, *books = q->books->data;
    const float size = (float)(4 * task->frames) / 320 / 16;
    for (int64_t i = 0; i < 32 * 16; i++) RG_ASSERT_NEAR(sizes[i], size, 0.03 * (double)size);
    for (int64_t i = 0; i < 32 * 16 * 8; i++)
        RG_ASSERT_NEAR(sums[i], books[i] * sizes[i / 8], 1e-5);
    const float first = books[0];
    run(l, 0, 2);
    ck_assert(rg_metrics_get(&l->now, "loss/commit") > 0); /* quantized from the first step on */
    ck_assert(books[0] != first);
    rg_metrics after = validate(l, 2, &items);
    json_decref(items);
    ck_assert(isfinite(rg_metrics_get(&after, "si_sdr")));
    described = rg_codec_task.describe(l->self);
    ck_assert_str_eq(json_string_value(json_object_get(described, "init")), init + strlen("init="));
    ck_assert_int_eq(json_string_length(json_object_get(described, "init_hash")), 64);
    json_decref(described);
    close_loop(l);
}
END_TEST

/* The codec that a run began from may be gone when the run goes on. */
START_TEST(a_resumed_run_does_not_read_it_again)
{
    rg_error err = {0};
    const char *init = import("gone", true), *const more[] = {"accumulate=2", NULL};
    char path[800];
    loop *whole = open_model(init, more);
    run(whole, 0, 1);
    snprintf(path, sizeof path, "%s", checkpoint(whole, 1, "going-on.safetensors"));
    run(whole, 1, 2);
    RG_ASSERT_OK(rg_fs_remove_tree(init + strlen("init="), &err), &err);
    resumes = true;
    loop *second = open_model(init, more);
    resumes = false;
    resume(second, path);
    run(second, 1, 2);
    check_equal(whole, second);
    json_t *a = rg_codec_task.describe(whole->self), *b = rg_codec_task.describe(second->self);
    ck_assert(json_equal(a, b));
    json_decref(a);
    json_decref(b);
    close_loop(whole);
    close_loop(second);
}
END_TEST

/* A run's own checkpoint is such a codec too; what the entries were used for stays, at the scale of
 * the new run's steps. */
START_TEST(the_use_of_entries_is_taken_over)
{
    static const char *const more[] = {"batch=16", NULL};
    loop *first = open_model(import("plain", false), nothing_more);
    run(first, 0, 2);
    char init[800];
    snprintf(init, sizeof init, "init=%s", checkpoint(first, 2, "first.safetensors"));
    loop *second = open_model(init, more);
    const rg_codec_run *a = first->self, *b = second->self;
    const float *x = rg_encodec_quantizer(a->model)->cluster_size->data;
    const float *y = rg_encodec_quantizer(b->model)->cluster_size->data;
    for (int32_t k = 0; k < 32; k++) {
        double from = 0, to = 0;
        for (int32_t v = 0; v < 16; v++) from += (double)x[k * 16 + v];
        for (int32_t v = 0; v < 16; v++) to += (double)y[k * 16 + v];
        RG_ASSERT_NEAR(to, 16 * 0.3 * 75, 1e-3 * to);
        for (int32_t v = 0; v < 16; v++)
            RG_ASSERT_NEAR(y[k * 16 + v] / to, x[k * 16 + v] / from, 1e-6);
    }
    close_loop(first);
    close_loop(second);
}
END_TEST

START_TEST(another_model_is_refused_by_its_first_member)
{
    const struct {
        const char *init, *set, *word;
    } rows[] = {{import("plain", false), "filters=4", "has filters 2, this configuration 4"},
                {NULL, "causal=false", "has causal true, this configuration false"},
                {NULL, "pad_mode=constant", "has pad_mode \"reflect\", this configuration \"cons"},
                {NULL, "bandwidths=[]", "has bandwidths [0.6"},
                {"init=nowhere", "filters=2", "init: nowhere: does not exist"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rg_error err = {0};
        double scale = 1;
        void *self = NULL;
        const char *set[MODEL + 2] = {rows[i].init ? rows[i].init : rows[0].init};
        memcpy(set + 1, model, sizeof model);
        set[MODEL + 1] = rows[i].set;
        overrides = set;
        n_overrides = MODEL + 2;
        rg_config *config = make_config("", 1, &err);
        overrides = NULL;
        n_overrides = 0;
        ck_assert_msg(config != NULL, "%s", err.text);
        rg_exec *ex = make_exec();
        rg_task_context context = {.config = config, .ex = ex, .loss_scale = &scale};
        ck_assert(rg_codec_task.open(&context, &self, &err) != RG_OK);
        ck_assert_msg(strstr(err.text, rows[i].word) && strstr(err.text, "command line:"), "%s",
                      err.text);
        rg_exec_destroy(ex);
        rg_config_free(config);
    }
}
END_TEST

RG_TEST_MAIN("train/codec_init", 60, a_run_goes_on_from_an_imported_codec,
             a_resumed_run_does_not_read_it_again, the_use_of_entries_is_taken_over,
             another_model_is_refused_by_its_first_member)
