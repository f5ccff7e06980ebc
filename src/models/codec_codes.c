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
    free(codes->scales);
    *codes = (rg_codes){0};
}

static size_t part_count(const rg_codes *c)
{
    return (size_t)c->streams * (size_t)c->chunks;
}

static size_t code_count(const rg_codes *c)
{
    return part_count(c) * (size_t)c->codebooks * (size_t)c->frames;
}

static bool has_scales(const rg_encodec_config *config)
{
    return config->normalize || config->chunk_seconds > 0;
}

static int32_t streams_of(const rg_encodec_config *config, int32_t channels)
{
    return config->channels == 1 ? channels : 1;
}

/* The engine's first error is where the text is. */
static rg_status take_error(const rg_exec *ex, rg_status status, rg_error *err)
{
    return status == RG_OK ? RG_OK : rg_fail(err, status, "%s", ex->error.text);
}

/* ---- sound <-> codes ---- */

/* Stream s of interleaved samples, and back. */
static void take_stream(const rg_audio *audio, int32_t s, int32_t width, float *out)
{
    for (int64_t i = 0; i < audio->frames * width; i++)
        out[i] = audio->samples[i / width * audio->channels + s * width + i % width];
}

static void put_stream(const float *from, int32_t s, int32_t width, rg_audio *audio)
{
    for (int64_t i = 0; i < audio->frames * width; i++)
        audio->samples[i / width * audio->channels + s * width + i % width] = from[i];
}

static rg_status encode_streams(rg_exec *ex, rg_codec *codec, const rg_audio *audio, rg_codes *out,
                                rg_error *err)
{
    const int32_t width = codec->config.channels;
    const int64_t each = out->chunks * out->frames * out->codebooks;
    float *x = malloc(((size_t)(audio->frames * width) + 1) * sizeof *x);
    out->codes = calloc(code_count(out) + 1, sizeof *out->codes);
    out->scales = calloc(part_count(out) + 1, sizeof *out->scales);
    rg_status status = RG_OK;
    if (!x || !out->codes || !out->scales)
        status = rg_fail(err, RG_ERR_NOMEM, "no memory for the codes");
    for (int32_t s = 0; s < out->streams && status == RG_OK; s++) {
        take_stream(audio, s, width, x);
        status = rg_codec_encode_chunks(ex, codec, x, audio->frames, out->codebooks,
                                        out->codes + s * each, out->scales + s * out->chunks);
        status = take_error(ex, status, err);
    }
    free(x);
    if (has_scales(&codec->config)) return status;
    free(out->scales);
    out->scales = NULL;
    return status;
}

/* At the codec's rate, with as many channels as it takes. */
static rg_status fit_audio(const rg_encodec_config *config, const rg_audio *audio, rg_audio *out,
                           rg_error *err)
{
    const bool doubled = config->channels == 2 && audio->channels == 1;
    rg_audio wide = {0};
    if (config->channels != 1 && config->channels != audio->channels && !doubled)
        return rg_fail(err, RG_ERR_UNSUPPORTED,
                       "%d channels; the codec takes %d: mix them down or split them first",
                       (int)audio->channels, (int)config->channels);
    if (doubled) RG_TRY(rg_audio_to_channels(audio, 2, &wide, err));
    rg_status status = rg_audio_resample(doubled ? &wide : audio, config->sample_rate, out, err);
    rg_audio_free(&wide);
    return status;
}

rg_status rg_codes_from_audio(rg_exec *ex, rg_codec *codec, const rg_audio *audio, int32_t n_q,
                              rg_codes *out, rg_error *err)
{
    rg_audio at_rate = {0};
    const rg_encodec_config *config = &codec->config;
    *out = (rg_codes){0};
    if (n_q < 0 || n_q > config->codebooks)
        return rg_fail(err, RG_ERR_USAGE, "%d codebooks asked; the codec has %d", (int)n_q,
                       (int)config->codebooks);
    RG_TRY(fit_audio(config, audio, &at_rate, err));
    const rg_codec_cut cut = rg_codec_cut_of(config, at_rate.frames);
    const bool empty = cut.chunks == 0; /* without chunks: one stream of no frames, as any other */
    *out = (rg_codes){.chunks = empty && !has_scales(config) ? 1 : cut.chunks,
                      .frames = cut.frames,
                      .samples = at_rate.frames,
                      .channels = at_rate.channels,
                      .streams = streams_of(config, at_rate.channels),
                      .codebooks = n_q ? n_q : config->codebooks,
                      .sample_rate = config->sample_rate,
                      .frame_rate = rg_encodec_frame_rate(config)};
    memcpy(out->model_hash, codec->hash, sizeof out->model_hash);
    memcpy(out->role, codec->role, sizeof out->role);
    rg_status status = encode_streams(ex, codec, &at_rate, out, err);
    rg_audio_free(&at_rate);
    if (status != RG_OK) rg_codes_free(out);
    return status;
}

