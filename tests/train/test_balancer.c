/*
 * The balancer against its formula written out, and what it keeps.
 */
#include "train/balancer.h"

#include "test.h"

static rg_exec *make_exec(void)
{
    rg_error err = {0};
    rg_exec *ex =
        rg_exec_create(&(rg_exec_options){.kernels = rg_kernels_cpu(&err), .seed = 1}, &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    return ex;
}

/* Two steps, two losses, two items: |g0| = 5 and 10, |g1| = 1 and 3; then |g0| = 2, |g1| = 8. */
START_TEST(formula_over_two_steps)
{
    rg_exec *ex = make_exec();
    rg_balancer b = rg_balancer_make(2, 0.9, 1);
    const float g0[4] = {3, 4, 6, 8}, g1[4] = {1, 0, 0, -3};
    const float h0[4] = {2, 0, 0, 2}, h1[4] = {0, 8, 8, 0};
    double weights[2] = {1, 3}, ratios[2];
    rg_step_begin(ex, 0);
    rg_tensor *first[] = {rg_tensor_from_floats(ex, RG_SHAPE(2, 2), g0),
                          rg_tensor_from_floats(ex, RG_SHAPE(2, 2), g1)};
    rg_tensor *second[] = {rg_tensor_from_floats(ex, RG_SHAPE(2, 2), h0),
                           rg_tensor_from_floats(ex, RG_SHAPE(2, 2), h1)};
    rg_tensor *out = rg_tensor_new(ex, RG_F32, RG_SHAPE(2, 2));
    ck_assert_int_eq(rg_balancer_combine(&b, ex, first, weights, out, ratios), RG_OK);
    for (int32_t i = 0; i < 4; i++) { /* on step 1 the mean is the norm itself: 7.5 and 2 */
        RG_ASSERT_NEAR(rg_tensor_get(out, i), 0.25 * (double)g0[i] / 7.5 + 0.75 * (double)g1[i] / 2,
                       1e-6);
    }
    RG_ASSERT_NEAR(ratios[0], 7.5 / 9.5, 1e-9);
    ck_assert_int_eq(rg_balancer_combine(&b, ex, second, weights, out, ratios), RG_OK);
    double avg0 = (0.9 * 7.5 + 2) / 1.9, avg1 = (0.9 * 2 + 8) / 1.9;
    for (int32_t i = 0; i < 4; i++) {
        RG_ASSERT_NEAR(rg_tensor_get(out, i),
                       0.25 * (double)h0[i] / avg0 + 0.75 * (double)h1[i] / avg1, 1e-6);
    }
    RG_ASSERT_NEAR(ratios[1], avg1 / (avg0 + avg1), 1e-9);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(plain_is_the_weighted_sum)
{
    rg_exec *ex = make_exec();
    rg_balancer b = rg_balancer_make(2, 0.9, 4);
    const float g0[4] = {3, 4, 6, 8}, g1[4] = {1, 0, 0, -3};
    double weights[2] = {1, 3}, ratios[2];
    b.plain = true;
    rg_step_begin(ex, 0);
    rg_tensor *g[] = {rg_tensor_from_floats(ex, RG_SHAPE(2, 2), g0),
                      rg_tensor_from_floats(ex, RG_SHAPE(2, 2), g1)};
    rg_tensor *out = rg_tensor_new(ex, RG_F32, RG_SHAPE(2, 2));
    ck_assert_int_eq(rg_balancer_combine(&b, ex, g, weights, out, ratios), RG_OK);
    for (int32_t i = 0; i < 4; i++) {
        RG_ASSERT_NEAR(rg_tensor_get(out, i), 4 * ((double)g0[i] + 3 * (double)g1[i]), 1e-6);
    }
    RG_ASSERT_NEAR(ratios[0], 7.5 / 9.5, 1e-9); /* said all the same */
    rg_exec_destroy(ex);
}
END_TEST

/* An absent loss has no weight and keeps its mean; the scale of a loss does not matter. */
START_TEST(absent_losses_and_scales)
{
    rg_exec *ex = make_exec();
    rg_balancer b = rg_balancer_make(2, 0.999, 2);
    const float g[2] = {3, 4}, big[2] = {3e6F, 4e6F};
    double weights[2] = {1, 3};
    rg_step_begin(ex, 0);
    rg_tensor *out = rg_tensor_new(ex, RG_F32, RG_SHAPE(1, 2));
    rg_tensor *only[] = {rg_tensor_from_floats(ex, RG_SHAPE(1, 2), g), NULL};
    ck_assert_int_eq(rg_balancer_combine(&b, ex, only, weights, out, NULL), RG_OK);
    RG_ASSERT_NEAR(rg_tensor_get(out, 0), 2 * 3.0 / 5, 1e-6);
    ck_assert_double_eq(b.weight[1], 0);
    rg_tensor *both[] = {only[0], rg_tensor_from_floats(ex, RG_SHAPE(1, 2), big)};
    ck_assert_int_eq(rg_balancer_combine(&b, ex, both, weights, out, NULL), RG_OK);
    RG_ASSERT_NEAR(rg_tensor_get(out, 1), 2 * 4.0 / 5, 1e-6);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(a_gradient_that_is_not_finite_changes_nothing)
{
    rg_exec *ex = make_exec();
    rg_balancer b = rg_balancer_make(2, 0.999, 1), before;
    const float g[2] = {3, 4}, bad[2] = {1, NAN};
    double weights[2] = {1, 1};
    rg_step_begin(ex, 0);
    rg_tensor *out = rg_tensor_new(ex, RG_F32, RG_SHAPE(1, 2));
    rg_tensor *good[] = {rg_tensor_from_floats(ex, RG_SHAPE(1, 2), g),
                         rg_tensor_from_floats(ex, RG_SHAPE(1, 2), g)};
    rg_tensor *mixed[] = {good[0], rg_tensor_from_floats(ex, RG_SHAPE(1, 2), bad)};
    ck_assert_int_eq(rg_balancer_combine(&b, ex, good, weights, out, NULL), RG_OK);
    before = b;
    ck_assert_int_eq(rg_balancer_combine(&b, ex, mixed, weights, out, NULL), RG_OK);
    ck_assert(isnan(rg_tensor_get(out, 1)));
    ck_assert_mem_eq(&b, &before, sizeof b);
    rg_exec_destroy(ex);
}
END_TEST

START_TEST(state_through_json_keeps_its_bits)
{
    rg_balancer b = rg_balancer_make(3, 0.999, 1), back = b, two = rg_balancer_make(2, 0.999, 1);
    rg_error err = {0};
    for (int32_t i = 0; i < 3; i++) {
        b.total[i] = 0.1 / 3 + i * 1e-17 + 1.0 / 7;
        b.weight[i] = 1 / 0.3;
    }
    json_t *state = rg_balancer_save(&b);
    char *text = json_dumps(state, JSON_REAL_PRECISION(17));
    json_t *read = json_loads(text, 0, NULL);
    RG_ASSERT_OK(rg_balancer_load(&back, read, &err), &err);
    ck_assert_mem_eq(&b, &back, sizeof b);
    ck_assert_int_eq(rg_balancer_load(&two, read, &err), RG_ERR_MISMATCH);
    json_decref(read);
    json_decref(state);
    free(text);
}
END_TEST

RG_TEST_MAIN("train/balancer", 30, formula_over_two_steps, plain_is_the_weighted_sum,
             absent_losses_and_scales, a_gradient_that_is_not_finite_changes_nothing,
             state_through_json_keeps_its_bits)
