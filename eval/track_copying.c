/*
 * Is it made or remembered? Copies of training tokens, repetition, silence and diversity of takes,
 * beside the same of held-out songs.
 *
 * One idea: held-out songs share short runs with training too, and they repeat and pause as well;
 * only what goes beyond them is a fault. Takes and real windows are equally long.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/metrics/copying.h"
#include "eval/track_internal.h"

enum { PER_SONG = 3, MOST = 60 };
enum metric { COPIED, COPIED_FIRST, REPEATS, LOOP, SILENT, DIFFERS, METRICS };

static const struct shown {
    const char *id, *title, *unit;
    rg_direction direction;
    int32_t decimals;
} shown[METRICS] = {
    [COPIED] = {"copied", "Longest copy", "frames", RG_NO_DIRECTION, 1},
    [COPIED_FIRST] = {"copied_first", "First codebook", "tokens", RG_NO_DIRECTION, 1},
    [REPEATS] = {"repeats", "Repeats the last", "% of frames", RG_NO_DIRECTION, 1},
    [LOOP] = {"loop", "Best loop", "% of frames", RG_NO_DIRECTION, 1},
    [SILENT] = {"silent", "Silent blocks", "% of time", RG_NO_DIRECTION, 1},
    [DIFFERS] = {"differs", "Differs", "% of tokens", RG_NO_DIRECTION, 1},
};

/* Windows of one role: codes (n, frames, books), and which seed or song each is of. */
typedef struct windows {
    int32_t n, units, unit[MOST];
    int32_t *codes;
    double silent[MOST];
} windows;

typedef struct copying {
    track_evaluation *t;
    const control_takes *takes;
    int32_t role, books;
    int64_t frames;
    rg_copy_index *all, *first;
} copying;

/* ---- windows ---- */

static rg_status windows_make(const copying *c, windows *w, rg_error *err)
{
    *w = (windows){0};
    w->codes = malloc((size_t)(MOST * c->frames * c->books) * sizeof *w->codes);
    return w->codes ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for windows of tokens");
}

static void take_made(const copying *c, windows *w)
{
    const pieces *set = &c->takes->pieces;
    size_t n = (size_t)(c->frames * c->books);
    w->n = (int32_t)rg__least(set->n, MOST);
    w->units = CONTROL_SEEDS;
    for (int32_t i = 0; i < w->n; i++) {
        w->unit[i] = i / CONTROL_REQUESTS;
        memcpy(w->codes + (size_t)i * n, c->takes->rows->codes[c->role] + (size_t)i * n,
               n * sizeof *w->codes);
        w->silent[i] = 100 * rg_audio_levels(&set->all[i].stems[c->role]).silent_share;
    }
}

/* A place in a song, whether or not the role plays there. */
static rg_status take_place(const copying *c, const track_place *p, windows *w, rg_error *err)
{
    const rg_token_song *song = rg_tokens_song(c->t->tokens, p->song);
    int32_t *out = w->codes + w->n * c->frames * c->books;
    rg_audio a = {0};
    for (int64_t k = 0; k < c->frames * c->books; k++)
        out[k] = song->codes[c->role][p->first * c->books + k];
    rg_status status = rg__place_audio(c->t, p, c->role,
                                       (double)c->frames / c->t->bundle.config.frame_rate, &a, err);
    if (status == RG_OK) w->silent[w->n] = 100 * rg_audio_levels(&a).silent_share;
    w->unit[w->n++] = p->unit;
    rg_audio_free(&a);
    return status;
}

static rg_status take_real(const copying *c, windows *w, rg_error *err)
{
    for (int64_t s = 0; s < rg_tokens_songs(c->t->tokens); s++) {
        int64_t room = rg_tokens_song(c->t->tokens, s)->frames - c->frames;
        if (room < 0 || !rg_track_data_has(c->t->data, s, c->role, c->t->e->options.split))
            continue;
        for (int k = 0; k < PER_SONG && w->n < MOST; k++) {
            track_place p = {s, (int64_t)((k + 0.5) / PER_SONG * (double)room), w->units};
            RG_TRY(take_place(c, &p, w, err));
        }
        w->units++;
    }
    return RG_OK;
}

/* ---- the index of training songs ---- */

/* One song into both indices; room (frames * books). */
static rg_status add_song(copying *c, const uint16_t *codes, int64_t frames, int32_t *room,
                          rg_error *err)
{
    for (int64_t k = 0; k < frames * c->books; k++) room[k] = codes[k];
    RG_TRY(rg_copy_index_add(c->all, room, frames, err));
    for (int64_t f = 0; f < frames; f++) room[f] = codes[f * c->books];
    return rg_copy_index_add(c->first, room, frames, err);
}

static rg_status index_training(copying *c, rg_error *err)
{
    const rg_tokens *tokens = c->t->tokens;
    c->all = rg_copy_index_create(c->books, err);
    c->first = rg_copy_index_create(1, err);
    if (!c->all || !c->first) return err->code;
    for (int64_t s = 0; s < rg_tokens_songs(tokens); s++) {
        const rg_token_song *song = rg_tokens_song(tokens, s);
        if (!rg_track_data_has(c->t->data, s, c->role, RG_SPLIT_TRAIN)) continue;
        int32_t *room = malloc((size_t)(song->frames * c->books) * sizeof *room);
        rg_status status = room ? add_song(c, song->codes[c->role], song->frames, room, err)
                                : rg_fail(err, RG_ERR_NOMEM, "no memory for an index of tokens");
        free(room);
        RG_TRY(status);
    }
    return RG_OK;
}

