/*
 * The crop sampler: places and crops are functions of (seed, step, micro, item) alone.
 */
#include "datasets/sampler.h"
#include "toy_store.h"

static rg_store *toy_store(const char *name, const rg_toy *toy)
{
    char path[700];
    snprintf(path, sizeof path, "%s/%s", rg_test_folder(), name);
    return rg_toy_build(toy, path);
}

static const rg_toy usual = {3, 6, 16000, 12, 0};

static rg_sampler_options options_for(int32_t rate, int64_t frames, int32_t threads)
{
    rg_sampler_options o = rg_sampler_defaults();
    o.rate = rate;
    o.frames = frames;
    o.batch = 6;
    o.seed = 11;
    o.threads = threads;
    return o;
}

static rg_sampler *open_sampler(const rg_store *store, int32_t role, const rg_sampler_options *o)
{
    rg_error err = {0};
    rg_sampler *s = rg_sampler_create(store, role, o, &err);
    ck_assert_msg(s != NULL, "%s", err.text);
    RG_ASSERT_OK(rg_sampler_start(s, &err), &err);
    return s;
}

START_TEST(any_number_of_threads_and_any_order_give_the_same_bits)
{
    rg_store *store = toy_store("threads", &usual);
    const int64_t frames = 3000;
    float *first = malloc(20 * 6 * (size_t)frames * sizeof *first);
    float *batch = malloc(6 * (size_t)frames * sizeof *batch);
    for (int32_t threads = 0; threads <= 4; threads++) {
        rg_sampler_options o = options_for(8000, frames, threads);
        o.micros = 2;
        o.low_dbfs = -28;
        o.high_dbfs = -14;
        rg_sampler *s = open_sampler(store, 1, &o);
        static const int order[26] = {0,  1,  2,  3,  4,  5,  6,  7, 8, 9,  10, 11, 12,
                                      13, 14, 15, 16, 17, 18, 19, 3, 4, 18, 0,  1,  9};
        for (int k = 0; k < 26; k++) {
            rg_error err = {0};
            float *to = threads == 0 && k < 20 ? first + k * 6 * frames : batch;
            RG_ASSERT_OK(rg_sampler_next(s, order[k] / 2, order[k] % 2, to, NULL, &err), &err);
            ck_assert_msg(
                memcmp(to, first + order[k] * 6 * frames, 6 * (size_t)frames * sizeof *to) == 0,
                "%d threads, batch %d", threads, order[k]);
        }
        rg_sampler_destroy(s);
    }
    ck_assert(memcmp(first, first + 6 * frames, (size_t)frames * sizeof *first) != 0);
    free(first);
    free(batch);
    rg_store_close(store);
}
END_TEST

/* All songs in memory, one of them, none; started and not started. */
START_TEST(any_budget_of_memory_gives_the_same_bits)
{
    static const int32_t rates[] = {8000, 12000, 11025};
    enum { FRAMES = 9001, STEPS = 6, N = 6 * FRAMES }; /* more than one block of half a second */
    rg_store *store = toy_store("budget", &usual);
    float *first = malloc(STEPS * N * sizeof *first), *batch = malloc(N * sizeof *batch);
    for (int i = 0; i < 3; i++) {
        rg_sampler_options o = options_for(rates[i], FRAMES, 1);
        const int64_t song = 13 * (int64_t)rates[i] * 2; /* a little more than one of 12 s */
        const int64_t budgets[] = {(int64_t)512 << 20, song, 0}, songs[] = {4, 1, 0};
        for (int k = 0; k < 4; k++) {
            rg_error err = {0};
            o.hold_bytes = budgets[k % 3];
            rg_sampler *s =
                k < 3 ? open_sampler(store, 1, &o) : rg_sampler_create(store, 1, &o, &err);
            rg_sampler_summary sum = rg_sampler_describe(s);
            ck_assert_int_eq(sum.held_songs, songs[k % 3]);
            int64_t ring = 5 * N * (int64_t)sizeof(float);
            ck_assert_int_ge(sum.bytes, ring + sum.held_songs * 12 * rates[i] * 2);
            ck_assert_int_le(sum.bytes, ring + sum.held_songs * song);
            for (int64_t step = 0; step < STEPS; step++) {
                float *to = k == 0 ? first + step * N : batch;
                RG_ASSERT_OK(rg_sampler_next(s, step, 0, to, NULL, &err), &err);
                ck_assert_msg(memcmp(to, first + step * N, N * sizeof *to) == 0,
                              "%d Hz, budget %lld, step %lld", rates[i], (long long)o.hold_bytes,
                              (long long)step);
            }
            rg_sampler_destroy(s);
        }
    }
    free(first);
    free(batch);
    rg_store_close(store);
}
END_TEST

