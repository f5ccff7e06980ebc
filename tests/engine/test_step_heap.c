/*
 * A training step calls no heap function and makes no arena.
 *
 * One idea: malloc and its kin are counted in this program; after a warm-up step, which may make
 * plans and threads' state, a step with every operator in it must leave the count as it is.
 */
#include "engine/optimizer.h"
#include "ops/ops.h"
#include "test.h"

#include "failing_alloc.inc"

enum { B = 2, T = 64, C = 8, V = 16 };

typedef struct model {
    rg_params *params;
    rg_tensor *conv, *conv_tr, *w_ih, *w_hh, *bias, *gain, *qkv, *table, *head, *books, *image;
} model;

static model declare(void)
{
    rg_error err = {0};
    const rg_init init = {RG_INIT_NORMAL, 0.2};
    rg_params *p = rg_params_create(&err);
    model m = {.params = p};
    m.conv = rg_params_add_normed(p, "conv", RG_SHAPE(7, 1, C), 2, init);
    m.conv_tr = rg_params_add_normed(p, "conv_tr", RG_SHAPE(4, C, C), 1, init);
    m.w_ih = rg_params_add(p, "w_ih", RG_SHAPE(C, 4 * C), init);
    m.w_hh = rg_params_add(p, "w_hh", RG_SHAPE(C, 4 * C), init);
    m.bias = rg_params_add(p, "bias", RG_SHAPE(4 * C), init);
    m.gain = rg_params_add(p, "gain", RG_SHAPE(C), (rg_init){RG_INIT_ONES, 0});
    m.qkv = rg_params_add(p, "qkv", RG_SHAPE(C, 3 * C), init);
    m.table = rg_params_add(p, "table", RG_SHAPE(2, V, C), init);
    m.head = rg_params_add(p, "head", RG_SHAPE(C, V), init);
    m.image = rg_params_add(p, "image", RG_SHAPE(3, 3, 2, 1), init);
    m.books = rg_params_add_state(p, "books", RG_F32, RG_SHAPE(2, V, C));
    rg_params_use_as_matrix(p, m.qkv);
    rg_params_use_as_matrix(p, m.conv);
    return m;
}

static rg_tensor *decoder(rg_exec *ex, const model *m, rg_tensor *h)
{
    int32_t codes[B * T * 2], targets[B * T];
    for (int i = 0; i < B * T * 2; i++) codes[i] = i % V;
    for (int i = 0; i < B * T; i++) targets[i] = i % (V + 1) - 1;
    rg_tensor *e = rg_embedding(ex, rg_tensor_from_ints(ex, RG_SHAPE(B, T, 2), codes), m->table);
    rg_tensor *y = rg_residual_layernorm(ex, &h, rg_dropout(ex, e, 0.1), m->gain, NULL, 1e-5);
    rg_tensor *qkv = rg_linear(ex, y, m->qkv, NULL, RG_ACT_GELU);
    y = rg_attention(ex, qkv, qkv, NULL, NULL, NULL,
                     &(rg_attention_attr){.heads = 2,
                                          .channels = C,
                                          .k_column = C,
                                          .v_column = 2 * C,
                                          .causal = true,
                                          .window = -1,
                                          .rope_base = 100});
    y = rg_linear(ex, rg_add(ex, y, h, 1, 1), m->head, NULL, RG_ACT_NONE);
    return rg_softmax_ce(ex, y, rg_tensor_from_ints(ex, RG_SHAPE(B, T), targets), NULL, NULL);
}

