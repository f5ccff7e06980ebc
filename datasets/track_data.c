/*
 * Places and windows (track_data.h).
 *
 * One idea: all roles share one frame grid, so a window is the same rows of every role's codes; the
 * store is asked only for what was indexed when it was made (beats, activity), never for audio.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/track_data_internal.h"
#include "models/track_beat.h"

enum { TRIES = 8, MAX_BARS = 256, LATENT_SONGS = 64 };

rg_track_data *rg_track_data_create(const rg_store *store, const rg_tokens *tokens,
                                    const rg_codec *codecs, rg_error *err)
{
    rg_track_data *d = calloc(1, sizeof *d);
    if (!d) {
        rg_fail(err, RG_ERR_NOMEM, "no memory for track data");
        return NULL;
    }
    d->store = store;
    d->tokens = tokens;
    d->codecs = codecs;
    d->n_roles = rg_tokens_roles(tokens);
    d->n_songs = rg_tokens_songs(tokens);
    for (int32_t r = 0; r < d->n_roles; r++)
        d->store_role[r] = rg_store_find_role(store, rg_tokens_role(tokens, r)->name);
    d->words = calloc((size_t)d->n_songs + 1, sizeof *d->words);
    if (!d->words) rg_fail(err, RG_ERR_NOMEM, "no memory for the words of songs");
    if (d->words && rg__track_words_read(d, err) == RG_OK) return d;
    rg_track_data_free(d);
    return NULL;
}

void rg_track_data_free(rg_track_data *data)
{
    if (!data) return;
    free(data->words);
    free(data->config);
    free(data->ids);
    free(data);
}

/* ---- places ---------------------------------------------------------------------------------- */

const char *rg_track_data_id(const rg_track_data *data, int64_t song)
{
    return rg_tokens_song(data->tokens, song)->id;
}

bool rg_track_data_has(const rg_track_data *d, int64_t song, int32_t role, rg_split split)
{
    const rg_token_song *s = rg_tokens_song(d->tokens, song);
    return s->codes[role] && s->frames > 0 && rg__song_of(d, song)->split == split;
}

int64_t rg_track_data_songs(const rg_track_data *d, rg_split split)
{
    int64_t n = 0;
    for (int64_t i = 0; i < d->n_songs; i++) n += rg__song_of(d, i)->split == split;
    return n;
}

static double samples_per_frame(const rg_track_data *d)
{
    return rg_store_rate(d->store) / rg_tokens_frame_rate(d->tokens);
}

static double active_share(const rg_track_data *d, int64_t song, int32_t role, int64_t first,
                           int64_t frames)
{
    double hop = samples_per_frame(d);
    return rg_store_active_share(d->store, rg_tokens_song(d->tokens, song)->song,
                                 d->store_role[role], (int64_t)((double)first * hop),
                                 (int64_t)((double)frames * hop));
}

/* A song in proportion to its frames, -1 when there is none. */
static int64_t draw_song(const rg_track_data *d, rg_split split, int32_t role, rg_rng *rng)
{
    int64_t total = 0;
    for (int64_t i = 0; i < d->n_songs; i++)
        if (rg_track_data_has(d, i, role, split)) total += rg_tokens_song(d->tokens, i)->frames;
    int64_t at = (int64_t)rg_rng_below(rng, (uint64_t)total);
    for (int64_t i = 0; i < d->n_songs; i++) {
        if (!rg_track_data_has(d, i, role, split)) continue;
        at -= rg_tokens_song(d->tokens, i)->frames;
        if (at < 0) return i;
    }
    return -1;
}

bool rg_track_data_draw(const rg_track_data *d, rg_split split, int32_t role, int32_t frames,
                        double active, rg_rng *rng, int64_t *song, int64_t *first)
{
    bool wanted = rg_rng_uniform(rng) < active;
    double best = -1;
    for (int32_t i = 0; i < (wanted ? TRIES : 1) && best < 0.5; i++) {
        int64_t s = draw_song(d, split, role, rng);
        if (s < 0) return false;
        int64_t room = rg_tokens_song(d->tokens, s)->frames - frames;
        int64_t at = room > 0 ? (int64_t)rg_rng_below(rng, (uint64_t)room + 1) : 0;
        double share = active_share(d, s, role, at, frames);
        if (share <= best) continue;
        best = share;
        *song = s;
        *first = at;
    }
    return true;
}

