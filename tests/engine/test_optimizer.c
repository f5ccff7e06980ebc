/*
 * AdamW against a plain loop, loss scaling, skipped steps, schedules, gradient accumulation.
 *
 * One idea: a skipped step is compared byte by byte with the state before it.
 */
#include "engine/optimizer.h"
#include "kernels/adamw_begin.h"
#include "ops/ops.h"
#include "test.h"

enum { ROWS = 3, COLS = 4, BATCH = 8, N = ROWS * COLS + COLS };

typedef struct rig {
    rg_exec *ex;
    rg_params *params;
    rg_tensor *w, *bias;
    rg_adamw optimizer;
    rg_scaler scaler;
} rig;

static rig open_rig(const rg_kernels *kernels)
{
    rg_error err = {0};
    rig r = {.ex = rg_exec_create(&(rg_exec_options){.kernels = kernels}, &err),
             .params = rg_params_create(&err),
             .optimizer =
                 {.beta1 = 0.9, .beta2 = 0.98, .eps = 1e-8, .weight_decay = 0.1, .ema_decay = 0.99},
             .scaler = rg_scaler_make(false)};
    ck_assert_msg(r.ex && r.params, "%s", err.text);
    r.w = rg_params_add(r.params, "w", RG_SHAPE(ROWS, COLS), (rg_init){RG_INIT_NORMAL, 1});
    r.bias = rg_params_add(r.params, "bias", RG_SHAPE(COLS), (rg_init){RG_INIT_NORMAL, 1});
    RG_ASSERT_OK(rg_params_finish(r.params, r.ex, 3, true, &err), &err);
    return r;
}

static void close_rig(rig *r)
{
    rg_params_destroy(r->params);
    rg_exec_destroy(r->ex);
}

static void set_gradients(rig *r, int step, double factor)
{
    for (int i = 0; i < N; i++)
        rg_params_gradients(r->params)[i] = (float)(factor * sin(i * 1.7 + step));
}

static rg_update update(rig *r, double lr, double divisor)
{
    rg_update u;
    RG_ASSERT_OK(rg_adamw_step(&r->optimizer, &r->scaler, r->params, r->ex, lr, divisor, &u),
                 &r->ex->error);
    return u;
}

/* ---- the plain loop ---- */

typedef struct plain {
    double w[N], m[N], v[N], ema[N];
} plain;

static void plain_step(plain *p, int t, double lr, double clip)
{
    double g[N], norm = 0;
    for (int i = 0; i < N; i++) {
        g[i] = (float)sin(i * 1.7 + t);
        norm += g[i] * g[i];
    }
    norm = sqrt(norm);
    double decay = fmin(0.99, (1.0 + t) / (10.0 + t));
    for (int i = 0; i < N; i++) {
        if (clip > 0 && norm > clip) g[i] *= clip / norm;
        p->m[i] = 0.9 * p->m[i] + 0.1 * g[i];
        p->v[i] = 0.98 * p->v[i] + 0.02 * g[i] * g[i];
        double m = p->m[i] / (1 - pow(0.9, t + 1)), v = p->v[i] / (1 - pow(0.98, t + 1));
        double pull = i < ROWS * COLS ? 0.1 * p->w[i] : 0;
        p->w[i] -= lr * (m / (sqrt(v) + 1e-8) + pull);
        p->ema[i] = decay * p->ema[i] + (1 - decay) * p->w[i];
    }
}

static void check_adamw(const rg_kernels *kernels, double clip)
{
    rig r = open_rig(kernels);
    plain p = {0};
    r.optimizer.clip_norm = clip;
    for (int i = 0; i < N; i++) p.w[i] = p.ema[i] = rg_params_values(r.params)[i];
    for (int t = 0; t < 30; t++) {
        uint32_t version = r.w->version;
        set_gradients(&r, t, 1);
        rg_update u = update(&r, 0.01, 1);
        plain_step(&p, t, 0.01, clip);
        ck_assert(!u.skipped && u.grad_norm > 2 && u.nonfinite[0] == 0);
        ck_assert_uint_gt(r.w->version, version);
        for (int i = 0; i < N; i++) {
            RG_ASSERT_NEAR(rg_params_values(r.params)[i], p.w[i], 1e-5);
            RG_ASSERT_NEAR(rg_params_moment1(r.params)[i], p.m[i], 1e-6);
            RG_ASSERT_NEAR(rg_params_moment2(r.params)[i], p.v[i], 1e-6);
            RG_ASSERT_NEAR(rg_params_ema(r.params)[i], p.ema[i], 1e-5);
        }
    }
    ck_assert_int_eq(r.optimizer.step, 30);
    close_rig(&r);
}

