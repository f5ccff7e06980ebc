/*
 * Does it play what was asked? Tempo and key asked against those heard.
 *
 * One idea: an extractor errs, so it is judged first: on real songs of known tempo and key, cut to
 * the length of the takes, and on real songs transposed by a known interval. What a model that does
 * not listen would score is seen by comparing each take with another one's request.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/metrics/chroma.h"
#include "eval/metrics/onset.h"
#include "eval/metrics/tempo.h"
#include "eval/track_internal.h"
#include "generate/conditions.h"

enum { TAKES = CONTROL_SEEDS * CONTROL_REQUESTS, MOVED_BY = 3 };
static const double least_seconds = 4; /* of rg_tempo_of */

/* ---- making ---- */

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Tempi that training has seen: its lower, middle and upper part. */
static rg_status choose_tempi(const track_evaluation *t, double out[CONTROL_REQUESTS],
                              rg_error *err)
{
    static const double shares[CONTROL_REQUESTS] = {0.15, 0.5, 0.85};
    static const double usual[CONTROL_REQUESTS] = {90, 120, 150};
    int64_t songs = rg_store_songs(t->e->store), n = 0;
    double *tempi = malloc((size_t)(songs + 1) * sizeof *tempi);
    if (!tempi) return rg_fail(err, RG_ERR_NOMEM, "no memory for tempi");
    for (int64_t i = 0; i < songs; i++) {
        const rg_song *song = rg_store_song(t->e->store, i);
        if (song->split == RG_SPLIT_TRAIN && song->tempo_bpm > 0) tempi[n++] = song->tempo_bpm;
    }
    if (n > 0) qsort(tempi, (size_t)n, sizeof *tempi, rising);
    for (int j = 0; j < CONTROL_REQUESTS; j++) {
        double bpm = n > 0 ? tempi[(int64_t)(shares[j] * (double)(n - 1) + 0.5)] : usual[j];
        out[j] = fmax(40, fmin(240, round(bpm)));
    }
    free(tempi);
    return RG_OK;
}

/* Keys that the bundle was trained with, one per request; fewer keys are used in turn. */
static void choose_keys(const track_evaluation *t, rg_key out[CONTROL_REQUESTS])
{
    const rg_track_config *config = &t->bundle.config;
    int32_t field = rg_track_find_field(config, "key"), n = 0;
    for (int32_t w = 0; field >= 0 && w < config->fields[field].n_words; w++) {
        const char *word = config->fields[field].words[w];
        rg_key key;
        if (n == CONTROL_REQUESTS || !rg_key_parse(word, &key.tonic, &key.mode)) continue;
        if (rg_bundle_trained_with(&t->bundle, "key", word) != 0) out[n++] = key;
    }
    for (int32_t j = n; j < CONTROL_REQUESTS; j++) out[j] = n > 0 ? out[j % n] : (rg_key){-1, 0};
}

static rg_status ask(track_evaluation *t, double tempo, rg_key key, rg_conditions *out,
                     rg_error *err)
{
    const rg_prompt *none[RG_TRACK_ROLES] = {0};
    char text[2][48], name[16];
    const char *settings[] = {text[0], text[1]};
    rg_prompt *prompt = calloc(1, sizeof *prompt);
    if (!prompt) return rg_fail(err, RG_ERR_NOMEM, "no memory for a prompt");
    rg_format(text[0], sizeof text[0], "tempo=%.0f", tempo);
    if (key.tonic >= 0)
        rg_format(text[1], sizeof text[1], "key=%s", rg_key_name(key.tonic, key.mode, name));
    rg_status status = rg_prompt_analyze("", &t->bundle.vocabulary, prompt, err);
    if (status == RG_OK)
        status = rg_conditions_make(&t->bundle, prompt, none, settings, key.tonic >= 0 ? 2 : 1, out,
                                    err);
    free(prompt);
    return status;
}

