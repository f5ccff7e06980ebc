/*
 * Spans made anew in every track of generated pieces: how they join, and how much is new.
 *
 * One idea: one call of `generate` remakes a different span of every role, so each piece gives two
 * seams per role. A seam is judged by the stem's own steps, its floor is a hard cut to another
 * place of the same stem.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/metrics/copying.h"
#include "eval/metrics/seam.h"
#include "eval/track_internal.h"
#include "generate/session.h"

enum { MOST_PIECES = 4, SHOWN_ROLES = 2 };
enum metric { SEAM_ABOVE, SEAM_STEP, CUT_ABOVE, CUT_STEP, CHANGED, UNRELATED, OUTSIDE, METRICS };

static const struct shown {
    const char *id, *title, *unit;
    rg_direction direction;
    int32_t decimals;
} shown[METRICS] = {
    [SEAM_ABOVE] = {"above", "Seams above", "% of seams", RG_LOWER_BETTER, 0},
    [SEAM_STEP] = {"step", "Seam step", "× 99th perc.", RG_LOWER_BETTER, 2},
    [CUT_ABOVE] = {"cut_above", "Hard cuts above", "% of seams", RG_NO_DIRECTION, 0},
    [CUT_STEP] = {"cut_step", "Hard cut step", "× 99th perc.", RG_NO_DIRECTION, 2},
    [CHANGED] = {"changed", "New tokens", "% of span", RG_NO_DIRECTION, 1},
    [UNRELATED] = {"unrelated", "Unrelated takes", "% of span", RG_NO_DIRECTION, 1},
    [OUTSIDE] = {"outside", "Changed outside", "samples", RG_LOWER_BETTER, 0},
};

typedef struct seams {
    track_evaluation *t;
    int64_t n;                                         /* pieces */
    double *values;                                    /* (roles, METRICS, n) */
    rg_scene old[MOST_PIECES];                         /* before */
    double start[RG_TRACK_ROLES], end[RG_TRACK_ROLES]; /* seconds */
} seams;

static double *value(const seams *s, int32_t role, enum metric m, int64_t i)
{
    return &s->values[(role * METRICS + (int)m) * s->n + i];
}

static void place_spans(seams *s)
{
    double seconds = s->t->e->options.sample_seconds;
    for (int32_t r = 0; r < s->t->bundle.config.n_roles; r++) { /* staggered, ends on the frame */
        double shift = 0.3 * r / s->t->bundle.config.n_roles;
        s->start[r] = round((0.2 + shift) * seconds * 50) / 50;
        s->end[r] = round((0.45 + shift) * seconds * 50) / 50;
    }
}

static rg_status remake(seams *s, int64_t i, const char *folder, rg_error *err)
{
    char before[RG_EVAL_PATH], text[RG_TRACK_ROLES][64];
    const char *spans[RG_TRACK_ROLES];
    int32_t n = s->t->bundle.config.n_roles;
    rg_generate_result result;
    RG_TRY(rg__scene_path(s->t, i, "", before, err));
    for (int32_t r = 0; r < n; r++) {
        rg_format(text[r], sizeof text[r], "%s@%.2f-%.2f", s->t->bundle.config.roles[r].name,
                  s->start[r], s->end[r]);
        spans[r] = text[r];
    }
    rg_generate_options options = {.bundle_folder = s->t->bundle_folder,
                                   .out_folder = folder,
                                   .from_folder = before,
                                   .regenerate = spans,
                                   .n_regenerate = (size_t)n,
                                   .rate = rg_store_rate(s->t->e->store)};
    return rg_generate(&options, s->t->e->ex, s->t->e->log, &result, err);
}

/* ---- one stem ---- */

/* Two seams of the new stem, and two hard cuts of the old one to half its length away. */
static void measure_seams(seams *s, int32_t r, int64_t i, const rg_audio *old, const rg_audio *new)
{
    double p99 = rg_step_quantile(old->samples, old->frames, 0.99), above[2] = {0}, step[2] = {0};
    const int64_t at[2] = {llround(s->start[r] * old->rate), llround(s->end[r] * old->rate)};
    if (!(p99 > 0) || at[1] >= new->frames) return;
    for (int k = 0; k < 2; k++) {
        double seam = rg_step_at(new->samples, new->frames, at[k]),
               cut = fabs((double)old->samples[(at[k] + old->frames / 2) % old->frames] -
                          old->samples[at[k] - 1]);
        above[0] += seam > p99 ? 50 : 0;
        above[1] += cut > p99 ? 50 : 0;
        step[0] += seam / p99 / 2;
        step[1] += cut / p99 / 2;
    }
    *value(s, r, SEAM_ABOVE, i) = above[0];
    *value(s, r, CUT_ABOVE, i) = above[1];
    *value(s, r, SEAM_STEP, i) = step[0];
    *value(s, r, CUT_STEP, i) = step[1];
}

