/*
 * EnCodec in the layout of Hugging Face's transformers: folders with config.json and
 * model.safetensors, read into a bundle and written from a codec.
 *
 * One idea: one list says for each tensor of theirs which numbers of our parameters it holds and in
 * what order; reading and writing go through it (hf_tensors.c), so that they cannot disagree.
 * Not here: what the model computes (encodec.h).
 */
#ifndef RG_MODELS_HF_H
#define RG_MODELS_HF_H

#include "base/log.h"
#include "models/encodec.h"

typedef struct rg_hf_options {
    const char *role;         /* what the codec is called in the bundle; NULL: "mix" */
    bool keep_training_state; /* running sums and sizes of the codebooks, for training to go on */
} rg_hf_options;

/*
 * Reads DIR/config.json and DIR/model.safetensors (an EnCodec, or a MusicGen that holds one; tensor
 * names of transformers, old or new, or of encodec and audiocraft) and writes the bundle `out`,
 * which must not exist or be empty; nothing is left there on failure. Every tensor that is wrong,
 * missing or unknown is logged with the shape expected and the shape found; the first is the error.
 */
rg_status rg_hf_import(const char *folder, const char *out, const rg_hf_options *options,
                       rg_exec *ex, const rg_log *log, rg_error *err) RG_MUST_USE;
/* The same, as a codec in memory (its hash is empty). After an error `codec` is empty. */
rg_status rg_hf_load(const char *folder, const rg_hf_options *options, rg_exec *ex,
                     const rg_log *log, rg_codec *codec, rg_error *err) RG_MUST_USE;

/*
 * Writes what EncodecModel.from_pretrained and EncodecFeatureExtractor.from_pretrained load:
 * config.json, model.safetensors, preprocessor_config.json. RG_ERR_UNSUPPORTED for codecs that
 * transformers cannot build: without LSTM, without norm, entries that are no power of two.
 */
rg_status rg_hf_export(rg_codec *codec, const char *out, rg_error *err) RG_MUST_USE;

#endif
