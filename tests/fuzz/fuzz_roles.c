/*
 * Fuzzing role maps: a YAML file is refused with a place, or is a map that can be asked for any
 * part of a song.
 */
#include <string.h>

#include "base/config.h"
#include "datasets/roles.h"
#include "fuzz.h"

static void ask(const rg_role_map *map)
{
    if (map->n < 1 || map->n > RG_MAX_ROLES) abort();
    for (int32_t r = 0; r < map->n; r++) {
        const rg_role_rule *rule = map->roles + r;
        if (!rule->name[0] || strnlen(rule->name, sizeof rule->name) == sizeof rule->name) abort();
        for (int i = 0; i < RG_ROLE_PATTERNS; i++)
            if (strnlen(rule->names[i], RG_ROLE_PATTERN) == RG_ROLE_PATTERN) abort();
    }
    char *json = rg_role_map_to_json(map);
    if (!json) abort();
    free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static rg_role_map map;
    rg_error err = {0};
    const char *path = fuzz_file(data, n);
    if (rg_role_map_load(path, &map, &err) == RG_OK)
        ask(&map);
    else if (!err.text[0])
        abort();
    char word[32];
    err = (rg_error){0};
    if (rg_config_peek(path, "task", word, sizeof word, &err) != RG_OK && !err.text[0]) abort();
    return 0;
}
