/*
 * One encoder-decoder transformer per track, all of them in one set of parameters.
 *
 * One idea: everything is `fill(role, span [a,b), what is known)`. A window of T frames at 50 Hz
 * holds every role's cells, each KNOWN, UNKNOWN or ABSENT; the model of the target role predicts
 * its own codebooks in the target cells, in a delay pattern (MusicGen, arXiv 2306.05284, 2.2), from
 * what is known and from explicit conditions. Training, validation and step-wise decoding run the
 * same code on the same arrays, so teacher forcing and generation have the same numbers.
 *
 * Parameter names: "shared." (the projections A_j into one space, whitening), "track.<role>." the
 * rest: files are cut by prefix. Context comes in by three zero-started paths (rg_track_path), so a
 * model that was trained alone gives the same logits the moment it is shown context.
 * Not here: masks (generate/masks.h), sampling and guidance (src/generate), data
 * (train/track_task.c).
 */
#ifndef RG_MODELS_TRACK_TRANSFORMER_H
#define RG_MODELS_TRACK_TRANSFORMER_H

#include "engine/params.h"
#include "ops/ops.h"

enum {
    RG_TRACK_ROLES = 16,  /* most roles in one model */
    RG_TRACK_BOOKS = 16,  /* most codebooks of a role */
    RG_TRACK_FIELDS = 12, /* most condition fields */
    RG_TRACK_WORDS = 128, /* most words of one field */
    RG_TRACK_NAME = 32,
    RG_TRACK_LAYERS = 32,
    RG_BEAT_FEATURES = 12, /* per frame; track_beat.h says which */
    RG_ACTIVITY_LEVELS = 3 /* per-bar activity of the target: 0 silent, 1 sparse, 2 busy */
};

typedef struct rg_track_role {
    char name[RG_TRACK_NAME];
    int32_t books, entries, dim; /* K codebooks of V entries; width D of the dequantized latent */
} rg_track_role;

/*
 * A condition: one of a list of words, or nothing. Fields of numbers (tempo, energy) have words
 * that are numbers in rising order, and a value takes the nearest.
 */
typedef struct rg_track_field {
    char
        name[RG_TRACK_NAME]; /* "tempo", "key", "meter", "genre", "mood", "instruments", "energy" */
    int32_t n_words;
    char words[RG_TRACK_WORDS][RG_TRACK_NAME];
} rg_track_field;

typedef struct rg_track_config {
    double frame_rate; /* of all roles: 50 */
    int32_t n_roles;   /* in the order of the wavefront: earlier ones are made first */
    rg_track_role roles[RG_TRACK_ROLES];
    int32_t n_fields;
    rg_track_field fields[RG_TRACK_FIELDS];
    int32_t width, heads, encoder_layers, decoder_layers;
    int32_t frames;     /* window of training; generation may use up to twice that */
    int32_t patch;      /* frames of one encoder patch: 4; windows are multiples of it */
    int32_t same_reach; /* frames on each side that Same sees: 8 */
    int32_t same_width; /* channels per other role inside Same; 0: width / 8 */
    int32_t near_reach; /* frames on each side of near attention (layers 1, 3, 5 ...): 4 */
    double rope_base;   /* 10000 */
    double dropout;
} rg_track_config;

void rg_track_config_init(
    rg_track_config *config); /* defaults of the base size, no roles, no fields */
/* Every number in range, names distinct; one line that names the first fault. */
rg_status rg_track_config_check(const rg_track_config *config, rg_error *err) RG_MUST_USE;
int32_t rg_track_find_role(const rg_track_config *config, const char *name);  /* -1: none */
int32_t rg_track_find_field(const rg_track_config *config, const char *name); /* -1: none */
/* The word's id, ignoring case; -1 when the field (or the word) is not there. */
int32_t rg_track_word(const rg_track_config *config, const char *field, const char *word);
/* The nearest word of a field of numbers (by ratio when all are positive); -1 without the field. */
int32_t rg_track_nearest(const rg_track_config *config, const char *field, double value);
/* As a new JSON text (heap), and back; missing and unknown members are refused by name. */
char *rg_track_config_to_json(const rg_track_config *config);
rg_status rg_track_config_from_json(const char *json, rg_track_config *out,
                                    rg_error *err) RG_MUST_USE;

