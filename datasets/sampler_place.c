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

static int64_t usable_frames(const rg_sampler *s, const rg__source *from, const rg_song *song)
{
    bool present = false;
    for (int32_t i = 0; i < from->n_roles; i++) present |= song->present[from->role[i]];
    return s->o.split == song->split && present && song->frames >= s->need
               ? song->frames - s->need + 1
               : 0;
}

double rg__sampler_active_share(const rg_sampler *s, const rg__source *from, int64_t song,
                                int64_t start)
{
    double most = 0;
    for (int32_t i = 0; i < from->n_roles; i++)
        most = fmax(most, rg_store_active_share(s->store, song, from->role[i], start, s->need));
    return most;
}

static bool is_active(const rg_sampler *s, const rg__source *from, int64_t song, int64_t start)
{
    return rg__sampler_active_share(s, from, song, start) >= s->o.active_min;
}

/* One draw: a song by its usable length, a place in it on the grid of the ratio. */
static void draw_once(const rg_sampler *s, const rg__source *from, rg_rng *rng, int64_t *song,
                      int64_t *start)
{
    double at = rg_rng_uniform(rng) * from->ends[from->n_songs - 1];
    int64_t low = 0, high = from->n_songs - 1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (from->ends[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    *song = from->songs[low];
    int64_t places = usable_frames(s, from, rg_store_song(s->store, *song)) / s->ratio.in;
    *start = (int64_t)rg_rng_below(rng, (uint64_t)(places > 0 ? places : 1)) * s->ratio.in;
}

/* Several roles share the numbers of the first. */
rg_rng rg__sampler_rng(const rg_sampler *s, int64_t step, int32_t micro, int32_t item)
{
    uint64_t in_step = (uint64_t)micro * (uint64_t)s->o.batch + (uint64_t)item;
    uint64_t stream = rg_rng_stream((uint64_t)step, 0, in_step);
    return rg_rng_make(s->o.seed,
                       rg_rng_stream(stream, (uint64_t)s->source[0].role[0], STREAM_CROP));
}

/* The k-th item of each step must be active when k < active * its items, so the share holds in
 * each. */
bool rg__sampler_must(const rg_sampler *s, int32_t in_step)
{
    return in_step < ceil(s->o.active * s->o.batch * s->o.micros);
}

void rg__sampler_draw(const rg_sampler *s, const rg__source *from, bool must, rg_rng *rng,
                      int64_t *song, int64_t *start)
{
    for (int draw = 0; draw < DRAWS; draw++) {
        draw_once(s, from, rng, song, start);
        if (!must || is_active(s, from, *song, *start)) return;
    }
}

void rg_sampler_place(const rg_sampler *s, int64_t step, int32_t micro, int32_t item, int64_t *song,
                      int64_t *start)
{
    rg_rng rng = rg__sampler_rng(s, step, micro, item);
    rg__sampler_draw(s, &s->source[0], rg__sampler_must(s, micro * s->o.batch + item), &rng, song,
                     start);
}

/* ---- the songs ---- */

/* What a walk through the songs of all sources has found. */
typedef struct search {
    int64_t songs, active, all; /* that have the role for long enough; crops */
} search;

/* Active crops and all crops in an even walk. */
static void measure_activity(const rg_sampler *s, const rg__source *from, search *found)
{
    for (int64_t i = 0; i < from->n_songs; i++) {
        int64_t frames = rg_store_song(s->store, from->songs[i])->frames;
        for (int64_t at = 0; at + s->need <= frames; at += s->need, found->all++)
            found->active += is_active(s, from, from->songs[i], at);
    }
}

static rg_status list_songs(rg_sampler *s, rg__source *from, double *frames, rg_error *err)
{
    int64_t n = rg_store_songs(s->store);
    double sum = 0;
    from->songs = calloc((size_t)n + 1, sizeof *from->songs);
    from->ends = calloc((size_t)n + 1, sizeof *from->ends);
    if (!from->songs || !from->ends) return rg_fail(err, RG_ERR_NOMEM, "no memory for a sampler");
    for (int64_t i = 0; i < n; i++) {
        const rg_song *song = rg_store_song(s->store, i);
        int64_t usable = usable_frames(s, from, song);
        if (!usable) continue;
        sum += (double)usable;
        *frames += (double)song->frames;
        from->songs[from->n_songs] = i;
        from->ends[from->n_songs++] = sum;
    }
    return RG_OK;
}

/* The roles from `first` to before `last` as one more source, if anything in it can be drawn. */
static rg_status add_source(rg_sampler *s, int32_t first, int32_t last, search *found,
                            rg_error *err)
{
    rg__source *from = &s->source[s->n_sources++];
    double frames = 0;
    int64_t before = found->active;
    for (int32_t role = first; role < last; role++) from->role[from->n_roles++] = role;
    RG_TRY(list_songs(s, from, &frames, err));
    measure_activity(s, from, found);
    found->songs += from->n_songs;
    if (found->active == before) {
        s->n_sources--;
        free(from->songs);
        free(from->ends);
        *from = (rg__source){0};
        return RG_OK;
    }
    s->summary.songs += from->n_songs;
    s->summary.hours += frames / rg_store_rate(s->store) / 3600;
    return RG_OK;
}

rg_status rg__sampler_find_songs(rg_sampler *s, int32_t role, rg_error *err)
{
    const char *folder = rg_store_folder(s->store), *split = rg_split_name(s->o.split);
    const char *name = role >= 0             ? rg_store_role(s->store, role)
                       : role == RG_ROLE_ANY ? "any"
                                             : "mix";
    int32_t roles = rg_store_roles(s->store);
    search found = {0};
    if (role >= 0) RG_TRY(add_source(s, role, role + 1, &found, err));
    if (role == RG_ROLE_MIX) RG_TRY(add_source(s, 0, roles, &found, err));
    for (int32_t r = 0; r < roles && role == RG_ROLE_ANY; r++)
        RG_TRY(add_source(s, r, r + 1, &found, err));
    s->summary.active_share = found.all ? (double)found.active / (double)found.all : 0;
    if (found.songs == 0)
        return rg_fail(err, RG_ERR_MISMATCH,
                       "%s: no %s song has role %s for %.3g s; use another store or shorter crops",
                       folder, split, name, (double)s->need / rg_store_rate(s->store));
    if (s->n_sources == 0)
        return rg_fail(err, RG_ERR_MISMATCH, "%s: role %s is silent in every %s song", folder, name,
                       split);
    return RG_OK;
}
