/*
 * What checkpoints and weights files share (model_file.h).
 *
 * One idea: a file is compared with the model completely before anything is read into it.
 */
#include "engine/model_file.h"

#include <stdio.h>
#include <string.h>

#include "engine/params_private.h"

rg_status rg_model_file_open(const char *path, rg_st_reader **out, rg_error *err)
{
    rg_error local = {0};
    *out = rg_st_open(path, &local);
    return *out ? RG_OK : rg_fail(err, local.code, "%s", local.text);
}

void rg_model_file_version(rg_st_writer *w, const char *format)
{
    char version[32];
    snprintf(version, sizeof version, "%d.%d", RG_CHECKPOINT_MAJOR, RG_CHECKPOINT_MINOR);
    rg_st_add_metadata(w, RG_FORMAT_KEY, format);
    rg_st_add_metadata(w, RG_VERSION_KEY, version);
}

rg_status rg_model_file_check_version(const rg_st_reader *r, const char *path, rg_error *err)
{
    const char *version = rg_st_metadata(r, RG_VERSION_KEY);
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

bool rg_is_training_state(const char *name)
{
    return rg_starts_with(name, RG_TRAINING_PREFIX) || rg_starts_with(name, RG_EMA_PREFIX) ||
           rg_starts_with(name, RG_JUDGE_PREFIX);
}

const rg_st_tensor *rg_model_file_find(const rg_st_reader *r, const char *before,
                                       const char *prefix, const rg_param *p, const char *path,
                                       rg_error *err)
{
    char name[RG_FILE_NAME], want[96], have[96];
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

rg_status rg_model_file_check_rest(const rg_st_reader *r, const char *prefix,
                                   const rg_params *params, const char *path, rg_error *err)
{
    for (size_t i = 0; i < rg_st_count(r); i++) {
        const char *name = rg_st_at(r, i)->name;
        if (rg_is_training_state(name) || !rg_starts_with(name, prefix)) continue;
        if (!rg_params_find(params, name + strlen(prefix)))
            return rg_fail(err, RG_ERR_MISMATCH,
                           "%s: tensor %s is not in the model; is it of another configuration?",
                           path, name);
    }
    return RG_OK;
}

rg_status rg_model_file_loaded(rg_params *params, rg_exec *ex, bool copy_to_ema, const char *path,
                               rg_error *err)
{
    if (copy_to_ema && rg_params_ema(params) && rg_params_elements(params))
        memcpy(rg_params_ema(params), rg_params_values(params),
               (size_t)rg_params_elements(params) * sizeof(float));
    params->now_is_there = params->posted = false; /* the file's counters are the caller's now */
    rg_status status = rg_params_refresh(params, ex);
    return status == RG_OK ? RG_OK : rg_fail(err, status, "%s: %s", path, ex->error.text);
}
