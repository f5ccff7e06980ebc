/*
 * A codec's configuration as JSON, and back (encodec.h).
 *
 * One idea: one table of members serves writing, reading and the refusal of what is not in it.
 * Members that files before them lack are optional; absent, they are as in the files of that time.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "models/encodec.h"

static const char where[] = "codec configuration";

typedef enum member_kind {
    MEMBER_INT,
    MEMBER_BOOL,
    MEMBER_REAL,
    MEMBER_PAD,
    MEMBER_NORM,
    MEMBER_INTS,
    MEMBER_REALS
} member_kind;

static const struct member {
    const char *name;
    member_kind kind;
    bool optional;
    size_t offset, count; /* count: of a list's length */
    int32_t most;         /* of a list */
} members[] = {
#define M(name, kind)                                                        \
    {                                                                        \
#name, MEMBER_##kind, false, offsetof(rg_encodec_config, name), 0, 0 \
    }
#define NEW(name, kind)                                                     \
    {                                                                       \
#name, MEMBER_##kind, true, offsetof(rg_encodec_config, name), 0, 0 \
    }
#define LIST(name, kind, optional, most)                                   \
    {                                                                      \
#name, MEMBER_##kind, optional, offsetof(rg_encodec_config, name), \
            offsetof(rg_encodec_config, n_##name), most                    \
    }
    M(sample_rate, INT),
    M(channels, INT),
    M(filters, INT),
    M(dimension, INT),
    M(kernel, INT),
    M(last_kernel, INT),
    M(residual_kernel, INT),
    M(residual_layers, INT),
    M(dilation_base, INT),
    M(compress, INT),
    M(lstm_layers, INT),
    M(causal, BOOL),
    M(conv_shortcut, BOOL),
    M(pad_mode, PAD),
    M(trim_right_ratio, REAL),
    M(codebooks, INT),
    M(entries, INT),
    LIST(ratios, INTS, false, RG_MAX_RATIOS),
    NEW(norm, NORM),
    NEW(normalize, BOOL),
    NEW(chunk_seconds, REAL),
    NEW(chunk_overlap, REAL),
    LIST(bandwidths, REALS, true, RG_MAX_BANDWIDTHS),
#undef M
#undef NEW
#undef LIST
};
enum { N_MEMBERS = sizeof members / sizeof members[0] };

/* The words of an enumeration; the values are rg_pad and rg_conv_norm, each an unsigned int. */
typedef struct words {
    const char *const *names;
    int32_t n;
} words;

static words words_of(member_kind kind)
{
    static const char *const pads[RG_PAD_COUNT] = {
        [RG_PAD_ZERO] = "constant", [RG_PAD_REFLECT] = "reflect"};
    static const char *const norms[RG_CONV_NORMS] = {
        [RG_CONV_WEIGHT_NORM] = "weight_norm",
        [RG_CONV_TIME_GROUP_NORM] = "time_group_norm",
        [RG_CONV_NO_NORM] = "none",
    };
    return kind == MEMBER_PAD ? (words){pads, RG_PAD_COUNT} : (words){norms, RG_CONV_NORMS};
}

_Static_assert(sizeof(rg_pad) == sizeof(uint32_t) && sizeof(rg_conv_norm) == sizeof(uint32_t),
               "enumerations are read and written as one kind of number");

static json_t *list_json(const rg_encodec_config *config, const struct member *m)
{
    const char *at = (const char *)config + m->offset;
    const int32_t n = *(const int32_t *)(const void *)((const char *)config + m->count);
    json_t *list = json_array();
    for (int32_t i = 0; i < n; i++)
        json_array_append_new(list, m->kind == MEMBER_INTS
                                        ? json_integer(((const int32_t *)(const void *)at)[i])
                                        : json_real(((const double *)(const void *)at)[i]));
    return list;
}

static json_t *member_json(const rg_encodec_config *config, const struct member *m)
{
    const char *at = (const char *)config + m->offset;
    switch (m->kind) {
    case MEMBER_INT:
        return json_integer(*(const int32_t *)(const void *)at);
    case MEMBER_BOOL:
        return json_boolean(*(const bool *)at);
    case MEMBER_REAL:
        return json_real(*(const double *)(const void *)at);
    case MEMBER_PAD:
    case MEMBER_NORM:
        return json_string(words_of(m->kind).names[*(const uint32_t *)(const void *)at]);
    case MEMBER_INTS:
    case MEMBER_REALS:
        return list_json(config, m);
    }
    return NULL;
}

char *rg_encodec_config_to_json(const rg_encodec_config *config)
{
    json_t *object = json_object();
    for (size_t i = 0; i < N_MEMBERS; i++) {
        json_object_set_new(object, members[i].name, member_json(config, &members[i]));
    }
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

const char *rg_encodec_difference(const rg_encodec_config *a, const rg_encodec_config *b,
                                  char text[2][RG_ENCODEC_MEMBER_TEXT])
{
    const char *name = NULL;
    for (size_t i = 0; i < N_MEMBERS && !name; i++) {
        json_t *both[2] = {member_json(a, &members[i]), member_json(b, &members[i])};
        if (!json_equal(both[0], both[1])) name = members[i].name;
        for (size_t k = 0; k < 2; k++) {
            char *value =
                name ? json_dumps(both[k], JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) : NULL;
            snprintf(text[k], RG_ENCODEC_MEMBER_TEXT, "%s", value ? value : "");
            free(value);
            json_decref(both[k]);
        }
    }
    return name;
}

static rg_status parse_word(const json_t *object, const struct member *m, uint32_t *out,
                            rg_error *err)
{
    const char *text;
    const words known = words_of(m->kind);
    RG_TRY(rg_json_get_text(object, m->name, where, &text, err));
    for (int32_t i = 0; i < known.n; i++) {
        if (strcmp(text, known.names[i]) != 0) continue;
        *out = (uint32_t)i;
        return RG_OK;
    }
    return rg_fail(err, RG_ERR_FORMAT, "%s: %s '%s' is not known; %s or %s is", where, m->name,
                   text, known.names[0], known.names[1]);
}

static rg_status parse_list(const json_t *object, const struct member *m, rg_encodec_config *out,
                            rg_error *err)
{
    const json_t *list = rg_json_get_array(object, m->name, where, err), *value;
    if (!list) return err ? err->code : RG_ERR_FORMAT;
    size_t n = json_array_size(list), i;
    void *at = (char *)out + m->offset;
    if (n > (size_t)m->most)
        return rg_fail(err, RG_ERR_FORMAT, "%s: %zu %s, at most %d are known", where, n, m->name,
                       (int)m->most);
    *(int32_t *)(void *)((char *)out + m->count) = (int32_t)n;
    json_array_foreach((json_t *)list, i, value)
    {
        if (m->kind == MEMBER_REALS ? !json_is_number(value) : !json_is_integer(value))
            return rg_fail(err, RG_ERR_FORMAT, "%s: %s must be numbers", where, m->name);
        const json_int_t whole = json_is_integer(value) ? json_integer_value(value) : 0;
        if (m->kind == MEMBER_REALS)
            ((double *)at)[i] = json_number_value(value);
        else
            ((int32_t *)at)[i] = whole > 0 && whole < 1 << 20 ? (int32_t)whole : 0;
    }
    return RG_OK;
}

static rg_status parse_member(const json_t *object, const struct member *m, rg_encodec_config *out,
                              rg_error *err)
{
    void *at = (char *)out + m->offset;
    const json_t *value = json_object_get(object, m->name);
    int64_t number = 0;
    if (!value && m->optional) return RG_OK;
    switch (m->kind) {
    case MEMBER_INT:
        RG_TRY(rg_json_get_int(object, m->name, where, &number, err));
        if (number < 0 || number > INT32_MAX)
            return rg_fail(err, RG_ERR_FORMAT, "%s: %s is %lld, which is out of range", where,
                           m->name, (long long)number);
        *(int32_t *)at = (int32_t)number;
        return RG_OK;
    case MEMBER_BOOL:
        if (!json_is_boolean(value))
            return rg_fail(err, RG_ERR_FORMAT, "%s: %s is missing or not true or false", where,
                           m->name);
        *(bool *)at = json_is_true(value);
        return RG_OK;
    case MEMBER_REAL:
        return rg_json_get_double(object, m->name, where, (double *)at, err);
    case MEMBER_PAD:
    case MEMBER_NORM:
        return parse_word(object, m, (uint32_t *)at, err);
    case MEMBER_INTS:
    case MEMBER_REALS:
        return parse_list(object, m, out, err);
    }
    return RG_OK;
}

static rg_status refuse_unknown(json_t *object, rg_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        bool known = false;
        for (size_t i = 0; i < N_MEMBERS; i++) known = known || !strcmp(key, members[i].name);
        if (!known) return rg_fail(err, RG_ERR_FORMAT, "%s: '%s' is not known here", where, key);
    }
    return RG_OK;
}

rg_status rg_encodec_config_from_json(const char *json, rg_encodec_config *out, rg_error *err)
{
    *out = (rg_encodec_config){0};
    json_t *object = rg_json_parse(json, strlen(json), where, err);
    if (!object) return err ? err->code : RG_ERR_FORMAT;
    rg_status status = json_is_object(object)
                           ? refuse_unknown(object, err)
                           : rg_fail(err, RG_ERR_FORMAT, "%s: not a JSON object", where);
    for (size_t i = 0; i < N_MEMBERS && status == RG_OK; i++) {
        status = parse_member(object, &members[i], out, err);
    }
    if (status == RG_OK) status = rg_encodec_check(out, err);
    json_decref(object);
    return status;
}
