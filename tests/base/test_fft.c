/*
 * The FFT seam against a plain DFT in double precision; the same test for both libraries.
 */
#include "base/fft.h"

#include <pthread.h>

#include "base/rng.h"
#include "test.h"

static const int32_t sizes[] = {2, 4, 6, 8, 10, 14, 30, 64, 96, 250, 512, 882, 1024};
enum { SIZES = sizeof sizes / sizeof sizes[0], MOST = 1024 };

typedef struct buffers {
    _Alignas(64) float x[MOST], spectrum[MOST + 16], back[MOST], kept[MOST];
} buffers;

static void fill(float *x, int32_t n)
{
    rg_rng rng = rg_rng_make(11, (uint64_t)n);
    rg_rng_fill_normal(&rng, x, n, 0, 1);
}

static double worst_bin(const float *x, const float *spectrum, int32_t n)
{
    double worst = 0;
    for (int32_t k = 0; k <= n / 2; k++) {
        double re = 0, im = 0;
        for (int32_t i = 0; i < n; i++) {
            double angle = -2 * M_PI * (double)((int64_t)i * k % n) / n;
            re += (double)x[i] * cos(angle);
            im += (double)x[i] * sin(angle);
        }
        double err = hypot((double)spectrum[2 * k] - re, (double)spectrum[2 * k + 1] - im);
        if (!(err <= worst)) worst = err;
    }
    return worst;
}

START_TEST(agrees_with_the_definition)
{
    static buffers b;
    int32_t n = sizes[_i];
    rg_error err = {0};
    const rg_fft *plan = rg_fft_plan(n, &err);
    ck_assert_msg(plan != NULL, "%s", err.text);
    fill(b.x, n);
    memcpy(b.kept, b.x, sizeof b.x);
    b.spectrum[n + 2] = 77;
    rg_fft_forward(plan, b.x, b.spectrum);
    ck_assert_mem_eq(b.x, b.kept, sizeof b.x);
    ck_assert(b.spectrum[n + 2] == 77);
    RG_ASSERT_NEAR(worst_bin(b.x, b.spectrum, n), 0, 1e-6 * n + 1e-6);
    rg_fft_inverse(plan, b.spectrum, b.back);
    for (int32_t i = 0; i < n; i++)
        RG_ASSERT_NEAR((double)b.back[i], (double)n * (double)b.x[i], 4e-6 * n);
}
END_TEST

START_TEST(plans_are_shared_and_sizes_checked)
{
    rg_error err = {0};
    ck_assert_ptr_eq(rg_fft_plan(64, &err), rg_fft_plan(64, &err));
    static const int32_t bad[] = {0, -4, 1, 3, (1 << 20) + 2};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rg_error_clear(&err);
        ck_assert_ptr_null(rg_fft_plan(bad[i], &err));
        ck_assert_int_eq(err.code, RG_ERR_SHAPE);
    }
    ck_assert_ptr_nonnull(rg_fft_plan(1 << 20, NULL));
    ck_assert_int_ge((int)strcspn(rg_fft_library(), " "), 4);
}
END_TEST

/* Its sum is n/2, its sum of squares 3n/8; it is even about n/2. */
START_TEST(the_window_is_hanns)
{
    rg_error err = {0};
    const int32_t n = sizes[_i];
    const rg_fft *plan = rg_fft_plan(n, &err);
    ck_assert_msg(plan != NULL, "%s", err.text);
    const double *hann = rg_fft_hann(plan);
    double sum = 0, squares = 0;
    for (int32_t i = 0; i < n; i++) {
        sum += hann[i], squares += hann[i] * hann[i];
        RG_ASSERT_NEAR(hann[i], hann[(n - i) % n], 1e-12);
    }
    RG_ASSERT_NEAR(hann[0], 0, 0);
    RG_ASSERT_NEAR(sum, 0.5 * n, 1e-9 * n);
    if (n > 2) RG_ASSERT_NEAR(squares, 0.375 * n, 1e-9 * n); /* of 2 points: 0, 1 */
}
END_TEST

static void *transform_often(void *arg)
{
    buffers *b = arg;
    const rg_fft *plan = rg_fft_plan(882, NULL);
    for (int i = 0; i < 300; i++) rg_fft_forward(plan, b->x, b->spectrum);
    return NULL;
}

START_TEST(threads_share_a_plan)
{
    static buffers b[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) fill(b[i].x, 882);
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, transform_often, &b[i]);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (int i = 1; i < 4; i++) ck_assert_mem_eq(b[0].spectrum, b[i].spectrum, 884 * sizeof(float));
}
END_TEST

int main(void)
{
    printf("library: %s\n", rg_fft_library());
    Suite *s = suite_create("fft");
    TCase *tc = tcase_create("fft");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, agrees_with_the_definition, 0, SIZES);
    tcase_add_loop_test(tc, the_window_is_hanns, 0, SIZES);
    tcase_add_test(tc, plans_are_shared_and_sizes_checked);
    tcase_add_test(tc, threads_share_a_plan);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
