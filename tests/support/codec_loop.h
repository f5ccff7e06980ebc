/*
 * A codec run driven by a small loop over a toy store, for the tests of the codec task.
 *
 * One idea: what a trainer does in a step and nothing else, so that a test can stop anywhere, look
 * at everything and compare two runs bit by bit. Included by one file of a test program.
 */
#ifndef RG_TESTS_CODEC_LOOP_H
#define RG_TESTS_CODEC_LOOP_H

#include "base/fs.h"
#include "engine/checkpoint.h"
#include "test.h"
#include "toy_store.h"
#include "train/codec_task.h"

enum { STEPS = 300 };

static const rg_config_key loop_keys[] = {
    {"steps", RG_CONFIG_INT, NULL, 1, 1e9, NULL, "steps"},
    {"accumulate", RG_CONFIG_INT, "1", 1, 64, NULL, "micro-batches per step"},
};

static const char *const yaml = "store: %s\n"
                                "role: bass\n"
                                "steps: %d\n"
                                "sample_rate: 4000\n"
                                "ratios: [5, 4, 4]\n"
                                "filters: 4\n"
                                "dimension: 16\n"
                                "lstm_layers: 1\n"
                                "codebooks: 2\n"
                                "entries: 32\n"
                                "batch: 4\n"
                                "crop_seconds: 0.3\n"
                                "mel: {scales: [64, 256], bands: 32}\n"
                                "validation: {seconds: 1, per_song: 3}\n"
                                "data: {threads: %d}\n"
                                "quantizer: {start: 0.3, dropout: 0.3}\n";

typedef struct loop {
    rg_pool *pool;
    rg_exec *ex;
    rg_config *config;
    void *self;
    rg_params *params;
    rg_adamw adam;
    rg_scaler scaler;
    int32_t accumulate;
    rg_metrics now;
} loop;

static int32_t toy_rate = 8000;  /* of the store, before the first loop */
static int32_t toy_channels = 1; /* of the store of the next loops */

static const char *toy_folder(void)
{
    static char folder[700];
    rg_toy toy = {.roles = 2, .songs = 5, .rate = toy_rate, .seconds = 12};
    snprintf(folder, sizeof folder, "%s/store%d", rg_test_folder(), toy_channels);
    if (!rg_fs_is_folder(folder)) rg_store_close(rg_toy_build_of(&toy, toy_channels, folder));
    return folder;
}

static const char *const *overrides; /* "key=value" for the next loops */
static size_t n_overrides;

static rg_config *make_config(const char *more, int32_t threads, rg_error *err)
{
    rg_config_key schema[128];
    size_t n = sizeof loop_keys / sizeof *loop_keys;
    char text[2048];
    memcpy(schema, loop_keys, sizeof loop_keys);
    memcpy(schema + n, rg_codec_task.schema, rg_codec_task.n_schema * sizeof *schema);
    snprintf(text, sizeof text, yaml, toy_folder(), STEPS, threads - 1);
    strncat(text, more, sizeof text - strlen(text) - 1);
    return rg_config_parse(text, "codec.yaml", schema, n + rg_codec_task.n_schema, overrides,
                           n_overrides, err);
}

static rg_dtype operands; /* of products, in the next loops */
static rg_dtype stored;   /* activations of the next loops on a GPU; F32: not in 16 bits */
static rg_gpu *gpu;       /* of the next loops; NULL: the CPU */
static bool resumes;      /* a checkpoint is loaded into the next loops */

static loop *open_loop(int32_t threads, const char *more)
{
    rg_error err = {0};
    loop *l = calloc(1, sizeof *l);
    l->config = make_config(more, threads, &err);
    ck_assert_msg(l->config != NULL, "%s", err.text);
    l->pool = rg_pool_create(threads, 0, false, &err);
    rg_exec_options options = {
        .kernels = rg_kernels_cpu(&err), .pool = l->pool, .operands = operands, .seed = 11};
    if (gpu) {
        options.gpu = gpu;
        options.kernels = rg_gpu_kernels(gpu, RG_F32, &err);
        if (stored != RG_F32) options.stored = rg_gpu_kernels(gpu, stored, &err);
        options.step_bytes = options.scratch_bytes = options.persist_bytes = (size_t)256 << 20;
    }
    l->ex = rg_exec_create(&options, &err);
    ck_assert_msg(l->ex != NULL, "%s", err.text);
    l->adam = (rg_adamw){.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .ema_decay = 0.9};
    l->scaler = rg_scaler_make(stored == RG_F16);
    rg_task_context context = {.config = l->config,
                               .ex = l->ex,
                               .seed = 11,
                               .resumes = resumes,
                               .loss_scale = &l->scaler.scale};
    RG_ASSERT_OK(rg_codec_task.open(&context, &l->self, &err), &err);
    RG_ASSERT_OK(rg_codec_task.start(l->self, rg_test_folder(), &err), &err);
    l->params = rg_codec_task.params(l->self);
    l->accumulate = (int32_t)rg_config_int(l->config, "accumulate");
    return l;
}

