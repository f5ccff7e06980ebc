/*
 * The multi-scale STFT discriminator: its layers and sizes as published, the definition written out
 * once more, and gradients by differences.
 */
#include "models/discriminator.h"

#include "test.h"

enum { ROWS = 2, SAMPLES = 300 };

static const rg_discriminator_config small = {
    .n_scales = 2, .n_fft = {64, 32}, .filters = 3, .kernel_h = 3, .kernel_w = 9, .slope = 0.2};

typedef struct judge {
    rg_exec *ex;
    rg_params *params;
    rg_discriminator *model;
} judge;

static judge make(const rg_kernels *kernels, const rg_discriminator_config *config)
{
    rg_error err = {0};
    judge j = {.ex = rg_exec_create(&(rg_exec_options){.kernels = kernels, .seed = 1}, &err),
               .params = rg_params_create(&err)};
    ck_assert_msg(j.ex && j.params, "%s", err.text);
    j.model = rg_discriminator_create(j.params, "d.", config, &err);
    ck_assert_msg(j.model != NULL, "%s", err.text);
    RG_ASSERT_OK(rg_params_finish(j.params, j.ex, 5, true, &err), &err);
    rg_step_begin(j.ex, 0);
    return j;
}

static void drop(judge *j)
{
    rg_discriminator_destroy(j->model);
    rg_params_destroy(j->params);
    rg_exec_destroy(j->ex);
}

static rg_tensor *real(rg_exec *ex, rg_shape shape, const double *values)
{
    rg_tensor *t = rg_tensor_new(ex, ex->kernels->real, shape);
    ck_assert_msg(t != NULL, "%s", ex->error.text);
    for (int64_t i = 0; i < rg_shape_count(shape); i++) {
        if (t->dtype == RG_F64)
            ((double *)t->data)[i] = values[i];
        else
            ((float *)t->data)[i] = (float)values[i];
    }
    return t;
}

static void noise(double *x, int64_t n, uint64_t stream)
{
    rg_rng rng = rg_rng_make(9, stream);
    for (int64_t i = 0; i < n; i++) x[i] = (float)rg_rng_normal(&rng);
}

/* As EnCodec has it: 5 scales of 32 filters are 0.47 M parameters; the first layer is plain. */
START_TEST(sizes_are_those_published)
{
    rg_discriminator_config c = {.n_scales = 5,
                                 .n_fft = {1024, 2048, 512, 256, 128},
                                 .filters = 32,
                                 .kernel_h = 3,
                                 .kernel_w = 9,
                                 .slope = 0.3};
    static const int64_t widths[] = {513, 257, 129, 65, 65};
    rg_error err = {0};
    judge j = make(rg_kernels_cpu(&err), &c);
    ck_assert_int_eq(rg_params_elements(j.params),
                     5 * (2 * 27 * 32 + 32 + 3 * (27 * 1024 + 64) + 9 * 1024 + 64 + 9 * 32 + 2));
    ck_assert(rg_params_find(j.params, "d.scales.4.convs.0.weight") != NULL);
    ck_assert(rg_params_find(j.params, "d.scales.4.convs.0.weight_g") == NULL);
    ck_assert(rg_params_find(j.params, "d.scales.4.convs.5.weight_g") != NULL);
    static double x[2048 + 700];
    noise(x, 2048 + 700, 1);
    rg_set_recording(j.ex, false);
    rg_judgement out = rg_discriminator_run(j.ex, j.model, real(j.ex, RG_SHAPE(1, 2748), x));
    ck_assert_int_eq(out.n_scales, 5);
    for (int32_t m = 0; m < RG_JUDGE_MAPS; m++) {
        int64_t frames = (2748 - 1024) / 256 + 1;
        ck_assert(rg_shape_equal(out.maps[0][m]->shape, RG_SHAPE(1, frames, widths[m], 32)));
    }
    ck_assert(rg_shape_equal(out.logits[1]->shape, RG_SHAPE(1, 2, 129, 1)));
    ck_assert(rg_shape_equal(out.logits[4]->shape, RG_SHAPE(1, 82, 9, 1)));
    rg_tensor *few = real(j.ex, RG_SHAPE(1, 1500), x); /* nothing at 2048 */
    out = rg_discriminator_run(j.ex, j.model, few);
    ck_assert_int_eq(rg_shape_count(out.logits[1]->shape), 0);
    RG_ASSERT_NEAR(rg_tensor_get(rg_hinge(j.ex, out.logits[1], 1), 0), 0, 0);
    drop(&j);
}
END_TEST

