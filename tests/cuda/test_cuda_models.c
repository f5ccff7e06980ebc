/*
 * Small models on a device: a codec against a discriminator, track transformers, step-wise
 * decoding. They agree with the CPU, and have the same bits however the stream's work is put off.
 *
 * One idea: the same run, once over device memory and once over the host's; what differs is the
 * order of sums.
 */
#include "codec_loop.h"
#include "cuemu_control.h"
#include "train/selftest.h"

enum { UPDATES = 3 };

static void open_gpu(void)
{
    rg_error err = {0};
    gpu = rg_gpu_open(0, &err);
    ck_assert_msg(gpu != NULL, "%s", err.text);
}

static void close_gpu(void)
{
    rg_gpu_close(gpu);
    gpu = NULL;
}

/* Root mean square of the difference over that of a; `what` names it when it is above `tol`. */
static void compare(const char *what, const float *a, const float *b, int64_t n, double tol)
{
    double apart = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        apart += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)a[i] * a[i];
    }
    double ratio = sqrt(apart / fmax(size, 1e-30));
    ck_assert_msg(ratio <= tol, "%s: %.3g apart, %.3g allowed", what, ratio, tol);
}

static float *copy_of(const float *values, int64_t n)
{
    float *copy = malloc((size_t)(n + 1) * sizeof *copy);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, values, (size_t)n * sizeof *copy);
    return copy;
}

/* ---- tracks ---- */

/* On a GPU with activations stored as `type`. */
static rg_selftest_tracks run_tracks(bool on_gpu, rg_dtype type)
{
    rg_selftest_tracks made;
    rg_error err = {0};
    rg_exec_options options = {.kernels = rg_kernels_reference(),
                               .seed = 3,
                               .step_bytes = 1 << 28,
                               .scratch_bytes = 1 << 26,
                               .persist_bytes = 1 << 26};
    if (on_gpu) {
        options.gpu = gpu;
        options.kernels = rg_gpu_kernels(gpu, RG_F32, &err);
        if (type != RG_F32) options.stored = rg_gpu_kernels(gpu, type, &err);
    }
    rg_exec *ex = rg_exec_create(&options, &err);
    ck_assert_msg(ex != NULL, "%s", err.text);
    RG_ASSERT_OK(rg_selftest_tracks_run(ex, UPDATES, &made, &err), &err);
    rg_exec_destroy(ex);
    return made;
}

/* 32 frames of each role are chosen after the updates. */
START_TEST(tracks_learn_and_choose_as_on_the_cpu)
{
    open_gpu();
    rg_selftest_tracks here = run_tracks(false, RG_F32), there = run_tracks(true, RG_F32);
    const size_t values = (size_t)here.n_values * sizeof(float);
    const size_t codes = (size_t)here.n_codes * sizeof(int32_t);
    RG_ASSERT_NEAR(there.loss, here.loss, 1e-4 * here.loss);
    compare("parameters", here.values, there.values, here.n_values, 1e-4);
    ck_assert_msg(!memcmp(here.codes, there.codes, codes), "other codes");
    static const char *const streams[] = {"eager", "lazy", "rand"};
    for (int i = 0; i < 3; i++) {
        ck_assert(cuemu_set("streams", streams[i]));
        rg_selftest_tracks again = run_tracks(true, RG_F32);
        ck_assert_msg(!memcmp(there.values, again.values, values) &&
                          !memcmp(there.codes, again.codes, codes),
                      "streams that are %s change bits", streams[i]);
        rg_selftest_tracks_free(&again);
    }
    rg_selftest_tracks_free(&here);
    rg_selftest_tracks_free(&there);
    close_gpu();
}
END_TEST

/* How far apart losses and parameters may be from those of fp32, by what activations are stored as:
 * each is rounded some ten times on its way. */
static const struct half {
    rg_dtype type;
    double apart;
} halves[] = {{RG_F16, 0x1p-8}, {RG_BF16, 0x1p-5}};
enum { HALVES = sizeof halves / sizeof *halves };

START_TEST(tracks_learn_in_16_bits_as_in_fp32)
{
    open_gpu();
    rg_selftest_tracks here = run_tracks(false, RG_F32);
    for (int i = 0; i < HALVES; i++) {
        rg_selftest_tracks there = run_tracks(true, halves[i].type);
        RG_ASSERT_NEAR(there.loss, here.loss, halves[i].apart * here.loss);
        compare("parameters", here.values, there.values, here.n_values, halves[i].apart);
        rg_selftest_tracks_free(&there);
    }
    rg_selftest_tracks_free(&here);
    close_gpu();
}
END_TEST

