/*
 * Metrics of generated music on constructed cases: keys, copies, loops, calibration, seams, FAD
 * without bias. Each is shown what it must see and what it must not.
 */
#include "test.h"

#include "base/rng.h"
#include "eval/metrics/calibration.h"
#include "eval/metrics/copying.h"
#include "eval/metrics/crossing.h"
#include "eval/metrics/distribution.h"
#include "eval/metrics/seam.h"
#include "eval/metrics/stats.h"
#include "music/features/chroma.h"
#include "music/features/key.h"

enum { RATE = 16000, SECONDS = 6 };

/* Chords of three decaying harmonics, one a second; pitch classes from C. */
static void play(float *x, const int chords[SECONDS][3], double up)
{
    memset(x, 0, (size_t)(RATE * SECONDS) * sizeof *x);
    for (int s = 0; s < SECONDS; s++)
        for (int note = 0; note < 3; note++) {
            double hz = 130.81 * pow(2, (chords[s][note] + up) / 12);
            for (int t = 0; t < RATE; t++)
                for (int h = 1; h <= 3; h++)
                    x[s * RATE + t] += (float)(0.1 / h * sin(2 * M_PI * hz * h * (double)t / RATE));
        }
}

static const int major_song[SECONDS][3] = {{0, 4, 7}, {5, 9, 12}, {7, 11, 14},
                                           {0, 4, 7}, {2, 5, 9},  {0, 4, 7}};
static const int minor_song[SECONDS][3] = {{0, 3, 7}, {5, 8, 12},  {7, 11, 14},
                                           {0, 3, 7}, {8, 12, 15}, {0, 3, 7}};

static float *chroma_of(const int chords[SECONDS][3], double up, int64_t *frames)
{
    static float x[RATE * SECONDS];
    rg_error err = {0};
    play(x, chords, up);
    *frames = rg_chroma_frames(RATE * SECONDS, RATE);
    float *chroma = malloc((size_t)(12 * *frames) * sizeof *chroma);
    RG_ASSERT_OK(rg_chroma(x, RATE * SECONDS, RATE, chroma, &err), &err);
    return chroma;
}

START_TEST(keys_of_songs_in_all_twelve)
{
    for (int up = 0; up < 12; up++)
        for (int mode = 0; mode < 2; mode++) {
            int64_t n;
            float *chroma = chroma_of(mode ? minor_song : major_song, up, &n);
            rg_key key = rg_key_of(chroma, n);
            ck_assert_int_eq(key.tonic, up);
            ck_assert_int_eq(key.mode, mode);
            free(chroma);
        }
}
END_TEST

START_TEST(nothing_has_no_key)
{
    float chroma[24] = {0};
    ck_assert_int_eq(rg_key_of(chroma, 2).tonic, -1);
    for (int i = 0; i < 24; i++) chroma[i] = 0.5f;
    ck_assert_int_eq(rg_key_of(chroma, 2).tonic, -1);
    ck_assert_int_eq(rg_chroma_turn(chroma, 2, chroma, 2), -1);
}
END_TEST

