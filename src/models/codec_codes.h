/*
 * Sound files to code files and back.
 *
 * One idea: a code file is a safetensors file whose metadata say which codec made it; another one
 * is refused. A mono codec runs on each channel by itself, one stream each; a stereo codec on both
 * channels as one stream. Without chunks it holds `codes` int32 (streams * codebooks, frames),
 * stream by stream: (codebooks, frames) for one. With chunks, `codes` (streams * chunks, codebooks,
 * frames) and `scale` float (streams * chunks). Not here: reading and writing of sound (audio.h),
 * chunks (encodec.h).
 */
#ifndef RG_MODELS_CODEC_CODES_H
#define RG_MODELS_CODEC_CODES_H

#include "audio/audio.h"
#include "models/encodec.h"

typedef struct rg_codes {
    int32_t *codes; /* (streams,chunks,F,K), frame-major as rg_codec_decode_chunks wants it; heap */
    float *scales;  /* (streams,chunks); NULL for a codec without chunks; heap */
    int64_t chunks, frames, samples; /* of a stream; of a chunk; per channel, at the codec's rate */
    int32_t channels, streams, codebooks, sample_rate;
    double frame_rate;
    char model_hash[65], role[32];
} rg_codes;

void rg_codes_free(rg_codes *codes);

/* Any rate; resampled to the codec's. n_q: how many codebooks, 0: all. Channels that the codec
 * cannot take are RG_ERR_UNSUPPORTED; to a stereo codec mono is the same sound twice. */
rg_status rg_codes_from_audio(rg_exec *ex, rg_codec *codec, const rg_audio *audio, int32_t n_q,
                              rg_codes *out, rg_error *err) RG_MUST_USE;
/* At the codec's rate, with the channels of the original. RG_ERR_MISMATCH when another codec made
 * the codes. */
rg_status rg_codes_to_audio(rg_exec *ex, rg_codec *codec, const rg_codes *codes, rg_audio *out,
                            rg_error *err) RG_MUST_USE;

rg_status rg_codes_write(const rg_codes *codes, const char *path, rg_error *err) RG_MUST_USE;
/* Checks everything that the file says of itself; values of codes are checked on decoding. */
rg_status rg_codes_read(const char *path, rg_codes *out, rg_error *err) RG_MUST_USE;

/* What `resonant codec encode` and `decode` do: a sound file of one or two channels to a code file,
 * and back to a WAV of 16 bits or, when `whole`, of floats; *clipped (may be NULL): samples beyond
 * full scale. */
rg_status rg_codec_encode_file(rg_exec *ex, rg_codec *codec, const char *sound, int32_t n_q,
                               const char *codes, rg_error *err) RG_MUST_USE;
rg_status rg_codec_decode_file(rg_exec *ex, rg_codec *codec, const char *codes, const char *wav,
                               bool whole, int64_t *clipped, rg_error *err) RG_MUST_USE;

#endif
