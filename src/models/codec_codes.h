/*
 * Sound files to code files and back.
 *
 * One idea: a code file is a safetensors file with one tensor, `codes` int32
 * (channels * codebooks, frames), channel by channel: (codebooks, frames) for mono; its metadata
 * say which codec made it, and another one is refused. The codec is mono and runs on each channel
 * by itself. Not here: reading and writing of sound (audio.h), the windows (encodec.h).
 */
#ifndef RG_MODELS_CODEC_CODES_H
#define RG_MODELS_CODEC_CODES_H

#include "audio/audio.h"
#include "models/encodec.h"

typedef struct rg_codes {
    int32_t *codes; /* (channels,F,K), frame-major as rg_codec_decode_audio wants it; heap */
    int64_t frames, samples; /* samples per channel, at the codec's rate */
    int32_t channels, codebooks, sample_rate;
    double frame_rate;
    char model_hash[65], role[32];
} rg_codes;

void rg_codes_free(rg_codes *codes);

/* Any rate and channel count; resampled to the codec's rate. */
rg_status rg_codes_from_audio(rg_exec *ex, rg_codec *codec, const rg_audio *audio, rg_codes *out,
                              rg_error *err) RG_MUST_USE;
/* At the codec's rate, with the channels of the original. RG_ERR_MISMATCH when another codec made
 * the codes. */
rg_status rg_codes_to_audio(rg_exec *ex, rg_codec *codec, const rg_codes *codes, rg_audio *out,
                            rg_error *err) RG_MUST_USE;

rg_status rg_codes_write(const rg_codes *codes, const char *path, rg_error *err) RG_MUST_USE;
/* Checks everything that the file says of itself; values of codes are checked on decoding. */
rg_status rg_codes_read(const char *path, rg_codes *out, rg_error *err) RG_MUST_USE;

/* What `resonant codec encode` and `decode` do: a sound file to a code file, and back to a 16-bit
 * WAV; *clipped (may be NULL): samples beyond full scale. */
rg_status rg_codec_encode_file(rg_exec *ex, rg_codec *codec, const char *sound, const char *codes,
                               rg_error *err) RG_MUST_USE;
rg_status rg_codec_decode_file(rg_exec *ex, rg_codec *codec, const char *codes, const char *wav,
                               int64_t *clipped, rg_error *err) RG_MUST_USE;

#endif
