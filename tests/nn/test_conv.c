/*
 * Padding and trimming against EnCodec's table, and what the layers make of shapes and of time.
 */
#include "nn/conv.h"

#include "nn/seanet.h"
#include "test.h"

START_TEST(padding_follows_the_table)
{
    /* kernel, stride, dilation, causal -> left, right for a length that the stride divides */
    static const struct {
        int32_t kernel, stride, dilation;
        bool causal;
        int64_t left, right;
    } rows[] = {
        {7, 1, 1, false, 3, 3},  {7, 1, 1, true, 6, 0},   {3, 1, 1, false, 1, 1},
        {3, 1, 1, true, 2, 0},   {1, 1, 1, false, 0, 0},  {1, 1, 1, true, 0, 0},
        {4, 2, 1, false, 1, 1},  {4, 2, 1, true, 2, 0},   {8, 4, 1, false, 2, 2},
        {8, 4, 1, true, 4, 0},   {16, 8, 1, false, 4, 4}, {16, 8, 1, true, 8, 0},
        {10, 5, 1, false, 3, 2}, {10, 5, 1, true, 5, 0},  {6, 3, 1, false, 2, 1},
        {3, 1, 2, false, 2, 2},  {3, 1, 4, true, 8, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rg_conv_pads p =
            rg_conv_padding(240, rows[i].kernel, rows[i].stride, rows[i].dilation, rows[i].causal);
        ck_assert_msg(p.left == rows[i].left && p.right == rows[i].right,
                      "row %zu: %lld / %lld, expected %lld / %lld", i, (long long)p.left,
                      (long long)p.right, (long long)rows[i].left, (long long)rows[i].right);
    }
}
END_TEST

/* Every length gives ceil(length / stride) steps: what is missing to the last one is filled up. */
START_TEST(every_length_gives_full_steps)
{
    for (int64_t length = 1; length < 50; length++) {
        for (int32_t stride = 1; stride <= 8; stride++) {
            int32_t kernel = 2 * stride;
            rg_conv_pads p = rg_conv_padding(length, kernel, stride, 1, length % 2);
            int64_t steps = (length + p.left + p.right - kernel) / stride + 1;
            ck_assert_int_eq(steps, (length + stride - 1) / stride);
            ck_assert_int_eq((length + p.left + p.right - kernel) % stride, 0);
            ck_assert(p.left >= 0 && p.right >= 0);
        }
    }
}
END_TEST

START_TEST(trimming_follows_the_table)
{
    rg_conv_pads p = rg_conv_tr_trim(10, 5, false, 1);
    ck_assert_int_eq(p.left, 3);
    ck_assert_int_eq(p.right, 2);
    p = rg_conv_tr_trim(10, 5, true, 1);
    ck_assert_int_eq(p.left, 0);
    ck_assert_int_eq(p.right, 5);
    p = rg_conv_tr_trim(10, 5, true, 0.5);
    ck_assert_int_eq(p.left, 2);
    ck_assert_int_eq(p.right, 3);
}
END_TEST

static rg_exec *make_exec(void)
{
    rg_error err = {0};
    const rg_kernels *kernels = rg_kernels_cpu(&err);
    ck_assert_msg(kernels != NULL, "%s", err.text);
    rg_exec *ex = rg_exec_create(&(rg_exec_options){.kernels = kernels, .seed = 1}, &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    return ex;
}

static rg_seanet_config config_of(int32_t residual_layers, int32_t lstm, bool shortcut)
{
    return (rg_seanet_config){.channels = 1,
                              .filters = 4,
                              .dimension = 12,
                              .n_ratios = 3,
                              .ratios = {5, 4, 2},
                              .kernel = 7,
                              .last_kernel = 7,
                              .residual_kernel = 3,
                              .residual_layers = residual_layers,
                              .dilation_base = 2,
                              .compress = 2,
                              .lstm_layers = lstm,
                              .conv_shortcut = shortcut,
                              .trim_right_ratio = 1};
}

static void check_parameter(const rg_params *params, const char *name, rg_shape shape)
{
    char a[96], b[96];
    const rg_param *p = rg_params_find(params, name);
    ck_assert_msg(p != NULL, "no parameter %s", name);
    ck_assert_msg(rg_shape_equal(p->shape, shape), "%s is %s, expected %s", name,
                  rg_shape_text(p->shape, a), rg_shape_text(shape, b));
}

/* Names as published checkpoints have them; sizes in our own layout. */
START_TEST(names_and_shapes_of_seanet)
{
    rg_error err = {0};
    rg_exec *ex = make_exec();
    rg_params *params = rg_params_create(&err);
    rg_seanet_config config = config_of(1, 2, true);
    rg_seanet *encoder = rg_seanet_encoder(params, "encoder.", &config, &err);
    rg_seanet *decoder = rg_seanet_decoder(params, "decoder.", &config, &err);
    RG_ASSERT_OK(rg_params_finish(params, ex, 3, false, &err), &err);
    check_parameter(params, "encoder.layers.0.conv.weight_v", RG_SHAPE(7, 1, 4));
    check_parameter(params, "encoder.layers.0.conv.weight_g", RG_SHAPE(4));
    check_parameter(params, "encoder.layers.0.conv.bias", RG_SHAPE(4));
    check_parameter(params, "encoder.layers.1.block.1.conv.weight_v", RG_SHAPE(3, 4, 2));
    check_parameter(params, "encoder.layers.1.block.3.conv.weight_v", RG_SHAPE(1, 2, 4));
    check_parameter(params, "encoder.layers.1.shortcut.conv.weight_v", RG_SHAPE(1, 4, 4));
    check_parameter(params, "encoder.layers.3.conv.weight_v", RG_SHAPE(4, 4, 8));
    check_parameter(params, "encoder.layers.9.conv.weight_v", RG_SHAPE(10, 16, 32));
    check_parameter(params, "encoder.layers.10.lstm.weight_ih_l0", RG_SHAPE(32, 128));
    check_parameter(params, "encoder.layers.12.conv.weight_v", RG_SHAPE(7, 32, 12));
    check_parameter(params, "decoder.layers.0.conv.weight_v", RG_SHAPE(7, 12, 32));
    check_parameter(params, "decoder.layers.1.lstm.weight_hh_l1", RG_SHAPE(32, 128));
    check_parameter(params, "decoder.layers.3.conv.weight_v", RG_SHAPE(10, 32, 16));
    check_parameter(params, "decoder.layers.3.conv.weight_g", RG_SHAPE(32)); /* per input */
    check_parameter(params, "decoder.layers.4.block.1.conv.weight_v", RG_SHAPE(3, 16, 8));
    check_parameter(params, "decoder.layers.12.conv.weight_v", RG_SHAPE(7, 4, 1));
    rg_seanet_destroy(encoder);
    rg_seanet_destroy(decoder);
    rg_params_destroy(params);
    rg_exec_destroy(ex);
}
END_TEST

static void run_lengths(const rg_seanet_config *config)
{
    rg_error err = {0};
    rg_exec *ex = make_exec();
    rg_params *params = rg_params_create(&err);
    rg_seanet *encoder = rg_seanet_encoder(params, "e.", config, &err);
    rg_seanet *decoder = rg_seanet_decoder(params, "d.", config, &err);
    RG_ASSERT_OK(rg_params_finish(params, ex, 3, false, &err), &err);
    static const int64_t lengths[] = {1, 39, 40, 41, 400, 417};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        rg_step_begin(ex, i);
        rg_tensor *x = rg_tensor_new(ex, RG_F32, RG_SHAPE(2, lengths[i], 1));
        for (int64_t t = 0; t < 2 * lengths[i]; t++) ((float *)x->data)[t] = sinf((float)t);
        rg_tensor *z = rg_seanet_run(ex, encoder, x);
        ck_assert_msg(z != NULL, "%s", ex->error.text);
        int64_t frames = (lengths[i] + 39) / 40;
        ck_assert(rg_shape_equal(z->shape, RG_SHAPE(2, frames, 12)));
        rg_tensor *y = rg_seanet_run(ex, decoder, z);
        ck_assert_msg(y != NULL, "%s", ex->error.text);
        ck_assert(rg_shape_equal(y->shape, RG_SHAPE(2, frames * 40, 1)));
    }
    rg_seanet_destroy(encoder);
    rg_seanet_destroy(decoder);
    rg_params_destroy(params);
    rg_exec_destroy(ex);
}

START_TEST(lengths_through_seanet)
{
    for (int32_t variant = 0; variant < 8; variant++) {
        rg_seanet_config config = config_of(variant & 1 ? 2 : 1, variant & 2 ? 2 : 0, variant & 4);
        config.causal = variant & 1;
        config.pad_mode = variant & 4 ? RG_PAD_REFLECT : RG_PAD_ZERO;
        run_lengths(&config);
    }
}
END_TEST

RG_TEST_MAIN("nn/conv", 60, padding_follows_the_table, every_length_gives_full_steps,
             trimming_follows_the_table, names_and_shapes_of_seanet, lengths_through_seanet)