/* Stems that are as loud as they can be pass full scale between samples; they must not wrap. */
START_TEST(full_scale_does_not_wrap)
{
    rg_error err = {0};
    const rg_toy toy = {1, 3, 16000, 2, 0};
    rg_store_info info = rg_toy_info(&toy);
    char path[700];
    snprintf(path, sizeof path, "%s/loud", rg_test_folder());
    rg_store_writer *writer = rg_store_create(path, &info, &err);
    int16_t *x = malloc(32000 * sizeof *x);
    for (int i = 0; i < 32000; i++) x[i] = sin(0.31 * i) > 0 ? 32767 : -32768;
    for (int i = 0; i < 3; i++) {
        rg_song song = {.frames = 32000, .split = (rg_split)i, .key_tonic = -1, .present = {true}};
        rg_provenance p = {.license = "CC0-1.0", .file = "loud"};
        snprintf(song.id, sizeof song.id, "loud-%d", i);
        snprintf(song.content_hash, sizeof song.content_hash, "%032x", i);
        RG_ASSERT_OK(rg_store_add(writer, &song, &p, x, &err), &err);
    }
    RG_ASSERT_OK(rg_store_finish(writer, &err), &err);
    rg_store *store = rg_store_open(path, &err);
    rg_sampler_options o = options_for(8000, 4000, 1);
    rg_sampler *s = open_sampler(store, 0, &o);
    float *batch = malloc(6 * 4000 * sizeof *batch), worst = 0;
    int64_t n, song, start;
    RG_ASSERT_OK(rg_sampler_next(s, 0, 0, batch, NULL, &err), &err);
    for (int32_t item = 0; item < 6; item++) {
        float *whole;
        rg_sampler_place(s, 0, 0, item, &song, &start);
        RG_ASSERT_OK(rg_store_read_resampled(store, song, 0, 8000, &whole, &n, &err), &err);
        for (int k = 0; k < 4000; k++) {
            float want = fmaxf(-1, fminf(1, whole[start / 2 + k]));
            if (start / 2 + k > 100 && start / 2 + k < n - 100)
                worst = fmaxf(worst, fabsf(want - batch[item * 4000 + k]));
        }
        free(whole);
    }
    ck_assert_msg(worst <= 2e-3, "%g", worst);
    free(x);
    free(batch);
    rg_sampler_destroy(s);
    rg_store_close(store);
}
END_TEST

START_TEST(crops_at_the_stores_rate_are_its_samples)
{
    rg_store *store = toy_store("plain", &usual);
    rg_sampler_options o = options_for(16000, 4000, 1);
    rg_sampler *s = open_sampler(store, 2, &o);
    float batch[6 * 4000], crop[4000];
    for (int64_t step = 0; step < 5; step++) {
        rg_error err = {0};
        RG_ASSERT_OK(rg_sampler_next(s, step, 0, batch, NULL, &err), &err);
        for (int32_t item = 0; item < 6; item++) {
            int64_t song, start;
            rg_sampler_place(s, step, 0, item, &song, &start);
            ck_assert_int_eq(rg_store_song(store, song)->split, RG_SPLIT_TRAIN);
            RG_ASSERT_OK(rg_store_read(store, song, 2, start, 4000, crop, &err), &err);
            ck_assert(memcmp(crop, batch + item * 4000, sizeof crop) == 0);
        }
    }
    rg_sampler_destroy(s);
    rg_store_close(store);
}
END_TEST

