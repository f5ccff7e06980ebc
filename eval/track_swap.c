/*
 * The swap test: does the bass follow the drums that it was made against?
 *
 * One idea: with the same seed and no words, a bass made against drums A and one against drums B
 * are crossed with both drums. Beats alone buy synchrony, so a bass that was shown only the beat
 * grid stands beside.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/metrics/crossing.h"
#include "eval/track_internal.h"
#include "music/features/onset.h"

enum { PER_SONG = 2, MOST = 48 };
enum kind { SEEN, GRID, CODED, REAL, KINDS };

static const struct shown {
    const char *name;
    rg_row_kind kind;
} shown[KINDS] = {[SEEN] = {"generated, drums seen", RG_ROW_OURS},
                  [GRID] = {"generated, beat grid only", RG_ROW_FLOOR},
                  [CODED] = {"real, through the codec", RG_ROW_CEILING},
                  [REAL] = {"real", RG_ROW_CEILING}};

typedef struct swap {
    track_evaluation *t;
    int32_t drums, bass, n, units; /* places and songs */
    track_place places[MOST];
    int64_t frames;       /* of an envelope */
    float *drum_onsets;   /* (n, frames); the others lie behind it */
    float *onsets[KINDS]; /* (n, frames) */
} swap;

static rg_status envelope(const swap *s, const rg_audio *a, float *out, rg_error *err)
{
    int64_t n = rg_onset_frames(a->frames, a->rate);
    float *x = malloc((size_t)n * sizeof *x);
    rg_status status = x ? rg_onset_envelope(a->samples, a->frames, a->rate, x, err)
                         : rg_fail(err, RG_ERR_NOMEM, "no memory for onsets");
    memset(out, 0, (size_t)s->frames * sizeof *out);
    if (status == RG_OK) memcpy(out, x, (size_t)rg__least(n, s->frames) * sizeof *out);
    free(x);
    return status;
}

static rg_status real_envelope(const swap *s, int32_t i, int32_t role, float *out, rg_error *err)
{
    rg_audio a = {0};
    double seconds = s->t->bundle.config.frames / s->t->bundle.config.frame_rate;
    rg_status status = rg__place_audio(s->t, &s->places[i], role, seconds, &a, err);
    if (status == RG_OK) status = envelope(s, &a, out, err);
    rg_audio_free(&a);
    return status;
}

static rg_status decoded_envelopes(const swap *s, const rg_track_batch *rows, enum kind k,
                                   rg_error *err)
{
    for (int32_t i = 0; i < s->n; i++) {
        rg_audio a = {0};
        rg_status status = rg__rows_decode(s->t, rows, i, s->bass, &a, err);
        if (status == RG_OK) status = envelope(s, &a, s->onsets[k] + i * s->frames, err);
        rg_audio_free(&a);
        RG_TRY(status);
    }
    return RG_OK;
}

/* What a row shows: the drums and nothing else, or the beats and nothing else. */
static rg_status write_rows(const swap *s, rg_track_batch *rows, enum kind k, rg_error *err)
{
    const rg_track_config *config = &s->t->bundle.config;
    rg_track_batch_clear(config, rows);
    rows->target = s->bass;
    for (int32_t i = 0; i < s->n; i++) {
        int64_t at = (int64_t)i * rows->frames;
        rg_track_data_fill(s->t->data, s->places[i].song, s->places[i].first, rows, i);
        memset(rows->activity + at, 0xff, (size_t)rows->frames * sizeof(int32_t));
        memset(rows->conditions + (int64_t)i * config->n_fields, 0xff,
               (size_t)config->n_fields * sizeof(int32_t));
        if (k == GRID) continue;
        rg_track_drop_conditions(config, rows, i);
        memset(rows->state[s->drums] + at, RG_CELL_KNOWN, (size_t)rows->frames);
        RG_TRY(rg_track_data_latents(s->t->data, rows, i, err));
    }
    return RG_OK;
}

static rg_status make_basses(const swap *s, rg_track_batch *rows, rg_error *err)
{
    uint64_t seeds[MOST];
    for (int32_t i = 0; i < s->n; i++) seeds[i] = s->t->e->options.seed;
    for (enum kind k = SEEN; k <= GRID; k++) {
        RG_TRY(write_rows(s, rows, k, err));
        if (k == SEEN) RG_TRY(decoded_envelopes(s, rows, CODED, err));
        RG_TRY(rg__rows_fill(s->t, rows, s->bass, seeds, err));
        RG_TRY(decoded_envelopes(s, rows, k, err));
    }
    return RG_OK;
}

static rg_status hear_all(const swap *s, rg_error *err)
{
    for (int32_t i = 0; i < s->n; i++) {
        RG_TRY(real_envelope(s, i, s->drums, s->drum_onsets + i * s->frames, err));
        RG_TRY(real_envelope(s, i, s->bass, s->onsets[REAL] + i * s->frames, err));
    }
    rg_track_batch *rows =
        rg_track_batch_create(&s->t->bundle.config, s->n, s->t->bundle.config.frames, err);
    rg_status status = rows ? make_basses(s, rows, err) : err->code;
    rg_track_batch_free(rows);
    return status;
}

/* ---- crossing ---- */

