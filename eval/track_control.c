/*
 * Does it play what was asked? Tempo, key and meter asked against those heard.
 *
 * One idea: an extractor errs, so it is judged first: on real songs of known tempo, key and meter,
 * cut to the length of the takes, and on real songs transposed by a known interval. What a model
 * that does not listen would score is seen by comparing each take with another one's request.
 */
#include <math.h>
#include <stdlib.h>

#include "eval/track_internal.h"
#include "music/features/beats.h"
#include "music/features/chroma.h"
#include "music/features/onset.h"
#include "music/features/tempo.h"

enum { TAKES = CONTROL_SEEDS * CONTROL_REQUESTS, MOVED_BY = 3, REAL_PARTS = 3 };
static const double least_seconds = 4; /* of rg_tempo_of */

/* ---- hearing ---- */

/* What is heard in a piece; tempo 0, tonic -1 and meter 0 when it cannot be told. */
typedef struct heard {
    double tempo;
    rg_key key;
    int32_t meter;
} heard;

/* From `first` seconds on, for `seconds`, of a stem. */
static rg_audio part_of(const rg_audio *a, double first, double seconds)
{
    int64_t from = rg__least((int64_t)(first * a->rate), a->frames),
            n = rg__least((int64_t)(seconds * a->rate), a->frames - from);
    return (rg_audio){a->samples + from, n, 1, a->rate};
}

static rg_status add_onsets(const rg_audio *a, float *sum, int64_t n, rg_error *err)
{
    int64_t frames = rg_onset_frames(a->frames, a->rate);
    float *one = malloc((size_t)frames * sizeof *one);
    rg_status status = one ? rg_onset_envelope(a->samples, a->frames, a->rate, one, err)
                           : rg_fail(err, RG_ERR_NOMEM, "no memory for a tempo");
    for (int64_t i = 0; status == RG_OK && i < n && i < frames; i++) sum[i] += one[i];
    free(one);
    return status;
}

/* The sound as if `up` semitones higher (and faster). */
static rg_status add_chroma(const rg_audio *a, int32_t up, float *sum, int64_t n, rg_error *err)
{
    int32_t rate = (int32_t)lround(a->rate * pow(2, up / 12.0));
    int64_t frames = rg_chroma_frames(a->frames, rate);
    float *one = malloc((size_t)(12 * frames) * sizeof *one);
    rg_status status = one ? rg_chroma(a->samples, a->frames, rate, one, err)
                           : rg_fail(err, RG_ERR_NOMEM, "no memory for a key");
    for (int64_t i = 0; status == RG_OK && i < 12 * rg__least(n, frames); i++) sum[i] += one[i];
    free(one);
    return status;
}

/* Of onsets (on) and pitch classes (ch,12); on beats of the tempo that is heard. */
static rg_status find_meter(const float *onsets, int64_t on, const float *chroma, int64_t ch,
                            heard *out, rg_error *err)
{
    double *beats = NULL;
    int64_t n = 0;
    rg_meter meter = {0};
    rg_status status = rg_beats_of(onsets, on, out->tempo, &beats, &n, err);
    if (status == RG_OK) status = rg_meter_of(beats, n, onsets, on, chroma, ch, &meter, err);
    out->meter = meter.beats;
    free(beats);
    return status;
}

/* Tempo and meter of all stems together, key of the pitched ones, `up` semitones higher. */
static rg_status listen(const track_evaluation *t, const piece *p, double first, double seconds,
                        int32_t up, heard *out, rg_error *err)
{
    const rg_track_config *config = &t->bundle.config;
    int64_t on = (int64_t)(seconds * RG_ONSET_RATE), ch = (int64_t)(seconds * RG_CHROMA_RATE);
    float *sum = calloc((size_t)(on + 12 * ch + 1), sizeof *sum);
    rg_status status = sum ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory to listen");
    *out = (heard){0, {-1, 0}, 0};
    for (int32_t r = 0; r < config->n_roles && status == RG_OK; r++) {
        rg_audio a = part_of(&p->stems[r], first, seconds);
        if (!rg__sounds(&a)) continue;
        if (up == 0) status = add_onsets(&a, sum, on, err);
        if (status == RG_OK && rg__is_pitched(config->roles[r].name))
            status = add_chroma(&a, up, sum + on, ch, err);
    }
    if (status == RG_OK && up == 0) status = rg_tempo_of(sum, on, &out->tempo, err);
    if (status == RG_OK) out->key = rg_key_of(sum + on, ch);
    if (status == RG_OK && up == 0) status = find_meter(sum, on, sum + on, ch, out, err);
    free(sum);
    return status;
}

