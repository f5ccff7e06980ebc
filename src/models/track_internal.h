/*
 * What the files of the track transformer share: the tensors of one role's model, and what its
 * decoder reads besides its own past.
 *
 * One idea: a "reading" is made once per window (training) or once per fill (generation); the
 * decoder's layers are one function over it, with or without caches. Not for other modules.
 */
#ifndef RG_MODELS_TRACK_INTERNAL_H
#define RG_MODELS_TRACK_INTERNAL_H

#include "models/track_transformer.h"
#include "nn/attention.h"

typedef struct track_layer {
    rg_norm norm_self, norm_listen, norm_feed;
    rg_self_attention self;
    rg_tensor *cross_q, *cross_kv, *prompt_out; /* conditions; kv (d,2d) also reads the context */
    rg_tensor *context_out;                     /* zero-started */
    rg_tensor *near_q, *near_kv, *near_out;     /* NULL in layers without; out zero-started */
    rg_feed feed;
} track_layer;

/* One role's model. */
typedef struct track_net {
    rg_tensor *prompt; /* (F+1, words+1, d): fields, then the start token; word 0: not given */
    rg_tensor *states; /* (R, 4, d) */
    rg_tensor *patch;  /* (patch, d, d) */
    rg_encoder_layer encoder[RG_TRACK_LAYERS];
    rg_norm encoder_norm;
    rg_tensor *tokens; /* (K, V, d) */
    rg_tensor *marks;  /* (F+1, max(words, levels), d): conditions and activity, at every step */
    rg_tensor *beat;   /* (RG_BEAT_FEATURES, d) */
    rg_tensor *same_in[RG_TRACK_ROLES]; /* (d, c) per other role, NULL for itself */
    rg_tensor *same; /* (2 reach + 1, (R-1) c, d), zero-started; NULL when R = 1 */
    rg_norm near_norm;
    track_layer layer[RG_TRACK_LAYERS];
    rg_norm last;
    rg_tensor *head[RG_TRACK_BOOKS]; /* (d, V) */
} track_net;

struct rg_tracks {
    rg_track_config config;
    rg_tensor *project[RG_TRACK_ROLES];   /* A_j (D,d) */
    rg_tensor *mean[RG_TRACK_ROLES];      /* state (D) */
    rg_tensor *deviation[RG_TRACK_ROLES]; /* state (D); 0 counts as 1 */
    rg_tensor *space;                     /* (2, max(3,R), d): E_state, E_role */
    track_net net[RG_TRACK_ROLES];
};

typedef struct track_reading {
    int32_t items, steps;
    rg_tensor *base;                       /* (B,S,d): beat, marks and Same of every step */
    rg_tensor *prompt_kv[RG_TRACK_LAYERS]; /* (B,1+F,2d) */
    rg_tensor *prompt_pos;
    rg_tensor *context_kv[RG_TRACK_LAYERS]; /* (B,1+F+R+P,2d) */
    rg_tensor *context_mask, *context_pos;  /* NULL: no item sees anything */
    rg_tensor *near_kv[RG_TRACK_LAYERS];    /* (B,(R-1)T,2d) in layers with near attention */
    rg_tensor *near_mask, *near_pos;        /* NULL: no other role is known anywhere */
} track_reading;

static inline bool track_near_layer(int32_t layer)
{
    return layer % 2 == 0;
} /* 1st, 3rd, 5th */

/* Roles of which some item of a batch shows at least one frame, in order. */
typedef struct track_shown {
    int32_t n, role[RG_TRACK_ROLES], others; /* others: how many are not the target */
    bool others_known;                       /* some frame of another role is KNOWN */
} track_shown;
typedef struct track_other {
    int32_t role;
    rg_tensor *u; /* (B,T,d) */
} track_other;

/* track_space.c */
int32_t track_same_width(const rg_track_config *config);
void track_same_declare(rg_tracks *tracks, rg_params *params, int32_t role, const char *name);
track_shown track_look(const rg_track_config *config, const rg_track_batch *batch);
/* u (B,n*T,d), shown role after role: A_j whiten(z) + E_state + E_role; zeros where UNKNOWN. */
rg_tensor *track_space(rg_exec *ex, rg_tracks *tracks, const rg_track_batch *batch,
                       const track_shown *shown);
/* The parts of u that are not the target's; returns how many. */
int32_t track_others(rg_exec *ex, const rg_track_batch *batch, const track_shown *shown,
                     rg_tensor *u, track_other *out);
/* (B,S,d); steps past the window see what is left of it. */
rg_tensor *track_same(rg_exec *ex, rg_tracks *tracks, const rg_track_batch *batch,
                      const track_other *others, int32_t n);
void track_near(rg_exec *ex, rg_tracks *tracks, const rg_track_batch *batch,
                const track_other *others, int32_t n, track_reading *out);

/* track_context.c */
int32_t track_most_words(const rg_track_config *config);
void track_context_declare(rg_tracks *tracks, rg_params *params, int32_t role, const char *name);
rg_status track_reading_make(rg_exec *ex, rg_tracks *tracks, const rg_track_batch *batch,
                             track_reading *out) RG_MUST_USE;

/* track_decoder.c */
void track_decoder_declare(rg_tracks *tracks, rg_params *params, int32_t role, const char *name);
/* x (B,n,d): inputs of steps first .. first+n-1; caches (one per layer) NULL: training, first 0. */
rg_tensor *track_decoder_run(rg_exec *ex, rg_tracks *tracks, int32_t role, rg_tensor *x,
                             const track_reading *reading, rg_kv_cache *caches, int32_t first);
/* Inputs of steps first .. first+n-1 of own codes (B,T,K), read where `seen` (B,T) is not 0. */
rg_tensor *track_decoder_tokens(rg_exec *ex, rg_tracks *tracks, int32_t role, const int32_t *codes,
                                const uint8_t *seen, int32_t items, int32_t frames, int32_t first,
                                int32_t n);

#endif