static double crossed(const swap *s, enum kind k, int32_t bass, int32_t drums)
{
    double c = rg_onset_coherence(s->onsets[k] + bass * s->frames,
                                  s->drum_onsets + drums * s->frames, s->frames, 0);
    return isfinite(c) ? c : 0; /* a bass that plays nothing agrees with nothing */
}

static rg_status cross(const swap *s, enum kind k, rg_crossing *out, rg_error *err)
{
    int32_t songs[MOST];
    double *fit = malloc((size_t)(s->n * s->n) * sizeof *fit);
    for (int32_t i = 0; i < s->n; i++) songs[i] = s->places[i].unit;
    for (int32_t i = 0; fit && i < s->n * s->n; i++) fit[i] = crossed(s, k, i / s->n, i % s->n);
    rg_status status = fit ? rg_crossing_make(out, fit, songs, s->n, s->units, err)
                           : rg_fail(err, RG_ERR_NOMEM, "no memory for a swap test");
    free(fit);
    return status;
}

static rg_table *begin_table(const swap *s)
{
    char caption[700];
    rg_format(caption, sizeof caption,
              "Swap test: %s made with one seed and no words against the %s of %d windows of %.1f "
              "s from %d songs, then crossed: correlation of onsets at lag 0 with the own and with "
              "other songs' %s. “Told apart”: of two songs the own pairs fit better than the "
              "crossed ones; chance 50 %%. Listening is seen only above the row of the beat grid.",
              s->t->bundle.config.roles[s->bass].name, s->t->bundle.config.roles[s->drums].name,
              s->n, s->t->bundle.config.frames / s->t->bundle.config.frame_rate, s->units,
              s->t->bundle.config.roles[s->drums].name);
    rg_table *table = rg_report_table(s->t->e->report, "swap", caption);
    rg_table_column(table, "own", "Own drums", "", RG_HIGHER_BETTER, 3);
    rg_table_column(table, "other", "Other drums", "", RG_NO_DIRECTION, 3);
    rg_table_column(table, "gain", "Difference", "", RG_HIGHER_BETTER, 3);
    rg_table_column(table, "found", "Told apart", "% of pairs", RG_HIGHER_BETTER, 1);
    return table;
}

/* One kind of bass; gains (units): own minus other, per song. */
static rg_status add_row(const swap *s, rg_table *table, enum kind k, double *gains, rg_error *err)
{
    uint64_t seed = s->t->e->options.seed;
    rg_crossing c = {0};
    RG_TRY(cross(s, k, &c, err));
    int32_t row = rg_table_row(table, shown[k].kind, "%s", shown[k].name);
    rg_table_interval(table, row, 0, rg_bootstrap(c.own, s->units, seed));
    rg_table_interval(table, row, 1, rg_bootstrap(c.other, s->units, seed));
    rg_table_interval(table, row, 2, rg_bootstrap_paired(c.own, c.other, s->units, seed));
    rg_table_interval(table, row, 3, rg_crossing_apart(&c, seed));
    for (int32_t u = 0; u < s->units; u++) gains[u] = c.own[u] - c.other[u];
    rg_crossing_free(&c);
    return RG_OK;
}

static rg_status show(const swap *s, rg_error *err)
{
    uint64_t seed = s->t->e->options.seed;
    judgement j = {0};
    double gains[KINDS][MOST];
    rg_table *table = begin_table(s);
    for (enum kind k = 0; k < KINDS; k++) RG_TRY(add_row(s, table, k, gains[k], err));
    rg__judge(&j, "its own drums", rg_bootstrap(gains[SEEN], s->units, seed), "correlation");
    rg__judge(&j, "them beyond what the beat grid gives",
              rg_bootstrap_paired(gains[SEEN], gains[GRID], s->units, seed), "correlation");
    rg__judge_say(s->t->e->report, &j, "The bass follows");
    return RG_OK;
}

static rg_status make_room(swap *s, rg_error *err)
{
    const rg_track_config *config = &s->t->bundle.config;
    s->frames = (int64_t)(config->frames / config->frame_rate * RG_ONSET_RATE);
    size_t one = (size_t)(s->n * s->frames);
    s->drum_onsets = malloc(one * (KINDS + 1) * sizeof(float));
    if (!s->drum_onsets) return rg_fail(err, RG_ERR_NOMEM, "no memory for a swap test");
    for (int k = 0; k < KINDS; k++) s->onsets[k] = s->drum_onsets + one * (size_t)(k + 1);
    return RG_OK;
}

rg_status rg__swap_test(track_evaluation *t, rg_error *err)
{
    const rg_track_config *config = &t->bundle.config;
    swap s = {.t = t, .drums = rg__drums_role(config), .bass = rg__pitched_role(config, 0)};
    if (t->e->options.samples < 1 || s.drums < 0 || s.bass < 0) return RG_OK;
    const int32_t roles[] = {s.drums, s.bass};
    rg_report_section(t->e->report, "listening", "Does one track listen to another?");
    s.n = rg__places_find(t, roles, 2, config->frames, PER_SONG, MOST, s.places, &s.units);
    if (s.units < 2) {
        rg_report_text(t->e->report, "No swap test: fewer than two songs have %s and %s at once.",
                       config->roles[s.drums].name, config->roles[s.bass].name);
        return RG_OK;
    }
    rg_status status = make_room(&s, err);
    if (status == RG_OK) status = hear_all(&s, err);
    if (status == RG_OK) status = show(&s, err);
    free(s.drum_onsets);
    return status;
}
