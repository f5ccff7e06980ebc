/*
 * Checkpoints: everything a run needs to go on with the same bits, in one safetensors file.
 *
 * One idea: weights are tensors under their own names, so that any safetensors reader can use them;
 * optimizer moments, EMA and states are tensors under "optimizer.m.", "optimizer.v.", "ema.";
 * counters are metadata. Stored by parameter name, never by position, so that another number of
 * processes can resume. Not here: which checkpoints to keep (train/run_dir.h).
 */
#ifndef RG_ENGINE_CHECKPOINT_H
#define RG_ENGINE_CHECKPOINT_H

#include "engine/optimizer.h"
#include "engine/safetensors.h"

enum { RG_CHECKPOINT_MAJOR = 1, RG_CHECKPOINT_MINOR = 0 };

/* What is saved beside the parameters; `extra` is JSON text of the task (data position, RNG,
 * balancer ...). */
typedef struct rg_checkpoint {
    int64_t step;
    double lr;
    uint64_t seed;
    rg_adamw optimizer;
    rg_scaler scaler;
    char *extra; /* owned by the struct after load: rg_checkpoint_free */
    char config_hash[65], isa[32];
} rg_checkpoint;

/* With the companions of params, under their own names, which start with "discriminator.": they are
 * training state, which readers of models pass over. */
rg_status rg_checkpoint_save(const char *path, const rg_params *params, const rg_checkpoint *state,
                             rg_error *err) RG_MUST_USE;
/* Refuses (RG_ERR_MISMATCH, naming the first tensor) when names, shapes or types differ from the
 * model's. A companion of which the file holds nothing stays as it is. */
rg_status rg_checkpoint_load(const char *path, rg_params *params, rg_exec *ex, rg_checkpoint *state,
                             rg_error *err) RG_MUST_USE;
void rg_checkpoint_free(rg_checkpoint *state);

/*
 * Inference weights: EMA where the file has them, else the weights; all parameters of `params` must
 * be there, those of the file that are not in `params` are ignored only when they are training
 * state. `prefix` is put before each name.
 */
rg_status rg_weights_load(const char *path, const char *prefix, rg_params *params, rg_exec *ex,
                          rg_error *err) RG_MUST_USE;
/* Only the parameters whose names start with `part`, all of which the file must hold: a model that
 * lies in several files. */
rg_status rg_weights_load_part(const char *path, const char *part, rg_params *params, rg_exec *ex,
                               rg_error *err) RG_MUST_USE;
/* Writes parameters and states (EMA when `ema`) whose names start with `prefix`, with the metadata
 * given. */
rg_status rg_weights_save(const char *path, const char *prefix, rg_params *params, bool ema,
                          const char *const *keys, const char *const *values, size_t n,
                          rg_error *err) RG_MUST_USE;
/* Model hash: SHA-256 over name, dtype, shape and bytes of the inference tensors in name order
 * (design.md 5). */
rg_status rg_weights_hash(const char *path, char hex[65], rg_error *err) RG_MUST_USE;

#endif
