/*
 * Chords of a chroma, with their times.
 *
 * One idea: six kinds of chord on twelve roots (and none) are weighed against the sound of every
 * beat, or tenth of a second, by weights fitted to songs of known chords, and the likeliest path
 * that seldom changes is taken (Viterbi). Labels after Harte and others, Symbolic Representation of
 * Musical Chords (ISMIR 2005).
 */
#ifndef RG_MUSIC_CHORDS_H
#define RG_MUSIC_CHORDS_H

#include <stdint.h>

#include "base/status.h"

typedef enum rg_chord_kind {
    RG_CHORD_MAJ,
    RG_CHORD_MIN,
    RG_CHORD_7,
    RG_CHORD_MAJ7,
    RG_CHORD_MIN7,
    RG_CHORD_DIM
} rg_chord_kind;

typedef struct rg_chord {
    double start_s, end_s;
    int32_t root; /* 0 = C .. 11; -1: none (N) */
    rg_chord_kind kind;
    double confidence; /* 0..1: how alike the notes of its triad and the sound are */
} rg_chord;

/* Beats between which chords change, likelier at the beginning of a bar (beats first, first +
 * length ...). */
typedef struct rg_chord_grid {
    const double *beats_s;
    int64_t n, first, length;
} rg_chord_grid;

/*
 * Chords of a chroma (frames,12) of chroma.h, one behind the other from 0 on; heap, *n of them.
 * grid NULL: they change at any tenth of a second.
 */
rg_status rg_chords_of(const float *chroma, int64_t frames, const rg_chord_grid *grid,
                       rg_chord **chords, int64_t *n, rg_error *err) RG_MUST_USE;

/* "C", "Db", .. "B". */
const char *rg_pitch_name(int32_t pitch_class);
/* "A:min", "C:maj7", "N"; returns out. */
const char *rg_chord_label(const rg_chord *chord, char out[16]);

#endif
