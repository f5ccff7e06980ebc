/*
 * Files that hold a model: versions, names of training state, comparison with rg_params. Private to
 * checkpoint.c and weights.c.
 */
#ifndef RG_ENGINE_MODEL_FILE_H
#define RG_ENGINE_MODEL_FILE_H

#include <string.h>

#include "engine/checkpoint.h"

#define RG_FORMAT_KEY "resonantgen.format"
#define RG_VERSION_KEY "resonantgen.version"
#define RG_TRAINING_PREFIX "optimizer."
#define RG_EMA_PREFIX "ema."
#define RG_JUDGE_PREFIX "discriminator."
enum { RG_FILE_NAME = 2 * RG_NAME_SIZE };

static inline bool rg_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

rg_status rg_model_file_open(const char *path, rg_st_reader **out, rg_error *err) RG_MUST_USE;
void rg_model_file_version(rg_st_writer *w, const char *format);
/* Refuses newer majors. A file without a version is somebody else's: fine for weights. */
rg_status rg_model_file_check_version(const rg_st_reader *r, const char *path,
                                      rg_error *err) RG_MUST_USE;
bool rg_is_training_state(const char *name);
/* The tensor `before` + prefix + name of the file, if it has p's type and shape; NULL with the
 * reason in err. */
const rg_st_tensor *rg_model_file_find(const rg_st_reader *r, const char *before,
                                       const char *prefix, const rg_param *p, const char *path,
                                       rg_error *err);
/* Every weight under `prefix` in the file belongs to the model. */
rg_status rg_model_file_check_rest(const rg_st_reader *r, const char *prefix,
                                   const rg_params *params, const char *path,
                                   rg_error *err) RG_MUST_USE;
/* After reading: refreshes; the EMA starts at the values when it was not read. */
rg_status rg_model_file_loaded(rg_params *params, rg_exec *ex, bool copy_to_ema, const char *path,
                               rg_error *err) RG_MUST_USE;

#endif
