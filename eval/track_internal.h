/*
 * What the evaluation of track models shares between its files.
 */
#ifndef RG_EVAL_TRACK_INTERNAL_H
#define RG_EVAL_TRACK_INTERNAL_H

#include "datasets/track_data.h"
#include "eval/internal.h"
#include "eval/metrics/calibration.h"
#include "music/features/key.h"

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

/* A role's window as it is scored: the role unknown as a whole, all else true; item 0 of batch. */
rg_status rg__window_whole(track_evaluation *t, rg_track_batch *batch, int32_t role, int64_t song,
                           int64_t first, rg_error *err);
/* How many windows rg_track_data_fixed is asked for: so many of each song of the split that has the
 * role, evenly cut down to `most`. */
int64_t rg__windows_of(const track_evaluation *t, int32_t role, int64_t per_song, int64_t most);

/* How often weights in bf16 and int8 choose what fp32 chooses (track_precision.c). */
rg_status rg__precision_section(track_evaluation *t, rg_error *err);

/* What a role's predictions are worth besides bits, song by song of the token cache. */
typedef struct track_accuracy {
    int64_t songs;
    rg_calibration *of;     /* (songs) */
    int64_t *copies, *seen; /* (songs): tokens that repeat the one before, of how many */
} track_accuracy;
rg_status rg__accuracy_make(track_accuracy *a, int64_t songs, rg_error *err);
void rg__accuracy_free(track_accuracy *a);
/* Counts one item's target cells of a finished forward pass. */
void rg__accuracy_take(track_accuracy *a, const rg_track_config *config,
                       const rg_track_batch *batch, const rg_track_out *out, int32_t item,
                       int64_t song);
rg_table *rg__accuracy_table(rg_report *report);
void rg__accuracy_row(rg_table *table, const char *role, const track_accuracy *a, uint64_t seed);

/* ---- sets of pieces of music: real, through the codecs, generated ---- */

/* One piece: a mono sound per role of the bundle; frames 0 where the role is absent. */
typedef struct piece {
    char name[96];
    double tempo;  /* annotated or asked for; 0: none */
    rg_key key;    /* likewise; tonic -1: none */
    int32_t meter; /* likewise, 3 or 4; 0: none */
    rg_audio stems[RG_TRACK_ROLES];
} piece;
typedef struct pieces {
    int64_t n;
    piece *all;
} pieces;
rg_status rg__pieces_make(pieces *set, int64_t n, rg_error *err); /* silent ones without a name */
void rg__pieces_free(pieces *set);

/* Excerpts of the evaluation's songs as they are, and through the codecs, in the same order. */
rg_status rg__pieces_real(track_evaluation *t, pieces *real, pieces *coded, rg_error *err);
/* Pieces from the bundle, with the tempo and words of held-out songs; also shown with players. */
rg_status rg__pieces_generate(track_evaluation *t, pieces *made, rg_error *err);

/* ---- features (track_features.c) ---- */

/* Onset envelopes and chroma of all roles of one piece; NULL where absent or silent. */
typedef struct features {
    int64_t onset_n, chroma_n;
    float *onset[RG_TRACK_ROLES], *chroma[RG_TRACK_ROLES];
} features;
rg_status rg__features_make(const evaluation *e, const pieces *set, features **out, rg_error *err);
void rg__features_free(features *f, int64_t n);
bool rg__sounds(const rg_audio *a);
bool rg__is_pitched(const char *role); /* percussion has no pitch to fit */
/* The stem r of `stem` against the sum of the other stems of `context`; NAN without either. */
void rg__coherence(const rg_track_config *config, const features *stem, const features *context,
                   int32_t r, double *rhythm, double *harmony);
int64_t rg__least(int64_t a, int64_t b);

/* ---- many takes at once (track_rows.c) ---- */

/*
 * Fills a role that is UNKNOWN in every frame of every item, as `generate` would: with the default
 * guidance and sampling, item i by seeds[i]. What else stands in the items (context, beat,
 * conditions, activity) is the caller's. Afterwards the role is KNOWN, with codes and latents.
 */