START_TEST(key_scores_are_those_of_mirex)
{
    static const struct {
        rg_key reference, estimate;
        double score;
    } cases[] = {{{0, 0}, {0, 0}, 1},   {{0, 0}, {7, 0}, 0.5}, {{0, 0}, {5, 0}, 0.5},
                 {{0, 0}, {9, 1}, 0.3}, {{9, 1}, {0, 0}, 0.3}, {{0, 0}, {0, 1}, 0.2},
                 {{0, 1}, {0, 0}, 0.2}, {{0, 0}, {3, 1}, 0},   {{0, 1}, {9, 0}, 0},
                 {{0, 0}, {6, 0}, 0},   {{0, 0}, {7, 1}, 0},   {{2, 0}, {-1, 0}, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        RG_ASSERT_NEAR(rg_key_score(cases[i].reference, cases[i].estimate), cases[i].score, 0);
    ck_assert(isnan(rg_key_score((rg_key){-1, 0}, (rg_key){0, 0})));
    ck_assert_int_eq(rg_key_moved((rg_key){2, 1}, -5).tonic, 9);
    ck_assert_int_eq(rg_key_moved((rg_key){-1, 0}, 3).tonic, -1);
}
END_TEST

START_TEST(a_transposition_is_heard)
{
    int64_t n;
    float *home = chroma_of(major_song, 0, &n);
    for (int up = -5; up <= 6; up++) {
        float *moved = chroma_of(major_song, up, &n);
        ck_assert_int_eq(rg_chroma_turn(home, n, moved, n), (up + 12) % 12);
        free(moved);
    }
    free(home);
}
END_TEST

/* ---- copies ---- */

enum { BOOKS = 2, FRAMES = 400 };

static void random_codes(int32_t *codes, int64_t frames, uint64_t seed)
{
    rg_rng rng = rg_rng_make(seed, 7);
    for (int64_t i = 0; i < frames * BOOKS; i++) codes[i] = (int32_t)rg_rng_below(&rng, 64);
}

START_TEST(the_longest_copy_is_found)
{
    int32_t a[FRAMES * BOOKS], b[FRAMES * BOOKS], made[FRAMES * BOOKS];
    rg_error err = {0};
    int64_t longest = -1;
    rg_copy_index *index = rg_copy_index_create(BOOKS, &err);
    random_codes(a, FRAMES, 1);
    random_codes(b, FRAMES, 2);
    RG_ASSERT_OK(rg_copy_index_add(index, a, FRAMES, &err), &err);
    RG_ASSERT_OK(rg_copy_index_add(index, b, FRAMES, &err), &err);
    random_codes(made, FRAMES, 3);
    RG_ASSERT_OK(rg_copy_longest(index, made, FRAMES, &longest, &err), &err);
    ck_assert_msg(longest <= 2, "%lld frames of noise in common with noise", (long long)longest);
    memcpy(made + 100 * BOOKS, b + 200 * BOOKS, 37 * BOOKS * sizeof *made);
    RG_ASSERT_OK(rg_copy_longest(index, made, FRAMES, &longest, &err), &err);
    ck_assert_msg(longest >= 37 && longest <= 39, "%lld of 37", (long long)longest);
    /* the end of one song and the beginning of the next are not one run */
    memcpy(made + 100 * BOOKS, a + (FRAMES - 20) * BOOKS, 20 * BOOKS * sizeof *made);
    memcpy(made + 120 * BOOKS, b, 20 * BOOKS * sizeof *made);
    random_codes(made + 140 * BOOKS, 100, 4);
    RG_ASSERT_OK(rg_copy_longest(index, made, FRAMES, &longest, &err), &err);
    ck_assert_msg(longest >= 20 && longest <= 22, "%lld of 20", (long long)longest);
    rg_copy_index_free(index);
}
END_TEST

START_TEST(silence_is_no_copy)
{
    int32_t still[FRAMES * BOOKS];
    rg_error err = {0};
    int64_t longest = -1;
    for (int i = 0; i < FRAMES * BOOKS; i++) still[i] = 5;
    rg_copy_index *index = rg_copy_index_create(BOOKS, &err);
    RG_ASSERT_OK(rg_copy_index_add(index, still, FRAMES, &err), &err);
    RG_ASSERT_OK(rg_copy_longest(index, still, FRAMES, &longest, &err), &err);
    ck_assert_int_eq(longest, 1);
    rg_copy_index_free(index);
    index = rg_copy_index_create(BOOKS, &err);
    RG_ASSERT_OK(rg_copy_longest(index, still, FRAMES, &longest, &err), &err);
    ck_assert_int_eq(longest, 0);
    rg_copy_index_free(index);
}
END_TEST

START_TEST(loops_and_repeats_are_shares)
{
    int32_t loop[FRAMES * BOOKS], other[FRAMES * BOOKS];
    random_codes(loop, FRAMES, 5);
    ck_assert(rg_token_loop(loop, FRAMES, BOOKS, 25, 200) < 0.1);
    ck_assert(rg_token_repeats(loop, FRAMES, BOOKS) < 0.1);
    for (int f = 50; f < FRAMES; f++)
        memcpy(loop + f * BOOKS, loop + (f - 50) * BOOKS, BOOKS * sizeof *loop);
    RG_ASSERT_NEAR(rg_token_loop(loop, FRAMES, BOOKS, 25, 200), 1, 0);
    memcpy(other, loop, sizeof loop);
    RG_ASSERT_NEAR(rg_token_distance(loop, other, FRAMES, BOOKS), 0, 0);
    for (int f = 0; f < FRAMES; f++) other[f * BOOKS] += 1;
    RG_ASSERT_NEAR(rg_token_distance(loop, other, FRAMES, BOOKS), 0.5, 0);
    for (int f = 0; f < FRAMES; f++) loop[f * BOOKS] = 3;
    RG_ASSERT_NEAR(rg_token_repeats(loop, FRAMES, BOOKS), 1, 0);
    ck_assert(isnan(rg_token_loop(loop, 20, BOOKS, 25, 200)));
    ck_assert(isnan(rg_token_distance(loop, other, 0, BOOKS)));
}
END_TEST

/* ---- calibration ---- */

/* Two entries, the first with probability `said`; it is right in `of` cases out of 100. */
static rg_calibration say(double said, int of)
{
    rg_calibration c = {0};
    float logits[2] = {(float)log(said / (1 - said)), 0};
    for (int i = 0; i < 100; i++) rg_calibration_add(&c, logits, 2, i < of ? 0 : 1);
    return c;
}

START_TEST(calibration_of_sure_and_honest_models)
{
    rg_calibration honest = say(0.8, 80), sure = say(0.99, 50), shy = say(0.6, 90), none = {0};
    RG_ASSERT_NEAR(rg_calibration_top1(&honest), 0.8, 1e-12);
    RG_ASSERT_NEAR(rg_calibration_error(&honest), 0, 1e-6);
    RG_ASSERT_NEAR(rg_calibration_error(&sure), 0.49, 1e-6);
    RG_ASSERT_NEAR(rg_calibration_excess(&sure), 0.49, 1e-6);
    RG_ASSERT_NEAR(rg_calibration_excess(&shy), -0.3, 1e-6);
    rg_calibration_merge(&shy, &sure); /* errors of both signs do not cancel in the error */
    RG_ASSERT_NEAR(rg_calibration_error(&shy), (0.3 + 0.49) / 2, 1e-6);
    RG_ASSERT_NEAR(rg_calibration_excess(&shy), (0.49 - 0.3) / 2, 1e-6);
    RG_ASSERT_NEAR(rg_calibration_top1(&shy), 0.7, 1e-12);
    ck_assert(isnan(rg_calibration_top1(&none)) && isnan(rg_calibration_error(&none)));
}
END_TEST

/* ---- seams ---- */

START_TEST(a_click_stands_out_of_the_steps)
{
    static float x[RATE];
    for (int i = 0; i < RATE; i++) x[i] = (float)(0.3 * sin(2 * M_PI * 110 * i / RATE));
    double most = 0.3 * 2 * M_PI * 110 / RATE, p99 = rg_step_quantile(x, RATE, 0.99);
    RG_ASSERT_NEAR(p99, most, 0.02 * most);
    ck_assert(rg_step_at(x, RATE, RATE / 2) <= p99 * 1.01);
    for (int i = RATE / 2; i < RATE; i++) x[i] += 0.2f; /* a cut to another sound */
    ck_assert(rg_step_at(x, RATE, RATE / 2) > 5 * rg_step_quantile(x, RATE, 0.99));
    ck_assert(isnan(rg_step_at(x, RATE, 0)) && isnan(rg_step_at(x, RATE, RATE)));
    memset(x, 0, sizeof x);
    ck_assert(isnan(rg_step_quantile(x, RATE, 0.99)));
}
END_TEST

/* ---- statistics ---- */

static double mean_of_songs(void *ctx, const int64_t *songs, int64_t n)
{
    const double *values = ctx;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += values[songs[i]];
    return sum / (double)n;
}

START_TEST(bootstrap_of_a_mean_is_that_of_means)
{
    enum { N = 200 };
    double values[N];
    rg_rng rng = rg_rng_make(3, 3);
    for (int i = 0; i < N; i++) values[i] = 5 + rg_rng_normal(&rng);
    rg_interval a = rg_bootstrap(values, N, 1), b = rg_bootstrap_of(N, 1, mean_of_songs, values);
    RG_ASSERT_NEAR(a.mean, b.mean, 1e-12);
    RG_ASSERT_NEAR(b.high - b.low, 2 * 1.96 / sqrt(N), 0.05);
    ck_assert(b.low < b.mean && b.mean < b.high && b.n == N);
    RG_ASSERT_NEAR(rg_bootstrap_of(1, 1, mean_of_songs, values).high, values[0], 0);
    ck_assert(isnan(rg_bootstrap_of(0, 1, mean_of_songs, values).mean));
}
END_TEST

/* ---- crossing ---- */

enum { ITEMS = 12, SONGS = 6 };

/* Fit of item i with partner j: `own` when of one pair, `song` within a song, and what rows and
 * columns have in common. */
static rg_crossing cross(double own, double common, uint64_t seed)
{
    double fit[ITEMS * ITEMS];
    int32_t song[ITEMS];
    rg_error err = {0};
    rg_crossing out;
    rg_rng rng = rg_rng_make(seed, 9);
    for (int i = 0; i < ITEMS; i++) {
        song[i] = i / 2;
        for (int j = 0; j < ITEMS; j++)
            fit[i * ITEMS + j] =
                (i == j ? own : 0) + common * (i + 3 * j) + 0.1 * rg_rng_normal(&rng);
    }
    RG_ASSERT_OK(rg_crossing_make(&out, fit, song, ITEMS, SONGS, &err), &err);
    return out;
}

START_TEST(pairs_made_for_each_other_are_told_apart)
{
    rg_crossing fits = cross(2, 0, 1), uneven = cross(2, 100, 3);
    RG_ASSERT_NEAR(rg_crossing_apart(&fits, 1).mean, 100, 0);
    RG_ASSERT_NEAR(rg_bootstrap_paired(fits.own, fits.other, SONGS, 1).mean, 2, 0.2);
    /* loud items and popular partners do not count */
    RG_ASSERT_NEAR(rg_crossing_apart(&uneven, 1).mean, 100, 0);
    ck_assert(isnan(fits.apart[0]) && isnan(fits.apart[SONGS + 1]));
    rg_crossing_free(&fits);
    rg_crossing_free(&uneven);
}
END_TEST

START_TEST(pairs_of_nothing_are_told_apart_by_chance)
{
    enum { TRIALS = 100 };
    double mean = 0;
    int covered = 0;
    for (uint64_t seed = 1; seed <= TRIALS; seed++) {
        rg_crossing none = cross(0, 0, seed);
        rg_interval apart = rg_crossing_apart(&none, seed);
        mean += apart.mean / TRIALS;
        covered += apart.low <= 50 && apart.high >= 50;
        rg_crossing_free(&none);
    }
    RG_ASSERT_NEAR(mean, 50, 5);
    ck_assert_msg(covered >= 75, "%d of 100 intervals hold 50 %%", covered);
}
END_TEST

START_TEST(equal_fits_are_chance)
{
    double fit[4] = {1, 1, 1, 1};
    int32_t two[2] = {0, 1}, one[2] = {0, 0};
    rg_error err = {0};
    rg_crossing c;
    RG_ASSERT_OK(rg_crossing_make(&c, fit, two, 2, 2, &err), &err);
    RG_ASSERT_NEAR(rg_crossing_apart(&c, 1).mean, 50, 0);
    rg_crossing_free(&c);
    RG_ASSERT_OK(rg_crossing_make(&c, fit, one, 2, 1, &err), &err);
    ck_assert(isnan(rg_crossing_apart(&c, 1).mean));
    rg_crossing_free(&c);
}
END_TEST

static rg_embeddings gaussian_rows(int64_t n, float mean, uint64_t seed)
{
    rg_embeddings set = {n, n, malloc((size_t)(n * RG_EMBEDDING_SIZE) * sizeof(float))};
    rg_rng rng = rg_rng_make(seed, 5);
    rg_rng_fill_normal(&rng, set.rows, n * RG_EMBEDDING_SIZE, mean, 1);
    return set;
}

START_TEST(fad_infinity_is_without_most_of_the_bias)
{
    rg_error err = {0};
    rg_fad_limit same, apart, few;
    double fad;
    rg_embeddings reference = gaussian_rows(4000, 0, 1), other = gaussian_rows(800, 0, 2),
                  moved = gaussian_rows(800, 0.5f, 3);
    RG_ASSERT_OK(rg_fad(&reference, &other, &fad, &err), &err);
    RG_ASSERT_OK(rg_fad_infinity(&reference, &other, 1, &same, &err), &err);
    RG_ASSERT_OK(rg_fad_infinity(&reference, &moved, 1, &apart, &err), &err);
    ck_assert_msg(fad > 4, "bias of 800 rows %g", fad);
    ck_assert_msg(fabs(same.limit) < 0.5 * fad, "limit %g of %g", same.limit, fad);
    ck_assert(same.slope > 0 && same.r2 > 0.95 && same.reliable);
    RG_ASSERT_NEAR(apart.limit - same.limit, 0.25 * RG_EMBEDDING_SIZE, 5);
    other.n = 40;
    RG_ASSERT_OK(rg_fad_infinity(&reference, &other, 1, &few, &err), &err);
    ck_assert(!few.reliable && isfinite(few.limit));
    other.n = 10;
    RG_ASSERT_OK(rg_fad_infinity(&reference, &other, 1, &few, &err), &err);
    ck_assert(!few.reliable && isnan(few.limit));
    rg_embeddings_free(&reference);
    rg_embeddings_free(&other);
    rg_embeddings_free(&moved);
}
END_TEST

RG_TEST_MAIN("musical metrics", 120, keys_of_songs_in_all_twelve, nothing_has_no_key,
             key_scores_are_those_of_mirex, a_transposition_is_heard, the_longest_copy_is_found,
             silence_is_no_copy, loops_and_repeats_are_shares,
             calibration_of_sure_and_honest_models, a_click_stands_out_of_the_steps,
             bootstrap_of_a_mean_is_that_of_means, pairs_made_for_each_other_are_told_apart,
             pairs_of_nothing_are_told_apart_by_chance, equal_fits_are_chance,
             fad_infinity_is_without_most_of_the_bias)
