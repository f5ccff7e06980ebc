/*
 * Checkpoints and weights files (checkpoint.h).
 *
 * One idea: a table says which counters of rg_checkpoint lie under which metadata key, so that
 * saving and loading are two walks over it; a file is compared with the model completely before
 * anything is read into it.
 */
#include "engine/checkpoint.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"

enum { FILE_NAME = 2 * RG_NAME_SIZE };

static const char format_key[] = "resonantgen.format", version_key[] = "resonantgen.version";
static const char moment1_prefix[] = "optimizer.m.", moment2_prefix[] = "optimizer.v.";
static const char ema_prefix[] = "ema.", training_prefix[] = "optimizer.";

/* ---- counters ---- */

typedef enum field_type { FIELD_INT, FIELD_UINT, FIELD_REAL, FIELD_BOOL } field_type;

static const struct {
    const char *key;
    field_type type;
    size_t at;
} fields[] = {
#define FIELD(key, type, member) {key, FIELD_##type, offsetof(rg_checkpoint, member)},
    FIELD("step", INT, step) FIELD("lr", REAL, lr) FIELD("seed", UINT, seed) FIELD(
        "optimizer.beta1", REAL, optimizer.beta1) FIELD("optimizer.beta2", REAL, optimizer.beta2)
        FIELD("optimizer.eps", REAL, optimizer.eps)
            FIELD("optimizer.weight_decay", REAL, optimizer.weight_decay)
                FIELD("optimizer.clip_norm", REAL, optimizer.clip_norm)
                    FIELD("optimizer.ema_decay", REAL, optimizer.ema_decay)
                        FIELD("optimizer.step", INT, optimizer.step)
                            FIELD("scaler.enabled", BOOL, scaler.enabled)
                                FIELD("scaler.scale", REAL, scaler.scale)
                                    FIELD("scaler.growth", REAL, scaler.growth)
                                        FIELD("scaler.backoff", REAL, scaler.backoff)
                                            FIELD("scaler.interval", INT, scaler.interval)
                                                FIELD("scaler.good_steps", INT, scaler.good_steps)
                                                    FIELD("scaler.skipped", INT, scaler.skipped)
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

static void add_version(rg_st_writer *w, const char *format)
{
    char version[32];
    snprintf(version, sizeof version, "%d.%d", RG_CHECKPOINT_MAJOR, RG_CHECKPOINT_MINOR);
    rg_st_add_metadata(w, format_key, format);
    rg_st_add_metadata(w, version_key, version);
}

/* A file without a version is somebody else's: fine for weights. */
static rg_status check_version(const rg_st_reader *r, const char *path, rg_error *err)
{
    const char *version = rg_st_metadata(r, version_key);
    if (!version) return RG_OK;
    int major = 0, minor = 0;
    if (sscanf(version, "%d.%d", &major, &minor) != 2)
        return rg_fail(err, RG_ERR_FORMAT, "%s: format version '%s' is no version", path, version);
    if (major > RG_CHECKPOINT_MAJOR)
        return rg_fail(err, RG_ERR_UNSUPPORTED,
                       "%s: format version %s, this program reads up to %d; use a newer program",
                       path, version, RG_CHECKPOINT_MAJOR);
    return RG_OK;
}

/* ---- saving ---- */

static void add_prefixed(rg_st_writer *w, const char *prefix, const rg_param *p, const float *flat)
{
    char name[FILE_NAME];
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
    if (with_ema && rg_params_ema(params)) add_prefixed(w, ema_prefix, p, rg_params_ema(params));
}

rg_status rg_checkpoint_save(const char *path, const rg_params *params, const rg_checkpoint *state,
                             rg_error *err)
{
    rg_st_writer *w = rg_st_writer_create(err);
    if (!w) return RG_ERR_NOMEM;
    rg_params *p = (rg_params *)(uintptr_t)params; /* only read */
    for (size_t i = 0; i < rg_params_count(params); i++)
        add_param(w, p, rg_params_at(params, i), state->optimizer.ema_decay > 0);
    add_version(w, "checkpoint");
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

/* ---- comparing a file with a model ---- */

static bool starts_with(const char *text, const char *prefix)
{
    return !strncmp(text, prefix, strlen(prefix));
}

static bool is_training_state(const char *name)
{
    return starts_with(name, training_prefix) || starts_with(name, ema_prefix);
}

/* The tensor `before` + prefix + name of the file, of this type and shape; NULL with the reason. */
static const rg_st_tensor *find_like(const rg_st_reader *r, const char *before, const char *prefix,
                                     const rg_param *p, const char *path, rg_error *err)
{
    char name[FILE_NAME], want[96], have[96];
    if (snprintf(name, sizeof name, "%s%s%s", before, prefix, p->name) >= (int)sizeof name) {
        rg_fail(err, RG_ERR_MISMATCH, "%s: name %s is too long", path, name);
        return NULL;
    }
    const rg_st_tensor *t = rg_st_find(r, name);
    if (!t) {
        rg_fail(err, RG_ERR_MISMATCH,
                "%s: tensor %s of the model is not in the file; is it of another configuration?",
                path, name);
    } else if (t->dtype != p->dtype || !rg_shape_equal(t->shape, p->shape)) {
        rg_fail(err, RG_ERR_MISMATCH,
                "%s: tensor %s is %s %s in the file, %s %s in the model; is it of another "
                "configuration?",
                path, name, rg_dtype_text(t->dtype), rg_shape_text(t->shape, have),
                rg_dtype_text(p->dtype), rg_shape_text(p->shape, want));
        t = NULL;
    }
    return t;
}

/* Every weight under `prefix` in the file belongs to the model. */
static rg_status check_no_strangers(const rg_st_reader *r, const char *prefix,
                                    const rg_params *params, const char *path, rg_error *err)
{
    for (size_t i = 0; i < rg_st_count(r); i++) {
        const char *name = rg_st_at(r, i)->name;
        if (is_training_state(name) || !starts_with(name, prefix)) continue;
        if (!rg_params_find(params, name + strlen(prefix)))
            return rg_fail(err, RG_ERR_MISMATCH,
                           "%s: tensor %s is not in the model; is it of another configuration?",
                           path, name);
    }
    return RG_OK;
}

/* ---- loading ---- */

/* A flat buffer and the prefix of its tensors in the file. */
typedef struct flat {
    const char *before;
    float *data;
} flat;

static rg_status check_model(const rg_st_reader *r, const rg_params *params, const flat *flats,
                             size_t n, const char *path, rg_error *err)
{
    for (size_t i = 0; i < rg_params_count(params); i++) {
        const rg_param *p = rg_params_at(params, i);
        if (!find_like(r, "", "", p, path, err)) return RG_ERR_MISMATCH;
        for (size_t k = 0; k < n && p->kind != RG_PARAM_STATE; k++)
            if (!find_like(r, flats[k].before, "", p, path, err)) return RG_ERR_MISMATCH;
    }
    return check_no_strangers(r, "", params, path, err);
}

static rg_status read_model(rg_st_reader *r, rg_params *params, const flat *flats, size_t n,
                            const char *path, rg_error *err)
{
    for (size_t i = 0; i < rg_params_count(params); i++) {
        const rg_param *p = rg_params_at(params, i);
        const rg_st_tensor *t = find_like(r, "", "", p, path, err);
        RG_TRY(rg_st_read(r, t, rg_param_data(params, p), err));
        for (size_t k = 0; k < n && p->kind != RG_PARAM_STATE; k++) {
            t = find_like(r, flats[k].before, "", p, path, err);
            RG_TRY(rg_st_read(r, t, flats[k].data + p->offset, err));
        }
    }
    return RG_OK;
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
    const char *format = rg_st_metadata(r, format_key);
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

static rg_status finish_load(rg_params *params, rg_exec *ex, bool copy_to_ema, const char *path,
                             rg_error *err)
{
    if (copy_to_ema && rg_params_ema(params) && rg_params_elements(params))
        memcpy(rg_params_ema(params), rg_params_values(params),
               (size_t)rg_params_elements(params) * sizeof(float));
    rg_status status = rg_params_refresh(params, ex);
    return status == RG_OK ? RG_OK : rg_fail(err, status, "%s: %s", path, ex->error.text);
}

static rg_status load(rg_st_reader *r, const char *path, rg_params *params, rg_exec *ex,
                      rg_checkpoint *state, rg_error *err)
{
    RG_TRY(check_version(r, path, err));
    RG_TRY(read_counters(r, state, path, err));
    flat flats[3];
    size_t n = 0;
    bool with_ema = state->optimizer.ema_decay > 0;
    if (rg_params_moment1(params)) {
        flats[n++] = (flat){moment1_prefix, rg_params_moment1(params)};
        flats[n++] = (flat){moment2_prefix, rg_params_moment2(params)};
        if (with_ema) flats[n++] = (flat){ema_prefix, rg_params_ema(params)};
    }
    RG_TRY(check_model(r, params, flats, n, path, err));
    RG_TRY(read_model(r, params, flats, n, path, err));
    return finish_load(params, ex, !with_ema, path, err);
}

rg_status rg_checkpoint_load(const char *path, rg_params *params, rg_exec *ex, rg_checkpoint *state,
                             rg_error *err)
{
    *state = (rg_checkpoint){0};
    rg_st_reader *r = rg_st_open(path, err);
    if (!r) return err && err->code ? err->code : RG_ERR_FORMAT;
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

/* ---- weights ---- */

static bool has_ema(const rg_st_reader *r, const char *name)
{
    char ema[FILE_NAME + sizeof ema_prefix];
    snprintf(ema, sizeof ema, "%s%s", ema_prefix, name);
    return rg_st_find(r, ema) != NULL;
}

/* The tensor that inference uses for a parameter: its EMA where there is one. */
static const rg_st_tensor *find_weight(const rg_st_reader *r, const char *prefix, const rg_param *p,
                                       const char *path, rg_error *err)
{
    char name[FILE_NAME];
    snprintf(name, sizeof name, "%s%s", prefix, p->name);
    return find_like(r, has_ema(r, name) ? ema_prefix : "", prefix, p, path, err);
}

/* `part`: only parameters whose names start so ("": all of them). */
static rg_status load_weights(rg_st_reader *r, const char *path, const char *prefix,
                              const char *part, rg_params *params, rg_exec *ex, rg_error *err)
{
    RG_TRY(check_version(r, path, err));
    for (size_t i = 0; i < rg_params_count(params); i++) {
        const rg_param *p = rg_params_at(params, i);
        if (starts_with(p->name, part) && !find_weight(r, prefix, p, path, err))
            return RG_ERR_MISMATCH;
    }
    RG_TRY(check_no_strangers(r, prefix, params, path, err));
    for (size_t i = 0; i < rg_params_count(params); i++) {
        const rg_param *p = rg_params_at(params, i);
        if (!starts_with(p->name, part)) continue;
        RG_TRY(rg_st_read(r, find_weight(r, prefix, p, path, err), rg_param_data(params, p), err));
    }
    return finish_load(params, ex, true, path, err);
}

static rg_status open_weights(const char *path, const char *prefix, const char *part,
                              rg_params *params, rg_exec *ex, rg_error *err)
{
    rg_st_reader *r = rg_st_open(path, err);
    if (!r) return err && err->code ? err->code : RG_ERR_FORMAT;
    rg_status status = load_weights(r, path, prefix, part, params, ex, err);
    rg_st_close(r);
    return status;
}

rg_status rg_weights_load(const char *path, const char *prefix, rg_params *params, rg_exec *ex,
                          rg_error *err)
{
    return open_weights(path, prefix, "", params, ex, err);
}

rg_status rg_weights_load_part(const char *path, const char *part, rg_params *params, rg_exec *ex,
                               rg_error *err)
{
    return open_weights(path, "", part, params, ex, err);
}

rg_status rg_weights_save(const char *path, const char *prefix, rg_params *params, bool ema,
                          const char *const *keys, const char *const *values, size_t n,
                          rg_error *err)
{
    if (ema && !rg_params_ema(params))
        return rg_fail(err, RG_ERR_USAGE, "%s: parameters that are not trained have no EMA", path);
    rg_st_writer *w = rg_st_writer_create(err);
    if (!w) return RG_ERR_NOMEM;
    add_version(w, "weights");
    for (size_t i = 0; i < rg_params_count(params); i++) {
        const rg_param *p = rg_params_at(params, i);
        if (!starts_with(p->name, prefix)) continue;
        bool averaged = ema && p->kind != RG_PARAM_STATE;
        rg_st_add(w, p->name, p->dtype, p->shape,
                  averaged ? (void *)(rg_params_ema(params) + p->offset)
                           : rg_param_data(params, p));
    }
    for (size_t i = 0; i < n; i++) rg_st_add_metadata(w, keys[i], values[i]);
    return rg_st_write(w, path, err);
}

/* ---- model hash ---- */

static rg_status hash_tensor(rg_st_reader *r, const rg_st_tensor *t, rg_sha256 *hash, rg_error *err)
{
    char ema[FILE_NAME + sizeof ema_prefix], shape[96];
    snprintf(ema, sizeof ema, "%s%s", ema_prefix, t->name);
    const rg_st_tensor *averaged = rg_st_find(r, ema), *from = averaged ? averaged : t;
    const char *dtype = rg_dtype_text(from->dtype);
    rg_shape_text(from->shape, shape);
    rg_sha256_add(hash, t->name, strlen(t->name) + 1);
    rg_sha256_add(hash, dtype, strlen(dtype) + 1);
    rg_sha256_add(hash, shape, strlen(shape) + 1);
    void *data = malloc(from->bytes ? (size_t)from->bytes : 1);
    if (!data) return rg_fail(err, RG_ERR_NOMEM, "out of memory");
    rg_status status = rg_st_read(r, from, data, err);
    if (status == RG_OK) rg_sha256_add(hash, data, (size_t)from->bytes);
    free(data);
    return status;
}

rg_status rg_weights_hash(const char *path, char hex[65], rg_error *err)
{
    rg_st_reader *r = rg_st_open(path, err);
    if (!r) return err && err->code ? err->code : RG_ERR_FORMAT;
    rg_sha256 *hash = rg_sha256_begin();
    rg_status status = hash ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", path);
    for (size_t i = 0; status == RG_OK && i < rg_st_count(r); i++)
        if (!is_training_state(rg_st_at(r, i)->name))
            status = hash_tensor(r, rg_st_at(r, i), hash, err);
    if (hash) rg_sha256_end(hash, hex);
    rg_st_close(r);
    return status;
}
