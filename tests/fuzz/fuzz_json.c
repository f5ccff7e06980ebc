/*
 * Fuzzing JSON as our files use it: parsed or refused with a place, then members, then the
 * vocabulary of a bundle, which is the largest thing that is read from foreign JSON.
 */
#include "base/json.h"
#include "fuzz.h"
#include "music/prompt/prompt.h"

static void read_members(const json_t *value)
{
    const char *text;
    int64_t whole;
    double real;
    rg_error err = {0};
    if (rg_json_get_text(value, "format", "x", &text, &err) == RG_OK && !text) abort();
    if (rg_json_get_int(value, "n", "x", &whole, NULL) != RG_OK && whole != 0) abort();
    if (rg_json_get_double(value, "n", "x", &real, NULL) != RG_OK && real != 0) abort();
    if (rg_json_check_format(value, "resonant", 1, "x", &err) != RG_OK && !err.text[0]) abort();
    (void)rg_json_get_array(value, "words", "x", NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    rg_error err = {0};
    json_t *value = rg_json_parse((const char *)data, n, "fuzz", &err);
    if (!value) {
        if (!err.text[0]) abort();
        return 0;
    }
    read_members(value);
    rg_vocabulary words;
    if (rg_vocabulary_make(&words)) {
        if (rg_vocabulary_extend(&words, value, "fuzz", &err) != RG_OK && !err.text[0]) abort();
        rg_vocabulary_free(&words);
    }
    json_decref(value);
    return 0;
}