/* ---- a window of cells ----------------------------------------------------------------------- */

enum rg_cell_state { RG_CELL_UNKNOWN, RG_CELL_KNOWN, RG_CELL_ABSENT };

/* The paths by which other tracks (and the own future) reach a decoder; `cut` may close them. */
enum rg_track_path {
    RG_PATH_GLOBAL = 1, /* cross-attention to the encoder's states and patches */
    RG_PATH_SAME = 2,   /* convolution over +-same_reach frames of the other tracks */
    RG_PATH_NEAR = 4    /* attention to the other tracks within +-near_reach frames */
};

/*
 * B windows of T frames; arrays of the host, owned by the batch. For guidance, rows are items.
 * A frame of another role counts only where it is KNOWN: what stands in codes and latents of other
 * frames is never read. Own codes are read where KNOWN and, to predict later cells, in target
 * cells.
 */
typedef struct rg_track_batch {
    int32_t items, frames;          /* B, T */
    int32_t target;                 /* role to be predicted */
    uint32_t cut;                   /* rg_track_path bits to close; 0 for all use */
    int32_t *codes[RG_TRACK_ROLES]; /* (B,T,K_r), -1: none */
    float *latents[RG_TRACK_ROLES]; /* (B,T,D_r): dequantized codes */
    uint8_t *state[RG_TRACK_ROLES]; /* (B,T): rg_cell_state */
    uint8_t *cells;      /* (B,T): 1 = predict this frame of the target (UNKNOWN in state) */
    float *beat;         /* (B,T,RG_BEAT_FEATURES); zeros: tempo not known */
    int32_t *activity;   /* (B,T): level of the target's bar, -1: not given */
    int32_t *conditions; /* (B,n_fields): word ids, -1: not given */
} rg_track_batch;

/* Everything UNKNOWN, -1 and zero. NULL and RG_ERR_NOMEM when out of memory. */
rg_track_batch *rg_track_batch_create(const rg_track_config *config, int32_t items, int32_t frames,
                                      rg_error *err);
void rg_track_batch_free(rg_track_batch *batch); /* NULL is fine */
/* Memory that a batch takes. */
int64_t rg_track_batch_bytes(const rg_track_config *config, int32_t items, int32_t frames);
/* Back to that state, with items <= those it was made for and the same frames. */
void rg_track_batch_clear(const rg_track_config *config, rg_track_batch *batch);
/* Copies one item's arrays (all roles, cells, conditions) to another item or batch. */
void rg_track_batch_copy(const rg_track_config *config, rg_track_batch *to, int32_t item,
                         const rg_track_batch *from, int32_t from_item);
/* What training's dropout and guidance's rows do: forget conditions, beats and activity of an item;
 * forget every cell of the other roles (own known cells stay). */
void rg_track_drop_conditions(const rg_track_config *config, rg_track_batch *batch, int32_t item);
void rg_track_drop_context(const rg_track_config *config, rg_track_batch *batch, int32_t item);

/* ---- the models ------------------------------------------------------------------------------ */

typedef struct rg_tracks rg_tracks;

/* Declares the parameters of all roles in `params`, which must outlive the result. */
rg_tracks *rg_tracks_create(rg_params *params, const rg_track_config *config, rg_error *err);
/* The same with a set of their own for the parameters of each role, which then can come and go. */
rg_tracks *rg_tracks_create_apart(rg_params *shared, rg_params *const *of_role,
                                  const rg_track_config *config, rg_error *err);
void rg_tracks_destroy(rg_tracks *tracks); /* NULL is fine */

/*
 * To be called once on fresh parameters, before training: whitening of role r from the mean and
 * deviation (D) of its latents, and its token tables from projected codewords books (K,V,D).
 * rg_params_refresh afterwards.
 */
void rg_tracks_start_role(rg_tracks *tracks, rg_params *params, int32_t role, const float *mean,
                          const float *deviation, const float *books);

