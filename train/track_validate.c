/*
 * Measuring a track run on fixed windows and masks (track_task.h).
 *
 * One idea: window i of a role and its mask depend on the store and the family alone, never on the
 * run, so curves of all phases and runs compare. Bits are per token: log2 of what a model gives the
 * true code. Beside them: unigram and bigram on the very same cells, and what it costs to hear
 * another song's tracks. A role under a family is one job; processes share the jobs and add up
 * what they have, which is zero for the others'.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/track_task.h"

enum { MASK_SEED = 20261122 };

/* Sums over the windows of one role and family. */
typedef struct tally {
    double bits[RG_TRACK_BOOKS], unigram[RG_TRACK_BOOKS], bigram[RG_TRACK_BOOKS], frames;
} tally;

/* All that is measured of one role and family; nothing but doubles, so that results add up. */
typedef struct result {
    tally own, shuffled; /* with another song's tracks */
    double window[];     /* (windows) bits per token; NAN where nothing is asked */
} result;

static double mean_of(const double *sums, double frames, int32_t books)
{
    double sum = 0;
    for (int32_t q = 0; q < books; q++) sum += sums[q];
    return frames > 0 ? sum / (frames * books) : NAN;
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

/* Adds one window's sums to the tally. */
static void tally_window(rg_track_run *run, int32_t i, const double *nats, tally *out)
{
    const int32_t books = run->config->roles[run->valid->target].books;
    for (int32_t q = 0; q < books; q++) out->bits[q] += nats[q] / log(2);
    out->frames +=
        (double)rg_token_baseline_measure(run->baseline, run->valid, i, out->unigram, out->bigram);
}

static double window_bits(const double *nats, int64_t frames, int32_t books)
{
    double sum = 0;
    for (int32_t q = 0; q < books; q++) sum += nats[q] / log(2);
    return frames ? sum / (double)(frames * books) : NAN;
}

/* Of the windows that are filled in; `window` may be NULL. */
static rg_status measure(rg_track_run *run, tally *out, double *window)
{
    int32_t books = run->config->roles[run->valid->target].books;
    double *nats = calloc((size_t)run->windows * (size_t)books, sizeof *nats);
    int64_t *frames = calloc((size_t)run->windows, sizeof *frames);
    rg_status status = RG_OK;
    if (nats && frames)
        status = rg_track_measure(run->context.ex, run->tracks, run->valid, nats, frames);
    else
        status = rg_exec_fail(run->context.ex, RG_ERR_NOMEM, "no memory for results");
    for (int32_t i = 0; i < run->windows && status == RG_OK; i++) {
        const double *of_window = nats + (int64_t)i * books;
        tally_window(run, i, of_window, out);
        if (window) window[i] = window_bits(of_window, frames[i], books);
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

static rg_status measure_family(rg_track_run *run, int32_t role, rg_mask_family family, result *out)
{
    RG_TRY(fill_windows(run, role, family));
    RG_TRY(measure(run, &out->own, out->window));
    if (family != main_family(run) || family == RG_MASK_NONE || run->config->n_roles < 2)
        return RG_OK;
    RG_TRY(shuffle_context(run, role));
    return measure(run, &out->shuffled, NULL);
}

/* The numbers that stand for the role in this phase. */
static void report_main(const rg_track_run *run, int32_t role, rg_mask_family family,
                        const result *r, rg_metrics *metrics)
{
    const char *name = run->config->roles[role].name;
    const int32_t books = run->config->roles[role].books;
    const double bits = mean_of(r->own.bits, r->own.frames, books);
    char curve[RG_METRIC_NAME];
    report(metrics, name, "bits", bits);
    report(metrics, name, "unigram", mean_of(r->own.unigram, r->own.frames, books));
    report(metrics, name, "bigram", mean_of(r->own.bigram, r->own.frames, books));
    for (int32_t q = 0; q < books; q++) {
        snprintf(curve, sizeof curve, "bits_%d", (int)q);
        report(metrics, name, curve, r->own.bits[q] / r->own.frames);
    }
    if (family == RG_MASK_NONE || run->config->n_roles < 2) return;
    report(metrics, name, "shuffle_gap",
           mean_of(r->shuffled.bits, r->shuffled.frames, books) - bits);
}

static rg_status report_family(rg_track_run *run, int32_t role, rg_mask_family family,
                               const result *r, rg_metrics *metrics, json_t *items, double *bits)
{
    char curve[RG_METRIC_NAME];
    snprintf(curve, sizeof curve, "%.31s/%s/bits", run->config->roles[role].name,
             rg_mask_name(family));
    for (int32_t i = 0; i < run->windows; i++) {
        int64_t song, first;
        RG_TRY(place_window(run, role, i, &song, &first));
        if (!isnan(r->window[i]))
            add_item(items, curve, rg_track_data_id(run->data, song), r->window[i]);
    }
    *bits = mean_of(r->own.bits, r->own.frames, run->config->roles[role].books);
    rg_metrics_set(metrics, curve, *bits);
    if (family == main_family(run)) report_main(run, role, family, r, metrics);
    return RG_OK;
}

/* ---- all roles and families, by all processes ------------------------------------------------ */

static int64_t doubles_of_result(const rg_track_run *run)
{
    return (int64_t)(sizeof(result) / sizeof(double)) + run->windows;
}

static int64_t doubles_of_all(const rg_track_run *run)
{
    return (int64_t)run->config->n_roles * RG_MASK_COUNT * doubles_of_result(run);
}

static result *result_of(const rg_track_run *run, double *all, int32_t role, int32_t family)
{
    return (result *)(all + ((int64_t)role * RG_MASK_COUNT + family) * doubles_of_result(run));
}

static rg_status measure_together(rg_track_run *run, double *all)
{
    rg_comm *comm = run->context.comm;
    rg_error err = {0};
    int32_t job = 0;
    for (int32_t r = 0; r < run->config->n_roles; r++)
        for (int32_t f = 0; f < RG_MASK_COUNT; f++)
            if (run->mix.share[f] > 0 && job++ % rg_comm_world(comm) == rg_comm_rank(comm))
                RG_TRY(measure_family(run, r, (rg_mask_family)f, result_of(run, all, r, f)));
    rg_status status = rg_comm_allreduce(comm, RG_COMM_SUM_F64, all, doubles_of_all(run), &err);
    return status == RG_OK ? RG_OK : rg_exec_fail(run->context.ex, status, "%s", err.text);
}

static rg_status report_all(rg_track_run *run, double *all, rg_metrics *metrics, json_t *items)
{
    double sum = 0, bits;
    int32_t n = 0;
    for (int32_t r = 0; r < run->config->n_roles; r++)
        for (int32_t f = 0; f < RG_MASK_COUNT; f++) {
            if (run->mix.share[f] <= 0) continue;
            RG_TRY(report_family(run, r, (rg_mask_family)f, result_of(run, all, r, f), metrics,
                                 items, &bits));
            sum += bits;
            n++;
        }
    rg_metrics_set(metrics, "bits", sum / n);
    finish_items(items);
    return RG_OK;
}

rg_status rg_track_run_validate(void *self, int64_t step, rg_metrics *metrics, json_t *items)
{
    rg_track_run *run = self;
    double *all = calloc((size_t)doubles_of_all(run), sizeof *all);
    (void)step;
    if (!all) return rg_exec_fail(run->context.ex, RG_ERR_NOMEM, "no memory for results");
    rg_status status = measure_together(run, all);
    if (status == RG_OK) status = report_all(run, all, metrics, items);
    free(all);
    return status;
}
