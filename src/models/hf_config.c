/*
 * config.json of transformers' EncodecModel, to a codec's configuration and back (hf.h).
 *
 * One idea: one table pairs their members with ours and holds their defaults; reading turns their
 * object into ours, which is then read as any other (codec_config.c).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/hf_private.h"

enum { CONFIG_LIMIT = 16 << 20 };

typedef enum value_kind {
    KIND_INT,
    KIND_NUMBER,
    KIND_BOOL,
    KIND_TEXT,
    KIND_INTS,
    KIND_NUMBERS
} value_kind;

/* `missing`: what it is when it is not said (JSON); "null" may also be said where it stands. */
static const struct row {
    const char *theirs, *ours;
    value_kind kind;
    const char *missing;
} rows[] = {
    {"sampling_rate", "sample_rate", KIND_INT, "24000"},
    {"audio_channels", "channels", KIND_INT, "1"},
    {"num_filters", "filters", KIND_INT, "32"},
    {"hidden_size", "dimension", KIND_INT, "128"},
    {"upsampling_ratios", "ratios", KIND_INTS, "[8,5,4,2]"},
    {"kernel_size", "kernel", KIND_INT, "7"},
    {"last_kernel_size", "last_kernel", KIND_INT, "7"},
    {"residual_kernel_size", "residual_kernel", KIND_INT, "3"},
    {"num_residual_layers", "residual_layers", KIND_INT, "1"},
    {"dilation_growth_rate", "dilation_base", KIND_INT, "2"},
    {"compress", "compress", KIND_INT, "2"},
    {"num_lstm_layers", "lstm_layers", KIND_INT, "2"},
    {"use_causal_conv", "causal", KIND_BOOL, "true"},
    {"use_conv_shortcut", "conv_shortcut", KIND_BOOL, "true"},
    {"pad_mode", "pad_mode", KIND_TEXT, "\"reflect\""},
    {"norm_type", "norm", KIND_TEXT, "\"weight_norm\""},
    {"trim_right_ratio", "trim_right_ratio", KIND_NUMBER, "1.0"},
    {"codebook_size", "entries", KIND_INT, "1024"},
    {"normalize", "normalize", KIND_BOOL, "false"},
    {"chunk_length_s", "chunk_seconds", KIND_NUMBER, "null"},
    {"overlap", "chunk_overlap", KIND_NUMBER, "null"},
    {"target_bandwidths", "bandwidths", KIND_NUMBERS, "[1.5,3.0,6.0,12.0,24.0]"},
};
enum { ROWS = sizeof rows / sizeof *rows };

static bool is_list(const json_t *value, bool whole)
{
    size_t i;
    const json_t *item;
    if (!json_is_array(value) || json_array_size(value) == 0) return false;
    json_array_foreach((json_t *)value, i, item)
    {
        if (whole ? !json_is_integer(item) : !json_is_number(item)) return false;
    }
    return true;
}

static bool is_kind(const json_t *value, value_kind kind)
{
    switch (kind) {
    case KIND_INT:
        return json_is_integer(value);
    case KIND_NUMBER:
        return json_is_number(value);
    case KIND_BOOL:
        return json_is_boolean(value);
    case KIND_TEXT:
        return json_is_string(value);
    case KIND_INTS:
        return is_list(value, true);
    case KIND_NUMBERS:
        return is_list(value, false);
    }
    return false;
}

static const char *const kind_texts[] = {[KIND_INT] = "a whole number",
                                         [KIND_NUMBER] = "a number",
                                         [KIND_BOOL] = "true or false",
                                         [KIND_TEXT] = "a text",
                                         [KIND_INTS] = "whole numbers in brackets",
                                         [KIND_NUMBERS] = "numbers in brackets"};

