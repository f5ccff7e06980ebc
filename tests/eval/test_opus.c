/*
 * The Opus row: with programs that are not there, that fail, and, where they are, the real ones.
 */
#include <sys/stat.h>

#include "base/fs.h"
#include "base/rng.h"
#include "eval/metrics/opus_baseline.h"
#include "eval/metrics/signal.h"
#include "test.h"

enum { RATE = 24000, N = 2 * RATE + 7 };

static float *song(void)
{
    float *x = malloc(N * sizeof *x);
    rg_rng rng = rg_rng_make(1, 1);
    for (int t = 0; t < N; t++) {
        double s = t / (double)RATE, beat = fmod(s, 0.5);
        x[t] = (float)(0.2 * sin(6.283185307 * 220 * s) + 0.1 * sin(6.283185307 * 1760 * s) +
                       0.1 * exp(-20 * beat) * (2 * rg_rng_uniform(&rng) - 1));
    }
    return x;
}

/* PATH and TMPDIR in the test's folder; `opusenc` and `opusdec` are these scripts, if any. */
static void use_programs(const char *opusenc, const char *opusdec)
{
    char folder[600], path[700];
    rg_error err = {0};
    const char *const scripts[] = {opusenc, opusdec}, *const names[] = {"opusenc", "opusdec"};
    snprintf(folder, sizeof folder, "%s/bin", rg_test_folder());
    if (rg_fs_exists(folder)) RG_ASSERT_OK(rg_fs_remove_tree(folder, &err), &err);
    RG_ASSERT_OK(rg_fs_make_folders(folder, &err), &err);
    for (int i = 0; i < 2; i++) {
        if (!scripts[i]) continue;
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        RG_ASSERT_OK(rg_fs_write_atomic(path, scripts[i], strlen(scripts[i]), &err), &err);
        ck_assert_int_eq(chmod(path, 0700), 0);
    }
    setenv("PATH", folder, 1);
    snprintf(path, sizeof path, "%s/tmp", rg_test_folder());
    RG_ASSERT_OK(rg_fs_make_folders(path, &err), &err);
    setenv("TMPDIR", path, 1);
}

static void nothing_is_left(void)
{
    char **names;
    size_t n;
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_list(getenv("TMPDIR"), &names, &n, &err), &err);
    ck_assert_msg(n == 0, "%s is left", n ? names[0] : "");
    rg_fs_free_names(names, n);
}

START_TEST(what_is_missing_is_named)
{
    static const char fine[] = "#!/bin/sh\nexit 0\n";
    rg_error err = {0};
    use_programs(NULL, fine);
    ck_assert_int_eq(rg_opus_installed(&err), RG_ERR_UNSUPPORTED);
    ck_assert_str_eq(err.text, "opusenc is not installed (package opus-tools)");
    rg_error_clear(&err);
    use_programs(fine, NULL);
    ck_assert_int_eq(rg_opus_installed(&err), RG_ERR_UNSUPPORTED);
    ck_assert_str_eq(err.text, "opusdec is not installed (package opus-tools)");
    rg_error_clear(&err);
    use_programs(fine, fine);
    RG_ASSERT_OK(rg_opus_installed(&err), &err);
}
END_TEST

START_TEST(failures_are_told_and_leave_nothing)
{
    static const struct {
        const char *opusenc, *opusdec, *word;
    } rows[] = {
        {"#!/bin/sh\necho no memory >&2\nexit 1\n", "", "opusenc --quiet failed: no memory"},
        {"#!/bin/sh\n: >out.opus\n", "#!/bin/sh\necho broken\nexit 1\n", "broken"},
        {"#!/bin/sh\n: >out.opus\n", "#!/bin/sh\nexit 0\n", "no whole Ogg file"},
        {"#!/bin/sh\nexit 0\n", "#!/bin/sh\nexit 0\n", "out.opus"},
    };
    float *x = song(), *y = malloc(N * sizeof *y);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        rg_error err = {0};
        double taken;
        use_programs(rows[i].opusenc, rows[i].opusdec);
        ck_assert_int_ne(rg_opus_baseline(x, N, RATE, 6000, y, &taken, &err), RG_OK);
        ck_assert_msg(strstr(err.text, rows[i].word) != NULL, "%s", err.text);
        nothing_is_left();
    }
    free(x);
    free(y);
}
END_TEST

START_TEST(ogg_pages_are_counted)
{
    /* A header page (position 0) of 19 bytes, then a page of 300 bytes in two segments. */
    enum { FIRST = 27 + 1 + 19, SECOND = 27 + 2 + 300 };
    static const uint8_t name[4] = {'O', 'g', 'g', 'S'};
    uint8_t file[FIRST + SECOND] = {0}, *page = file + FIRST;
    memcpy(file, name, sizeof name);
    file[26] = 1;
    file[27] = 19;
    memcpy(page, name, sizeof name);
    page[6] = 1;
    page[26] = 2;
    page[27] = 255;
    page[28] = 45;
    ck_assert_int_eq(rg_ogg_payload(file, sizeof file), 300);
    ck_assert_int_eq(rg_ogg_payload(file, FIRST), 0);
    for (size_t cut = 0; cut < sizeof file; cut++)
        if (cut != FIRST) ck_assert_int_eq(rg_ogg_payload(file, cut), -1);
    page[1] = 'x';
    ck_assert_int_eq(rg_ogg_payload(file, sizeof file), -1);
}
END_TEST

/* The more bits the nearer; what comes back lies where it was. */
START_TEST(opus_comes_back_in_place)
{
    rg_error err = {0};
    if (rg_opus_installed(&err) != RG_OK) {
        printf("SKIP eval/opus: %s\n", err.text);
        return;
    }
    float *x = song(), *y = malloc(N * sizeof *y);
    double low_rate, high_rate, low, high;
    char folder[600];
    snprintf(folder, sizeof folder, "%s/tmp", rg_test_folder());
    RG_ASSERT_OK(rg_fs_make_folders(folder, &err), &err);
    setenv("TMPDIR", folder, 1);
    RG_ASSERT_OK(rg_opus_baseline(x, N, RATE, 900, y, &low_rate, &err), &err);
    low = rg_si_sdr(x, y, N);
    RG_ASSERT_OK(rg_opus_baseline(x, N, RATE, 128000, y, &high_rate, &err), &err);
    high = rg_si_sdr(x, y, N);
    ck_assert_msg(low_rate > 3000 && low_rate < 9000, "asked for 900 bit/s, took %g", low_rate);
    ck_assert_msg(high_rate > 60000 && high_rate < 160000, "128000 bit/s: took %g", high_rate);
    ck_assert_msg(high > 15 && high > low + 5, "%g dB, %g dB", low, high);
    nothing_is_left();
    free(x);
    free(y);
}
END_TEST

RG_TEST_MAIN("eval/opus", 300, opus_comes_back_in_place, what_is_missing_is_named,
             failures_are_told_and_leave_nothing, ogg_pages_are_counted)