bool rg_track_data_fixed(const rg_track_data *d, rg_split split, int32_t role, int32_t frames,
                         int64_t i, int64_t *song, int64_t *first)
{
    int64_t n = 0;
    for (int64_t s = 0; s < d->n_songs; s++) n += rg_track_data_has(d, s, role, split);
    if (n == 0) return false;
    int64_t k = i % n, round = i / n;
    for (int64_t s = 0; s < d->n_songs; s++)
        if (rg_track_data_has(d, s, role, split) && k-- == 0) *song = s;
    /* the golden ratio spreads any number of places evenly */
    double share = fmod(0.5 + 0.6180339887498949 * (double)round, 1);
    int64_t room = rg_tokens_song(d->tokens, *song)->frames - frames;
    *first = room > 0 ? (int64_t)(share * (double)(room + 1)) : 0;
    return true;
}

/* ---- windows --------------------------------------------------------------------------------- */

static rg_beat_grid grid_of(const rg_song *song)
{
    return (rg_beat_grid){.tempo = song->tempo_bpm,
                          .meter = song->meter,
                          .beats = song->beats,
                          .downbeats = song->downbeats,
                          .n_beats = song->n_beats,
                          .n_downbeats = song->n_downbeats};
}

void rg_track_data_look(const rg_track_data *d, int64_t song, int64_t first, int32_t frames,
                        int32_t *bars, int32_t capacity, rg_mask_window *out)
{
    const rg_token_song *s = rg_tokens_song(d->tokens, song);
    rg_beat_grid grid = grid_of(rg__song_of(d, song));
    int64_t left = s->frames - first;
    *out = (rg_mask_window){.frames = (int32_t)(left < frames ? left : frames), .bars = bars};
    for (int32_t r = 0; r < d->n_roles; r++) out->present[r] = s->codes[r] != NULL;
    out->n_bars =
        rg_bar_starts(&grid, rg_tokens_frame_rate(d->tokens), first, out->frames, bars, capacity);
}

static void fill_codes(const rg_track_data *d, int64_t song, int64_t first, int32_t role,
                       rg_track_batch *batch, int32_t item)
{
    const rg_token_song *s = rg_tokens_song(d->tokens, song);
    int64_t books = rg_tokens_role(d->tokens, role)->books;
    int32_t *out = batch->codes[role] + (int64_t)item * batch->frames * books;
    for (int64_t t = 0; t < batch->frames; t++)
        for (int64_t q = 0; q < books; q++) {
            bool there = s->codes[role] && first + t < s->frames;
            out[t * books + q] = there ? s->codes[role][(first + t) * books + q] : -1;
        }
}

static int32_t activity_level(double share)
{
    return share < 0.05 ? 0 : share < 0.6 ? 1 : 2;
}

/* One level per bar; per second where no bars are known. */
static void fill_activity(const rg_track_data *d, int64_t song, int64_t first,
                          rg_track_batch *batch, int32_t item)
{
    int32_t starts[MAX_BARS + 2], second = (int32_t)lrint(rg_tokens_frame_rate(d->tokens));
    rg_beat_grid grid = grid_of(rg__song_of(d, song));
    int32_t n = rg_bar_starts(&grid, rg_tokens_frame_rate(d->tokens), first, batch->frames,
                              starts + 1, MAX_BARS);
    if (n == 0)
        for (n = 0; n < MAX_BARS && (n + 1) * second < batch->frames; n++)
            starts[n + 1] = (n + 1) * second;
    starts[0] = 0;
    starts[n + 1] = batch->frames;
    int32_t *out = batch->activity + (int64_t)item * batch->frames;
    for (int32_t i = 0; i <= n; i++) {
        int32_t from = starts[i], to = starts[i + 1];
        int32_t level =
            activity_level(active_share(d, song, batch->target, first + from, to - from));
        for (int32_t t = from; t < to; t++) out[t] = level;
    }
}

void rg_track_data_fill(const rg_track_data *d, int64_t song, int64_t first, rg_track_batch *batch,
                        int32_t item)
{
    int32_t n_fields = d->config->n_fields;
    rg_beat_grid grid = grid_of(rg__song_of(d, song));
    for (int32_t r = 0; r < d->n_roles; r++) fill_codes(d, song, first, r, batch, item);
    rg_beat_features(&grid, rg_tokens_frame_rate(d->tokens), first, batch->frames,
                     batch->beat + (int64_t)item * batch->frames * RG_BEAT_FEATURES);
    fill_activity(d, song, first, batch, item);
    memcpy(batch->conditions + (int64_t)item * n_fields,
           d->ids + (song * d->n_roles + batch->target) * n_fields,
           (size_t)n_fields * sizeof(int32_t));
}

