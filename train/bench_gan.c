/*
 * A whole training step of EnCodec against its discriminator: the discriminator's update, the
 * balanced losses, the codec's update and that of its codebooks. 4 x 1 s at 24 kHz, 32 filters, 8
 * codebooks of 1024, spectra of 2048, 1024 and 512, as other frameworks are timed.
 *
 * One idea: the step is the one that runs make, from crops on; the crops are noise. Not here:
 * reading crops (bench_loader.c).
 */
#include <stdlib.h>
#include <string.h>

#include "train/bench_internal.h"
#include "train/codec_task.h"

enum { BATCH = 4, RATE = 24000, DIMENSION = 128, BOOKS = 8, ENTRIES = 1024 };

static const char *const yaml = "{store: noise, role: noise, steps: 1000000, accumulate: 1,\n"
                                "sample_rate: 24000, frame_rate: 75, ratios: [8, 5, 4, 2],\n"
                                "filters: 32, dimension: 128, lstm_layers: 2, causal: true,\n"
                                "conv_shortcut: true, pad_mode: reflect,\n"
                                "codebooks: 8, entries: 1024, batch: 4, crop_seconds: 1,\n"
                                "losses: {l1: [0.1, 0.1], mse: [0, 0], mel: [2, 2], adv: [4, 4],\n"
                                "         feat: [4, 4], commit: 1},\n"
                                "mel: {scales: [64, 128, 256, 512, 1024, 2048]},\n"
                                "discriminator: {scales: [1024, 2048, 512], slope: 0.2}}\n";

static const rg_config_key trainer_keys[] = {
    {"steps", RG_CONFIG_INT, NULL, 1, 1e9, NULL, "optimizer updates in all"},
    {"accumulate", RG_CONFIG_INT, NULL, 1, 1, NULL, "micro-batches per update"},
};
enum { N_TRAINER_KEYS = sizeof trainer_keys / sizeof *trainer_keys, MAX_KEYS = 192 };

typedef struct gan {
    rg_codec_run *run;
    rg_adamw adamw;
    rg_scaler scaler;
    rg_metrics metrics;
    int64_t step;
} gan;

static rg_status gan_step(rg_bench *b, void *args)
{
    (void)b;
    gan *g = args;
    rg_codec_run *run = g->run;
    rg_exec *ex = run->context.ex;
    rg_update update;
    g->metrics.n = 0;
    rg_params_zero_gradients(run->params);
    rg_step_begin(ex, (uint64_t)g->step);
    run->pending = run->balancer;
    rg_tensor *x = rg_tensor_from_floats(ex, RG_SHAPE(BATCH, RATE, 1), run->crops);
    RG_TRY(rg_codec_run_learn(run, g->step, 0, x, &g->metrics));
    RG_TRY(rg_adamw_step(&g->adamw, &g->scaler, run->params, ex, 3e-4, 1, &update));
    return rg_codec_run_after_update(run, g->step++, &g->metrics);
}

static rg_config *make_config(rg_bench *b)
{
    rg_config_key schema[MAX_KEYS];
    if (N_TRAINER_KEYS + rg_codec_task.n_schema > MAX_KEYS) {
        rg_fail(b->err, RG_ERR_USAGE, "bench: a codec has %zu keys", rg_codec_task.n_schema);
        return NULL;
    }
    memcpy(schema, trainer_keys, sizeof trainer_keys);
    memcpy(schema + N_TRAINER_KEYS, rg_codec_task.schema, rg_codec_task.n_schema * sizeof *schema);
    return rg_config_parse(yaml, "bench", schema, N_TRAINER_KEYS + rg_codec_task.n_schema, NULL, 0,
                           b->err);
}

/* Crops of noise, and codebooks that k-means makes of noise. */
static rg_status make_noise(rg_codec_run *run, rg_error *err)
{
    rg_exec *ex = run->context.ex;
    rg_rng rng = rg_rng_make(1, 5);
    run->batch = BATCH, run->frames = RATE, run->micros = 1;
    RG_TRY(rg_codec_run_make_buffers(run, err));
    rg_rng_fill_normal(&rng, run->crops, (int64_t)BATCH * RATE, 0, 0.1F);
    rg_step_begin(ex, 0);
    rg_tensor *vectors = rg_tensor_new(ex, RG_F32, RG_SHAPE(ENTRIES, DIMENSION));
    if (!vectors) return rg_exec_status(ex);
    rg_rng_fill_normal(&rng, vectors->data, (int64_t)ENTRIES * DIMENSION, 0, 1);
    return rg_quantizer_start(rg_encodec_quantizer(run->model), ex, vectors->data, ENTRIES, ENTRIES,
                              1);
}

static rg_status open_run(rg_bench *b, rg_codec_run *run)
{
    RG_TRY(rg_codec_run_open_model(run, b->err));
    RG_TRY(make_noise(run, b->err));
    RG_TRY(rg_codec_run_open_judges(run, b->err));
    run->n_q = BOOKS;
    run->judge = &run->judges.each[0];
    run->judge_learns = true;
    return RG_OK;
}

static rg_status time_run(rg_bench *b, gan *g)
{
    RG_TRY(open_run(b, g->run));
    rg_set_recording(g->run->context.ex, true);
    RG_TRY(gan_step(b, g));
    const rg_bench_work work = {.flop = (double)g->run->context.ex->flops};
    return rg_bench_time(b, "gan", "gan", &work, gan_step, g);
}

static rg_status time_gan(rg_bench *b, rg_exec *ex, rg_params *params, const void *what)
{
    (void)params, (void)what; /* a run makes its own */
    const double scale = 1;
    gan *g = rg_arena_zalloc(b->data, sizeof *g);
    rg_config *config = make_config(b);
    if (!config) return b->err->code;
    rg_status status = RG_ERR_NOMEM;
    if (g) g->run = calloc(1, sizeof *g->run);
    if (g && g->run) {
        g->adamw = (rg_adamw){.beta1 = 0.5, .beta2 = 0.9, .eps = 1e-8};
        g->scaler = rg_scaler_make(false);
        g->run->steps = rg_config_int(config, "steps");
        g->run->context =
            (rg_task_context){.config = config, .ex = ex, .seed = 1, .loss_scale = &scale};
        status = time_run(b, g);
        rg_codec_run_close(g->run);
    }
    rg_config_free(config);
    return status;
}

rg_status rg_bench_gan(rg_bench *b)
{
    return rg_bench_engine(b, time_gan, NULL);
}