START_TEST(adamw_is_the_plain_loop)
{
    const char *const *levels = rg_kernels_cpu_levels();
    for (int k = 0; levels[k]; k++) {
        check_adamw(rg_kernels_cpu_level(levels[k]), 0);
        check_adamw(rg_kernels_cpu_level(levels[k]), 0.5);
    }
}
END_TEST

enum { MATRICES = 4 };

/* A step leaves the packed weights that a refresh would make, whatever their sizes. */
static void check_packing(const rg_kernels *kernels, rg_dtype operands)
{
    const rg_shape shapes[MATRICES] = {RG_SHAPE(3, 2), RG_SHAPE(70, 33), RG_SHAPE(5, 2050),
                                       RG_SHAPE(3, 12, 95)};
    const char *names[MATRICES][2] = {{"a", "b"}, {"c", "d"}, {"e", "f"}, {"g", "h"}};
    static uint8_t packed[MATRICES][1 << 17];
    size_t sizes[MATRICES];
    rg_error err = {0};
    rig r = {.ex =
                 rg_exec_create(&(rg_exec_options){.kernels = kernels, .operands = operands}, &err),
             .params = rg_params_create(&err),
             .optimizer =
                 {.beta1 = 0.9, .beta2 = 0.98, .eps = 1e-8, .weight_decay = 0.1, .ema_decay = 0.99},
             .scaler = rg_scaler_make(false)};
    rg_tensor *w[MATRICES];
    for (int i = 0; i < MATRICES; i++) {
        w[i] = rg_params_add(r.params, names[i][0], shapes[i], (rg_init){RG_INIT_NORMAL, 1});
        rg_params_use_as_matrix(r.params, w[i]);
        if (i) rg_params_add(r.params, names[i][1], RG_SHAPE(9 * i), (rg_init){RG_INIT_ONES, 0});
        sizes[i] = kernels->matrix.packed_size(rg_shape_rows(shapes[i]), rg_shape_last(shapes[i]),
                                               operands);
        ck_assert_uint_le(sizes[i], sizeof packed[i]);
    }
    RG_ASSERT_OK(rg_params_finish(r.params, r.ex, 3, true, &err), &err);
    for (int64_t i = 0; i < rg_params_elements(r.params); i++)
        rg_params_gradients(r.params)[i] = (float)sin((double)i);
    update(&r, 0.01, 1);
    for (int i = 0; i < MATRICES; i++) memcpy(packed[i], w[i]->packed, sizes[i]);
    RG_ASSERT_OK(rg_params_refresh(r.params, r.ex), &r.ex->error);
    for (int i = 0; i < MATRICES; i++) ck_assert_mem_eq(packed[i], w[i]->packed, sizes[i]);
    close_rig(&r);
}

START_TEST(adamw_packs_as_refresh_does)
{
    const char *const *levels = rg_kernels_cpu_levels();
    for (int k = 0; levels[k]; k++) {
        const rg_kernels *kernels = rg_kernels_cpu_level(levels[k]);
        if (!kernels->matrix.packed_size(2, 2, RG_F32)) continue;
        check_packing(kernels, RG_F32);
        check_packing(kernels, RG_BF16);
    }
}
END_TEST

START_TEST(norm_is_that_of_unscaled_gradients)
{
    rig r = open_rig(rg_kernels_reference());
    memset(rg_params_gradients(r.params), 0, N * sizeof(float));
    rg_params_gradients(r.params)[1] = 3 * 8;
    rg_params_gradients(r.params)[7] = -4 * 8;
    RG_ASSERT_NEAR(update(&r, 0, 8).grad_norm, 5, 1e-12);
    close_rig(&r);
}
END_TEST

/* audiocraft's: count = count * decay + 1; w = 1 / count; ema = (1 - w) ema + w p. */
START_TEST(an_unbiased_ema_is_the_weighted_mean_of_all_weights)
{
    rig r = open_rig(rg_kernels_reference());
    double ema[N] = {0}, count = 0;
    r.optimizer.ema_decay = 0.9;
    r.optimizer.ema_unbiased = true;
    for (int t = 0; t < 40; t++) {
        set_gradients(&r, t, 1);
        update(&r, 0.05, 1);
        count = count * 0.9 + 1;
        for (int i = 0; i < N; i++) {
            ema[i] = (1 - 1 / count) * ema[i] + rg_params_values(r.params)[i] / count;
            RG_ASSERT_NEAR(rg_params_ema(r.params)[i], ema[i], 1e-5);
        }
    }
    close_rig(&r);
}
END_TEST

START_TEST(without_ema_it_stays)
{
    rig r = open_rig(rg_kernels_reference());
    float before = rg_params_ema(r.params)[0];
    r.optimizer.ema_decay = 0;
    set_gradients(&r, 0, 1);
    update(&r, 0.1, 1);
    ck_assert(rg_params_ema(r.params)[0] == before && rg_params_values(r.params)[0] != before);
    close_rig(&r);
}
END_TEST

