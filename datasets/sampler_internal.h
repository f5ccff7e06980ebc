/*
 * Inside of the sampler, shared by its files: sampler.c opens and answers, sampler_place.c says
 * where crops lie, sampler_crop.c makes them, sampler_ring.c makes them ahead of the caller,
 * sampler_fixed.c makes those of a validation.
 */
#ifndef RG_DATASETS_SAMPLER_INTERNAL_H
#define RG_DATASETS_SAMPLER_INTERNAL_H

#include "base/rng.h"
#include "datasets/resampled.h"
#include "datasets/reverb.h"
#include "datasets/sampler.h"

typedef struct rg__ring rg__ring;

/* What a crop is cut out of: one role of the songs that have it, or several added up. */
typedef struct rg__source {
    int32_t n_roles, role[RG_MAX_ROLES];
    int64_t n_songs, *songs;
    double *ends; /* running sum of the songs' usable frames */
    int64_t held; /* the first of the songs are held */
} rg__source;

/* The memory of one thread that makes crops. */
typedef struct rg__maker {
    rg_resampler *own[RG_MAX_ROLES][RG_MAX_CHANNELS]; /* of the stems */
    float *stem;                                      /* (lead + T) one stem ... */
    float *sum;                                       /* (C, lead + T) ... and their sum */
    float *response;                                  /* of a room */
    rg_reverb *reverb;
} rg__maker;

struct rg_sampler {
    const rg_store *store;
    rg_sampler_options o;
    int32_t stem_channels; /* that are read of each stem: 2 of a stereo store for stereo crops */
    rg_resampled *stem[RG_MAX_ROLES][RG_MAX_CHANNELS]; /* at the crops' rate; NULL: in no source */
    int32_t n_sources;
    rg__source source[RG_MAX_ROLES];
    rg_ratio ratio;
    int64_t need; /* store frames of a crop */
    int64_t lead; /* samples before a crop that a room needs */
    rg_sampler_summary summary;
    rg__maker own;  /* the caller's */
    rg__ring *ring; /* NULL: not started, or no threads */
};

/* ---- where crops lie ---- */

/* Fills the sources and the summary; refuses a store in which nothing can be drawn. `role`: one, or
 * RG_ROLE_ANY or RG_ROLE_MIX. */
rg_status rg__sampler_find_songs(rg_sampler *s, int32_t role, rg_error *err) RG_MUST_USE;
double rg__sampler_active_share(const rg_sampler *s, const rg__source *from, int64_t song,
                                int64_t start);
rg_rng rg__sampler_rng(const rg_sampler *s, int64_t step, int32_t micro, int32_t item);
/* Whether item `in_step` = micro * B + item of a step is one of those that are active. */
bool rg__sampler_must(const rg_sampler *s, int32_t in_step);
/* Draws a place from `rng`, which goes on from there; an active one if it must be. */
void rg__sampler_draw(const rg_sampler *s, const rg__source *from, bool must, rg_rng *rng,
                      int64_t *song, int64_t *start);

/* ---- making them ---- */

/* Brings the RMS level of x (n) to `dbfs`, or as near as a peak of 0.99 allows; not of silence. */
void rg__sampler_set_level(float *x, int64_t n, double dbfs);
rg_status rg__maker_open(rg__maker *maker, const rg_sampler *s, rg_error *err) RG_MUST_USE;
void rg__maker_close(rg__maker *maker);
/* Adds a crop at `start` to maker->sum, at the level of its file, times 10^(gain_db/20), at `pan`
 * (-1 left .. 1 right), with `lead` samples before it. */
rg_status rg__sampler_add(const rg_sampler *s, rg__maker *maker, const rg__source *from,
                          int64_t song, int64_t start, int64_t lead, double gain_db, double pan,
                          rg_error *err) RG_MUST_USE;
/* maker->sum, cleared before rg__sampler_add; and the crop in it as out (T,C). */
void rg__sampler_clear(const rg_sampler *s, rg__maker *maker, int64_t lead);
void rg__sampler_interleave(const rg_sampler *s, const rg__maker *maker, int64_t lead, float *out);
/* Crops (B,T,C) of batch number `batch` = step * micros + micro. */
rg_status rg__sampler_make(const rg_sampler *s, rg__maker *maker, int64_t batch, float *out,
                           rg_error *err) RG_MUST_USE;

/* ---- ahead of the caller ---- */

enum { RG__MOST_THREADS = 16, RG__MOST_SLOTS = 64, RG__USUAL_SLOTS = 4 };

/* Starts o.threads threads; NULL after an error. */
rg__ring *rg__ring_start(const rg_sampler *s, rg_error *err);
void rg__ring_stop(rg__ring *ring); /* joins them; NULL is fine */
rg_status rg__ring_take(rg__ring *ring, int64_t batch, float *out, rg_error *err) RG_MUST_USE;

#endif
