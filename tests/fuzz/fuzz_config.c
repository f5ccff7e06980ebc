/*
 * Fuzzing the configuration: any text is loaded or refused with a place; what is loaded dumps to a
 * text that loads to the same.
 */
#include <string.h>

#include "base/config.h"
#include "fuzz.h"

static const rg_config_key schema[] = {
    {"name", RG_CONFIG_TEXT, "demo", 0, 0, NULL, "name"},
    {"seed", RG_CONFIG_INT, "1", 0, 0, NULL, "seed"},
    {"optimizer.lr", RG_CONFIG_REAL, "0.1", 0, 0, NULL, "rate"},
    {"optimizer.betas", RG_CONFIG_REALS, "[0.9]", 0, 1, NULL, "betas"},
    {"optimizer.schedule", RG_CONFIG_CHOICE, "a", 0, 0, "a|b|c", "schedule"},
    {"optimizer.ema", RG_CONFIG_BOOL, "true", 0, 0, NULL, "average"},
    {"splits", RG_CONFIG_TEXTS, "[x]", 0, 0, NULL, "splits"},
    {"roles.*.rate", RG_CONFIG_INT, "8000", 0, 0, NULL, "Hz"},
    {"roles.*.ratios", RG_CONFIG_INTS, "[2]", 0, 0, NULL, "strides"},
    {"w.*", RG_CONFIG_REAL, "1", 0, 0, NULL, "weight"},
};
enum { SCHEMA = sizeof schema / sizeof schema[0] };

static rg_config *parse(const char *text, const char *override)
{
    rg_error err = {0};
    rg_config *c = rg_config_parse(text, "fuzz", schema, SCHEMA, &override, override ? 1 : 0, &err);
    if (!c && !err.text[0]) abort();
    return c;
}

static void check_dump(const rg_config *c)
{
    rg_text once, twice;
    rg_text_init(&once, 8 << 20);
    rg_text_init(&twice, 8 << 20);
    rg_config_dump(c, &once);
    rg_config *again = once.bad ? NULL : parse(once.data, NULL);
    if (again) rg_config_dump(again, &twice);
    /* a dump of many groups has more values than a file may have; else it must be the same */
    if (again && strcmp(once.data, twice.data) != 0) abort();
    if (!again && once.n < 4000) abort();
    rg_config_free(again);
    rg_text_free(&once);
    rg_text_free(&twice);
}

/* A first line "!key=value" is an override. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = malloc(n + 1), *file = text, *override = NULL;
    if (!text) abort();
    memcpy(text, data, n);
    text[n] = 0;
    char *newline = strchr(text, '\n');
    if (text[0] == '!' && newline) {
        *newline = 0;
        override = text + 1;
        file = newline + 1;
    }
    rg_config *c = parse(file, override);
    if (c) check_dump(c);
    rg_config_free(c);
    free(text);
    return 0;
}
