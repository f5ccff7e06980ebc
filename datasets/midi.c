/*
 * The MIDI file reader (midi.h): chunks, events, time, notes.
 *
 * One idea: a cursor that never passes its end; every read of a byte beyond it sets `cut` and gives
 * 0, so the loops need one test each. Raw events keep ticks; seconds come after the merge.
 */
#include "datasets/midi.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { META_NAME = 3, META_END = 0x2F, META_TEMPO = 0x51, META_METER = 0x58, META_KEY = 0x59 };
enum { KIND_META = 0xF0, MAX_TICK = 1 << 30 };

typedef struct cursor {
    const uint8_t *at, *end;
    bool cut; /* something was read beyond the end */
} cursor;

/* An event as it stands in the file: a channel message, or a meta event of ours. */
typedef struct raw {
    int64_t tick;
    int64_t order; /* position in the file, to keep equal ticks stable */
    uint16_t track;
    uint8_t kind, channel, a, b;
    int32_t value; /* meta: tempo, meter or key, packed */
} raw;

typedef struct reader {
    rg_midi *midi;
    const char *name;
    raw *events;
    int64_t n, capacity;
    rg_error *err;
} reader;

static uint8_t byte_of(cursor *c)
{
    if (c->at >= c->end) {
        c->cut = true;
        return 0;
    }
    return *c->at++;
}

static uint32_t number_of(cursor *c, int bytes)
{
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++) v = v << 8 | byte_of(c);
    return v;
}

/* A variable-length number of at most 4 bytes; longer ones count as cut. */
static uint32_t variable_of(cursor *c)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t b = byte_of(c);
        v = v << 7 | (b & 127);
        if (b < 128) return v;
    }
    c->cut = true;
    return v;
}

static cursor part_of(cursor *c, uint32_t n)
{
    size_t left = (size_t)(c->end - c->at);
    cursor part = {c->at, c->at + (n < left ? n : left), n > left};
    c->at = part.end;
    if (part.cut) c->cut = true;
    return part;
}

static void warn(rg_midi *midi, const char *what, int track)
{
    if (midi->warnings++ == 0)
        snprintf(midi->first_warning, sizeof midi->first_warning, "track %d: %s", track, what);
}

static rg_status push(reader *r, raw event)
{
    if (r->n >= RG_MIDI_MAX_EVENTS)
        return rg_fail(r->err, RG_ERR_FORMAT, "%s: more than %d events", r->name,
                       RG_MIDI_MAX_EVENTS);
    if (r->n == r->capacity) {
        int64_t capacity = r->capacity ? 2 * r->capacity : 1024;
        raw *grown = realloc(r->events, (size_t)capacity * sizeof *grown);
        if (!grown) return rg_fail(r->err, RG_ERR_NOMEM, "%s: no memory for its events", r->name);
        r->events = grown;
        r->capacity = capacity;
    }
    event.order = r->n;
    r->events[r->n++] = event;
    return RG_OK;
}

/* Latin-1 to UTF-8, control characters dropped, blanks at the ends trimmed. */
static void copy_name(char out[RG_MIDI_NAME], cursor text)
{
    size_t n = 0;
    while (text.at < text.end && n + 3 < RG_MIDI_NAME) {
        uint8_t b = *text.at++;
        if (b < 32 || (b >= 127 && b < 160) || (b == ' ' && n == 0)) continue;
        if (b >= 128) out[n++] = (char)(0xC0 | b >> 6);
        out[n++] = (char)(b >= 128 ? 0x80 | (b & 63) : b);
    }
    while (n > 0 && out[n - 1] == ' ') n--;
    out[n] = 0;
}

/* Meta events that matter become raw events with packed values; returns whether the track ends. */
static rg_status meta(reader *r, cursor *c, int64_t tick, uint16_t track, bool *ends)
{
    uint8_t type = byte_of(c);
    cursor d = part_of(c, variable_of(c));
    size_t n = (size_t)(d.end - d.at);
    raw e = {.tick = tick, .track = track, .kind = KIND_META, .a = type};
    *ends = type == META_END;
    if (d.cut) return RG_OK;
    if (type == META_NAME && n > 0) copy_name(r->midi->names[track], d);
    if (type == META_TEMPO && n == 3)
        e.value = (int32_t)number_of(&d, 3);
    else if (type == META_METER && n >= 2)
        e.value = d.at[0] | (d.at[1] & 63) << 8;
    else if (type == META_KEY && n >= 2)
        e.value = (uint8_t)d.at[0] | (d.at[1] & 1) << 8;
    else
        return RG_OK;
    return push(r, e);
}

/* Skips system messages: SysEx by length, the common ones by their own sizes, real time none. */
static void skip_system(cursor *c, uint8_t status)
{
    static const uint8_t sizes[16] = {[1] = 1, [2] = 2, [3] = 1};
    if (status == 0xF0 || status == 0xF7)
        part_of(c, variable_of(c));
    else
        part_of(c, sizes[status & 15]);
}

