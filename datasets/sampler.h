/*
 * Training crops of a stem store: of one role, of any, or of the mix; activity-aware, augmented,
 * deterministic, prefetched.
 *
 * One idea: crop (step, micro, item) is a pure function of (seed, step, micro * B + item) and the
 * store, whatever the number of threads, the memory, how a step is split into micro-batches, and
 * what was asked before. Stems are resampled once and held in memory as far as a budget goes
 * (resampled.h), so that preparing crops takes little from a training that has no core to spare;
 * threads fill a ring of batches ahead of the caller.
 * Not here: token windows (token_cache.h).
 */
#ifndef RG_DATASETS_SAMPLER_H
#define RG_DATASETS_SAMPLER_H

#include "datasets/augment.h"
#include "datasets/store.h"

/* In the place of a role: each crop is of one that is drawn; of all that the song has, added up. */
enum { RG_ROLE_ANY = -2, RG_ROLE_MIX = -3 };

typedef struct rg_sampler_options {
    int32_t rate;     /* of the crops, Hz; at most the store's rate */
    int64_t frames;   /* T of a crop, at `rate` */
    int32_t channels; /* C: 1, the mean of a stereo store's channels; 2, of which each has its
                       * own, and both of a mono store are alike without panning; 0: 1 */
    int32_t batch;    /* B crops per call */
    int32_t micros;   /* calls per step (gradient accumulation), 1 or more */
    rg_split split;
    uint64_t seed;
    int32_t first,
        stride;         /* the first batch that is asked for, and how far apart they are: processes
                              that take turns; 0, 0: 0, 1 */
    int32_t threads;    /* that prefetch; 0: none, crops are made inside rg_sampler_next */
    int32_t ring;       /* batches ready ahead; 0: 4 */
    int64_t hold_bytes; /* of resampled songs kept in memory; the rest is resampled crop by crop */
    double active;      /* at least this share of the crops is active; < 0: 0.75 */
    double active_min;  /* active: this share of its 100-ms blocks is above -60 dBFS; < 0: 0.5 */
    /* With low_dbfs < high_dbfs every crop that is not silent gets a gain that brings its RMS level
     * to a uniform draw between them (dBFS), lowered where the peak would pass 0.99. Both 0: crops
     * stay as they are. -28 and -14 suit codecs: quiet stems would lie at the log-mel's floor. */
    double low_dbfs, high_dbfs;
    rg_augment augment; /* all zero: none */
} rg_sampler_options;

/* rate 0, frames 0: to be set by the caller; split train, one micro, one thread, 512 MiB, 0.75
 * active with 0.5, no gain. */
rg_sampler_options rg_sampler_defaults(void);

typedef struct rg_sampler rg_sampler;

/*
 * The store must outlive the sampler. RG_ERR_MISMATCH when no song of the split has the role or is
 * long enough, or none has an active crop; RG_ERR_USAGE for a rate above the store's or a rate that
 * has no small ratio to it. With RG_ROLE_ANY roles that cannot be drawn from are left out.
 */
rg_sampler *rg_sampler_create(const rg_store *store, int32_t role,
                              const rg_sampler_options *options, rg_error *err);
void rg_sampler_destroy(rg_sampler *sampler); /* NULL is fine; joins the threads */

/* Resamples what is to be held (0.2 s for an hour of music) and starts the threads. Without it,
 * crops are made when they are asked for. */
rg_status rg_sampler_start(rg_sampler *sampler, rg_error *err) RG_MUST_USE;

/*
 * out (B,T,C). Steps are expected in order (step, micro), (step, micro+1) .. (step+1, 0) .., or
 * every stride-th of these; any other one is right too, only not prefetched. *wait (may be NULL) is
 * increased by the seconds that this call waited. Reading errors of the threads come out here. No
 * heap use. One caller at a time.
 */
rg_status rg_sampler_next(rg_sampler *sampler, int64_t step, int32_t micro, float *out,
                          double *wait, rg_error *err) RG_MUST_USE;

/* Where crop (step, micro, item) lies that is not augmented, of one role or of the mix: song index
 * and first frame at the store's rate. For tests and logs. */
void rg_sampler_place(const rg_sampler *sampler, int64_t step, int32_t micro, int32_t item,
                      int64_t *song, int64_t *start);

/* Songs that can be drawn (once per role with RG_ROLE_ANY), their hours, the share of their crops
 * that is active; how many of the songs rg_sampler_start holds, and the bytes that it takes in all.
 */
typedef struct rg_sampler_summary {
    int64_t songs;
    double hours, active_share;
    int64_t held_songs, bytes;
} rg_sampler_summary;
rg_sampler_summary rg_sampler_describe(const rg_sampler *sampler);

/*
 * Fixed crops for validation, one for each k < per_song and each song of the split that has the
 * role: evenly placed, each moved to the most active place nearby. The same store, role, rate and
 * frames give the same crops. With gain (low_dbfs < high_dbfs) each goes to the middle of the two.
 * Of the augmentation only the level of files is applied, and panning, to even places. With
 * RG_ROLE_ANY role after role.
 */
typedef struct rg_fixed_crops {
    int64_t n, frames;
    float *samples; /* (n,T,C) */
    int64_t *song;  /* (n) index in the store */
    int64_t *start; /* (n) first frame at the store's rate */
} rg_fixed_crops;
rg_status rg_sampler_fixed(const rg_store *store, int32_t role, const rg_sampler_options *options,
                           int32_t per_song, rg_fixed_crops *out, rg_error *err) RG_MUST_USE;
void rg_fixed_crops_free(rg_fixed_crops *crops);

#endif
