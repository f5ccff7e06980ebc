/*
 * All tracks' models in one process: declaration, start values, teacher forcing
 * (track_transformer.h).
 *
 * One idea: codebook q at step s is frame s - q. Inputs are the cells of the step before, targets
 * the cells of this one; what is not a target is an input where it is known, and nothing elsewhere.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/track_internal.h"

static void declare_shared(rg_tracks *tracks, rg_params *params)
{
    const rg_track_config *c = &tracks->config;
    for (int32_t r = 0; r < c->n_roles; r++) {
        const rg_track_role *role = &c->roles[r];
        char name[RG_NAME_SIZE];
        tracks->project[r] =
            rg_weight_declare(params, role->dim, c->width, 1, "shared.%s.project", role->name);
        snprintf(name, sizeof name, "shared.%s.mean", role->name);
        tracks->mean[r] = rg_params_add_state(params, name, RG_F32, RG_SHAPE(role->dim));
        snprintf(name, sizeof name, "shared.%s.deviation", role->name);
        tracks->deviation[r] = rg_params_add_state(params, name, RG_F32, RG_SHAPE(role->dim));
    }
    tracks->space =
        rg_table_declare(params, 2, c->n_roles > 3 ? c->n_roles : 3, c->width, 0.3, "shared.space");
}

rg_tracks *rg_tracks_create(rg_params *params, const rg_track_config *config, rg_error *err)
{
    rg_params *of_role[RG_TRACK_ROLES];
    for (int32_t r = 0; r < RG_TRACK_ROLES; r++) of_role[r] = params;
    return rg_tracks_create_apart(params, of_role, config, err);
}

rg_tracks *rg_tracks_create_apart(rg_params *shared, rg_params *const *of_role,
                                  const rg_track_config *config, rg_error *err)
{
    if (rg_track_config_check(config, err) != RG_OK) return NULL;
    rg_tracks *tracks = calloc(1, sizeof *tracks);
    if (!tracks) {
        rg_fail(err, RG_ERR_NOMEM, "no memory for the track models");
        return NULL;
    }
    tracks->config = *config;
    declare_shared(tracks, shared);
    for (int32_t r = 0; r < config->n_roles; r++) {
        track_context_declare(tracks, of_role[r], r, config->roles[r].name);
        track_decoder_declare(tracks, of_role[r], r, config->roles[r].name);
    }
    return tracks;
}

void rg_tracks_destroy(rg_tracks *tracks)
{
    free(tracks);
}

/* ---- start values ---------------------------------------------------------------------------- */

static float *values_of(rg_params *params, const char *format, const char *role)
{
    char name[RG_NAME_SIZE];
    snprintf(name, sizeof name, format, role);
    const rg_param *param = rg_params_find(params, name);
    return param ? rg_param_data(params, param) : NULL;
}

/* table (V,d) = book (V,D) / deviation times project (D,d), scaled as other tables are. */
static void project_book(float *table, const float *book, const float *deviation,
                         const float *project, const rg_track_config *c, const rg_track_role *role)
{
    int64_t entries = role->entries, dim = role->dim, width = c->width;
    double squares = 0;
    for (int64_t v = 0; v < entries; v++)
        for (int64_t i = 0; i < width; i++) {
            double sum = 0;
            for (int64_t j = 0; j < dim; j++) {
                double scale = deviation[j] > 0 ? deviation[j] : 1;
                sum += book[v * dim + j] / scale * project[j * width + i];
            }
            table[v * width + i] = (float)sum;
            squares += sum * sum;
        }
    double rms = sqrt(squares / (double)(entries * width));
    double scale = rms > 0 ? 0.5 / sqrt((double)role->books) / rms : 0;
    for (int64_t i = 0; i < entries * width; i++) table[i] = (float)(table[i] * scale);
}

void rg_tracks_start_role(rg_tracks *tracks, rg_params *params, int32_t role, const float *mean,
                          const float *deviation, const float *books)
{
    const rg_track_config *c = &tracks->config;
    const rg_track_role *r = &c->roles[role];
    float *m = values_of(params, "shared.%s.mean", r->name);
    float *d = values_of(params, "shared.%s.deviation", r->name);
    memcpy(m, mean, (size_t)r->dim * sizeof *m);
    memcpy(d, deviation, (size_t)r->dim * sizeof *d);
    float *table = values_of(params, "track.%s.decoder.tokens", r->name);
    if (!table || !books) return;
    const float *project = values_of(params, "shared.%s.project", r->name);
    for (int64_t k = 0; k < r->books; k++)
        project_book(table + k * r->entries * c->width, books + k * r->entries * r->dim, deviation,
                     project, c, r);
}

/* ---- teacher forcing ------------------------------------------------------------------------- */