/* ---- tables ---- */

/* Scores of one set: rows are metrics, units (seeds or songs) are what the bootstrap draws. */
enum metric { NEAR, ACC1, ACC2, ORDER, KEY_EXACT, KEY_SCORE, METER, METER_TOLD, METRICS };
typedef struct scores {
    int64_t units;
    double *sum;     /* (METRICS, units) */
    int64_t *counts; /* the same */
} scores;

static rg_status scores_make(scores *s, int64_t units, rg_error *err)
{
    size_t n = (size_t)(METRICS * (units > 0 ? units : 1));
    s->units = units;
    s->sum = calloc(n, sizeof *s->sum);
    s->counts = calloc(n, sizeof *s->counts);
    return s->sum && s->counts ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for scores");
}

static void scores_free(scores *s)
{
    free(s->sum);
    free(s->counts);
}

static void score(scores *s, enum metric m, int64_t unit, double value)
{
    if (!isfinite(value)) return;
    s->sum[m * s->units + unit] += value;
    s->counts[m * s->units + unit]++;
}

static void score_tempo(scores *s, int64_t unit, double asked, double tempo)
{
    if (!(asked > 0)) return;
    score(s, NEAR, unit, 100 * (fabs(tempo - asked) <= 0.02 * asked));
    score(s, ACC1, unit, 100 * rg_tempo_agrees(asked, tempo, false));
    score(s, ACC2, unit, 100 * rg_tempo_agrees(asked, tempo, true));
}

static void score_key(scores *s, int64_t unit, rg_key asked, rg_key key)
{
    double value = rg_key_score(asked, key);
    score(s, KEY_SCORE, unit, value);
    score(s, KEY_EXACT, unit, isfinite(value) ? 100 * (value == 1) : NAN);
}

static void score_meter(scores *s, int64_t unit, int32_t asked, int32_t meter)
{
    if (!asked) return;
    score(s, METER, unit, 100 * (meter == asked));
    score(s, METER_TOLD, unit, 100 * (meter != 0));
}

static void show(const track_evaluation *t, rg_table *table, rg_row_kind kind, const char *name,
                 const scores *s, enum metric first, int n)
{
    int32_t row = rg_table_row(table, kind, "%s", name);
    double *values = malloc((size_t)(s->units > 0 ? s->units : 1) * sizeof *values);
    for (int k = 0; values && k < n; k++) {
        for (int64_t u = 0; u < s->units; u++) {
            int64_t at = (int64_t)(first + k) * s->units + u;
            values[u] = s->counts[at] ? s->sum[at] / (double)s->counts[at] : NAN;
        }
        rg_table_interval(table, row, k, rg_bootstrap(values, s->units, t->e->options.seed));
    }
    free(values);
}

/* Requests rise in tempo: do the tempi heard of one seed? A tie counts half. */
static void score_order(scores *s, int64_t unit, const piece *asked, const heard *h)
{
    for (int a = 0; a < CONTROL_REQUESTS; a++)
        for (int b = a + 1; b < CONTROL_REQUESTS; b++)
            if (asked[b].tempo > asked[a].tempo && h[a].tempo > 0 && h[b].tempo > 0)
                score(s, ORDER, unit,
                      h[b].tempo > h[a].tempo    ? 100
                      : h[b].tempo == h[a].tempo ? 50
                                                 : 0);
}

typedef struct listening {
    const track_evaluation *t;
    const pieces *set;
    double seconds;
    heard *out; /* (TAKES) */
    scores *known, *moved;
} listening;

static rg_status listen_take(void *ctx, int64_t i, rg_error *err)
{
    const listening *l = ctx;
    return listen(l->t, &l->set->all[i], 0, l->seconds, 0, &l->out[i], err);
}

