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
enum { LONGEST_RT60 = 10 };       /* seconds */

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

static rg_status check_augment(const rg_augment *a, rg_error *err)
{
    bool right = a->pan >= 0 && a->pan <= 1 && a->reverb >= 0 && a->reverb <= 1 &&
                 a->gain_low <= a->gain_high && a->rt60_low <= a->rt60_high &&
                 a->wet_low <= a->wet_high && a->file_dbfs <= 0;
    for (int32_t k = 0; k < RG_MAX_MIXED; k++) right = right && a->mix[k] >= 0;
    if (!right || (a->reverb > 0 && !(a->rt60_low > 0 && a->rt60_high <= LONGEST_RT60)))
        return rg_fail(
            err, RG_ERR_USAGE,
            "augment: shares are 0 to 1, ranges go from low to high, rt60 is above 0 and "
            "at most %d s",
            LONGEST_RT60);
    return RG_OK;
}

static rg_status check(const rg_sampler_options *o, rg_error *err)
{
    if (o->channels > 2 || o->channels < 1)
        return rg_fail(err, RG_ERR_USAGE, "sampler: %d channels; stems give 1 or 2",
                       (int)o->channels);
    if (o->frames < 1 || o->batch < 1 || o->micros < 1 || o->threads < 0 ||
        o->threads > RG__MOST_THREADS || o->ring > RG__MOST_SLOTS)
        return rg_fail(err, RG_ERR_USAGE,
                       "sampler: frames, batch and micros are at least 1, "
                       "threads at most %d, ring at most %d",
                       RG__MOST_THREADS, RG__MOST_SLOTS);
    if (o->frames > LARGEST_BATCH / o->batch / o->channels)
        return rg_fail(
            err, RG_ERR_USAGE,
            "sampler: %d crops of %lld samples are more than 2^30 samples at once; lower "
            "the batch or the length of a crop",
            o->batch, (long long)o->frames);
    return check_augment(&o->augment, err);
}

static int64_t bytes_held(const rg_sampler *s, const rg__source *from, int64_t song)
{
    int64_t bytes = 0;
    for (int32_t r = 0; r < from->n_roles; r++)
        if (rg_store_song(s->store, song)->present[from->role[r]])
            bytes += s->stem_channels * rg_resampled_song_bytes(s->stem[from->role[r]][0], song);
    return bytes;
}

/* The songs that fit into the budget, in the store's order: how many, and what all of it takes. */
static void plan_memory(rg_sampler *s)
{
    int32_t batches =
        s->o.threads > 0 ? s->o.threads + (s->o.ring > 0 ? s->o.ring : RG__USUAL_SLOTS) : 0;
    int64_t held = 0, samples = (int64_t)s->o.batch * s->o.frames * s->o.channels;
    for (int32_t k = 0; k < s->n_sources; k++) {
        rg__source *from = &s->source[k];
        for (int64_t i = 0; i < from->n_songs; i++) {
            int64_t bytes = bytes_held(s, from, from->songs[i]);
            if (held + bytes > s->o.hold_bytes) break;
            held += bytes;
            from->held++;
        }
        s->summary.held_songs += from->held;
    }
    s->summary.bytes = held + batches * samples * (int64_t)sizeof(float);
}

static rg_status open_stems(rg_sampler *s, int32_t role, rg_error *err)
{
    int32_t first = role >= 0 ? role : 0, last = role + 1;
    if (role == RG_ROLE_ANY || role == RG_ROLE_MIX) last = rg_store_roles(s->store);
    s->stem_channels = s->o.channels > 1 ? rg_store_channels(s->store) : 1;
    for (int32_t r = first; r < last; r++)
        for (int32_t c = 0; c < s->stem_channels; c++) {
            int32_t channel = s->stem_channels > 1 ? c : RG_CHANNEL_MEAN;
            rg_resampled *stem = rg_resampled_open(s->store, r, channel, s->o.rate, err);
            if (!stem) return RG_ERR_USAGE;
            s->stem[r][c] = stem;
            s->ratio = rg_resampled_ratio(stem);
        }
    if (s->ratio.out > 0) return RG_OK;
    return rg_fail(err, RG_ERR_USAGE, "%s: has no role %d", rg_store_folder(s->store), (int)role);
}

static rg_status open_sampler(rg_sampler *s, int32_t role, rg_error *err)
{
    RG_TRY(check(&s->o, err));
    RG_TRY(open_stems(s, role, err));
    s->need = (s->o.frames + s->ratio.out - 1) / s->ratio.out * s->ratio.in;
    if (s->o.augment.reverb > 0) {
        int64_t lead = rg_reverb_length(s->o.augment.rt60_high, s->o.rate);
        s->lead = (lead + s->ratio.out - 1) / s->ratio.out * s->ratio.out;
    }
    RG_TRY(rg__sampler_find_songs(s, role, err));
    plan_memory(s);
    return rg__maker_open(&s->own, s, err);
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
    s->o = *options;
    if (s->o.channels == 0) s->o.channels = 1;
    if (s->o.active < 0) s->o.active = 0.75;
    if (s->o.active_min < 0) s->o.active_min = 0.5;
    if (open_sampler(s, role, err) == RG_OK) return s;
    rg_sampler_destroy(s);
    return NULL;
}

static rg_status hold(rg_sampler *s, const rg__source *from, int64_t song, rg_error *err)
{
    for (int32_t r = 0; r < from->n_roles; r++)
        for (int32_t c = 0; c < s->stem_channels; c++)
            if (rg_store_song(s->store, song)->present[from->role[r]])
                RG_TRY(rg_resampled_hold(s->stem[from->role[r]][c], song, err));
    return RG_OK;
}

rg_status rg_sampler_start(rg_sampler *s, rg_error *err)
{
    if (s->ring) return RG_OK;
    for (int32_t k = 0; k < s->n_sources; k++)
        for (int64_t i = 0; i < s->source[k].held; i++)
            RG_TRY(hold(s, &s->source[k], s->source[k].songs[i], err));
    if (s->o.threads == 0) return RG_OK;
    s->ring = rg__ring_start(s, err);
    return s->ring ? RG_OK : RG_ERR_NOMEM;
}

void rg_sampler_destroy(rg_sampler *s)
{
    if (!s) return;
    rg__ring_stop(s->ring);
    rg__maker_close(&s->own);
    for (int32_t r = 0; r < RG_MAX_ROLES; r++)
        for (int32_t c = 0; c < RG_MAX_CHANNELS; c++) rg_resampled_close(s->stem[r][c]);
    for (int32_t k = 0; k < s->n_sources; k++) {
        free(s->source[k].songs);
        free(s->source[k].ends);
    }
    free(s);
}

rg_status rg_sampler_next(rg_sampler *s, int64_t step, int32_t micro, float *out, double *wait,
                          rg_error *err)
{
    double started = rg_clock_seconds();
    int64_t batch = step * s->o.micros + micro;
    rg_status status = s->ring ? rg__ring_take(s->ring, batch, out, err)
                               : rg__sampler_make(s, &s->own, batch, out, err);
    if (wait) *wait += rg_clock_seconds() - started;
    return status;
}

rg_sampler_summary rg_sampler_describe(const rg_sampler *sampler)
{
    return sampler->summary;
}
