/*
 * Weights in int8: what stands for a weight is near it, and its products do not depend on how they
 * are taken.
 *
 * One idea: the product of the identity and a packed weight shows what the weight has become, in
 * any level's own format.
 */
#include <math.h>

#include "base/rng.h"
#include "kernels/kernels.h"
#include "test.h"

enum { DEPTH = 70, COLS = 77, ROWS = 33 };

static rg_error error;
static rg_kernel_ctx ctx = {.error = &error};

static void set_up(void)
{
    error = (rg_error){0};
    ctx.scratch = rg_arena_create((size_t)1 << 30, "test scratch", &error);
    ck_assert_msg(ctx.scratch != NULL, "%s", error.text);
}

static void tear_down(void)
{
    rg_arena_destroy(ctx.scratch);
}

/* y (rows,cols) = x (rows,depth) w, with w in int8. */
static void product(const rg_kernels *k, const float *x, const float *w, int64_t rows,
                    int64_t depth, int64_t cols, float *y)
{
    void *packed = rg_arena_alloc(ctx.scratch, k->matrix.packed_size(depth, cols, RG_I8));
    const rg_linear_args args = {.x = x,
                                 .w = w,
                                 .w_packed = packed,
                                 .packed_type = RG_I8,
                                 .y = y,
                                 .rows = rows,
                                 .c_in = depth,
                                 .c_out = cols};
    RG_ASSERT_OK(k->matrix.pack(&ctx, w, depth, cols, RG_I8, packed), &error);
    RG_ASSERT_OK(k->linear.forward(&ctx, &args), &error);
    rg_arena_reset(ctx.scratch);
}

static void check_bound(const rg_kernels *k)
{
    static float w[DEPTH * COLS], one[DEPTH * DEPTH], seen[DEPTH * COLS];
    rg_rng rng = rg_rng_make(1, 0);
    rg_rng_fill_normal(&rng, w, DEPTH * COLS, 0, 1);
    for (int64_t i = 0; i < DEPTH; i++) {
        one[i * DEPTH + i] = 1;
        w[i * COLS + 3] = 0;
        w[i * COLS + 5] *= 1e-30F;
        w[i * COLS + 7] *= 1e-44F;
        w[i * COLS + 9] = (float)(i % 2 ? i : -i) / 2; /* ties when the scale is 1 */
    }
    w[9] = 127;
    product(k, one, w, DEPTH, DEPTH, COLS, seen);
    for (int64_t n = 0; n < COLS; n++) {
        float most = 0;
        for (int64_t i = 0; i < DEPTH; i++) most = fmaxf(most, fabsf(w[i * COLS + n]));
        const double scale = most > 0 ? fmax(most / 127, 0x1p-126) : 1;
        for (int64_t i = 0; i < DEPTH; i++) {
            const double off = fabs((double)w[i * COLS + n] - seen[i * COLS + n]);
            ck_assert_msg(off <= scale * (0.5 + 1e-4), "%s: column %d, row %d: %g of a scale",
                          k->name, (int)n, (int)i, off / scale);
        }
    }
    for (int64_t i = 1; i < DEPTH; i++) {
        RG_ASSERT_NEAR(seen[i * COLS + 3], 0, 0);
        RG_ASSERT_NEAR(seen[i * COLS + 9], rint(w[i * COLS + 9]), 0);
    }
}

START_TEST(values_lie_within_half_a_scale)
{
    set_up();
    for (const char *const *level = rg_kernels_cpu_levels(); *level; level++)
        check_bound(rg_kernels_cpu_level(*level));
    tear_down();
}
END_TEST

/* Few rows read int8 in the tile, many widen it before: the same bits. */
START_TEST(rows_do_not_change_bits)
{
    static float w[DEPTH * 12 * COLS], x[ROWS * DEPTH * 12], all[ROWS * COLS], one[ROWS * COLS];
    const int64_t depth = DEPTH * 12;
    rg_rng rng = rg_rng_make(2, 0);
    rg_rng_fill_normal(&rng, w, depth * COLS, 0, 1);
    rg_rng_fill_normal(&rng, x, ROWS * depth, 0, 1);
    set_up();
    for (const char *const *level = rg_kernels_cpu_levels(); *level; level++) {
        const rg_kernels *k = rg_kernels_cpu_level(*level);
        product(k, x, w, ROWS, depth, COLS, all);
        for (int64_t rows = 1; rows <= 7; rows += 3) {
            product(k, x, w, rows, depth, COLS, one);
            for (int64_t i = 0; i < rows * COLS; i++)
                ck_assert_msg(one[i] == all[i], "%s: %d rows", k->name, (int)rows);
        }
    }
    tear_down();
}
END_TEST

START_TEST(what_is_not_finite_stays_so)
{
    float w[4 * 40], x[4] = {1, 1, 1, 1}, y[40];
    for (int i = 0; i < 4 * 40; i++) w[i] = (float)(i % 7) - 3;
    w[40 + 2] = NAN;
    w[80 + 5] = INFINITY;
    set_up();
    for (const char *const *level = rg_kernels_cpu_levels(); *level; level++) {
        product(rg_kernels_cpu_level(*level), x, w, 1, 4, 40, y);
        for (int n = 0; n < 40; n++)
            ck_assert_msg(isfinite(y[n]) == (n != 2 && n != 5), "%s: column %d", *level, n);
    }
    tear_down();
}
END_TEST

RG_TEST_MAIN("int8", 60, values_lie_within_half_a_scale, rows_do_not_change_bits,
             what_is_not_finite_stays_so)
