/*
 * Bits per token of the track models on held-out windows, in five situations at once.
 *
 * One idea: five copies of the same window differ only in what is visible (the true other tracks,
 * none, those of another song, the own ones a beat late, the true ones without conditions), so
 * every difference is paired. A gap between true and shuffled context alone proves nothing: a
 * model that is confused by any context has it too, so true must beat none.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/metrics/codes.h"
#include "eval/track_internal.h"
#include "music/features/onset.h"

enum situation { TRUE_CONTEXT, NO_CONTEXT, OTHER_SONG, BEAT_LATE, NO_CONDITIONS, SITUATIONS };
enum {
    UNIGRAM = SITUATIONS,
    BIGRAM,
    COPY,
    ROWS,
    WINDOWS_PER_SONG = 2,
    MAX_WINDOWS = 64,
    ALL_BOOKS = RG_TRACK_BOOKS,
    ONSETS,
    COLUMNS
};

static const char *const row_names[ROWS] = {[TRUE_CONTEXT] = "model, true context",
                                            [NO_CONTEXT] = "model, no context",
                                            [OTHER_SONG] = "model, another song's context",
                                            [BEAT_LATE] = "model, context a beat late",
                                            [NO_CONDITIONS] = "model, no conditions",
                                            [UNIGRAM] = "unigram",
                                            [BIGRAM] = "bigram",
                                            [COPY] = "copy the last token"};

/* Sums of bits and counts per row, column (codebooks, all, onsets) and song. */
typedef struct sums {
    int64_t songs;
    double *bits;    /* (ROWS, COLUMNS, songs) */
    int64_t *counts; /* the same */
} sums;

static int64_t at(const sums *s, int row, int column, int64_t song)
{
    return ((int64_t)row * COLUMNS + column) * s->songs + song;
}

static void add(sums *s, int row, int column, int64_t song, double bits)
{
    s->bits[at(s, row, column, song)] += bits;
    s->counts[at(s, row, column, song)]++;
}

static rg_interval interval(const sums *s, int row, int minus, int column, uint64_t seed)
{
    double *v = malloc((size_t)(2 * s->songs) * sizeof *v);
    rg_interval out = {NAN, NAN, NAN, 0};
    for (int64_t i = 0; v && i < s->songs; i++) {
        int64_t a = at(s, row, column, i), b = at(s, minus < 0 ? row : minus, column, i);
        v[i] = s->counts[a] ? s->bits[a] / (double)s->counts[a] : NAN;
        v[s->songs + i] = s->counts[b] ? s->bits[b] / (double)s->counts[b] : NAN;
    }
    if (v)
        out = minus < 0 ? rg_bootstrap(v, s->songs, seed)
                        : rg_bootstrap_paired(v, v + s->songs, s->songs, seed);
    free(v);
    return out;
}

/* ---- windows ---- */

typedef struct window {
    track_evaluation *t;
    rg_track_batch *batch; /* SITUATIONS items */
    int32_t role, frames;
    int64_t song, first; /* of the token cache */
    uint8_t *onset;      /* (frames) */
    track_accuracy accuracy;
} window;

static const rg_song *store_song(const window *w, int64_t song)
{
    return rg_store_song(w->t->e->store, rg_tokens_song(w->t->tokens, song)->song);
}

/* The song of the split, not of the same group, whose tempo is nearest; itself when alone. */
static int64_t nearest_tempo(const window *w)
{
    const rg_song *own = store_song(w, w->song);
    int64_t best = w->song;
    double least = INFINITY;
    for (int64_t i = 0; i < rg_tokens_songs(w->t->tokens); i++) {
        const rg_song *other = store_song(w, i);
        if (other->split != own->split || i == w->song) continue;
        if (own->group[0] && strcmp(own->group, other->group) == 0) continue;
        double far = own->tempo_bpm > 0 && other->tempo_bpm > 0
                         ? fabs(log(other->tempo_bpm / own->tempo_bpm))
                         : 10;
        if (far < least) {
            least = far;
            best = i;
        }
    }
    return best;
}

/* Seconds from `at` to the next beat; 0 where none is known. */
static double to_next_beat(const rg_song *song, double seconds)
{
    for (int64_t i = 0; i < song->n_beats; i++)
        if (song->beats[i] >= seconds) return song->beats[i] - seconds;
    return 0;
}

