/*
 * Features as JSON: the keys that programs rely on.
 *
 * One idea: values stand under plain keys (tempo, beats_s, key, chords ...), and "about" says for
 * each of them its unit, method and, where there is one, confidence. What is not known is null.
 */
#ifndef RG_MUSIC_FEATURES_JSON_H
#define RG_MUSIC_FEATURES_JSON_H

#include "base/json.h"
#include "music/features/features.h"

/* New reference; NULL without memory. `name` says whose features they are (a path). */
json_t *rg_features_to_json(const rg_features *features, const char *name);

#endif
