/*
 * Checkpoints (checkpoint.h).
 *
 * One idea: a table says which counters of rg_checkpoint lie under which metadata key, so that
 * saving and loading are two walks over it. Not here: weights for inference (weights.c).
 */
#include "engine/model_file.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const char moment1_prefix[] = "optimizer.m.", moment2_prefix[] = "optimizer.v.";

/* ---- counters ---- */

typedef enum field_type { FIELD_INT, FIELD_UINT, FIELD_REAL, FIELD_BOOL } field_type;

static const struct {
    const char *key;
    field_type type;
    size_t at;
} fields[] = {
#define FIELD(key, type, member)                           \
    {                                                      \
        key, FIELD_##type, offsetof(rg_checkpoint, member) \
    }
    FIELD("step", INT, step),
    FIELD("lr", REAL, lr),
    FIELD("seed", UINT, seed),
    FIELD("optimizer.beta1", REAL, optimizer.beta1),
    FIELD("optimizer.beta2", REAL, optimizer.beta2),
    FIELD("optimizer.eps", REAL, optimizer.eps),
    FIELD("optimizer.weight_decay", REAL, optimizer.weight_decay),
    FIELD("optimizer.clip_norm", REAL, optimizer.clip_norm),
    FIELD("optimizer.ema_decay", REAL, optimizer.ema_decay),
    FIELD("optimizer.step", INT, optimizer.step),
    FIELD("scaler.enabled", BOOL, scaler.enabled),
    FIELD("scaler.scale", REAL, scaler.scale),
    FIELD("scaler.growth", REAL, scaler.growth),
    FIELD("scaler.backoff", REAL, scaler.backoff),
    FIELD("scaler.interval", INT, scaler.interval),
    FIELD("scaler.good_steps", INT, scaler.good_steps),
    FIELD("scaler.skipped", INT, scaler.skipped),
#undef FIELD
};
enum { N_FIELDS = sizeof fields / sizeof fields[0] };

static const char *field_text(field_type type, const void *value, char out[32])
{
    switch (type) {
    case FIELD_INT:
        snprintf(out, 32, "%" PRId64, *(const int64_t *)value);
        break;
    case FIELD_UINT:
        snprintf(out, 32, "%" PRIu64, *(const uint64_t *)value);
        break;
    case FIELD_REAL:
        return rg_format_double(*(const double *)value, out);
    case FIELD_BOOL:
        snprintf(out, 32, "%d", *(const bool *)value);
        break;
    }
    return out;
}

static bool parse_uint(const char *text, uint64_t *out)
{
    *out = 0;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9') return false;
        if (__builtin_mul_overflow(*out, (uint64_t)10, out)) return false;
        if (__builtin_add_overflow(*out, (uint64_t)(*c - '0'), out)) return false;
    }
    return *text != 0;
}

static bool field_parse(field_type type, const char *text, void *value)
{
    int64_t flag;
    switch (type) {
    case FIELD_INT:
        return rg_parse_int(text, value);
    case FIELD_UINT:
        return parse_uint(text, value);
    case FIELD_REAL:
        return rg_parse_double(text, value);
    case FIELD_BOOL:
        if (!rg_parse_int(text, &flag) || (flag != 0 && flag != 1)) return false;
        *(bool *)value = flag;
        return true;
    }
    return false;
}

/* ---- saving ---- */

static void add_prefixed(rg_st_writer *w, const char *prefix, const rg_param *p, const float *flat)
{
    char name[RG_FILE_NAME];
    snprintf(name, sizeof name, "%s%s", prefix, p->name);
    rg_st_add(w, name, RG_F32, p->shape, flat + p->offset);
}

static void add_param(rg_st_writer *w, rg_params *params, const rg_param *p, bool with_ema)
{
    rg_st_add(w, p->name, p->dtype, p->shape, rg_param_data(params, p));
    if (p->kind == RG_PARAM_STATE) return;
    if (rg_params_moment1(params)) {
        add_prefixed(w, moment1_prefix, p, rg_params_moment1(params));
        add_prefixed(w, moment2_prefix, p, rg_params_moment2(params));
    }
    if (with_ema && rg_params_ema(params)) add_prefixed(w, RG_EMA_PREFIX, p, rg_params_ema(params));
}

rg_status rg_checkpoint_save(const char *path, const rg_params *params, const rg_checkpoint *state,
                             rg_error *err)
{
    for (const rg_params *q = params; q; q = rg_params_companion(q))
        RG_TRY(rg_params_fetch(q, err));
    rg_st_writer *w = rg_st_writer_create(err);
    if (!w) return RG_ERR_NOMEM;
    rg_params *p = (rg_params *)(uintptr_t)params; /* only read */
    for (size_t i = 0; i < rg_params_count(params); i++)
        add_param(w, p, rg_params_at(params, i), state->optimizer.ema_decay > 0);
    for (rg_params *q = rg_params_companion(params); q; q = rg_params_companion(q)) {
        for (size_t i = 0; i < rg_params_count(q); i++) add_param(w, q, rg_params_at(q, i), false);
    }
    rg_model_file_version(w, "checkpoint");
    for (size_t i = 0; i < N_FIELDS; i++) {
        char text[32];
        const void *value = (const char *)state + fields[i].at;
        rg_st_add_metadata(w, fields[i].key, field_text(fields[i].type, value, text));
    }
    rg_st_add_metadata(w, "config_hash", state->config_hash);
    rg_st_add_metadata(w, "isa", state->isa);
    rg_st_add_metadata(w, "extra", state->extra ? state->extra : "{}");
    return rg_st_write(w, path, err);
}

