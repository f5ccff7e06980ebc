/*
 * The codec's losses: values that are known, and gradients against differences of the values.
 */
#include "train/codec_loss.h"

#include "test.h"

enum { ITEMS = 2, SAMPLES = 1000, RATE = 8000 };

static rg_exec *ex;
static rg_codec_loss loss;

static void setup(void)
{
    rg_error err = {0};
    static const int32_t sizes[] = {64, 256, 1024};
    ex = rg_exec_create(&(rg_exec_options){.kernels = rg_kernels_cpu(&err), .seed = 1}, &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    RG_ASSERT_OK(rg_codec_loss_make(&loss, ex, RATE, 64, sizes, 3, &err), &err);
    rg_step_begin(ex, 0);
}

static rg_tensor *noise(uint64_t stream, float level)
{
    static float x[ITEMS * SAMPLES];
    rg_rng rng = rg_rng_make(3, stream);
    rg_rng_fill_normal(&rng, x, ITEMS * SAMPLES, 0, level);
    return rg_tensor_from_floats(ex, RG_SHAPE(ITEMS, SAMPLES), x);
}

static const bool all[RG_CODEC_TERMS] = {true, true, true, true, true};
static const bool none[RG_CODEC_TERMS] = {false};

/* A small discriminator; its parameters are the test's to destroy. */
static rg_discriminator *make_judge(rg_params **params)
{
    const rg_discriminator_config c = {.n_scales = 2,
                                       .n_fft = {128, 64},
                                       .filters = 3,
                                       .kernel_h = 3,
                                       .kernel_w = 9,
                                       .slope = 0.2};
    rg_error err = {0};
    *params = rg_params_create(&err);
    rg_discriminator *judge = rg_discriminator_create(*params, "discriminator.0.", &c, &err);
    ck_assert_msg(judge != NULL, "%s", err.text);
    RG_ASSERT_OK(rg_params_finish(*params, ex, 1, true, &err), &err);
    return judge;
}

START_TEST(equal_signals_have_no_loss)
{
    rg_codec_losses l;
    double distance;
    setup();
    rg_tensor *x = noise(1, 0.1F);
    ck_assert_int_eq(rg_codec_loss_gradients(ex, &loss, NULL, x, x, none, &l), RG_OK);
    for (int32_t t = 0; t < RG_CODEC_TERMS; t++) {
        ck_assert_double_eq(l.values[t], 0);
        ck_assert(l.gradients[t] == NULL);
    }
    ck_assert_int_eq(rg_codec_mel_distance(ex, &loss, x, x, &distance), RG_OK);
    ck_assert_double_eq(distance, 0);
    rg_exec_destroy(ex);
}
END_TEST

/* Silence: the relative error is 1; ten times too loud moves every mel band by log10(100). */
START_TEST(known_values)
{
    rg_codec_losses l, squares;
    double distance;
    setup();
    rg_tensor *x = noise(1, 1), *zero = rg_scale(ex, x, 0), *loud = rg_scale(ex, x, 10);
    ck_assert_int_eq(rg_codec_loss_gradients(ex, &loss, NULL, zero, x, all, &l), RG_OK);
    RG_ASSERT_NEAR(l.values[RG_CODEC_MSE], 1, 1e-3); /* the floor of silence takes a little */
    RG_ASSERT_NEAR(l.values[RG_CODEC_L1], sqrt(2 / 3.14159265), 0.03);
    ck_assert(l.gradients[RG_CODEC_ADV] == NULL && l.gradients[RG_CODEC_FEAT] == NULL);
    ck_assert_int_eq(rg_codec_mel_distance(ex, &loss, loud, x, &distance), RG_OK);
    ck_assert_msg(distance > 1 && distance <= 2.001, "distance %g", distance); /* empty bands: 0 */
    loss.mel_linear = true; /* of silence: (mean m + mean m^2) / 2; of half as loud 3/4, 9/16 */
    rg_tensor *half = rg_scale(ex, x, 0.5);
    ck_assert_int_eq(rg_codec_loss_gradients(ex, &loss, NULL, zero, x, none, &l), RG_OK);
    ck_assert_int_eq(rg_codec_loss_gradients(ex, &loss, NULL, half, x, none, &squares), RG_OK);
    double mean = 0;
    for (int32_t i = 0; i < loss.n_scales; i++) {
        rg_spectrogram_attr a = {.stft = {.n_fft = loss.n_fft[i],
                                          .hop = loss.n_fft[i] / 4,
                                          .pad_left = loss.n_fft[i] * 3 / 8,
                                          .pad_right = loss.n_fft[i] * 3 / 8,
                                          .frames = (SAMPLES * 4 - 1) / loss.n_fft[i] + 1,
                                          .pad_mode = RG_PAD_REFLECT,
                                          .normalized = true},
                                 .power = 2};
        rg_tensor *m = rg_mean(ex, rg_spectrogram(ex, x, loss.bank[i], &a, NULL));
        ck_assert_msg(m != NULL, "%s", ex->error.text);
        mean += rg_tensor_get(m, 0) / loss.n_scales;
    }
    double square = 2 * l.values[RG_CODEC_MEL] - mean;
    RG_ASSERT_NEAR(2 * squares.values[RG_CODEC_MEL] / (0.75 * mean + 0.5625 * square), 1, 1e-4);
    rg_exec_destroy(ex);
}
END_TEST

/* The terms of a discriminator from its logits and maps. */
START_TEST(a_discriminator_is_asked)
{
    rg_codec_losses l, h;
    rg_params *params;
    setup();
    rg_discriminator *judge = make_judge(&params);
    rg_tensor *x = noise(1, 0.3F), *y = noise(2, 0.3F);
    rg_judgement fake = rg_discriminator_run(ex, judge, y),
                 real = rg_discriminator_run(ex, judge, x);
    double logits = 0, hinge = 0, feat = 0, relative = 0, heard = 0;
    for (int32_t s = 0; s < 2; s++) {
        logits += rg_tensor_get(rg_mean(ex, fake.logits[s]), 0) / 2;
        heard += rg_tensor_get(rg_mean(ex, real.logits[s]), 0) / 2;
        hinge += rg_tensor_get(rg_hinge(ex, fake.logits[s], 1), 0) / 2;
        for (int32_t m = 0; m < RG_JUDGE_MAPS; m++) {
            rg_tensor *a = fake.maps[s][m], *b = real.maps[s][m];
            feat += rg_tensor_get(rg_distance(ex, a, b, RG_DISTANCE_L1), 0) / 10;
            relative += rg_tensor_get(rg_distance(ex, a, b, RG_DISTANCE_RELATIVE_L1), 0) / 10;
        }
    }
    ck_assert_int_eq(rg_codec_loss_gradients(ex, &loss, judge, y, x, none, &l), RG_OK);
    loss.adv_hinge = loss.feat_relative = true;
    ck_assert_int_eq(rg_codec_loss_gradients(ex, &loss, judge, y, x, none, &h), RG_OK);
    RG_ASSERT_NEAR(l.values[RG_CODEC_ADV], -logits, 1e-6);
    RG_ASSERT_NEAR(l.fake, logits, 1e-6);
    RG_ASSERT_NEAR(l.real, heard, 1e-6);
    RG_ASSERT_NEAR(h.values[RG_CODEC_ADV], hinge, 1e-6);
    RG_ASSERT_NEAR(l.values[RG_CODEC_FEAT], feat, 1e-6);
    RG_ASSERT_NEAR(h.values[RG_CODEC_FEAT], relative, 1e-6);
    ck_assert(h.values[RG_CODEC_FEAT] > 2 * l.values[RG_CODEC_FEAT]);
    rg_discriminator_destroy(judge);
    rg_params_destroy(params);
    rg_exec_destroy(ex);
}
END_TEST

/* Along a direction the value changes as the gradient says; and the discriminator that is asked
 * gets no gradient of its own. */
static void check_gradients(void)
{
    rg_codec_losses l, plus, minus;
    rg_params *params;
    const double h = 1e-3;
    rg_step_begin(ex, 0); /* nothing of a discriminator that is gone */
    rg_discriminator *judge = make_judge(&params);
    rg_tensor *x = noise(1, 0.3F), *y = noise(2, 0.3F), *d = noise(3, 0.3F);
    rg_tensor *up = rg_add(ex, y, d, 1, h), *down = rg_add(ex, y, d, 1, -h);
    rg_tensor *leaf = rg_detach(ex, y);
    ck_assert_int_eq(rg_codec_loss_gradients(ex, &loss, judge, leaf, x, all, &l), RG_OK);
    ck_assert_int_eq(rg_codec_loss_gradients(ex, &loss, judge, up, x, none, &plus), RG_OK);
    ck_assert_int_eq(rg_codec_loss_gradients(ex, &loss, judge, down, x, none, &minus), RG_OK);
    for (int32_t t = 0; t < RG_CODEC_TERMS; t++) {
        const rg_tensor *g = l.gradients[t];
        double along = 0, size = 0;
        ck_assert_msg(g != NULL, "no gradient of %s", rg_codec_term_name((rg_codec_term)t));
        for (int64_t i = 0; i < ITEMS * SAMPLES; i++) {
            along += rg_tensor_get(g, i) * rg_tensor_get(d, i);
            size += fabs(rg_tensor_get(g, i) * rg_tensor_get(d, i));
        }
        double seen = (plus.values[t] - minus.values[t]) / (2 * h);
        ck_assert_msg(fabs(seen - along) <= 0.01 * size, "%s: %g by differences, %g by gradient",
                      rg_codec_term_name((rg_codec_term)t), seen, along);
    }
    for (int64_t i = 0; i < rg_params_elements(params); i++)
        ck_assert(!(fabsf(rg_params_gradients(params)[i]) > 0));
    rg_discriminator_destroy(judge);
    rg_params_destroy(params);
}

START_TEST(gradients_are_those_of_the_values)
{
    setup();
    check_gradients();
    loss.mel_linear = loss.adv_hinge = loss.feat_relative = true;
    check_gradients();
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(wrong_scales_are_refused)
{
    rg_error err = {0};
    setup();
    rg_codec_loss other;
    int32_t sizes[] = {64, 100};
    ck_assert_int_eq(rg_codec_loss_make(&other, ex, RATE, 64, sizes, 2, &err), RG_ERR_CONFIG);
    ck_assert_msg(strstr(err.text, "100") != NULL, "%s", err.text);
    ck_assert_int_eq(rg_codec_loss_make(&other, ex, RATE, 64, sizes, 0, NULL), RG_ERR_CONFIG);
    rg_exec_destroy(ex);
}
END_TEST

RG_TEST_MAIN("train/codec_loss", 60, equal_signals_have_no_loss, known_values,
             a_discriminator_is_asked, gradients_are_those_of_the_values, wrong_scales_are_refused)
