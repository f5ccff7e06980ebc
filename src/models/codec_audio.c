/*
 * A trained codec on signals of any length (encodec.h): a stream, or windows with context.
 *
 * One idea: what does not look ahead is a stream in one call. Otherwise windows begin at multiples
 * of BODY frames whatever the length, and only the frames of a window's body are kept. The context
 * is longer than the convolutions reach, so without an LSTM the result is that of one pass over the
 * whole signal; with one it is its warm-up. A codec whose norms look at the whole signal is not
 * cut.
 */
#include <stdlib.h>
#include <string.h>

#include "models/codec_stream.h"
#include "models/codec_windows.h"

enum { BODY = 500, CONTEXT = 50 }; /* frames */

/* Frames [first, last) are fed, of which [start, stop) are kept. */
typedef struct window {
    int64_t first, start, stop, last;
} window;

static int64_t body_of(const rg_codec *codec, int64_t frames)
{
    return codec->config.norm == RG_CONV_TIME_GROUP_NORM ? frames : BODY;
}

static window window_at(int64_t start, int64_t body, int64_t frames)
{
    window w = {.first = start > CONTEXT ? start - CONTEXT : 0, .start = start};
    w.stop = start + body < frames ? start + body : frames;
    w.last = w.stop + CONTEXT < frames ? w.stop + CONTEXT : frames;
    return w;
}

/* The codebooks in the kernels' type: themselves but for the double reference. */
static rg_tensor *books_of(rg_exec *ex, const rg_codec *codec)
{
    rg_tensor *books = rg_encodec_quantizer(codec->model)->books;
    if (ex->kernels->real == books->dtype) return books;
    return rg_tensor_from_floats(ex, books->shape, books->data);
}

static rg_status encode_window(rg_exec *ex, rg_codec *codec, const float *x, int64_t n, int32_t n_q,
                               window w, int32_t *codes)
{
    const int64_t hop = rg_encodec_hop(&codec->config), books = codec->config.codebooks;
    const int64_t channels = codec->config.channels;
    const int64_t from = w.first * hop, to = w.last * hop < n ? w.last * hop : n;
    rg_mark mark = rg_tape_mark(ex);
    rg_tensor *in =
        rg_tensor_from_floats(ex, RG_SHAPE(1, to - from, channels), x + from * channels);
    rg_tensor *z = rg_encodec_encode(ex, codec->model, in);
    rg_rvq_out out = rg_rvq(ex, z, books_of(ex, codec), NULL, n_q);
    rg_status status = rg_exec_status(ex);
    if (status == RG_OK)
        memcpy(codes + w.start * books,
               (const int32_t *)out.codes->data + (w.start - w.first) * books,
               (size_t)((w.stop - w.start) * books) * sizeof *codes);
    rg_tape_rewind(ex, mark);
    return status;
}

static rg_status decode_window(rg_exec *ex, rg_codec *codec, const int32_t *codes, window w,
                               float *out, int64_t n)
{
    const int64_t hop = rg_encodec_hop(&codec->config), books = codec->config.codebooks;
    const int64_t frames = w.last - w.first, from = w.start * hop;
    const int64_t to = w.stop * hop < n ? w.stop * hop : n, channels = codec->config.channels;
    rg_mark mark = rg_tape_mark(ex);
    rg_tensor *in = rg_tensor_from_ints(ex, RG_SHAPE(1, frames, books), codes + w.first * books);
    rg_tensor *z = rg_embedding(ex, in, books_of(ex, codec));
    rg_tensor *y = rg_encodec_decode(ex, codec->model, z, frames * hop);
    rg_status status = rg_exec_status(ex);
    if (status == RG_OK && to > from)
        rg_tensor_floats(y, (w.start - w.first) * hop * channels, (to - from) * channels,
                         out + from * channels);
    rg_tape_rewind(ex, mark);
    return status;
}

/* ---- causal codecs ---- */

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
    float *piece = malloc((size_t)rg_codec_decoder_room(s, BODY) * sizeof *piece);
    rg_status status = piece ? RG_OK : rg_exec_fail(ex, RG_ERR_NOMEM, "codec: no memory");
    for (int64_t start = 0, at = 0, made; start < frames && status == RG_OK; start += BODY) {
        int64_t count = start + BODY < frames ? BODY : frames - start;
        status = rg_codec_stream_decode(s, codes + start * codec->config.codebooks, count,
                                        start + count == frames, piece, &made);
        if (made > n - at) made = n - at;
        if (status == RG_OK) memcpy(out + at, piece, (size_t)made * sizeof *out);
        at += made;
    }
    free(piece);
    rg_codec_stream_destroy(s);
    return status;
}

/* ---- both ---- */

/* What a stream takes, and kernels of floats. */
static bool can_stream(const rg_exec *ex, const rg_codec *codec)
{
    return ex->kernels->real == RG_F32 && rg_codec_stream_check(&codec->config, NULL) == RG_OK;
}

rg_status rg_codec_encode_windows(rg_exec *ex, rg_codec *codec, const float *x, int64_t n,
                                  int32_t n_q, int32_t *codes)
{
    const int64_t hop = rg_encodec_hop(&codec->config), frames = (n + hop - 1) / hop;
    const int64_t body = body_of(codec, frames);
    rg_status status = rg_exec_status(ex);
    if (status == RG_OK && can_stream(ex, codec)) return encode_stream(ex, codec, x, n, n_q, codes);
    bool recording = rg_set_recording(ex, false);
    for (int64_t start = 0; start < frames && status == RG_OK; start += body) {
        status = encode_window(ex, codec, x, n, n_q, window_at(start, body, frames), codes);
    }
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

rg_status rg_codec_decode_windows(rg_exec *ex, rg_codec *codec, const int32_t *codes,
                                  int64_t frames, float *out, int64_t n)
{
    const int64_t body = body_of(codec, frames);
    rg_status status = rg_codec_check_codes(ex, &codec->config, codes, frames);
    if (status == RG_OK && n > frames * rg_encodec_hop(&codec->config))
        status = rg_exec_fail(ex, RG_ERR_SHAPE, "codec: %lld samples asked of %lld frames",
                              (long long)n, (long long)frames);
    if (status == RG_OK) status = rg_exec_status(ex);
    if (status == RG_OK && can_stream(ex, codec))
        return decode_stream(ex, codec, codes, frames, out, n);
    bool recording = rg_set_recording(ex, false);
    for (int64_t start = 0; start < frames && status == RG_OK; start += body) {
        status = decode_window(ex, codec, codes, window_at(start, body, frames), out, n);
    }
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
    return rg_codec_encode_windows(ex, codec, x, n, codec->config.codebooks, codes);
}

rg_status rg_codec_decode_audio(rg_exec *ex, rg_codec *codec, const int32_t *codes, int64_t frames,
                                float *out, int64_t n)
{
    RG_TRY(check_plain(ex, &codec->config));
    return rg_codec_decode_windows(ex, codec, codes, frames, out, n);
}

rg_status rg_codec_dequantize(const rg_codec *codec, const int32_t *codes, int64_t frames,
                              float *out)
{
    const rg_encodec_config *c = &codec->config;
    const float *books = rg_encodec_quantizer(codec->model)->books->data;
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