static void count_outside(seams *s, int32_t r, int64_t i, const rg_audio *old, const rg_audio *new)
{
    int64_t from = llround(s->start[r] * old->rate), to = llround(s->end[r] * old->rate), n = 0;
    for (int64_t k = 0; k < old->frames && k < new->frames; k++)
        n += (k < from || k >= to) && old->samples[k] != new->samples[k];
    *value(s, r, OUTSIDE, i) = (double)n + fabs((double)(old->frames - new->frames));
}

static void compare_tokens(seams *s, int32_t r, int64_t i, const rg_scene *new)
{
    const rg_track_role *role = &s->t->bundle.config.roles[r];
    const rg_scene *old = &s->old[i], *other = &s->old[(i + 1) % s->n];
    int64_t from = (int64_t)ceil(s->start[r] * old->frame_rate),
            to = (int64_t)floor(s->end[r] * old->frame_rate);
    to = rg__least(to, rg__least(old->frames, rg__least(new->frames, other->frames)));
    if (to <= from || !old->roles[r].codes || !new->roles[r].codes) return;
    int64_t at = from * role->books, n = to - from;
    *value(s, r, CHANGED, i) =
        100 * rg_token_distance(old->roles[r].codes + at, new->roles[r].codes + at, n, role->books);
    if (s->n > 1 && other->roles[r].codes)
        *value(s, r, UNRELATED, i) =
            100 *
            rg_token_distance(old->roles[r].codes + at, other->roles[r].codes + at, n, role->books);
}

/* ---- to hear ---- */

static rg_status others_of(const seams *s, const piece *p, int32_t role, rg_audio *out,
                           rg_error *err)
{
    const rg_audio *like = &p->stems[role];
    RG_TRY(rg_audio_make(out, like->frames, 1, like->rate, err));
    for (int32_t r = 0; r < s->t->bundle.config.n_roles; r++) {
        if (r == role || p->stems[r].rate != like->rate || p->stems[r].channels != 1) continue;
        for (int64_t k = 0; k < rg__least(out->frames, p->stems[r].frames); k++)
            out->samples[k] += p->stems[r].samples[k];
    }
    double peak = rg_audio_levels(out).peak; /* as loud as it fits */
    for (int64_t k = 0; peak > 0.99 && k < out->frames; k++)
        out->samples[k] *= (float)(0.99 / peak);
    return RG_OK;
}

static rg_status show_players(const seams *s, const piece *old, const piece *new, rg_error *err)
{
    const rg_track_config *config = &s->t->bundle.config;
    for (int32_t r = 0; r < config->n_roles && r < SHOWN_ROLES; r++) {
        char title[96], note[200];
        rg_audio others = {0};
        if (old->stems[r].frames == 0 || new->stems[r].frames == 0) continue;
        RG_TRY(others_of(s, old, r, &others, err));
        const rg_player players[] = {{"old take", &old->stems[r]},
                                     {"new take", &new->stems[r]},
                                     {"other tracks, old", &others}};
        rg_format(title, sizeof title, "%s, before and after", config->roles[r].name);
        rg_format(note, sizeof note,
                  "Piece 1, made anew from %.2f to %.2f s; before and after that both takes are "
                  "the same samples",
                  s->start[r], s->end[r]);
        rg_report_players(s->t->e->report, title, note, players, 3);
        rg_audio_free(&others);
    }
    return RG_OK;
}

/* ---- all pieces ---- */

static rg_status compare_pieces(seams *s, int64_t i, const char *before, const char *after,
                                rg_error *err)
{
    piece old = {0}, new = {0};
    rg_scene scene = {0};
    rg_status status = rg__scene_piece(s->t, before, &old, err);
    if (status == RG_OK) status = rg__scene_piece(s->t, after, &new, err);
    if (status == RG_OK) status = rg_scene_read(&scene, after, &s->t->bundle, err);
    for (int32_t r = 0; r < s->t->bundle.config.n_roles && status == RG_OK; r++) {
        if (old.stems[r].frames == 0 || new.stems[r].frames == 0) continue;
        measure_seams(s, r, i, &old.stems[r], &new.stems[r]);
        count_outside(s, r, i, &old.stems[r], &new.stems[r]);
        compare_tokens(s, r, i, &scene);
    }
    if (status == RG_OK && i == 0) status = show_players(s, &old, &new, err);
    rg_scene_free(&scene);
    for (int32_t r = 0; r < RG_TRACK_ROLES; r++) {
        rg_audio_free(&old.stems[r]);
        rg_audio_free(&new.stems[r]);
    }
    return status;
}

