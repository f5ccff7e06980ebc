/*
 * What import and export share. Private to hf_*.c.
 */
#ifndef RG_MODELS_HF_PRIVATE_H
#define RG_MODELS_HF_PRIVATE_H

#include "base/json.h"
#include "models/hf.h"

#define RG_HF_CONFIG "config.json"
#define RG_HF_MODEL "model.safetensors"
#define RG_HF_FEATURES "preprocessor_config.json"

/* A tensor of theirs, and where its numbers are in ours. */
typedef struct rg_hf_tensor {
    char name[RG_NAME_SIZE + 32]; /* as transformers writes it: "encoder.layers.0.conv.weight_g" */
    rg_shape shape;               /* theirs */
    int32_t axis[RG_MAX_DIMS];    /* their axis i is axis[i] of ours (as many dims, no dims of 1) */
    rg_param param;               /* ours; of the values from `first` on */
    int64_t first;
    enum { RG_HF_VALUE, RG_HF_ADDED, RG_HF_TRAINING, RG_HF_FLAG } kind;
    /* ADDED: a second bias, which ours holds the sum of; TRAINING: needed only to train on; FLAG:
     * one 1 */
    bool transposed; /* of a transposed convolution */
} rg_hf_tensor;

typedef struct rg_hf_tensors {
    rg_hf_tensor *list; /* heap */
    size_t n;
} rg_hf_tensors;

rg_status rg_hf_list(const rg_params *params, const rg_encodec_config *config, rg_hf_tensors *out,
                     rg_error *err) RG_MUST_USE;
/* The name in the layout of encodec and audiocraft. */
void rg_hf_original_name(const rg_hf_tensor *t, char *out, size_t size);
/* Index into our values, from `first`, of their element i. */
int64_t rg_hf_index(const rg_hf_tensor *t, int64_t i);

/* config.json of an EnCodec, or of what holds one as its audio_encoder. *inside: the latter. */
rg_status rg_hf_read_config(const char *path, rg_encodec_config *out, bool *inside,
                            rg_error *err) RG_MUST_USE;
/* Their formula: how many codebooks the largest bandwidth pays for. */
int64_t rg_hf_codebooks(const rg_encodec_config *config);
/* New reference, or NULL with the reason. */
json_t *rg_hf_config_json(const rg_encodec_config *config, rg_error *err);
json_t *rg_hf_features_json(const rg_encodec_config *config);

#endif