/* Whether the counts are those that this codec makes of so many samples. */
static bool counts_fit(const rg_encodec_config *config, const rg_codes *codes)
{
    const rg_codec_cut cut = rg_codec_cut_of(config, codes->samples);
    const bool scaled = has_scales(config);
    if (codes->codebooks > config->codebooks || scaled != (codes->scales != NULL)) return false;
    if (codes->streams != streams_of(config, codes->channels)) return false;
    if (config->channels != 1 && config->channels != codes->channels) return false;
    if (scaled) return codes->chunks == cut.chunks && (codes->frames == cut.frames || !cut.chunks);
    return codes->chunks == 1 && codes->frames >= cut.frames;
}

static rg_status check_codec(const rg_codec *codec, const rg_codes *codes, rg_error *err)
{
    if (strcmp(codes->model_hash, codec->hash) != 0)
        return rg_fail(err, RG_ERR_MISMATCH,
                       "the codes were made by codec %.12s (role %s), this one is %.12s (role %s); "
                       "decode them with the codec that made them",
                       codes->model_hash, codes->role, codec->hash, codec->role);
    if (!counts_fit(&codec->config, codes))
        return rg_fail(err, RG_ERR_FORMAT, "the codes do not fit the codec that they name");
    return RG_OK;
}

rg_status rg_codes_to_audio(rg_exec *ex, rg_codec *codec, const rg_codes *codes, rg_audio *out,
                            rg_error *err)
{
    *out = (rg_audio){0};
    RG_TRY(check_codec(codec, codes, err));
    RG_TRY(rg_audio_make(out, codes->samples, codes->channels, codes->sample_rate, err));
    const int32_t width = codec->config.channels;
    rg_status status = RG_OK;
    float *y = malloc(((size_t)(codes->samples * width) + 1) * sizeof *y);
    if (!y) {
        rg_audio_free(out);
        return rg_fail(err, RG_ERR_NOMEM, "no memory for the sound");
    }
    for (int32_t s = 0; s < codes->streams && status == RG_OK; s++) {
        const int32_t *part = codes->codes + s * codes->chunks * codes->frames * codes->codebooks;
        const float *scales = codes->scales ? codes->scales + s * codes->chunks : NULL;
        status =
            rg_codec_decode_chunks(ex, codec, part, scales, codes->codebooks, y, codes->samples);
        status = take_error(ex, status, err);
        if (status == RG_OK) put_stream(y, s, width, out);
    }
    free(y);
    if (status != RG_OK) rg_audio_free(out);
    return status;
}

/* ---- files ---- */

/* (parts,F,K) <-> (parts,K,F): the file keeps a codebook's codes together. */
static void transpose(const int32_t *from, int32_t *to, int64_t parts, int64_t rows,
                      int64_t columns)
{
    for (int64_t c = 0; c < parts; c++) {
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
    const int64_t parts = (int64_t)part_count(codes), books = codes->codebooks;
    transpose(codes->codes, rows, parts, codes->frames, books);
    if (codes->scales) {
        rg_st_add(writer, "codes", RG_I32, RG_SHAPE(parts, books, codes->frames), rows);
        rg_st_add(writer, "scale", RG_F32, RG_SHAPE(parts), codes->scales);
    } else {
        rg_st_add(writer, "codes", RG_I32, RG_SHAPE(parts * books, codes->frames), rows);
    }
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
                  {"channels", codes->channels},
                  {"streams", codes->streams}};
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
    int64_t rate = 0, channels = 0, streams = 0;
    if (!format || strcmp(format, FORMAT) != 0 || !version || !hash || !role || !frame_rate)
        return rg_fail(err, RG_ERR_FORMAT,
                       "%s: is not a file of codes; make one with 'resonant codec encode'", path);
    if (strtol(version, NULL, 10) > FORMAT_MAJOR)
        return rg_fail(err, RG_ERR_FORMAT, "%s: format %s is newer than the %s that is known here",
                       path, version, format_version);
    RG_TRY(metadata_int(reader, path, "sample_rate", RG_AUDIO_MIN_RATE, RG_AUDIO_MAX_RATE, &rate,
                        err));
    RG_TRY(metadata_int(reader, path, "channels", 1, RG_AUDIO_MAX_CHANNELS, &channels, err));
    streams = channels; /* files of before have one for each */
    if (rg_st_metadata(reader, "streams"))
        RG_TRY(metadata_int(reader, path, "streams", 1, channels, &streams, err));
    RG_TRY(metadata_int(reader, path, "samples", 0, INT64_C(1) << 40, &out->samples, err));
    out->sample_rate = (int32_t)rate;
    out->channels = (int32_t)channels;
    out->streams = (int32_t)streams;
    if (!rg_copy_text(out->model_hash, sizeof out->model_hash, hash) ||
        !rg_copy_text(out->role, sizeof out->role, role) ||
        !rg_parse_double(frame_rate, &out->frame_rate) || !(out->frame_rate > 0))
        return rg_fail(err, RG_ERR_FORMAT, "%s: model_hash, role or frame_rate is malformed", path);
    return RG_OK;
}

