/*
 * Masks over stem x time: which cells a window shows, and which it asks for.
 *
 * One idea: the three phases of training are three mixtures of five families over one loss, and
 * what generation asks is always a member of one of them.
 */
#ifndef RG_GENERATE_MASKS_H
#define RG_GENERATE_MASKS_H

#include "base/rng.h"
#include "models/track_transformer.h"

/* name, what is known besides absent roles; the target is the rest of its own track */
#define RG_MASK_FAMILIES(X)                                                        \
    X(NONE, "none", "nothing: the whole track alone")                              \
    X(ROLES, "roles", "some other roles, whole")                                   \
    X(STAIRCASE, "staircase", "earlier roles to b, later and own to a: [a,b)")     \
    X(RECTANGLE, "rectangle", "own before a and after b, most other roles: [a,b)") \
    X(WHOLE, "whole", "all other roles, whole")

typedef enum rg_mask_family {
#define X(id, name, text) RG_MASK_##id,
    RG_MASK_FAMILIES(X)
#undef X
        RG_MASK_COUNT
} rg_mask_family;
const char *rg_mask_name(rg_mask_family family);

/* Shares of the families in training; they sum to 1. */
typedef struct rg_mask_mix {
    double share[RG_MASK_COUNT];
} rg_mask_mix;
rg_mask_mix rg_mask_mix_of_phase(int32_t phase); /* 1, 2 or 3 */
rg_mask_family rg_mask_draw(const rg_mask_mix *mix, rg_rng *rng);

/* What a mask needs to know of a window. */
typedef struct rg_mask_window {
    bool present[RG_TRACK_ROLES]; /* the song has the role */
    int32_t frames;               /* of the song in the window, from frame 0; the rest is absent */
    const int32_t *bars; /* frames at which bars begin, rising; spans begin and end there */
    int32_t n_bars;      /* 0: no bars are known, spans lie at multiples of the patch */
} rg_mask_window;

/*
 * Writes state of every role and cells of batch->target for one item. Absent roles are ABSENT,
 * except in family NONE of phase 1 (`isolated`), where everything is UNKNOWN. At least one cell is
 * a target when frames > 0 and the target is present.
 */
void rg_mask_write(const rg_track_config *config, rg_track_batch *batch, int32_t item,
                   rg_mask_family family, bool isolated, const rg_mask_window *window, rg_rng *rng);

#endif