static rg_status translate(const json_t *theirs, const struct row *r, json_t *ours,
                           const char *path, rg_error *err)
{
    json_t *given = json_object_get(theirs, r->theirs);
    const bool unsaid = !given || (json_is_null(given) && !strcmp(r->missing, "null"));
    if (unsaid && !strcmp(r->missing, "null")) {
        json_object_set_new(ours, r->ours, json_real(0));
        return RG_OK;
    }
    json_t *value = unsaid ? json_loads(r->missing, JSON_DECODE_ANY, NULL) : json_incref(given);
    if (value && is_kind(value, r->kind)) {
        json_object_set_new(ours, r->ours, value);
        return RG_OK;
    }
    json_decref(value);
    return rg_fail(err, RG_ERR_FORMAT, "%s: %s must be %s", path, r->theirs, kind_texts[r->kind]);
}

/* What only they have: a width of codebooks apart from the latent's, chunks without an overlap. */
static rg_status check_theirs(const json_t *theirs, const char *path, rg_error *err)
{
    const json_t *dim = json_object_get(theirs, "codebook_dim");
    const json_t *hidden = json_object_get(theirs, "hidden_size");
    const json_int_t width = hidden ? json_integer_value(hidden) : 128;
    if (dim && !json_is_null(dim) && (!json_is_integer(dim) || json_integer_value(dim) != width))
        return rg_fail(err, RG_ERR_UNSUPPORTED,
                       "%s: codebook_dim is not hidden_size (%lld); a model with a projection "
                       "between the two cannot be imported",
                       path, (long long)width);
    if (json_is_number(json_object_get(theirs, "chunk_length_s")) &&
        !json_is_number(json_object_get(theirs, "overlap")))
        return rg_fail(err, RG_ERR_FORMAT, "%s: chunk_length_s without overlap", path);
    return RG_OK;
}

static rg_status config_of(const json_t *theirs, const char *path, rg_encodec_config *out,
                           rg_error *err)
{
    RG_TRY(check_theirs(theirs, path, err));
    json_t *ours = json_pack("{s:i}", "codebooks", 1); /* follows from the bandwidths */
    rg_status status = RG_OK;
    for (size_t i = 0; i < ROWS && status == RG_OK; i++)
        status = translate(theirs, &rows[i], ours, path, err);
    char *text = status == RG_OK ? json_dumps(ours, JSON_COMPACT) : NULL;
    json_decref(ours);
    RG_TRY(status);
    if (!text) return rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", path);
    status = rg_encodec_config_from_json(text, out, err);
    free(text);
    if (status != RG_OK) {
        rg_error_prefix(err, "%s", path);
        return status;
    }
    const int64_t books = rg_hf_codebooks(out);
    if (books < 1 || books > RG_MAX_BOOKS)
        return rg_fail(err, RG_ERR_FORMAT,
                       "%s: target_bandwidths make %lld codebooks; 1 to %d are possible", path,
                       (long long)books, RG_MAX_BOOKS);
    out->codebooks = (int32_t)books;
    return RG_OK;
}

rg_status rg_hf_read_config(const char *path, rg_encodec_config *out, bool *inside, rg_error *err)
{
    json_t *object = rg_json_read(path, CONFIG_LIMIT, err);
    if (!object) return err->code;
    const json_t *part = json_object_get(object, "audio_encoder");
    const json_t *theirs = json_is_object(part) ? part : object;
    const char *type = json_string_value(json_object_get(theirs, "model_type"));
    *inside = theirs == part;
    rg_status status =
        type && !strcmp(type, "encodec")
            ? config_of(theirs, path, out, err)
            : rg_fail(err, RG_ERR_UNSUPPORTED,
                      "%s: model_type is %s; an encodec is expected, or a musicgen that holds one",
                      path, type ? type : "not said");
    json_decref(object);
    return status;
}

/* Bits of a code, and frames a second, as they round them. */
static double bits_per_second(const rg_encodec_config *config)
{
    return ceil(rg_encodec_frame_rate(config)) * ceil(log2((double)config->entries));
}

