/*
 * Inside of the sampler, shared by its files: sampler.c opens and answers, sampler_place.c says
 * where crops lie, sampler_crop.c makes them, sampler_ring.c makes them ahead of the caller,
 * sampler_fixed.c makes those of a validation.
 */
#ifndef RG_DATASETS_SAMPLER_INTERNAL_H
#define RG_DATASETS_SAMPLER_INTERNAL_H

#include "base/rng.h"
#include "datasets/resampled.h"
#include "datasets/sampler.h"

typedef struct rg__ring rg__ring;

struct rg_sampler {
    const rg_store *store;
    int32_t role;
    rg_sampler_options o;
    rg_resampled *stem; /* the role at the crops' rate */
    rg_ratio ratio;
    int64_t need; /* store frames of a crop */
    int64_t n_songs, *songs;
    double *ends; /* running sum of the songs' usable frames */
    rg_sampler_summary summary;
    rg_resampler *own; /* the caller's */
    rg__ring *ring;    /* NULL: not started, or no threads */
};

/* ---- where crops lie ---- */

/* Fills songs, ends and summary; refuses a store in which nothing can be drawn. */
rg_status rg__sampler_find_songs(rg_sampler *s, rg_error *err) RG_MUST_USE;
rg_rng rg__sampler_rng(const rg_sampler *s, int64_t step, int32_t micro, int32_t item);
/* Draws a place from `rng`, which goes on from there. in_step: micro * B + item. */
void rg__sampler_draw(const rg_sampler *s, int32_t in_step, rg_rng *rng, int64_t *song,
                      int64_t *start);

/* ---- making them ---- */

/* Brings the RMS level of x (n) to `dbfs`, or as near as a peak of 0.99 allows; not of silence. */
void rg__sampler_set_level(float *x, int64_t n, double dbfs);
/* Crops (B,T) of batch number `batch` = step * micros + micro. */
rg_status rg__sampler_make(const rg_sampler *s, rg_resampler *own, int64_t batch, float *out,
                           rg_error *err) RG_MUST_USE;

/* ---- ahead of the caller ---- */

enum { RG__MOST_THREADS = 16, RG__MOST_SLOTS = 64, RG__USUAL_SLOTS = 4 };

/* Starts o.threads threads; NULL after an error. */
rg__ring *rg__ring_start(const rg_sampler *s, rg_error *err);
void rg__ring_stop(rg__ring *ring); /* joins them; NULL is fine */
rg_status rg__ring_take(rg__ring *ring, int64_t batch, float *out, rg_error *err) RG_MUST_USE;

#endif
