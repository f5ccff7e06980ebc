/*
 * What a prompt says of the scene itself: which tracks it has, and how long it is.
 *
 * One idea: these are no conditions of a model but orders for the session; whoever says something
 * else with an option wins over the sentence.
 */
#ifndef RG_GENERATE_WISHES_H
#define RG_GENERATE_WISHES_H

#include "generate/conditions.h"

typedef struct rg_wishes {
    int8_t tracks[RG_PROMPT_TRACKS]; /* as in rg_prompt */
    double seconds;                  /* 0: not said */
} rg_wishes;

/* Bars become seconds by the tempo and meter of `conditions`, else by the genre's usual tempo and
 * four beats; without any tempo they say nothing. */
rg_wishes rg_wishes_of(const rg_prompt *prompt, const rg_conditions *conditions);
/* 1 wanted, -1 unwanted, 0 not said, also of roles that no prompt speaks of. */
int32_t rg_wishes_track(const rg_wishes *wishes, const char *role);
/* The first wanted track that is not among the roles; NULL: none. */
const char *rg_wishes_missing(const rg_wishes *wishes, const rg_track_config *config);

#endif
