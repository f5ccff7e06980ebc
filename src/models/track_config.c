/*
 * The configuration of the track models: defaults, checks, words, JSON (track_transformer.h).
 *
 * One idea: the whole numbers are rows of one table, from which check, writer and reader are made.
 */
#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/text.h"
#include "models/track_transformer.h"

static const struct whole_number {
    const char *name;
    size_t offset;
    int32_t low, high, fallback;
} numbers[] = {
    {"width", offsetof(rg_track_config, width), 8, 8192, 512},
    {"heads", offsetof(rg_track_config, heads), 1, 128, 8},
    {"encoder_layers", offsetof(rg_track_config, encoder_layers), 1, RG_TRACK_LAYERS, 6},
    {"decoder_layers", offsetof(rg_track_config, decoder_layers), 1, RG_TRACK_LAYERS, 6},
    {"frames", offsetof(rg_track_config, frames), 4, 16384, 512},
    {"patch", offsetof(rg_track_config, patch), 1, 64, 4},
    {"same_reach", offsetof(rg_track_config, same_reach), 0, 64, 8},
    {"same_width", offsetof(rg_track_config, same_width), 0, 4096, 0},
    {"near_reach", offsetof(rg_track_config, near_reach), 0, 64, 4},
};
enum { N_NUMBERS = sizeof numbers / sizeof numbers[0] };

static const struct real_number {
    const char *name;
    size_t offset;
    double low, high, fallback;
} reals[] = {
    {"frame_rate", offsetof(rg_track_config, frame_rate), 1, 1000, 50},
    {"rope_base", offsetof(rg_track_config, rope_base), 1, 1e9, 10000},
    {"dropout", offsetof(rg_track_config, dropout), 0, 0.9, 0},
};
enum { N_REALS = sizeof reals / sizeof reals[0] };

static int32_t whole_of(const rg_track_config *config, size_t i)
{
    int32_t v;
    memcpy(&v, (const char *)config + numbers[i].offset, sizeof v);
    return v;
}

static void set_whole(rg_track_config *config, size_t i, int32_t v)
{
    memcpy((char *)config + numbers[i].offset, &v, sizeof v);
}

static double real_of(const rg_track_config *config, size_t i)
{
    double v;
    memcpy(&v, (const char *)config + reals[i].offset, sizeof v);
    return v;
}

static void set_real(rg_track_config *config, size_t i, double v)
{
    memcpy((char *)config + reals[i].offset, &v, sizeof v);
}

void rg_track_config_init(rg_track_config *config)
{
    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < N_NUMBERS; i++) set_whole(config, i, numbers[i].fallback);
    for (size_t i = 0; i < N_REALS; i++) set_real(config, i, reals[i].fallback);
}

static rg_status check_numbers(const rg_track_config *config, rg_error *err)
{
    for (size_t i = 0; i < N_NUMBERS; i++) {
        int32_t v = whole_of(config, i);
        if (v < numbers[i].low || v > numbers[i].high)
            return rg_fail(err, RG_ERR_CONFIG, "track model: %s is %d; it must be %d .. %d",
                           numbers[i].name, v, numbers[i].low, numbers[i].high);
    }
    for (size_t i = 0; i < N_REALS; i++) {
        double v = real_of(config, i);
        if (!(v >= reals[i].low && v <= reals[i].high))
            return rg_fail(err, RG_ERR_CONFIG, "track model: %s is %g; it must be %g .. %g",
                           reals[i].name, v, reals[i].low, reals[i].high);
    }
    if (config->width % config->heads || (config->width / config->heads) % 2)
        return rg_fail(err, RG_ERR_CONFIG,
                       "track model: width %d must be an even multiple of heads %d", config->width,
                       config->heads);
    if (config->frames % config->patch)
        return rg_fail(err, RG_ERR_CONFIG, "track model: frames %d is no multiple of patch %d",
                       config->frames, config->patch);
    return RG_OK;
}

static rg_status check_roles(const rg_track_config *config, rg_error *err)
{
    if (config->n_roles < 1 || config->n_roles > RG_TRACK_ROLES)
        return rg_fail(err, RG_ERR_CONFIG, "track model: %d roles; it must be 1 .. %d",
                       config->n_roles, RG_TRACK_ROLES);
    for (int32_t r = 0; r < config->n_roles; r++) {
        const rg_track_role *role = &config->roles[r];
        if (!role->name[0] || rg_track_find_role(config, role->name) != r)
            return rg_fail(err, RG_ERR_CONFIG, "track model: role %d '%s' has no name of its own",
                           r, role->name);
        if (role->books < 1 || role->books > RG_TRACK_BOOKS || role->entries < 2 ||
            role->entries > 65536 || role->dim < 1 || role->dim > 4096)
            return rg_fail(err, RG_ERR_CONFIG,
                           "track model: role %s has %d codebooks of %d entries, dim %d; it must "
                           "be 1 .. %d of 2 .. 65536, dim 1 .. 4096",
                           role->name, role->books, role->entries, role->dim, RG_TRACK_BOOKS);
    }
    return RG_OK;
}