static void add_row(const seams *s, rg_table *table, int32_t from, int32_t to, const char *name)
{
    int32_t row = rg_table_row(table, RG_ROW_OURS, "%s", name);
    for (int m = 0; m < METRICS; m++) {
        double mean[MOST_PIECES];
        for (int64_t i = 0; i < s->n; i++) {
            double sum = 0, n = 0;
            for (int32_t r = from; r < to; r++) {
                double v = *value(s, r, m, i);
                if (isfinite(v)) {
                    sum += v;
                    n++;
                }
            }
            mean[i] = n > 0 ? sum / n : NAN;
        }
        rg_table_interval(table, row, m, rg_bootstrap(mean, s->n, s->t->e->options.seed));
    }
}

static void show_table(const seams *s)
{
    const rg_track_config *config = &s->t->bundle.config;
    rg_table *table = rg_report_table(
        s->t->e->report, "seams",
        "A span of every track made anew in each generated piece. Seams: the step between the last "
        "kept and the first new sample (and back), against the stem's own 99th percentile of "
        "steps; of ordinary places 1 % lie above. Hard cuts, to another place of the stem, are the "
        "floor. New tokens: how much differs from the old take in the span; unrelated takes are "
        "other pieces. Intervals over few pieces say little.");
    for (int m = 0; m < METRICS; m++)
        rg_table_column(table, shown[m].id, shown[m].title, shown[m].unit, shown[m].direction,
                        shown[m].decimals);
    for (int32_t r = 0; r < config->n_roles; r++)
        add_row(s, table, r, r + 1, config->roles[r].name);
    add_row(s, table, 0, config->n_roles, "all tracks");
    double outside = 0;
    for (int32_t r = 0; r < config->n_roles; r++)
        for (int64_t i = 0; i < s->n; i++)
            if (isfinite(*value(s, r, OUTSIDE, i))) outside += *value(s, r, OUTSIDE, i);
    rg_report_verdict(s->t->e->report, outside > 0 ? RG_BAD : RG_GOOD,
                      outside > 0
                          ? "%.0f samples outside of regenerated spans have changed."
                          : "No sample outside of the regenerated spans has changed (%.0f).",
                      outside);
}

static rg_status run(seams *s, rg_error *err)
{
    for (int64_t i = 0; i < s->n; i++) {
        char before[RG_EVAL_PATH];
        RG_TRY(rg__scene_path(s->t, i, "", before, err));
        RG_TRY(rg_scene_read(&s->old[i], before, &s->t->bundle, err));
    }
    for (int64_t i = 0; i < s->n; i++) {
        char before[RG_EVAL_PATH], after[RG_EVAL_PATH];
        RG_TRY(rg__eval_check_stop(s->t->e, err));
        RG_TRY(rg__scene_path(s->t, i, "", before, err));
        RG_TRY(rg__scene_path(s->t, i, "-spans", after, err));
        RG_TRY(remake(s, i, after, err));
        RG_TRY(compare_pieces(s, i, before, after, err));
    }
    show_table(s);
    return RG_OK;
}

rg_status rg__seam_section(track_evaluation *t, int64_t pieces_made, rg_error *err)
{
    seams *s = calloc(1, sizeof *s);
    if (!s) return rg_fail(err, RG_ERR_NOMEM, "no memory for seams");
    s->t = t;
    s->n = rg__least(pieces_made, MOST_PIECES);
    size_t n = (size_t)(t->bundle.config.n_roles * METRICS) * (size_t)s->n;
    s->values = malloc((n + 1) * sizeof *s->values);
    rg_status status = s->values ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for seams");
    for (size_t k = 0; s->values && k < n; k++) s->values[k] = NAN;
    place_spans(s);
    if (status == RG_OK) status = run(s, err);
    for (int k = 0; k < MOST_PIECES; k++) rg_scene_free(&s->old[k]);
    free(s->values);
    free(s);
    return status;
}
