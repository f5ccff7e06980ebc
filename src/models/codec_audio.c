/*
 * A trained codec on signals of any length (encodec.h).
 *
 * One idea: a signal is a stream in one call (codec_stream.h), which has the bits of one pass in
 * the memory of a piece. Only a codec whose norms look at the whole signal has to see it at once.
 */
#include <stdlib.h>
#include <string.h>

#include "models/codec_signal.h"
#include "models/codec_stream.h"

enum { PIECE = 512 /* frames of a call of the decoder */ };

/* ---- at once ---- */

static rg_status encode_whole(rg_exec *ex, rg_codec *codec, const float *x, int64_t n, int32_t n_q,
                              int32_t *codes)
{
    const int64_t frames =
        (n + rg_encodec_hop(&codec->config) - 1) / rg_encodec_hop(&codec->config);
    rg_mark mark = rg_tape_mark(ex);
    rg_tensor *in = rg_tensor_from_floats(ex, RG_SHAPE(1, n, codec->config.channels), x);
    rg_tensor *z = rg_encodec_encode(ex, codec->model, in);
    rg_rvq_out out = rg_rvq(ex, z, rg_codec_books(ex, codec), NULL, n_q);
    const int32_t *found = rg_tensor_read(ex, out.codes);
    rg_status status = rg_exec_status(ex);
    if (found) memcpy(codes, found, (size_t)(frames * codec->config.codebooks) * sizeof *codes);
    rg_tape_rewind(ex, mark);
    return status;
}

static rg_status decode_whole(rg_exec *ex, rg_codec *codec, const int32_t *codes, int64_t frames,
                              float *out, int64_t n)
{
    rg_mark mark = rg_tape_mark(ex);
    rg_tensor *in = rg_tensor_from_ints(ex, RG_SHAPE(1, frames, codec->config.codebooks), codes);
    rg_tensor *z = rg_embedding(ex, in, rg_codec_books(ex, codec));
    rg_tensor *y = rg_encodec_decode(ex, codec->model, z, n);
    rg_status status = rg_exec_status(ex);
    if (status == RG_OK) rg_tensor_floats(y, 0, n * codec->config.channels, out);
    rg_tape_rewind(ex, mark);
    return status;
}

/* ---- as a stream ---- */

static rg_status encode_stream(rg_exec *ex, rg_codec *codec, const float *x, int64_t n, int32_t n_q,
                               int32_t *codes)
{
    int64_t frames;
    rg_codec_stream *s = rg_codec_encoder(ex, codec, n_q, &ex->error);
    if (!s) return ex->error.code;
    rg_status status = rg_codec_stream_encode(s, x, n, true, codes, &frames);
    rg_codec_stream_destroy(s);
    return status;
}

/* In pieces, because what it makes of the last frame may be longer than n. */
static rg_status decode_stream(rg_exec *ex, rg_codec *codec, const int32_t *codes, int64_t frames,
                               float *out, int64_t n)
{
    rg_codec_stream *s = rg_codec_decoder(ex, codec, &ex->error);
    if (!s) return ex->error.code;
    const int64_t channels = codec->config.channels;
    float *piece = malloc((size_t)rg_codec_decoder_room(s, PIECE) * sizeof *piece);
    rg_status status = piece ? RG_OK : rg_exec_fail(ex, RG_ERR_NOMEM, "codec: no memory");
    for (int64_t start = 0, at = 0, made; start < frames && status == RG_OK; start += PIECE) {
        int64_t count = start + PIECE < frames ? PIECE : frames - start;
        status = rg_codec_stream_decode(s, codes + start * codec->config.codebooks, count,
                                        start + count == frames, piece, &made);
        if (made > n - at) made = n - at;
        if (status == RG_OK)
            memcpy(out + at * channels, piece, (size_t)(made * channels) * sizeof *out);
        at += made;
    }
    free(piece);
    rg_codec_stream_destroy(s);
    return status;
}

/* ---- both ---- */

