/*
 * Augmented crops: gains, mixes, rooms and panning measured on what comes out; the same bits
 * whatever the threads, and no change to crops that nothing is wished for.
 */
#include "datasets/reverb.h"
#include "datasets/sampler.h"
#include "toy_store.h"

enum { RATE = 16000, FRAMES = 4000, BATCH = 40, ROLES = 3 };

/* Role r of every song is a tone of (r + 1) * 500 Hz all through, at `peak`, so that a spectrum
 * tells the sources of a crop apart and its level is known. */
static rg_store *tones(const char *name, const double peak[ROLES])
{
    char path[700];
    rg_error err = {0};
    const rg_toy toy = {ROLES, 4, RATE, 4, 0};
    rg_store_info info = rg_toy_info(&toy);
    snprintf(path, sizeof path, "%s/%s", rg_test_folder(), name);
    rg_store_writer *writer = rg_store_create(path, &info, &err);
    ck_assert_msg(writer != NULL, "%s", err.text);
    const int64_t n = 4 * RATE;
    int16_t *x = malloc((size_t)(n * ROLES) * sizeof *x);
    for (int32_t r = 0; r < ROLES; r++)
        for (int64_t i = 0; i < n; i++)
            x[r * n + i] = (int16_t)lrint(32767 * peak[r] *
                                          sin(2 * acos(-1) * 500 * (r + 1) * (double)i / RATE));
    for (int32_t i = 0; i < 4; i++) {
        rg_song song = {.frames = n,
                        .split = i == 3 ? RG_SPLIT_VALID : RG_SPLIT_TRAIN,
                        .key_tonic = -1,
                        .present = {true, true, true}};
        rg_provenance p = {.license = "CC0-1.0", .file = "tones"};
        snprintf(song.id, sizeof song.id, "tones-%d", i);
        snprintf(song.content_hash, sizeof song.content_hash, "%032x", i);
        RG_ASSERT_OK(rg_store_add(writer, &song, &p, x, &err), &err);
    }
    free(x);
    RG_ASSERT_OK(rg_store_finish(writer, &err), &err);
    rg_store *store = rg_store_open(path, &err);
    ck_assert_msg(store != NULL, "%s", err.text);
    return store;
}

static rg_sampler_options plain(int32_t channels)
{
    rg_sampler_options o = rg_sampler_defaults();
    o.rate = RATE;
    o.frames = FRAMES;
    o.channels = channels;
    o.batch = BATCH;
    o.seed = 3;
    o.threads = 0;
    o.active = 1;
    return o;
}

/* Batch `step` as (B,T,C) on the heap. */
static float *batch_of(const rg_store *store, int32_t role, const rg_sampler_options *o,
                       int64_t step)
{
    rg_error err = {0};
    rg_sampler *s = rg_sampler_create(store, role, o, &err);
    ck_assert_msg(s != NULL, "%s", err.text);
    RG_ASSERT_OK(rg_sampler_start(s, &err), &err);
    int32_t channels = o->channels ? o->channels : 1;
    float *out = malloc((size_t)(o->batch * o->frames * channels) * sizeof *out);
    RG_ASSERT_OK(rg_sampler_next(s, step, 0, out, NULL, &err), &err);
    rg_sampler_destroy(s);
    return out;
}

/* Amplitude of a tone in every `stride`-th sample of x. */
static double tone(const float *x, int64_t stride, double hz)
{
    double re = 0, im = 0;
    for (int64_t i = 0; i < FRAMES; i++) {
        double angle = 2 * acos(-1) * hz * (double)i / RATE;
        re += (double)x[i * stride] * cos(angle);
        im += (double)x[i * stride] * sin(angle);
    }
    return 2 * sqrt(re * re + im * im) / FRAMES;
}

static const double loud[ROLES] = {0.4, 0.2, 0.1};

START_TEST(gains_are_drawn_between_their_ends)
{
    rg_store *store = tones("gains", loud);
    rg_sampler_options o = plain(1);
    o.augment.gain_low = -10;
    o.augment.gain_high = 6;
    double low = 100, high = -100, sum = 0;
    for (int64_t step = 0; step < 5; step++) {
        float *x = batch_of(store, 1, &o, step);
        for (int32_t b = 0; b < BATCH; b++) {
            double db = 20 * log10(tone(x + b * FRAMES, 1, 1000) / loud[1]);
            low = fmin(low, db);
            high = fmax(high, db);
            sum += db / (5 * BATCH);
        }
        free(x);
    }
    ck_assert_msg(low >= -10.01 && low < -9.5 && high <= 6.01 && high > 5.5, "%g to %g", low, high);
    RG_ASSERT_NEAR(sum, -2, 1);
    /* Files brought to one level: a sine of that RMS, whatever the stem's own. */
    o.augment = (rg_augment){.file_dbfs = -20};
    for (int32_t r = 0; r < ROLES; r++) {
        float *x = batch_of(store, r, &o, 0);
        RG_ASSERT_NEAR(tone(x, 1, 500 * (r + 1)), 0.1 * sqrt(2), 1e-3);
        free(x);
    }
    rg_store_close(store);
}
END_TEST

