/*
 * Weights for inference, and the model hash (checkpoint.h).
 *
 * One idea: wherever a file has an averaged weight, that one is meant; so a checkpoint and what was
 * exported from it are the same model, with the same hash.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "engine/model_file.h"

static bool has_ema(const rg_st_reader *r, const char *name)
{
    char ema[RG_FILE_NAME + sizeof RG_EMA_PREFIX];
    snprintf(ema, sizeof ema, "%s%s", RG_EMA_PREFIX, name);
    return rg_st_find(r, ema) != NULL;
}

/* The tensor that inference uses for a parameter: its EMA where there is one. */
static const rg_st_tensor *find_weight(const rg_st_reader *r, const char *prefix, const rg_param *p,
                                       const char *path, rg_error *err)
{
    char name[RG_FILE_NAME];
    snprintf(name, sizeof name, "%s%s", prefix, p->name);
    return rg_model_file_find(r, has_ema(r, name) ? RG_EMA_PREFIX : "", prefix, p, path, err);
}

/* `part`: only parameters whose names start so ("": all of them). */
static rg_status load_weights(rg_st_reader *r, const char *path, const char *prefix,
                              const char *part, rg_params *params, rg_exec *ex, rg_error *err)
{
    RG_TRY(rg_model_file_check_version(r, path, err));
    for (size_t i = 0; i < rg_params_count(params); i++) {
        const rg_param *p = rg_params_at(params, i);
        if (rg_starts_with(p->name, part) && !find_weight(r, prefix, p, path, err))
            return RG_ERR_MISMATCH;
    }
    RG_TRY(rg_model_file_check_rest(r, prefix, params, path, err));
    for (size_t i = 0; i < rg_params_count(params); i++) {
        const rg_param *p = rg_params_at(params, i);
        if (!rg_starts_with(p->name, part)) continue;
        RG_TRY(rg_st_read(r, find_weight(r, prefix, p, path, err), rg_param_data(params, p), err));
    }
    return rg_model_file_loaded(params, ex, true, path, err);
}

static rg_status open_weights(const char *path, const char *prefix, const char *part,
                              rg_params *params, rg_exec *ex, rg_error *err)
{
    rg_st_reader *r;
    RG_TRY(rg_model_file_open(path, &r, err));
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
    RG_TRY(rg_params_fetch(params, err));
    rg_st_writer *w = rg_st_writer_create(err);
    if (!w) return RG_ERR_NOMEM;
    rg_model_file_version(w, "weights");
    for (size_t i = 0; i < rg_params_count(params); i++) {
        const rg_param *p = rg_params_at(params, i);
        if (!rg_starts_with(p->name, prefix)) continue;
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
    char ema[RG_FILE_NAME + sizeof RG_EMA_PREFIX], shape[96];
    snprintf(ema, sizeof ema, "%s%s", RG_EMA_PREFIX, t->name);
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
    rg_st_reader *r;
    RG_TRY(rg_model_file_open(path, &r, err));
    rg_sha256 *hash = rg_sha256_begin();
    rg_status status = hash ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", path);
    for (size_t i = 0; status == RG_OK && i < rg_st_count(r); i++)
        if (!rg_is_training_state(rg_st_at(r, i)->name))
            status = hash_tensor(r, rg_st_at(r, i), hash, err);
    hex[0] = 0;
    if (hash) rg_sha256_end(hash, hex);
    if (status == RG_OK && !hex[0]) status = rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", path);
    rg_st_close(r);
    return status;
}