static rg_status score_takes(const track_evaluation *t, const control_takes *takes, heard *h,
                             scores *own, scores *other, rg_error *err)
{
    listening l = {.t = t, .set = &takes->pieces, .out = h};
    l.seconds = takes->rows->frames / t->bundle.config.frame_rate;
    RG_TRY(rg__each(t->e, TAKES, listen_take, &l, err));
    for (int32_t i = 0; i < TAKES; i++) {
        const piece *p = &takes->pieces.all[i];
        int32_t unit = i / CONTROL_REQUESTS, next = unit * CONTROL_REQUESTS;
        score_tempo(own, unit, p->tempo, h[i].tempo);
        score_key(own, unit, p->key, h[i].key);
        score_meter(own, unit, p->meter, h[i].meter);
        for (int32_t j = 0; j < CONTROL_REQUESTS; j++) {
            const piece *q = &takes->pieces.all[next + j];
            if (next + j == i) continue;
            if (q->tempo != p->tempo) score_tempo(other, unit, q->tempo, h[i].tempo);
            if (q->key.tonic != p->key.tonic || q->key.mode != p->key.mode)
                score_key(other, unit, q->key, h[i].key);
            if (q->meter != p->meter) score_meter(other, unit, q->meter, h[i].meter);
        }
    }
    for (int32_t u = 0; u < CONTROL_SEEDS; u++)
        score_order(own, u, &takes->pieces.all[u * CONTROL_REQUESTS], h + u * CONTROL_REQUESTS);
    return RG_OK;
}

/* One real song in pieces as long as the takes: known tempo and key, and a known transposition. */
static rg_status listen_real(void *ctx, int64_t i, rg_error *err)
{
    const listening *l = ctx;
    const piece *p = &l->set->all[i];
    double length = 0;
    for (int32_t r = 0; r < l->t->bundle.config.n_roles; r++)
        if (p->stems[r].frames > 0)
            length = fmax(length, (double)p->stems[r].frames / p->stems[r].rate);
    for (int k = 0; k < REAL_PARTS && (k + 1) * l->seconds <= length; k++) {
        heard plain, up;
        RG_TRY(listen(l->t, p, k * l->seconds, l->seconds, 0, &plain, err));
        RG_TRY(listen(l->t, p, k * l->seconds, l->seconds, MOVED_BY, &up, err));
        score_tempo(l->known, i, p->tempo, plain.tempo);
        score_key(l->known, i, p->key, plain.key);
        score_meter(l->known, i, p->meter, plain.meter);
        score_key(l->moved, i, rg_key_moved(plain.key, MOVED_BY), up.key);
    }
    return RG_OK;
}

/* One row a seed, two columns a request. */
static void heard_table(track_evaluation *t, const control_takes *takes, const heard *h)
{
    rg_table *table = rg_report_table(
        t->e->report, "control-heard",
        "What was heard of each request, seed by seed: the same seed with other words. A "
        "meter is 3 or 4 beats; a dash: unsure.");
    for (int j = 0; j < CONTROL_REQUESTS; j++) {
        const piece *p = &takes->pieces.all[j];
        char id[24], title[48], name[16] = "";
        rg_format(id, sizeof id, "tempo%d", j + 1);
        rg_format(title, sizeof title, "Asked %.0f", p->tempo);
        rg_table_column(table, id, title, "bpm", RG_NO_DIRECTION, 1);
        rg_format(id, sizeof id, "key%d", j + 1);
        if (p->key.tonic >= 0) rg_key_name(p->key.tonic, p->key.mode, name);
        rg_format(title, sizeof title, "%s%s", name[0] ? "Asked " : "No key asked", name);
        rg_table_column(table, id, title, "", RG_NO_DIRECTION, 0);
        rg_format(id, sizeof id, "meter%d", j + 1);
        if (p->meter) rg_format(name, sizeof name, "%d", (int)p->meter);
        rg_format(title, sizeof title, "%s%s", p->meter ? "Asked " : "No meter asked",
                  p->meter ? name : "");
        rg_table_column(table, id, title, "beats a bar", RG_NO_DIRECTION, 0);
    }
    for (int32_t i = 0; i < TAKES; i++) {
        char name[16];
        int32_t j = i % CONTROL_REQUESTS, seed = i / CONTROL_REQUESTS;
        if (j == 0) rg_table_row(table, RG_ROW_PLAIN, "seed %d", seed + 1);
        rg_table_number(table, seed, 3 * j, h[i].tempo > 0 ? h[i].tempo : NAN);
        if (h[i].key.tonic >= 0)
            rg_table_text(table, seed, 3 * j + 1, "%s",
                          rg_key_name(h[i].key.tonic, h[i].key.mode, name));
        rg_table_number(table, seed, 3 * j + 2, h[i].meter > 0 ? h[i].meter : NAN);
    }
}