/* ---- skipping ---- */

typedef struct snapshot {
    float w[N], m[N], v[N], ema[N];
    rg_adamw optimizer;
    uint32_t version;
} snapshot;

static snapshot take_snapshot(const rig *r)
{
    snapshot s;
    memset(&s, 0, sizeof s);
    memcpy(s.w, rg_params_values(r->params), sizeof s.w);
    memcpy(s.m, rg_params_moment1(r->params), sizeof s.m);
    memcpy(s.v, rg_params_moment2(r->params), sizeof s.v);
    memcpy(s.ema, rg_params_ema(r->params), sizeof s.ema);
    s.optimizer = r->optimizer;
    s.version = r->w->version;
    return s;
}

static void check_skip(float poison, int at, const char *name)
{
    rig r = open_rig(rg_kernels_cpu(NULL));
    r.scaler = rg_scaler_make(true);
    for (int t = 0; t < 3; t++) {
        set_gradients(&r, t, 65536);
        ck_assert(!update(&r, 0.01, 1).skipped);
    }
    snapshot before = take_snapshot(&r);
    set_gradients(&r, 3, 65536);
    rg_params_gradients(r.params)[at] = poison;
    rg_update u = update(&r, 0.01, 1);
    snapshot after = take_snapshot(&r);
    ck_assert(u.skipped);
    ck_assert_str_eq(u.nonfinite, name);
    ck_assert_mem_eq(&before, &after, sizeof before);
    ck_assert(r.scaler.scale == 32768 && r.scaler.good_steps == 0 && r.scaler.skipped == 1);
    set_gradients(&r, 3, 32768);
    ck_assert(!update(&r, 0.01, 1).skipped);
    ck_assert_int_eq(r.optimizer.step, 4);
    ck_assert_int_eq(r.scaler.good_steps, 1);
    close_rig(&r);
}

START_TEST(a_skipped_step_changes_nothing)
{
    check_skip(INFINITY, 0, "w");
    check_skip(-INFINITY, N - 1, "bias");
    check_skip(NAN, ROWS * COLS, "bias");
    check_skip(NAN, 5, "w");
}
END_TEST

START_TEST(skips_without_scaling_too)
{
    rig r = open_rig(rg_kernels_reference());
    set_gradients(&r, 0, 1);
    rg_params_gradients(r.params)[2] = NAN;
    snapshot before = take_snapshot(&r);
    ck_assert(update(&r, 0.01, 1).skipped);
    snapshot after = take_snapshot(&r);
    ck_assert_mem_eq(&before, &after, sizeof before);
    ck_assert(r.scaler.scale == 1 && r.scaler.skipped == 1);
    close_rig(&r);
}
END_TEST

/* What a step that is finite or not makes of the scale. */
static void rescale(rg_scaler *s, rg_adamw_now *now, bool finite)
{
    const rg_adamw_rules rules = {
        .scaled = s->enabled, .growth = s->growth, .backoff = s->backoff, .interval = s->interval};
    const double squares = finite ? 1 : INFINITY;
    rg_adamw_decide(&rules, &squares, 1, now);
    s->scale = now->scale;
}

START_TEST(scale_grows_after_the_interval)
{
    rg_scaler s = rg_scaler_make(true);
    ck_assert(s.scale == 65536 && s.growth == 2 && s.backoff == 0.5 && s.interval == 2000);
    rg_adamw_now now = {.lr = 1, .divisor = 1, .scale = s.scale};
    for (int i = 0; i < 1999; i++) rescale(&s, &now, true);
    ck_assert(s.scale == 65536);
    rescale(&s, &now, true);
    ck_assert(s.scale == 131072 && now.good_steps == 0 && now.seed == 131072);
    for (int i = 0; i < 1999; i++) rescale(&s, &now, true);
    rescale(&s, &now, false); /* starts the count again */
    ck_assert(s.scale == 65536 && now.good_steps == 0 && now.skipped == 1);
    rescale(&s, &now, true);
    ck_assert(s.scale == 65536 && now.good_steps == 1 && now.step == 4000);
    rg_scaler off = rg_scaler_make(false);
    now = (rg_adamw_now){.lr = 1, .divisor = 1, .scale = off.scale};
    for (int i = 0; i < 5000; i++) rescale(&off, &now, i % 2);
    ck_assert(off.scale == 1 && now.step == 2500 && now.skipped == 2500);
}
END_TEST

/* ---- scaling and accumulation on a real loss ---- */