static void write_beats(const track_evaluation *t, const rg_conditions *asked, rg_track_batch *rows,
                        int32_t item)
{
    rg_beat_grid grid = rg_conditions_grid(asked);
    rg_beat_features(&grid, t->bundle.config.frame_rate, 0, rows->frames,
                     rows->beat + (int64_t)item * rows->frames * RG_BEAT_FEATURES);
}

static rg_status fill_role(track_evaluation *t, rg_track_batch *rows, int32_t role,
                           const rg_conditions *asked, rg_error *err)
{
    int32_t fields = t->bundle.config.n_fields;
    uint64_t seeds[TAKES];
    for (int32_t i = 0; i < TAKES; i++) {
        seeds[i] = t->e->options.seed + (uint64_t)(i / CONTROL_REQUESTS);
        memcpy(rows->conditions + (int64_t)i * fields, asked[i % CONTROL_REQUESTS].ids[role],
               (size_t)fields * sizeof(int32_t));
    }
    return rg__rows_fill(t, rows, role, seeds, err);
}

static rg_status make_sound(track_evaluation *t, control_takes *out, const double *tempi,
                            const rg_key *keys, rg_error *err)
{
    RG_TRY(rg__pieces_make(&out->pieces, TAKES, err));
    for (int32_t i = 0; i < TAKES; i++) {
        piece *p = &out->pieces.all[i];
        p->tempo = tempi[i % CONTROL_REQUESTS];
        p->key = keys[i % CONTROL_REQUESTS];
        rg_format(p->name, sizeof p->name, "seed %d, %.0f bpm", i / CONTROL_REQUESTS + 1, p->tempo);
        for (int32_t r = 0; r < t->bundle.config.n_roles; r++)
            RG_TRY(rg__rows_decode(t, out->rows, i, r, &p->stems[r], err));
    }
    return RG_OK;
}

rg_status rg__control_make(track_evaluation *t, control_takes *out, rg_error *err)
{
    const rg_track_config *config = &t->bundle.config;
    double tempi[CONTROL_REQUESTS];
    rg_key keys[CONTROL_REQUESTS];
    if (t->e->options.samples < 1) return RG_OK;
    RG_TRY(choose_tempi(t, tempi, err));
    choose_keys(t, keys);
    rg_conditions *asked = calloc(CONTROL_REQUESTS, sizeof *asked);
    if (!asked) return rg_fail(err, RG_ERR_NOMEM, "no memory for requests");
    out->rows = rg_track_batch_create(config, TAKES, config->frames, err);
    rg_status status = out->rows ? RG_OK : err->code;
    for (int j = 0; j < CONTROL_REQUESTS && status == RG_OK; j++)
        status = ask(t, tempi[j], keys[j], &asked[j], err);
    for (int32_t i = 0; i < TAKES && status == RG_OK; i++)
        write_beats(t, &asked[i % CONTROL_REQUESTS], out->rows, i);
    rg_progress progress;
    rg_progress_start(&progress, "asked takes", config->n_roles);
    for (int32_t r = 0; r < config->n_roles && status == RG_OK; r++) {
        status = fill_role(t, out->rows, r, asked, err);
        rg_progress_step(&progress, t->e->log, r + 1, config->roles[r].name);
    }
    if (status == RG_OK) status = make_sound(t, out, tempi, keys, err);
    free(asked);
    return status;
}

void rg__control_free(control_takes *takes)
{
    rg_track_batch_free(takes->rows);
    rg__pieces_free(&takes->pieces);
    *takes = (control_takes){0};
}

/* ---- hearing ---- */

