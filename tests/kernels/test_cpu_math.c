/*
 * The vectorised exp, expm1, sigmoid, tanh, normal distribution, log10, sine and cosine against
 * libm in double: the bounds that kernels/cpu/math.inc states, seen through the operators that use
 * them.
 *
 * One idea: bounds are in ulps where the function has relative accuracy, absolute where it has not;
 * the same number gives the same bits at every place of an array.
 */
#include "test.h"

#include "kernels/kernels.h"

enum { N = 40000 };

static float x[N + 64], y[N + 64], ones[N + 64];
static rg_error error;
static rg_kernel_ctx ctx;

static void setup(void)
{
    ctx = (rg_kernel_ctx){.scratch = rg_arena_create((size_t)1 << 26, "test", &error),
                          .error = &error};
    for (int i = 0; i < N + 64; i++) ones[i] = 1;
}

static void teardown(void)
{
    rg_arena_destroy(ctx.scratch);
}

/* N numbers from low to high. */
static void fill(double low, double high)
{
    for (int i = 0; i < N; i++) x[i] = (float)(low + (high - low) * i / (N - 1));
}

static void value(const rg_kernels *k, rg_act act)
{
    const rg_activation_args a = {.x = x, .y = y, .n = N, .act = act};
    RG_ASSERT_OK(k->activation.forward(&ctx, &a), &error);
}

static void slope(const rg_kernels *k, rg_act act)
{
    const rg_activation_grad_args g = {.fwd = {.x = x, .n = N, .act = act}, .dy = ones, .dx = y};
    RG_ASSERT_OK(k->activation.grad(&ctx, &g), &error);
}

/* |y - truth| <= ulps of truth + least. */
static void near(const char *what, int i, double truth, double ulps, double least)
{
    const double ulp = fabs(truth) * 0x1p-23, err = fabs(y[i] - truth);
    ck_assert_msg(err <= ulps * ulp + least, "%s(%.9g) = %.9g, libm %.9g: %.2f ulp", what, x[i],
                  y[i], truth, err / ulp);
}

static double normal(double v)
{
    return 0.5 * erfc(-v * M_SQRT1_2);
}

static void check_elu(const rg_kernels *k)
{
    fill(-87.2, 2);
    value(k, RG_ACT_ELU);
    for (int i = 0; i < N; i++) near("elu", i, x[i] > 0 ? x[i] : expm1(x[i]), 1, 0);
    slope(k, RG_ACT_ELU);
    for (int i = 0; i < N; i++) near("exp", i, x[i] > 0 ? 1 : exp(x[i]), 1, 0);
    fill(-1e-3, 0);
    value(k, RG_ACT_ELU);
    for (int i = 0; i < N; i++) near("elu", i, expm1(x[i]), 1, 0);
}

static void check_gelu(const rg_kernels *k)
{
    fill(-8, 8);
    value(k, RG_ACT_GELU);
    for (int i = 0; i < N; i++)
        near("gelu", i, x[i] * normal(x[i]), 8, 4e-7 * fmax(1, fabs(x[i])) * normal(x[i]) + 1e-20);
    slope(k, RG_ACT_GELU);
    for (int i = 0; i < N; i++) {
        const double v = x[i], density = exp(-v * v / 2) / sqrt(2 * M_PI);
        near("gelu'", i, normal(v) + v * density, 0, 1e-6);
    }
}

/* Gates of one step without recurrence: sigmoid and tanh of x itself. */
static void check_gates(const rg_kernels *k, double high)
{
    enum { H = 16 };
    static float w_ih[4 * H], w_hh[4 * H * H], bias[4 * H], h[(N + 64) * H], gates[N * 4 * H];
    for (int i = 0; i < 4 * H; i++) w_ih[i] = 1;
    fill(-high, high);
    const rg_lstm_args a = {.x = x,
                            .w_ih = w_ih,
                            .w_hh = w_hh,
                            .bias = bias,
                            .y = h,
                            .gates = gates,
                            .batch = N,
                            .steps = 1,
                            .c_in = 1,
                            .hidden = H};
    RG_ASSERT_OK(k->lstm.forward(&ctx, &a), &error);
    rg_arena_reset(ctx.scratch);
    for (int i = 0; i < N; i++) y[i] = gates[i * 4 * H];
    for (int i = 0; i < N; i++) near("sigmoid", i, 1 / (1 + exp(-(double)x[i])), 2, 1e-38);
    for (int i = 0; i < N; i++) y[i] = gates[i * 4 * H + 2 * H];
    for (int i = 0; i < N; i++) near("tanh", i, tanh(x[i]), 2, 0);
}

/* A transform of two points under the window (0, 1): log10 of the second one's square. */
static void check_log10(const rg_kernels *k, double low, double high)
{
    static float pairs[2 * N], power[2 * N], logs[2 * N];
    for (int i = 0; i < N; i++) pairs[2 * i + 1] = (float)pow(10, low + (high - low) * i / (N - 1));
    const rg_spectrogram_args a = {
        .stft =
            {.x = pairs, .batch = 1, .t_in = 2 * N, .frames = N, .n_fft = 2, .hop = 2, .scale = 1},
        .power = 2,
        .log_floor = 1e-30,
        .y = power,
        .log_y = logs};
    RG_ASSERT_OK(k->spectrogram.forward(&ctx, &a), &error);
    rg_arena_reset(ctx.scratch);
    for (int i = 0; i < N; i++) x[i] = power[2 * i] + 1e-30F, y[i] = logs[2 * i];
    for (int i = 0; i < N; i++) near("log10", i, log10(x[i]), 2, 2e-8);
}