/* ---- a codec ---- */

static const char *const judged[] = {"discriminator.scales=[256, 64]",
                                     "discriminator.filters=3",
                                     "losses.adv=[1, 1]",
                                     "losses.feat=[1, 2]",
                                     "discriminator.start=0",
                                     "quantizer.start=0",
                                     "quantizer.pool=1",
                                     "batch=2",
                                     NULL};

static float *train_codec(double *loss, int64_t *n)
{
    rg_error err = {0};
    loop *l = open_with(judged, 1);
    l->adam.eps = 1e-3;
    run(l, 0, UPDATES);
    *loss = rg_metrics_get(&l->now, "loss");
    ck_assert(isfinite(*loss) && rg_metrics_get(&l->now, "discriminator/loss") > 0);
    RG_ASSERT_OK(rg_params_fetch(l->params, &err), &err);
    *n = rg_params_elements(l->params);
    float *values = copy_of(rg_params_values(l->params), *n);
    close_loop(l);
    return values;
}

START_TEST(a_codec_learns_as_on_the_cpu)
{
    double here, there, again;
    int64_t n;
    float *a = train_codec(&here, &n);
    open_gpu();
    float *b = train_codec(&there, &n);
    RG_ASSERT_NEAR(there, here, 1e-3 * here);
    compare("parameters", a, b, n, 1e-3);
    ck_assert(cuemu_set("streams", "eager"));
    float *c = train_codec(&again, &n);
    ck_assert_msg(!memcmp(b, c, (size_t)n * sizeof *b), "streams' order changes bits");
    free(a), free(b), free(c);
    close_gpu();
}
END_TEST

START_TEST(a_codec_learns_in_16_bits_as_in_fp32)
{
    double here, there;
    int64_t n;
    float *a = train_codec(&here, &n);
    open_gpu();
    for (int i = 0; i < HALVES; i++) {
        stored = halves[i].type;
        float *b = train_codec(&there, &n);
        RG_ASSERT_NEAR(there, here, halves[i].apart * here);
        compare("parameters", a, b, n, halves[i].apart);
        free(b);
    }
    stored = RG_F32;
    free(a);
    close_gpu();
}
END_TEST

/*
 * What is too large for fp16 on its way back changes nothing but the loss scale, and only the scale
 * of the model whose gradients these are.
 */
START_TEST(an_overflow_skips_the_update)
{
    rg_error err = {0};
    rg_update update;
    double wait = 0;
    open_gpu();
    stored = RG_F16;
    loop *l = open_with(judged, 1);
    l->adam.eps = 1e-3;
    run(l, 0, 1);
    const rg_codec_run *codec = l->self;
    const rg_judge *judge = &codec->judges.each[0];
    const int64_t n = rg_params_elements(l->params), judged_before = judge->adamw.step;
    RG_ASSERT_OK(rg_params_fetch(l->params, &err), &err);
    float *before = copy_of(rg_params_values(l->params), n);
    l->scaler.scale = 0x1p40;
    rg_params_zero_gradients(l->params);
    rg_step_begin(l->ex, 1);
    ck_assert_int_eq(rg_codec_task.micro_step(l->self, 1, 0, &l->now, &wait), RG_OK);
    RG_ASSERT_OK(rg_adamw_step(&l->adam, &l->scaler, l->params, l->ex, 1e-3, 1, &update),
                 &l->ex->error);
    ck_assert_msg(update.skipped && update.nonfinite[0], "|g| %g", update.grad_norm);
    ck_assert(l->scaler.scale == 0x1p39 && l->scaler.skipped == 1 && l->scaler.good_steps == 0);
    ck_assert_int_eq(l->adam.step, 1);
    RG_ASSERT_OK(rg_params_fetch(l->params, &err), &err);
    ck_assert_mem_eq(before, rg_params_values(l->params), (size_t)n * sizeof *before);
    ck_assert(judge->scaler.scale == 65536 && judge->adamw.step == judged_before + 1);
    l->scaler.scale = 1024;
    run(l, 2, 3);
    ck_assert_int_eq(l->adam.step, 2);
    free(before);
    close_loop(l);
    stored = RG_F32;
    close_gpu();
}
END_TEST

RG_TEST_MAIN("cuda models", 300, tracks_learn_and_choose_as_on_the_cpu,
             tracks_learn_in_16_bits_as_in_fp32, a_codec_learns_as_on_the_cpu,
             a_codec_learns_in_16_bits_as_in_fp32, an_overflow_skips_the_update)