/* The other song's frame whose beats fall as ours do, near the same place. */
static int64_t aligned_first(const window *w, int64_t other)
{
    double rate = rg_tokens_frame_rate(w->t->tokens), seconds = (double)w->first / rate;
    int64_t room = rg_tokens_song(w->t->tokens, other)->frames - w->frames;
    if (room <= 0) return 0;
    double place = fmin(seconds, (double)room / rate),
           wanted = to_next_beat(store_song(w, w->song), seconds),
           there = to_next_beat(store_song(w, other), place);
    int64_t first = llround((place + there - wanted) * rate);
    return first < 0 ? 0 : first > room ? room : first;
}

rg_status rg__window_whole(track_evaluation *t, rg_track_batch *batch, int32_t role, int64_t song,
                           int64_t first, rg_error *err)
{
    rg_mask_window mask;
    int32_t bars[256];
    rg_rng rng = rg_rng_make(1, 0);
    rg_track_batch_clear(&t->bundle.config, batch);
    batch->target = role;
    rg_track_data_look(t->data, song, first, batch->frames, bars, 256, &mask);
    rg_track_data_fill(t->data, song, first, batch, 0);
    rg_mask_write(&t->bundle.config, batch, 0, RG_MASK_WHOLE, false, &mask, &rng);
    return rg_track_data_latents(t->data, batch, 0, err);
}

static rg_status fill_window(window *w, rg_error *err)
{
    const rg_track_config *config = &w->t->bundle.config;
    RG_TRY(rg__window_whole(w->t, w->batch, w->role, w->song, w->first, err));
    for (int k = 1; k < SITUATIONS; k++) rg_track_batch_copy(config, w->batch, k, w->batch, 0);
    rg_track_drop_context(config, w->batch, NO_CONTEXT);
    rg_track_drop_conditions(config, w->batch, NO_CONDITIONS);
    int64_t other = nearest_tempo(w);
    RG_TRY(
        rg_track_data_swap(w->t->data, other, aligned_first(w, other), w->batch, OTHER_SONG, err));
    double tempo = store_song(w, w->song)->tempo_bpm;
    int64_t beat = llround(rg_tokens_frame_rate(w->t->tokens) * (tempo > 0 ? 60 / tempo : 0.5));
    return rg_track_data_swap(w->t->data, w->song, w->first + beat, w->batch, BEAT_LATE, err);
}

/* Marks the frames in which the target begins a note (and the next one). */
static rg_status mark_onsets(window *w, rg_error *err)
{
    const rg_store *store = w->t->e->store;
    int32_t rate = rg_store_rate(store),
            role = rg_store_find_role(store, w->t->bundle.config.roles[w->role].name);
    double frame_rate = rg_tokens_frame_rate(w->t->tokens);
    int64_t n = llround(w->frames / frame_rate * rate), envelope_n = rg_onset_frames(n, rate);
    float *x = malloc((size_t)(n + envelope_n) * sizeof *x);
    int64_t *peaks = malloc((size_t)envelope_n * sizeof *peaks);
    memset(w->onset, 0, (size_t)w->frames);
    rg_status status = x && peaks ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for onsets");
    if (status == RG_OK)
        status = rg_store_read(store, rg_tokens_song(w->t->tokens, w->song)->song, role,
                               llround((double)w->first / frame_rate * rate), n, x, err);
    if (status == RG_OK) status = rg_onset_envelope(x, n, rate, x + n, err);
    int64_t found = status == RG_OK ? rg_onset_peaks(x + n, envelope_n, peaks, envelope_n) : 0;
    for (int64_t k = 0; k < found; k++) {
        int64_t frame = (int64_t)((double)peaks[k] / RG_ONSET_RATE * frame_rate);
        for (int64_t f = frame; f <= frame + 1 && f < w->frames; f++) w->onset[f] = 1;
    }
    free(x);
    free(peaks);
    return status;
}

static void take_model_bits(const window *w, const rg_track_out *out, sums *s)
{
    const rg_track_role *role = &w->t->bundle.config.roles[w->role];
    int64_t steps = w->frames + role->books - 1;
    for (int k = 0; k < SITUATIONS; k++)
        for (int32_t q = 0; q < role->books; q++)
            for (int64_t f = 0; f < w->frames; f++) {
                if (!w->batch->cells[k * (int64_t)w->frames + f]) continue;
                double bits = rg_tensor_get(out->nll[q], k * steps + f + q) / M_LN2;
                add(s, k, q, w->song, bits);
                add(s, k, ALL_BOOKS, w->song, bits);
                if (w->onset[f]) add(s, k, ONSETS, w->song, bits);
            }
}