/* Adds the gradients of the loss over rows [from, to), weighted by their share, times `scale`. */
static void add_gradients(rig *r, int from, int to, double scale)
{
    float x[BATCH * ROWS], y[BATCH * COLS];
    int32_t n;
    for (int i = 0; i < BATCH * ROWS; i++) x[i] = (float)sin(i + 1);
    for (int i = 0; i < BATCH * COLS; i++) y[i] = (float)cos(i);
    rg_step_begin(r->ex, 0);
    int64_t rows = to - from;
    rg_tensor *in = rg_tensor_from_floats(r->ex, RG_SHAPE(rows, ROWS), x + from * ROWS);
    rg_tensor *want = rg_tensor_from_floats(r->ex, RG_SHAPE(rows, COLS), y + from * COLS);
    rg_tensor *out = rg_linear(r->ex, in, r->w, r->bias, RG_ACT_GELU);
    rg_tensor *loss = rg_distance(r->ex, out, want, RG_DISTANCE_MSE);
    rg_tensor *seed = rg_tensor_from_floats(r->ex, RG_SHAPE(1), (float[]){(float)scale});
    rg_tensor *const *wrt = rg_params_trainable(r->params, &n);
    RG_ASSERT_OK(rg_backward(r->ex, &loss, &seed, 1, wrt, n, NULL), &r->ex->error);
}

START_TEST(accumulation_is_one_big_batch)
{
    rig one = open_rig(rg_kernels_reference64()), four = open_rig(rg_kernels_reference64());
    for (int step = 0; step < 5; step++) {
        rg_params_zero_gradients(one.params);
        rg_params_zero_gradients(four.params);
        add_gradients(&one, 0, BATCH, 1);
        for (int k = 0; k < 4; k++) add_gradients(&four, 2 * k, 2 * k + 2, 1);
        rg_update a = update(&one, 0.05, 1), b = update(&four, 0.05, 4);
        RG_ASSERT_NEAR(a.grad_norm, b.grad_norm, 1e-7);
        for (int i = 0; i < N; i++)
            RG_ASSERT_NEAR(rg_params_values(one.params)[i], rg_params_values(four.params)[i], 1e-6);
    }
    close_rig(&one);
    close_rig(&four);
}
END_TEST

/* The scale is a power of two: it comes out again without a trace. */
START_TEST(loss_scaling_leaves_no_trace)
{
    rig unscaled = open_rig(rg_kernels_cpu(NULL)), scaled = open_rig(rg_kernels_cpu(NULL));
    scaled.scaler = rg_scaler_make(true);
    for (int step = 0; step < 5; step++) {
        rg_params_zero_gradients(unscaled.params);
        rg_params_zero_gradients(scaled.params);
        add_gradients(&unscaled, 0, BATCH, 1);
        add_gradients(&scaled, 0, BATCH, scaled.scaler.scale);
        rg_update a = update(&unscaled, 0.05, 1), b = update(&scaled, 0.05, 1);
        ck_assert(a.grad_norm == b.grad_norm);
        ck_assert_mem_eq(rg_params_values(unscaled.params), rg_params_values(scaled.params),
                         N * sizeof(float));
    }
    close_rig(&unscaled);
    close_rig(&scaled);
}
END_TEST

START_TEST(schedules)
{
    rg_schedule s = {RG_SCHEDULE_COSINE, 2, 0.2, 4, 104};
    RG_ASSERT_NEAR(rg_schedule_at(&s, 0), 0.5, 1e-12);
    RG_ASSERT_NEAR(rg_schedule_at(&s, 3), 2, 1e-12);
    RG_ASSERT_NEAR(rg_schedule_at(&s, 4), 2, 1e-12);
    RG_ASSERT_NEAR(rg_schedule_at(&s, 54), 1.1, 1e-12);
    RG_ASSERT_NEAR(rg_schedule_at(&s, 104), 0.2, 1e-12);
    RG_ASSERT_NEAR(rg_schedule_at(&s, 1000000), 0.2, 1e-12);
    for (int64_t i = 4; i < 103; i++) ck_assert(rg_schedule_at(&s, i + 1) < rg_schedule_at(&s, i));
    s.kind = RG_SCHEDULE_CONSTANT;
    RG_ASSERT_NEAR(rg_schedule_at(&s, 1), 1, 1e-12);
    RG_ASSERT_NEAR(rg_schedule_at(&s, 5000), 2, 1e-12);
    rg_schedule none = {RG_SCHEDULE_COSINE, 1, 0, 0, 0};
    RG_ASSERT_NEAR(rg_schedule_at(&none, 0), 0, 1e-12);
}
END_TEST

RG_TEST_MAIN("optimizer", 60, adamw_is_the_plain_loop, adamw_packs_as_refresh_does,
             norm_is_that_of_unscaled_gradients,
             an_unbiased_ema_is_the_weighted_mean_of_all_weights, without_ema_it_stays,
             a_skipped_step_changes_nothing, skips_without_scaling_too,
             scale_grows_after_the_interval, accumulation_is_one_big_batch,
             loss_scaling_leaves_no_trace, schedules)
