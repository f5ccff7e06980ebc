/*
 * Codec streams (codec_stream.h): a network's stream with the quantizer at its end or start.
 */
#include "models/codec_stream.h"

#include <stdlib.h>
#include <string.h>

#include "models/codec_signal.h"
#include "nn/seanet_stream.h"

enum { PIECE = 512 /* frames that go through the network at once: bounds the memory */ };

struct rg_codec_stream {
    rg_exec *ex;
    rg_codec *codec;
    rg_seanet_stream *net;
    int64_t held; /* frames that the start may hold back */
    int32_t codebooks;
};

rg_status rg_codec_stream_check(const rg_encodec_config *config, rg_error *err)
{
    const struct {
        bool fault;
        const char *what;
    } rows[] = {
        {config->norm == RG_CONV_TIME_GROUP_NORM,
         "its layers are normalized over time (norm: weight_norm or none)"},
        {config->normalize || config->chunk_seconds > 0, "it works on chunks (chunk_seconds: 0)"},
        {config->channels != 1, "it is not mono (channels: 1)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].fault)
            return rg_fail(
                err, RG_ERR_UNSUPPORTED,
                "this codec cannot stream: %s; use 'codec encode' and 'codec decode', or "
                "train one that can",
                rows[i].what);
    return RG_OK;
}

static rg_codec_stream *create(rg_exec *ex, rg_codec *codec, const rg_seanet *net, int64_t held,
                               int32_t codebooks, rg_error *err)
{
    rg_codec_stream *stream = calloc(1, sizeof *stream);
    rg_seanet_stream *state = rg_seanet_stream_create(ex, net, err);
    if (!stream || !state) {
        free(stream);
        rg_seanet_stream_destroy(state);
        rg_fail(err, RG_ERR_NOMEM, "no memory for a stream");
        return NULL;
    }
    *stream = (rg_codec_stream){ex, codec, state, held, codebooks};
    return stream;
}

rg_codec_stream *rg_codec_encoder(rg_exec *ex, rg_codec *codec, int32_t codebooks, rg_error *err)
{
    const rg_seanet *net = rg_encodec_encoder(codec->model);
    int64_t held = rg_seanet_needs(net, 1) / rg_encodec_hop(&codec->config);
    return create(ex, codec, net, held, codebooks, err);
}

rg_codec_stream *rg_codec_decoder(rg_exec *ex, rg_codec *codec, rg_error *err)
{
    const rg_seanet *net = rg_encodec_decoder(codec->model);
    int64_t held = rg_seanet_needs(net, rg_encodec_hop(&codec->config));
    return create(ex, codec, net, held, codec->config.codebooks, err);
}

void rg_codec_stream_destroy(rg_codec_stream *stream)
{
    if (!stream) return;
    rg_seanet_stream_destroy(stream->net);
    free(stream);
}

void rg_codec_stream_reset(rg_codec_stream *stream)
{
    rg_seanet_stream_reset(stream->net);
}

int64_t rg_codec_encoder_room(const rg_codec_stream *stream, int64_t n)
{
    return n / rg_encodec_hop(&stream->codec->config) + stream->held + 2;
}

int64_t rg_codec_decoder_room(const rg_codec_stream *stream, int64_t frames)
{
    const rg_encodec_config *c = &stream->codec->config;
    return (frames + stream->held) * rg_encodec_hop(c) * c->channels;
}

rg_tensor *rg_codec_books(rg_exec *ex, const rg_codec *codec)
{
    rg_tensor *books = rg_encodec_quantizer(codec->model)->books;
    if (ex->kernels->real == books->dtype) return books;
    return rg_tensor_from_floats(ex, books->shape, books->host);
}

/* One piece of samples to codes; the number of frames, or -1 after an error. */
static int64_t encode_piece(rg_codec_stream *s, const float *x, int64_t n, bool last,
                            int32_t *codes)
{
    const int32_t books = s->codec->config.codebooks;
    rg_mark mark = rg_tape_mark(s->ex);
    rg_tensor *in = rg_tensor_from_floats(s->ex, RG_SHAPE(1, n, s->codec->config.channels), x);
    rg_tensor *z = rg_seanet_stream_run(s->ex, s->net, in, last);
    int64_t frames = z ? z->shape.dim[1] : -1;
    if (frames > 0) {
        rg_rvq_out out = rg_rvq(s->ex, z, rg_codec_books(s->ex, s->codec), NULL, s->codebooks);
        for (int64_t i = 0; out.codes && i < frames * books; i++)
            codes[i] = i % books < s->codebooks ? ((const int32_t *)out.codes->data)[i] : -1;
    }
    rg_tape_rewind(s->ex, mark);
    return rg_exec_status(s->ex) == RG_OK ? frames : -1;
}

rg_status rg_codec_stream_encode(rg_codec_stream *s, const float *x, int64_t n, bool last,
                                 int32_t *codes, int64_t *frames)
{
    int64_t piece = PIECE * (int64_t)rg_encodec_hop(&s->codec->config), at = 0, made;
    bool recording = rg_set_recording(s->ex, false);
    *frames = 0;
    do {
        int64_t count = n - at < piece ? n - at : piece;
        made = encode_piece(s, x + at * s->codec->config.channels, count, last && at + count == n,
                            codes + *frames * s->codec->config.codebooks);
        if (made > 0) *frames += made;
        at += count;
    } while (at < n && made >= 0);
    rg_set_recording(s->ex, recording);
    return rg_exec_status(s->ex);
}

/* One piece of codes to samples; their number, or -1 after an error. */
static int64_t decode_piece(rg_codec_stream *s, const int32_t *codes, int64_t frames, bool last,
                            float *out)
{
    const rg_encodec_config *c = &s->codec->config;
    int64_t n = -1;
    rg_mark mark = rg_tape_mark(s->ex);
    rg_tensor *in = rg_tensor_from_ints(s->ex, RG_SHAPE(1, frames, c->codebooks), codes);
    rg_tensor *y = rg_seanet_stream_run(
        s->ex, s->net, rg_embedding(s->ex, in, rg_codec_books(s->ex, s->codec)), last);
    if (y) {
        n = y->shape.dim[1];
        rg_tensor_floats(y, 0, n * c->channels, out);
    }
    rg_tape_rewind(s->ex, mark);
    return n;
}

rg_status rg_codec_stream_decode(rg_codec_stream *s, const int32_t *codes, int64_t frames,
                                 bool last, float *out, int64_t *n)
{
    int64_t books = s->codec->config.codebooks, at = 0, made;
    *n = 0;
    RG_TRY(rg_codec_check_codes(s->ex, &s->codec->config, codes, frames));
    bool recording = rg_set_recording(s->ex, false);
    do {
        int64_t count = frames - at < PIECE ? frames - at : PIECE;
        made = decode_piece(s, codes + at * books, count, last && at + count == frames,
                            out + *n * s->codec->config.channels);
        if (made > 0) *n += made;
        at += count;
    } while (at < frames && made >= 0);
    rg_set_recording(s->ex, recording);
    return rg_exec_status(s->ex);
}

rg_codec_latency rg_codec_latency_of(const rg_codec *codec)
{
    const rg_seanet *encoder = rg_encodec_encoder(codec->model);
    const rg_seanet *decoder = rg_encodec_decoder(codec->model);
    int64_t hop = rg_encodec_hop(&codec->config), far = 1024 * hop; /* beyond every start */
    rg_codec_latency l = {.start = rg_seanet_needs(encoder, rg_seanet_needs(decoder, 1))};
    for (int64_t t = far; t < far + hop; t++) {
        int64_t wait = rg_seanet_needs(encoder, rg_seanet_needs(decoder, t + 1)) - t;
        if (wait > l.frame) l.frame = wait;
    }
    return l;
}