static rg_status copied(const copying *c, const int32_t *codes, double out[2], rg_error *err)
{
    int64_t longest[2];
    int32_t *first = malloc((size_t)c->frames * sizeof *first);
    if (!first) return rg_fail(err, RG_ERR_NOMEM, "no memory for a search of tokens");
    for (int64_t f = 0; f < c->frames; f++) first[f] = codes[f * c->books];
    rg_status status = rg_copy_longest(c->all, codes, c->frames, &longest[0], err);
    if (status == RG_OK) status = rg_copy_longest(c->first, first, c->frames, &longest[1], err);
    for (int k = 0; status == RG_OK && k < 2; k++) out[k] = (double)longest[k];
    free(first);
    return status;
}

/* ---- the table ---- */

/* Mean distance to the windows of other seeds (of the same request) or of other songs. */
static double differs(const copying *c, const windows *w, int32_t i, bool made)
{
    int64_t size = c->frames * c->books;
    double sum = 0, n = 0;
    for (int32_t j = 0; j < w->n; j++) {
        if (w->unit[j] == w->unit[i]) continue;
        if (made && j % CONTROL_REQUESTS != i % CONTROL_REQUESTS) continue;
        sum += rg_token_distance(w->codes + i * size, w->codes + j * size, c->frames, c->books);
        n++;
    }
    return n > 0 ? 100 * sum / n : NAN;
}

static rg_status measure(const copying *c, const windows *w, int32_t i, bool made,
                         double out[METRICS], rg_error *err)
{
    const int32_t *codes = w->codes + i * c->frames * c->books;
    int64_t half = (int64_t)(c->t->bundle.config.frame_rate / 2);
    double longest[2] = {0, 0};
    RG_TRY(copied(c, codes, longest, err));
    out[COPIED] = longest[0];
    out[COPIED_FIRST] = longest[1];
    out[REPEATS] = 100 * rg_token_repeats(codes, c->frames, c->books);
    out[LOOP] = 100 * rg_token_loop(codes, c->frames, c->books, half, c->frames / 2);
    out[SILENT] = w->silent[i];
    out[DIFFERS] = differs(c, w, i, made);
    return RG_OK;
}

/* Longest copies of each unit are its windows' longest one; all else are means. */
static rg_status add_row(const copying *c, rg_table *table, const windows *w, bool made,
                         rg_error *err)
{
    double v[METRICS][MOST] = {{0}}, n[MOST] = {0};
    for (int32_t i = 0; i < w->n; i++) {
        double one[METRICS];
        int32_t u = w->unit[i];
        RG_TRY(measure(c, w, i, made, one, err));
        for (int m = 0; m < METRICS; m++)
            v[m][u] = m <= COPIED_FIRST ? fmax(v[m][u], one[m]) : v[m][u] + one[m];
        n[u]++;
    }
    int32_t row = rg_table_row(table, made ? RG_ROW_OURS : RG_ROW_CEILING, "%s, %s",
                               c->t->bundle.config.roles[c->role].name, made ? "made" : "real");
    for (int m = 0; m < METRICS; m++) {
        for (int32_t u = 0; u < w->units && m > COPIED_FIRST; u++) v[m][u] /= n[u];
        rg_table_interval(table, row, m, rg_bootstrap(v[m], w->units, c->t->e->options.seed));
    }
    return RG_OK;
}

static rg_status do_role(copying *c, rg_table *table, rg_error *err)
{
    windows made = {0}, real = {0};
    c->books = c->t->bundle.config.roles[c->role].books;
    rg_status status = index_training(c, err);
    if (status == RG_OK) status = windows_make(c, &made, err);
    if (status == RG_OK) status = windows_make(c, &real, err);
    if (status == RG_OK) {
        take_made(c, &made);
        status = take_real(c, &real, err);
    }
    if (status == RG_OK) status = add_row(c, table, &made, true, err);
    if (status == RG_OK && real.n > 0) status = add_row(c, table, &real, false, err);
    free(made.codes);
    free(real.codes);
    rg_copy_index_free(c->all);
    rg_copy_index_free(c->first);
    c->all = c->first = NULL;
    return status;
}

rg_status rg__copying_section(track_evaluation *t, const control_takes *takes, rg_error *err)
{
    char caption[700];
    copying c = {.t = t, .takes = takes};
    if (takes->pieces.n == 0) return RG_OK;
    c.frames = takes->rows->frames;
    rg_report_section(t->e->report, "copying", "Made or remembered?");
    rg_format(caption, sizeof caption,
              "%d takes beside windows of held-out songs, %.1f s each. Longest copy: the longest "
              "run of a seed's (a song's) frames that stands in a training song, held frames "
              "counted once. Best loop: the lag of half a second or more at which most tokens "
              "recur. Differs: tokens between seeds of one request, or between songs. Suspicious "
              "is only what lies far from the real row; a few frames more or less say nothing.",
              (int)takes->pieces.n, (double)c.frames / t->bundle.config.frame_rate);
    rg_table *table = rg_report_table(t->e->report, "copying", caption);
    for (int m = 0; m < METRICS; m++)
        rg_table_column(table, shown[m].id, shown[m].title, shown[m].unit, shown[m].direction,
                        shown[m].decimals);
    rg_status status = RG_OK;
    for (c.role = 0; c.role < t->bundle.config.n_roles && status == RG_OK; c.role++) {
        status = rg__eval_check_stop(t->e, err);
        if (status == RG_OK) status = do_role(&c, table, err);
    }
    return status;
}
