/*
 * Token choices: shares follow the softmax, top-k and top-p cut it, guidance is a straight line.
 */
#include <math.h>

#include "base/rng.h"
#include "generate/sampling.h"
#include "test.h"

START_TEST(shares_follow_the_softmax)
{
    const float logits[] = {0, 1, 2, -1};
    rg_sampling plain = {.temperature = 1, .guidance_context = 1, .guidance_conditions = 1};
    double share[4] = {0}, sum = 0, n = 20000;
    for (int i = 0; i < 4; i++) sum += exp(logits[i]);
    for (int i = 0; i < (int)n; i++)
        share[rg_sample_token(logits, 4, &plain, rg_cell_uniform(1, "bass", i, 0))] += 1 / n;
    for (int i = 0; i < 4; i++) RG_ASSERT_NEAR(share[i], exp(logits[i]) / sum, 0.015);
}
END_TEST

START_TEST(cuts_and_greed)
{
    const float logits[] = {3, 2, 1, 0, NAN};
    rg_sampling greedy = {.temperature = 0}, top2 = {.temperature = 1, .top_k = 2},
                half = {.temperature = 1, .top_p = 0.5};
    ck_assert_int_eq(rg_sample_token(logits, 5, &greedy, 0.99), 0);
    ck_assert_int_eq(rg_sample_token(logits, 5, &top2, 0.999999), 1);
    ck_assert_int_eq(rg_sample_token(logits, 5, &half, 0.999999), 0);
    for (double u = 0; u < 1; u += 0.01)
        ck_assert_int_lt(rg_sample_token(logits, 5, &(rg_sampling){.temperature = 5}, u), 4);
}
END_TEST

/* The same by sorting everything. */
static int32_t drawn_by_sorting(const float *logits, int32_t n, const rg_sampling *s, double u)
{
    int32_t order[400], kept = s->top_k > 0 && s->top_k < n ? s->top_k : n, i;
    double total = 0, part = 0, sum = 0;
    for (i = 0; i < n; i++) {
        int32_t j = i;
        for (; j > 0 && logits[order[j - 1]] < logits[i]; j--) order[j] = order[j - 1];
        order[j] = i;
    }
    for (i = 0; i < kept; i++) total += exp((logits[order[i]] - logits[order[0]]) / s->temperature);
    for (i = 0; i < kept && (s->top_p == 0 || part < s->top_p * total); i++)
        part += exp((logits[order[i]] - logits[order[0]]) / s->temperature);
    for (i = 0; sum <= u * part; i++)
        sum += exp((logits[order[i]] - logits[order[0]]) / s->temperature);
    return order[i - 1];
}

START_TEST(draws_are_those_of_a_sort)
{
    static const rg_sampling ways[] = {
        {.temperature = 1, .top_k = 250},  {.temperature = 1},
        {.temperature = 0.7, .top_k = 40}, {.temperature = 2, .top_p = 0.9},
        {.temperature = 1, .top_k = 1},    {.temperature = 1, .top_k = 100, .top_p = 0.5}};
    float logits[400];
    rg_rng rng = rg_rng_make(3, 0);
    for (int round = 0; round < 200; round++) {
        const int32_t n = round < 100 ? 400 : 1 + round;
        rg_rng_fill_normal(&rng, logits, n, 0, round % 7 < 3 ? 3.0F : 1e-4F);
        for (int32_t i = 0; i < n && round % 3 == 0; i++) logits[i] = roundf(4 * logits[i]) / 4;
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            const double u = rg_rng_uniform(&rng);
            ck_assert_int_eq(rg_sample_token(logits, n, &ways[w], u),
                             drawn_by_sorting(logits, n, &ways[w], u));
        }
    }
}
END_TEST

START_TEST(uniforms_depend_on_every_part)
{
    double u = rg_cell_uniform(1, "bass", 7, 0);
    ck_assert(u == rg_cell_uniform(1, "bass", 7, 0));
    ck_assert(u != rg_cell_uniform(2, "bass", 7, 0));
    ck_assert(u != rg_cell_uniform(1, "drums", 7, 0));
    ck_assert(u != rg_cell_uniform(1, "bass", 8, 0));
    ck_assert(u != rg_cell_uniform(1, "bass", 7, 1));
}
END_TEST

START_TEST(guidance_goes_along_the_differences)
{
    const float full[] = {3}, context[] = {2}, none[] = {1};
    float out[1];
    rg_sampling off = {.guidance_context = 1, .guidance_conditions = 1},
                on = {.guidance_context = 1.5, .guidance_conditions = 2.5};
    rg_guide(full, context, none, 1, &off, out);
    RG_ASSERT_NEAR(out[0], 3, 1e-6);
    rg_guide(full, context, none, 1, &on, out);
    RG_ASSERT_NEAR(out[0], 1 + 1.5 + 2.5, 1e-6);
}
END_TEST

RG_TEST_MAIN("sampling", 60, shares_follow_the_softmax, cuts_and_greed, draws_are_those_of_a_sort,
             uniforms_depend_on_every_part, guidance_goes_along_the_differences)
