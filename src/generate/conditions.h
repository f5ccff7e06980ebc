/*
 * From prompts and settings to the condition ids of a bundle's models.
 *
 * One idea: every condition that was asked for ends in a row that says what was used for it: the
 * word itself, a broader word, or nothing because the bundle was not trained with it. Nothing is
 * pretended.
 */
#ifndef RG_GENERATE_CONDITIONS_H
#define RG_GENERATE_CONDITIONS_H

#include "models/bundle.h"
#include "models/track_beat.h"

enum { RG_MAX_CONDITIONS = 64 };

typedef struct rg_condition {
    char field[16], asked[RG_WORD_SIZE], used[RG_WORD_SIZE]; /* used "": ignored */
    char role[RG_TRACK_NAME];                                /* "": all roles */
    char note[96]; /* why it is not used as asked; "" when it is */
} rg_condition;

typedef struct rg_conditions {
    int32_t ids[RG_TRACK_ROLES][RG_TRACK_FIELDS]; /* -1: not given */
    double tempo;                                 /* beats per minute; 0: not given */
    int32_t meter;                                /* beats per bar; 0: not given */
    int32_t n;
    rg_condition rows[RG_MAX_CONDITIONS];
} rg_conditions;

/* `settings` are "field=value"; they win over the prompt. role_prompts[r] may be NULL. */
rg_status rg_conditions_make(const rg_bundle *bundle, const rg_prompt *prompt,
                             const rg_prompt *const role_prompts[RG_TRACK_ROLES],
                             const char *const *settings, size_t n_settings, rg_conditions *out,
                             rg_error *err) RG_MUST_USE;
/*
 * What is heard in locked tracks (hearing.h): a tempo (0: none) and a key (tonic -1: none). Used
 * where none was said; where another was, its row's note says so.
 */
void rg_conditions_hear(rg_conditions *conditions, const rg_bundle *bundle, double tempo,
                        int32_t key_tonic, int32_t key_mode);
/* The usual tempo of the genre (0: none), used where none was said or heard. */
void rg_conditions_imply(rg_conditions *conditions, const rg_bundle *bundle, double usual_tempo);
json_t *rg_conditions_to_json(const rg_conditions *conditions); /* rows; new reference */
/* The steady beat grid that tempo and meter ask for. */
rg_beat_grid rg_conditions_grid(const rg_conditions *conditions);

#endif
