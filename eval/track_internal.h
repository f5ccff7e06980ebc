/*
 * What the evaluation of track models shares between its files.
 */
#ifndef RG_EVAL_TRACK_INTERNAL_H
#define RG_EVAL_TRACK_INTERNAL_H

#include "datasets/track_data.h"
#include "eval/internal.h"

typedef struct track_evaluation {
    evaluation *e;
    char bundle_folder[RG_EVAL_PATH], report_folder[RG_EVAL_PATH];
    bool bundle_is_ours; /* exported for this evaluation: removed at its end */
    rg_bundle bundle;
    rg_tokens *tokens;
    rg_track_data *data;
} track_evaluation;

/* Bits per token with four contexts and without conditions, beside n-gram baselines. */
rg_status rg__track_bits(track_evaluation *t, rg_error *err);

/* ---- sets of pieces of music: real, through the codecs, generated ---- */

/* One piece: a mono sound per role of the bundle; frames 0 where the role is absent. */
typedef struct piece {
    char name[96];
    double tempo; /* annotated or asked for; 0: none */
    rg_audio stems[RG_TRACK_ROLES];
} piece;
typedef struct pieces {
    int64_t n;
    piece *all;
} pieces;
void rg__pieces_free(pieces *set);

/* Excerpts of the evaluation's songs as they are, and through the codecs, in the same order. */
rg_status rg__pieces_real(track_evaluation *t, pieces *real, pieces *coded, rg_error *err);
/* Pieces from the bundle, with the tempo and words of held-out songs; also shown with players. */
rg_status rg__pieces_generate(track_evaluation *t, pieces *made, rg_error *err);
/* Regenerates one role of the first piece and proves that the others stayed. */
rg_status rg__regeneration_section(track_evaluation *t, rg_error *err);

/* Tempo asked against tempo heard, with the extractor's own error on real songs beside it. */
rg_status rg__adherence_section(track_evaluation *t, const pieces *real, const pieces *made,
                                rg_error *err);

/* Coherence, distances between sets, levels; `made` may be empty. */
rg_status rg__music_section(track_evaluation *t, const pieces *real, const pieces *coded,
                            const pieces *made, rg_error *err);

#endif
