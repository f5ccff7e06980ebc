/*
 * What the ways to run a codec on signals share (private to codec_audio.c, codec_chunks.c and
 * codec_stream.c).
 */
#ifndef RG_MODELS_CODEC_SIGNAL_H
#define RG_MODELS_CODEC_SIGNAL_H

#include "models/encodec.h"

/* The codebooks in the kernels' type: themselves but for the double reference. */
rg_tensor *rg_codec_books(rg_exec *ex, const rg_codec *codec);
/* One signal, or one chunk of one, without looking at its loudness: x (n,channels) -> codes (F,K)
 * of the first n_q codebooks, F = ceil(n/hop); -1 for the others. */
rg_status rg_codec_encode_signal(rg_exec *ex, rg_codec *codec, const float *x, int64_t n,
                                 int32_t n_q, int32_t *codes) RG_MUST_USE;
/* codes (F,K), entries -1 add nothing -> out (n,channels), n <= F*hop. */
rg_status rg_codec_decode_signal(rg_exec *ex, rg_codec *codec, const int32_t *codes, int64_t frames,
                                 float *out, int64_t n) RG_MUST_USE;

#endif