/* Crops of one, two and three sources as often as asked for; with roles of their own, so that the
 * tones count them. */
START_TEST(sources_are_mixed_in_their_shares)
{
    rg_store *store = tones("mixes", loud);
    rg_sampler_options o = plain(1);
    o.augment = (rg_augment){.mix = {0.64, 0.24, 0.12}};
    int32_t sources[4] = {0}, roles[ROLES] = {0};
    for (int64_t step = 0; step < 25; step++) {
        float *x = batch_of(store, RG_ROLE_ANY, &o, step);
        for (int32_t b = 0; b < BATCH; b++) {
            int32_t most = 0;
            for (int32_t r = 0; r < ROLES; r++) {
                double there = tone(x + b * FRAMES, 1, 500 * (r + 1)) / loud[r];
                most += there > 0.05;
                roles[r] += there > 0.05;
            }
            sources[most]++;
        }
        free(x);
    }
    ck_assert_int_le(sources[0], 20);
    /* Two of one role look like one: a third of the pairs, a ninth of the triples, two thirds of
     * which look like a pair; and equal tones may cancel. */
    RG_ASSERT_NEAR(sources[1] / 1000.0, 0.64 + 0.24 / 3 + 0.12 / 9, 0.04);
    RG_ASSERT_NEAR(sources[2] / 1000.0, 0.24 * 2 / 3 + 0.12 * 2 / 3, 0.04);
    RG_ASSERT_NEAR(sources[3] / 1000.0, 0.12 * 2 / 9, 0.015);
    for (int32_t r = 0; r < ROLES; r++) RG_ASSERT_NEAR(roles[r] / 1000.0, 0.46, 0.06);
    o.augment = (rg_augment){0};
    float *x = batch_of(store, RG_ROLE_MIX, &o, 0); /* all of a song */
    for (int32_t b = 0; b < BATCH; b++)
        for (int32_t r = 0; r < ROLES; r++)
            RG_ASSERT_NEAR(tone(x + b * FRAMES, 1, 500 * (r + 1)), loud[r], 1e-3);
    free(x);
    rg_store_close(store);
}
END_TEST

/* Where crops would be clipped none is, and the others are drawn as before. */
START_TEST(clipped_crops_are_drawn_again)
{
    const double near_full[ROLES] = {0.9, 0.999999, 0.2};
    rg_store *store = tones("clipped", near_full);
    rg_sampler_options o = plain(1);
    o.augment.gain_low = -10;
    o.augment.gain_high = 6;
    float *as_drawn = batch_of(store, 0, &o, 0);
    o.augment.reject_clipped = true;
    float *kept = batch_of(store, 0, &o, 0);
    int32_t clipped = 0;
    double low = 1;
    for (int32_t b = 0; b < BATCH; b++) {
        double before = 0, after = 0;
        for (int64_t i = 0; i < FRAMES; i++) {
            before = fmax(before, fabs((double)as_drawn[b * FRAMES + i]));
            after = fmax(after, fabs((double)kept[b * FRAMES + i]));
        }
        ck_assert_msg(after < 1, "crop %d has a peak of %g", b, after);
        low = fmin(low, after);
        size_t bytes = FRAMES * sizeof *kept;
        if (before < 0.999) ck_assert_mem_eq(as_drawn + b * FRAMES, kept + b * FRAMES, bytes);
        clipped += before >= 1;
    }
    ck_assert_msg(clipped > 5 && clipped < 30, "%d would have been clipped", clipped);
    ck_assert(low < 0.4);
    free(as_drawn);
    free(kept);
    /* Nothing else is there: lowered after some tries, not for ever. */
    o.augment = (rg_augment){.reject_clipped = true, .gain_low = 3, .gain_high = 6};
    kept = batch_of(store, 1, &o, 0);
    for (int32_t b = 0; b < BATCH; b++)
        RG_ASSERT_NEAR(tone(kept + b * FRAMES, 1, 1000), 0.99, 5e-3);
    free(kept);
    rg_store_close(store);
}
END_TEST