typedef struct rg_track_out {
    rg_tensor *loss; /* (1) nats: mean over codebooks of the mean over target cells */
    rg_tensor *nll[RG_TRACK_BOOKS];    /* (B,S): nats per cell, 0 where not a target; S = T+K-1;
                                          codebook q at step s is frame s - q */
    rg_tensor *logits[RG_TRACK_BOOKS]; /* (B,S,V) */
} rg_track_out;

/*
 * Teacher forcing: loss of batch->target's cells. Records on the tape when recording is on.
 * RG_ERR_MISMATCH when a target cell is not UNKNOWN in state; RG_ERR_SHAPE when T is not a multiple
 * of the patch. A batch without a target cell has loss 0.
 */
rg_status rg_track_loss(rg_exec *ex, rg_tracks *tracks, const rg_track_batch *batch,
                        rg_track_out *out) RG_MUST_USE;

/*
 * The same for reports, with recording off and the step arena given back: nats (B,K) are sums over
 * the target cells of each item and codebook, frames (B) how many frames were targets.
 */
rg_status rg_track_measure(rg_exec *ex, rg_tracks *tracks, const rg_track_batch *batch,
                           double *nats, int64_t *frames) RG_MUST_USE;

/* ---- step-wise decoding ---------------------------------------------------------------------- */

/*
 * A fill writes the target cells of a window, step by step, with caches. `rows` items share one
 * span and one set of target cells and differ in context, conditions or earlier choices (guidance
 * variants x candidates). Caches are made once for (rows, frames) and used by any number of fills.
 *
 *   rg_track_fill_begin(fill, batch, a, b);
 *   while (rg_track_fill_next(fill, logits, frame)) {
 *       choose codes for every q with frame[q] >= 0;
 *       rg_track_fill_put(fill, codes);
 *   }
 *   if (rg_exec_status(ex) != RG_OK) ...
 *   result = rg_track_fill_codes(fill);
 */
typedef struct rg_track_fill rg_track_fill;

enum { RG_ANY_ROLE = -1 };

/* The caches are the fill's own; ex must outlive it. For one role, or for spans of RG_ANY_ROLE, one
 * after the other. NULL with err on failure. */
rg_track_fill *rg_track_fill_create(rg_exec *ex, rg_tracks *tracks, int32_t role, int32_t rows,
                                    int32_t frames, rg_error *err);
void rg_track_fill_destroy(rg_track_fill *fill); /* NULL is fine */
/*
 * Encodes the context once and runs all steps before a. batch: items <= rows, frames as created,
 * target a role that the fill was made for; cells outside [a,b) are not targets whatever
 * batch->cells says. Own codes of target cells are ignored (they are what is to be made). The batch
 * may change or go afterwards.
 */
rg_status rg_track_fill_begin(rg_track_fill *fill, const rg_track_batch *batch, int32_t a,
                              int32_t b) RG_MUST_USE;
int32_t rg_track_fill_steps(const rg_track_fill *fill); /* b - a + K - 1 */
/*
 * Logits of the next delayed step, (items,K,V); frame[q] is the frame that codebook q is to be
 * chosen for, -1 where its cell is known or outside (forced by the fill itself). False at the end
 * and after an error (in ex->error). Uses the step arena and gives it back.
 */
bool rg_track_fill_next(rg_track_fill *fill, float *logits, int32_t frame[RG_TRACK_BOOKS]);
/* The choices for the step just returned, (items,K); entries with frame[q] < 0 are not read. */
void rg_track_fill_put(rg_track_fill *fill, const int32_t *codes);
/* (items,T,K): known codes as given, target cells as chosen so far, -1 elsewhere. */
const int32_t *rg_track_fill_codes(const rg_track_fill *fill);

/* What a fill of RG_ANY_ROLE takes, on an exec of idle kernels (kernels/idle.h) and rehearsed
 * parameters: the bytes of its caches, and in the marks of the exec's arenas those of its longest
 * pass. */
rg_status rg_track_fill_rehearse(rg_exec *ex, rg_tracks *tracks, int32_t rows, int32_t frames,
                                 int64_t *caches, rg_error *err) RG_MUST_USE;

#endif
