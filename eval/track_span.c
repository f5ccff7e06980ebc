/*
 * Does the end of a regenerated span know where it has to arrive?
 *
 * One idea: the same span of the same song is scored twice, with and without the own track after
 * it; its last half second is where a join is made or missed.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/track_internal.h"

enum { WITH, WITHOUT, ITEMS, PER_SONG = 2, MOST = 24 };
static const double end_seconds = 0.5;

typedef struct span {
    track_evaluation *t;
    rg_track_batch *batch; /* ITEMS */
    int32_t role, a, b, tail;
    rg_table *table;
    judgement judgement;
} span;

/* Other roles and the own past are known; the own future in the first item only. */
static rg_status show_window(span *s, const track_place *p, rg_error *err)
{
    const rg_track_config *config = &s->t->bundle.config;
    const rg_token_song *song = rg_tokens_song(s->t->tokens, p->song);
    rg_track_batch *b = s->batch;
    rg_track_batch_clear(config, b);
    b->target = s->role;
    rg_track_data_fill(s->t->data, p->song, p->first, b, WITH);
    for (int32_t r = 0; r < config->n_roles; r++)
        memset(b->state[r], song->codes[r] ? RG_CELL_KNOWN : RG_CELL_ABSENT, (size_t)b->frames);
    memset(b->state[s->role] + s->a, RG_CELL_UNKNOWN, (size_t)(s->b - s->a));
    memset(b->cells + s->a, 1, (size_t)(s->b - s->a));
    RG_TRY(rg_track_data_latents(s->t->data, b, WITH, err));
    rg_track_batch_copy(config, b, WITHOUT, b, WITH);
    memset(b->state[s->role] + b->frames + s->b, RG_CELL_UNKNOWN, (size_t)(b->frames - s->b));
    return RG_OK;
}

/* Bits per token of the span's end in both items. */
static rg_status score(span *s, double bits[ITEMS], rg_error *err)
{
    const rg_track_role *role = &s->t->bundle.config.roles[s->role];
    int64_t steps = s->batch->frames + role->books - 1;
    rg_track_out out;
    rg_step_begin(s->t->e->ex, 0);
    rg_status status = rg_track_loss(s->t->e->ex, s->t->bundle.tracks, s->batch, &out);
    if (status != RG_OK) return rg_fail(err, status, "%s", s->t->e->ex->error.text);
    for (int k = 0; k < ITEMS; k++) {
        double sum = 0;
        for (int32_t q = 0; q < role->books; q++)
            for (int64_t f = s->b - s->tail; f < s->b; f++)
                sum += rg_tensor_get(out.nll[q], k * steps + f + q) / M_LN2;
        bits[k] = sum / ((double)role->books * s->tail);
    }
    return RG_OK;
}

static void add_row(span *s, const double *sums, const double *counts, int32_t units)
{
    double v[ITEMS][MOST];
    const char *role = s->t->bundle.config.roles[s->role].name;
    uint64_t seed = s->t->e->options.seed;
    for (int k = 0; k < ITEMS; k++)
        for (int32_t u = 0; u < units; u++) v[k][u] = sums[k * MOST + u] / counts[u];
    int32_t row = rg_table_row(s->table, RG_ROW_OURS, "%s", role);
    rg_interval gain = rg_bootstrap_paired(v[WITHOUT], v[WITH], units, seed);
    rg_table_interval(s->table, row, 0, rg_bootstrap(v[WITH], units, seed));
    rg_table_interval(s->table, row, 1, rg_bootstrap(v[WITHOUT], units, seed));
    rg_table_interval(s->table, row, 2, gain);
    rg__judge(&s->judgement, role, gain, "bit");
}

static rg_status do_role(span *s, rg_error *err)
{
    track_place places[MOST];
    double sums[ITEMS * MOST] = {0}, counts[MOST] = {0};
    int32_t units,
        n = rg__places_find(s->t, &s->role, 1, s->batch->frames, PER_SONG, MOST, places, &units);
    for (int32_t i = 0; i < n; i++) {
        double bits[ITEMS];
        RG_TRY(rg__eval_check_stop(s->t->e, err));
        RG_TRY(show_window(s, &places[i], err));
        RG_TRY(score(s, bits, err));
        for (int k = 0; k < ITEMS; k++) sums[k * MOST + places[i].unit] += bits[k];
        counts[places[i].unit]++;
    }
    if (n > 0) add_row(s, sums, counts, units);
    return RG_OK;
}

rg_status rg__span_bits(track_evaluation *t, rg_error *err)
{
    char caption[700];
    const rg_track_config *config = &t->bundle.config;
    span s = {.t = t, .a = config->frames / 4, .b = config->frames * 3 / 4};
    s.tail = (int32_t)fmin(s.b - s.a, ceil(end_seconds * config->frame_rate));
    s.batch = rg_track_batch_create(config, ITEMS, config->frames, err);
    if (!s.batch) return err->code;
    rg_report_section(t->e->report, "regeneration", "Selective regeneration");
    rg_format(caption, sizeof caption,
              "The last %.1f s of a span of %.1f s of held-out songs, all else known: bits per "
              "token with the own track after the span and without it. A gain above 0 means that "
              "the model steers towards what follows; it does not say that the join sounds good.",
              s.tail / config->frame_rate, (s.b - s.a) / config->frame_rate);
    s.table = rg_report_table(t->e->report, "right-context", caption);
    rg_table_column(s.table, "with", "With what follows", "bit/token", RG_LOWER_BETTER, 3);
    rg_table_column(s.table, "without", "Without", "bit/token", RG_NO_DIRECTION, 3);
    rg_table_column(s.table, "gain", "Gain", "bit/token", RG_HIGHER_BETTER, 3);
    rg_status status = RG_OK;
    for (s.role = 0; s.role < config->n_roles && status == RG_OK; s.role++)
        status = do_role(&s, err);
    if (status == RG_OK)
        rg__judge_say(t->e->report, &s.judgement, "Knowing what follows helps a span's end");
    rg_track_batch_free(s.batch);
    return status;
}
