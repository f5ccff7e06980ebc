/*
 * A codec over sound that arrives in pieces: live encoding and decoding, and long signals.
 *
 * One idea: a stream is the state of one direction. Whatever the pieces, the codes and samples that
 * come out are, put together, those of the whole signal to the bit (seanet_stream.h). What is known
 * is given at once: of a causal codec a frame's codes when its last sample is in, a frame's samples
 * when its codes are, and later only where it reflects its start; of others when what their
 * convolutions see ahead is in (rg_codec_latency_of). The memory is that of a fixed piece.
 */
#ifndef RG_MODELS_CODEC_STREAM_H
#define RG_MODELS_CODEC_STREAM_H

#include "models/encodec.h"

typedef struct rg_codec_stream rg_codec_stream;

/* RG_ERR_UNSUPPORTED and what to do, unless the codec can work live: mono, without chunks and norms
 * over time. */
rg_status rg_codec_stream_check(const rg_encodec_config *config, rg_error *err) RG_MUST_USE;

/* For a codec without norms over time. All memory is taken here; codec and exec outlive the stream.
 * The encoder uses the first `codebooks` codebooks, 1 to all. After an error: NULL and a text. */
rg_codec_stream *rg_codec_encoder(rg_exec *ex, rg_codec *codec, int32_t codebooks, rg_error *err);
rg_codec_stream *rg_codec_decoder(rg_exec *ex, rg_codec *codec, rg_error *err);
void rg_codec_stream_destroy(rg_codec_stream *stream); /* NULL is fine */
/* The next piece begins a new signal. */
void rg_codec_stream_reset(rg_codec_stream *stream);

/*
 * The next x (n,channels), n >= 0 -> the *frames whose codes are now known, (F,K), -1 for
 * codebooks that are not used; `codes` has room for rg_codec_encoder_room(stream, n) frames.
 * `last`: no more will come, the last frame is filled up as rg_conv_padding says; reset before
 * another signal.
 */
rg_status rg_codec_stream_encode(rg_codec_stream *stream, const float *x, int64_t n, bool last,
                                 int32_t *codes, int64_t *frames) RG_MUST_USE;
/* The next codes (F,K), F >= 0, entries -1 add nothing -> the *n samples that are now known; `out`
 * (n,channels) has room for rg_codec_decoder_room(stream, frames) numbers. */
rg_status rg_codec_stream_decode(rg_codec_stream *stream, const int32_t *codes, int64_t frames,
                                 bool last, float *out, int64_t *n) RG_MUST_USE;
int64_t rg_codec_encoder_room(const rg_codec_stream *stream, int64_t n);
int64_t rg_codec_decoder_room(const rg_codec_stream *stream, int64_t frames);

/*
 * How many samples, from a sample of input on, must be in before the same sample of output is
 * known, encoder and decoder together: at most, far from the start; and of the first sample.
 */
typedef struct rg_codec_latency {
    int64_t frame, start;
} rg_codec_latency;
rg_codec_latency rg_codec_latency_of(const rg_codec *codec);

#endif
