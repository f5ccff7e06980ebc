/*
 * One role of a store, a channel or the mean, at a lower rate, as int16: read in any windows, held
 * in memory where wanted.
 *
 * One idea: a stem is resampled in blocks of half a second at fixed places, each by itself with a
 * margin on both sides, and rounded as the store's own samples are. So a sample's bits depend on
 * nothing but the store and the rate: not on the window that asks for it, the thread, or whether
 * the block was held or made again.
 * Not here: where windows lie (sampler.h), whole songs (rg_store_read_resampled).
 */
#ifndef RG_DATASETS_RESAMPLED_H
#define RG_DATASETS_RESAMPLED_H

#include "datasets/store.h"

/* Places at the other rate are multiples of `in` frames of the store: `out` frames each. */
typedef struct rg_ratio {
    int64_t in, out; /* in lowest terms */
} rg_ratio;

typedef struct rg_resampled rg_resampled;

/* `channel` as for rg_store_read_channel. The store must outlive the result. RG_ERR_USAGE for a
 * role or channel that is not there, a rate above the store's or one without a small ratio to it.
 * At the store's own rate its samples are read as they are and nothing is ever held: the system
 * keeps files in memory by itself. */
rg_resampled *rg_resampled_open(const rg_store *store, int32_t role, int32_t channel, int32_t rate,
                                rg_error *err);
void rg_resampled_close(rg_resampled *r); /* NULL is fine */
rg_ratio rg_resampled_ratio(const rg_resampled *r);

/* Bytes that holding one song takes. */
int64_t rg_resampled_song_bytes(const rg_resampled *r, int64_t song);
/* Makes all blocks of a song and keeps them. Not while another thread reads. */
rg_status rg_resampled_hold(rg_resampled *r, int64_t song, rg_error *err) RG_MUST_USE;

/* What one thread needs to make blocks that are not held. */
typedef struct rg_resampler rg_resampler;
rg_resampler *rg_resampler_create(const rg_resampled *r, rg_error *err);
void rg_resampler_destroy(rg_resampler *own); /* NULL is fine */

/* n samples at the lower rate from the store's frame `start`, a multiple of ratio.in and at least
 * 0. What lies outside the song, and an absent role, are zeros. Any number of threads, each with an
 * `own`. */
rg_status rg_resampled_read(const rg_resampled *r, rg_resampler *own, int64_t song, int64_t start,
                            int64_t n, float *out, rg_error *err) RG_MUST_USE;

#endif
