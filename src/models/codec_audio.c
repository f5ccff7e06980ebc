/*
 * A trained codec on signals of any length (encodec.h): a stream, or windows with context.
 *
 * One idea: what does not look ahead is a stream in one call. Otherwise windows begin at multiples
 * of BODY frames whatever the length, and only the frames of a window's body are kept. The context
 * is longer than the convolutions reach, so without an LSTM the result is that of one pass over the
 * whole signal; with one it is its warm-up.
 */
#include <stdlib.h>
#include <string.h>

#include "models/codec_stream.h"

enum { BODY = 500, CONTEXT = 50 }; /* frames */

/* Frames [first, last) are fed, of which [start, stop) are kept. */
typedef struct window {
    int64_t first, start, stop, last;
} window;

static window window_at(int64_t start, int64_t frames)
{
    window w = {.first = start > CONTEXT ? start - CONTEXT : 0, .start = start};
    w.stop = start + BODY < frames ? start + BODY : frames;
    w.last = w.stop + CONTEXT < frames ? w.stop + CONTEXT : frames;
    return w;
}

static rg_status encode_window(rg_exec *ex, rg_codec *codec, const float *x, int64_t n, window w,
                               int32_t *codes)
{
    int64_t hop = rg_encodec_hop(&codec->config), books = codec->config.codebooks;
    int64_t from = w.first * hop, to = w.last * hop < n ? w.last * hop : n;
    rg_mark mark = rg_tape_mark(ex);
    rg_tensor *in = rg_tensor_from_floats(ex, RG_SHAPE(1, to - from, 1), x + from);
    rg_tensor *z = rg_encodec_encode(ex, codec->model, in);
    const rg_quantizer *q = rg_encodec_quantizer(codec->model);
    rg_rvq_out out = rg_rvq(ex, z, q->books, NULL, codec->config.codebooks);
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
    int64_t hop = rg_encodec_hop(&codec->config), books = codec->config.codebooks;
    int64_t frames = w.last - w.first, from = w.start * hop;
    int64_t to = w.stop * hop < n ? w.stop * hop : n;
    rg_mark mark = rg_tape_mark(ex);
    rg_tensor *in = rg_tensor_from_ints(ex, RG_SHAPE(1, frames, books), codes + w.first * books);
    rg_tensor *z = rg_embedding(ex, in, rg_encodec_quantizer(codec->model)->books);
    rg_tensor *y = rg_encodec_decode(ex, codec->model, z, frames * hop);
    rg_status status = rg_exec_status(ex);
    if (status == RG_OK && to > from)
        memcpy(out + from, (const float *)y->data + (w.start - w.first) * hop,
               (size_t)(to - from) * sizeof *out);
    rg_tape_rewind(ex, mark);
    return status;
}

/* ---- causal codecs ---- */

static rg_status encode_stream(rg_exec *ex, rg_codec *codec, const float *x, int64_t n,
                               int32_t *codes)
{
    int64_t frames;
    rg_codec_stream *s = rg_codec_encoder(ex, codec, codec->config.codebooks, &ex->error);
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

/* Mono and causal: what a stream takes. */
static bool can_stream(const rg_codec *codec)
{
    return rg_codec_stream_check(&codec->config, NULL) == RG_OK;
}

rg_status rg_codec_encode_audio(rg_exec *ex, rg_codec *codec, const float *x, int64_t n,
                                int32_t *codes)
{
    int64_t hop = rg_encodec_hop(&codec->config), frames = (n + hop - 1) / hop;
    rg_status status = rg_exec_status(ex);
    if (status == RG_OK && can_stream(codec)) return encode_stream(ex, codec, x, n, codes);
    bool recording = rg_set_recording(ex, false);
    for (int64_t start = 0; start < frames && status == RG_OK; start += BODY) {
        status = encode_window(ex, codec, x, n, window_at(start, frames), codes);
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

rg_status rg_codec_decode_audio(rg_exec *ex, rg_codec *codec, const int32_t *codes, int64_t frames,
                                float *out, int64_t n)
{
    rg_status status = rg_codec_check_codes(ex, &codec->config, codes, frames);
    if (status == RG_OK && n > frames * rg_encodec_hop(&codec->config))
        status = rg_exec_fail(ex, RG_ERR_SHAPE, "codec: %lld samples asked of %lld frames",
                              (long long)n, (long long)frames);
    if (status == RG_OK) status = rg_exec_status(ex);
    if (status == RG_OK && can_stream(codec))
        return decode_stream(ex, codec, codes, frames, out, n);
    bool recording = rg_set_recording(ex, false);
    for (int64_t start = 0; start < frames && status == RG_OK; start += BODY) {
        status = decode_window(ex, codec, codes, window_at(start, frames), out, n);
    }
    rg_set_recording(ex, recording);
    return status;
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
