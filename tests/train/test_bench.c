/*
 * Benchmarks as a program reads them: whole rows in JSON, an unknown group refused by name.
 */
#include "test.h"

#include <jansson.h>

#include "train/bench.h"

START_TEST(test_json)
{
    rg_error err = {0};
    rg_text out;
    rg_text_init(&out, 1 << 20);
    RG_ASSERT_OK(rg_bench_run((const char *const[]){"lstm"}, 1, true, &out, NULL, &err), &err);
    json_t *all = json_loads(out.data, 0, NULL);
    ck_assert_msg(all != NULL, "not JSON: %s", out.data);
    json_t *rows = json_object_get(all, "rows"), *row;
    const size_t n = json_array_size(rows), precisions = n / 3; /* bf16 where it is multiplied */
    ck_assert_msg(n == 3 * precisions && (precisions == 1 || precisions == 2), "%zu rows", n);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(rows, 0), "name")), "lstm");
    size_t i;
    json_array_foreach(rows, i, row)
    {
        const double least = json_number_value(json_object_get(row, "min_ms"));
        const double median = json_number_value(json_object_get(row, "median_ms"));
        ck_assert_str_eq(json_string_value(json_object_get(row, "group")), "lstm");
        ck_assert(least > 0 && median >= least);
        ck_assert(json_number_value(json_object_get(row, "gflops")) > 0);
        ck_assert(json_number_value(json_object_get(row, "share_of_peak")) > 0);
        ck_assert_str_eq(json_string_value(json_object_get(row, "precision")),
                         i < 3 ? "fp32" : "bf16");
        ck_assert_int_ge(json_integer_value(json_object_get(row, "threads")), 1);
    }
    const json_t *peak = json_object_get(all, "peak_gflops");
    ck_assert(json_number_value(json_object_get(peak, "fp32")) > 0);
    ck_assert(json_number_value(json_object_get(peak, "bf16")) > 0);
    json_decref(all);
    rg_text_free(&out);
}
END_TEST

START_TEST(test_loader)
{
    rg_error err = {0};
    rg_text out;
    rg_text_init(&out, 1 << 20);
    RG_ASSERT_OK(rg_bench_run((const char *const[]){"loader"}, 1, true, &out, NULL, &err), &err);
    json_t *all = json_loads(out.data, 0, NULL);
    ck_assert_msg(all != NULL, "not JSON: %s", out.data);
    json_t *rows = json_object_get(all, "rows"), *row;
    ck_assert_uint_eq(json_array_size(rows), 3);
    size_t i;
    json_array_foreach(rows, i, row)
    {
        ck_assert_int_eq(json_integer_value(json_object_get(row, "threads")), 1);
        ck_assert(json_number_value(json_object_get(row, "per_s")) > 0);
        ck_assert(json_number_value(json_object_get(row, "mb_per_s")) > 0);
    }
    json_decref(all);
    rg_text_free(&out);
}
END_TEST

START_TEST(test_unknown)
{
    rg_error err = {0};
    rg_text out;
    rg_text_init(&out, 1 << 20);
    const rg_status status =
        rg_bench_run((const char *const[]){"gemm", "fft"}, 2, false, &out, NULL, &err);
    rg_text_free(&out);
    ck_assert_int_eq(status, RG_ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "fft"));
}
END_TEST

RG_TEST_MAIN("bench", 300, test_json, test_loader, test_unknown)
