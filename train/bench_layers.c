/*
 * Forward and backward of EnCodec's encoder and of its LSTM, as other frameworks are timed on them.
 *
 * One idea: the shapes are those of the published 24 kHz model; the loss is the mean of squares, so
 * that nothing but the layers takes time. Not here: the whole codec in use (bench_codec.c).
 */
#include "base/rng.h"
#include "nn/lstm.h"
#include "nn/seanet.h"
#include "train/bench_internal.h"

enum { BATCH = 4, RATE = 24000, LSTM_STEPS = 75, LSTM_WIDTH = 512 };

typedef struct layers {
    rg_exec *ex;
    rg_params *params;
    rg_seanet *seanet;   /* or */
    rg_lstm_layers lstm; /* without its skip */
    float *input;
    rg_shape shape;
    uint64_t step;
} layers;

static rg_tensor *run_layers(layers *l, rg_tensor *x)
{
    if (l->seanet) return rg_seanet_run(l->ex, l->seanet, x);
    for (int32_t i = 0; i < l->lstm.n; i++)
        x = rg_lstm(l->ex, x, l->lstm.w_ih[i], l->lstm.w_hh[i], l->lstm.bias[i]);
    return x;
}

/* d(mean of y^2)/dy = 2 y / n: the seed of the backward pass is y itself, scaled. */
static rg_status forward_backward(rg_bench *b, void *args)
{
    (void)b;
    layers *l = args;
    int32_t n;
    rg_step_begin(l->ex, l->step++);
    rg_params_zero_gradients(l->params);
    rg_tensor *y = run_layers(l, rg_tensor_from_floats(l->ex, l->shape, l->input));
    RG_TRY(rg_exec_status(l->ex));
    rg_tensor *seed = rg_scale(l->ex, rg_detach(l->ex, y), 2.0 / (double)rg_shape_count(y->shape));
    rg_tensor *const *wrt = rg_params_trainable(l->params, &n);
    return rg_backward(l->ex, &y, &seed, 1, wrt, n, NULL);
}

static rg_status time_layers(rg_bench *b, const char *name, layers *l)
{
    int64_t n = rg_shape_count(l->shape);
    rg_rng rng = rg_rng_make(1, 3);
    l->input = rg_arena_alloc(b->data, (size_t)n * sizeof *l->input);
    if (!l->input) return rg_fail(b->err, RG_ERR_NOMEM, "bench: no memory for an input");
    rg_rng_fill_normal(&rng, l->input, n, 0, 1);
    RG_TRY(rg_params_finish(l->params, l->ex, 1, true, b->err));
    rg_set_recording(l->ex, true);
    RG_TRY(forward_backward(b, l));
    const rg_bench_work work = {.flop = (double)l->ex->flops};
    return rg_bench_time(b, name, name, &work, forward_backward, l);
}

static rg_status run_seanet(rg_bench *b, rg_exec *ex, rg_params *params, const void *what)
{
    (void)what;
    const rg_seanet_config config = {.channels = 1,
                                     .filters = 32,
                                     .dimension = 128,
                                     .n_ratios = 4,
                                     .ratios = {8, 5, 4, 2},
                                     .kernel = 7,
                                     .last_kernel = 7,
                                     .residual_kernel = 3,
                                     .residual_layers = 1,
                                     .dilation_base = 2,
                                     .compress = 2,
                                     .lstm_layers = 2,
                                     .causal = true,
                                     .conv_shortcut = true,
                                     .pad_mode = RG_PAD_REFLECT,
                                     .trim_right_ratio = 1};
    layers l = {.ex = ex, .params = params, .shape = RG_SHAPE(BATCH, RATE, 1)};
    l.seanet = rg_seanet_encoder(params, "encoder.", &config, b->err);
    if (!l.seanet) return b->err->code;
    const rg_status status = time_layers(b, "seanet", &l);
    rg_seanet_destroy(l.seanet);
    return status;
}

static rg_status run_lstm(rg_bench *b, rg_exec *ex, rg_params *params, const void *what)
{
    (void)what;
    layers l = {.ex = ex, .params = params, .shape = RG_SHAPE(BATCH, LSTM_STEPS, LSTM_WIDTH)};
    l.lstm = rg_lstm_declare(params, "lstm", LSTM_WIDTH, 2);
    return time_layers(b, "lstm", &l);
}

rg_status rg_bench_seanet(rg_bench *b)
{
    return rg_bench_engine(b, run_seanet, NULL);
}

rg_status rg_bench_lstm(rg_bench *b)
{
    RG_TRY(rg_bench_engine(b, run_lstm, NULL));
    return rg_bench_lstm_layer(b);
}
