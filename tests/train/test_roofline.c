/*
 * A training step against data sheets: the products counted by kernels are those that operators
 * tell the engine; bounds add up; what cannot be opened is refused.
 */
#include <jansson.h>
#include <math.h>

#include "codec_loop.h"
#include "kernels/idle.h"
#include "train/roofline.h"

START_TEST(products_agree_with_the_engine)
{
    static const char *const set[] = {"quantizer.start=0", "discriminator.filters=4",
                                      "discriminator.start=0", NULL};
    loop *l = open_with(set, 1);
    rg_exec *ex = l->ex;
    rg_tally *tally = calloc(1, sizeof *tally);
    const rg_kernels *kernels = ex->kernels, counting = rg_kernels_idle(kernels);
    double counted = 0;
    tally->real_bytes = 2;
    ex->kernels = &counting;
    ex->kernel_ctx.tally = tally;
    rg_set_recording(ex, true);
    rg_step_begin(ex, 0);
    ck_assert_int_eq(rg_codec_task.rehearse(l->self, true, 2), RG_OK);
    ex->kernels = kernels;
    for (int32_t i = 0; i < tally->n; i++)
        counted += tally->rows[i].products +
                   (strcmp(tally->rows[i].slot, "rvq") ? 0 : tally->rows[i].other);
    ck_assert_msg(fabs(counted - (double)ex->flops) <= 0.03 * (double)ex->flops,
                  "%.0f counted, %lld told", counted, (long long)ex->flops);
    free(tally);
    close_loop(l);
}
END_TEST

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_number(value), "no number '%s'", key);
    return json_number_value(value);
}

/* Sums of the rows and what is said of all; returns the bound in ms. */
static double check_card(const json_t *all, const json_t *card)
{
    double ms = 0, flop = 0, bytes = 0, calls = 0, before = INFINITY;
    const json_t *row, *rows = json_object_get(card, "rows");
    size_t i;
    json_array_foreach(rows, i, row)
    {
        ck_assert(number(row, "ms") <= before);
        before = number(row, "ms");
        ms += before;
        flop += number(row, "flop");
        bytes += number(row, "bytes");
        calls += number(row, "calls");
    }
    RG_ASSERT_NEAR(ms, number(card, "bound_ms"), 1e-9 * ms);
    RG_ASSERT_NEAR(flop, number(all, "products_flop") + number(all, "other_flop"), 1e-9 * flop);
    RG_ASSERT_NEAR(bytes, number(all, "bytes"), 1e-9 * bytes);
    ck_assert_double_eq(calls, number(all, "kernels"));
    ck_assert(number(card, "products_ms") + number(card, "memory_ms") <= ms * (1 + 1e-9));
    ck_assert(number(card, "fusion_ms") < ms);
    return ms;
}

static rg_status predict(const char *config, const char *const *set, size_t n, bool json,
                         rg_text *out, rg_error *err)
{
    rg_text_init(out, 1 << 20);
    return rg_roofline_run(config, set, n, false, json, out, NULL, err);
}

START_TEST(bounds_add_up)
{
    char config[700], store[720];
    snprintf(config, sizeof config, "%s/configs/codec/quickstart-bass.yaml", RG_SOURCE_DIR);
    snprintf(store, sizeof store, "store=%s", toy_folder());
    const char *const set[] = {store, "accumulate=2", "threads=1", "lstm_layers=1"};
    rg_error err = {0};
    rg_text out;
    RG_ASSERT_OK(predict(config, set, 4, true, &out, &err), &err);
    json_t *all = json_loads(out.data, 0, NULL);
    ck_assert_msg(all != NULL, "not JSON: %s", out.data);
    ck_assert(json_is_true(json_object_get(all, "prediction")));
    ck_assert(number(all, "chain") > 0);
    ck_assert(number(all, "model_bytes") > 0 && number(all, "activation_bytes") > 0);
    const json_t *cards = json_object_get(all, "cards");
    ck_assert_uint_eq(json_array_size(cards), 3);
    const double small = check_card(all, json_array_get(cards, 0));
    const double large = check_card(all, json_array_get(cards, 2));
    ck_assert(small > large && large > 0);
    rg_text_free(&out);
    RG_ASSERT_OK(predict(config, set, 4, false, &out, &err), &err);
    ck_assert(strstr(out.data, "predicted from data sheets; nothing was measured") != NULL);
    ck_assert(strstr(out.data, "RTX 3090") && strstr(out.data, "adamw"));
    rg_text_free(&out);
    /* a step of twice as many micro-batches: the same update, all else twice */
    RG_ASSERT_OK(predict(config, (const char *const[]){store, "accumulate=4", "lstm_layers=1"}, 3,
                         true, &out, &err),
                 &err);
    json_t *twice = json_loads(out.data, 0, NULL);
    RG_ASSERT_NEAR(number(twice, "products_flop"), 2 * number(all, "products_flop"), 1);
    ck_assert(number(twice, "bytes") < 2 * number(all, "bytes"));
    ck_assert_double_eq(number(twice, "activation_bytes"), number(all, "activation_bytes"));
    json_decref(twice);
    json_decref(all);
    rg_text_free(&out);
}
END_TEST

START_TEST(what_cannot_be_opened_is_refused)
{
    char config[700];
    rg_error err = {0};
    rg_text out;
    snprintf(config, sizeof config, "%s/configs/codec/quickstart-bass.yaml", RG_SOURCE_DIR);
    ck_assert_int_ne(predict("no-such.yaml", NULL, 0, false, &out, &err), RG_OK);
    ck_assert_msg(strstr(err.text, "no-such.yaml") != NULL, "%s", err.text);
    rg_text_free(&out);
    err = (rg_error){0};
    const char *const set[] = {"store=no/such/store"};
    ck_assert_int_ne(predict(config, set, 1, false, &out, &err), RG_OK);
    ck_assert_msg(strstr(err.text, "no/such/store") != NULL, "%s", err.text);
    rg_text_free(&out);
}
END_TEST

RG_TEST_MAIN("train/roofline", 60, products_agree_with_the_engine, bounds_add_up,
             what_cannot_be_opened_is_refused)
