/*
 * What a MIDI file says about its music: beat grid, key, identity, likeness (midi.h).
 *
 * One idea: the file's own tempo and meter events are the truth; where they are missing or odd,
 * nothing is claimed.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "datasets/midi.h"

enum { HASHED_NOTES = 400, SIGNATURE_NOTES = 3000, RUN = 7, MAX_BEATS = 1 << 18 };

/* ---- beats ---- */

/* Ticks of a beat and beats of a bar for a meter; false for none or an odd one. */
static bool beat_of(const rg_midi *m, const rg_midi_meter *meter, int64_t *ticks, int32_t *beats)
{
    *ticks = m->division;
    *beats = 0;
    if (!meter || meter->numerator < 2 || meter->numerator > 16 || meter->denominator < 1 ||
        meter->denominator > 8 || (meter->denominator == 8 && meter->numerator % 3 != 0))
        return false;
    bool compound = meter->denominator == 8;
    *beats = compound ? meter->numerator / 3 : meter->numerator;
    *ticks =
        compound ? (int64_t)m->division * 3 / 2 : (int64_t)m->division * 4 / meter->denominator;
    return *ticks > 0 && *beats > 1;
}

/* Walks the tempo map; ticks must not fall between calls. */
typedef struct clock_of {
    const rg_midi *midi;
    int64_t next, tick;
    double seconds, tempo;
} clock_of;

static double seconds_at(clock_of *c, int64_t tick)
{
    const rg_midi *m = c->midi;
    while (c->next < m->n_tempos && m->tempos[c->next].tick <= tick) {
        const rg_midi_tempo *t = &m->tempos[c->next++];
        c->tick = t->tick;
        c->seconds = t->seconds;
        c->tempo = t->microseconds;
    }
    return c->seconds + (double)(tick - c->tick) * c->tempo * 1e-6 / m->division;
}

double rg_midi_seconds_at(const rg_midi *midi, int64_t tick)
{
    clock_of clock = {.midi = midi, .tempo = 500000};
    return midi->division > 0 ? seconds_at(&clock, tick) : 0;
}

/* How many beats stand under each bar length (0: an unknown one) and each time signature. */
typedef struct ballot {
    int64_t bar[17], signature[17][9];
} ballot;

/* Beats of one stretch under one meter, from tick `from` up to `to`. */
static void fill_stretch(const rg_midi *m, const rg_midi_meter *meter, int64_t from, int64_t to,
                         clock_of *clock, rg_midi_grid *g, ballot *votes)
{
    int64_t step, added = 0;
    int32_t beats;
    bool known = beat_of(m, meter, &step, &beats);
    for (int64_t tick = from; tick < to && g->n_beats < MAX_BEATS; tick += step, added++) {
        double t = seconds_at(clock, tick);
        g->beats[g->n_beats++] = t;
        if (known && added % beats == 0) g->downbeats[g->n_downbeats++] = t;
    }
    votes->bar[known ? beats : 0] += added;
    if (known) votes->signature[meter->numerator][meter->denominator] += added;
}

