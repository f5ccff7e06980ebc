/*
 * Known values of the operators' own logic: what lies in src/ops and not in a kernel.
 *
 * One idea: numbers so small that they were worked out by hand.
 */
#include "ops/ops.h"
#include "test.h"

static rg_exec *ex;

static void open_exec(void)
{
    rg_error err = {0};
    ex = rg_exec_create(&(rg_exec_options){.kernels = rg_kernels_reference64()}, &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    rg_step_begin(ex, 0);
}

static rg_tensor *floats(rg_shape shape, const float *values)
{
    rg_tensor *t = rg_tensor_from_floats(ex, shape, values);
    ck_assert_msg(t != NULL, "%s", ex->error.text);
    return t;
}

static void expect(const rg_tensor *t, rg_shape shape, const double *want)
{
    char text[96];
    ck_assert_msg(t != NULL, "%s", ex->error.text);
    ck_assert_msg(rg_shape_equal(t->shape, shape), "%s", rg_shape_text(t->shape, text));
    for (int64_t i = 0; i < rg_shape_count(shape); i++)
        RG_ASSERT_NEAR(rg_tensor_get(t, i), want[i], 1e-12);
}
#define EXPECT(t, shape, ...) expect(t, shape, (const double[]){__VA_ARGS__})
#define FLOATS(shape, ...) floats(shape, (const float[]){__VA_ARGS__})

static void expect_refused(const rg_tensor *t, const char *says)
{
    ck_assert_ptr_null(t);
    ck_assert_msg(strstr(ex->error.text, says), "'%s' does not say '%s'", ex->error.text, says);
    rg_error_clear(&ex->error);
}

/* Weights that copy step k of the window. */
static rg_tensor *copy_of_step(int64_t k, int64_t kernel)
{
    float w[16] = {0};
    w[k] = 1;
    return floats(RG_SHAPE(kernel, 1, 1), w);
}

/* EnCodec's rule: zeros behind x until it can be reflected; what was added is cut off the end. */
START_TEST(short_inputs_are_reflected_as_encodec_does)
{
    open_exec();
    rg_tensor *x = FLOATS(RG_SHAPE(1, 3, 1), 1, 2, 3);
    rg_conv1d_attr a = {.stride = 1, .dilation = 1, .pad_left = 6, .pad_mode = RG_PAD_REFLECT};
    rg_tensor *y = rg_conv1d(ex, x, copy_of_step(0, 1), NULL, &a);
    EXPECT(y, RG_SHAPE(1, 9, 1), 0, 0, 0, 0, 3, 2, 1, 2, 3);
    a.pad_left = 2;
    a.pad_right = 3; /* 1 2 3 0, reflected: 3 2 | 1 2 3 0 | 3 2 1, less the last one */
    y = rg_conv1d(ex, x, copy_of_step(0, 1), NULL, &a);
    EXPECT(y, RG_SHAPE(1, 8, 1), 3, 2, 1, 2, 3, 0, 3, 2);
    a.pad_right = 2; /* long enough */
    y = rg_conv1d(ex, x, copy_of_step(0, 1), NULL, &a);
    EXPECT(y, RG_SHAPE(1, 7, 1), 3, 2, 1, 2, 3, 2, 1);
    rg_tensor *g;
    RG_ASSERT_OK(rg_backward(ex, &y, NULL, 1, &x, 1, &g), &ex->error);
    EXPECT(g, RG_SHAPE(1, 3, 1), 2, 3, 2);
    rg_exec_destroy(ex);
}
END_TEST

/* Each item of a batch is reflected by itself. */
START_TEST(short_items_stay_apart)
{
    open_exec();
    rg_tensor *x = FLOATS(RG_SHAPE(2, 3, 1), 1, 2, 3, 4, 5, 6), *g;
    rg_conv1d_attr a = {
        .stride = 1, .dilation = 1, .pad_left = 2, .pad_right = 3, .pad_mode = RG_PAD_REFLECT};
    rg_tensor *y = rg_conv1d(ex, x, copy_of_step(0, 1), NULL, &a);
    EXPECT(y, RG_SHAPE(2, 8, 1), 3, 2, 1, 2, 3, 0, 3, 2, 6, 5, 4, 5, 6, 0, 6, 5);
    RG_ASSERT_OK(rg_backward(ex, &y, NULL, 1, &x, 1, &g), &ex->error);
    EXPECT(g, RG_SHAPE(2, 3, 1), 1, 3, 3, 1, 3, 3);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(lengths_of_convolutions)
{
    open_exec();
    static const struct {
        int64_t t, kernel, left, right, out;
        int32_t stride, dilation;
    } want[] = {{9, 7, 6, 0, 9, 1, 1}, {9, 3, 0, 0, 7, 1, 1},   {9, 3, 0, 0, 5, 1, 2},
                {9, 4, 2, 1, 5, 2, 1}, {10, 10, 3, 2, 2, 5, 1}, {3, 3, 0, 0, 1, 1, 1}};
    float zeros[16] = {0};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        rg_conv1d_attr a = {want[i].stride, want[i].dilation, want[i].left, want[i].right, 0, 0};
        rg_tensor *x = floats(RG_SHAPE(1, want[i].t, 1), zeros);
        rg_tensor *y = rg_conv1d(ex, x, copy_of_step(0, want[i].kernel), NULL, &a);
        ck_assert_msg(y != NULL, "%s", ex->error.text);
        ck_assert_int_eq(y->shape.dim[1], want[i].out);
    }
    rg_tensor *x = floats(RG_SHAPE(1, 2, 1), zeros);
    expect_refused(rg_conv1d(ex, x, copy_of_step(0, 3), NULL, &(rg_conv1d_attr){1, 1, 0, 0, 0, 0}),
                   "too short");
    expect_refused(rg_conv1d(ex, x, copy_of_step(0, 3), NULL, &(rg_conv1d_attr){0, 1, 9, 0, 0, 0}),
                   "stride");
    expect_refused(rg_conv1d(ex, x, copy_of_step(0, 3), NULL, &(rg_conv1d_attr){1, 1, -1, 9, 0, 0}),
                   "pad_left");
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(transposed_convolution_is_trimmed)
{
    open_exec();
    rg_tensor *x = FLOATS(RG_SHAPE(1, 2, 1), 1, 10), *w = FLOATS(RG_SHAPE(4, 1, 1), 1, 2, 3, 4);
    rg_conv_tr1d_attr a = {.stride = 2};
    EXPECT(rg_conv_tr1d(ex, x, w, NULL, &a), RG_SHAPE(1, 6, 1), 1, 2, 13, 24, 30, 40);
    a.trim_left = 1;
    a.trim_right = 2;
    EXPECT(rg_conv_tr1d(ex, x, w, NULL, &a), RG_SHAPE(1, 3, 1), 2, 13, 24);
    a.trim_right = 6;
    expect_refused(rg_conv_tr1d(ex, x, w, NULL, &a), "trims");
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(quantizer_searches_or_follows)
{
    open_exec();
    rg_tensor *books = FLOATS(RG_SHAPE(3, 2, 1), 0, 8, 0, 2, 0, 1);
    rg_tensor *x = FLOATS(RG_SHAPE(1, 2, 1), 9.5, 1.5);
    rg_rvq_out q = rg_rvq(ex, x, books, NULL, 2);
    EXPECT(q.quantized, RG_SHAPE(1, 2, 1), 10, 2);
    EXPECT(q.codes, RG_SHAPE(1, 2, 3), 1, 1, -1, 0, 1, -1);
    EXPECT(q.residuals, RG_SHAPE(2, 2, 1), 9.5, 1.5, 1.5, 1.5);
    EXPECT(q.commit, RG_SHAPE(1), (1.5 * 1.5 + 0.25 + 1.5 * 1.5 + 0.25) / 4);
    int32_t given[] = {0, 1, 1, -1, 1, 1};
    rg_rvq_out f = rg_rvq(ex, x, books, rg_tensor_from_ints(ex, RG_SHAPE(1, 2, 3), given), 2);
    EXPECT(f.quantized, RG_SHAPE(1, 2, 1), 2, 0); /* a negative code ends its chain */
    EXPECT(f.codes, RG_SHAPE(1, 2, 3), 0, 1, -1, -1, 1, -1);
    rg_tensor *roots[] = {q.quantized, q.commit}, *g, *scale = FLOATS(RG_SHAPE(1), 4);
    rg_tensor *seeds[] = {FLOATS(RG_SHAPE(1, 2, 1), 7, -7), scale};
    RG_ASSERT_OK(rg_backward(ex, roots, seeds, 2, &x, 1, &g), &ex->error);
    EXPECT(g, RG_SHAPE(1, 2, 1), 7 + 2 * (1.5 - 0.5), -7 + 2 * (1.5 - 0.5));
    bool was = rg_set_recording(ex, false);
    ck_assert_ptr_null(rg_rvq(ex, x, books, NULL, 3).residuals);
    rg_set_recording(ex, was);
    expect_refused(rg_rvq(ex, x, books, NULL, 4).quantized, "n_q");
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(losses_ignore_and_weigh)
{
    open_exec();
    rg_tensor *logits = FLOATS(RG_SHAPE(3, 2), 0, 0, 1, 1, 9, 9), *nll;
    int32_t some[] = {0, 1, -1}, none[] = {-1, -2, -3}, bad[] = {0, 2, 0};
    rg_shape three = RG_SHAPE(3);
    rg_tensor *t = rg_tensor_from_ints(ex, three, some), *weight = rg_tensor_new(ex, RG_F32, three);
    memcpy(weight->data, (float[]){1, 3, 100}, 3 * sizeof(float));
    EXPECT(rg_softmax_ce(ex, logits, t, weight, &nll), RG_SHAPE(1), log(2));
    EXPECT(nll, three, log(2), log(2), 0);
    rg_tensor *loss = rg_softmax_ce(ex, logits, rg_tensor_from_ints(ex, three, none), NULL, NULL),
              *g;
    EXPECT(loss, RG_SHAPE(1), 0);
    RG_ASSERT_OK(rg_backward(ex, &loss, NULL, 1, &logits, 1, &g), &ex->error);
    EXPECT(g, RG_SHAPE(3, 2), 0, 0, 0, 0, 0, 0);
    expect_refused(rg_softmax_ce(ex, logits, rg_tensor_from_ints(ex, three, bad), NULL, NULL),
                   "softmax_ce");
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(parts_and_ranges)
{
    open_exec();
    rg_tensor *a = FLOATS(RG_SHAPE(2, 2), 1, 2, 3, 4), *b = FLOATS(RG_SHAPE(2, 1), 5, 6);
    rg_tensor *c = rg_concat(ex, (rg_tensor *[]){a, b}, 2, 1);
    EXPECT(c, RG_SHAPE(2, 3), 1, 2, 5, 3, 4, 6);
    EXPECT(rg_slice(ex, c, 1, 1, 2), RG_SHAPE(2, 2), 2, 5, 4, 6);
    EXPECT(rg_slice(ex, c, 0, 1, 1), RG_SHAPE(1, 3), 3, 4, 6);
    expect_refused(rg_concat(ex, (rg_tensor *[]){a, b}, 2, 0), "(2,1)");
    expect_refused(rg_concat(ex, (rg_tensor *[]){a, b}, 2, 2), "axis");
    expect_refused(rg_concat(ex, (rg_tensor *[]){a}, 1, 0), "1 parts");
    expect_refused(rg_concat(ex, (rg_tensor *[]){a, NULL, b}, 3, 0), "part 1");
    expect_refused(rg_slice(ex, c, 1, 2, 2), "length");
    expect_refused(rg_slice(ex, c, 2, 0, 1), "axis");
    expect_refused(rg_add(ex, c, b, 1, 1), "(2,1)");
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(normalized_transform_keeps_energy)
{
    enum { N = 16 };
    open_exec();
    float x[N];
    for (int i = 0; i < N; i++) x[i] = (float)(i % 5) - 2;
    rg_stft_attr a = {.n_fft = N, .hop = N, .normalized = true};
    rg_tensor *y = rg_stft(ex, floats(RG_SHAPE(1, N), x), &a);
    double energy = 0, window = 0, squares = 0;
    for (int k = 0; k <= N / 2; k++) {
        double re = rg_tensor_get(y, 2 * k), im = rg_tensor_get(y, 2 * k + 1);
        energy += (k % (N / 2) ? 2 : 1) * (re * re + im * im) / N;
    }
    for (int i = 0; i < N; i++) {
        double h = 0.5 - 0.5 * cos(2 * acos(-1) * i / N);
        window += h * h;
        squares += h * h * x[i] * x[i];
    }
    RG_ASSERT_NEAR(energy, squares / window, 1e-12);
    expect_refused(rg_stft(ex, floats(RG_SHAPE(1, 8), x),
                           &(rg_stft_attr){.n_fft = 8, .hop = 2, .pad_left = 8, .pad_mode = 1}),
                   "pad_left");
    expect_refused(rg_stft(ex, floats(RG_SHAPE(1, 8), x), &(rg_stft_attr){.n_fft = 7, .hop = 2}),
                   "n_fft");
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(attributes_of_convolutions_reach_the_kernel)
{
    open_exec();
    rg_tensor *x = FLOATS(RG_SHAPE(1, 6, 1), 1, 2, 3, 4, 5, -6);
    rg_conv1d_attr a = {.stride = 2, .dilation = 2, .pad_left = 1, .act_in = RG_ACT_ELU};
    rg_tensor *bias = FLOATS(RG_SHAPE(1), 100);
    EXPECT(rg_conv1d(ex, x, copy_of_step(1, 2), bias, &a), RG_SHAPE(1, 3, 1), 102, 104,
           100 + expm1(-6));
    rg_tensor *image = FLOATS(RG_SHAPE(1, 3, 4, 1), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
    rg_tensor *right = FLOATS(RG_SHAPE(1, 2, 1, 1), 0, 1),
              *below = FLOATS(RG_SHAPE(2, 1, 1, 1), 0, 1);
    EXPECT(rg_conv2d(ex, image, right, NULL, &(rg_conv2d_attr){2, 1, 1, 2, 0, 1, RG_ACT_NONE, 0}),
           RG_SHAPE(1, 2, 4, 1), 1, 2, 3, 0, 9, 10, 11, 0);
    EXPECT(rg_conv2d(ex, image, below, bias, &(rg_conv2d_attr){1, 3, 2, 1, 1, 0, RG_ACT_NONE, 0}),
           RG_SHAPE(1, 3, 2, 1), 104, 107, 108, 111, 100, 100);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(rows_are_normalised_and_added)
{
    open_exec();
    rg_shape row = RG_SHAPE(1, 2), two = RG_SHAPE(2);
    rg_tensor *x = FLOATS(row, 1, 3), *gain = FLOATS(two, 10, 20), *bias = FLOATS(two, 1, 2);
    EXPECT(rg_layernorm(ex, x, gain, bias, 3), row, -4, 12);
    rg_tensor *item = FLOATS(RG_SHAPE(2, 1, 2), 1, 3, 5, 5); /* mean 2, variance 1; mean 5, none */
    EXPECT(rg_groupnorm(ex, item, gain, bias, 3), RG_SHAPE(2, 1, 2), -4, 12, 1, 2);
    rg_tensor *steps = FLOATS(RG_SHAPE(1, 2, 2), 0, 4, 4, 0); /* mean 2, variance 4 */
    EXPECT(rg_groupnorm(ex, steps, gain, NULL, 0), RG_SHAPE(1, 2, 2), -10, 20, 10, -20);
    rg_tensor *stream = x;
    EXPECT(rg_residual_layernorm(ex, &stream, FLOATS(row, 1, -1), gain, NULL, 3), row, 0, 0);
    EXPECT(stream, row, 2, 2);
    expect_refused(rg_residual_layernorm(ex, &stream, NULL, gain, NULL, 3), "residual");
    EXPECT(rg_add(ex, FLOATS(RG_SHAPE(2, 2), 1, 2, 3, 4), gain, 2, 3), RG_SHAPE(2, 2), 32, 64, 36,
           68);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(activations_and_products)
{
    open_exec();
    rg_tensor *x = FLOATS(RG_SHAPE(1, 2), -1, 2), *w = FLOATS(RG_SHAPE(2, 1), 3, 1);
    EXPECT(rg_activation(ex, x, RG_ACT_LEAKY_RELU, 0.25), RG_SHAPE(1, 2), -0.25, 2);
    EXPECT(rg_activation(ex, x, RG_ACT_ELU, 0), RG_SHAPE(1, 2), expm1(-1), 2);
    EXPECT(rg_linear(ex, x, w, FLOATS(RG_SHAPE(1), 3), RG_ACT_NONE), RG_SHAPE(1, 1), 2);
    EXPECT(rg_linear(ex, x, w, NULL, RG_ACT_ELU), RG_SHAPE(1, 1), expm1(-1));
    int32_t codes[] = {1, 0, -1, 1};
    rg_tensor *table = FLOATS(RG_SHAPE(2, 2, 1), 1, 2, 10, 20);
    EXPECT(rg_embedding(ex, rg_tensor_from_ints(ex, RG_SHAPE(1, 2, 2), codes), table),
           RG_SHAPE(1, 2, 1), 12, 20);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(distances)
{
    open_exec();
    rg_shape shape = RG_SHAPE(2, 2);
    rg_tensor *a = FLOATS(shape, 1, 2, 3, 4), *b = FLOATS(shape, 1, 1, 2, 0);
    EXPECT(rg_distance(ex, a, b, RG_DISTANCE_L1), RG_SHAPE(1), 1.5);
    EXPECT(rg_distance(ex, a, b, RG_DISTANCE_MSE), RG_SHAPE(1), 4.5);
    double relative = (1 / (2 + 2e-4) + 17 / (4 + 2e-4)) / 2;
    EXPECT(rg_distance(ex, a, b, RG_DISTANCE_RELATIVE_MSE), RG_SHAPE(1), relative);
    EXPECT(rg_distance(ex, a, b, RG_DISTANCE_RELATIVE_L1), RG_SHAPE(1), 6 / (4 + 4e-4));
    EXPECT(rg_mean(ex, a), RG_SHAPE(1), 2.5);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(spectrum_of_a_constant)
{
    open_exec();
    rg_tensor *x = FLOATS(RG_SHAPE(1, 4), 1, 1, 1, 1), *log_y, *none = NULL;
    rg_spectrogram_attr a = {{.n_fft = 4, .hop = 4}, .power = 2, .log_floor = 4};
    EXPECT(rg_spectrogram(ex, x, none, &a, NULL), RG_SHAPE(1, 1, 3), 4, 1, 0);
    rg_tensor *bank = FLOATS(RG_SHAPE(3, 1), 1, 2, 3);
    EXPECT(rg_spectrogram(ex, x, bank, &a, &log_y), RG_SHAPE(1, 1, 1), 6);
    EXPECT(log_y, RG_SHAPE(1, 1, 1), 1);
    a.power = 1;
    EXPECT(rg_spectrogram(ex, x, none, &a, NULL), RG_SHAPE(1, 1, 3), sqrt(4 + 1e-12),
           sqrt(1 + 1e-12), 1e-6);
    a.power = 3;
    expect_refused(rg_spectrogram(ex, x, none, &a, NULL), "power");
    rg_exec_destroy(ex);
}
END_TEST

/* Keys that are all alike weigh the same: the output is the mean of the allowed values. */
START_TEST(attention_sees_the_allowed_keys)
{
    open_exec();
    rg_tensor *q = FLOATS(RG_SHAPE(1, 2, 1), 1, 1);
    rg_tensor *kv = FLOATS(RG_SHAPE(1, 3, 3), 9, 0, 1, 9, 0, 10, 9, 0, 100);
    rg_attention_attr a = {.heads = 1, .channels = 1, .k_column = 1, .v_column = 2, .window = -1};
    rg_tensor *q_pos = rg_tensor_new(ex, RG_F32, RG_SHAPE(2));
    rg_tensor *k_pos = rg_tensor_new(ex, RG_F32, RG_SHAPE(3));
    rg_tensor *mask = rg_tensor_new(ex, RG_U8, RG_SHAPE(1, 3));
    memcpy(q_pos->data, (float[]){0, 4}, 2 * sizeof(float));
    memcpy(k_pos->data, (float[]){0, 2, 4}, 3 * sizeof(float));
    memcpy(mask->data, (uint8_t[]){1, 1, 0}, 3);
    rg_shape out = RG_SHAPE(1, 2, 1);
    EXPECT(rg_attention(ex, q, kv, NULL, NULL, NULL, &a), out, 37, 37);
    EXPECT(rg_attention(ex, q, kv, NULL, NULL, mask, &a), out, 5.5, 5.5);
    a.window = 2;
    EXPECT(rg_attention(ex, q, kv, q_pos, k_pos, NULL, &a), out, 5.5, 55);
    a.window = -1;
    a.causal = true;
    EXPECT(rg_attention(ex, q, kv, q_pos, k_pos, NULL, &a), out, 1, 37);
    EXPECT(rg_attention(ex, q, kv, NULL, NULL, NULL, &a), out, 1, 5.5);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(attention_columns_are_checked)
{
    open_exec();
    float zeros[64] = {0};
    rg_tensor *q = floats(RG_SHAPE(1, 4, 4), zeros), *kv = floats(RG_SHAPE(1, 3, 8), zeros);
    rg_attention_attr a = {.heads = 2, .channels = 4, .v_column = 4, .window = -1};
    ck_assert_ptr_nonnull(rg_attention(ex, q, kv, NULL, NULL, NULL, &a));
    a.v_column = 5;
    expect_refused(rg_attention(ex, q, kv, NULL, NULL, NULL, &a), "v_column");
    a.v_column = 4;
    a.heads = 3;
    expect_refused(rg_attention(ex, q, kv, NULL, NULL, NULL, &a), "heads");
    a.heads = 4;
    a.rope_base = 10;
    expect_refused(rg_attention(ex, q, kv, NULL, NULL, NULL, &a), "rotary");
    a.rope_base = 0;
    rg_tensor *pos = rg_tensor_new(ex, RG_F32, RG_SHAPE(3));
    expect_refused(rg_attention(ex, q, kv, pos, NULL, NULL, &a), "q_pos");
    rg_exec_destroy(ex);
}
END_TEST

RG_TEST_MAIN("op facts", 60, short_inputs_are_reflected_as_encodec_does, short_items_stay_apart,
             lengths_of_convolutions, transposed_convolution_is_trimmed,
             quantizer_searches_or_follows, losses_ignore_and_weigh, parts_and_ranges,
             normalized_transform_keeps_energy, attributes_of_convolutions_reach_the_kernel,
             rows_are_normalised_and_added, activations_and_products, distances,
             spectrum_of_a_constant, attention_sees_the_allowed_keys, attention_columns_are_checked)
