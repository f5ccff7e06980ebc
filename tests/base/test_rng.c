/*
 * Philox against the published vectors of Random123, and what is drawn from it.
 *
 * One idea: statistics are checked at fixed seeds with bounds of five deviations, so they cannot
 * fail by chance but do fail for a wrong formula.
 */
#include "base/rng.h"

#include "test.h"

static const struct {
    uint64_t seed, stream, counter;
    uint32_t out[4];
} vectors[] = {
    {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {0x299f31d0a4093822,
     0x0370734413198a2e,
     0x85a308d3243f6a88,
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

START_TEST(known_answers)
{
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint32_t out[4];
        rg_philox(vectors[i].seed, vectors[i].stream, vectors[i].counter, out);
        for (int k = 0; k < 4; k++) ck_assert_uint_eq(out[k], vectors[i].out[k]);
    }
}
END_TEST

START_TEST(words_follow_the_counter)
{
    rg_rng rng = rg_rng_make(7, 9), copy;
    uint32_t block[4];
    for (uint64_t i = 0; i < 40; i++) {
        rg_philox(7, 9, i / 4, block);
        copy = rng;
        uint32_t word = rg_rng_u32(&rng);
        ck_assert_uint_eq(word, block[i % 4]);
        ck_assert_uint_eq(rg_rng_u32(&copy), word); /* a copy is a fork */
    }
    ck_assert_uint_eq(rng.counter, 40);
}
END_TEST

START_TEST(streams_differ)
{
    uint64_t base = rg_rng_stream(1, 2, 3);
    ck_assert(base == rg_rng_stream(1, 2, 3));
    ck_assert(base != rg_rng_stream(0, 2, 3));
    ck_assert(base != rg_rng_stream(1, 3, 3));
    ck_assert(base != rg_rng_stream(1, 2, 4));
    ck_assert(base != rg_rng_stream(3, 2, 1));
}
END_TEST

START_TEST(below_is_in_range_and_even)
{
    enum { N = 60000, SIDES = 6 };
    rg_rng rng = rg_rng_make(1, 1);
    int counts[SIDES] = {0};
    for (int i = 0; i < N; i++) counts[rg_rng_below(&rng, SIDES)]++;
    double deviation = sqrt(N * (1.0 / SIDES) * (1 - 1.0 / SIDES));
    for (int i = 0; i < SIDES; i++) RG_ASSERT_NEAR(counts[i], N / SIDES, 5 * deviation);
    ck_assert_uint_eq(rg_rng_below(&rng, 0), 0);
    ck_assert_uint_eq(rg_rng_below(&rng, 1), 0);
    /* a range of 3/4 of 2^64: the mean of v/2^64 would be wrong with plain remainders */
    uint64_t wide = 3ull << 62;
    double mean = 0;
    for (int i = 0; i < N; i++) {
        uint64_t v = rg_rng_below(&rng, wide);
        ck_assert(v < wide);
        mean += (double)v / 18446744073709551616.0 / N;
    }
    RG_ASSERT_NEAR(mean, 0.375, 5 * 0.75 / sqrt(12.0 * N));
}
END_TEST

static void check_moments(const double *x, int n, double mean, double variance)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++) sum += x[i];
    for (int i = 0; i < n; i++) squares += (x[i] - sum / n) * (x[i] - sum / n);
    RG_ASSERT_NEAR(sum / n, mean, 5 * sqrt(variance / n));
    RG_ASSERT_NEAR(squares / n, variance, 5 * variance * sqrt(2.0 / n));
}

START_TEST(single_draws_have_their_moments)
{
    enum { N = 20000 };
    static double x[N];
    rg_rng rng = rg_rng_make(3, 4);
    for (int i = 0; i < N; i++) {
        x[i] = rg_rng_uniform(&rng);
        ck_assert(x[i] >= 0 && x[i] < 1);
    }
    check_moments(x, N, 0.5, 1.0 / 12);
    for (int i = 0; i < N; i++) x[i] = rg_rng_normal(&rng);
    check_moments(x, N, 0, 1);
    int beyond_two = 0;
    for (int i = 0; i < N; i++) beyond_two += fabs(x[i]) > 2;
    RG_ASSERT_NEAR(beyond_two, 0.0455 * N, 5 * sqrt(0.0455 * N));
}
END_TEST

START_TEST(fills_have_their_moments)
{
    enum { N = 20001 };
    static float f[N];
    static double x[N];
    rg_rng rng = rg_rng_make(5, 6);
    rg_rng_u32(&rng); /* not at a whole block */
    rg_rng_fill_normal(&rng, f, N, 2.0f, 0.5f);
    for (int i = 0; i < N; i++) x[i] = (double)f[i];
    check_moments(x, N, 2, 0.25);
    double neighbours = 0;
    for (int i = 0; i + 1 < N; i++) neighbours += (x[i] - 2) * (x[i + 1] - 2) / 0.25 / N;
    RG_ASSERT_NEAR(neighbours, 0, 5 / sqrt(N));
    rg_rng_fill_uniform(&rng, f, N, -1.0f, 3.0f);
    for (int i = 0; i < N; i++) {
        x[i] = (double)f[i];
        ck_assert(f[i] >= -1.0f && f[i] < 3.0f);
    }
    check_moments(x, N, 1, 16.0 / 12);
}
END_TEST

START_TEST(a_fill_is_a_prefix_of_a_longer_one)
{
    float a[13], b[40];
    rg_rng rng = rg_rng_make(8, 8), same = rng;
    rg_rng_fill_normal(&rng, a, 13, 0, 1);
    rg_rng_fill_normal(&same, b, 40, 0, 1);
    ck_assert_mem_eq(a, b, sizeof a);
    ck_assert_uint_eq(rng.counter, 16);
    rg_rng_fill_normal(&rng, NULL, 0, 0, 1);
    ck_assert_uint_eq(rng.counter, 16);
}
END_TEST

RG_TEST_MAIN("rng", 30, known_answers, words_follow_the_counter, streams_differ,
             below_is_in_range_and_even, single_draws_have_their_moments, fills_have_their_moments,
             a_fill_is_a_prefix_of_a_longer_one)