/* Frames, codebooks and chunks from the shape of `codes`: two dims without chunks, three with. */
static bool read_shape(const rg_st_tensor *t, const rg_st_tensor *scale, rg_codes *out)
{
    if (!t || t->dtype != RG_I32 || t->shape.ndim != (scale ? 3 : 2)) return false;
    const int64_t *dim = t->shape.dim, rows = scale ? dim[1] : dim[0] / out->streams;
    out->frames = dim[t->shape.ndim - 1];
    out->codebooks = rows >= 1 && rows <= RG_MAX_BOOKS ? (int32_t)rows : 0;
    out->chunks = scale ? dim[0] / out->streams : 1;
    return out->frames <= MAX_FRAMES && out->chunks <= MAX_FRAMES && out->codebooks &&
           dim[0] % out->streams == 0;
}

static rg_status read_scales(rg_st_reader *reader, const rg_st_tensor *scale, const char *path,
                             rg_codes *out, rg_error *err)
{
    const int64_t parts = (int64_t)part_count(out);
    if (scale->dtype != RG_F32 || !rg_shape_equal(scale->shape, RG_SHAPE(parts)))
        return rg_fail(err, RG_ERR_FORMAT,
                       "%s: tensor 'scale' must be float32 (%lld), a chunk each", path,
                       (long long)parts);
    RG_TRY(rg_st_read_floats(reader, scale, out->scales, err));
    for (int64_t i = 0; i < parts; i++)
        if (!isfinite(out->scales[i]))
            return rg_fail(err, RG_ERR_FORMAT, "%s: scale %lld is not a number", path,
                           (long long)i);
    return RG_OK;
}

static rg_status read_codes(rg_st_reader *reader, const char *path, rg_codes *out, rg_error *err)
{
    const rg_st_tensor *t = rg_st_find(reader, "codes"), *scale = rg_st_find(reader, "scale");
    if (!read_shape(t, scale, out))
        return rg_fail(err, RG_ERR_FORMAT, "%s: tensor 'codes' must be int32 %s with %d channels",
                       path,
                       scale ? "(chunks, codebooks, frames)" : "(channels * codebooks, frames)",
                       (int)out->channels);
    int32_t *rows = malloc((code_count(out) + 1) * sizeof *rows);
    out->codes = malloc((code_count(out) + 1) * sizeof *out->codes);
    if (scale) out->scales = malloc((part_count(out) + 1) * sizeof *out->scales);
    if (!rows || !out->codes || (scale && !out->scales)) {
        free(rows);
        return rg_fail(err, RG_ERR_NOMEM, "%s: out of memory", path);
    }
    rg_status status = rg_st_read(reader, t, rows, err);
    if (status == RG_OK)
        transpose(rows, out->codes, (int64_t)part_count(out), out->codebooks, out->frames);
    free(rows);
    if (status == RG_OK && scale) status = read_scales(reader, scale, path, out, err);
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

enum { MAX_CHANNELS = 2 }; /* of a sound file */

rg_status rg_codec_encode_file(rg_exec *ex, rg_codec *codec, const char *sound, int32_t n_q,
                               const char *codes, rg_error *err)
{
    rg_audio audio;
    rg_codes made = {0};
    RG_TRY(rg_audio_read(sound, &audio, err));
    rg_status status = RG_OK;
    if (audio.frames == 0)
        status =
            rg_fail(err, RG_ERR_FORMAT, "%s: holds no samples; there is nothing to encode", sound);
    else if (audio.channels > MAX_CHANNELS)
        status = rg_fail(err, RG_ERR_UNSUPPORTED,
                         "%s: %d channels; one or two are encoded: mix them down or split them "
                         "first",
                         sound, (int)audio.channels);
    else if ((status = rg_codes_from_audio(ex, codec, &audio, n_q, &made, err)) != RG_OK)
        rg_error_prefix(err, "%s", sound);
    rg_audio_free(&audio);
    RG_TRY(status);
    status = rg_codes_write(&made, codes, err);
    rg_codes_free(&made);
    return status;
}

rg_status rg_codec_decode_file(rg_exec *ex, rg_codec *codec, const char *codes, const char *wav,
                               bool whole, int64_t *clipped, rg_error *err)
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
    status = rg_audio_write_wav(wav, &audio, whole ? RG_PCM_F32 : RG_PCM_S16, clipped, err);
    rg_audio_free(&audio);
    return status;
}