rg_status rg_track_data_latents(const rg_track_data *d, rg_track_batch *batch, int32_t item,
                                rg_error *err)
{
    for (int32_t r = 0; r < d->n_roles; r++) {
        const rg_token_role *role = rg_tokens_role(d->tokens, r);
        int64_t at = (int64_t)item * batch->frames;
        const uint8_t *state = batch->state[r] + at;
        for (int64_t t = 0; t < batch->frames;) {
            int64_t from = t;
            if (state[t] != RG_CELL_KNOWN) {
                t++;
                continue;
            }
            while (t < batch->frames && state[t] == RG_CELL_KNOWN) t++;
            rg_status status =
                rg_codec_dequantize(&d->codecs[r], batch->codes[r] + (at + from) * role->books,
                                    t - from, batch->latents[r] + (at + from) * role->dim);
            if (status != RG_OK)
                return rg_fail(err, status, "role %s: a code is out of range", role->name);
        }
    }
    return RG_OK;
}

rg_status rg_track_data_swap(const rg_track_data *d, int64_t song, int64_t first,
                             rg_track_batch *batch, int32_t item, rg_error *err)
{
    const rg_token_song *s = rg_tokens_song(d->tokens, song);
    for (int32_t r = 0; r < d->n_roles; r++) {
        if (r == batch->target) continue;
        fill_codes(d, song, first, r, batch, item);
        uint8_t *state = batch->state[r] + (int64_t)item * batch->frames;
        for (int64_t t = 0; t < batch->frames; t++)
            if (state[t] == RG_CELL_KNOWN && (!s->codes[r] || first + t >= s->frames))
                state[t] = RG_CELL_ABSENT;
    }
    return rg_track_data_latents(d, batch, item, err);
}

/* ---- statistics ------------------------------------------------------------------------------ */

/* Adds the latents of one song's frames, every `stride`-th; z (D) is scratch. */
static rg_status add_song(const rg_track_data *d, int64_t song, int32_t role, float *z, double *sum,
                          double *squares, int64_t *n)
{
    const rg_token_song *s = rg_tokens_song(d->tokens, song);
    int64_t books = rg_tokens_role(d->tokens, role)->books;
    int64_t dim = rg_tokens_role(d->tokens, role)->dim, stride = s->frames / 2000 + 1;
    for (int64_t t = 0; t < s->frames; t += stride, (*n)++) {
        int32_t codes[RG_TRACK_BOOKS];
        for (int64_t q = 0; q < books; q++) codes[q] = s->codes[role][t * books + q];
        RG_TRY(rg_codec_dequantize(&d->codecs[role], codes, 1, z));
        for (int64_t i = 0; i < dim; i++) {
            sum[i] += z[i];
            squares[i] += (double)z[i] * z[i];
        }
    }
    return RG_OK;
}

rg_status rg_track_data_latent_scale(const rg_track_data *d, int32_t role, float *mean,
                                     float *deviation, rg_error *err)
{
    int64_t dim = rg_tokens_role(d->tokens, role)->dim, n = 0, songs = 0;
    double *sum = calloc((size_t)(3 * dim), sizeof *sum);
    if (!sum) return rg_fail(err, RG_ERR_NOMEM, "no memory for statistics");
    double *squares = sum + dim;
    float *z = (float *)(void *)(sum + 2 * dim);
    rg_status status = RG_OK;
    for (int64_t i = 0; i < d->n_songs && songs < LATENT_SONGS && status == RG_OK; i++)
        if (rg_track_data_has(d, i, role, RG_SPLIT_TRAIN)) {
            status = add_song(d, i, role, z, sum, squares, &n);
            songs++;
        }
    if (status == RG_OK && n == 0)
        status = rg_fail(err, RG_ERR_MISMATCH, "no training song has the role %s",
                         rg_tokens_role(d->tokens, role)->name);
    for (int64_t i = 0; i < dim && status == RG_OK; i++) {
        mean[i] = (float)(sum[i] / (double)n);
        double variance = squares[i] / (double)n - (double)mean[i] * mean[i];
        deviation[i] = variance > 1e-12 ? (float)sqrt(variance) : 1;
    }
    free(sum);
    return status;
}
