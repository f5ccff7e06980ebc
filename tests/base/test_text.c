/*
 * Status slots, growing text, numbers in every locale, near names.
 */
#include "base/text.h"

#include <locale.h>

#include "german.h"
#include "test.h"

START_TEST(the_first_error_stays)
{
    rg_error err = {0};
    ck_assert_int_eq(rg_fail(&err, RG_ERR_IO, "first %d", 1), RG_ERR_IO);
    ck_assert_int_eq(rg_fail(&err, RG_ERR_SHAPE, "second"), RG_ERR_SHAPE);
    ck_assert_int_eq(err.code, RG_ERR_IO);
    ck_assert_str_eq(err.text, "first 1");
    rg_error_prefix(&err, "file %s", "a.yaml");
    ck_assert_str_eq(err.text, "file a.yaml: first 1");
    rg_error_clear(&err);
    ck_assert_int_eq(err.code, RG_OK);
    rg_error_prefix(&err, "nothing to prefix");
    ck_assert_str_eq(err.text, "");
    ck_assert_int_eq(rg_fail(NULL, RG_ERR_IO, "dropped"), RG_ERR_IO);
    ck_assert_str_eq(rg_status_text(RG_ERR_NOMEM), "out of memory");
    ck_assert_str_eq(rg_status_text((rg_status)999), "unknown status");
}
END_TEST

