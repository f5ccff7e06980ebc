/*
 * The self-test on a device: all three types of activations are checked, and a device without bf16
 * is asked for two.
 */
#include "test.h"
#include "cuemu_control.h"
#include "train/selftest.h"

/* The log of a run in which all is well. */
static void run(const char *sm, rg_text *out)
{
    rg_error err = {0};
    const rg_selftest_options options = {.device = "cuda", .version = "x"};
    ck_assert(cuemu_set("memory", "512"));
    ck_assert(cuemu_set("sm", sm));
    rg_text_init(out, 1 << 20);
    RG_ASSERT_OK(rg_selftest_run(&options, out, NULL, &err), &err);
    ck_assert_msg(strstr(out->data, " 0 failed") != NULL, "%s", out->data);
}

START_TEST(all_types_of_activations_are_checked)
{
    rg_text out;
    run("86", &out);
    for (int i = 0; i < 3; i++) {
        static const char *const parts[] = {"in fp32", "in fp16", "in bf16"};
        char title[48];
        snprintf(title, sizeof title, "operators %s", parts[i]);
        ck_assert_msg(strstr(out.data, title) != NULL, "%s", title);
        snprintf(title, sizeof title, "models %s", parts[i]);
        ck_assert_msg(strstr(out.data, title) != NULL, "%s", title);
    }
    rg_text_free(&out);
}
END_TEST

START_TEST(a_device_without_bf16_is_asked_for_two)
{
    rg_text out;
    run("75", &out);
    ck_assert(strstr(out.data, "operators in fp16") && !strstr(out.data, "in bf16"));
    rg_text_free(&out);
}
END_TEST

RG_TEST_MAIN("cuda selftest", 300, all_types_of_activations_are_checked,
             a_device_without_bf16_is_asked_for_two)
