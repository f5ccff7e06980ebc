/*
 * Prompt texts made from a song's labels.
 *
 * One idea: only what the labels say is said (a genre or groove, tempo, key, meter, instruments);
 * what is unknown is left out, so a prompt is never wrong. Mood is said by nobody's labels and so
 * is never said. The same song and seed give the same words.
 * Not here: reading prompts (src/music/prompt).
 */
#ifndef RG_DATASETS_PROMPTS_H
#define RG_DATASETS_PROMPTS_H

#include "datasets/store.h"

typedef enum rg_prompt_form {
    RG_PROMPT_SENTENCE, /* one of several wordings, drawn by the seed and the song's id */
    RG_PROMPT_LIST      /* "rock, 140 bpm, E minor, 4/4, picked bass, distorted guitar" */
} rg_prompt_form;

/* Fills song->prompt from its other fields; roles without instruments are called by `roles`
 * (n_roles names), absent ones are not named. */
void rg_prompt_write(rg_song *song, int32_t n_roles, const char *const *roles, rg_prompt_form form,
                     uint64_t seed);

#endif
