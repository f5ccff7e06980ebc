/*
 * JSON: places in errors, members with types, formats and versions, round trips.
 */
#include "base/json.h"

#include "base/fs.h"
#include "test.h"

static const char *path_in_folder(const char *name)
{
    static char path[700];
    snprintf(path, sizeof path, "%s/%s", rg_test_folder(), name);
    return path;
}

static json_t *parse(const char *text)
{
    rg_error err = {0};
    json_t *value = rg_json_parse(text, strlen(text), "x.json", &err);
    ck_assert_msg(value != NULL, "%s", err.text);
    return value;
}

START_TEST(round_trip_keeps_order)
{
    rg_error err = {0};
    json_t *value = parse("{\"z\": 1, \"a\": [0.1, true, null], \"m\": {\"ü\": \"\\u0001\"}}");
    const char *path = path_in_folder("odd \xc3\xbc name.json");
    RG_ASSERT_OK(rg_json_write(value, path, &err), &err);
    json_t *back = rg_json_read(path, 1000, &err);
    ck_assert_msg(back && json_equal(value, back), "%s", err.text);
    ck_assert_str_eq(json_object_iter_key(json_object_iter(back)), "z");
    json_decref(back);
    ck_assert_ptr_null(rg_json_read(path, 10, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "larger than the limit of 10 bytes"));
    rg_error full = {0};
    ck_assert_int_eq(rg_json_write(value, "/dev/full", &full), RG_ERR_IO);
    ck_assert_str_eq(full.text, "/dev/full: cannot write: No space left on device");
    json_decref(value);
}
END_TEST

static const struct {
    const char *text, *place;
} faults[] = {
    {"", "x.json:1:1: "},
    {"{\n \"a\": }", "x.json:2:"},
    {"{\"a\":1,\n\"a\":2}", "x.json:2:3: duplicate"},
    {"[1,2] 3", "x.json:1:"},
    {"{\"a\": 1e999}", "x.json:1:"},
    {"\"\xff\"", "x.json:1:"},
    {"[NaN]", "x.json:1:"},
};

START_TEST(faults_have_a_place)
{
    rg_error err = {0};
    ck_assert_ptr_null(rg_json_parse(faults[_i].text, strlen(faults[_i].text), "x.json", &err));
    ck_assert_int_eq(err.code, RG_ERR_FORMAT);
    ck_assert_msg(strncmp(err.text, faults[_i].place, strlen(faults[_i].place)) == 0, "%s",
                  err.text);
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    static char deep[100001];
    memset(deep, '[', sizeof deep - 1);
    rg_error err = {0};
    ck_assert_ptr_null(rg_json_parse(deep, sizeof deep - 1, "deep", &err));
    ck_assert_int_eq(err.code, RG_ERR_FORMAT);
}
END_TEST

START_TEST(members_have_types)
{
    rg_error err = {0};
    json_t *o = parse("{\"t\":\"x\",\"i\":7,\"d\":1.5,\"l\":[],\"o\":{}}");
    const char *text;
    int64_t i;
    double d;
    RG_ASSERT_OK(rg_json_get_text(o, "t", "w", &text, &err), &err);
    RG_ASSERT_OK(rg_json_get_int(o, "i", "w", &i, &err), &err);
    RG_ASSERT_OK(rg_json_get_double(o, "d", "w", &d, &err), &err);
    ck_assert(strcmp(text, "x") == 0 && i == 7 && d == 1.5);
    RG_ASSERT_OK(rg_json_get_double(o, "i", "w", &d, &err), &err);
    ck_assert(d == 7);
    ck_assert_ptr_nonnull(rg_json_get_array(o, "l", "w", &err));
    ck_assert_ptr_nonnull(rg_json_get_object(o, "o", "w", &err));
    ck_assert_int_eq(rg_json_get_int(o, "d", "w", &i, &err), RG_ERR_FORMAT);
    ck_assert_str_eq(err.text, "w: 'd' is a number, expected a whole number");
    rg_error_clear(&err);
    ck_assert_ptr_null(rg_json_get_array(o, "none", "w", &err));
    ck_assert_str_eq(err.text, "w: 'none' is missing (a list is expected)");
    rg_error_clear(&err);
    ck_assert_ptr_null(rg_json_get_object(o, "l", "w", &err));
    ck_assert_int_eq(rg_json_get_text(NULL, "t", "w", &text, &err), RG_ERR_FORMAT);
    ck_assert_int_eq(rg_json_get_double(o, "t", "w", &d, &err), RG_ERR_FORMAT);
    json_decref(o);
}
END_TEST

static const struct {
    const char *text;
    rg_status status;
    const char *part;
} formats[] = {
    {"{\"format\":\"f\",\"version\":\"2.0\"}", RG_OK, ""},
    {"{\"format\":\"f\",\"version\":\"1.9\"}", RG_OK, ""},
    {"{\"format\":\"f\",\"version\":\"2.17\"}", RG_OK, ""},
    {"{\"format\":\"f\",\"version\":\"3.0\"}", RG_ERR_UNSUPPORTED, "w: f version 3.0 is newer"},
    {"{\"format\":\"g\",\"version\":\"2.0\"}", RG_ERR_FORMAT, "the format is 'g', expected 'f'"},
    {"{\"format\":\"f\",\"version\":\"2\"}", RG_ERR_FORMAT, "expected MAJOR.MINOR"},
    {"{\"format\":\"f\",\"version\":\"2.x\"}", RG_ERR_FORMAT, "expected MAJOR.MINOR"},
    {"{\"format\":\"f\",\"version\":2.0}", RG_ERR_FORMAT, "'version' is a number"},
    {"{\"version\":\"2.0\"}", RG_ERR_FORMAT, "'format' is missing"},
};

START_TEST(newer_majors_are_refused)
{
    rg_error err = {0};
    json_t *o = parse(formats[_i].text);
    ck_assert_int_eq(rg_json_check_format(o, "f", 2, "w", &err), formats[_i].status);
    ck_assert_msg(strstr(err.text, formats[_i].part) != NULL, "%s", err.text);
    json_decref(o);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("json");
    TCase *tc = tcase_create("json");
    tcase_add_test(tc, round_trip_keeps_order);
    tcase_add_loop_test(tc, faults_have_a_place, 0, sizeof faults / sizeof faults[0]);
    tcase_add_test(tc, deep_nesting_is_refused);
    tcase_add_test(tc, members_have_types);
    tcase_add_loop_test(tc, newer_majors_are_refused, 0, sizeof formats / sizeof formats[0]);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