/* Where it must: streams keep what they need of the past in the host's memory. */
static bool in_one_pass(const rg_exec *ex, const rg_codec *codec)
{
    return ex->gpu || codec->config.norm == RG_CONV_TIME_GROUP_NORM;
}

rg_status rg_codec_encode_signal(rg_exec *ex, rg_codec *codec, const float *x, int64_t n,
                                 int32_t n_q, int32_t *codes)
{
    rg_status status = rg_exec_status(ex);
    if (status != RG_OK || n == 0) return status;
    bool recording = rg_set_recording(ex, false);
    status = (in_one_pass(ex, codec) ? encode_whole : encode_stream)(ex, codec, x, n, n_q, codes);
    rg_set_recording(ex, recording);
    return status;
}

/* A code beyond the codebook would be read as memory that is not there. */
rg_status rg_codec_check_codes(rg_exec *ex, const rg_encodec_config *config, const int32_t *codes,
                               int64_t frames)
{
    for (int64_t i = 0; i < frames * config->codebooks; i++) {
        if (codes[i] < -1 || codes[i] >= config->entries)
            return rg_exec_fail(ex, RG_ERR_FORMAT,
                                "codec: code %d at frame %lld, codebook %lld; the codebooks have "
                                "%d entries",
                                (int)codes[i], (long long)(i / config->codebooks),
                                (long long)(i % config->codebooks), (int)config->entries);
    }
    return RG_OK;
}

rg_status rg_codec_decode_signal(rg_exec *ex, rg_codec *codec, const int32_t *codes, int64_t frames,
                                 float *out, int64_t n)
{
    rg_status status = rg_codec_check_codes(ex, &codec->config, codes, frames);
    if (status == RG_OK && n > frames * rg_encodec_hop(&codec->config))
        status = rg_exec_fail(ex, RG_ERR_SHAPE, "codec: %lld samples asked of %lld frames",
                              (long long)n, (long long)frames);
    if (status == RG_OK) status = rg_exec_status(ex);
    if (status != RG_OK || n == 0) return status;
    bool recording = rg_set_recording(ex, false);
    status =
        (in_one_pass(ex, codec) ? decode_whole : decode_stream)(ex, codec, codes, frames, out, n);
    rg_set_recording(ex, recording);
    return status;
}

/* ---- without chunks, all codebooks ---- */

static rg_status check_plain(rg_exec *ex, const rg_encodec_config *config)
{
    if (config->chunk_seconds <= 0 && !config->normalize) return RG_OK;
    return rg_exec_fail(ex, RG_ERR_UNSUPPORTED,
                        "codec: it works on chunks with a loudness each, which is not done here; "
                        "only `resonant codec` takes it");
}

rg_status rg_codec_encode_audio(rg_exec *ex, rg_codec *codec, const float *x, int64_t n,
                                int32_t *codes)
{
    RG_TRY(check_plain(ex, &codec->config));
    return rg_codec_encode_signal(ex, codec, x, n, codec->config.codebooks, codes);
}

rg_status rg_codec_decode_audio(rg_exec *ex, rg_codec *codec, const int32_t *codes, int64_t frames,
                                float *out, int64_t n)
{
    RG_TRY(check_plain(ex, &codec->config));
    return rg_codec_decode_signal(ex, codec, codes, frames, out, n);
}

rg_status rg_codec_dequantize(const rg_codec *codec, const int32_t *codes, int64_t frames,
                              float *out)
{
    const rg_encodec_config *c = &codec->config;
    const float *books = rg_encodec_quantizer(codec->model)->books->host;
    int64_t dim = c->dimension;
    memset(out, 0, (size_t)(frames * dim) * sizeof *out);
    for (int64_t i = 0; i < frames * c->codebooks; i++) {
        if (codes[i] >= c->entries) return RG_ERR_FORMAT;
        if (codes[i] < 0) continue;
        const float *entry = books + ((i % c->codebooks) * c->entries + codes[i]) * dim;
        float *row = out + i / c->codebooks * dim;
        for (int64_t d = 0; d < dim; d++) row[d] += entry[d];
    }
    return RG_OK;
}