static rg_status check_fields(const rg_track_config *config, rg_error *err)
{
    if (config->n_fields < 0 || config->n_fields > RG_TRACK_FIELDS)
        return rg_fail(err, RG_ERR_CONFIG, "track model: %d condition fields; at most %d fit",
                       config->n_fields, RG_TRACK_FIELDS);
    for (int32_t f = 0; f < config->n_fields; f++) {
        const rg_track_field *field = &config->fields[f];
        if (!field->name[0] || rg_track_find_field(config, field->name) != f)
            return rg_fail(err, RG_ERR_CONFIG, "track model: field %d '%s' has no name of its own",
                           f, field->name);
        if (field->n_words < 0 || field->n_words > RG_TRACK_WORDS)
            return rg_fail(err, RG_ERR_CONFIG, "track model: field %s has %d words; at most %d fit",
                           field->name, field->n_words, RG_TRACK_WORDS);
    }
    return RG_OK;
}

rg_status rg_track_config_check(const rg_track_config *config, rg_error *err)
{
    RG_TRY(check_numbers(config, err));
    RG_TRY(check_roles(config, err));
    return check_fields(config, err);
}

int32_t rg_track_find_role(const rg_track_config *config, const char *name)
{
    for (int32_t r = 0; r < config->n_roles; r++)
        if (strcmp(config->roles[r].name, name) == 0) return r;
    return -1;
}

int32_t rg_track_find_field(const rg_track_config *config, const char *name)
{
    for (int32_t f = 0; f < config->n_fields; f++)
        if (strcmp(config->fields[f].name, name) == 0) return f;
    return -1;
}

int32_t rg_track_word(const rg_track_config *config, const char *field, const char *word)
{
    int32_t f = rg_track_find_field(config, field);
    if (f < 0) return -1;
    for (int32_t w = 0; w < config->fields[f].n_words; w++)
        if (strcasecmp(config->fields[f].words[w], word) == 0) return w;
    return -1;
}

int32_t rg_track_nearest(const rg_track_config *config, const char *field, double value)
{
    int32_t f = rg_track_find_field(config, field), best = -1;
    if (f < 0 || !isfinite(value)) return -1;
    double least = INFINITY;
    for (int32_t w = 0; w < config->fields[f].n_words; w++) {
        double v;
        if (!rg_parse_double(config->fields[f].words[w], &v)) continue;
        double d = v > 0 && value > 0 ? fabs(log(value / v)) : fabs(value - v);
        if (d < least) {
            least = d;
            best = w;
        }
    }
    return best;
}

static json_t *roles_to_json(const rg_track_config *config)
{
    json_t *list = json_array();
    for (int32_t r = 0; r < config->n_roles; r++) {
        const rg_track_role *role = &config->roles[r];
        json_array_append_new(list,
                              json_pack("{s:s, s:i, s:i, s:i}", "name", role->name, "books",
                                        role->books, "entries", role->entries, "dim", role->dim));
    }
    return list;
}

static json_t *fields_to_json(const rg_track_config *config)
{
    json_t *list = json_array();
    for (int32_t f = 0; f < config->n_fields; f++) {
        json_t *words = json_array();
        for (int32_t w = 0; w < config->fields[f].n_words; w++)
            json_array_append_new(words, json_string(config->fields[f].words[w]));
        json_array_append_new(
            list, json_pack("{s:s, s:o}", "name", config->fields[f].name, "words", words));
    }
    return list;
}