START_TEST(long_errors_are_visibly_cut)
{
    char big[2000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    rg_error err = {0};
    rg_fail(&err, RG_ERR_IO, "%s", big);
    ck_assert_uint_eq(strlen(err.text), RG_ERROR_TEXT - 1);
    ck_assert_str_eq(err.text + RG_ERROR_TEXT - 4, "...");
    rg_error_prefix(&err, "%s", big);
    ck_assert_str_eq(err.text + RG_ERROR_TEXT - 4, "...");
    rg_error exact = {0};
    rg_fail(&exact, RG_ERR_IO, "%.*s", RG_ERROR_TEXT - 1, big);
    ck_assert_str_eq(exact.text + RG_ERROR_TEXT - 4, "xxx");
}
END_TEST

START_TEST(errors_are_one_printable_line)
{
    rg_error err = {0};
    rg_fail(&err, RG_ERR_IO, "norm is %s",
            "a\nb\033[2J\x7f \u00e9 \xc2\x9b"
            "1m");
    ck_assert_str_eq(err.text, "norm is a?b?[2J? \u00e9 ??1m");
    rg_error_prefix(&err, "%s", "x\ry");
    ck_assert_str_eq(err.text, "x?y: norm is a?b?[2J? \u00e9 ??1m");
    rg_error_clear(&err);
    rg_fail(&err, RG_ERR_IO, "\n%0*d\n", RG_ERROR_TEXT, 0);
    ck_assert_int_eq(err.text[0], '?');
    ck_assert_str_eq(err.text + RG_ERROR_TEXT - 4, "...");
}
END_TEST

START_TEST(text_grows_to_its_limit)
{
    rg_error err = {0};
    rg_text text;
    rg_text_init(&text, 1000);
    for (int i = 0; i < 100; i++) rg_text_printf(&text, "%09d\n", i);
    RG_ASSERT_OK(rg_text_status(&text, &err), &err);
    ck_assert_uint_eq(text.n, 1000);
    ck_assert_mem_eq(text.data + 990, "000000099\n", 11);
    rg_text_add(&text, "");
    ck_assert(!text.bad);
    rg_text_add(&text, "x");
    ck_assert(text.bad);
    rg_text_add_n(&text, "", 0);
    ck_assert_int_eq(rg_text_status(&text, &err), RG_ERR_NOMEM);
    rg_text_free(&text);
    rg_text_add_n(&text, "abcdef", 3);
    ck_assert_str_eq(text.data, "abc");
    rg_text_free(&text);
    ck_assert_ptr_null(text.data);
}
END_TEST

START_TEST(copies_are_always_ended)
{
    char out[4];
    ck_assert(rg_copy_text(out, sizeof out, "abc"));
    ck_assert_str_eq(out, "abc");
    ck_assert(!rg_copy_text(out, sizeof out, "abcd"));
    ck_assert_str_eq(out, "abc");
    ck_assert(!rg_copy_text(out, sizeof out, "ab\u00e9"));
    ck_assert_str_eq(out, "ab"); /* no half characters */
    ck_assert(!rg_copy_text(out, 0, "a"));
}
END_TEST

static const char *const not_doubles[] = {"",   " 1",    "1 ", "1,5",   "nan", "inf", "0x10",
                                          "1e", "1e999", ".",  "1.2.3", "e5",  "-",   "--1"};
static const double round_trips[] = {
    0, 1, 0.1, 1.0 / 3, 3e-4, 1e300, 5e-324, -2.5, 0x1p-53, 1e22, 123456789012345678.0, 0.1 + 0.2};

static void check_numbers(void)
{
    double v = 0;
    ck_assert(rg_parse_double("-1.5e3", &v) && v == -1500);
    ck_assert(rg_parse_double(".5", &v) && v == 0.5);
    for (size_t i = 0; i < sizeof not_doubles / sizeof not_doubles[0]; i++)
        ck_assert_msg(!rg_parse_double(not_doubles[i], &v), "'%s' was taken", not_doubles[i]);
    char out[32];
    ck_assert_str_eq(rg_format_double(0.1, out), "0.1");
    ck_assert_str_eq(rg_format_double(3e-4, out), "0.0003");
    for (size_t i = 0; i < sizeof round_trips / sizeof round_trips[0]; i++) {
        ck_assert(rg_parse_double(rg_format_double(round_trips[i], out), &v));
        ck_assert_msg(v == round_trips[i], "%s", out);
        ck_assert_ptr_null(strchr(out, ','));
    }
    rg_error err = {0};
    rg_fail(&err, RG_ERR_IO, "%.2f", 1.25);
    ck_assert_str_eq(err.text, "1.25");
    rg_text text;
    rg_text_init(&text, 100);
    rg_text_printf(&text, "%g", 0.5);
    ck_assert_str_eq(text.data, "0.5");
    rg_text_free(&text);
}

START_TEST(numbers_have_a_point)
{
    check_numbers();
}
END_TEST

START_TEST(numbers_have_a_point_in_german_too)
{
    rg_test_german();
    check_numbers();
    setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(integers_to_their_limits)
{
    int64_t v;
    ck_assert(rg_parse_int("9223372036854775807", &v) && v == INT64_MAX);
    ck_assert(rg_parse_int("-9223372036854775808", &v) && v == INT64_MIN);
    ck_assert(rg_parse_int("+12", &v) && v == 12);
    ck_assert(rg_parse_int("-0", &v) && v == 0);
    static const char *const bad[] = {
        "", "-", "1.0", " 1", "1 ", "9223372036854775808", "-9223372036854775809", "0x1", "1e3"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!rg_parse_int(bad[i], &v), "'%s' was taken", bad[i]);
}
END_TEST

START_TEST(near_names)
{
    static const char *const names[] = {"sample_rate", "batch_size", "learning_rate", "lr", "seed"};
    static const struct {
        const char *word, *nearest;
    } cases[] = {
        {"sampel_rate", "sample_rate"},
        {"batchsize", "batch_size"},
        {"sead", "seed"},
        {"Lr", "lr"},
        {"learn_rate", "learning_rate"},
        {"zebra", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *nearest = rg_nearest_name(cases[i].word, names, 5);
        if (!cases[i].nearest)
            ck_assert_msg(!nearest, "%s -> %s", cases[i].word, nearest ? nearest : "");
        else
            ck_assert_pstr_eq(nearest, cases[i].nearest);
    }
    char longest[200];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    ck_assert_ptr_null(rg_nearest_name(longest, names, 5));
    ck_assert_ptr_null(rg_nearest_name("seed", names, 0));
}
END_TEST

RG_TEST_MAIN("text", 60, the_first_error_stays, long_errors_are_visibly_cut,
             errors_are_one_printable_line, text_grows_to_its_limit, copies_are_always_ended,
             numbers_have_a_point, numbers_have_a_point_in_german_too, integers_to_their_limits,
             near_names)
