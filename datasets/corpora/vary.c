/*
 * Changing songs (vary.h).
 */
#include "datasets/corpora/vary.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "base/text.h"

enum { MOST_SEMITONES = 5 };

/* General MIDI programs that can stand for each other; what is in no row stays as it is. */
static const uint8_t families[][2] = {{0, 7},   {8, 15},  {16, 23},  {24, 31}, {32, 39},
                                      {40, 42}, {48, 54}, {56, 63},  {64, 71}, {72, 79},
                                      {80, 86}, {88, 95}, {104, 111}};
enum { FAMILIES = sizeof families / sizeof families[0] };

rg_change rg_change_none(void)
{
    rg_change c = {.speed = 1};
    for (int32_t p = 0; p < 128; p++) c.program[p] = (uint8_t)p;
    return c;
}

rg_change rg_change_draw(const char *id, int32_t copy)
{
    rg_rng rng = rg_rng_make((uint64_t)copy, rg_xxh3(id, strlen(id)));
    rg_change c = rg_change_none();
    c.semitones = (int32_t)rg_rng_below(&rng, 2 * MOST_SEMITONES) - MOST_SEMITONES;
    c.semitones += c.semitones >= 0;
    c.speed = 0.9 + 0.2 * rg_rng_uniform(&rng);
    for (int32_t f = 0; f < FAMILIES; f++) { /* a family is turned round: no two become one */
        int32_t low = families[f][0], n = families[f][1] - low + 1;
        int32_t turn = (int32_t)rg_rng_below(&rng, (uint64_t)n);
        for (int32_t k = 0; k < n; k++) c.program[low + k] = (uint8_t)(low + (k + turn) % n);
    }
    return c;
}

/* A pitch that would leave the range stays in it, an octave off. */
static uint8_t moved(uint8_t pitch, uint8_t channel, int32_t semitones)
{
    int32_t to = pitch + (channel == RG_MIDI_DRUM_CHANNEL ? 0 : semitones);
    return (uint8_t)(to < 0 ? to + 12 : to > 127 ? to - 12 : to);
}

static uint8_t program_of(const rg_change *c, uint8_t program, uint8_t channel)
{
    return channel == RG_MIDI_DRUM_CHANNEL ? program : c->program[program & 127];
}

static void change_events(rg_midi *m, const rg_change *c)
{
    for (int64_t i = 0; i < m->n_events; i++) {
        rg_midi_event *e = &m->events[i];
        e->seconds /= c->speed;
        if (e->kind <= 0xA0) e->a = moved(e->a, e->channel, c->semitones);
        if (e->kind == 0xC0) e->a = program_of(c, e->a, e->channel);
    }
    for (int64_t i = 0; i < m->n_notes; i++) {
        rg_midi_note *n = &m->notes[i];
        n->on /= c->speed;
        n->off /= c->speed;
        n->pitch = moved(n->pitch, n->channel, c->semitones);
        n->program = program_of(c, n->program, n->channel);
    }
    m->seconds /= c->speed;
}

static void change_parts(rg_midi_parts *parts, const rg_change *c)
{
    memset(parts->of, -1, sizeof parts->of);
    for (int32_t k = 0; k < parts->n; k++) {
        rg_midi_part *p = &parts->part[k];
        p->program = program_of(c, (uint8_t)p->program, (uint8_t)p->channel);
        parts->of[p->channel][p->program] = (int16_t)k;
    }
}

rg_status rg_change_song(const rg_candidate *song, const rg_change *change, int32_t copy,
                         rg_candidate *out, rg_error *err)
{
    const rg_midi *m = &song->midi;
    *out = *song;
    out->midi = (rg_midi){.division = m->division,
                          .ticks = m->ticks,
                          .seconds = m->seconds,
                          .n_events = m->n_events,
                          .n_notes = m->n_notes};
    out->midi.events = malloc((size_t)m->n_events * sizeof *m->events + 1);
    out->midi.notes = malloc((size_t)m->n_notes * sizeof *m->notes + 1);
    if (!out->midi.events || !out->midi.notes) {
        rg_midi_free(&out->midi);
        return rg_fail(err, RG_ERR_NOMEM, "%s: no memory for a copy", song->id);
    }
    memcpy(out->midi.events, m->events, (size_t)m->n_events * sizeof *m->events);
    memcpy(out->midi.notes, m->notes, (size_t)m->n_notes * sizeof *m->notes);
    change_events(&out->midi, change);
    change_parts(&out->parts, change);
    rg_midi_content_hash(&out->midi, out->content_hash);
    rg_format(out->id, sizeof out->id, "%.56s.a%d", song->id, copy);
    return RG_OK;
}

void rg_change_chord(const rg_change *change, char label[16])
{
    static const char *const roots[12] = {"C",  "Db", "D",  "Eb", "E",  "F",
                                          "F#", "G",  "Ab", "A",  "Bb", "B"};
    char rest[16];
    size_t n = strcspn(label, ":");
    for (int32_t k = 0; label[n] == ':' && k < 12; k++)
        if (strlen(roots[k]) == n && strncmp(label, roots[k], n) == 0) {
            rg_copy_text(rest, sizeof rest, label + n);
            rg_format(label, 16, "%s%.13s", roots[(k + change->semitones + 12) % 12], rest);
            return;
        }
}
