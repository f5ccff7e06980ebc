/*
 * The training step that is compared with other frameworks: a plain causal transformer, d 512, 4
 * layers, 8 heads, vocabulary 1024, 4 x 512 tokens, AdamW.
 *
 * One idea: it is written with the operators that models are written with, so it times the engine,
 * its memory and the optimizer too, not only the kernels.
 */
#include <string.h>

#include "base/text.h"
#include "dist/zero.h"
#include "engine/optimizer.h"
#include "ops/ops.h"
#include "train/bench_internal.h"

enum { LAYERS = 4, D = 512, HEADS = 8, WIDE = 2048, VOCABULARY = 1024, BATCH = 4, STEPS = 512 };

typedef struct dense {
    rg_tensor *w, *b;
} dense;

typedef struct layer {
    rg_tensor *gain1, *bias1, *gain2, *bias2;
    dense qkv, out, up, down;
} layer;

typedef struct model {
    rg_exec *ex;
    rg_params *params;
    rg_adamw adamw;
    rg_scaler scaler;
    rg_tensor *table, *gain, *bias;
    dense logits;
    layer layers[LAYERS];
    int32_t codes[BATCH * STEPS], targets[BATCH * STEPS];
    uint64_t step;
    int32_t processes;
} model;

static rg_shape shape1(int64_t a)
{
    return (rg_shape){1, {a}};
}
static rg_shape shape2(int64_t a, int64_t b)
{
    return (rg_shape){2, {a, b}};
}

static rg_tensor *vector(model *m, const char *name, int i, int64_t n, rg_init_kind kind)
{
    char text[RG_NAME_SIZE];
    rg_format(text, sizeof text, "%d.%s", i, name);
    return rg_params_add(m->params, text, shape1(n), (rg_init){kind, 0});
}

static dense dense_add(model *m, const char *name, int i, int64_t in, int64_t out)
{
    char text[RG_NAME_SIZE];
    rg_format(text, sizeof text, "%d.%s.weight", i, name);
    dense d = {rg_params_add(m->params, text, shape2(in, out), (rg_init){RG_INIT_NORMAL, 0.02}),
               NULL};
    if (d.w) rg_params_use_as_matrix(m->params, d.w);
    rg_format(text, sizeof text, "%d.%s.bias", i, name);
    d.b = rg_params_add(m->params, text, shape1(out), (rg_init){RG_INIT_ZEROS, 0});
    return d;
}

static void declare(model *m)
{
    m->table = rg_params_add(m->params, "table", (rg_shape){3, {1, VOCABULARY, D}},
                             (rg_init){RG_INIT_NORMAL, 0.02});
    for (int i = 0; i < LAYERS; i++) {
        layer *l = &m->layers[i];
        l->gain1 = vector(m, "gain1", i, D, RG_INIT_ONES);
        l->bias1 = vector(m, "bias1", i, D, RG_INIT_ZEROS);
        l->gain2 = vector(m, "gain2", i, D, RG_INIT_ONES);
        l->bias2 = vector(m, "bias2", i, D, RG_INIT_ZEROS);
        l->qkv = dense_add(m, "qkv", i, D, 3 * D);
        l->out = dense_add(m, "out", i, D, D);
        l->up = dense_add(m, "up", i, D, WIDE);
        l->down = dense_add(m, "down", i, WIDE, D);
    }
    m->gain = vector(m, "gain", LAYERS, D, RG_INIT_ONES);
    m->bias = vector(m, "bias", LAYERS, D, RG_INIT_ZEROS);
    m->logits = dense_add(m, "logits", LAYERS, D, VOCABULARY);
}