/* A kernel of 8 bins takes one off a map, as the paper's text has it. */
START_TEST(even_kernels)
{
    rg_discriminator_config c = small;
    c.kernel_w = 8;
    rg_error err = {0};
    double x[SAMPLES];
    judge j = make(rg_kernels_cpu(&err), &c);
    noise(x, SAMPLES, 1);
    rg_judgement out = rg_discriminator_run(j.ex, j.model, real(j.ex, RG_SHAPE(1, SAMPLES), x));
    ck_assert(rg_shape_equal(out.maps[0][0]->shape, RG_SHAPE(1, 15, 32, 3)));
    ck_assert(rg_shape_equal(out.maps[0][1]->shape, RG_SHAPE(1, 15, 16, 3)));
    drop(&j);
}
END_TEST

/* Map 1 of scale 0 at one place, from weights and spectrum by the definition. */
START_TEST(one_value_by_the_definition)
{
    enum { F = 3, W = 11, O = 2, C = 3 };
    judge j = make(rg_kernels_reference64(), &small);
    rg_exec *ex = j.ex;
    double x[SAMPLES], sum = 0;
    noise(x, SAMPLES, 2);
    rg_tensor *row = real(ex, RG_SHAPE(1, SAMPLES), x);
    rg_judgement out = rg_discriminator_run(ex, j.model, row);
    const float *v =
        rg_param_data(j.params, rg_params_find(j.params, "d.scales.0.convs.1.weight_v"));
    const float *g =
        rg_param_data(j.params, rg_params_find(j.params, "d.scales.0.convs.1.weight_g"));
    double norm = 0;
    const rg_tensor *map = out.maps[0][0];
    int64_t frames = map->shape.dim[1], bins = map->shape.dim[2];
    for (int64_t kh = 0; kh < 3; kh++) {
        for (int64_t kw = 0; kw < 9; kw++) {
            for (int64_t c = 0; c < C; c++) {
                double w = (double)v[((kh * 9 + kw) * C + c) * C + O];
                int64_t f = F + kh - 1, b = 2 * W + kw - 4;
                norm += w * w;
                if (f < 0 || f >= frames || b < 0 || b >= bins) continue;
                sum += w * rg_tensor_get(map, (f * bins + b) * C + c);
            }
        }
    }
    double want = sum * (double)g[O] / sqrt(norm);
    if (want < 0) want *= small.slope;
    int64_t at = (F * out.maps[0][1]->shape.dim[2] + W) * C + O;
    RG_ASSERT_NEAR(rg_tensor_get(out.maps[0][1], at), want, 1e-9);
    drop(&j);
}
END_TEST

/* What the tests differentiate: fixed random parts of all logits and of one map of each scale. */
static double judged(const judge *j, rg_tensor *x, rg_tensor **dx, bool weights)
{
    rg_exec *ex = j->ex;
    rg_judgement out = rg_discriminator_run(ex, j->model, x);
    rg_tensor *roots[4], *seeds[4];
    double value = 0;
    for (int32_t i = 0; i < 4; i++) {
        roots[i] = i < 2 ? out.logits[i] : out.maps[i - 2][2 * i - 4];
        ck_assert_msg(roots[i] != NULL, "%s", ex->error.text);
        int64_t n = rg_shape_count(roots[i]->shape);
        double *v = calloc((size_t)n, sizeof *v);
        noise(v, n, 100 + (uint64_t)i);
        for (int64_t k = 0; k < n; k++) value += v[k] * rg_tensor_get(roots[i], k);
        seeds[i] = real(ex, roots[i]->shape, v);
        free(v);
    }
    int32_t n_wrt;
    rg_tensor *const *wrt = weights ? rg_params_trainable(j->params, &n_wrt) : &x;
    if (dx || weights)
        ck_assert_int_eq(rg_backward(ex, roots, seeds, 4, wrt, weights ? n_wrt : 1, dx), RG_OK);
    return value;
}

START_TEST(gradients_are_those_of_the_values)
{
    const double h = 1e-5;
    judge j = make(rg_kernels_reference64(), &small);
    double x[ROWS * SAMPLES], d[ROWS * SAMPLES], moved[ROWS * SAMPLES], along = 0;
    rg_shape shape = RG_SHAPE(ROWS, SAMPLES);
    noise(x, ROWS * SAMPLES, 3);
    noise(d, ROWS * SAMPLES, 4);
    rg_tensor *dx;
    judged(&j, real(j.ex, shape, x), &dx, false);
    for (int32_t i = 0; i < ROWS * SAMPLES; i++) along += d[i] * rg_tensor_get(dx, i);
    double seen = 0;
    for (int32_t sign = -1; sign <= 1; sign += 2) {
        for (int32_t i = 0; i < ROWS * SAMPLES; i++) moved[i] = x[i] + sign * h * d[i];
        seen += sign * judged(&j, real(j.ex, shape, moved), NULL, false) / (2 * h);
    }
    ck_assert_msg(fabs(seen - along) <= 1e-4 * fabs(along), "x: %g, by differences %g", along,
                  seen);
    for (size_t p = 0; p < rg_params_count(j.params); p++) { /* element 1 of each parameter */
        const rg_param *param = rg_params_at(j.params, p);
        int64_t at = param->offset + (rg_shape_count(param->shape) > 1);
        float *value = rg_params_values(j.params) + at, before = *value;
        double way = 0;
        rg_params_zero_gradients(j.params);
        judged(&j, real(j.ex, shape, x), NULL, true);
        ck_assert_int_eq(rg_params_unfold_gradients(j.params, j.ex), RG_OK);
        double slope = (double)rg_params_gradients(j.params)[at];
        seen = 0;
        for (int32_t sign = -1; sign <= 1; sign += 2) {
            *value = before + (float)sign * 1e-6F;
            way += sign * (double)*value;
            ck_assert_int_eq(rg_params_refresh(j.params, j.ex), RG_OK);
            seen += sign * judged(&j, real(j.ex, shape, x), NULL, false);
        }
        *value = before;
        ck_assert_int_eq(rg_params_refresh(j.params, j.ex), RG_OK);
        ck_assert_msg(fabs(seen / way - slope) <= 2e-3 * (fabs(slope) + 1),
                      "%s: %g, by differences %g", param->name, slope, seen / way);
        rg_step_begin(j.ex, 0);
    }
    drop(&j);
}
END_TEST