/* ---- loading ---- */

/* A flat buffer and the prefix of its tensors in the file. */
typedef struct flat {
    const char *before;
    float *data;
} flat;

/* A set's moments and, when asked for, its EMA. */
static size_t flats_of(rg_params *params, bool with_ema, flat out[3])
{
    size_t n = 0;
    if (!rg_params_moment1(params)) return 0;
    out[n++] = (flat){moment1_prefix, rg_params_moment1(params)};
    out[n++] = (flat){moment2_prefix, rg_params_moment2(params)};
    if (with_ema) out[n++] = (flat){RG_EMA_PREFIX, rg_params_ema(params)};
    return n;
}

static rg_status check_set(const rg_st_reader *r, rg_params *params, bool with_ema,
                           const char *path, rg_error *err)
{
    flat flats[3];
    size_t n = flats_of(params, with_ema, flats);
    for (size_t i = 0; i < rg_params_count(params); i++) {
        const rg_param *p = rg_params_at(params, i);
        if (!rg_model_file_find(r, "", "", p, path, err)) return RG_ERR_MISMATCH;
        for (size_t k = 0; k < n && p->kind != RG_PARAM_STATE; k++)
            if (!rg_model_file_find(r, flats[k].before, "", p, path, err)) return RG_ERR_MISMATCH;
    }
    return RG_OK;
}

static rg_status read_set(rg_st_reader *r, rg_params *params, bool with_ema, const char *path,
                          rg_error *err)
{
    flat flats[3];
    size_t n = flats_of(params, with_ema, flats);
    for (size_t i = 0; i < rg_params_count(params); i++) {
        const rg_param *p = rg_params_at(params, i);
        const rg_st_tensor *t = rg_model_file_find(r, "", "", p, path, err);
        RG_TRY(rg_st_read(r, t, rg_param_data(params, p), err));
        for (size_t k = 0; k < n && p->kind != RG_PARAM_STATE; k++) {
            t = rg_model_file_find(r, flats[k].before, "", p, path, err);
            RG_TRY(rg_st_read(r, t, flats[k].data + p->offset, err));
        }
    }
    return RG_OK;
}

static bool has_any(const rg_st_reader *r, const rg_params *params)
{
    for (size_t i = 0; i < rg_params_count(params); i++)
        if (rg_st_find(r, rg_params_at(params, i)->name)) return true;
    return false;
}

static rg_status read_text(const rg_st_reader *r, const char *key, char *out, size_t size,
                           const char *path, rg_error *err)
{
    const char *text = rg_st_metadata(r, key);
    if (!text || !rg_copy_text(out, size, text))
        return rg_fail(err, RG_ERR_FORMAT, "%s: metadata %s is missing or too long", path, key);
    return RG_OK;
}

static rg_status read_counters(const rg_st_reader *r, rg_checkpoint *state, const char *path,
                               rg_error *err)
{
    const char *format = rg_st_metadata(r, RG_FORMAT_KEY);
    if (!format || strcmp(format, "checkpoint") != 0)
        return rg_fail(err, RG_ERR_FORMAT,
                       "%s: holds weights only; to go on training a checkpoint is needed", path);
    for (size_t i = 0; i < N_FIELDS; i++) {
        const char *text = rg_st_metadata(r, fields[i].key);
        if (!text || !field_parse(fields[i].type, text, (char *)state + fields[i].at))
            return rg_fail(err, RG_ERR_FORMAT, "%s: metadata %s is %s%s", path, fields[i].key,
                           text ? "no number: " : "missing", text ? text : "");
    }
    RG_TRY(read_text(r, "config_hash", state->config_hash, sizeof state->config_hash, path, err));
    RG_TRY(read_text(r, "isa", state->isa, sizeof state->isa, path, err));
    const char *extra = rg_st_metadata(r, "extra");
    state->extra = strdup(extra ? extra : "{}");
    return state->extra ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", path);
}

static rg_status load(rg_st_reader *r, const char *path, rg_params *params, rg_exec *ex,
                      rg_checkpoint *state, rg_error *err)
{
    RG_TRY(rg_model_file_check_version(r, path, err));
    RG_TRY(read_counters(r, state, path, err));
    bool with_ema = state->optimizer.ema_decay > 0;
    RG_TRY(check_set(r, params, with_ema, path, err));
    RG_TRY(rg_model_file_check_rest(r, "", params, path, err));
    for (rg_params *q = rg_params_companion(params); q; q = rg_params_companion(q))
        if (has_any(r, q)) RG_TRY(check_set(r, q, false, path, err));
    RG_TRY(read_set(r, params, with_ema, path, err));
    for (rg_params *q = rg_params_companion(params); q; q = rg_params_companion(q)) {
        if (!has_any(r, q)) continue;
        RG_TRY(read_set(r, q, false, path, err));
        RG_TRY(rg_model_file_loaded(q, ex, true, path, err));
    }
    return rg_model_file_loaded(params, ex, !with_ema, path, err);
}

rg_status rg_checkpoint_load(const char *path, rg_params *params, rg_exec *ex, rg_checkpoint *state,
                             rg_error *err)
{
    *state = (rg_checkpoint){0};
    rg_st_reader *r;
    RG_TRY(rg_model_file_open(path, &r, err));
    rg_status status = load(r, path, params, ex, state, err);
    rg_st_close(r);
    if (status != RG_OK) rg_checkpoint_free(state);
    return status;
}

void rg_checkpoint_free(rg_checkpoint *state)
{
    free(state->extra);
    state->extra = NULL;
}
