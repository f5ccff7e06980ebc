/*
 * Measuring a track run on fixed windows and masks (track_task.h).
 *
 * One idea: window i of a role and its mask depend on the store and the family alone, never on the
 * run, so curves of all phases and runs compare. Bits are per token: log2 of what a model gives the
 * true code. Beside them: unigram and bigram on the very same cells, and what it costs to hear
 * another song's tracks.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/track_task.h"

enum { MASK_SEED = 20261122 };

/* Sums over the windows of one role and family. */
typedef struct tally {
    double bits[RG_TRACK_BOOKS], unigram[RG_TRACK_BOOKS], bigram[RG_TRACK_BOOKS];
    int64_t frames;
} tally;

static double mean_of(const double *sums, int64_t frames, int32_t books)
{
    double sum = 0;
    for (int32_t q = 0; q < books; q++) sum += sums[q];
    return frames ? sum / ((double)frames * books) : NAN;
}

/* ---- fixed windows --------------------------------------------------------------------------- */

static rg_status place_window(const rg_track_run *run, int32_t role, int64_t i, int64_t *song,
                              int64_t *first)
{
    if (rg_track_data_fixed(run->data, RG_SPLIT_VALID, role, run->config->frames, i, song, first))
        return RG_OK;
    return rg_exec_fail(run->context.ex, RG_ERR_MISMATCH, "no validation song has the role %s",
                        run->config->roles[role].name);
}

static rg_status fill_windows(rg_track_run *run, int32_t role, rg_mask_family family)
{
    rg_track_batch *b = run->valid;
    rg_error err = {0};
    rg_track_batch_clear(run->config, b);
    b->target = role;
    for (int32_t i = 0; i < run->windows; i++) {
        rg_rng rng = rg_rng_make(MASK_SEED, rg_rng_stream((uint64_t)role, family, (uint64_t)i));
        rg_mask_window window;
        int64_t song, first;
        RG_TRY(place_window(run, role, i, &song, &first));
        rg_track_data_look(run->data, song, first, b->frames, run->bars, RG_TRACK_BARS, &window);
        rg_track_data_fill(run->data, song, first, b, i);
        rg_mask_write(run->config, b, i, family, run->phase == 1, &window, &rng);
        rg_status status = rg_track_data_latents(run->data, b, i, &err);
        if (status != RG_OK) return rg_exec_fail(run->context.ex, status, "%s", err.text);
    }
    return RG_OK;
}

/* Every window hears the other roles of the next song, or of another place of the only one. */
static rg_status shuffle_context(rg_track_run *run, int32_t role)
{
    rg_error err = {0};
    for (int32_t i = 0; i < run->windows; i++) {
        int64_t song, first;
        RG_TRY(place_window(run, role, i + 1, &song, &first));
        rg_status status = rg_track_data_swap(run->data, song, first, run->valid, i, &err);
        if (status != RG_OK) return rg_exec_fail(run->context.ex, status, "%s", err.text);
    }
    return RG_OK;
}

/* ---- results --------------------------------------------------------------------------------- */

/* items[curve][song] becomes the mean over that song's windows. */
static void add_item(json_t *items, const char *curve, const char *song, double bits)
{
    json_t *songs = json_object_get(items, curve);
    if (!songs) {
        songs = json_object();
        json_object_set_new(items, curve, songs);
    }
    json_t *sums = json_object_get(songs, song);
    double sum = json_real_value(json_array_get(sums, 0));
    double n = json_real_value(json_array_get(sums, 1));
    json_object_set_new(songs, song, json_pack("[f, f]", sum + bits, n + 1));
}

static void finish_items(json_t *items)
{
    const char *curve, *song;
    json_t *songs, *sums;
    json_object_foreach(items, curve, songs)
    {
        json_object_foreach(songs, song, sums)
        {
            double sum = json_real_value(json_array_get(sums, 0));
            double n = json_real_value(json_array_get(sums, 1));
            json_object_set_new(songs, song, json_real(sum / n));
        }
    }
}