static rg_tensor *losses(rg_exec *ex, const model *m)
{
    float x[B * T * 2];
    for (int i = 0; i < B * T * 2; i++) x[i] = (float)sin(0.1 * i);
    rg_tensor *h = rg_conv1d(ex, rg_tensor_from_floats(ex, RG_SHAPE(B, 2 * T, 1), x), m->conv, NULL,
                             &(rg_conv1d_attr){2, 1, 5, 0, RG_PAD_REFLECT, RG_ACT_NONE});
    h = rg_conv_tr1d(ex, h, m->conv_tr, NULL, &(rg_conv_tr1d_attr){2, 0, 2, RG_ACT_ELU});
    h = rg_slice(ex, rg_lstm(ex, h, m->w_ih, m->w_hh, m->bias), 1, 0, T);
    h = rg_activation(ex, rg_layernorm(ex, h, m->gain, NULL, 1e-5), RG_ACT_ELU, 0);
    rg_rvq_out q = rg_rvq(ex, h, m->books, NULL, 2);
    rg_tensor *wave = rg_slice(ex, q.quantized, 2, 0, 1), *log_y;
    wave = rg_concat(ex, (rg_tensor *[]){wave, wave}, 2, 1);
    rg_tensor *flat =
        rg_linear(ex, wave, rg_tensor_from_floats(ex, RG_SHAPE(1, 1), x + 5), NULL, 0);
    float target[B * T * C] = {0};
    rg_tensor *zero = rg_tensor_from_floats(ex, RG_SHAPE(B, T, C), target);
    rg_tensor *total = rg_distance(ex, q.quantized, zero, RG_DISTANCE_L1);
    rg_tensor *loss = rg_add(ex, total, rg_scale(ex, q.commit, 0.25), 1, 1);
    rg_stft_attr stft = {.n_fft = 32, .hop = 16, .pad_mode = RG_PAD_ZERO};
    rg_tensor *sound = rg_tensor_from_floats(ex, RG_SHAPE(B, 2 * T), x);
    rg_tensor *image = rg_conv2d(ex, rg_stft(ex, sound, &stft), m->image, NULL,
                                 &(rg_conv2d_attr){1, 1, 1, 1, 1, 1, RG_ACT_NONE, 0});
    rg_spectrogram(ex, sound, NULL, &(rg_spectrogram_attr){stft, 1, 1e-5}, &log_y);
    rg_tensor *pixels = rg_distance(ex, image, image, RG_DISTANCE_MSE);
    loss = rg_add(ex, loss, rg_add(ex, pixels, decoder(ex, m, h), 1, 1), 1, 1);
    return flat ? loss : NULL;
}

/* Whether all went well; no assertion in here, since those call the heap. */
static bool step(rg_exec *ex, const model *m, rg_adamw *optimizer, rg_scaler *scaler, int number)
{
    int32_t n;
    rg_update u;
    rg_step_begin(ex, (uint64_t)number);
    rg_tensor *loss = losses(ex, m), *const *wrt = rg_params_trainable(m->params, &n);
    rg_params_zero_gradients(m->params);
    return rg_backward(ex, &loss, NULL, 1, wrt, n, NULL) == RG_OK &&
           rg_adamw_step(optimizer, scaler, m->params, ex, 1e-3, 1, &u) == RG_OK && !u.skipped &&
           u.grad_norm > 0;
}

static void check_level(const char *level, rg_pool *pool)
{
    rg_error err = {0};
    rg_exec *ex = rg_exec_create(
        &(rg_exec_options){.kernels = rg_kernels_cpu_level(level), .pool = pool}, &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    model m = declare();
    rg_adamw optimizer = {.beta1 = 0.9,
                          .beta2 = 0.99,
                          .eps = 1e-8,
                          .weight_decay = 0.01,
                          .clip_norm = 1,
                          .ema_decay = 0.99};
    rg_scaler scaler = rg_scaler_make(false);
    RG_ASSERT_OK(rg_params_finish(m.params, ex, 1, true, &err), &err);
    ck_assert_msg(step(ex, &m, &optimizer, &scaler, 0), "%s", ex->error.text);
    size_t arenas = rg_arena_count(), high = rg_arena_high_water(ex->step);
    rg_alloc_begin(0);
    bool fine = true;
    for (int i = 1; i < 4; i++) fine &= step(ex, &m, &optimizer, &scaler, i);
    int64_t calls = atomic_load(&rg_alloc_calls);
    ck_assert_msg(fine, "%s", ex->error.text);
    ck_assert_msg(calls == 0, "%s: %d heap calls in three steps", level, (int)calls);
    ck_assert_uint_eq(rg_arena_count(), arenas);
    ck_assert_uint_eq(rg_arena_high_water(ex->step), high);
    rg_params_destroy(m.params);
    rg_exec_destroy(ex);
}

START_TEST(a_step_calls_no_heap)
{
    rg_error err = {0};
    rg_pool *pool = rg_pool_create(2, 0, false, &err);
    ck_assert_msg(pool != NULL, "%s", err.text);
    const char *const *levels = rg_kernels_cpu_levels();
    for (int k = 0; levels[k]; k++) {
        check_level(levels[k], NULL);
        check_level(levels[k], pool);
    }
    rg_pool_destroy(pool);
}
END_TEST

/* The counter counts. */
START_TEST(the_heap_is_watched)
{
    rg_alloc_begin(0);
    free(malloc(100));
    ck_assert(!RG_ALLOC_CAN_FAIL || atomic_load(&rg_alloc_calls) == 1);
}
END_TEST

RG_TEST_MAIN("step heap", 60, the_heap_is_watched, a_step_calls_no_heap)