/* What is heard in a piece; tempo 0 and tonic -1 when it cannot be told. */
typedef struct heard {
    double tempo;
    rg_key key;
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

/* Tempo of all stems together, key of the pitched ones, `up` semitones higher. */
static rg_status listen(const track_evaluation *t, const piece *p, double first, double seconds,
                        int32_t up, heard *out, rg_error *err)
{
    const rg_track_config *config = &t->bundle.config;
    int64_t on = (int64_t)(seconds * RG_ONSET_RATE), ch = (int64_t)(seconds * RG_CHROMA_RATE);
    float *sum = calloc((size_t)(on + 12 * ch + 1), sizeof *sum);
    rg_status status = sum ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory to listen");
    *out = (heard){0, {-1, 0}};
    for (int32_t r = 0; r < config->n_roles && status == RG_OK; r++) {
        rg_audio a = part_of(&p->stems[r], first, seconds);
        if (!rg__sounds(&a)) continue;
        if (up == 0) status = add_onsets(&a, sum, on, err);
        if (status == RG_OK && rg__is_pitched(config->roles[r].name))
            status = add_chroma(&a, up, sum + on, ch, err);
    }
    if (status == RG_OK && up == 0) status = rg_tempo_of(sum, on, &out->tempo, err);
    if (status == RG_OK) out->key = rg_key_of(sum + on, ch);
    free(sum);
    return status;
}

/* ---- tables ---- */

/* Scores of one set: rows are metrics, units (seeds or songs) are what the bootstrap draws. */
enum metric { ACC1, ACC2, ORDER, KEY_EXACT, KEY_SCORE, METRICS };
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
    score(s, ACC1, unit, 100 * rg_tempo_agrees(asked, tempo, false));
    score(s, ACC2, unit, 100 * rg_tempo_agrees(asked, tempo, true));
}

