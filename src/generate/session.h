/*
 * One call of `generate`: from a request to a scene folder.
 *
 * One idea: every role is either made, kept or partly kept; what is kept comes from a --lock file
 * or from the scene that is gone on from, and both are the same thing: a file of which some spans
 * are locked, and codes that are known.
 */
#ifndef RG_GENERATE_SESSION_H
#define RG_GENERATE_SESSION_H

#include <signal.h>

#include "base/log.h"
#include "generate/pipeline.h"
#include "generate/scene.h"

typedef struct rg_generate_options {
    const char *bundle_folder, *out_folder, *from_folder; /* from NULL: nothing to go on from */
    const char *prompt;                                   /* NULL: the scene's, or "" */
    const char *vocabulary;          /* more words: a YAML file or a folder of them; NULL: none */
    const char *const *role_prompts; /* "ROLE=TEXT" */
    size_t n_role_prompts;
    const char *const *settings; /* "FIELD=VALUE" */
    size_t n_settings;
    const char *const *locks; /* "ROLE=FILE" or "ROLE=FILE@A-B" (seconds) */
    size_t n_locks;
    const char *const *regenerate; /* "ROLE" or "ROLE@A-B"; needs from_folder */
    size_t n_regenerate;
    const char *const *leave_out; /* roles that do not play */
    size_t n_leave_out;
    double seconds; /* 0: the scene's, the longest lock's, or 8 */
    bool has_seed;
    uint64_t seed;                     /* without one: 1, or one more than the scene's */
    int32_t takes;                     /* 0 counts as 1; take i is what seed + i gives alone */
    const rg_sampling *sampling;       /* NULL: the scene's or the defaults */
    const char *precision;             /* of the tracks' weights; NULL: the scene's, or fp32 */
    int32_t rate;                      /* of stems without a lock */
    int64_t memory;                    /* bytes that may be taken in all; 0: what is free */
    const volatile sig_atomic_t *stop; /* NULL or set to a signal: RG_ERR_CANCELLED */
} rg_generate_options;

typedef struct rg_generate_result {
    char take[17];
    double seconds, wall_seconds;
    uint64_t seed;
    int32_t takes;
    double mix_gain, mix_peak; /* of the first take */
    double silent_share;       /* of the most silent take */
    int64_t loads;             /* how often a model's weights were loaded */
} rg_generate_result;

/* The first take is the scene out_folder, the others are scenes inside it (scene.h).
 * out_folder must not exist or be empty; it appears whole, or not at all. */
rg_status rg_generate(const rg_generate_options *options, rg_exec *ex, const rg_log *log,
                      rg_generate_result *result, rg_error *err) RG_MUST_USE;

#endif
