/*
 * Conv2d with three taps along the height against the double reference, within the error bounds
 * that kernels/cpu/winograd.h states, on images whose differences cancel.
 */
#include "base/rng.h"
#include "kernels/kernels.h"
#include "test.h"

enum { H = 19, W = 11, C_IN = 16, C_OUT = 24, KW = 5, W_OUT = (W - 1) / 2 + 1 };
enum { N_X = 2 * H * W * C_IN, N_Y = 2 * H * W_OUT * C_OUT, N_W = 3 * KW * C_IN * C_OUT };

static const double u = 0x1p-24;

/* The same numbers in both precisions: around `level`, `spread` wide. */
typedef struct numbers {
    float x[N_X], w[N_W], dy[N_Y], y[N_Y], dx[N_X], dw[N_W];
    double x64[N_X], w64[N_W], dy64[N_Y], y64[N_Y], dx64[N_X], dw64[N_W];
} numbers;

static numbers n;

static void fill(float *x, double *x64, int count, double level, double spread, uint64_t stream)
{
    rg_rng rng = rg_rng_make(1, stream);
    rg_rng_fill_uniform(&rng, x, count, (float)(level - spread), (float)(level + spread));
    for (int i = 0; i < count; i++) x64[i] = x[i];
}

static double largest(const double *x, int count)
{
    double most = 0;
    for (int i = 0; i < count; i++) most = fmax(most, fabs(x[i]));
    return most;
}

/* The largest sum of |w| over the taps of an output channel, or of an input channel. */
static double weight_sum(bool of_input)
{
    double most = 0;
    for (int c = 0; c < (of_input ? C_IN : C_OUT); c++) {
        double sum = 0;
        for (int i = 0; i < N_W; i++)
            if ((of_input ? i / C_OUT % C_IN : i % C_OUT) == c) sum += fabs(n.w64[i]);
        most = fmax(most, sum);
    }
    return most;
}

static void run(const rg_kernels *k, bool f64, int32_t dilation)
{
    rg_error err = {0};
    rg_arena *scratch = rg_arena_create((size_t)1 << 26, "test scratch", &err);
    ck_assert_msg(scratch != NULL, "%s", err.text);
    rg_kernel_ctx ctx = {.scratch = scratch, .error = &err};
    rg_conv2d_args a = {.x = n.x,
                        .w = n.w,
                        .y = n.y,
                        .batch = 2,
                        .h_in = H,
                        .w_in = W,
                        .h_out = H,
                        .w_out = W_OUT,
                        .c_in = C_IN,
                        .c_out = C_OUT,
                        .kernel_h = 3,
                        .kernel_w = KW,
                        .stride_h = 1,
                        .stride_w = 2,
                        .dilation_h = dilation,
                        .dilation_w = 1,
                        .pad_h = dilation,
                        .pad_w = 2};
    rg_conv2d_grad_args g = {.dy = n.dy, .dx = n.dx, .dw = n.dw};
    if (f64) {
        a.x = n.x64, a.w = n.w64, a.y = n.y64;
        g.dy = n.dy64, g.dx = n.dx64, g.dw = n.dw64;
    }
    g.fwd = a;
    RG_ASSERT_OK(k->conv2d.forward(&ctx, &a), &err);
    RG_ASSERT_OK(k->conv2d.grad(&ctx, &g), &err);
    rg_arena_destroy(scratch);
}

static void within(const char *level, const char *what, const float *seen, const double *want,
                   int count, double bound)
{
    for (int i = 0; i < count; i++)
        ck_assert_msg(fabs(seen[i] - want[i]) <= bound, "%s: %s[%d] = %.9g, not %.9g +- %.2g",
                      level, what, i, seen[i], want[i], bound);
}

static void check_bounds(double level, double spread, int32_t dilation)
{
    const double pairs = 2.0 * H * W_OUT;
    fill(n.x, n.x64, N_X, level, spread, 1);
    fill(n.w, n.w64, N_W, level / 50, spread, 2);
    fill(n.dy, n.dy64, N_Y, -level, spread, 3);
    run(rg_kernels_reference64(), true, dilation);
    const double x = largest(n.x64, N_X), dy = largest(n.dy64, N_Y);
    const double forward = 4 * (KW * C_IN + 7) * u * x * weight_sum(false);
    const double back = 4 * (KW * C_OUT + 7) * u * dy * weight_sum(true);
    const char *const *levels = rg_kernels_cpu_levels();
    for (int l = 0; levels[l]; l++) {
        run(rg_kernels_cpu_level(levels[l]), false, dilation);
        within(levels[l], "y", n.y, n.y64, N_Y, forward);
        within(levels[l], "dx", n.dx, n.dx64, N_X, back);
        within(levels[l], "dw", n.dw, n.dw64, N_W, (pairs + 7) * u * 6 * pairs * x * dy);
    }
}

START_TEST(test_bounds)
{
    for (int32_t dilation = 1; dilation <= 4; dilation *= 2) {
        check_bounds(0, 1, dilation);
        check_bounds(100, 0.01, dilation);
        check_bounds(-3, 2, dilation);
    }
}
END_TEST

RG_TEST_MAIN("winograd", 60, test_bounds)
