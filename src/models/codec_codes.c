/*
 * Sound files to code files and back (codec_codes.h).
 */
#include "models/codec_codes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define FORMAT "resonant-codes"
enum { FORMAT_MAJOR = 1, MAX_FRAMES = 1 << 28 };
static const char format_version[] = "1.0";

void rg_codes_free(rg_codes *codes)
{
    free(codes->codes);
    *codes = (rg_codes){0};
}

static size_t code_count(const rg_codes *c)
{
    return (size_t)c->channels * (size_t)c->codebooks * (size_t)c->frames;
}

/* The engine's first error is where the text is. */
static rg_status take_error(const rg_exec *ex, rg_status status, rg_error *err)
{
    return status == RG_OK ? RG_OK : rg_fail(err, status, "%s", ex->error.text);
}

/* ---- sound <-> codes ---- */

/* Channel c of interleaved samples. */
static void split_channel(const rg_audio *audio, int32_t c, float *out)
{
    for (int64_t i = 0; i < audio->frames; i++) out[i] = audio->samples[i * audio->channels + c];
}

static rg_status encode_channels(rg_exec *ex, rg_codec *codec, const rg_audio *audio, rg_codes *out,
                                 rg_error *err)
{
    float *mono = malloc(((size_t)audio->frames + 1) * sizeof *mono);
    out->codes = calloc(code_count(out) + 1, sizeof *out->codes);
    rg_status status = RG_OK;
    if (!mono || !out->codes) status = rg_fail(err, RG_ERR_NOMEM, "no memory for the codes");
    for (int32_t c = 0; c < audio->channels && status == RG_OK; c++) {
        split_channel(audio, c, mono);
        status = rg_codec_encode_audio(ex, codec, mono, audio->frames,
                                       out->codes + c * out->frames * out->codebooks);
        status = take_error(ex, status, err);
    }
    free(mono);
    return status;
}

rg_status rg_codes_from_audio(rg_exec *ex, rg_codec *codec, const rg_audio *audio, rg_codes *out,
                              rg_error *err)
{
    rg_audio at_rate = {0};
    const rg_encodec_config *config = &codec->config;
    int64_t hop = rg_encodec_hop(config);
    *out = (rg_codes){0};
    RG_TRY(rg_audio_resample(audio, config->sample_rate, &at_rate, err));
    *out = (rg_codes){.frames = (at_rate.frames + hop - 1) / hop,
                      .samples = at_rate.frames,
                      .channels = audio->channels,
                      .codebooks = config->codebooks,
                      .sample_rate = config->sample_rate,
                      .frame_rate = rg_encodec_frame_rate(config)};
    memcpy(out->model_hash, codec->hash, sizeof out->model_hash);
    memcpy(out->role, codec->role, sizeof out->role);
    rg_status status = encode_channels(ex, codec, &at_rate, out, err);
    rg_audio_free(&at_rate);
    if (status != RG_OK) rg_codes_free(out);
    return status;
}

static rg_status check_codec(const rg_codec *codec, const rg_codes *codes, rg_error *err)
{
    if (strcmp(codes->model_hash, codec->hash) != 0)
        return rg_fail(err, RG_ERR_MISMATCH,
                       "the codes were made by codec %.12s (role %s), this one is %.12s (role %s); "
                       "decode them with the codec that made them",
                       codes->model_hash, codes->role, codec->hash, codec->role);
    if (codes->codebooks != codec->config.codebooks ||
        codes->samples > codes->frames * rg_encodec_hop(&codec->config))
        return rg_fail(err, RG_ERR_FORMAT, "the codes do not fit the codec that they name");
    return RG_OK;
}

