/*
 * Masks: every draw of every family is a fair question (targets unknown, something asked), the
 * families show what they promise, and the mixtures have their shares.
 */
#include "generate/masks.h"

#include "test.h"

enum { FRAMES = 64, ROLES = 5 };
static rg_track_config config;

static rg_track_batch *make_batch(void)
{
    rg_error err = {0};
    rg_track_config_init(&config);
    config.n_roles = ROLES;
    for (int32_t r = 0; r < ROLES; r++) {
        snprintf(config.roles[r].name, RG_TRACK_NAME, "role%d", r);
        config.roles[r].books = 1;
        config.roles[r].entries = 4;
        config.roles[r].dim = 2;
    }
    rg_track_batch *b = rg_track_batch_create(&config, 1, FRAMES, &err);
    ck_assert_msg(b != NULL, "%s", err.text);
    return b;
}

static int32_t count(const uint8_t *at, uint8_t value)
{
    int32_t n = 0;
    for (int32_t t = 0; t < FRAMES; t++) n += at[t] == value;
    return n;
}

/* First and last frame that is asked for; one run without gaps. */
static void span_of(const rg_track_batch *b, int32_t *first, int32_t *last)
{
    *first = FRAMES;
    *last = 0;
    for (int32_t t = 0; t < FRAMES; t++) {
        if (!b->cells[t]) continue;
        if (t < *first) *first = t;
        *last = t + 1;
    }
    ck_assert_int_eq(count(b->cells, 1), *last - *first);
}

static void check_promise(const rg_track_batch *b, rg_mask_family family, int32_t a, int32_t z,
                          int32_t frames)
{
    int32_t others = 0, target = b->target;
    for (int32_t r = 0; r < ROLES; r++)
        if (r != target) others += count(b->state[r], RG_CELL_KNOWN);
    switch (family) {
    case RG_MASK_NONE:
        ck_assert_int_eq(others, 0);
        break;
    case RG_MASK_ROLES:
        ck_assert_int_gt(others, 0);
        break;
    case RG_MASK_WHOLE:
        ck_assert_int_eq(others, 3 * frames);
        break; /* one of five is absent */
    case RG_MASK_STAIRCASE:
        for (int32_t r = 0; r < ROLES - 1; r++)
            ck_assert_int_eq(count(b->state[r], RG_CELL_KNOWN), r < target ? z : a);
        break;
    case RG_MASK_RECTANGLE:
        ck_assert_int_eq(count(b->state[target], RG_CELL_KNOWN), frames - (z - a));
        break;
    case RG_MASK_COUNT:
        break;
    }
    if (family < RG_MASK_STAIRCASE || family == RG_MASK_WHOLE) ck_assert_int_eq(z - a, frames);
}

START_TEST(every_draw_is_a_fair_question)
{
    static const int32_t bars[] = {3, 23, 43};
    rg_track_batch *b = make_batch();
    for (uint64_t draw = 0; draw < 4000; draw++) {
        rg_rng rng = rg_rng_make(1, draw);
        rg_mask_family family = (rg_mask_family)(draw % RG_MASK_COUNT);
        int32_t frames = draw % 7 == 0 ? 1 + (int32_t)(draw % FRAMES) : FRAMES, a, z;
        rg_mask_window w = {.present = {true, true, true, true, false},
                            .frames = frames,
                            .bars = bars,
                            .n_bars = draw % 3 ? 3 : 0};
        while (w.n_bars && bars[w.n_bars - 1] >= frames) w.n_bars--;
        b->target = (int32_t)(draw / RG_MASK_COUNT % 4);
        rg_mask_write(&config, b, 0, family, false, &w, &rng);
        span_of(b, &a, &z);
        ck_assert_msg(z > a && z <= frames, "draw %d: span %d .. %d of %d", (int)draw, a, z,
                      frames);
        for (int32_t t = 0; t < FRAMES; t++)
            if (b->cells[t]) ck_assert_int_eq(b->state[b->target][t], RG_CELL_UNKNOWN);
        ck_assert_int_eq(count(b->state[4], RG_CELL_ABSENT), FRAMES);
        for (int32_t r = 0; r < 4; r++)
            for (int32_t t = frames; t < FRAMES; t++)
                ck_assert_int_eq(b->state[r][t], RG_CELL_ABSENT);
        check_promise(b, family, a, z, frames);
    }
    rg_track_batch_free(b);
}
END_TEST

START_TEST(isolated_shows_nothing_at_all)
{
    rg_track_batch *b = make_batch();
    rg_rng rng = rg_rng_make(1, 1);
    rg_mask_window w = {.present = {true, true}, .frames = FRAMES};
    b->target = 1;
    rg_mask_write(&config, b, 0, RG_MASK_NONE, true, &w, &rng);
    for (int32_t r = 0; r < ROLES; r++)
        ck_assert_int_eq(count(b->state[r], RG_CELL_UNKNOWN), FRAMES);
    ck_assert_int_eq(count(b->cells, 1), FRAMES);
    rg_track_batch_free(b);
}
END_TEST

START_TEST(mixtures_have_their_shares)
{
    for (int32_t phase = 1; phase <= 3; phase++) {
        rg_mask_mix mix = rg_mask_mix_of_phase(phase);
        int32_t drawn[RG_MASK_COUNT] = {0};
        double sum = 0;
        rg_rng rng = rg_rng_make(1, (uint64_t)phase);
        for (int32_t i = 0; i < 20000; i++) drawn[rg_mask_draw(&mix, &rng)]++;
        for (int32_t f = 0; f < RG_MASK_COUNT; f++) {
            sum += mix.share[f];
            RG_ASSERT_NEAR(drawn[f] / 20000.0, mix.share[f], 0.015);
        }
        RG_ASSERT_NEAR(sum, 1, 1e-12);
    }
}
END_TEST

RG_TEST_MAIN("masks", 60, every_draw_is_a_fair_question, isolated_shows_nothing_at_all,
             mixtures_have_their_shares)
