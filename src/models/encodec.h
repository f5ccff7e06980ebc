/*
 * EnCodec of one track: SEANet encoder, residual vector quantizer, SEANet decoder (Defossez et al.
 * 2210.13438).
 *
 * One idea: the model is parameters and calls of operators; training, evaluation and inference call
 * the same three functions. A trained codec is one safetensors file whose metadata holds its
 * configuration. Not here: losses and codebook updates (train/codec_task.c), the discriminator.
 */
#ifndef RG_MODELS_ENCODEC_H
#define RG_MODELS_ENCODEC_H

#include "engine/checkpoint.h"
#include "nn/rvq.h"
#include "nn/seanet.h"

enum { RG_MAX_BANDWIDTHS = 16 };

typedef struct rg_encodec_config {
    int32_t sample_rate, channels; /* channels: 1 for track codecs */
    int32_t filters, dimension;    /* width of the first layer; of the latent */
    int32_t n_ratios,
        ratios[RG_MAX_RATIOS]; /* decoder order; product = hop; sample_rate / hop = frame rate */
    int32_t kernel, last_kernel, residual_kernel, residual_layers, dilation_base, compress,
        lstm_layers;
    bool causal, conv_shortcut;
    rg_pad pad_mode;
    rg_conv_norm norm;
    double trim_right_ratio; /* causal transposed convolutions */
    int32_t codebooks, entries;
    bool normalize; /* each chunk is divided by its loudness, which is stored beside its codes */
    double chunk_seconds,
        chunk_overlap;    /* 0: one chunk; the part of a chunk that the next repeats */
    int32_t n_bandwidths; /* those that --bandwidth may name; none: any */
    double bandwidths[RG_MAX_BANDWIDTHS]; /* kbit/s, rising */
} rg_encodec_config;

typedef struct rg_encodec rg_encodec;

/*
 * What a codec of a track has unless told otherwise: kernels 7, 7 and 3, one residual layer, not
 * causal, zero padding, identity skips, dimension 128. Rates, ratios, widths and codebooks are 0.
 */
rg_encodec_config rg_encodec_defaults(void);
/* RG_ERR_CONFIG naming the first member out of range; also when hop does not divide sample_rate. */
rg_status rg_encodec_check(const rg_encodec_config *config, rg_error *err) RG_MUST_USE;

/*
 * Declares the parameters under `prefix` ("" or "codec.") in params, which must outlive the model.
 * NULL and a text in err when the configuration is wrong or memory is out.
 */
rg_encodec *rg_encodec_create(rg_params *params, const char *prefix,
                              const rg_encodec_config *config, rg_error *err);
void rg_encodec_destroy(rg_encodec *model); /* NULL is fine */
const rg_encodec_config *rg_encodec_config_of(const rg_encodec *model);
int32_t rg_encodec_hop(const rg_encodec_config *config);
double rg_encodec_frame_rate(const rg_encodec_config *config);
double
rg_encodec_bitrate(const rg_encodec_config *config); /* bits per second: K log2(V) frame_rate */
rg_quantizer *rg_encodec_quantizer(rg_encodec *model);
const rg_seanet *rg_encodec_encoder(const rg_encodec *model);
const rg_seanet *rg_encodec_decoder(const rg_encodec *model);

/* x (B,T,channels) -> latent (B,ceil(T/hop),D). */
rg_tensor *rg_encodec_encode(rg_exec *ex, rg_encodec *model, rg_tensor *x);
/* latent (B,F,D), quantized or not -> (B,length,channels), length <= F*hop. Not bounded to +-1. */
rg_tensor *rg_encodec_decode(rg_exec *ex, rg_encodec *model, rg_tensor *z, int64_t length);

/* ---- a trained codec, for use
 * ------------------------------------------------------------------------------ */

typedef struct rg_codec {
    rg_encodec_config config;
    rg_params *params;
    rg_encodec *model;
    char hash[65];  /* model hash */
    char role[32];  /* the role it was trained for */
    double band[2]; /* low and high Hz of what the role needs; unless its file says: 0, rate / 2 */
} rg_codec;

/*
 * From a checkpoint of a codec run, or an exported codec-<role>.safetensors (both hold the
 * configuration). The exec must outlive the codec. After an error `out` is empty.
 */
rg_status rg_codec_load(const char *path, rg_exec *ex, rg_codec *out, rg_error *err) RG_MUST_USE;
/* The two halves of that: all but the weights, and the weights, which rg_params_release takes away
 * and another fetch brings back. */