static void add_scored(sums *s, int row, int column, int64_t song, double bits, int64_t n)
{
    if (n <= 0) return;
    s->bits[at(s, row, column, song)] += bits * (double)n;
    s->counts[at(s, row, column, song)] += n;
}

static void take_baseline_bits(const window *w, rg_baseline *const *baselines, sums *s)
{
    int32_t books = w->t->bundle.config.roles[w->role].books;
    for (int32_t q = 0; q < books; q++) {
        rg_baseline_bits b =
            rg_baseline_score(baselines[q], w->batch->codes[w->role] + q, w->frames, books);
        const double bits[] = {b.unigram, b.bigram, b.copy};
        for (int k = 0; k < 3; k++) {
            add_scored(s, UNIGRAM + k, q, w->song, bits[k], b.n);
            add_scored(s, UNIGRAM + k, ALL_BOOKS, w->song, bits[k], b.n);
        }
    }
}

static rg_status score_window(window *w, rg_baseline *const *baselines, sums *s, rg_error *err)
{
    rg_track_out out;
    RG_TRY(fill_window(w, err));
    RG_TRY(mark_onsets(w, err));
    rg_step_begin(w->t->e->ex, 0);
    rg_status status = rg_track_loss(w->t->e->ex, w->t->bundle.tracks, w->batch, &out);
    if (status != RG_OK) return rg_fail(err, status, "%s", w->t->e->ex->error.text);
    take_model_bits(w, &out, s);
    rg__accuracy_take(&w->accuracy, &w->t->bundle.config, w->batch, &out, TRUE_CONTEXT, w->song);
    take_baseline_bits(w, baselines, s);
    return RG_OK;
}

/* ---- a role ---- */

static void free_baselines(rg_baseline **baselines)
{
    for (int32_t q = 0; q < RG_TRACK_BOOKS; q++) rg_baseline_free(baselines[q]);
}

static void fit_song(const track_evaluation *t, int32_t role, int64_t song, int32_t *row,
                     rg_baseline **baselines)
{
    const rg_token_song *s = rg_tokens_song(t->tokens, song);
    int32_t books = t->bundle.config.roles[role].books;
    if (!s->codes[role]) return;
    for (int32_t q = 0; q < books; q++) {
        for (int64_t f = 0; f < s->frames; f++) row[f] = s->codes[role][f * books + q];
        rg_baseline_fit(baselines[q], row, s->frames, 1);
    }
}

/* Counts of the training songs, one model per codebook. */
static rg_status fit_baselines(const track_evaluation *t, int32_t role, rg_baseline **baselines,
                               rg_error *err)
{
    int64_t longest = 1;
    for (int32_t q = 0; q < t->bundle.config.roles[role].books; q++) {
        baselines[q] = rg_baseline_create(t->bundle.config.roles[role].entries, err);
        if (!baselines[q]) return err->code;
    }
    for (int64_t i = 0; i < rg_tokens_songs(t->tokens); i++)
        if (rg_tokens_song(t->tokens, i)->frames > longest)
            longest = rg_tokens_song(t->tokens, i)->frames;
    int32_t *row = malloc((size_t)longest * sizeof *row);
    if (!row) return rg_fail(err, RG_ERR_NOMEM, "no memory for baselines");
    for (int64_t i = 0; i < rg_tokens_songs(t->tokens); i++)
        if (rg_store_song(t->e->store, rg_tokens_song(t->tokens, i)->song)->split == RG_SPLIT_TRAIN)
            fit_song(t, role, i, row, baselines);
    free(row);
    return RG_OK;
}

int64_t rg__windows_of(const track_evaluation *t, int32_t role, int64_t per_song, int64_t most)
{
    int64_t songs = 0;
    for (int64_t i = 0; i < rg_tokens_songs(t->tokens); i++)
        songs += rg_track_data_has(t->data, i, role, t->e->options.split);
    if (songs == 0 || songs * per_song <= most) return songs * per_song;
    return songs > most ? songs : most / songs * songs;
}