static void check_edges(const rg_kernels *k)
{
    const float at[] = {-INFINITY, INFINITY, NAN, -1e30F, 1e30F, 0, -0.0F, -104, 1e-40F, -1e-40F};
    enum { EDGES = sizeof at / sizeof at[0] };
    for (int act = 0; act < RG_ACT_COUNT; act++) {
        float out[EDGES], truth[EDGES];
        rg_activation_args a = {at, out, EDGES, (rg_act)act, 0.1}, b = a;
        b.y = truth;
        if (act == RG_ACT_GELU) a.n = b.n = 2; /* GELU of -inf is 0 times inf on some paths */
        if (act == RG_ACT_GELU) a.x = b.x = at + 3;
        RG_ASSERT_OK(k->activation.forward(&ctx, &a), &error);
        RG_ASSERT_OK(rg_kernels_reference()->activation.forward(&ctx, &b), &error);
        for (int i = 0; i < a.n; i++)
            ck_assert_msg(isnan(truth[i]) ? isnan(out[i])
                                          : fabsf(out[i] - truth[i]) <= 1e-6F || out[i] == truth[i],
                          "%s act %d of %g = %g, reference %g", k->name, act,
                          ((const float *)a.x)[i], out[i], truth[i]);
    }
}

/* A number's bits do not depend on where it lies. */
static void check_place(const rg_kernels *k)
{
    float shifted[N + 64];
    fill(-6, 6);
    value(k, RG_ACT_GELU);
    for (int shift = 1; shift < 40; shift += 3) {
        const rg_activation_args a = {
            .x = x + shift, .y = shifted, .n = 1000 - shift, .act = RG_ACT_GELU};
        RG_ASSERT_OK(k->activation.forward(&ctx, &a), &error);
        ck_assert_msg(!memcmp(shifted, y + shift, (size_t)a.n * sizeof(float)),
                      "%s: other bits from place %d on", k->name, shift);
    }
}

START_TEST(test_bounds)
{
    setup();
    for (const char *const *name = rg_kernels_cpu_levels() + 1; *name; name++) { /* not ref */
        const rg_kernels *k = rg_kernels_cpu_level(*name);
        check_elu(k);
        check_gelu(k);
        check_gates(k, 100);
        check_gates(k, 1);
        check_gates(k, 1e-3);
        check_log10(k, -15, 19);
        check_log10(k, -0.5, 0.5);
        check_edges(k);
        check_place(k);
    }
    teardown();
}
END_TEST

/* A level's name caps the table; what it is not is said. */
/* A query (1,0) turned by its position, and one key at 0: the sum of the softmax is the score. */
static void angles(const rg_kernels *k, double high)
{
    static float q[2 * N], out[2 * N], turns[N];
    const float key[2][2] = {{1, 0}, {0, 1}}, at = 0;
    for (int i = 0; i < N; i++) q[2 * i] = 1, turns[i] = (float)(high * i / (N - 1));
    for (int which = 0; which < 2; which++) {
        const rg_attention_args a = {.q = q,
                                     .k = key[which],
                                     .v = key[which],
                                     .ld_q = 2,
                                     .ld_k = 2,
                                     .ld_v = 2,
                                     .q_pos = turns,
                                     .k_pos = &at,
                                     .out = out,
                                     .lse = y,
                                     .batch = 1,
                                     .heads = 1,
                                     .t_q = N,
                                     .t_k = 1,
                                     .head_dim = 2,
                                     .window = -1,
                                     .rope_base = 10000};
        RG_ASSERT_OK(k->attention.forward(&ctx, &a), &error);
        rg_arena_reset(ctx.scratch);
        for (int i = 0; i < N; i++) {
            const double truth = which ? sin(turns[i]) : cos(turns[i]), got = y[i] * M_SQRT2;
            ck_assert_msg(fabs(got - truth) <= 3e-7, "%s(%.9g) = %.9g, libm %.9g",
                          which ? "sine" : "cosine", turns[i], got, truth);
        }
    }
}

START_TEST(test_angles)
{
    setup();
    for (const char *const *name = rg_kernels_cpu_levels(); *name; name++) {
        const rg_kernels *k = rg_kernels_cpu_level(*name);
        if (!k) continue;
        angles(k, 10);
        angles(k, 1e6);
    }
    teardown();
}
END_TEST

START_TEST(test_dispatch)
{
    rg_error err = {0};
    for (const char *const *name = rg_kernels_cpu_levels(); *name; name++) {
        setenv("RG_ISA", *name, 1);
        const rg_kernels *k = rg_kernels_cpu(&err);
        ck_assert_ptr_nonnull(k);
        ck_assert_str_eq(k->name, *name);
    }
    setenv("RG_ISA", "sse9", 1);
    ck_assert_ptr_null(rg_kernels_cpu(&err));
    ck_assert_int_eq(err.code, RG_ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "sse9"));
    ck_assert_ptr_null(rg_kernels_cpu_level("sse9"));
    unsetenv("RG_ISA");
    ck_assert(rg_kernels_peak_gflops(NULL, RG_F32) > 0);
}
END_TEST

RG_TEST_MAIN("cpu math", 120, test_bounds, test_angles, test_dispatch)