rg_status rg_codes_to_audio(rg_exec *ex, rg_codec *codec, const rg_codes *codes, rg_audio *out,
                            rg_error *err)
{
    *out = (rg_audio){0};
    RG_TRY(check_codec(codec, codes, err));
    RG_TRY(rg_audio_make(out, codes->samples, codes->channels, codes->sample_rate, err));
    rg_status status = RG_OK;
    float *mono = malloc(((size_t)codes->samples + 1) * sizeof *mono);
    if (!mono) {
        rg_audio_free(out);
        return rg_fail(err, RG_ERR_NOMEM, "no memory for the sound");
    }
    for (int32_t c = 0; c < codes->channels && status == RG_OK; c++) {
        const int32_t *part = codes->codes + c * codes->frames * codes->codebooks;
        status = rg_codec_decode_audio(ex, codec, part, codes->frames, mono, codes->samples);
        status = take_error(ex, status, err);
        for (int64_t i = 0; i < codes->samples && status == RG_OK; i++) {
            out->samples[i * codes->channels + c] = mono[i];
        }
    }
    free(mono);
    if (status != RG_OK) rg_audio_free(out);
    return status;
}

/* ---- files ---- */

/* (channels,F,K) <-> (channels*K,F): the file keeps a codebook's codes together. */
static void transpose(const int32_t *from, int32_t *to, int64_t channels, int64_t rows,
                      int64_t columns)
{
    for (int64_t c = 0; c < channels; c++) {
        const int32_t *a = from + c * rows * columns;
        int32_t *b = to + c * rows * columns;
        for (int64_t i = 0; i < rows * columns; i++) b[i % columns * rows + i / columns] = a[i];
    }
}

rg_status rg_codes_write(const rg_codes *codes, const char *path, rg_error *err)
{
    int32_t *rows = malloc((code_count(codes) + 1) * sizeof *rows);
    rg_st_writer *writer = rg_st_writer_create(err);
    if (!rows || !writer) {
        free(rows);
        rg_st_writer_free(writer);
        return rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", path);
    }
    char number[32];
    transpose(codes->codes, rows, codes->channels, codes->frames, codes->codebooks);
    rg_st_add(writer, "codes", RG_I32,
              RG_SHAPE(codes->channels * (int64_t)codes->codebooks, codes->frames), rows);
    rg_st_add_metadata(writer, "format", FORMAT);
    rg_st_add_metadata(writer, "version", format_version);
    rg_st_add_metadata(writer, "model_hash", codes->model_hash);
    rg_st_add_metadata(writer, "role", codes->role);
    rg_st_add_metadata(writer, "frame_rate", rg_format_double(codes->frame_rate, number));
    const struct {
        const char *key;
        long long value;
    } counts[] = {{"sample_rate", codes->sample_rate},
                  {"samples", (long long)codes->samples},
                  {"channels", codes->channels}};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        snprintf(number, sizeof number, "%lld", counts[i].value);
        rg_st_add_metadata(writer, counts[i].key, number);
    }
    rg_status status = rg_st_write(writer, path, err);
    free(rows);
    return status;
}

static rg_status metadata_int(rg_st_reader *reader, const char *path, const char *key, int64_t low,
                              int64_t high, int64_t *out, rg_error *err)
{
    const char *text = rg_st_metadata(reader, key);
    if (text && rg_parse_int(text, out) && *out >= low && *out <= high) return RG_OK;
    return rg_fail(err, RG_ERR_FORMAT,
                   "%s: metadata '%s' is %s; a number from %lld to %lld is "
                   "expected",
                   path, key, text ? text : "missing", (long long)low, (long long)high);
}