static rg_status score_role(window *w, sums *s, rg_error *err)
{
    rg_baseline *baselines[RG_TRACK_BOOKS] = {0};
    rg_split split = w->t->e->options.split;
    const int64_t windows = rg__windows_of(w->t, w->role, WINDOWS_PER_SONG, MAX_WINDOWS);
    rg_progress progress;
    rg_progress_start(&progress, "bits per token", windows);
    rg_status status = fit_baselines(w->t, w->role, baselines, err);
    for (int64_t i = 0; i < windows && status == RG_OK; i++) {
        status = rg__eval_check_stop(w->t->e, err);
        if (!rg_track_data_fixed(w->t->data, split, w->role, w->frames, i, &w->song, &w->first))
            break;
        if (status == RG_OK) status = score_window(w, baselines, s, err);
        rg_progress_step(&progress, w->t->e->log, i + 1, w->t->bundle.config.roles[w->role].name);
    }
    free_baselines(baselines);
    return status;
}

/* ---- showing ---- */

static void role_table(const window *w, const sums *s)
{
    char id[64], caption[300];
    const rg_track_role *role = &w->t->bundle.config.roles[w->role];
    uint64_t seed = w->t->e->options.seed;
    rg_format(id, sizeof id, "bits-%s", role->name);
    rg_format(
        caption, sizeof caption,
        "%s: bits per token on held-out windows of %.1f s, whole track unknown. An even guess "
        "costs %.2f bits. “vs. true” is the paired difference to the first row; “onsets” "
        "counts frames in which a note begins.",
        role->name, w->frames / w->t->bundle.config.frame_rate, log2(role->entries));
    rg_table *table = rg_report_table(w->t->e->report, id, caption);
    int32_t all = rg_table_column(table, "bits", "All", "bit/token", RG_LOWER_BETTER, 3),
            gap = rg_table_column(table, "gap", "vs. true", "bit/token", RG_NO_DIRECTION, 3),
            on = rg_table_column(table, "onsets", "Onsets", "bit/token", RG_LOWER_BETTER, 3);
    for (int32_t q = 0; q < role->books; q++) {
        char name[24], column[24];
        rg_format(name, sizeof name, "Book %d", q);
        rg_format(column, sizeof column, "book%d", q);
        rg_table_column(table, column, name, "bit", RG_LOWER_BETTER, 3);
    }
    for (int k = 0; k < ROWS; k++) {
        int32_t row = rg_table_row(table,
                                   k == TRUE_CONTEXT ? RG_ROW_OURS
                                   : k >= SITUATIONS ? RG_ROW_FLOOR
                                                     : RG_ROW_PLAIN,
                                   "%s", row_names[k]);
        rg_table_interval(table, row, all, interval(s, k, -1, ALL_BOOKS, seed));
        if (k != TRUE_CONTEXT)
            rg_table_interval(table, row, gap, interval(s, k, TRUE_CONTEXT, ALL_BOOKS, seed));
        if (k < SITUATIONS) rg_table_interval(table, row, on, interval(s, k, -1, ONSETS, seed));
        for (int32_t q = 0; q < role->books; q++)
            rg_table_interval(table, row, on + 1 + q, interval(s, k, -1, q, seed));
    }
}

/* The headline's table, and what is said of all roles together. */
typedef struct headline {
    rg_table *table, *accuracy;
    judgement unigram, bigram, context;
} headline;

static void judge_role(const window *w, const sums *s, headline *h)
{
    const char *role = w->t->bundle.config.roles[w->role].name;
    uint64_t seed = w->t->e->options.seed;
    rg__judge(&h->unigram, role, interval(s, UNIGRAM, TRUE_CONTEXT, ALL_BOOKS, seed), "bit");
    rg__judge(&h->bigram, role, interval(s, BIGRAM, TRUE_CONTEXT, ALL_BOOKS, seed), "bit");
    rg__judge(&h->context, role, interval(s, NO_CONTEXT, TRUE_CONTEXT, ALL_BOOKS, seed), "bit");
}