/* Adds one window's sums to the tally, and its mean to its song's item. */
static rg_status tally_window(rg_track_run *run, const char *curve, int32_t i, const double *nats,
                              int64_t frames, tally *out, json_t *items)
{
    int32_t role = run->valid->target, books = run->config->roles[role].books;
    int64_t song, first;
    double sum = 0;
    RG_TRY(place_window(run, role, i, &song, &first));
    for (int32_t q = 0; q < books; q++) {
        out->bits[q] += nats[q] / log(2);
        sum += nats[q] / log(2);
    }
    out->frames +=
        rg_token_baseline_measure(run->baseline, run->valid, i, out->unigram, out->bigram);
    if (frames && items)
        add_item(items, curve, rg_track_data_id(run->data, song), sum / (double)(frames * books));
    return RG_OK;
}

static rg_status measure(rg_track_run *run, const char *curve, tally *out, json_t *items)
{
    int32_t books = run->config->roles[run->valid->target].books;
    double *nats = calloc((size_t)run->windows * (size_t)books, sizeof *nats);
    int64_t *frames = calloc((size_t)run->windows, sizeof *frames);
    rg_status status = RG_OK;
    if (nats && frames) {
        status = rg_track_measure(run->context.ex, run->tracks, run->valid, nats, frames);
        for (int32_t i = 0; i < run->windows && status == RG_OK; i++)
            status = tally_window(run, curve, i, nats + (int64_t)i * books, frames[i], out, items);
    } else {
        status = rg_exec_fail(run->context.ex, RG_ERR_NOMEM, "no memory for results");
    }
    free(nats);
    free(frames);
    return status;
}

static void report(rg_metrics *metrics, const char *role, const char *what, double value)
{
    char name[RG_METRIC_NAME];
    snprintf(name, sizeof name, "%.31s/%.31s", role, what);
    rg_metrics_set(metrics, name, value);
}

/* The family whose numbers stand for the phase: the first that shows context, or none at all. */
static rg_mask_family main_family(const rg_track_run *run)
{
    static const rg_mask_family of_phase[] = {RG_MASK_NONE, RG_MASK_ROLES, RG_MASK_RECTANGLE};
    return of_phase[run->phase - 1];
}

static rg_status measure_family(rg_track_run *run, int32_t role, rg_mask_family family,
                                rg_metrics *metrics, json_t *items, double *bits)
{
    const char *name = run->config->roles[role].name;
    int32_t books = run->config->roles[role].books;
    char curve[RG_METRIC_NAME];
    tally t = {0}, other = {0};
    RG_TRY(fill_windows(run, role, family));
    snprintf(curve, sizeof curve, "%.31s/%s/bits", name, rg_mask_name(family));
    RG_TRY(measure(run, curve, &t, items));
    *bits = mean_of(t.bits, t.frames, books);
    rg_metrics_set(metrics, curve, *bits);
    if (family != main_family(run)) return RG_OK;
    report(metrics, name, "bits", *bits);
    report(metrics, name, "unigram", mean_of(t.unigram, t.frames, books));
    report(metrics, name, "bigram", mean_of(t.bigram, t.frames, books));
    for (int32_t q = 0; q < books; q++) {
        snprintf(curve, sizeof curve, "bits_%d", (int)q);
        report(metrics, name, curve, t.bits[q] / (double)t.frames);
    }
    if (family == RG_MASK_NONE || run->config->n_roles < 2) return RG_OK;
    RG_TRY(shuffle_context(run, role));
    RG_TRY(measure(run, NULL, &other, NULL));
    report(metrics, name, "shuffle_gap", mean_of(other.bits, other.frames, books) - *bits);
    return RG_OK;
}

rg_status rg_track_run_validate(void *self, int64_t step, rg_metrics *metrics, json_t *items)
{
    rg_track_run *run = self;
    double sum = 0;
    int32_t n = 0;
    (void)step;
    for (int32_t r = 0; r < run->config->n_roles; r++)
        for (int32_t f = 0; f < RG_MASK_COUNT; f++) {
            double bits;
            if (run->mix.share[f] <= 0) continue;
            RG_TRY(measure_family(run, r, (rg_mask_family)f, metrics, items, &bits));
            sum += bits;
            n++;
        }
    rg_metrics_set(metrics, "bits", sum / n);
    finish_items(items);
    return RG_OK;
}
