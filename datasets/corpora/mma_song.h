/*
 * Songs written for the program MMA: chords and a melody's shape over a groove, with exact labels.
 *
 * One idea: the song is drawn from (seed, number) alone; its text for MMA and its labels are two
 * views of one plan, so the labels are true without listening.
 * Not here: running MMA (mma_build.c), grooves (mma_grooves.h).
 */
#ifndef RG_DATASETS_CORPORA_MMA_SONG_H
#define RG_DATASETS_CORPORA_MMA_SONG_H

#include "base/text.h"
#include "datasets/corpora/mma_grooves.h"

enum { RG_MMA_BARS = 40, RG_MMA_CHORDS = 2 * RG_MMA_BARS };

typedef struct rg_mma_chord {
    int32_t quarter; /* from the song's beginning, where it starts */
    int32_t root, quality;
} rg_mma_chord;

typedef struct rg_mma_song {
    uint64_t seed;
    int64_t number;
    const rg_groove *groove;
    int32_t tempo;               /* of the quarter notes that MMA counts, per minute */
    int32_t key_tonic, key_mode; /* as in rg_song */
    int32_t bars, n_chords;
    rg_mma_chord chords[RG_MMA_CHORDS]; /* each sounds until the next, the last until the end */
} rg_mma_song;

/* Song `number` of a corpus: of every ten, one is valid and one is test; its groove is of that
 * split. */
rg_split rg_mma_split(int64_t number);
void rg_mma_compose(const rg_groove *grooves, int64_t n, uint64_t seed, int64_t number,
                    rg_mma_song *out);

/* The song as a program for MMA. */
void rg_mma_write(const rg_mma_song *song, rg_text *out);

/* "A:min7" (rg_song_chord). */
void rg_mma_chord_label(const rg_mma_chord *chord, char out[16]);
double rg_mma_tempo_bpm(const rg_mma_song *song); /* of the beats that people count */

#endif
