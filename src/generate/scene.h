/*
 * Scenes: every output folder of `generate`, saved so that it can be gone on from.
 *
 *   scene.json  <role>.wav ...  mix.wav  codes.safetensors  vocabulary.json  take-1/ take-2/ ...
 *
 * Takes made beside the first are folders in it, and scenes like any other. vocabulary.json is
 * there when the user gave words of their own: whoever goes on understands the prompt by them.
 * One idea: a scene says everything that decided it (prompt, conditions, seeds, locks, model
 * hashes) and names its audio by SHA-256, so that what is kept is known to be what was made.
 */
#ifndef RG_GENERATE_SCENE_H
#define RG_GENERATE_SCENE_H

#include <jansson.h>

#include "generate/sampling.h"
#include "generate/stems.h"
#include "models/bundle.h"

enum {
    RG_SCENE_MAJOR = 1,
    RG_SCENE_MINOR = 3, /* 1: precision; 2: takes; 3: own_words */
    RG_SCENE_PATH = 1024,
    RG_SCENE_SETTINGS = 64,
    RG_SCENE_SECONDS = 600 /* longest */
};

typedef struct rg_scene_role {
    char name[RG_TRACK_NAME], sha256[65], take[17];
    uint64_t seed;
    bool absent;
    int32_t n_locked;
    double locked[RG_MAX_SPANS][2]; /* seconds that came from a --lock file */
    int32_t *codes;                 /* (frames,K); heap */
    char prompt[RG_PROMPT_SIZE];    /* role prompt, "" none */
} rg_scene_role;

typedef struct rg_scene {
    char folder[RG_SCENE_PATH], bundle_hash[65], prompt[RG_PROMPT_SIZE], id[17];
    double seconds, frame_rate;
    int32_t frames, n_roles;
    int32_t others;     /* takes beside this one: take-1 to take-<others> in its folder */
    rg_dtype precision; /* of the tracks' weights (rg_bundle_set_precision) */
    bool own_words;     /* its folder has vocabulary.json; else the bundle's words are its words */
    rg_sampling sampling;
    rg_scene_role roles[RG_TRACK_ROLES];
    json_t *settings; /* array of "field=value", at most RG_SCENE_SETTINGS, a field once */
    json_t *conditions;
} rg_scene;

/* Code frames of a length: the last one may reach past its end. */
int32_t rg_scene_frames(double seconds, double frame_rate);

/* What scene.json says, checked against the bundle; audio and codes are not looked at. `where` is
 * for messages. rg_scene_free in any case. */
rg_status rg_scene_parse(rg_scene *scene, const json_t *object, const rg_bundle *bundle,
                         const char *where, rg_error *err) RG_MUST_USE;
/* Refuses foreign versions, another bundle's scenes, and audio or codes that changed since. */
rg_status rg_scene_read(rg_scene *scene, const char *folder, const rg_bundle *bundle,
                        rg_error *err) RG_MUST_USE;
/* Writes scene.json, codes.safetensors and, with own_words, the bundle's vocabulary into the folder
 * (where the WAVs are already). */
rg_status rg_scene_write(const rg_scene *scene, const rg_bundle *bundle, rg_error *err) RG_MUST_USE;
void rg_scene_free(rg_scene *scene);
/* "take-<i>". */
void rg_scene_take_name(int32_t i, char out[16]);
/* The words in the scene's folder take the place of `words`, where it has its own. */
rg_status rg_scene_read_words(const rg_scene *scene, rg_vocabulary *words,
                              rg_error *err) RG_MUST_USE;
/* Path of a role's WAV in the scene's folder. */
rg_status rg_scene_wav(const rg_scene *scene, const char *role, char out[RG_SCENE_PATH],
                       rg_error *err) RG_MUST_USE;

#endif
