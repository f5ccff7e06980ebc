/*
 * Chords by weighted pitch classes and Viterbi (chords.h).
 */
#include "music/features/chords.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "music/features/chroma.h"

enum { KINDS = RG_CHORD_DIM + 1, STATES = 12 * KINDS + 1, NONE = STATES - 1 };
/* The chance that a chord goes on for a tenth of a second (for a beat, into a bar); how unlike any
 * chord a sound is that is none, and how much that weighs. */
static const double stay_frame = 0.98, stay_beat = 0.9, stay_bar = 0.1;
static const double none_cosine = 0.55, none_weight = 60;

/*
 * How much each pitch class above the root speaks for a kind of chord: a multinomial logistic
 * regression (experiments/features), 1.5 times as sharp. More than notes: a fifth below each one
 * sounds too, as far as votes go, so it speaks against.
 */
static const struct kind {
    const char *name;
    int third, fifth;
    double bias, weights[12];
} kinds[KINDS] = {
    {"maj", 4, 7, 0.2, {18.6, -19.7, 8.4, -19.5, 22.3, -0.8, -12.8, 15.7, 6.9, -4.3, -13.2, 4.1}},
    {"min", 3, 7, -4.2, {24.1, -14.6, 10.2, 30, -0.9, -5.2, -18.2, 21.8, -12.5, -7.3, -10, 1.1}},
    {"7", 4, 7, 3.4, {11.7, -19.5, 6.4, -24.9, 22.2, -0.7, -12.9, 12.3, -3.9, -9.8, 18.9, -9.4}},
    {"maj7", 4, 7, 1.9, {19.3, -22.4, -4.6, -10.6, 13.5, -6.9, 0.4, 14.3, -5.9, -7, -26.8, 20.0}},
    {"min7", 3, 7, -2.2, {22, -25.7, 5.1, 15.7, -7.6, -0.7, -13.5, 20, -13.2, -11.1, 13.4, -6.5}},
    {"dim", 3, 6, 0.9, {28.1, -3.3, -13.5, 11.9, -7.4, -6.5, 26.4, -0.3, -15.2, -2.9, 6.6, -20.1}},
};

const char *rg_pitch_name(int32_t pitch_class)
{
    static const char *const names[] = {"C",  "Db", "D",  "Eb", "E",  "F",
                                        "F#", "G",  "Ab", "A",  "Bb", "B"};
    return names[(pitch_class % 12 + 12) % 12];
}

const char *rg_chord_label(const rg_chord *chord, char out[16])
{
    if (chord->root < 0)
        snprintf(out, 16, "N");
    else
        snprintf(out, 16, "%s:%s", rg_pitch_name(chord->root), kinds[chord->kind].name);
    return out;
}

static double length_of(const double row[12])
{
    double square = 0;
    for (int c = 0; c < 12; c++) square += row[c] * row[c];
    return sqrt(square);
}

/* Cosine of a row with the three notes of a chord. */
static double likeness(const double row[12], int state)
{
    const struct kind *k = &kinds[state / 12];
    int root = state % 12;
    double sum = row[root] + row[(root + k->third) % 12] + row[(root + k->fifth) % 12],
           length = length_of(row);
    return length > 0 ? sum / (sqrt(3) * length) : 0;
}

/* What speaks for each kind on each root (12 kind + root), and for none. */
static void weigh(const double row[12], double out[STATES])
{
    double length = length_of(row), scale = length > 0 ? 1 / length : 0;
    int best = 0;
    for (int state = 0; state < NONE; state++) {
        const struct kind *k = &kinds[state / 12];
        double sum = 0;
        for (int c = 0; c < 12; c++) sum += k->weights[c] * row[(state + c) % 12];
        out[state] = sum * scale + k->bias;
        if (out[state] > out[best]) best = state;
    }
    out[NONE] = out[best] + none_weight * (none_cosine - likeness(row, best));
}

/* Rows between two cuts are one step of the path. */
typedef struct steps {
    int64_t n;
    int64_t *cuts; /* (n+1) frames, rising; cuts[n] = all */
    double *stay;  /* (n) chance that the chord before goes on */
} steps;

static void add_step(steps *s, int64_t at, double stay)
{
    if (at <= s->cuts[s->n]) return;
    s->cuts[++s->n] = at;
    s->stay[s->n] = stay;
}