/* A crop resampled by itself equals the same span of the song resampled whole. */
START_TEST(resampled_crops_fit_the_resampled_song)
{
    static const int32_t rates[] = {8000, 12000, 11025};
    rg_store *store = toy_store("resampled", &usual);
    for (int i = 0; i < 3; i++) {
        rg_sampler_options o = options_for(rates[i], 2000, 1);
        rg_sampler *s = open_sampler(store, 1, &o);
        rg_error err = {0};
        float batch[6 * 2000];
        double worst = 0, energy = 0;
        RG_ASSERT_OK(rg_sampler_next(s, 3, 0, batch, NULL, &err), &err);
        for (int32_t item = 0; item < 6; item++) {
            int64_t song, start, n;
            float *whole;
            rg_sampler_place(s, 3, 0, item, &song, &start);
            RG_ASSERT_OK(rg_store_read_resampled(store, song, 1, rates[i], &whole, &n, &err), &err);
            ck_assert_int_eq(start * rates[i] % 16000, 0);
            const float *at = whole + start * rates[i] / 16000;
            for (int k = 0; k < 2000 && at + k < whole + n - 100; k++) {
                worst = fmax(worst, fabs(at[k] - batch[item * 2000 + k]));
                energy += at[k] * at[k];
            }
            free(whole);
        }
        ck_assert_msg(energy > 1, "only silence compared");
        ck_assert_msg(worst <= 2e-3, "%d Hz: %g", rates[i], worst);
        rg_sampler_destroy(s);
    }
    rg_store_close(store);
}
END_TEST

START_TEST(most_crops_are_active_and_levels_are_drawn)
{
    const rg_toy sparse = {3, 6, 16000, 40, 0};
    rg_store *store = toy_store("active", &sparse);
    rg_sampler_options o = options_for(8000, 4000, 2);
    o.active = 0.5;
    o.active_min = 0.9;
    o.low_dbfs = -28;
    o.high_dbfs = -14;
    rg_sampler *s = open_sampler(store, 1, &o);
    float batch[6 * 4000];
    int active = 0, all = 0, levels = 0;
    double low = 0, high = -100;
    for (int64_t step = 0; step < 60; step++) {
        rg_error err = {0};
        RG_ASSERT_OK(rg_sampler_next(s, step, 0, batch, NULL, &err), &err);
        for (int32_t item = 0; item < 6; item++, all++) {
            int64_t song, start;
            double energy = 0, peak = 0;
            rg_sampler_place(s, step, 0, item, &song, &start);
            active += rg_store_active_share(store, song, 1, start, 8000) >= 0.9;
            for (int k = 0; k < 4000; k++) {
                energy += batch[item * 4000 + k] * batch[item * 4000 + k];
                peak = fmax(peak, fabs(batch[item * 4000 + k]));
            }
            double level = 10 * log10(energy / 4000 + 1e-12);
            ck_assert_msg(level < -13.9 && peak <= 0.991, "level %g, peak %g", level, peak);
            if (level < -60) continue;
            levels++;
            low = fmin(low, level);
            high = fmax(high, level);
        }
    }
    ck_assert_msg(2 * active >= all, "%d of %d active", active, all);
    ck_assert_msg(low < -26 && high > -16 && levels > 200, "levels %g to %g", low, high);
    rg_sampler_summary sum = rg_sampler_describe(s);
    ck_assert_int_eq(sum.songs, 4);
    RG_ASSERT_NEAR(sum.hours, 4 * 40 / 3600.0, 1e-9);
    rg_sampler_destroy(s);
    rg_store_close(store);
}
END_TEST

START_TEST(fixed_crops_are_fixed)
{
    rg_store *store = toy_store("fixed", &usual);
    rg_sampler_options o = options_for(8000, 4000, 3);
    o.split = RG_SPLIT_VALID;
    rg_fixed_crops a, b;
    rg_error err = {0};
    RG_ASSERT_OK(rg_sampler_fixed(store, 2, &o, 5, &a, &err), &err);
    o.seed = 99;
    RG_ASSERT_OK(rg_sampler_fixed(store, 2, &o, 5, &b, &err), &err);
    ck_assert_int_eq(a.n, 5);
    ck_assert(memcmp(a.samples, b.samples, (size_t)(a.n * a.frames) * sizeof(float)) == 0);
    for (int64_t i = 0; i < a.n; i++) {
        ck_assert_int_eq(rg_store_song(store, a.song[i])->split, RG_SPLIT_VALID);
        ck_assert(i == 0 || a.start[i] > a.start[i - 1]);
        ck_assert(rg_store_active_share(store, a.song[i], 2, a.start[i], 8000) > 0.5);
    }
    rg_fixed_crops_free(&a);
    rg_fixed_crops_free(&b);
    rg_store_close(store);
}
END_TEST