/* The bar length that most beats have, and the signature that most of those are written in. */
static void elect(const ballot *votes, rg_midi_grid *g)
{
    int64_t most = 0;
    for (int32_t b = 1; b < 17; b++)
        if (votes->bar[b] > votes->bar[g->meter]) g->meter = b;
    for (int32_t d = 1; d < 9; d++) {
        int32_t n = d == 8 ? 3 * g->meter : g->meter;
        if (n < 2 || n > 16 || votes->signature[n][d] <= most) continue;
        most = votes->signature[n][d];
        snprintf(g->signature, sizeof g->signature, "%d/%d", n, d);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static rg_status median_tempo(rg_midi_grid *g, rg_error *err)
{
    if (g->n_beats < 2) return RG_OK;
    int64_t n = g->n_beats - 1;
    double *gaps = malloc((size_t)n * sizeof *gaps);
    if (!gaps) return rg_fail(err, RG_ERR_NOMEM, "no memory for a beat grid");
    for (int64_t i = 0; i < n; i++) gaps[i] = g->beats[i + 1] - g->beats[i];
    qsort(gaps, (size_t)n, sizeof *gaps, by_value);
    double gap = gaps[n / 2];
    free(gaps);
    g->tempo_bpm = gap > 0.1 && gap < 3 ? round(6000 / gap) / 100 : 0;
    return RG_OK;
}

rg_status rg_midi_beats(const rg_midi *m, rg_midi_grid *g, rg_error *err)
{
    *g = (rg_midi_grid){0};
    if (m->division <= 0) return RG_OK;
    int64_t shortest = m->division / 2 > 0 ? m->division / 2 : 1; /* of the beats of n/8 */
    int64_t room = m->ticks / shortest + m->n_meters + 2;
    if (room > MAX_BEATS) room = MAX_BEATS;
    g->beats = malloc((size_t)room * sizeof *g->beats);
    g->downbeats = malloc((size_t)room * sizeof *g->downbeats);
    if (!g->beats || !g->downbeats) {
        rg_midi_grid_free(g);
        return rg_fail(err, RG_ERR_NOMEM, "no memory for a beat grid");
    }
    ballot votes = {0};
    int64_t from = 0;
    clock_of clock = {.midi = m, .tempo = 500000};
    for (int64_t i = -1; i < m->n_meters; i++) {
        int64_t to = i + 1 < m->n_meters ? m->meters[i + 1].tick : m->ticks + 1;
        if (to > from && g->n_beats < room)
            fill_stretch(m, i < 0 ? NULL : &m->meters[i], from, to, &clock, g, &votes);
        from = to;
    }
    elect(&votes, g);
    return median_tempo(g, err);
}

void rg_midi_grid_free(rg_midi_grid *grid)
{
    free(grid->beats);
    free(grid->downbeats);
    *grid = (rg_midi_grid){0};
}

/* ---- key ---- */

void rg_midi_key_of(const rg_midi *m, int32_t *tonic, int32_t *minor)
{
    *tonic = -1;
    *minor = 0;
    for (int64_t i = 0; i < m->n_keys; i++) {
        const rg_midi_key *k = &m->keys[i];
        if (k->sharps < -7 || k->sharps > 7) return;
        if (k->sharps != m->keys[0].sharps || k->minor != m->keys[0].minor) {
            *tonic = -1; /* several keys: none is the song's */
            return;
        }
        if (k->sharps == 0 && !k->minor) return; /* the default of many programs */
        *tonic = (((k->sharps * 7 + (k->minor ? 9 : 0)) % 12) + 12) % 12;
        *minor = k->minor;
    }
}

/* ---- identity ---- */

void rg_midi_content_hash(const rg_midi *m, char hex[33])
{
    char text[HASHED_NOTES * 24], full[RG_SHA256_HEX];
    size_t n = 0;
    for (int64_t i = 0; i < m->n_notes && i < HASHED_NOTES; i++) {
        const rg_midi_note *note = &m->notes[i];
        int added =
            snprintf(text + n, sizeof text - n, "%lld:%d:%d;",
                     (long long)fmin(nearbyint(note->on * 20), 1e9), note->channel, note->pitch);
        n += (size_t)added;
    }
    rg_sha256_of(text, n, full);
    memcpy(hex, full, 32);
    hex[32] = 0;
}

static int by_run(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

rg_status rg_midi_signature(const rg_midi *m, uint64_t **runs, int64_t *n, rg_error *err)
{
    uint8_t pitch[SIGNATURE_NOTES];
    int64_t notes = 0, count = 0;
    for (int64_t i = 0; i < m->n_notes && notes < SIGNATURE_NOTES; i++)
        if (m->notes[i].channel != RG_MIDI_DRUM_CHANNEL) pitch[notes++] = m->notes[i].pitch;
    *n = 0;
    *runs = malloc(SIGNATURE_NOTES * sizeof **runs);
    if (!*runs) return rg_fail(err, RG_ERR_NOMEM, "no memory for a signature");
    for (int64_t i = 0; i + RUN < notes; i++) {
        uint64_t run = 0;
        for (int k = 0; k < RUN; k++) run = run << 8 | (uint8_t)(pitch[i + k + 1] - pitch[i + k]);
        (*runs)[count++] = run;
    }
    qsort(*runs, (size_t)count, sizeof **runs, by_run);
    for (int64_t i = 0; i < count; i++)
        if (i == 0 || (*runs)[i] != (*runs)[i - 1]) (*runs)[(*n)++] = (*runs)[i];
    return RG_OK;
}

double rg_midi_likeness(const uint64_t *a, int64_t na, const uint64_t *b, int64_t nb)
{
    if (na <= 50 || nb <= 50) return 0;
    int64_t shared = 0;
    for (int64_t i = 0, k = 0; i < na && k < nb;) {
        if (a[i] == b[k])
            shared++, i++, k++;
        else if (a[i] < b[k])
            i++;
        else
            k++;
    }
    return (double)shared / (double)(na < nb ? na : nb);
}
