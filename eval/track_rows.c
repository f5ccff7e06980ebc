/*
 * Many takes of one window at once.
 *
 * One idea: tests of what a model listens to need many takes and no files. Windows become rows of
 * one fill, so a hundred takes of five seconds cost little more than a few; guidance, sampling and
 * random numbers are those of `generate` (generate/sampling.h).
 */
#include <stdlib.h>
#include <string.h>

#include "eval/track_internal.h"
#include "generate/sampling.h"

/* Rows of one fill, guidance included: bounds the memory of its caches. */
enum { MOST_ROWS = 60 };

/* Items first .. first+n-1 of `rows`; row v * n + i is variant v of item first + i. */
typedef struct chunk {
    track_evaluation *t;
    rg_track_batch *rows, *work;
    const uint64_t *seeds;
    int32_t role, first, n, variants;
    int32_t without_conditions, without_context; /* the variants; 0 when they are the full row */
    rg_track_fill *fill;
    float *logits, *guided;
} chunk;

static bool any_condition(const rg_track_config *config, const rg_track_batch *rows)
{
    int64_t n = (int64_t)rows->items * config->n_fields,
            beats = (int64_t)rows->items * rows->frames * RG_BEAT_FEATURES;
    for (int64_t i = 0; i < n; i++)
        if (rows->conditions[i] >= 0) return true;
    for (int64_t i = 0; i < beats; i++)
        if (rows->beat[i] != 0) return true;
    return false;
}

static bool any_context(const rg_track_config *config, const rg_track_batch *rows, int32_t role)
{
    int64_t n = (int64_t)rows->items * rows->frames;
    for (int32_t r = 0; r < config->n_roles; r++)
        if (r != role && memchr(rows->state[r], RG_CELL_KNOWN, (size_t)n)) return true;
    return false;
}

static void choose_variants(chunk *c)
{
    const rg_track_config *config = &c->t->bundle.config;
    c->variants = 1;
    if (any_condition(config, c->rows)) c->without_conditions = c->variants++;
    c->without_context = c->without_conditions;
    if (any_context(config, c->rows, c->role)) c->without_context = c->variants++;
}

static void write_work(chunk *c)
{
    const rg_track_config *config = &c->t->bundle.config;
    rg_track_batch_clear(config, c->work);
    c->work->items = c->n * c->variants;
    c->work->target = c->role;
    for (int32_t v = 0; v < c->variants; v++)
        for (int32_t i = 0; i < c->n; i++) {
            int32_t row = v * c->n + i;
            rg_track_batch_copy(config, c->work, row, c->rows, c->first + i);
            if (v > 0 && c->without_conditions > 0) rg_track_drop_conditions(config, c->work, row);
            if (v > 0 && v == c->without_context && v != c->without_conditions)
                rg_track_drop_context(config, c->work, row);
        }
    memset(c->work->cells, 1, (size_t)c->work->items * (size_t)c->work->frames);
}

static void choose(chunk *c, const int32_t frame[RG_TRACK_BOOKS], int32_t *codes)
{
    const rg_track_role *role = &c->t->bundle.config.roles[c->role];
    int64_t size = (int64_t)role->books * role->entries;
    rg_sampling sampling = rg_sampling_defaults();
    for (int32_t i = 0; i < c->n; i++) {
        rg_guide(c->logits + i * size, c->logits + (c->without_conditions * c->n + i) * size,
                 c->logits + (c->without_context * c->n + i) * size, size, &sampling, c->guided);
        for (int32_t q = 0; q < role->books; q++) {
            int32_t code = -1;
            if (frame[q] >= 0)
                code = rg_sample_token(
                    c->guided + (int64_t)q * role->entries, role->entries, &sampling,
                    rg_cell_uniform(c->seeds[c->first + i], role->name, frame[q], q));
            for (int32_t v = 0; v < c->variants; v++)
                codes[(v * c->n + i) * role->books + q] = code;
        }
    }
}