/* With a list of overrides that ends with NULL. */
static inline loop *open_with(const char *const *set, int32_t threads)
{
    overrides = set;
    for (n_overrides = 0; set[n_overrides];) n_overrides++;
    loop *l = open_loop(threads, "");
    overrides = NULL;
    n_overrides = 0;
    return l;
}

static void close_loop(loop *l)
{
    rg_codec_task.close(l->self);
    rg_exec_destroy(l->ex);
    rg_pool_destroy(l->pool);
    rg_config_free(l->config);
    free(l);
}

static inline void run(loop *l, int64_t from, int64_t to)
{
    rg_update update;
    for (int64_t step = from; step < to; step++) {
        rg_params_zero_gradients(l->params);
        l->now.n = 0;
        for (int32_t micro = 0; micro < l->accumulate; micro++) {
            double wait = 0;
            rg_step_begin(l->ex, (uint64_t)(step * l->accumulate + micro));
            ck_assert_msg(rg_codec_task.micro_step(l->self, step, micro, &l->now, &wait) == RG_OK,
                          "step %lld: %s", (long long)step, l->ex->error.text);
        }
        double lr = 3e-3 * (1 - 0.9 * (double)step / STEPS);
        ck_assert_int_eq(
            rg_adamw_step(&l->adam, &l->scaler, l->params, l->ex, lr, l->accumulate, &update),
            RG_OK);
        ck_assert(!update.skipped);
        ck_assert_int_eq(rg_codec_task.after_update(l->self, step, &l->now), RG_OK);
    }
}

static inline rg_metrics validate(loop *l, int64_t step, json_t **items)
{
    rg_metrics m = {0};
    *items = json_object();
    bool recording = rg_set_recording(l->ex, false);
    ck_assert_int_eq(rg_params_swap_ema(l->params, l->ex), RG_OK);
    ck_assert_msg(rg_codec_task.validate(l->self, step, &m, *items) == RG_OK, "%s",
                  l->ex->error.text);
    ck_assert_int_eq(rg_params_swap_ema(l->params, l->ex), RG_OK);
    rg_set_recording(l->ex, recording);
    return m;
}

/* Everything that decides the next step, as one checkpoint file. */
static inline const char *checkpoint(loop *l, int64_t step, const char *name)
{
    static char path[700];
    rg_error err = {0};
    json_t *task = rg_codec_task.save(l->self), *state = json_pack("{s:o}", "task", task);
    rg_checkpoint c = {.step = step, .optimizer = l->adam, .scaler = l->scaler};
    c.extra = json_dumps(state, JSON_REAL_PRECISION(17));
    snprintf(path, sizeof path, "%s/%s", rg_test_folder(), name);
    RG_ASSERT_OK(rg_checkpoint_save(path, l->params, &c, &err), &err);
    free(c.extra);
    json_decref(state);
    return path;
}

static inline void resume(loop *l, const char *path)
{
    rg_error err = {0};
    rg_checkpoint c = {0};
    RG_ASSERT_OK(rg_checkpoint_load(path, l->params, l->ex, &c, &err), &err);
    l->adam = c.optimizer;
    json_t *state = json_loads(c.extra, 0, NULL);
    RG_ASSERT_OK(rg_codec_task.load(l->self, json_object_get(state, "task"), &err), &err);
    json_decref(state);
    rg_checkpoint_free(&c);
}

static inline void check_set_equal(rg_params *a, rg_params *b)
{
    for (size_t i = 0; i < rg_params_count(a); i++) {
        const rg_param *p = rg_params_at(a, i), *q = rg_params_at(b, i);
        size_t bytes = (size_t)rg_shape_count(p->shape) * rg_dtype_size(p->dtype);
        ck_assert_msg(!memcmp(rg_param_data(a, p), rg_param_data(b, q), bytes), "%s differs",
                      p->name);
    }
}

/* The codec and its discriminators, bit by bit. */
static inline void check_equal(const loop *a, const loop *b)
{
    for (rg_params *p = a->params, *q = b->params; p || q;
         p = rg_params_companion(p), q = rg_params_companion(q)) {
        ck_assert(p && q);
        check_set_equal(p, q);
    }
}

#endif
