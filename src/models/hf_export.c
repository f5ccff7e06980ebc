/*
 * Writing an EnCodec for transformers (hf.h).
 *
 * One idea: weight norm keeps its old names (weight_g, weight_v), which every version reads.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "models/hf_private.h"

/* Their numbers of one tensor. The second bias of an LSTM, whose sum is in the first, is zeros. */
static void fill(const rg_hf_tensor *t, rg_params *params, float *out)
{
    const int64_t n = rg_shape_count(t->shape);
    const float *from = rg_param_data(params, &t->param);
    for (int64_t i = 0; i < n; i++) {
        if (t->kind == RG_HF_FLAG)
            out[i] = 1;
        else
            out[i] = t->kind == RG_HF_ADDED ? 0 : from[t->first + rg_hf_index(t, i)];
    }
}

static rg_status write_model(rg_codec *codec, const char *path, rg_error *err)
{
    rg_hf_tensors tensors;
    RG_TRY(rg_hf_list(codec->params, &codec->config, &tensors, err));
    size_t elements = 1, at = 0;
    for (size_t i = 0; i < tensors.n; i++)
        elements += (size_t)rg_shape_count(tensors.list[i].shape);
    float *values = malloc(elements * sizeof *values);
    rg_st_writer *writer = values ? rg_st_writer_create(err) : NULL;
    rg_status status = writer ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", path);
    for (size_t i = 0; writer && i < tensors.n; i++) {
        const rg_hf_tensor *t = &tensors.list[i];
        fill(t, codec->params, values + at);
        rg_st_add(writer, t->name, RG_F32, t->shape, values + at);
        at += (size_t)rg_shape_count(t->shape);
    }
    if (writer) {
        rg_st_add_metadata(writer, "format", "pt");
        status = rg_st_write(writer, path, err);
    }
    free(values);
    free(tensors.list);
    return status;
}

static rg_status write_json(json_t *object, const rg_atomic_folder *folder, const char *name,
                            rg_error *err)
{
    char path[1200];
    rg_status status = object ? rg_fs_join(path, sizeof path, folder->temporary, name, err)
                              : rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", name);
    if (status == RG_OK) status = rg_json_write(object, path, err);
    json_decref(object);
    return status;
}

rg_status rg_hf_export(rg_codec *codec, const char *out, rg_error *err)
{
    rg_atomic_folder folder = {0};
    char path[1200];
    json_t *config = rg_hf_config_json(&codec->config, err);
    if (!config) return err ? err->code : RG_ERR_UNSUPPORTED;
    rg_status status = rg_fs_begin_folder(&folder, out, err);
    if (status != RG_OK) {
        json_decref(config);
        return status;
    }
    status = write_json(config, &folder, RG_HF_CONFIG, err);
    if (status == RG_OK)
        status = write_json(rg_hf_features_json(&codec->config), &folder, RG_HF_FEATURES, err);
    if (status == RG_OK) status = rg_fs_join(path, sizeof path, folder.temporary, RG_HF_MODEL, err);
    if (status == RG_OK) status = write_model(codec, path, err);
    if (status == RG_OK) status = rg_fs_commit_folder(&folder, err);
    rg_fs_abandon_folder(&folder);
    return status;
}