/* The slope of the energy that is left (Schroeder's integral) between -5 and -35 dB. */
static double rt60_of(const float *h, int64_t n)
{
    double *left = calloc((size_t)n + 1, sizeof *left), at[2] = {0}, total;
    for (int64_t i = n - 1; i > 0; i--) left[i] = left[i + 1] + (double)h[i] * (double)h[i];
    total = left[1];
    for (int64_t i = 1; i < n; i++) {
        double db = 10 * log10(left[i] / total);
        if (at[0] <= 0 && db <= -5) at[0] = (double)i;
        if (at[1] <= 0 && db <= -35) at[1] = (double)i;
    }
    free(left);
    return 2 * (at[1] - at[0]) / RATE;
}

START_TEST(a_room_decays_in_its_time)
{
    static const double times[] = {0.3, 0.5, 0.8, 1.3}, wets[] = {-12, -6, 0, 3};
    for (size_t i = 0; i < 4; i++) {
        int64_t n = rg_reverb_length(times[i], RATE);
        float *h = malloc((size_t)n * sizeof *h);
        double energy = 0;
        rg_reverb_response(times[i], wets[i], RATE, rg_rng_make(1, i), h);
        for (int64_t k = 1; k < n; k++) energy += (double)h[k] * (double)h[k];
        ck_assert_float_eq(h[0], 1);
        RG_ASSERT_NEAR(10 * log10(energy), wets[i], 1e-3);
        RG_ASSERT_NEAR(rt60_of(h, n) / times[i], 1, 0.1);
        free(h);
    }
}
END_TEST

START_TEST(convolution_is_the_sum_it_should_be)
{
    enum { N = 300, H = 77 };
    rg_error err = {0};
    rg_reverb *r = rg_reverb_create(N, &err);
    ck_assert_msg(r != NULL, "%s", err.text);
    float x[N], y[N], h[H];
    rg_rng rng = rg_rng_make(5, 5);
    rg_rng_fill_normal(&rng, x, N, 0, 1);
    rg_rng_fill_normal(&rng, h, H, 0, 1);
    memcpy(y, x, sizeof y);
    rg_reverb_apply(r, h, H, y);
    for (int32_t i = H - 1; i < N; i++) {
        double want = 0;
        for (int32_t k = 0; k < H; k++) want += (double)h[k] * (double)x[i - k];
        RG_ASSERT_NEAR((double)y[i], want, 1e-4);
    }
    rg_reverb_destroy(r);
    ck_assert_ptr_null(rg_reverb_create((int64_t)2 << 20, &err));
    ck_assert(strstr(err.text, "shorten") != NULL);
}
END_TEST

/* A steady tone comes out of a room as one, with the gain of the room at its frequency, from the
 * crop's first sample on: the sound before the crop is heard in it. */
START_TEST(rooms_come_as_often_as_asked_and_know_the_past)
{
    rg_store *store = tones("rooms", loud);
    rg_sampler_options o = plain(1);
    float *dry = batch_of(store, 0, &o, 0);
    o.augment = (rg_augment){.reverb = 0.2,
                             .rt60_low = 0.3,
                             .rt60_high = 1.3,
                             .wet_low = -12,
                             .wet_high = 0,
                             .reverb_single = true};
    int32_t wet = 0;
    double first = 0, second = 0;
    for (int64_t step = 0; step < 10; step++) {
        float *x = batch_of(store, 0, &o, step);
        for (int32_t b = 0; b < BATCH; b++) {
            const float *crop = x + b * FRAMES;
            double level = tone(crop, 1, 500) / loud[0], halves[2] = {0};
            if (fabs(level - 1) < 1e-3) continue;
            wet++;
            for (int32_t i = 0; i < FRAMES; i++)
                halves[i >= FRAMES / 2] += (double)crop[i] * (double)crop[i];
            first += halves[0];
            second += halves[1];
        }
        free(x);
    }
    RG_ASSERT_NEAR(wet / 400.0, 0.2, 0.06);
    RG_ASSERT_NEAR(first / second, 1, 0.1);
    o.augment.reverb_single = false;
    o.augment.reverb = 1;
    o.augment.mix[0] = 1;
    float *x = batch_of(store, 0, &o, 0); /* single sources are left alone */
    for (int32_t b = 0; b < BATCH; b++) RG_ASSERT_NEAR(tone(x + b * FRAMES, 1, 500), loud[0], 1e-3);
    free(x);
    free(dry);
    rg_store_close(store);
}
END_TEST

