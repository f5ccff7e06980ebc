/*
 * Where crops lie (sampler_internal.h).
 *
 * One idea: a place is drawn by rejection from counted random numbers: a draw that is not active is
 * drawn again while the item is one of those that must be, so a place is a pure function of
 * (seed, step, micro, item).
 */
#include <math.h>
#include <stdlib.h>

#include "datasets/sampler_internal.h"

enum { DRAWS = 32, STREAM_CROP = 0x63726f70 };

static int64_t usable_frames(const rg_sampler *s, const rg_song *song)
{
    return s->o.split == song->split && song->present[s->role] && song->frames >= s->need
               ? song->frames - s->need + 1
               : 0;
}

static bool is_active(const rg_sampler *s, int64_t song, int64_t start)
{
    return rg_store_active_share(s->store, song, s->role, start, s->need) >= s->o.active_min;
}

/* One draw: a song by its usable length, a place in it on the grid of the ratio. */
static void draw_once(const rg_sampler *s, rg_rng *rng, int64_t *song, int64_t *start)
{
    double at = rg_rng_uniform(rng) * s->ends[s->n_songs - 1];
    int64_t low = 0, high = s->n_songs - 1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (s->ends[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    *song = s->songs[low];
    int64_t places = usable_frames(s, rg_store_song(s->store, *song)) / s->ratio.in;
    *start = (int64_t)rg_rng_below(rng, (uint64_t)(places > 0 ? places : 1)) * s->ratio.in;
}

rg_rng rg__sampler_rng(const rg_sampler *s, int64_t step, int32_t micro, int32_t item)
{
    uint64_t in_step = (uint64_t)micro * (uint64_t)s->o.batch + (uint64_t)item;
    uint64_t stream = rg_rng_stream((uint64_t)step, 0, in_step);
    return rg_rng_make(s->o.seed, rg_rng_stream(stream, (uint64_t)s->role, STREAM_CROP));
}

/* The k-th item of each step must be active when k < active * its items, so the share holds in
 * each. */
void rg__sampler_draw(const rg_sampler *s, int32_t in_step, rg_rng *rng, int64_t *song,
                      int64_t *start)
{
    bool must = in_step < ceil(s->o.active * s->o.batch * s->o.micros);
    for (int draw = 0; draw < DRAWS; draw++) {
        draw_once(s, rng, song, start);
        if (!must || is_active(s, *song, *start)) return;
    }
}

void rg_sampler_place(const rg_sampler *s, int64_t step, int32_t micro, int32_t item, int64_t *song,
                      int64_t *start)
{
    rg_rng rng = rg__sampler_rng(s, step, micro, item);
    rg__sampler_draw(s, micro * s->o.batch + item, &rng, song, start);
}

/* ---- the songs ---- */

/* Share of active crops in an even walk through the songs, for the summary. */
static void measure_activity(rg_sampler *s)
{
    int64_t active = 0, all = 0;
    for (int64_t i = 0; i < s->n_songs; i++) {
        int64_t frames = rg_store_song(s->store, s->songs[i])->frames;
        for (int64_t at = 0; at + s->need <= frames; at += s->need, all++)
            active += is_active(s, s->songs[i], at);
    }
    s->summary.active_share = all ? (double)active / (double)all : 0;
}

static rg_status list_songs(rg_sampler *s, rg_error *err)
{
    int64_t n = rg_store_songs(s->store);
    double sum = 0, frames = 0;
    s->songs = calloc((size_t)n + 1, sizeof *s->songs);
    s->ends = calloc((size_t)n + 1, sizeof *s->ends);
    if (!s->songs || !s->ends) return rg_fail(err, RG_ERR_NOMEM, "no memory for a sampler");
    for (int64_t i = 0; i < n; i++) {
        const rg_song *song = rg_store_song(s->store, i);
        int64_t usable = usable_frames(s, song);
        if (!usable) continue;
        sum += (double)usable;
        frames += (double)song->frames;
        s->songs[s->n_songs] = i;
        s->ends[s->n_songs++] = sum;
    }
    s->summary.songs = s->n_songs;
    s->summary.hours = frames / rg_store_rate(s->store) / 3600;
    return RG_OK;
}

rg_status rg__sampler_find_songs(rg_sampler *s, rg_error *err)
{
    const char *role = rg_store_role(s->store, s->role), *split = rg_split_name(s->o.split);
    RG_TRY(list_songs(s, err));
    measure_activity(s);
    if (s->n_songs == 0)
        return rg_fail(err, RG_ERR_MISMATCH,
                       "%s: no %s song has role %s for %.3g s; use another store or shorter crops",
                       rg_store_folder(s->store), split, role,
                       (double)s->need / rg_store_rate(s->store));
    if (!(s->summary.active_share > 0))
        return rg_fail(err, RG_ERR_MISMATCH, "%s: role %s is silent in every %s song",
                       rg_store_folder(s->store), role, split);
    return RG_OK;
}