static rg_status make_steps(int64_t frames, const rg_chord_grid *grid, steps *s, rg_error *err)
{
    int64_t most = grid ? grid->n + 1 : frames;
    *s = (steps){.cuts = calloc((size_t)most + 1, sizeof *s->cuts),
                 .stay = calloc((size_t)most + 1, sizeof *s->stay)};
    if (!s->cuts || !s->stay) return rg_fail(err, RG_ERR_NOMEM, "no memory for chords");
    for (int64_t i = 0; grid && i < grid->n; i++) {
        bool bar = i >= grid->first && (i - grid->first) % grid->length == 0;
        int64_t at = llround(grid->beats_s[i] * RG_CHROMA_RATE);
        if (at < frames) add_step(s, at, bar ? stay_bar : stay_beat);
    }
    for (int64_t i = 1; !grid && i < frames; i++) add_step(s, i, stay_frame);
    s->cuts[++s->n] = frames;
    return RG_OK;
}

static void sum_rows(const float *chroma, int64_t from, int64_t to, double row[12])
{
    memset(row, 0, 12 * sizeof *row);
    for (int64_t t = from; t < to; t++)
        for (int c = 0; c < 12; c++) row[c] += chroma[t * 12 + c];
}

/* path (n): the likeliest states. */
static rg_status find_path(const float *chroma, const steps *s, uint8_t *path, rg_error *err)
{
    uint8_t *before = malloc((size_t)s->n * STATES);
    double score[STATES] = {0};
    if (!before) return rg_fail(err, RG_ERR_NOMEM, "no memory for chords");
    for (int64_t i = 0; i < s->n; i++) {
        double row[12], weights[STATES], stay = i > 0 ? s->stay[i] : stay_beat,
                                         change = log((1 - stay) / (STATES - 1)), go_on = log(stay);
        int best = 0;
        sum_rows(chroma, s->cuts[i], s->cuts[i + 1], row);
        weigh(row, weights);
        for (int k = 1; k < STATES; k++)
            if (score[k] > score[best]) best = k;
        for (int k = 0; k < STATES; k++) {
            bool stays = i == 0 || score[k] + go_on >= score[best] + change;
            before[i * STATES + k] = (uint8_t)(stays ? k : best);
        }
        double top = score[best];
        for (int k = 0; k < STATES; k++)
            score[k] = fmax(score[k] + go_on, top + change) - top + weights[k];
    }
    int state = 0;
    for (int k = 1; k < STATES; k++)
        if (score[k] > score[state]) state = k;
    for (int64_t i = s->n - 1; i >= 0; i--) {
        path[i] = (uint8_t)state;
        state = before[i * STATES + state];
    }
    free(before);
    return RG_OK;
}

static rg_chord make_chord(const float *chroma, int64_t from, int64_t to, int state)
{
    rg_chord chord = {
        .start_s = (double)from / RG_CHROMA_RATE, .end_s = (double)to / RG_CHROMA_RATE, .root = -1};
    double row[12];
    sum_rows(chroma, from, to, row);
    if (state == NONE) {
        chord.confidence = length_of(row) > 0 ? none_cosine : 1;
        return chord;
    }
    chord.confidence = fmin(1, likeness(row, state));
    chord.root = state % 12;
    chord.kind = (rg_chord_kind)(state / 12);
    return chord;
}

rg_status rg_chords_of(const float *chroma, int64_t frames, const rg_chord_grid *grid,
                       rg_chord **chords, int64_t *n, rg_error *err)
{
    steps s = {0};
    *chords = NULL;
    *n = 0;
    if (frames < 1) return RG_OK;
    rg_status status = make_steps(frames, grid, &s, err);
    uint8_t *path = malloc((size_t)s.n + 1);
    if (!path) status = rg_fail(err, RG_ERR_NOMEM, "no memory for chords");
    if (status == RG_OK) status = find_path(chroma, &s, path, err);
    if (status == RG_OK && !(*chords = calloc((size_t)s.n, sizeof **chords)))
        status = rg_fail(err, RG_ERR_NOMEM, "no memory for chords");
    for (int64_t i = 0, from = 0; status == RG_OK && i < s.n; i++) {
        if (i + 1 < s.n && path[i + 1] == path[i]) continue;
        (*chords)[(*n)++] = make_chord(chroma, s.cuts[from], s.cuts[i + 1], path[i]);
        from = i + 1;
    }
    free(path);
    free(s.cuts);
    free(s.stay);
    return status;
}
