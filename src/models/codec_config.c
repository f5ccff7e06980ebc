/*
 * A codec's configuration as JSON, and back (encodec.h).
 *
 * One idea: one table of members serves writing, reading and the refusal of what is not in it.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "models/encodec.h"

typedef enum member_kind { MEMBER_INT, MEMBER_BOOL, MEMBER_REAL, MEMBER_PAD } member_kind;

static const struct member {
    const char *name;
    member_kind kind;
    size_t offset;
} members[] = {
#define M(name, kind)                                           \
    {                                                           \
#name, MEMBER_##kind, offsetof(rg_encodec_config, name) \
    }
    M(sample_rate, INT),    M(channels, INT),    M(filters, INT),           M(dimension, INT),
    M(kernel, INT),         M(last_kernel, INT), M(residual_kernel, INT),   M(residual_layers, INT),
    M(dilation_base, INT),  M(compress, INT),    M(lstm_layers, INT),       M(causal, BOOL),
    M(conv_shortcut, BOOL), M(pad_mode, PAD),    M(trim_right_ratio, REAL), M(codebooks, INT),
    M(entries, INT),
#undef M
};
enum { N_MEMBERS = sizeof members / sizeof members[0] };

static const char *const pad_names[RG_PAD_COUNT] = {
    [RG_PAD_ZERO] = "constant", [RG_PAD_REFLECT] = "reflect"};

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
        return json_string(pad_names[*(const rg_pad *)(const void *)at]);
    }
    return NULL;
}

char *rg_encodec_config_to_json(const rg_encodec_config *config)
{
    json_t *object = json_object(), *ratios = json_array();
    for (int32_t i = 0; i < config->n_ratios; i++) {
        json_array_append_new(ratios, json_integer(config->ratios[i]));
    }
    for (size_t i = 0; i < N_MEMBERS; i++) {
        json_object_set_new(object, members[i].name, member_json(config, &members[i]));
    }
    json_object_set_new(object, "ratios", ratios);
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return text;
}

static rg_status parse_pad(const char *text, rg_pad *out, rg_error *err)
{
    for (int32_t i = 0; i < RG_PAD_COUNT; i++) {
        if (strcmp(text, pad_names[i]) != 0) continue;
        *out = (rg_pad)i;
        return RG_OK;
    }
    return rg_fail(err, RG_ERR_FORMAT,
                   "codec configuration: pad_mode '%s' is not constant or reflect", text);
}

static rg_status parse_member(const json_t *object, const struct member *m, rg_encodec_config *out,
                              rg_error *err)
{
    static const char *const where = "codec configuration";
    void *at = (char *)out + m->offset;
    const json_t *value = json_object_get(object, m->name);
    const char *text;
    int64_t number = 0;
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
        RG_TRY(rg_json_get_text(object, m->name, where, &text, err));
        return parse_pad(text, (rg_pad *)at, err);
    }
    return RG_OK;
}

static rg_status parse_ratios(const json_t *object, rg_encodec_config *out, rg_error *err)
{
    const json_t *ratios = rg_json_get_array(object, "ratios", "codec configuration", err);
    if (!ratios) return err ? err->code : RG_ERR_FORMAT;
    size_t n = json_array_size(ratios);
    if (n > RG_MAX_RATIOS)
        return rg_fail(err, RG_ERR_FORMAT, "codec configuration: %zu ratios, at most %d are known",
                       n, RG_MAX_RATIOS);
    out->n_ratios = (int32_t)n;
    for (size_t i = 0; i < n; i++) {
        const json_t *ratio = json_array_get(ratios, i);
        json_int_t value = json_is_integer(ratio) ? json_integer_value(ratio) : 0;
        out->ratios[i] = value > 0 && value < 1 << 20 ? (int32_t)value : 0;
    }
    return RG_OK;
}

static rg_status refuse_unknown(json_t *object, rg_error *err)
{
    const char *key;
    json_t *value;
    const char *names[N_MEMBERS + 1];
    for (size_t i = 0; i < N_MEMBERS; i++) names[i] = members[i].name;
    names[N_MEMBERS] = "ratios";
    json_object_foreach(object, key, value)
    {
        bool known = false;
        for (size_t i = 0; i <= N_MEMBERS; i++) known = known || !strcmp(key, names[i]);
        if (!known)
            return rg_fail(err, RG_ERR_FORMAT, "codec configuration: '%s' is not known here", key);
    }
    return RG_OK;
}

rg_status rg_encodec_config_from_json(const char *json, rg_encodec_config *out, rg_error *err)
{
    *out = (rg_encodec_config){0};
    json_t *object = rg_json_parse(json, strlen(json), "codec configuration", err);
    if (!object) return err ? err->code : RG_ERR_FORMAT;
    rg_status status = json_is_object(object)
                           ? refuse_unknown(object, err)
                           : rg_fail(err, RG_ERR_FORMAT, "codec configuration: not a JSON object");
    for (size_t i = 0; i < N_MEMBERS && status == RG_OK; i++) {
        status = parse_member(object, &members[i], out, err);
    }
    if (status == RG_OK) status = parse_ratios(object, out, err);
    if (status == RG_OK) status = rg_encodec_check(out, err);
    json_decref(object);
    return status;
}
