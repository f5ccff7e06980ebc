/*
 * What a call of `generate` takes of memory, before anything is loaded.
 *
 * One idea: a pass over kernels that compute nothing (kernels/idle.h) says what the real one takes;
 * weights and caches are counted from their shapes. The bundle keeps to what is left for models
 * (rg_bundle_need). Where tracks live on a GPU, its memory is meant and codecs do not count.
 */
#ifndef RG_GENERATE_MEMORY_H
#define RG_GENERATE_MEMORY_H

#include "base/log.h"
#include "models/bundle.h"

typedef struct rg_generate_plan {
    int32_t frames, takes;
    double seconds;
    int32_t rate;  /* of the stems */
    int64_t limit; /* bytes that may be taken in all; 0: what is free */
} rg_generate_plan;

typedef struct rg_generate_need {
    int64_t weights, largest; /* of all tracks and codecs; of the one that is largest */
    enum rg_bundle_kind kind; /* of that one, and its role */
    int32_t role;
    int64_t shared, caches; /* of all tracks; of the steps */
    int64_t step, scratch;  /* of the longest pass: activations */
    int64_t data;           /* codes, latents and sound, on the host */
} rg_generate_need;

rg_status rg_generate_count(const rg_bundle *bundle, const rg_generate_plan *plan,
                            rg_generate_need *out, rg_error *err) RG_MUST_USE;

/*
 * Says what the plan takes and sets the bundle's limit. RG_ERR_NOMEM with what is needed at least
 * where the largest model alone has no room.
 */
rg_status rg_generate_fit(rg_bundle *bundle, const rg_generate_plan *plan, const rg_log *log,
                          rg_error *err) RG_MUST_USE;

#endif