static rg_status decode_steps(chunk *c, rg_error *err)
{
    rg_exec *ex = c->t->e->ex;
    int32_t frame[RG_TRACK_BOOKS], codes[MOST_ROWS * RG_TRACK_BOOKS];
    rg_step_begin(ex, 0);
    rg_status status = rg_track_fill_begin(c->fill, c->work, 0, c->work->frames);
    while (status == RG_OK && rg_track_fill_next(c->fill, c->logits, frame)) {
        choose(c, frame, codes);
        rg_track_fill_put(c->fill, codes);
    }
    status = rg_exec_status(ex);
    return status == RG_OK ? RG_OK : rg_fail(err, status, "%s", ex->error.text);
}

static rg_status keep_codes(chunk *c, rg_error *err)
{
    const rg_track_role *role = &c->t->bundle.config.roles[c->role];
    int64_t frames = c->rows->frames, at = c->first * frames, n = c->n * frames;
    memcpy(c->rows->codes[c->role] + at * role->books, rg_track_fill_codes(c->fill),
           (size_t)(n * role->books) * sizeof(int32_t));
    memset(c->rows->state[c->role] + at, RG_CELL_KNOWN, (size_t)n);
    rg_status status = rg_codec_dequantize(&c->t->bundle.codecs[c->role],
                                           c->rows->codes[c->role] + at * role->books, n,
                                           c->rows->latents[c->role] + at * role->dim);
    return status == RG_OK ? RG_OK
                           : rg_fail(err, status, "role %s: a code is out of range", role->name);
}

static rg_status make_room(chunk *c, int32_t at_once, rg_error *err)
{
    const rg_track_config *config = &c->t->bundle.config;
    const rg_track_role *role = &config->roles[c->role];
    size_t size = (size_t)role->books * (size_t)role->entries;
    int32_t most = at_once * c->variants;
    c->work = rg_track_batch_create(config, most, c->rows->frames, err);
    c->fill = c->work ? rg_track_fill_create(c->t->e->ex, c->t->bundle.tracks, c->role, most,
                                             c->rows->frames, err)
                      : NULL;
    c->logits = malloc((size_t)most * size * sizeof *c->logits);
    c->guided = malloc(size * sizeof *c->guided);
    if (c->fill && c->logits && c->guided) return RG_OK;
    return rg_fail(err, RG_ERR_NOMEM, "no memory for %d takes", most);
}

rg_status rg__rows_fill(track_evaluation *t, rg_track_batch *rows, int32_t role,
                        const uint64_t *seeds, rg_error *err)
{
    chunk c = {.t = t, .rows = rows, .seeds = seeds, .role = role};
    choose_variants(&c);
    int32_t most = MOST_ROWS / c.variants, rounds = (rows->items + most - 1) / most,
            at_once = (rows->items + rounds - 1) / rounds;
    rg_status status = make_room(&c, at_once, err);
    for (c.first = 0; c.first < rows->items && status == RG_OK; c.first += at_once) {
        c.n = rows->items - c.first < at_once ? rows->items - c.first : at_once;
        status = rg__eval_check_stop(t->e, err);
        if (status != RG_OK) break;
        write_work(&c);
        status = decode_steps(&c, err);
        if (status == RG_OK) status = keep_codes(&c, err);
    }
    rg_track_fill_destroy(c.fill);
    rg_track_batch_free(c.work);
    free(c.logits);
    free(c.guided);
    return status;
}

rg_status rg__rows_decode(track_evaluation *t, const rg_track_batch *rows, int32_t item,
                          int32_t role, rg_audio *out, rg_error *err)
{
    rg_codec *codec = &t->bundle.codecs[role];
    int64_t frames = rows->frames;
    RG_TRY(rg_audio_make(out, frames * rg_encodec_hop(&codec->config), 1, codec->config.sample_rate,
                         err));
    rg_step_begin(t->e->codecs, 0);
    rg_status status = rg_codec_decode_audio(
        t->e->codecs, codec, rows->codes[role] + item * frames * codec->config.codebooks, frames,
        out->samples, out->frames);
    if (status == RG_OK) return RG_OK;
    return rg_fail(err, status, "codec %s: %s", codec->role, t->e->codecs->error.text);
}
