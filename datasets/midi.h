/*
 * Standard MIDI Files: notes, events, tempo, meter, key and track names of one song.
 *
 * One idea: all tracks are merged by (tick, track, order) and given seconds through one tempo map;
 * what is malformed is skipped or ends its track, with a warning counted, and nothing a file says
 * can make the reader crash, hang, or use more memory than the limits below.
 * Not here: which part plays which role (roles.h), sound (render.h).
 */
#ifndef RG_DATASETS_MIDI_H
#define RG_DATASETS_MIDI_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    RG_MIDI_MAX_BYTES = 16 << 20,
    RG_MIDI_MAX_EVENTS = 2000000,
    RG_MIDI_MAX_TRACKS = 1024,
    RG_MIDI_NAME = 64,
    RG_MIDI_DRUM_CHANNEL = 9 /* counted from 0 */
};

/* A channel message; kind is the status byte's upper half (0x80 .. 0xE0). */
typedef struct rg_midi_event {
    double seconds;
    int64_t tick;
    uint16_t track;
    uint8_t kind, channel, a, b; /* b 0 for one-byte messages */
} rg_midi_event;

/* A note that sounded: offs pair with ons first-in-first-out per (channel, pitch); open ones end
 * with the file. */
typedef struct rg_midi_note {
    double on, off; /* seconds */
    uint16_t track;
    uint8_t channel, program, pitch, velocity; /* program: at the note's start */
} rg_midi_note;

typedef struct rg_midi_tempo {
    double seconds, microseconds; /* per quarter note, from this time on */
    int64_t tick;
} rg_midi_tempo;

typedef struct rg_midi_meter {
    double seconds;
    int64_t tick;
    int32_t numerator, denominator;
} rg_midi_meter;

typedef struct rg_midi_key {
    double seconds;
    int32_t sharps; /* -7 flats .. 7 sharps */
    int32_t minor;
} rg_midi_key;

typedef struct rg_midi {
    int32_t format, division; /* as in the header; division < 0: SMPTE */
    int64_t ticks;            /* of the last event */
    double seconds;           /* at the last event */
    int64_t n_events, n_notes, n_tempos, n_meters, n_keys, n_tracks;
    rg_midi_event *events;
    rg_midi_note *notes; /* sorted by start, then channel, pitch */
    rg_midi_tempo *tempos;
    rg_midi_meter *meters;
    rg_midi_key *keys;
    char (*names)[RG_MIDI_NAME]; /* of the tracks, UTF-8; "" none */
    int64_t warnings;
    char first_warning[96];
} rg_midi;

/* Reads a file in memory (junk before "MThd" is skipped). RG_ERR_FORMAT with `name` in the text. */
rg_status rg_midi_parse(const void *data, size_t n, const char *name, rg_midi *out,
                        rg_error *err) RG_MUST_USE;
void rg_midi_free(rg_midi *midi); /* zeroes it; freeing twice is fine */

/*
 * The beat grid: beats of the meter in force (dotted quarters in 6/8, 9/8, 12/8; quarter notes
 * where no usable meter is given) and the downbeats of stretches with a known meter. Returns heap
 * arrays that the caller frees; none when the file has SMPTE time.
 */
typedef struct rg_midi_grid {
    double *beats, *downbeats;
    int64_t n_beats, n_downbeats;
    int32_t meter;     /* beats per bar for most of the time; 0 unknown */
    char signature[8]; /* "6/8", as most bars of that meter are written; "" unknown */
    double tempo_bpm;  /* 60 / median beat; 0 unknown */
} rg_midi_grid;
rg_status rg_midi_beats(const rg_midi *midi, rg_midi_grid *out, rg_error *err) RG_MUST_USE;
void rg_midi_grid_free(rg_midi_grid *grid);

/* When a tick is, by the tempo map; 0 for SMPTE time. */
double rg_midi_seconds_at(const rg_midi *midi, int64_t tick);

/* Tonic 0 = C .. 11 and 1 for minor, when the file gives one key that is not the default C major;
 * otherwise tonic -1. */
void rg_midi_key_of(const rg_midi *midi, int32_t *tonic, int32_t *minor);

/* What the notes are, whatever the file's bytes: SHA-256 over the first 400 notes
 * ("round(20 on):channel:pitch;"), its first 32 hex digits. */
void rg_midi_content_hash(const rg_midi *midi, char hex[33]);

/*
 * Likeness of two songs' notes, transposition-proof: shared share of runs of 7 pitch steps over the
 * first 3,000 notes off the drum channel; 0 when either has 50 runs or fewer. Near-duplicates:
 * above 0.35. The runs come from rg_midi_signature (sorted, unique, heap; caller frees).
 */
rg_status rg_midi_signature(const rg_midi *midi, uint64_t **runs, int64_t *n,
                            rg_error *err) RG_MUST_USE;
double rg_midi_likeness(const uint64_t *a, int64_t na, const uint64_t *b, int64_t nb);

#endif