/* Every level against doubles: logits, and the gradients of signal and weights. */
START_TEST(fast_kernels_agree_with_doubles)
{
    double x[ROWS * SAMPLES];
    judge right = make(rg_kernels_reference64(), &small);
    rg_tensor *dx, *other;
    noise(x, ROWS * SAMPLES, 3);
    double value = judged(&right, real(right.ex, RG_SHAPE(ROWS, SAMPLES), x), &dx, false);
    judged(&right, real(right.ex, RG_SHAPE(ROWS, SAMPLES), x), NULL, true);
    ck_assert_int_eq(rg_params_unfold_gradients(right.params, right.ex), RG_OK);
    for (const char *const *level = rg_kernels_cpu_levels(); *level; level++) {
        judge j = make(rg_kernels_cpu_level(*level), &small);
        rg_tensor *input = real(j.ex, RG_SHAPE(ROWS, SAMPLES), x);
        RG_ASSERT_NEAR(judged(&j, input, &other, false) / value, 1, 1e-4);
        for (int32_t i = 0; i < ROWS * SAMPLES; i++)
            RG_ASSERT_NEAR(rg_tensor_get(other, i), rg_tensor_get(dx, i), 1e-3);
        judged(&j, input, NULL, true);
        ck_assert_int_eq(rg_params_unfold_gradients(j.params, j.ex), RG_OK);
        for (int64_t i = 0; i < rg_params_elements(j.params); i++)
            RG_ASSERT_NEAR((double)rg_params_gradients(j.params)[i],
                           (double)rg_params_gradients(right.params)[i], 1e-2);
        drop(&j);
    }
    drop(&right);
}
END_TEST

START_TEST(hinges)
{
    judge j = make(rg_kernels_reference64(), &small);
    const double logits[] = {-2, 0.5, 1, 3};
    rg_tensor *x = real(j.ex, RG_SHAPE(1, 2, 2, 1), logits), *dx, *loss = rg_hinge(j.ex, x, 1);
    RG_ASSERT_NEAR(rg_tensor_get(loss, 0), (3 + 0.5) / 4, 1e-12);
    ck_assert_int_eq(rg_backward(j.ex, &loss, NULL, 1, &x, 1, &dx), RG_OK);
    for (int32_t i = 0; i < 4; i++) RG_ASSERT_NEAR(rg_tensor_get(dx, i), i < 2 ? -0.25 : 0, 1e-12);
    RG_ASSERT_NEAR(rg_tensor_get(rg_hinge(j.ex, x, -1), 0), (1.5 + 2 + 4) / 4, 1e-12);
    drop(&j);
}
END_TEST

START_TEST(faulty_configurations_are_named)
{
    static const struct {
        rg_discriminator_config c;
        const char *word;
    } rows[] = {
        {{.n_scales = 0}, "0 scales"},
        {{.n_scales = 1, .n_fft = {100}}, "100"},
        {{.n_scales = 1, .n_fft = {64}, .kernel_h = 3, .kernel_w = 9}, "filters is 0"},
        {{.n_scales = 1, .n_fft = {64}, .filters = 1, .kernel_h = 3}, "width is 0"},
        {{.n_scales = 1, .n_fft = {64}, .filters = 1, .kernel_h = 3, .kernel_w = 9, .slope = 1},
         "slope is 1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rg_error err = {0};
        ck_assert_int_eq(rg_discriminator_check(&rows[i].c, &err), RG_ERR_CONFIG);
        ck_assert_msg(strstr(err.text, rows[i].word) != NULL, "%s", err.text);
    }
}
END_TEST

RG_TEST_MAIN("models/discriminator", 60, sizes_are_those_published, even_kernels,
             one_value_by_the_definition, gradients_are_those_of_the_values,
             fast_kernels_agree_with_doubles, hinges, faulty_configurations_are_named)
