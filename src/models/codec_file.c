/*
 * A trained codec in a file (encodec.h): loading from a checkpoint or an exported file, exporting.
 *
 * One idea: both kinds hold the configuration as text, so a codec is loaded from its file alone: an
 * exported file in its metadata ("codec", "role", "band"), a checkpoint in the state of the
 * training task.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "models/encodec.h"

/* The format of exported files. */
#define FORMAT "resonant-codec"
enum { FORMAT_MAJOR = 1 };
static const char format_version[] = "1.0";

/* What a file says about its codec. */
typedef struct description {
    char *config; /* JSON; heap */
    char role[32];
    double band[2]; /* zeros: not said */
} description;

/* [low, high] in Hz, as written by the training task; files of before have none. */
static rg_status read_band(const json_t *band, const char *path, double out[2], rg_error *err)
{
    if (!band) return RG_OK;
    for (size_t i = 0; i < 2; i++) out[i] = json_number_value(json_array_get(band, i));
    if (json_array_size(band) == 2 && out[0] >= 0 && out[0] < out[1]) return RG_OK;
    return rg_fail(err, RG_ERR_FORMAT, "%s: band: two rising numbers of Hz are expected", path);
}

/* From a checkpoint: {"task": {"codec": {...}, "role": "bass", "band": [23, 1970]}} in its extra
 * text. */
static rg_status describe_checkpoint(const char *extra, const char *path, description *out,
                                     rg_error *err)
{
    json_t *state = rg_json_parse(extra, strlen(extra), path, err);
    if (!state) return err->code;
    const json_t *task = json_object_get(state, "task");
    const json_t *config = json_object_get(task, "codec");
    const char *role = json_string_value(json_object_get(task, "role"));
    out->config = json_is_object(config) ? json_dumps(config, JSON_COMPACT) : NULL;
    if (role) rg_copy_text(out->role, sizeof out->role, role);
    rg_status status =
        out->config && role
            ? read_band(json_object_get(task, "band"), path, out->band, err)
            : rg_fail(err, RG_ERR_FORMAT, "%s: is a checkpoint, but not one of a codec run", path);
    json_decref(state);
    return status;
}

static rg_status describe_export(rg_st_reader *reader, const char *path, description *out,
                                 rg_error *err)
{
    const char *format = rg_st_metadata(reader, "format");
    const char *version = rg_st_metadata(reader, "version");
    const char *config = rg_st_metadata(reader, "codec"), *role = rg_st_metadata(reader, "role");
    if (!format || strcmp(format, FORMAT) != 0 || !version || !config || !role)
        return rg_fail(err, RG_ERR_FORMAT,
                       "%s: holds no codec; give a checkpoint of a codec run or an exported "
                       "codec-<role>.safetensors",
                       path);
    if (strtol(version, NULL, 10) > FORMAT_MAJOR)
        return rg_fail(err, RG_ERR_FORMAT, "%s: format %s is newer than the %s that is known here",
                       path, version, format_version);
    rg_copy_text(out->role, sizeof out->role, role);
    out->config = strdup(config);
    if (!out->config) return rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", path);
    const char *text = rg_st_metadata(reader, "band");
    json_t *band = text ? rg_json_parse(text, strlen(text), path, err) : NULL;
    if (text && !band) return err->code;
    rg_status status = read_band(band, path, out->band, err);
    json_decref(band);
    return status;
}

static rg_status describe_file(const char *path, description *out, rg_error *err)
{
    *out = (description){0};
    rg_st_reader *reader = rg_st_open(path, err);
    if (!reader) return err->code;
    const char *extra = rg_st_metadata(reader, "extra");
    rg_status status = extra ? describe_checkpoint(extra, path, out, err)
                             : describe_export(reader, path, out, err);
    rg_st_close(reader);
    return status;
}

static rg_status declare_model(rg_codec *codec, const char *path, const char *config, rg_error *err)
{
    if (rg_encodec_config_from_json(config, &codec->config, err) != RG_OK) {
        rg_error_prefix(err, "%s", path);
        return err->code;
    }
    codec->params = rg_params_create(err);
    if (!codec->params) return err->code;
    codec->model = rg_encodec_create(codec->params, "", &codec->config, err);
    return codec->model ? rg_weights_hash(path, codec->hash, err) : err->code;
}

rg_status rg_codec_describe(const char *path, rg_codec *out, rg_error *err)
{
    description d;
    *out = (rg_codec){0};
    rg_status status = describe_file(path, &d, err);
    if (status == RG_OK) status = declare_model(out, path, d.config, err);
    memcpy(out->role, d.role, sizeof out->role);
    memcpy(out->band, d.band, sizeof out->band);
    if (!(d.band[1] > 0)) out->band[1] = out->config.sample_rate / 2.0;
    free(d.config);
    if (status != RG_OK) rg_codec_free(out);
    return status;
}

rg_status rg_codec_fetch(rg_codec *codec, const char *path, rg_exec *ex, rg_error *err)
{
    RG_TRY(rg_params_finish(codec->params, ex, 0, false, err));
    RG_TRY(rg_weights_load(path, "", codec->params, ex, err));
    if (rg_quantizer_started(rg_encodec_quantizer(codec->model))) return RG_OK;
    return rg_fail(err, RG_ERR_MISMATCH,
                   "%s: the codebooks have not been started yet; take a later checkpoint", path);
}

rg_status rg_codec_load(const char *path, rg_exec *ex, rg_codec *out, rg_error *err)
{
    rg_error local = {0};
    rg_error *e = err ? err : &local;
    RG_TRY(rg_codec_describe(path, out, e));
    const rg_status status = rg_codec_fetch(out, path, ex, e);
    if (status != RG_OK) rg_codec_free(out);
    return status;
}

void rg_codec_free(rg_codec *codec)
{
    rg_encodec_destroy(codec->model);
    rg_params_destroy(codec->params);
    *codec = (rg_codec){0};
}

rg_status rg_codec_check_plain(const rg_codec *codec, const char *path, rg_error *err)
{
    const rg_encodec_config *c = &codec->config;
    if (c->channels == 1 && c->chunk_seconds <= 0 && !c->normalize) return RG_OK;
    return rg_fail(err, RG_ERR_UNSUPPORTED,
                   "%s: tracks need a mono codec without chunks and normalization; this one has %d "
                   "channels and chunks of %g s",
                   path, (int)c->channels, c->chunk_seconds);
}

rg_status rg_codec_save(rg_codec *codec, const char *path, rg_error *err)
{
    char *config = rg_encodec_config_to_json(&codec->config);
    char low[32], high[32], band[80];
    snprintf(band, sizeof band, "[%s,%s]", rg_format_double(codec->band[0], low),
             rg_format_double(codec->band[1], high));
    const char *keys[] = {"format", "version", "codec", "role", "band"};
    const char *values[] = {FORMAT, format_version, config, codec->role, band};
    rg_status status = config
                           ? rg_weights_save(path, "", codec->params, false, keys, values, 5, err)
                           : rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", path);
    free(config);
    return status;
}

rg_status rg_codec_export(const char *checkpoint, const char *path, rg_exec *ex, rg_error *err)
{
    rg_codec codec;
    RG_TRY(rg_codec_load(checkpoint, ex, &codec, err));
    rg_status status = rg_codec_save(&codec, path, err);
    rg_codec_free(&codec);
    return status;
}
