/*
 * The crop sampler: opening, starting, asking (sampler.h).
 *
 * One idea: batches are numbered step * micros + micro; whoever makes one, the ring's threads or
 * the caller, calls rg__sampler_make with its number.
 */
#include <stdlib.h>

#include "base/log.h"
#include "datasets/sampler_internal.h"

enum { LARGEST_BATCH = 1 << 30 }; /* samples */

rg_sampler_options rg_sampler_defaults(void)
{
    return (rg_sampler_options){.micros = 1,
                                .batch = 1,
                                .split = RG_SPLIT_TRAIN,
                                .threads = 1,
                                .ring = RG__USUAL_SLOTS,
                                .hold_bytes = (int64_t)512 << 20,
                                .active = 0.75,
                                .active_min = 0.5};
}

static rg_status check(const rg_sampler_options *o, rg_error *err)
{
    if (o->frames < 1 || o->batch < 1 || o->micros < 1 || o->threads < 0 ||
        o->threads > RG__MOST_THREADS || o->ring > RG__MOST_SLOTS)
        return rg_fail(err, RG_ERR_USAGE,
                       "sampler: frames, batch and micros are at least 1, "
                       "threads at most %d, ring at most %d",
                       RG__MOST_THREADS, RG__MOST_SLOTS);
    if (o->frames > LARGEST_BATCH / o->batch)
        return rg_fail(
            err, RG_ERR_USAGE,
            "sampler: %d crops of %lld samples are more than 2^30 samples at once; lower "
            "the batch or the length of a crop",
            o->batch, (long long)o->frames);
    return RG_OK;
}

/* The songs that fit into the budget, in the store's order: how many, and what all of it takes. */
static void plan_memory(rg_sampler *s)
{
    int32_t batches =
        s->o.threads > 0 ? s->o.threads + (s->o.ring > 0 ? s->o.ring : RG__USUAL_SLOTS) : 0;
    int64_t held = 0;
    for (int64_t i = 0; i < s->n_songs; i++) {
        int64_t bytes = rg_resampled_song_bytes(s->stem, s->songs[i]);
        if (held + bytes > s->o.hold_bytes) break;
        held += bytes;
        s->summary.held_songs++;
    }
    s->summary.bytes = held + batches * (int64_t)s->o.batch * s->o.frames * (int64_t)sizeof(float);
}

static rg_status open_sampler(rg_sampler *s, rg_error *err)
{
    RG_TRY(check(&s->o, err));
    s->stem = rg_resampled_open(s->store, s->role, s->o.rate, err);
    if (!s->stem) return RG_ERR_USAGE;
    s->ratio = rg_resampled_ratio(s->stem);
    s->need = (s->o.frames + s->ratio.out - 1) / s->ratio.out * s->ratio.in;
    RG_TRY(rg__sampler_find_songs(s, err));
    plan_memory(s);
    s->own = rg_resampler_create(s->stem, err);
    return s->own ? RG_OK : RG_ERR_NOMEM;
}

rg_sampler *rg_sampler_create(const rg_store *store, int32_t role,
                              const rg_sampler_options *options, rg_error *err)
{
    rg_sampler *s = calloc(1, sizeof *s);
    if (!s) {
        rg_fail(err, RG_ERR_NOMEM, "no memory for a sampler");
        return NULL;
    }
    s->store = store;
    s->role = role;
    s->o = *options;
    if (s->o.active < 0) s->o.active = 0.75;
    if (s->o.active_min < 0) s->o.active_min = 0.5;
    if (open_sampler(s, err) == RG_OK) return s;
    rg_sampler_destroy(s);
    return NULL;
}

rg_status rg_sampler_start(rg_sampler *s, rg_error *err)
{
    if (s->ring) return RG_OK;
    for (int64_t i = 0; i < s->summary.held_songs; i++)
        RG_TRY(rg_resampled_hold(s->stem, s->songs[i], err));
    if (s->o.threads == 0) return RG_OK;
    s->ring = rg__ring_start(s, err);
    return s->ring ? RG_OK : RG_ERR_NOMEM;
}

void rg_sampler_destroy(rg_sampler *s)
{
    if (!s) return;
    rg__ring_stop(s->ring);
    rg_resampler_destroy(s->own);
    rg_resampled_close(s->stem);
    free(s->songs);
    free(s->ends);
    free(s);
}

rg_status rg_sampler_next(rg_sampler *s, int64_t step, int32_t micro, float *out, double *wait,
                          rg_error *err)
{
    double started = rg_clock_seconds();
    int64_t batch = step * s->o.micros + micro;
    rg_status status = s->ring ? rg__ring_take(s->ring, batch, out, err)
                               : rg__sampler_make(s, s->own, batch, out, err);
    if (wait) *wait += rg_clock_seconds() - started;
    return status;
}

rg_sampler_summary rg_sampler_describe(const rg_sampler *sampler)
{
    return sampler->summary;
}