static rg_status channel_message(reader *r, cursor *c, int64_t tick, uint16_t track, uint8_t status)
{
    raw e = {.tick = tick, .track = track, .kind = status & 0xF0, .channel = status & 15};
    e.a = byte_of(c);
    if (e.kind != 0xC0 && e.kind != 0xD0) e.b = byte_of(c);
    if (c->cut) return RG_OK;
    if (e.a > 127 || e.b > 127) {
        warn(r->midi, "data byte above 127", track);
        return RG_OK;
    }
    return push(r, e);
}

static rg_status read_track(reader *r, cursor c, uint16_t track)
{
    int64_t tick = 0;
    uint8_t running = 0;
    for (bool ends = false; !ends && c.at < c.end && !c.cut;) {
        tick += variable_of(&c);
        if (tick > MAX_TICK) {
            warn(r->midi, "time beyond any song", track);
            return RG_OK;
        }
        uint8_t status = c.at < c.end ? *c.at : 0;
        if (status >= 0x80)
            c.at++;
        else
            status = running;
        if (status == 0) {
            warn(r->midi, "data without a status byte", track);
            return RG_OK;
        }
        if (status < 0xF0) running = status;
        if (status == 0xFF)
            RG_TRY(meta(r, &c, tick, track, &ends));
        else if (status >= 0xF0)
            skip_system(&c, status);
        else
            RG_TRY(channel_message(r, &c, tick, track, status));
    }
    if (c.cut) warn(r->midi, "cut short", track);
    return RG_OK;
}

static rg_status read_chunks(reader *r, const uint8_t *data, size_t n)
{
    const uint8_t *start = n >= 14 ? memmem(data, n, "MThd", 4) : NULL;
    if (!start || data + n - start < 14)
        return rg_fail(r->err, RG_ERR_FORMAT, "%s: is not a MIDI file (no MThd header)", r->name);
    cursor c = {start + 4, data + n, false};
    cursor header = part_of(&c, number_of(&c, 4));
    rg_midi *m = r->midi;
    m->format = (int32_t)number_of(&header, 2);
    uint32_t tracks = number_of(&header, 2);
    m->division = (int16_t)number_of(&header, 2);
    if (header.cut || m->division == 0 || (m->division < 0 && (m->division & 255) == 0))
        return rg_fail(r->err, RG_ERR_FORMAT, "%s: the header's time division is not valid",
                       r->name);
    if (tracks > RG_MIDI_MAX_TRACKS)
        return rg_fail(r->err, RG_ERR_FORMAT, "%s: %u tracks; at most %d are read", r->name, tracks,
                       RG_MIDI_MAX_TRACKS);
    m->names = calloc(tracks ? tracks : 1, sizeof *m->names);
    if (!m->names) return rg_fail(r->err, RG_ERR_NOMEM, "%s: no memory", r->name);
    while (m->n_tracks < (int64_t)tracks && c.end - c.at >= 8) {
        bool is_track = memcmp(c.at, "MTrk", 4) == 0;
        c.at += 4;
        uint32_t size = number_of(&c, 4);
        cursor part = part_of(&c, size);
        if (part.cut) warn(m, "the file ends before it", (int)m->n_tracks);
        part.cut = false;
        if (is_track) RG_TRY(read_track(r, part, (uint16_t)m->n_tracks++));
    }
    return RG_OK;
}

