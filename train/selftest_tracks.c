/*
 * Small tracks that learn and choose, for comparing devices (selftest.h).
 *
 * One idea: random codes, latents and conditions of a fixed stream, in which each role is known but
 * where it is the target; AdamW's eps is large, or the sign of a gradient that is nearly zero would
 * decide a whole step.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "engine/optimizer.h"
#include "models/track_beat.h"
#include "models/track_transformer.h"
#include "train/selftest.h"

enum { FRAMES = 40, EDGE = 4, ITEMS = 2, ROLES = 3, MOST_BOOKS = 3, MOST_ENTRIES = 8 };

typedef struct world {
    rg_track_config config;
    rg_exec *ex;
    rg_params *params;
    rg_tracks *tracks;
    rg_track_batch *batch;
} world;

static void set_config(rg_track_config *c)
{
    rg_track_config_init(c);
    c->width = 32;
    c->heads = 2;
    c->encoder_layers = 1;
    c->decoder_layers = 3;
    c->frames = FRAMES;
    c->same_reach = 2;
    c->near_reach = 1;
    c->n_roles = ROLES;
    for (int32_t r = 0; r < ROLES; r++) {
        rg_track_role *role = &c->roles[r];
        snprintf(role->name, sizeof role->name, "role%d", r);
        role->books = 1 + (r + 1) % MOST_BOOKS;
        role->entries = MOST_ENTRIES - 2 + r;
        role->dim = 3 + r;
    }
    c->n_fields = 1;
    snprintf(c->fields[0].name, RG_TRACK_NAME, "genre");
    c->fields[0].n_words = 2;
    snprintf(c->fields[0].words[0], RG_TRACK_NAME, "techno");
    snprintf(c->fields[0].words[1], RG_TRACK_NAME, "jazz");
}

static void fill_batch(const world *w, int32_t target)
{
    rg_rng rng = rg_rng_make(5, (uint64_t)target);
    rg_track_batch *b = w->batch;
    rg_track_batch_clear(&w->config, b);
    b->target = target;
    const int64_t cells = (int64_t)b->items * b->frames;
    for (int32_t r = 0; r < ROLES; r++) {
        const rg_track_role *role = &w->config.roles[r];
        for (int64_t i = 0; i < cells * role->books; i++)
            b->codes[r][i] = (int32_t)rg_rng_below(&rng, (uint64_t)role->entries);
        rg_rng_fill_normal(&rng, b->latents[r], cells * role->dim, 0, 1);
        memset(b->state[r], r == target ? RG_CELL_UNKNOWN : RG_CELL_KNOWN, (size_t)cells);
    }
    rg_rng_fill_normal(&rng, b->beat, cells * RG_BEAT_FEATURES, 0, 1);
    for (int64_t i = 0; i < cells; i++) b->activity[i] = (int32_t)(i % RG_ACTIVITY_LEVELS);
    for (int32_t i = 0; i < b->items; i++) {
        b->conditions[i] = i % 2;
        memset(b->cells + i * FRAMES + EDGE, 1, FRAMES - 2 * EDGE);
        memset(b->state[target] + i * FRAMES, RG_CELL_KNOWN, EDGE);
    }
}

static rg_status open_world(world *w, rg_exec *ex, rg_error *err)
{
    *w = (world){.ex = ex};
    set_config(&w->config);
    w->params = rg_params_create(err);
    w->tracks = w->params ? rg_tracks_create(w->params, &w->config, err) : NULL;
    w->batch = rg_track_batch_create(&w->config, ITEMS, FRAMES, err);
    if (!w->tracks || !w->batch) return err->code;
    RG_TRY(rg_params_finish(w->params, ex, 7, true, err));
    rg_rng rng = rg_rng_make(9, 2); /* opens the gates, so that every path carries signal */
    float *values = rg_params_values(w->params);
    for (int64_t i = 0; i < rg_params_elements(w->params); i++)
        values[i] += (float)(0.2 * rg_rng_normal(&rng));
    return rg_params_refresh(w->params, ex);
}

static void close_world(world *w)
{
    rg_track_batch_free(w->batch);
    rg_tracks_destroy(w->tracks);
    rg_params_destroy(w->params);
}

enum { MOST_SKIPPED = 16 }; /* updates, until the loss scale fits */