START_TEST(what_cannot_be_sampled_is_refused_in_words)
{
    const rg_toy toy = {2, 3, 16000, 2, 1};
    rg_store *store = toy_store("refused", &toy);
    const struct {
        int32_t rate, role;
        int64_t frames;
        rg_status code;
        const char *word;
    } cases[] = {
        {24000, 0, 1000, RG_ERR_USAGE, "higher rate"}, {8000, 5, 1000, RG_ERR_USAGE, "no role"},
        {8000, 1, 1000, RG_ERR_MISMATCH, "bass"}, /* absent in the only train song */
        {8000, 0, 80000, RG_ERR_MISMATCH, "drums"},    {7919, 0, 1000, RG_ERR_USAGE, "ratio"},
        {8000, 0, 1 << 30, RG_ERR_USAGE, "at once"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rg_sampler_options o = options_for(cases[i].rate, cases[i].frames, 1);
        rg_error err = {0};
        ck_assert_ptr_null(rg_sampler_create(store, cases[i].role, &o, &err));
        ck_assert_msg(err.code == cases[i].code && strstr(err.text, cases[i].word), "%zu: %s", i,
                      err.text);
    }
    rg_store_close(store);
}
END_TEST

/* Crops (B,T,C) of role 1 of step 3 on the heap. */
static float *crops_of(const rg_store *store, int32_t channels, const rg_sampler_options *options,
                       int64_t song[6], int64_t start[6])
{
    rg_error err = {0};
    rg_sampler_options o = *options;
    o.channels = channels;
    float *crops = malloc((size_t)(6 * o.frames * channels) * sizeof *crops);
    rg_sampler *s = open_sampler(store, 1, &o);
    RG_ASSERT_OK(rg_sampler_next(s, 3, 0, crops, NULL, &err), &err);
    for (int32_t b = 0; b < 6; b++) rg_sampler_place(s, 3, 0, b, &song[b], &start[b]);
    rg_sampler_destroy(s);
    return crops;
}

/* The left channel of the stereo toy is the mono toy. */
START_TEST(a_stereo_store_gives_two_channels_or_their_mean)
{
    char path[700];
    enum { FRAMES = 3000 };
    snprintf(path, sizeof path, "%s/stereo", rg_test_folder());
    rg_store *mono = toy_store("mono", &usual), *stereo = rg_toy_build_of(&usual, 2, path);
    for (int32_t k = 0; k < 4; k++) {
        int64_t song[6], start[6];
        rg_error err = {0};
        rg_sampler_options o = options_for(k == 0 ? 16000 : 12000, FRAMES, k == 3 ? 2 : 0);
        o.active = 0; /* places do not depend on what is heard */
        o.hold_bytes = k == 2 ? 0 : 600000;
        float *left = crops_of(mono, 1, &o, song, start),
              *both = crops_of(stereo, 2, &o, song, start),
              *mean = crops_of(stereo, 1, &o, song, start);
        float right[FRAMES], *one = malloc(sizeof right);
        for (int32_t b = 0; b < 6; b++) {
            RG_ASSERT_OK(
                rg_store_read_channel(stereo, song[b], 1, 1, start[b], FRAMES, right, &err), &err);
            RG_ASSERT_OK(rg_store_read(stereo, song[b], 1, start[b], FRAMES, one, &err), &err);
            for (int64_t i = 0; i < FRAMES; i++) {
                const float *at = both + 2 * (b * FRAMES + i), l = left[b * FRAMES + i];
                ck_assert_msg(at[0] == l, "%d: crop %d, %lld: left", k, b, (long long)i);
                ck_assert_msg(k > 0 || at[1] == right[i], "crop %d, %lld: right", b, (long long)i);
                ck_assert_msg(k > 0 || mean[b * FRAMES + i] == one[i], "crop %d, %lld: mean", b,
                              (long long)i);
                ck_assert_msg(fabsf(mean[b * FRAMES + i] - (at[0] + at[1]) / 2) < 1.1F / 32768,
                              "%d: crop %d, %lld: mean", k, b, (long long)i);
            }
        }
        free(one);
        free(left);
        free(both);
        free(mean);
    }
    rg_store_close(mono);
    rg_store_close(stereo);
}
END_TEST

RG_TEST_MAIN("sampler", 120, any_number_of_threads_and_any_order_give_the_same_bits,
             any_budget_of_memory_gives_the_same_bits, full_scale_does_not_wrap,
             crops_at_the_stores_rate_are_its_samples, resampled_crops_fit_the_resampled_song,
             most_crops_are_active_and_levels_are_drawn, fixed_crops_are_fixed,
             what_cannot_be_sampled_is_refused_in_words,
             a_stereo_store_gives_two_channels_or_their_mean)