/* own, other, real, moved */
static void tempo_table(track_evaluation *t, const scores s[4], double seconds)
{
    char caption[700];
    rg_format(caption, sizeof caption,
              "Tempo heard in all stems together, over %.1f s. %d seeds, each at %d tempi of the "
              "training songs; intervals over seeds, for real songs over songs. “Order kept”: of "
              "two takes of a seed the one asked to be faster is heard as faster; chance 50 %%. "
              "Control is seen only above the row of other requests and up to the row of real "
              "songs, which is the extractor's own error.",
              seconds, CONTROL_SEEDS, CONTROL_REQUESTS);
    rg_table *table = rg_report_table(t->e->report, "control-tempo", caption);
    rg_table_column(table, "near", "Within 2 %", "% of takes", RG_HIGHER_BETTER, 0);
    rg_table_column(table, "acc1", "Within 4 %", "% of takes", RG_HIGHER_BETTER, 0);
    rg_table_column(table, "acc2", "Or ×2, ×3, ½, ⅓", "% of takes", RG_HIGHER_BETTER, 0);
    rg_table_column(table, "order", "Order kept", "% of pairs", RG_HIGHER_BETTER, 0);
    show(t, table, RG_ROW_OURS, "generated, own request", &s[0], NEAR, 4);
    show(t, table, RG_ROW_FLOOR, "generated, another request", &s[1], NEAR, 3);
    show(t, table, RG_ROW_CEILING, "real songs, known tempo", &s[2], NEAR, 3);
}

static int32_t trained_keys(const track_evaluation *t)
{
    const rg_track_config *config = &t->bundle.config;
    int32_t field = rg_track_find_field(config, "key"), n = 0;
    for (int32_t w = 0; field >= 0 && w < config->fields[field].n_words; w++)
        n += rg_bundle_trained_with(&t->bundle, "key", config->fields[field].words[w]) != 0;
    return n;
}

static void key_table(track_evaluation *t, const scores s[4], double seconds)
{
    char caption[700];
    int32_t words = trained_keys(t);
    rg_format(
        caption, sizeof caption,
        "Key heard in the pitched stems, over %.1f s, by profiles of pitch classes. MIREX "
        "score: same 1, fifth 0.5, relative 0.3, parallel 0.2. The bundle was trained with "
        "%d key word(s)%s. “Transposed”: real songs played %d semitones higher, heard "
        "against what was heard of them untransposed: how steady the estimate is. A dash: no song "
        "of the split names its key.",
        seconds, words, words > 0 ? "" : ": nothing can be asked, so nothing is judged", MOVED_BY);
    rg_table *table = rg_report_table(t->e->report, "control-key", caption);
    rg_table_column(table, "exact", "Exact", "% of takes", RG_HIGHER_BETTER, 0);
    rg_table_column(table, "mirex", "MIREX score", "", RG_HIGHER_BETTER, 2);
    show(t, table, RG_ROW_OURS, "generated, own request", &s[0], KEY_EXACT, 2);
    show(t, table, RG_ROW_FLOOR, "generated, another request", &s[1], KEY_EXACT, 2);
    show(t, table, RG_ROW_CEILING, "real songs, known key", &s[2], KEY_EXACT, 2);
    show(t, table, RG_ROW_CEILING, "real songs, transposed", &s[3], KEY_EXACT, 2);
}