static void score_key(scores *s, int64_t unit, rg_key asked, rg_key key)
{
    double value = rg_key_score(asked, key);
    score(s, KEY_SCORE, unit, value);
    score(s, KEY_EXACT, unit, isfinite(value) ? 100 * (value == 1) : NAN);
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

static rg_status score_takes(const track_evaluation *t, const control_takes *takes, heard *h,
                             scores *own, scores *other, rg_error *err)
{
    double seconds = takes->rows->frames / t->bundle.config.frame_rate;
    for (int32_t i = 0; i < TAKES; i++) {
        const piece *p = &takes->pieces.all[i];
        int32_t unit = i / CONTROL_REQUESTS, next = unit * CONTROL_REQUESTS;
        RG_TRY(listen(t, p, 0, seconds, 0, &h[i], err));
        score_tempo(own, unit, p->tempo, h[i].tempo);
        score_key(own, unit, p->key, h[i].key);
        for (int32_t j = 0; j < CONTROL_REQUESTS; j++) {
            const piece *q = &takes->pieces.all[next + j];
            if (next + j == i) continue;
            if (q->tempo != p->tempo) score_tempo(other, unit, q->tempo, h[i].tempo);
            if (q->key.tonic != p->key.tonic || q->key.mode != p->key.mode)
                score_key(other, unit, q->key, h[i].key);
        }
    }
    for (int32_t u = 0; u < CONTROL_SEEDS; u++)
        score_order(own, u, &takes->pieces.all[u * CONTROL_REQUESTS], h + u * CONTROL_REQUESTS);
    return RG_OK;
}

/* Real excerpts in pieces as long as the takes: known tempi and keys, and known transpositions. */
static rg_status score_real(const track_evaluation *t, const pieces *real, double seconds,
                            scores *known, scores *moved, rg_error *err)
{
    for (int64_t i = 0; i < real->n; i++) {
        const piece *p = &real->all[i];
        double length = 0;
        for (int32_t r = 0; r < t->bundle.config.n_roles; r++)
            if (p->stems[r].frames > 0)
                length = fmax(length, (double)p->stems[r].frames / p->stems[r].rate);
        for (double at = 0; at + seconds <= length; at += seconds) {
            heard plain, up;
            RG_TRY(listen(t, p, at, seconds, 0, &plain, err));
            RG_TRY(listen(t, p, at, seconds, MOVED_BY, &up, err));
            score_tempo(known, i, p->tempo, plain.tempo);
            score_key(known, i, p->key, plain.key);
            score_key(moved, i, rg_key_moved(plain.key, MOVED_BY), up.key);
        }
    }
    return RG_OK;
}

static void heard_table(track_evaluation *t, const control_takes *takes, const heard *h)
{
    rg_table *table = rg_report_table(
        t->e->report, "control-heard",
        "Every request and what was heard of it, seed by seed: the same seed with other words.");
    static const char *const titles[] = {"Tempo asked", "Tempo heard", "Key asked", "Key heard"};
    static const char *const ids[] = {"tempo_asked", "tempo_heard", "key_asked", "key_heard"};
    for (int c = 0; c < 4; c++)
        rg_table_column(table, ids[c], titles[c], c < 2 ? "bpm" : "", RG_NO_DIRECTION, c == 1);
    for (int32_t i = 0; i < TAKES; i++) {
        const piece *p = &takes->pieces.all[i];
        char name[16];
        int32_t row = rg_table_row(table, RG_ROW_PLAIN, "%s", p->name);
        rg_table_number(table, row, 0, p->tempo);
        rg_table_number(table, row, 1, h[i].tempo > 0 ? h[i].tempo : NAN);
        if (p->key.tonic >= 0)
            rg_table_text(table, row, 2, "%s", rg_key_name(p->key.tonic, p->key.mode, name));
        if (h[i].key.tonic >= 0)
            rg_table_text(table, row, 3, "%s", rg_key_name(h[i].key.tonic, h[i].key.mode, name));
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
    rg_table_column(table, "acc1", "Within 4 %", "% of takes", RG_HIGHER_BETTER, 0);
    rg_table_column(table, "acc2", "Or ×2, ×3, ½, ⅓", "% of takes", RG_HIGHER_BETTER, 0);
    rg_table_column(table, "order", "Order kept", "% of pairs", RG_HIGHER_BETTER, 0);
    show(t, table, RG_ROW_OURS, "generated, own request", &s[0], ACC1, 3);
    show(t, table, RG_ROW_FLOOR, "generated, another request", &s[1], ACC1, 2);
    show(t, table, RG_ROW_CEILING, "real songs, known tempo", &s[2], ACC1, 2);
}

static void key_table(track_evaluation *t, const scores s[4], double seconds)
{
    char caption[700];
    int32_t field = rg_track_find_field(&t->bundle.config, "key");
    rg_format(caption, sizeof caption,
              "Key heard in the pitched stems, over %.1f s, by profiles of pitch classes. MIREX "
              "score: same 1, fifth 0.5, relative 0.3, parallel 0.2. The bundle was trained with "
              "%d key word(s)%s. “Transposed”: real songs played %d semitones higher, heard "
              "against what was heard of them untransposed: how steady the estimate is.",
              seconds, field >= 0 ? t->bundle.config.fields[field].n_words : 0,
              field >= 0 ? "" : ": nothing can be asked, so nothing is judged", MOVED_BY);
    rg_table *table = rg_report_table(t->e->report, "control-key", caption);
    rg_table_column(table, "exact", "Exact", "% of takes", RG_HIGHER_BETTER, 0);
    rg_table_column(table, "mirex", "MIREX score", "", RG_HIGHER_BETTER, 2);
    show(t, table, RG_ROW_OURS, "generated, own request", &s[0], KEY_EXACT, 2);
    show(t, table, RG_ROW_FLOOR, "generated, another request", &s[1], KEY_EXACT, 2);
    show(t, table, RG_ROW_CEILING, "real songs, known key", &s[2], KEY_EXACT, 2);
    show(t, table, RG_ROW_CEILING, "real songs, transposed", &s[3], KEY_EXACT, 2);
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
    if (status == RG_OK) status = score_real(t, real, seconds, &s[2], &s[3], err);
    if (status == RG_OK) {
        rg_report_section(t->e->report, "adherence", "Does it play what was asked?");
        if (seconds >= least_seconds)
            tempo_table(t, s, seconds);
        else
            rg_report_text(t->e->report, "Windows of %.1f s are too short to hear a tempo.",
                           seconds);
        key_table(t, s, seconds);
        heard_table(t, takes, h);
        judge(t, s, seconds >= least_seconds);
    }
    for (int k = 0; k < 4; k++) scores_free(&s[k]);
    return status;
}