static void show_role(const window *w, const sums *s, rg_table *table)
{
    rg_report *report = w->t->e->report;
    const rg_track_role *role = &w->t->bundle.config.roles[w->role];
    static const int columns[] = {TRUE_CONTEXT, NO_CONTEXT, OTHER_SONG, BEAT_LATE, BIGRAM, UNIGRAM};
    rg_report_section(report, "headline", "In short");
    int32_t row = rg_table_row(table, RG_ROW_OURS, "%s", role->name);
    for (int32_t c = 0; c < 6; c++)
        rg_table_interval(table, row, c,
                          interval(s, columns[c], -1, ALL_BOOKS, w->t->e->options.seed));
    rg_table_number(table, row, 6, log2(role->entries));
    rg_interval bits = interval(s, TRUE_CONTEXT, -1, ALL_BOOKS, w->t->e->options.seed);
    rg_table_number(table, row, 7, bits.mean * role->books * w->t->bundle.config.frame_rate);
    rg_report_section(report, "bits", "Language models");
    role_table(w, s);
    for (int64_t i = 0; i < s->songs; i++)
        for (int k = 0; k < ROWS; k++) {
            int64_t where = at(s, k, ALL_BOOKS, i);
            if (s->counts[where] > 0)
                rg_report_item(report, rg_track_data_id(w->t->data, i), role->name, row_names[k],
                               s->bits[where] / (double)s->counts[where]);
        }
}

static rg_table *headline_table(rg_report *report)
{
    rg_report_section(report, "headline", "In short");
    rg_table *table = rg_report_table(
        report, "bits",
        "Bits per token on held-out songs: the model with the true other tracks visible, with "
        "none, with another song's at a similar tempo, with the true ones a beat late; then "
        "baselines counted on the training songs. The model listens only if the true context beats "
        "none.");
    static const char *const titles[] = {"True context", "No context",  "Another song",
                                         "A beat late",  "Bigram",      "Unigram",
                                         "Even guess",   "True context"};
    static const char *const ids[] = {"true",   "none",    "other", "late",
                                      "bigram", "unigram", "even",  "rate"};
    for (int i = 0; i < 8; i++)
        rg_table_column(table, ids[i], titles[i], i == 7 ? "bit/s" : "bit/token",
                        i == 6 ? RG_NO_DIRECTION : RG_LOWER_BETTER, i == 7 ? 0 : 3);
    return table;
}

static rg_status do_role(window *w, headline *h, rg_error *err)
{
    sums s = {.songs = rg_tokens_songs(w->t->tokens)};
    size_t n = (size_t)(ROWS * COLUMNS) * (size_t)s.songs;
    s.bits = calloc(n, sizeof *s.bits);
    s.counts = calloc(n, sizeof *s.counts);
    rg_status status = s.bits && s.counts ? rg__accuracy_make(&w->accuracy, s.songs, err)
                                          : rg_fail(err, RG_ERR_NOMEM, "no memory for bits");
    if (status == RG_OK) status = score_role(w, &s, err);
    if (status == RG_OK) {
        judge_role(w, &s, h);
        show_role(w, &s, h->table);
        rg__accuracy_row(h->accuracy, w->t->bundle.config.roles[w->role].name, &w->accuracy,
                         w->t->e->options.seed);
    }
    rg__accuracy_free(&w->accuracy);
    free(s.bits);
    free(s.counts);
    return status;
}

rg_status rg__track_bits(track_evaluation *t, rg_error *err)
{
    const rg_track_config *config = &t->bundle.config;
    window w = {.t = t, .frames = config->frames};
    w.batch = rg_track_batch_create(config, SITUATIONS, w.frames, err);
    w.onset = malloc((size_t)w.frames);
    headline h = {0};
    rg_status status =
        w.batch && w.onset ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for a window");
    h.table = headline_table(t->e->report);
    rg_report_section(t->e->report, "bits", "Language models");
    h.accuracy = rg__accuracy_table(t->e->report);
    for (w.role = 0; w.role < config->n_roles && status == RG_OK; w.role++)
        status = do_role(&w, &h, err);
    if (status == RG_OK) {
        rg_report_section(t->e->report, "headline", "In short");
        rg__judge_say(t->e->report, &h.unigram, "The language model beats the unigram baseline");
        rg__judge_say(t->e->report, &h.bigram, "It beats the bigram baseline");
        rg__judge_say(t->e->report, &h.context, "Seeing the other tracks helps it");
    }
    rg_track_batch_free(w.batch);
    free(w.onset);
    return status;
}