static void meter_table(track_evaluation *t, const control_takes *takes, const scores s[4],
                        double seconds)
{
    char caption[700];
    bool three = false, four = false;
    for (int j = 0; j < CONTROL_REQUESTS; j++) {
        three = three || takes->pieces.all[j].meter == 3;
        four = four || takes->pieces.all[j].meter == 4;
    }
    rg_format(caption, sizeof caption,
              "Beats per bar heard in all stems together, over %.1f s. “Told”: the extractor is "
              "sure of 3 or of 4; where it is not, the take does not count as right. %s The row of "
              "real songs is the extractor's own error.",
              seconds,
              three && four   ? "Requests ask for 3/4 and for 4/4."
              : three || four ? "The bundle was trained with one meter: what is heard shows no "
                                "control."
                              : "The bundle was trained with neither 3/4 nor 4/4: nothing is "
                                "asked.");
    rg_table *table = rg_report_table(t->e->report, "control-meter", caption);
    rg_table_column(table, "right", "Right", "% of takes", RG_HIGHER_BETTER, 0);
    rg_table_column(table, "told", "Told", "% of takes", RG_NO_DIRECTION, 0);
    show(t, table, RG_ROW_OURS, "generated, own request", &s[0], METER, 2);
    show(t, table, RG_ROW_FLOOR, "generated, another request", &s[1], METER, 2);
    show(t, table, RG_ROW_CEILING, "real songs, known meter", &s[2], METER, 2);
}

static rg_interval gain(const track_evaluation *t, const scores *own, const scores *other,
                        enum metric m)
{
    double a[CONTROL_SEEDS], b[CONTROL_SEEDS];
    for (int u = 0; u < CONTROL_SEEDS; u++) {
        int64_t at = (int64_t)m * CONTROL_SEEDS + u;
        a[u] = own->counts[at] ? own->sum[at] / (double)own->counts[at] : NAN;
        b[u] = other->counts[at] ? other->sum[at] / (double)other->counts[at] : NAN;
    }
    return rg_bootstrap_paired(a, b, CONTROL_SEEDS, t->e->options.seed);
}

static void judge(track_evaluation *t, const scores s[4], bool tempo)
{
    judgement j = {0};
    if (tempo) rg__judge(&j, "tempo", gain(t, &s[0], &s[1], ACC2), "% of takes, factors allowed");
    if (tempo) rg__judge(&j, "meter", gain(t, &s[0], &s[1], METER), "% of takes");
    rg__judge(&j, "key", gain(t, &s[0], &s[1], KEY_SCORE), "MIREX score");
    rg__judge_say(t->e->report, &j, "What was asked is heard more often than what was not");
}

rg_status rg__control_section(track_evaluation *t, const pieces *real, const control_takes *takes,
                              rg_error *err)
{
    scores s[4] = {{0}};
    heard h[TAKES];
    double seconds = t->bundle.config.frames / t->bundle.config.frame_rate;
    if (takes->pieces.n == 0) return RG_OK;
    rg_status status = RG_OK;
    for (int k = 0; k < 4 && status == RG_OK; k++)
        status = scores_make(&s[k], k < 2 ? CONTROL_SEEDS : real->n, err);
    if (status == RG_OK) status = score_takes(t, takes, h, &s[0], &s[1], err);
    listening l = {.t = t, .set = real, .seconds = seconds, .known = &s[2], .moved = &s[3]};
    if (status == RG_OK) status = rg__each(t->e, real->n, listen_real, &l, err);
    if (status == RG_OK) {
        rg_report_section(t->e->report, "adherence", "Does it play what was asked?");
        if (seconds >= least_seconds)
            tempo_table(t, s, seconds);
        else
            rg_report_text(t->e->report, "Windows of %.1f s are too short to hear a tempo.",
                           seconds);
        key_table(t, s, seconds);
        if (seconds >= least_seconds) meter_table(t, takes, s, seconds);
        heard_table(t, takes, h);
        judge(t, s, seconds >= least_seconds);
    }
    for (int k = 0; k < 4; k++) scores_free(&s[k]);
    return status;
}
