/*
 * Standard MIDI Files written byte by byte, for tests: our own music, nothing else.
 *
 * One idea: header only; a growing buffer with one function per kind of event; times are deltas.
 */
#ifndef RG_TESTS_MIDI_BYTES_H
#define RG_TESTS_MIDI_BYTES_H

#include <stdint.h>
#include <string.h>

enum { RG_MIDI_BYTES = 1 << 16 };

typedef struct rg_midi_bytes {
    uint8_t data[RG_MIDI_BYTES];
    size_t n, track; /* track: where the length of the open track stands */
} rg_midi_bytes;

static inline void rg_mb_byte(rg_midi_bytes *b, int v)
{
    if (b->n < RG_MIDI_BYTES) b->data[b->n++] = (uint8_t)v;
}

static inline void rg_mb_number(rg_midi_bytes *b, uint32_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--) rg_mb_byte(b, (int)(v >> (8 * i) & 255));
}

static inline void rg_mb_delta(rg_midi_bytes *b, uint32_t v)
{
    for (int i = 3; i > 0; i--)
        if (v >> (7 * i)) rg_mb_byte(b, (int)((v >> (7 * i) & 127) | 128));
    rg_mb_byte(b, (int)(v & 127));
}

static inline void rg_mb_header(rg_midi_bytes *b, int format, int tracks, int division)
{
    b->n = 0;
    memcpy(b->data, "MThd", 4);
    b->n = 4;
    rg_mb_number(b, 6, 4);
    rg_mb_number(b, (uint32_t)format, 2);
    rg_mb_number(b, (uint32_t)tracks, 2);
    rg_mb_number(b, (uint32_t)division & 0xFFFF, 2);
}

static inline void rg_mb_begin(rg_midi_bytes *b)
{
    memcpy(b->data + b->n, "MTrk", 4);
    b->n += 4;
    b->track = b->n;
    rg_mb_number(b, 0, 4);
}

static inline void rg_mb_meta(rg_midi_bytes *b, uint32_t delta, int type, const void *data,
                              size_t n)
{
    rg_mb_delta(b, delta);
    rg_mb_byte(b, 0xFF);
    rg_mb_byte(b, type);
    rg_mb_delta(b, (uint32_t)n);
    for (size_t i = 0; i < n; i++) rg_mb_byte(b, ((const uint8_t *)data)[i]);
}

/* Sets the length of the open track; with `ends` the end-of-track event first. */
static inline void rg_mb_end(rg_midi_bytes *b, int ends)
{
    if (ends) rg_mb_meta(b, 0, 0x2F, "", 0);
    uint32_t length = (uint32_t)(b->n - b->track - 4);
    for (int i = 0; i < 4; i++) b->data[b->track + (size_t)i] = (uint8_t)(length >> (24 - 8 * i));
}

static inline void rg_mb_event(rg_midi_bytes *b, uint32_t delta, int status, int a, int c)
{
    rg_mb_delta(b, delta);
    rg_mb_byte(b, status);
    rg_mb_byte(b, a);
    if ((status & 0xF0) != 0xC0 && (status & 0xF0) != 0xD0) rg_mb_byte(b, c);
}

static inline void rg_mb_tempo(rg_midi_bytes *b, uint32_t delta, uint32_t microseconds)
{
    uint8_t d[3] = {(uint8_t)(microseconds >> 16), (uint8_t)(microseconds >> 8),
                    (uint8_t)microseconds};
    rg_mb_meta(b, delta, 0x51, d, 3);
}

static inline void rg_mb_name(rg_midi_bytes *b, const char *name)
{
    rg_mb_meta(b, 0, 3, name, strlen(name));
}

/* A note that begins `delta` ticks after the last event. */
static inline void rg_mb_note(rg_midi_bytes *b, uint32_t delta, uint32_t length, int channel,
                              int pitch, int velocity)
{
    rg_mb_event(b, delta, 0x90 | channel, pitch, velocity);
    rg_mb_event(b, length, 0x80 | channel, pitch, 0);
}

/* A band piece of four tracks at 120 bpm, `bars` bars of 4/4, in A minor: drums, a bass line,
 * chords on a pad, a tune on a flute. 96 ticks a quarter note, so a bar is 2 s. */
static inline void rg_mb_band(rg_midi_bytes *b, int bars)
{
    static const int roots[4] = {45, 41, 36, 43}, tune[8] = {69, 72, 74, 76, 72, 79, 76, 74};
    const uint8_t meter[4] = {4, 2, 24, 8}, key[2] = {0, 1};
    rg_mb_header(b, 1, 5, 96);
    rg_mb_begin(b);
    rg_mb_tempo(b, 0, 500000);
    rg_mb_meta(b, 0, 0x58, meter, 4);
    rg_mb_meta(b, 0, 0x59, key, 2);
    rg_mb_end(b, 1);
    rg_mb_begin(b);
    rg_mb_name(b, "Drums");
    for (int k = 0; k < 4 * bars; k++) rg_mb_note(b, k ? 48 : 0, 48, 9, k % 2 ? 38 : 36, 100);
    rg_mb_end(b, 1);
    rg_mb_begin(b);
    rg_mb_name(b, "Bass");
    rg_mb_event(b, 0, 0xC0, 33, 0);
    for (int k = 0; k < 4 * bars; k++) rg_mb_note(b, k ? 16 : 0, 80, 0, roots[k / 4 % 4] - 5, 95);
    rg_mb_end(b, 1);
    rg_mb_begin(b);
    rg_mb_name(b, "Chords");
    rg_mb_event(b, 0, 0xC1, 48, 0);
    for (int k = 0; k < bars; k++) {
        static const int minor[4] = {3, 4, 4, 4};
        int root = roots[k % 4] + 12;
        for (int v = 0; v < 3; v++)
            rg_mb_event(b, k && v == 0 ? 12 : 0, 0x91,
                        root + (v == 0 ? 0 : (v == 1 ? minor[k % 4] : 7)), 80);
        for (int v = 0; v < 3; v++)
            rg_mb_event(b, v == 0 ? 372 : 0, 0x81,
                        root + (v == 0 ? 0 : (v == 1 ? minor[k % 4] : 7)), 0);
    }
    rg_mb_end(b, 1);
    rg_mb_begin(b);
    rg_mb_name(b, "Melody");
    rg_mb_event(b, 0, 0xC2, 73, 0);
    for (int k = 0; k < 4 * bars; k++) rg_mb_note(b, k ? 8 : 0, 88, 2, tune[k % 8], 100);
    rg_mb_end(b, 1);
}

#endif
