/*
 * What is heard in the tracks that are locked: their tempo and key.
 *
 * One idea: what is locked says how the rest should be; it wins over what a genre usually is and
 * never over what was said.
 */
#ifndef RG_GENERATE_HEARING_H
#define RG_GENERATE_HEARING_H

#include "generate/locks.h"

typedef struct rg_hearing {
    double tempo;                /* beats per minute; 0: none that is sure enough */
    int32_t key_tonic, key_mode; /* tonic -1: none that is sure enough */
} rg_hearing;

/* Hears kept[r] of the roles for which `locked` is true, together, by rg_features_of. Stems under
 * four seconds have no tempo, drums alone no key. */
rg_status rg_hear_locked(const rg_kept_role *kept, const bool *locked,
                         const rg_track_config *config, rg_hearing *out, rg_error *err) RG_MUST_USE;

#endif