static rg_tensor *forward(model *m)
{
    const rg_attention_attr attention = {.heads = HEADS,
                                         .channels = D,
                                         .k_column = D,
                                         .v_column = 2 * D,
                                         .causal = true,
                                         .window = -1};
    rg_exec *ex = m->ex;
    rg_tensor *codes = rg_tensor_from_ints(ex, (rg_shape){3, {BATCH, STEPS, 1}}, m->codes);
    rg_tensor *x = rg_embedding(ex, codes, m->table), *add = NULL;
    for (int i = 0; i < LAYERS; i++) {
        const layer *l = &m->layers[i];
        rg_tensor *h = add ? rg_residual_layernorm(ex, &x, add, l->gain1, l->bias1, 1e-5)
                           : rg_layernorm(ex, x, l->gain1, l->bias1, 1e-5);
        rg_tensor *qkv = rg_linear(ex, h, l->qkv.w, l->qkv.b, RG_ACT_NONE);
        h = rg_attention(ex, qkv, qkv, NULL, NULL, NULL, &attention);
        add = rg_linear(ex, h, l->out.w, l->out.b, RG_ACT_NONE);
        h = rg_residual_layernorm(ex, &x, add, l->gain2, l->bias2, 1e-5);
        h = rg_linear(ex, h, l->up.w, l->up.b, RG_ACT_GELU);
        add = rg_linear(ex, h, l->down.w, l->down.b, RG_ACT_NONE);
    }
    rg_tensor *h = rg_residual_layernorm(ex, &x, add, m->gain, m->bias, 1e-5);
    h = rg_linear(ex, h, m->logits.w, m->logits.b, RG_ACT_NONE);
    rg_tensor *targets = rg_tensor_from_ints(ex, shape2(BATCH, STEPS), m->targets);
    return rg_softmax_ce(ex, h, targets, NULL, NULL);
}

static rg_status train_step(rg_bench *b, void *args)
{
    (void)b;
    model *m = args;
    int32_t n;
    rg_step_begin(m->ex, m->step++);
    rg_params_zero_gradients(m->params);
    rg_tensor *loss = forward(m), *const *wrt = rg_params_trainable(m->params, &n);
    RG_TRY(rg_exec_status(m->ex));
    rg_zero_last(m->params, m->ex, true);
    RG_TRY(rg_backward(m->ex, &loss, &(rg_tensor *){NULL}, 1, wrt, n, NULL));
    rg_zero_last(m->params, m->ex, false);
    rg_update update;
    return rg_adamw_step(&m->adamw, &m->scaler, m->params, m->ex, 1e-4, m->processes, &update);
}

/* 6 P B T and, for the scores and values of attention, 12 L C T^2 B. */
static double step_flop(const model *m)
{
    const double tokens = (double)BATCH * STEPS;
    return 6.0 * (double)rg_params_elements(m->params) * tokens +
           12.0 * LAYERS * D * (double)STEPS * tokens;
}

/* The same on several processes; comm NULL: on this one alone. */
typedef struct together {
    rg_comm *comm;
    int runs;
    double *seconds; /* (runs) */
} together;

static rg_status run_together(rg_bench *b, model *m, const together *t)
{
    const rg_zero_options options = {.comm = t->comm};
    if (t->comm) RG_TRY(rg_zero_attach(m->params, &options, b->err));
    RG_TRY(train_step(b, m)); /* warms caches and plans */
    for (int i = 0; i < t->runs; i++) {
        RG_TRY(rg_comm_barrier(t->comm, b->err));
        const double began = rg_clock_seconds();
        RG_TRY(train_step(b, m));
        t->seconds[i] = rg_clock_seconds() - began;
    }
    return RG_OK;
}

static rg_status run(rg_bench *b, rg_exec *ex, rg_params *params, const void *what)
{
    const together *t = what;
    model *m = rg_arena_zalloc(b->data, sizeof *m);
    if (!m) return rg_fail(b->err, RG_ERR_NOMEM, "bench: no memory for a model");
    m->ex = ex;
    m->params = params;
    rg_rng rng = rg_rng_make(1, 2);
    for (int i = 0; i < BATCH * STEPS; i++) {
        m->codes[i] = (int32_t)rg_rng_below(&rng, VOCABULARY);
        m->targets[i] = (int32_t)rg_rng_below(&rng, VOCABULARY);
    }
    m->adamw = (rg_adamw){.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.01};
    m->scaler = rg_scaler_make(false);
    m->processes = rg_comm_world(t ? t->comm : NULL);
    if (t && t->comm) ex->flat_multiple = (int64_t)m->processes * RG_ZERO_UNIT;
    declare(m);
    RG_TRY(rg_params_finish(params, ex, 1, true, b->err));
    rg_set_recording(ex, true);
    if (t) return run_together(b, m, t);
    return rg_bench_time(b, "train", "train", &(rg_bench_work){.flop = step_flop(m)}, train_step,
                         m);
}

rg_status rg_bench_train(rg_bench *b)
{
    return rg_bench_engine(b, run, NULL);
}

rg_status rg_bench_train_together(rg_bench *b, rg_comm *comm, int runs, double *seconds)
{
    const together t = {comm, runs, seconds};
    return rg_bench_engine(b, run, &t);
}