static int by_time(const void *a, const void *b)
{
    const raw *x = a, *y = b;
    if (x->tick != y->tick) return x->tick < y->tick ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

/* ---- seconds ---- */

static double seconds_per_tick(const rg_midi *m, double microseconds)
{
    if (m->division > 0) return microseconds * 1e-6 / m->division;
    int frames = -(m->division >> 8);
    return 1.0 / ((frames ? frames : 25) * (m->division & 255));
}

static void take_meta(rg_midi *m, const raw *e, double seconds)
{
    if (e->a == META_TEMPO)
        m->tempos[m->n_tempos++] = (rg_midi_tempo){seconds, e->value, e->tick};
    else if (e->a == META_METER)
        m->meters[m->n_meters++] = (rg_midi_meter){seconds, e->tick, e->value & 255,
                                                   (e->value >> 8) < 16 ? 1 << (e->value >> 8) : 0};
    else
        m->keys[m->n_keys++] = (rg_midi_key){seconds, (int8_t)(e->value & 255), e->value >> 8};
}

static int64_t count_meta(const reader *r, uint8_t type)
{
    int64_t n = 0;
    for (int64_t i = 0; i < r->n; i++)
        n += r->events[i].kind == KIND_META && r->events[i].a == type;
    return n;
}

static rg_status give_seconds(reader *r)
{
    rg_midi *m = r->midi;
    m->events = malloc((size_t)(r->n + 1) * sizeof *m->events);
    m->tempos = malloc((size_t)(count_meta(r, META_TEMPO) + 1) * sizeof *m->tempos);
    m->meters = malloc((size_t)(count_meta(r, META_METER) + 1) * sizeof *m->meters);
    m->keys = malloc((size_t)(count_meta(r, META_KEY) + 1) * sizeof *m->keys);
    if (!m->events || !m->tempos || !m->meters || !m->keys)
        return rg_fail(r->err, RG_ERR_NOMEM, "%s: no memory for its events", r->name);
    double now = 0, tempo = 500000;
    int64_t last = 0;
    for (int64_t i = 0; i < r->n; i++) {
        const raw *e = &r->events[i];
        now += (double)(e->tick - last) * seconds_per_tick(m, tempo);
        last = e->tick;
        if (e->kind == KIND_META) {
            if (e->a == META_TEMPO && e->value == 0) continue;
            take_meta(m, e, now);
            if (e->a == META_TEMPO) tempo = e->value;
            continue;
        }
        m->events[m->n_events++] =
            (rg_midi_event){now, e->tick, e->track, e->kind, e->channel, e->a, e->b};
    }
    m->ticks = last;
    m->seconds = now;
    return RG_OK;
}

/* ---- notes ---- */

static int by_onset(const void *a, const void *b)
{
    const rg_midi_note *x = a, *y = b;
    if (x->on != y->on) return x->on < y->on ? -1 : 1;
    if (x->off != y->off) return x->off < y->off ? -1 : 1;
    if (x->channel != y->channel) return x->channel < y->channel ? -1 : 1;
    if (x->track != y->track) return x->track < y->track ? -1 : 1;
    return (int)x->pitch - (int)y->pitch;
}

/* Open notes of each (channel, pitch) form a queue through `next`; -1 ends it. */
static rg_status pair_notes(reader *r)
{
    rg_midi *m = r->midi;
    int64_t *next = malloc((size_t)(m->n_events + 1) * sizeof *next);
    int64_t *head = malloc(2 * 16 * 128 * sizeof *head), *tail = head ? head + 16 * 128 : NULL;
    m->notes = malloc((size_t)(m->n_events + 1) * sizeof *m->notes);
    uint8_t program[16] = {0};
    rg_status status = RG_OK;
    if (!next || !head || !m->notes)
        status = rg_fail(r->err, RG_ERR_NOMEM, "%s: no memory for its notes", r->name);
    for (int k = 0; status == RG_OK && k < 16 * 128; k++) head[k] = tail[k] = -1;
    for (int64_t i = 0; status == RG_OK && i < m->n_events; i++) {
        const rg_midi_event *e = &m->events[i];
        int key = e->channel * 128 + e->a;
        if (e->kind == 0xC0) program[e->channel] = e->a;
        if (e->kind == 0x90 && e->b > 0) {
            m->notes[m->n_notes] = (rg_midi_note){.on = e->seconds,
                                                  .off = m->seconds,
                                                  .track = e->track,
                                                  .channel = e->channel,
                                                  .program = program[e->channel],
                                                  .pitch = e->a,
                                                  .velocity = e->b};
            next[m->n_notes] = -1;
            if (head[key] < 0)
                head[key] = m->n_notes;
            else
                next[tail[key]] = m->n_notes;
            tail[key] = m->n_notes++;
        } else if ((e->kind == 0x80 || e->kind == 0x90) && head[key] >= 0) {
            m->notes[head[key]].off = e->seconds;
            head[key] = next[head[key]];
        }
    }
    if (status == RG_OK) qsort(m->notes, (size_t)m->n_notes, sizeof *m->notes, by_onset);
    free(next);
    free(head);
    return status;
}

rg_status rg_midi_parse(const void *data, size_t n, const char *name, rg_midi *out, rg_error *err)
{
    *out = (rg_midi){0};
    if (n > RG_MIDI_MAX_BYTES)
        return rg_fail(err, RG_ERR_FORMAT, "%s: larger than %d MiB, the most for a MIDI file", name,
                       RG_MIDI_MAX_BYTES >> 20);
    reader r = {.midi = out, .name = name, .err = err};
    rg_status status = read_chunks(&r, data, n);
    if (status == RG_OK && r.n > 0) qsort(r.events, (size_t)r.n, sizeof *r.events, by_time);
    if (status == RG_OK) status = give_seconds(&r);
    if (status == RG_OK) status = pair_notes(&r);
    free(r.events);
    if (status != RG_OK) rg_midi_free(out);
    return status;
}

void rg_midi_free(rg_midi *midi)
{
    free(midi->events);
    free(midi->notes);
    free(midi->tempos);
    free(midi->meters);
    free(midi->keys);
    free(midi->names);
    *midi = (rg_midi){0};
}