char *rg_track_config_to_json(const rg_track_config *config)
{
    json_t *object = json_object();
    json_object_set_new(object, "roles", roles_to_json(config));
    json_object_set_new(object, "fields", fields_to_json(config));
    for (size_t i = 0; i < N_NUMBERS; i++)
        json_object_set_new(object, numbers[i].name, json_integer(whole_of(config, i)));
    for (size_t i = 0; i < N_REALS; i++)
        json_object_set_new(object, reals[i].name, json_real(real_of(config, i)));
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

static const char where[] = "track model configuration";

static rg_status read_name(const json_t *object, char out[RG_TRACK_NAME], rg_error *err)
{
    const char *name;
    RG_TRY(rg_json_get_text(object, "name", where, &name, err));
    if (!rg_copy_text(out, RG_TRACK_NAME, name))
        return rg_fail(err, RG_ERR_FORMAT, "%s: name '%s' is longer than %d", where, name,
                       RG_TRACK_NAME - 1);
    return RG_OK;
}

static rg_status read_small(const json_t *object, const char *key, int32_t *out, rg_error *err)
{
    int64_t v;
    RG_TRY(rg_json_get_int(object, key, where, &v, err));
    if (v < INT32_MIN || v > INT32_MAX)
        return rg_fail(err, RG_ERR_FORMAT, "%s: %s is out of range", where, key);
    *out = (int32_t)v;
    return RG_OK;
}

static rg_status read_roles(const json_t *list, rg_track_config *out, rg_error *err)
{
    if (json_array_size(list) > RG_TRACK_ROLES)
        return rg_fail(err, RG_ERR_FORMAT, "%s: %zu roles; at most %d fit", where,
                       json_array_size(list), RG_TRACK_ROLES);
    out->n_roles = (int32_t)json_array_size(list);
    for (int32_t r = 0; r < out->n_roles; r++) {
        const json_t *item = json_array_get(list, (size_t)r);
        RG_TRY(read_name(item, out->roles[r].name, err));
        RG_TRY(read_small(item, "books", &out->roles[r].books, err));
        RG_TRY(read_small(item, "entries", &out->roles[r].entries, err));
        RG_TRY(read_small(item, "dim", &out->roles[r].dim, err));
    }
    return RG_OK;
}

static rg_status read_words(const json_t *item, rg_track_field *field, rg_error *err)
{
    json_t *words = rg_json_get_array(item, "words", where, err);
    if (!words) return RG_ERR_FORMAT;
    if (json_array_size(words) > RG_TRACK_WORDS)
        return rg_fail(err, RG_ERR_FORMAT, "%s: field %s has %zu words; at most %d fit", where,
                       field->name, json_array_size(words), RG_TRACK_WORDS);
    field->n_words = (int32_t)json_array_size(words);
    for (int32_t w = 0; w < field->n_words; w++) {
        const char *word = json_string_value(json_array_get(words, (size_t)w));
        if (!word || !rg_copy_text(field->words[w], RG_TRACK_NAME, word))
            return rg_fail(err, RG_ERR_FORMAT, "%s: word %d of field %s is no text of 1 .. %d",
                           where, w, field->name, RG_TRACK_NAME - 1);
    }
    return RG_OK;
}

static rg_status read_fields(const json_t *list, rg_track_config *out, rg_error *err)
{
    if (json_array_size(list) > RG_TRACK_FIELDS)
        return rg_fail(err, RG_ERR_FORMAT, "%s: %zu fields; at most %d fit", where,
                       json_array_size(list), RG_TRACK_FIELDS);
    out->n_fields = (int32_t)json_array_size(list);
    for (int32_t f = 0; f < out->n_fields; f++) {
        const json_t *item = json_array_get(list, (size_t)f);
        RG_TRY(read_name(item, out->fields[f].name, err));
        RG_TRY(read_words(item, &out->fields[f], err));
    }
    return RG_OK;
}

static rg_status read_all(const json_t *object, rg_track_config *out, rg_error *err)
{
    json_t *roles = rg_json_get_array(object, "roles", where, err);
    json_t *fields = rg_json_get_array(object, "fields", where, err);
    if (!roles || !fields) return RG_ERR_FORMAT;
    RG_TRY(read_roles(roles, out, err));
    RG_TRY(read_fields(fields, out, err));
    for (size_t i = 0; i < N_NUMBERS; i++) {
        int32_t v = 0;
        RG_TRY(read_small(object, numbers[i].name, &v, err));
        set_whole(out, i, v);
    }
    for (size_t i = 0; i < N_REALS; i++) {
        double v = 0;
        RG_TRY(rg_json_get_double(object, reals[i].name, where, &v, err));
        set_real(out, i, v);
    }
    if (json_object_size(object) != N_NUMBERS + N_REALS + 2)
        return rg_fail(err, RG_ERR_FORMAT, "%s: %zu members where %d are known", where,
                       json_object_size(object), (int)(N_NUMBERS + N_REALS + 2));
    return rg_track_config_check(out, err);
}

rg_status rg_track_config_from_json(const char *json, rg_track_config *out, rg_error *err)
{
    rg_track_config_init(out);
    json_t *object = rg_json_parse(json, strlen(json), where, err);
    if (!object) return RG_ERR_FORMAT;
    rg_status status = read_all(object, out, err);
    json_decref(object);
    return status;
}
