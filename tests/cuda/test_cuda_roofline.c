/*
 * A training step measured beside its prediction: every call is timed in its own row, all that was
 * predicted was run, whatever activations are stored as.
 */
#include <jansson.h>

#include "cuemu_control.h"
#include "test.h"
#include "toy_store.h"
#include "train/roofline.h"

static const char *store(void)
{
    static char folder[700];
    if (folder[0]) return folder;
    const rg_toy toy = {2, 4, 8000, 6, 0};
    snprintf(folder, sizeof folder, "%s/store", rg_test_folder());
    rg_store_close(rg_toy_build(&toy, folder));
    ck_assert(cuemu_set("memory", "512"));
    return folder;
}

static void run(const char *activations, bool json, rg_text *out)
{
    rg_error err = {0};
    char config[700], in[720], stored[48];
    const char *const set[] = {in,
                               stored,
                               "threads=1",
                               "pin=false",
                               "batch=1",
                               "accumulate=2",
                               "crop_seconds=0.3",
                               "filters=4",
                               "dimension=16",
                               "discriminator.filters=4",
                               "discriminator.start=0"};
    snprintf(config, sizeof config, "%s/configs/codec/quickstart-bass.yaml", RG_SOURCE_DIR);
    snprintf(in, sizeof in, "store=%s", store());
    snprintf(stored, sizeof stored, "precision.activations=%s", activations);
    rg_text_init(out, 1 << 20);
    RG_ASSERT_OK(
        rg_roofline_run(config, set, sizeof set / sizeof *set, true, json, out, NULL, &err), &err);
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_number(value), "no number '%s'", key);
    return json_number_value(value);
}

/* Of all slots but `without`. */
static double calls_of(const json_t *rows, const char *without)
{
    double calls = 0;
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row)
    {
        const char *slot = json_string_value(json_object_get(row, "slot"));
        if (strcmp(slot, without) != 0) calls += number(row, "calls");
    }
    return calls;
}

static void check(const char *activations, const char *stored_as)
{
    rg_text out;
    run(activations, true, &out);
    json_t *all = json_loads(out.data, 0, NULL);
    const json_t *measured = json_object_get(all, "measured"), *row;
    ck_assert_msg(json_is_object(measured), "%s", out.data);
    ck_assert_str_eq(json_string_value(json_object_get(measured, "activations")), stored_as);
    double ms = 0, adamw = 0, before = 1e30;
    size_t i;
    json_array_foreach(json_object_get(measured, "rows"), i, row)
    {
        const double took = number(row, "measured_ms");
        const char *slot = json_string_value(json_object_get(row, "slot"));
        ck_assert_msg(took > 0 && took <= before, "%s: %g ms", slot, took);
        before = took;
        ms += took;
        if (!strcmp(slot, "adamw")) adamw += number(row, "calls");
    }
    RG_ASSERT_NEAR(ms, number(measured, "kernels_ms"), 1e-9 * ms);
    ck_assert(number(measured, "step_ms") > 0);
    ck_assert_double_ge(adamw, 1);
    /* the CPU packs matrices, 16 bits are converted: all else is what was predicted */
    const json_t *card = json_array_get(json_object_get(all, "cards"), 0);
    ck_assert_double_eq(calls_of(json_object_get(measured, "rows"), "convert"),
                        calls_of(json_object_get(card, "rows"), "pack"));
    json_decref(all);
    rg_text_free(&out);
}

START_TEST(every_call_is_timed_in_its_row)
{
    check("fp32", "F32");
    check("fp16", "F16");
}
END_TEST

START_TEST(the_table_says_what_was_measured)
{
    rg_text out;
    run("fp32", false, &out);
    ck_assert(strstr(out.data, "nothing was measured") == NULL);
    ck_assert_msg(strstr(out.data, "\nmeasured on the ") != NULL, "%s", out.data);
    rg_text_free(&out);
}
END_TEST

RG_TEST_MAIN("cuda roofline", 300, every_call_is_timed_in_its_row, the_table_says_what_was_measured)