START_TEST(panning_keeps_the_power)
{
    rg_store *store = tones("pan", loud);
    rg_sampler_options o = plain(2);
    float *x = batch_of(store, 0, &o, 0);
    for (int32_t i = 0; i < BATCH * FRAMES; i++) ck_assert(!(fabsf(x[2 * i] - x[2 * i + 1]) > 0));
    free(x);
    o.augment.pan = 0.8;
    x = batch_of(store, 0, &o, 0);
    double least = 1, most = 1;
    for (int32_t b = 0; b < BATCH; b++) {
        const float *crop = x + 2 * b * FRAMES;
        double left = tone(crop, 2, 500) / loud[0], right = tone(crop + 1, 2, 500) / loud[0];
        RG_ASSERT_NEAR(left * left + right * right, 2, 1e-2);
        least = fmin(least, left / right);
        most = fmax(most, left / right);
    }
    ck_assert_msg(least < 0.4 && most > 2.5, "left over right is %g to %g", least, most);
    free(x);
    rg_fixed_crops fixed;
    rg_error err = {0};
    o.split = RG_SPLIT_VALID;
    RG_ASSERT_OK(rg_sampler_fixed(store, RG_ROLE_ANY, &o, 2, &fixed, &err), &err);
    ck_assert_int_eq(fixed.n, 2 * ROLES);
    const float *crop = fixed.samples; /* a half of 0.8 to the left */
    double angle = (1 - 0.4) * acos(-1) / 4;
    RG_ASSERT_NEAR(tone(crop, 2, 500), loud[0] * sqrt(2) * cos(angle), 1e-3);
    RG_ASSERT_NEAR(tone(crop + 1, 2, 500), loud[0] * sqrt(2) * sin(angle), 1e-3);
    rg_fixed_crops_free(&fixed);
    rg_store_close(store);
}
END_TEST

static const rg_augment everything = {.mix = {0.5, 0.3, 0.2},
                                      .file_dbfs = -20,
                                      .gain_low = -10,
                                      .gain_high = 6,
                                      .pan = 1,
                                      .reverb = 0.5,
                                      .rt60_low = 0.3,
                                      .rt60_high = 0.4,
                                      .wet_low = -12,
                                      .reject_clipped = true};

START_TEST(threads_and_order_change_no_bits)
{
    rg_error err = {0};
    const rg_toy toy = {ROLES, 6, RATE, 6, 0};
    char path[700];
    snprintf(path, sizeof path, "%s/order", rg_test_folder());
    rg_store *store = rg_toy_build(&toy, path);
    enum { STEPS = 6, N = 8 * FRAMES * 2 };
    float *first = malloc(STEPS * N * sizeof *first), *batch = malloc(N * sizeof *batch);
    for (int32_t threads = 0; threads <= 3; threads++) {
        rg_sampler_options o = plain(2);
        o.rate = 12000; /* resampled, some songs held */
        o.hold_bytes = 400000;
        o.batch = threads == 3 ? 2 : 8;
        o.micros = threads == 3 ? 4 : 1;
        o.threads = threads;
        o.augment = everything;
        rg_sampler *s = rg_sampler_create(store, RG_ROLE_ANY, &o, &err);
        ck_assert_msg(s != NULL, "%s", err.text);
        RG_ASSERT_OK(rg_sampler_start(s, &err), &err);
        for (int32_t k = 0; k < STEPS + 2; k++) {
            int64_t step = k < STEPS ? k : STEPS - k + 3; /* then back to some */
            float *to = threads == 0 && k < STEPS ? first + step * N : batch;
            for (int32_t micro = 0; micro < o.micros; micro++)
                RG_ASSERT_OK(
                    rg_sampler_next(s, step, micro, to + micro * (N / o.micros), NULL, &err), &err);
            ck_assert_mem_eq(to, first + step * N, N * sizeof *to);
        }
        rg_sampler_destroy(s);
    }
    free(first);
    free(batch);
    rg_store_close(store);
}
END_TEST

START_TEST(impossible_wishes_are_refused)
{
    rg_store *store = tones("wishes", loud);
    const rg_augment wrong[] = {{.pan = 1.5},
                                {.mix = {1, -1}},
                                {.gain_low = 1},
                                {.reverb = 2},
                                {.reverb = 0.1, .rt60_high = 100},
                                {.file_dbfs = 3}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rg_sampler_options o = plain(1);
        rg_error err = {0};
        o.augment = wrong[i];
        ck_assert_ptr_null(rg_sampler_create(store, 0, &o, &err));
        ck_assert_msg(err.code == RG_ERR_USAGE && strstr(err.text, "augment"), "%zu: %s", i,
                      err.text);
    }
    rg_error err = {0};
    rg_sampler_options o = plain(1);
    ck_assert_ptr_null(rg_sampler_create(store, -1, &o, &err));
    ck_assert_msg(strstr(err.text, "no role") != NULL, "%s", err.text);
    rg_store_close(store);
}
END_TEST

RG_TEST_MAIN("augment", 120, gains_are_drawn_between_their_ends, sources_are_mixed_in_their_shares,
             clipped_crops_are_drawn_again, a_room_decays_in_its_time,
             convolution_is_the_sum_it_should_be, rooms_come_as_often_as_asked_and_know_the_past,
             panning_keeps_the_power, threads_and_order_change_no_bits,
             impossible_wishes_are_refused)