rg_status rg__rows_fill(track_evaluation *t, rg_track_batch *rows, int32_t role,
                        const uint64_t *seeds, rg_error *err);
/* The sound of one item's role, at its codec's rate. */
rg_status rg__rows_decode(track_evaluation *t, const rg_track_batch *rows, int32_t item,
                          int32_t role, rg_audio *out, rg_error *err);

/* ---- windows of held-out songs (track_places.c) ---- */

typedef struct track_place {
    int64_t song, first; /* of the token cache */
    int32_t unit;        /* which of the songs that have places: 0, 1 ... */
} track_place;
/* Windows of `frames` frames in which all the roles (n) play in at least half of the time: at most
 * `per_song` and `most` in all. Returns how many; *units: from how many songs. */
int32_t rg__places_find(const track_evaluation *t, const int32_t *roles, int32_t n, int64_t frames,
                        int32_t per_song, int32_t most, track_place *out, int32_t *units);
/* The stem as it is, from the place on for so many seconds (zeros beyond the song), heap. */
rg_status rg__place_audio(const track_evaluation *t, const track_place *p, int32_t role,
                          double seconds, rg_audio *out, rg_error *err);
/* Percussion, bass (the first pitched role) and harmony (the second one); -1: the bundle has none.
 */
int32_t rg__drums_role(const rg_track_config *config);
int32_t rg__pitched_role(const rg_track_config *config, int32_t nth);

/* ---- what is asked of the models (track_takes.c, track_control.c) ---- */

/*
 * Takes of one window, made from nothing but conditions: every seed at each of a few tempi (and
 * keys and meters, as many as the bundle knows). Item of seed s and request j: s * requests + j.
 */
enum { CONTROL_SEEDS = 6, CONTROL_REQUESTS = 3 };
typedef struct control_takes {
    rg_track_batch *rows; /* codes of all roles */
    pieces pieces;
} control_takes;
rg_status rg__control_make(track_evaluation *t, control_takes *out, rg_error *err);
void rg__control_free(control_takes *takes);
/* Tempo, key and meter asked against those heard, with the extractors' own errors beside them. */
rg_status rg__control_section(track_evaluation *t, const pieces *real, const control_takes *takes,
                              rg_error *err);

/* ---- does it listen? (track_swap.c, track_transpose.c) ---- */

rg_status rg__swap_test(track_evaluation *t, rg_error *err);
rg_status rg__transposition_test(track_evaluation *t, rg_error *err);

/* ---- selective regeneration (track_regeneration.c, track_seams.c, track_span.c) ---- */

/* Regenerates one role of the first piece and proves that the others stayed; then a span of every
 * role in each piece: what changed, and how the seams join. */
rg_status rg__regeneration_section(track_evaluation *t, rg_error *err);
rg_status rg__seam_section(track_evaluation *t, int64_t pieces_made, rg_error *err);
/* Bits of a span's last half second with and without what comes after it. */
rg_status rg__span_bits(track_evaluation *t, rg_error *err);
/* The scene folder of a generated piece, and the file of a stem in a scene. */
rg_status rg__scene_path(const track_evaluation *t, int64_t piece_number, const char *suffix,
                         char out[RG_EVAL_PATH], rg_error *err);
rg_status rg__stem_path(const track_evaluation *t, const char *scene, int32_t role,
                        char out[RG_EVAL_PATH], rg_error *err);
rg_status rg__scene_piece(const track_evaluation *t, const char *scene, piece *out, rg_error *err);

/* Copies of training tokens, repetition, diversity: made beside real (track_copying.c). */
rg_status rg__copying_section(track_evaluation *t, const control_takes *takes, rg_error *err);

/* Coherence and levels; `made` may be empty. */
rg_status rg__music_section(track_evaluation *t, const pieces *real, const pieces *coded,
                            const pieces *made, rg_error *err);
/* Distances between held-out, coded and made sets and the training songs (track_distance.c). */
rg_status rg__distance_table(track_evaluation *t, const pieces *const sets[3], rg_error *err);

#endif
