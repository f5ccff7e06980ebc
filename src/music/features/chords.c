/*
 * Chords by templates and Viterbi (chords.h).
 */
#include "music/features/chords.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "music/features/chroma.h"

enum { TRIADS = 24, STATES = TRIADS + 1, NONE = TRIADS };
/* Tuned on songs of known chords: the weight of a cosine, the chance that a chord goes on for a
 * tenth of a second (for a beat), how like no chord any sound is. */
static const double sharpness = 60, none_cosine = 0.55;
static const double stay_frame = 0.98, stay_beat = 0.9, stay_bar = 0.1;
/* A seventh is heard when it is this loud beside the triad's mean. */
static const double least_seventh = 0.75;

const char *rg_pitch_name(int32_t pitch_class)
{
    static const char *const names[] = {"C",  "Db", "D",  "Eb", "E",  "F",
                                        "F#", "G",  "Ab", "A",  "Bb", "B"};
    return names[(pitch_class % 12 + 12) % 12];
}

const char *rg_chord_label(const rg_chord *chord, char out[16])
{
    static const char *const kinds[] = {"maj", "min", "7", "maj7", "min7", "dim"};
    if (chord->root < 0)
        snprintf(out, 16, "N");
    else
        snprintf(out, 16, "%s:%s", rg_pitch_name(chord->root), kinds[chord->kind]);
    return out;
}

/* Cosines of a row with the triads (0..11 major, 12..23 minor) and with silence. */
static void compare(const double row[12], double out[STATES])
{
    double square = 0;
    for (int c = 0; c < 12; c++) square += row[c] * row[c];
    for (int k = 0; k < TRIADS; k++) {
        int root = k % 12, third = k < 12 ? 4 : 3;
        double sum = row[root] + row[(root + third) % 12] + row[(root + 7) % 12];
        out[k] = square > 0 ? sum / sqrt(3 * square) : 0;
    }
    out[NONE] = square > 0 ? none_cosine : 1;
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
        double row[12], cosines[STATES], stay = i > 0 ? s->stay[i] : stay_beat,
                                         change = log((1 - stay) / (STATES - 1)), go_on = log(stay);
        int best = 0;
        sum_rows(chroma, s->cuts[i], s->cuts[i + 1], row);
        compare(row, cosines);
        for (int k = 1; k < STATES; k++)
            if (score[k] > score[best]) best = k;
        for (int k = 0; k < STATES; k++) {
            bool stays = i == 0 || score[k] + go_on >= score[best] + change;
            before[i * STATES + k] = (uint8_t)(stays ? k : best);
        }
        double top = score[best];
        for (int k = 0; k < STATES; k++)
            score[k] = fmax(score[k] + go_on, top + change) - top + sharpness * cosines[k];
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

/* Which kind of chord on this root a span's chroma is. */
static rg_chord_kind kind_of(const double row[12], int32_t root, bool minor)
{
    double third = row[(root + (minor ? 3 : 4)) % 12], fifth = row[(root + 7) % 12],
           flat = row[(root + 10) % 12], sharp = row[(root + 11) % 12],
           triad = (row[root] + third + fifth) / 3, least = least_seventh * triad;
    if (minor && row[(root + 6) % 12] > 1.3 * fifth) return RG_CHORD_DIM;
    if (minor) return flat > least ? RG_CHORD_MIN7 : RG_CHORD_MIN;
    if (flat > least && flat >= sharp) return RG_CHORD_7;
    return sharp > least ? RG_CHORD_MAJ7 : RG_CHORD_MAJ;
}

static rg_chord make_chord(const float *chroma, int64_t from, int64_t to, int state)
{
    rg_chord chord = {
        .start_s = (double)from / RG_CHROMA_RATE, .end_s = (double)to / RG_CHROMA_RATE, .root = -1};
    double row[12], cosines[STATES];
    sum_rows(chroma, from, to, row);
    compare(row, cosines);
    chord.confidence = fmin(1, fmax(0, cosines[state]));
    if (state == NONE) return chord;
    chord.root = state % 12;
    chord.kind = kind_of(row, chord.root, state >= 12);
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