rg_status rg_codec_describe(const char *path, rg_codec *out, rg_error *err) RG_MUST_USE;
rg_status rg_codec_fetch(rg_codec *codec, const char *path, rg_exec *ex, rg_error *err) RG_MUST_USE;
void rg_codec_free(rg_codec *codec);
/* What tokens of tracks are made with: mono, without chunks and normalization. Others are
 * RG_ERR_UNSUPPORTED naming `path`. */
rg_status rg_codec_check_plain(const rg_codec *codec, const char *path, rg_error *err) RG_MUST_USE;
/* Writes codec-<role>.safetensors. */
rg_status rg_codec_save(rg_codec *codec, const char *path, rg_error *err) RG_MUST_USE;
/* Writes the inference file (EMA weights when there are any); the model hash stays the same. */
rg_status rg_codec_export(const char *checkpoint, const char *path, rg_exec *ex,
                          rg_error *err) RG_MUST_USE;

/*
 * On a CPU memory is bounded whatever the length: the codec runs as a stream (codec_stream.h), with
 * the bits of one pass. x (n,channels) at config.sample_rate -> codes (F,K) with F = ceil(n/hop);
 * `codes` holds F*K. For codecs without chunks and normalization, others are refused.
 */
rg_status rg_codec_encode_audio(rg_exec *ex, rg_codec *codec, const float *x, int64_t n,
                                int32_t *codes) RG_MUST_USE;
/* codes (F,K), entries -1 add nothing -> out (n,channels), n <= F*hop. */
rg_status rg_codec_decode_audio(rg_exec *ex, rg_codec *codec, const int32_t *codes, int64_t frames,
                                float *out, int64_t n) RG_MUST_USE;
/* RG_ERR_FORMAT with the place of the first of codes (F,K) that is neither -1 nor an entry. */
rg_status rg_codec_check_codes(rg_exec *ex, const rg_encodec_config *config, const int32_t *codes,
                               int64_t frames) RG_MUST_USE;
/*
 * How any codec cuts a signal of n samples: chunk c begins at c * stride and is `samples` long,
 * which are `frames` frames; the last is what is left. Without chunks the whole signal is one; n 0:
 * none.
 */
typedef struct rg_codec_cut {
    int64_t chunks, samples, stride, frames;
} rg_codec_cut;
rg_codec_cut rg_codec_cut_of(const rg_encodec_config *config, int64_t n);
/* The codebooks that kbit/s pay for: floor(1000 kbps / (log2(V) frame_rate)), 1 to all of them.
 * RG_ERR_USAGE listing the codec's bandwidths when it has some and this is none of them. */
rg_status rg_codec_books_for(const rg_encodec_config *config, double kbps, int32_t *books,
                             rg_error *err) RG_MUST_USE;
/*
 * The first n_q codebooks of any codec: x (n,channels) -> codes (chunks,frames,n_q) and scales
 * (chunks): the loudness each was divided by, sqrt(mean square of its mono mix) + 1e-8; 1 without
 * normalization. Frames that a short last chunk lacks are codes of 0.
 */
rg_status rg_codec_encode_chunks(rg_exec *ex, rg_codec *codec, const float *x, int64_t n,
                                 int32_t n_q, int32_t *codes, float *scales) RG_MUST_USE;
/* The way back: chunks overlap with triangular weights that sum to one -> out (n,channels). */
rg_status rg_codec_decode_chunks(rg_exec *ex, rg_codec *codec, const int32_t *codes,
                                 const float *scales, int32_t n_q, float *out,
                                 int64_t n) RG_MUST_USE;
/* codes (F,K) -> dequantized latents (F,D). */
rg_status rg_codec_dequantize(const rg_codec *codec, const int32_t *codes, int64_t frames,
                              float *out) RG_MUST_USE;

/*
 * The configuration as JSON (metadata of files), and back; unknown, missing or mistyped members are
 * refused by name. The text is on the heap, NULL when out of memory.
 */
char *rg_encodec_config_to_json(const rg_encodec_config *config);
rg_status rg_encodec_config_from_json(const char *json, rg_encodec_config *out,
                                      rg_error *err) RG_MUST_USE;
/* The first member in which two configurations differ, and what it is in each, as JSON in text[0]
 * and text[1]; NULL when they are alike. */
enum { RG_ENCODEC_MEMBER_TEXT = 128 };
const char *rg_encodec_difference(const rg_encodec_config *a, const rg_encodec_config *b,
                                  char text[2][RG_ENCODEC_MEMBER_TEXT]);

#endif
