/*
 * Fuzzing what model files say about themselves: the configuration of a codec and of tracks. One
 * that is taken is written and read back the same.
 */
#include <string.h>

#include "fuzz.h"
#include "models/encodec.h"
#include "models/track_transformer.h"

static void try_codec(const char *text)
{
    rg_error err = {0};
    rg_encodec_config config, again;
    if (rg_encodec_config_from_json(text, &config, &err) != RG_OK) {
        if (!err.text[0]) abort();
        return;
    }
    char *written = rg_encodec_config_to_json(&config);
    if (!written || rg_encodec_config_from_json(written, &again, &err) != RG_OK) abort();
    char *twice = rg_encodec_config_to_json(&again);
    if (!twice || strcmp(written, twice) != 0) abort();
    free(written);
    free(twice);
}

static void try_tracks(const char *text)
{
    static rg_track_config config, again;
    rg_error err = {0};
    if (rg_track_config_from_json(text, &config, &err) != RG_OK) {
        if (!err.text[0]) abort();
        return;
    }
    char *written = rg_track_config_to_json(&config);
    if (!written || rg_track_config_from_json(written, &again, &err) != RG_OK) abort();
    char *twice = rg_track_config_to_json(&again);
    if (!twice || strcmp(written, twice) != 0) abort();
    free(written);
    free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = malloc(n + 1);
    if (!text) abort();
    memcpy(text, data, n);
    text[n] = 0;
    try_codec(text);
    try_tracks(text);
    free(text);
    return 0;
}
