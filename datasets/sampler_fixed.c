/*
 * The fixed crops of a validation (sampler.h).
 *
 * One idea: evenly placed, each moved to the most active place nearby, so they depend on the store
 * and the wanted length alone.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "datasets/sampler_internal.h"

enum { NEARBY = 21 };

/* Of 21 places around the even one the most active; the nearest among equals. */
static int64_t best_place(const rg_sampler *s, const rg__source *from, int64_t song, int64_t even,
                          int64_t step)
{
    int64_t best = -1, last = rg_store_song(s->store, song)->frames - s->need;
    double most = -1;
    for (int64_t k = 0; k < NEARBY; k++) {
        int64_t away = (k + 1) / 2 * (k % 2 ? 1 : -1), at = even + away * step;
        if (at < 0 || at > last) continue;
        at -= at % s->ratio.in;
        double share = rg__sampler_active_share(s, from, song, at);
        if (share > most) {
            most = share;
            best = at;
        }
    }
    return best < 0 ? 0 : best;
}

static rg_status fill_crop(rg_sampler *s, const rg__source *from, int64_t song, int32_t k,
                           int32_t per_song, rg_fixed_crops *out, rg_error *err)
{
    int64_t room = rg_store_song(s->store, song)->frames - s->need;
    int64_t even = room * (2 * k + 1) / (2 * per_song), samples = out->frames * s->o.channels;
    float *crop = out->samples + out->n * samples;
    double pan = s->o.augment.pan * ((2 * k + 1.0) / per_song - 1);
    out->song[out->n] = song;
    out->start[out->n] = best_place(s, from, song, even, room / per_song / 24 + 1);
    rg__sampler_clear(s, &s->own, 0);
    RG_TRY(rg__sampler_add(s, &s->own, from, song, out->start[out->n], 0, 0, pan, err));
    rg__sampler_interleave(s, &s->own, 0, crop);
    if (s->o.low_dbfs < s->o.high_dbfs)
        rg__sampler_set_level(crop, samples, (s->o.low_dbfs + s->o.high_dbfs) / 2);
    out->n++;
    return RG_OK;
}

static rg_status fill(rg_sampler *s, int32_t per_song, rg_fixed_crops *out, rg_error *err)
{
    size_t n = (size_t)(s->summary.songs * per_song);
    size_t samples = (size_t)(s->o.frames * s->o.channels);
    double bytes = (double)n * (double)samples * sizeof(float), mib = 1024.0 * 1024.0;
    if (bytes > (double)rg_memory_available())
        return rg_fail(err, RG_ERR_NOMEM,
                       "%zu validation crops of %lld samples need %.0f MiB, and %.0f MiB are free; "
                       "take fewer of a song or shorter ones",
                       n, (long long)s->o.frames, bytes / mib, (double)rg_memory_available() / mib);
    *out = (rg_fixed_crops){.frames = s->o.frames,
                            .samples = malloc(n * samples * sizeof(float)),
                            .song = malloc(n * sizeof(int64_t)),
                            .start = malloc(n * sizeof(int64_t))};
    if (!out->samples || !out->song || !out->start)
        return rg_fail(err, RG_ERR_NOMEM, "no memory for %zu validation crops", n);
    for (int32_t r = 0; r < s->n_sources; r++)
        for (int64_t i = 0; i < s->source[r].n_songs; i++)
            for (int32_t k = 0; k < per_song; k++)
                RG_TRY(fill_crop(s, &s->source[r], s->source[r].songs[i], k, per_song, out, err));
    return RG_OK;
}

rg_status rg_sampler_fixed(const rg_store *store, int32_t role, const rg_sampler_options *options,
                           int32_t per_song, rg_fixed_crops *out, rg_error *err)
{
    rg_sampler_options alone = *options;
    alone.threads = 0;
    *out = (rg_fixed_crops){0};
    if (per_song < 1)
        return rg_fail(err, RG_ERR_USAGE, "at least one validation crop a song is needed");
    rg_sampler *s = rg_sampler_create(store, role, &alone, err);
    if (!s) return err && err->code != RG_OK ? err->code : RG_ERR_MISMATCH;
    rg_status status = fill(s, per_song, out, err);
    rg_sampler_destroy(s);
    if (status != RG_OK) rg_fixed_crops_free(out);
    return status;
}

void rg_fixed_crops_free(rg_fixed_crops *crops)
{
    free(crops->samples);
    free(crops->song);
    free(crops->start);
    *crops = (rg_fixed_crops){0};
}