int64_t rg_hf_codebooks(const rg_encodec_config *config)
{
    if (config->n_bandwidths < 1) return 0;
    return (int64_t)floor(1000 * config->bandwidths[config->n_bandwidths - 1] /
                          bits_per_second(config));
}

/* ---- writing ---- */

/* Bandwidths that make them build all codebooks; without own ones, what all of them cost. */
static rg_status fill_bandwidths(rg_encodec_config *c, rg_error *err)
{
    if (rg_hf_codebooks(c) == c->codebooks) return RG_OK;
    if (c->n_bandwidths)
        return rg_fail(err, RG_ERR_UNSUPPORTED,
                       "bandwidths of %g kbit/s make transformers build %lld codebooks; the codec "
                       "has %d",
                       c->bandwidths[c->n_bandwidths - 1], (long long)rg_hf_codebooks(c),
                       (int)c->codebooks);
    c->n_bandwidths = 1;
    c->bandwidths[0] = c->codebooks * bits_per_second(c) / 1000;
    while (rg_hf_codebooks(c) < c->codebooks)
        c->bandwidths[0] = nextafter(c->bandwidths[0], INFINITY);
    return RG_OK;
}

static rg_status check_buildable(const rg_encodec_config *c, rg_error *err)
{
    if (c->lstm_layers == 0)
        return rg_fail(err, RG_ERR_UNSUPPORTED, "transformers has no EnCodec without an LSTM");
    if (c->norm == RG_CONV_NO_NORM)
        return rg_fail(err, RG_ERR_UNSUPPORTED, "transformers has no EnCodec without a norm");
    if (c->entries & (c->entries - 1))
        return rg_fail(err, RG_ERR_UNSUPPORTED,
                       "transformers wants codebooks of a power of two; these have %d entries",
                       (int)c->entries);
    if (c->channels > 2)
        return rg_fail(err, RG_ERR_UNSUPPORTED, "transformers has one channel or two, not %d",
                       (int)c->channels);
    if (!c->causal && c->trim_right_ratio < 1)
        return rg_fail(err, RG_ERR_UNSUPPORTED,
                       "transformers wants trim_right_ratio 1 where a codec is not causal");
    return RG_OK;
}

json_t *rg_hf_config_json(const rg_encodec_config *config, rg_error *err)
{
    rg_encodec_config c = *config;
    if (check_buildable(&c, err) != RG_OK || fill_bandwidths(&c, err) != RG_OK) return NULL;
    char *text = rg_encodec_config_to_json(&c);
    json_t *ours = text ? json_loads(text, 0, NULL) : NULL;
    json_t *theirs =
        json_pack("{s:s, s:[s], s:i, s:s}", "model_type", "encodec", "architectures",
                  "EncodecModel", "codebook_dim", c.dimension, "torch_dtype", "float32");
    free(text);
    for (size_t i = 0; ours && i < ROWS; i++) {
        const bool none = !strcmp(rows[i].missing, "null") && c.chunk_seconds <= 0;
        json_object_set_new(theirs, rows[i].theirs,
                            none ? json_null() : json_incref(json_object_get(ours, rows[i].ours)));
    }
    json_decref(ours);
    if (ours && theirs) return theirs;
    json_decref(theirs);
    rg_fail(err, RG_ERR_NOMEM, "no memory for a configuration");
    return NULL;
}

json_t *rg_hf_features_json(const rg_encodec_config *config)
{
    const bool chunks = config->chunk_seconds > 0;
    return json_pack("{s:s, s:i, s:i, s:f, s:s, s:b, s:o, s:o}", "feature_extractor_type",
                     "EncodecFeatureExtractor", "feature_size", config->channels, "sampling_rate",
                     config->sample_rate, "padding_value", 0.0, "padding_side", "right",
                     "return_attention_mask", 1, "chunk_length_s",
                     chunks ? json_real(config->chunk_seconds) : json_null(), "overlap",
                     chunks ? json_real(config->chunk_overlap) : json_null());
}