/* An update from all roles' gradients; *loss is their mean in bits. */
static rg_status update(world *w, rg_adamw *adamw, rg_scaler *scaler, int64_t step, double *loss)
{
    const float scale = (float)scaler->scale;
    rg_update done;
    int32_t n;
    *loss = 0;
    rg_params_zero_gradients(w->params);
    rg_step_begin(w->ex, (uint64_t)step);
    rg_set_recording(w->ex, true);
    for (int32_t r = 0; r < ROLES; r++) {
        rg_track_out out;
        rg_mark mark = rg_tape_mark(w->ex);
        fill_batch(w, r);
        RG_TRY(rg_track_loss(w->ex, w->tracks, w->batch, &out));
        *loss += rg_tensor_get(out.loss, 0) / log(2) / ROLES;
        rg_tensor *const *wrt = rg_params_trainable(w->params, &n);
        rg_tensor *seed = rg_tensor_from_floats(w->ex, RG_SHAPE(1), &scale);
        RG_TRY(rg_backward(w->ex, &out.loss, &seed, 1, wrt, n, NULL));
        rg_tape_rewind(w->ex, mark);
    }
    RG_TRY(rg_adamw_step(adamw, scaler, w->params, w->ex, 1e-2, 1, &done));
    if (!done.skipped || (scaler->enabled && scaler->skipped <= MOST_SKIPPED)) return RG_OK;
    return rg_exec_fail(w->ex, RG_ERR_NUMERIC, "a gradient is not finite");
}

/* The likeliest code of each book and item. */
static void choose(const rg_track_role *role, const float *logits, int32_t *codes)
{
    for (int32_t i = 0; i < ITEMS * role->books; i++) {
        codes[i] = 0;
        for (int32_t v = 1; v < role->entries; v++)
            if (logits[i * role->entries + v] > logits[i * role->entries + codes[i]]) codes[i] = v;
    }
}

/* Codes (ITEMS,FRAMES,K) of a role into `to`. */
static rg_status fill(world *w, int32_t r, int32_t *to, rg_error *err)
{
    const rg_track_role *role = &w->config.roles[r];
    float logits[ITEMS * MOST_BOOKS * MOST_ENTRIES];
    int32_t frame[RG_TRACK_BOOKS], codes[ITEMS * MOST_BOOKS];
    rg_track_fill *made = rg_track_fill_create(w->ex, w->tracks, r, ITEMS, FRAMES, err);
    if (!made) return err->code;
    rg_step_begin(w->ex, 1);
    fill_batch(w, r);
    rg_status status = rg_track_fill_begin(made, w->batch, EDGE, FRAMES - EDGE);
    while (status == RG_OK && rg_track_fill_next(made, logits, frame)) {
        choose(role, logits, codes);
        rg_track_fill_put(made, codes);
    }
    memcpy(to, rg_track_fill_codes(made), sizeof(int32_t) * ITEMS * FRAMES * (size_t)role->books);
    rg_track_fill_destroy(made);
    return rg_exec_status(w->ex);
}

static rg_status run(world *w, int32_t updates, rg_selftest_tracks *out, rg_error *err)
{
    rg_adamw adamw = {.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-3, .weight_decay = 0.01};
    rg_scaler scaler = rg_scaler_make(rg_exec_activations(w->ex) == RG_F16);
    for (int64_t i = 0; adamw.step < updates; i++)
        RG_TRY(update(w, &adamw, &scaler, i, &out->loss));
    RG_TRY(rg_params_fetch(w->params, err));
    out->n_values = rg_params_elements(w->params);
    for (int32_t r = 0; r < ROLES; r++) out->n_codes += ITEMS * FRAMES * w->config.roles[r].books;
    out->values = malloc((size_t)out->n_values * sizeof *out->values);
    out->codes = malloc((size_t)out->n_codes * sizeof *out->codes);
    if (!out->values || !out->codes) return rg_fail(err, RG_ERR_NOMEM, "no memory for results");
    memcpy(out->values, rg_params_values(w->params), (size_t)out->n_values * sizeof *out->values);
    int32_t *to = out->codes;
    for (int32_t r = 0; r < ROLES; r++) {
        RG_TRY(fill(w, r, to, err));
        to += ITEMS * FRAMES * w->config.roles[r].books;
    }
    return RG_OK;
}

rg_status rg_selftest_tracks_run(rg_exec *ex, int32_t updates, rg_selftest_tracks *out,
                                 rg_error *err)
{
    world w;
    *out = (rg_selftest_tracks){0};
    rg_status status = open_world(&w, ex, err);
    if (status == RG_OK) status = run(&w, updates, out, err);
    if (status != RG_OK && !err->code) rg_fail(err, status, "%s", ex->error.text);
    close_world(&w);
    return status;
}

void rg_selftest_tracks_free(rg_selftest_tracks *tracks)
{
    free(tracks->values);
    free(tracks->codes);
    *tracks = (rg_selftest_tracks){0};
}