static rg_status check_batch(rg_exec *ex, const rg_tracks *tracks, const rg_track_batch *batch)
{
    const rg_track_config *c = &tracks->config;
    if (batch->frames < c->patch || batch->frames % c->patch)
        return rg_exec_fail(ex, RG_ERR_SHAPE, "window of %d frames is no multiple of the patch %d",
                            batch->frames, c->patch);
    if (batch->target < 0 || batch->target >= c->n_roles)
        return rg_exec_fail(ex, RG_ERR_MISMATCH, "role %d has no model here", batch->target);
    int64_t cells = (int64_t)batch->items * batch->frames;
    for (int64_t i = 0; i < cells; i++)
        if (batch->cells[i] && batch->state[batch->target][i] != RG_CELL_UNKNOWN)
            return rg_exec_fail(ex, RG_ERR_MISMATCH,
                                "frame %d of window %d is to be predicted and yet not unknown",
                                (int)(i % batch->frames), (int)(i / batch->frames));
    return RG_OK;
}

/* Own frames whose codes may be inputs of later steps: known ones and targets. */
static uint8_t *seen_frames(rg_exec *ex, const rg_track_batch *batch)
{
    int64_t cells = (int64_t)batch->items * batch->frames;
    uint8_t *seen = rg_arena_alloc(ex->step, (size_t)cells);
    if (!seen) rg_exec_fail(ex, RG_ERR_NOMEM, "step arena is full; use a smaller batch");
    for (int64_t i = 0; seen && i < cells; i++)
        seen[i] = batch->cells[i] || batch->state[batch->target][i] == RG_CELL_KNOWN;
    return seen;
}

static rg_tensor *targets_of(rg_exec *ex, const rg_track_batch *batch, int32_t books, int32_t q)
{
    int64_t steps = batch->frames + books - 1, frames = batch->frames;
    rg_tensor *targets = rg_tensor_new(ex, RG_I32, RG_SHAPE(batch->items, steps));
    int32_t *out = rg_tensor_fill(ex, targets);
    for (int64_t b = 0; out && b < batch->items; b++)
        for (int64_t s = 0; s < steps; s++) {
            int64_t t = s - q;
            bool wanted = t >= 0 && t < frames && batch->cells[b * frames + t];
            out[b * steps + s] =
                wanted ? batch->codes[batch->target][(b * frames + t) * books + q] : -1;
        }
    return rg_tensor_filled(ex, targets, out);
}

rg_status rg_track_loss(rg_exec *ex, rg_tracks *tracks, const rg_track_batch *batch,
                        rg_track_out *out)
{
    memset(out, 0, sizeof *out);
    RG_TRY(rg_exec_status(ex));
    RG_TRY(check_batch(ex, tracks, batch));
    const track_net *net = &tracks->net[batch->target];
    int32_t books = tracks->config.roles[batch->target].books;
    track_reading reading;
    RG_TRY(track_reading_make(ex, tracks, batch, &reading));
    const uint8_t *seen = seen_frames(ex, batch);
    if (!seen) return rg_exec_status(ex);
    rg_tensor *x = track_decoder_tokens(ex, tracks, batch->target, batch->codes[batch->target],
                                        seen, batch->items, batch->frames, 0, reading.steps);
    x = rg_add(ex, reading.base, x, 1, 1);
    x = track_decoder_run(ex, tracks, batch->target, x, &reading, NULL, 0);
    for (int32_t q = 0; q < books; q++) {
        out->logits[q] = rg_linear(ex, x, net->head[q], NULL, RG_ACT_NONE);
        rg_tensor *loss =
            rg_softmax_ce(ex, out->logits[q], targets_of(ex, batch, books, q), NULL, &out->nll[q]);
        out->loss =
            q == 0 ? rg_scale(ex, loss, 1.0 / books) : rg_add(ex, out->loss, loss, 1, 1.0 / books);
    }
    return rg_exec_status(ex);
}

static void sum_cells(const rg_track_batch *batch, const rg_track_out *out, int32_t books,
                      double *nats, int64_t *frames)
{
    int64_t steps = batch->frames + books - 1;
    for (int64_t b = 0; b < batch->items; b++) {
        frames[b] = 0;
        for (int64_t t = 0; t < batch->frames; t++)
            frames[b] += batch->cells[b * batch->frames + t];
        for (int32_t q = 0; q < books; q++) {
            double sum = 0;
            for (int64_t s = 0; s < steps; s++) sum += rg_tensor_get(out->nll[q], b * steps + s);
            nats[b * books + q] = sum;
        }
    }
}

rg_status rg_track_measure(rg_exec *ex, rg_tracks *tracks, const rg_track_batch *batch,
                           double *nats, int64_t *frames)
{
    bool recording = rg_set_recording(ex, false);
    rg_mark mark = rg_tape_mark(ex);
    rg_track_out out;
    rg_status status = rg_track_loss(ex, tracks, batch, &out);
    if (status == RG_OK)
        sum_cells(batch, &out, tracks->config.roles[batch->target].books, nats, frames);
    rg_tape_rewind(ex, mark);
    rg_set_recording(ex, recording);
    return status;
}
