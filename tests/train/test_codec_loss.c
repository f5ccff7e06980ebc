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

static const bool all[RG_CODEC_TERMS] = {true, true, true};
static const bool none[RG_CODEC_TERMS] = {false, false, false};

START_TEST(equal_signals_have_no_loss)
{
    double values[RG_CODEC_TERMS], distance;
    rg_tensor *g[RG_CODEC_TERMS];
    setup();
    rg_tensor *x = noise(1, 0.1F);
    ck_assert_int_eq(rg_codec_loss_gradients(ex, &loss, x, x, none, values, g), RG_OK);
    for (int32_t t = 0; t < RG_CODEC_TERMS; t++) {
        ck_assert_double_eq(values[t], 0);
        ck_assert(g[t] == NULL);
    }
    ck_assert_int_eq(rg_codec_mel_distance(ex, &loss, x, x, &distance), RG_OK);
    ck_assert_double_eq(distance, 0);
    rg_exec_destroy(ex);
}
END_TEST

/* Silence: the relative error is 1; ten times too loud moves every mel band by log10(100). */
START_TEST(known_values)
{
    double values[RG_CODEC_TERMS], distance;
    rg_tensor *g[RG_CODEC_TERMS];
    setup();
    rg_tensor *x = noise(1, 1), *zero = rg_scale(ex, x, 0), *loud = rg_scale(ex, x, 10);
    ck_assert_int_eq(rg_codec_loss_gradients(ex, &loss, zero, x, all, values, g), RG_OK);
    RG_ASSERT_NEAR(values[RG_CODEC_MSE], 1, 1e-3); /* the floor of silence takes a little */
    RG_ASSERT_NEAR(values[RG_CODEC_L1], sqrt(2 / 3.14159265), 0.03);
    ck_assert_int_eq(rg_codec_mel_distance(ex, &loss, loud, x, &distance), RG_OK);
    ck_assert_msg(distance > 1 && distance <= 2.001, "distance %g", distance); /* empty bands: 0 */
    rg_exec_destroy(ex);
}
END_TEST

/* Along a direction the value changes as the gradient says. */
START_TEST(gradients_are_those_of_the_values)
{
    double values[RG_CODEC_TERMS], plus[RG_CODEC_TERMS], minus[RG_CODEC_TERMS];
    rg_tensor *g[RG_CODEC_TERMS], *unused[RG_CODEC_TERMS];
    const double h = 1e-3;
    setup();
    rg_tensor *x = noise(1, 0.3F), *y = noise(2, 0.3F), *d = noise(3, 0.3F);
    rg_tensor *up = rg_add(ex, y, d, 1, h), *down = rg_add(ex, y, d, 1, -h);
    rg_tensor *leaf = rg_detach(ex, y);
    ck_assert_int_eq(rg_codec_loss_gradients(ex, &loss, leaf, x, all, values, g), RG_OK);
    ck_assert_int_eq(rg_codec_loss_gradients(ex, &loss, up, x, none, plus, unused), RG_OK);
    ck_assert_int_eq(rg_codec_loss_gradients(ex, &loss, down, x, none, minus, unused), RG_OK);
    for (int32_t t = 0; t < RG_CODEC_TERMS; t++) {
        double along = 0, size = 0;
        ck_assert_msg(g[t] != NULL, "no gradient of %s", rg_codec_term_name((rg_codec_term)t));
        for (int64_t i = 0; i < ITEMS * SAMPLES; i++) {
            along += rg_tensor_get(g[t], i) * rg_tensor_get(d, i);
            size += fabs(rg_tensor_get(g[t], i) * rg_tensor_get(d, i));
        }
        double seen = (plus[t] - minus[t]) / (2 * h);
        ck_assert_msg(fabs(seen - along) <= 0.01 * size, "%s: %g by differences, %g by gradient",
                      rg_codec_term_name((rg_codec_term)t), seen, along);
    }
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
             gradients_are_those_of_the_values, wrong_scales_are_refused)