static rg_status read_header(rg_st_reader *reader, const char *path, rg_codes *out, rg_error *err)
{
    const char *format = rg_st_metadata(reader, "format");
    const char *version = rg_st_metadata(reader, "version");
    const char *hash = rg_st_metadata(reader, "model_hash"), *role = rg_st_metadata(reader, "role");
    const char *frame_rate = rg_st_metadata(reader, "frame_rate");
    int64_t rate = 0, channels = 0;
    if (!format || strcmp(format, FORMAT) != 0 || !version || !hash || !role || !frame_rate)
        return rg_fail(err, RG_ERR_FORMAT,
                       "%s: is not a file of codes; make one with 'resonant codec encode'", path);
    if (strtol(version, NULL, 10) > FORMAT_MAJOR)
        return rg_fail(err, RG_ERR_FORMAT, "%s: format %s is newer than the %s that is known here",
                       path, version, format_version);
    RG_TRY(metadata_int(reader, path, "sample_rate", RG_AUDIO_MIN_RATE, RG_AUDIO_MAX_RATE, &rate,
                        err));
    RG_TRY(metadata_int(reader, path, "channels", 1, RG_AUDIO_MAX_CHANNELS, &channels, err));
    RG_TRY(metadata_int(reader, path, "samples", 0, INT64_C(1) << 40, &out->samples, err));
    out->sample_rate = (int32_t)rate;
    out->channels = (int32_t)channels;
    if (!rg_copy_text(out->model_hash, sizeof out->model_hash, hash) ||
        !rg_copy_text(out->role, sizeof out->role, role) ||
        !rg_parse_double(frame_rate, &out->frame_rate) || !(out->frame_rate > 0))
        return rg_fail(err, RG_ERR_FORMAT, "%s: model_hash, role or frame_rate is malformed", path);
    return RG_OK;
}

static rg_status read_codes(rg_st_reader *reader, const char *path, rg_codes *out, rg_error *err)
{
    const rg_st_tensor *t = rg_st_find(reader, "codes");
    if (!t || t->dtype != RG_I32 || t->shape.ndim != 2 || t->shape.dim[1] > MAX_FRAMES ||
        out->channels < 1 || t->shape.dim[0] % out->channels ||
        t->shape.dim[0] / out->channels < 1 || t->shape.dim[0] / out->channels > RG_MAX_BOOKS)
        return rg_fail(err, RG_ERR_FORMAT,
                       "%s: tensor 'codes' must be int32 (channels * codebooks, frames) with %d "
                       "channels",
                       path, (int)out->channels);
    out->frames = t->shape.dim[1];
    out->codebooks = (int32_t)(t->shape.dim[0] / out->channels);
    int32_t *rows = malloc((code_count(out) + 1) * sizeof *rows);
    out->codes = malloc((code_count(out) + 1) * sizeof *out->codes);
    if (!rows || !out->codes) {
        free(rows);
        return rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", path);
    }
    rg_status status = rg_st_read(reader, t, rows, err);
    if (status == RG_OK) transpose(rows, out->codes, out->channels, out->codebooks, out->frames);
    free(rows);
    return status;
}

rg_status rg_codes_read(const char *path, rg_codes *out, rg_error *err)
{
    *out = (rg_codes){0};
    rg_error local = {0};
    rg_error *e = err ? err : &local;
    rg_st_reader *reader = rg_st_open(path, e);
    if (!reader) return e->code;
    rg_status status = read_header(reader, path, out, e);
    if (status == RG_OK) status = read_codes(reader, path, out, e);
    rg_st_close(reader);
    if (status != RG_OK) rg_codes_free(out);
    return status;
}

rg_status rg_codec_encode_file(rg_exec *ex, rg_codec *codec, const char *sound, const char *codes,
                               rg_error *err)
{
    rg_audio audio;
    rg_codes made;
    RG_TRY(rg_audio_read(sound, &audio, err));
    rg_status status = rg_codes_from_audio(ex, codec, &audio, &made, err);
    rg_audio_free(&audio);
    RG_TRY(status);
    status = rg_codes_write(&made, codes, err);
    rg_codes_free(&made);
    return status;
}

rg_status rg_codec_decode_file(rg_exec *ex, rg_codec *codec, const char *codes, const char *wav,
                               int64_t *clipped, rg_error *err)
{
    rg_codes read;
    rg_audio audio;
    RG_TRY(rg_codes_read(codes, &read, err));
    rg_status status = rg_codes_to_audio(ex, codec, &read, &audio, err);
    rg_codes_free(&read);
    if (status != RG_OK) {
        rg_error_prefix(err, "%s", codes);
        return status;
    }
    status = rg_audio_write_wav(wav, &audio, RG_PCM_S16, clipped, err);
    rg_audio_free(&audio);
    return status;
}
