/*
 * Bundles: what generation needs, as a folder that can be given away.
 *
 *   bundle.json  codec-<role>.safetensors  track-<role>.safetensors  shared.safetensors
 *   vocabulary.json  README.md (model card)
 *
 * or of one codec alone: bundle.json  codec-<role>.safetensors  README.md
 *
 * One idea: a bundle is read through the same functions and kernels as a training run; export only
 * picks the averaged weights and cuts the parameters by their prefixes.
 * Not here: generation (src/generate).
 */
#ifndef RG_MODELS_BUNDLE_H
#define RG_MODELS_BUNDLE_H

#include "base/log.h"
#include "models/encodec.h"
#include "models/track_transformer.h"
#include "music/prompt/prompt.h"

enum { RG_BUNDLE_MAJOR = 1, RG_BUNDLE_MINOR = 0 };

/* A model that comes when it is needed and goes when others need its memory. */
typedef struct rg_bundle_part {
    char path[1024];     /* "": it is somebody else's, and always there */
    rg_params *params;   /* of a track its own; of a codec the codec's */
    rg_params_size size; /* of its weights */
    bool here;
    int64_t used; /* when it was needed last, in needs */
} rg_bundle_part;

enum rg_bundle_kind { RG_PART_TRACK, RG_PART_CODEC, RG_PART_KINDS };

typedef struct rg_bundle {
    char folder[1024];
    rg_track_config config;
    rg_exec *ex;       /* borrowed */
    rg_params *params; /* of what all tracks share, and its file */
    char shared_path[1024];
    rg_bundle_part parts[RG_PART_KINDS][RG_TRACK_ROLES];
    int64_t limit;        /* bytes that parts may take where tracks live; INT64_MAX: no limit */
    int64_t needs, loads; /* so far */
    rg_tracks *tracks;
    rg_codec codecs[RG_TRACK_ROLES];
    rg_vocabulary vocabulary;
    json_t *info;  /* bundle.json */
    char hash[65]; /* over all model hashes: what a scene was made with */
    char track_hash[RG_TRACK_ROLES][65];
} rg_bundle;

/* Tracks live where `ex` does, codecs on the CPU (ex->host). Refuses foreign versions, missing
 * files and files whose hash is not the bundle's, by name. describe: without any part; open: with
 * all of them. */
rg_status rg_bundle_describe(rg_bundle *bundle, const char *folder, rg_exec *ex,
                             rg_error *err) RG_MUST_USE;
rg_status rg_bundle_open(rg_bundle *bundle, const char *folder, rg_exec *ex,
                         rg_error *err) RG_MUST_USE;
void rg_bundle_close(rg_bundle *bundle);

/*
 * Has the weights of a part in memory until another part is needed. Where they have no room within
 * the limit, those that were not needed for the longest time go, whether they are in the middle of
 * something or not; weights that come back have the same bits.
 */
rg_status rg_bundle_need(rg_bundle *bundle, enum rg_bundle_kind kind, int32_t role,
                         rg_error *err) RG_MUST_USE;
/* What a part takes of the memory that the limit is about: of a codec beside a GPU nothing. */
int64_t rg_bundle_part_bytes(const rg_bundle *bundle, enum rg_bundle_kind kind, int32_t role);
/* Numbers that were trained, of all tracks. */
int64_t rg_bundle_elements(const rg_bundle *bundle);

/*
 * What the tracks' matrices are held in from now on: RG_F32 (as opened), RG_BF16, or on a CPU RG_I8
 * (symmetric, a scale per output channel). Sums and everything else stay fp32. On a GPU, which has
 * RG_F16 too, activations and caches are stored in that type as well, by setting what `ex` stores
 * them in. Packs anew.
 */
rg_status rg_bundle_set_precision(rg_bundle *bundle, rg_dtype type, rg_exec *ex,
                                  rg_error *err) RG_MUST_USE;
/* "fp32", "fp16", "bf16", "int8". Of other texts: false, `type` is left as it is. */
bool rg_precision_parse(const char *text, rg_dtype *type);
const char *rg_precision_text(rg_dtype type);

/*
 * Writes a bundle from a track run's best checkpoint (the newest when it has no best). `folder`
 * must not exist or be empty. Nothing is left there on failure.
 */
rg_status rg_bundle_export(const char *run_folder, const char *folder, rg_exec *ex,
                           const rg_log *log, rg_error *err) RG_MUST_USE;

/*
 * A codec by its name: a codec's file, a checkpoint, a codec run, a bundle of one codec,
 * BUNDLE:ROLE or TRACK-RUN:ROLE. As rg_codec_load; a file that is not the bundle's is refused.
 */
rg_status rg_codec_open(const char *name, rg_exec *ex, rg_codec *out, rg_error *err) RG_MUST_USE;
/* Writes a bundle that holds one codec and no tracks; `source` is where it came from. `folder` must
 * not exist or be empty. Nothing is left there on failure. */
rg_status rg_bundle_of_codec(rg_codec *codec, const char *source, const char *folder,
                             rg_error *err) RG_MUST_USE;

/* How many songs of the training data carried a word of a field; -1: the bundle does not say. */
int64_t rg_bundle_trained_with(const rg_bundle *bundle, const char *field, const char *word);

#endif
