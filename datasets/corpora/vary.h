/*
 * Copies of a MIDI song that are other songs to a model: transposed, faster or slower, with other
 * programs of the same family.
 *
 * One idea: a change is drawn from the song's id and the copy's number alone; notes, parts and
 * labels go through the same change, so labels stay true. Drums are not transposed.
 * Not here: changes of sound (augment.h), rendering (corpus_work.h).
 */
#ifndef RG_DATASETS_CORPORA_VARY_H
#define RG_DATASETS_CORPORA_VARY_H

#include "datasets/corpora/song_list.h"

typedef struct rg_change {
    int32_t semitones;    /* -5 .. 5 */
    double speed;         /* 0.9 .. 1.1 */
    uint8_t program[128]; /* a program to what it becomes; one to one */
} rg_change;

rg_change rg_change_none(void);
/* Copy `copy` (1, 2, ...) of the song `id`; its semitones are never 0. */
rg_change rg_change_draw(const char *id, int32_t copy);

/* The song changed: id "<id>.a1", its events, notes and parts, with its own content hash. Only
 * these of out->midi are filled; free it with rg_midi_free. */
rg_status rg_change_song(const rg_candidate *song, const rg_change *change, int32_t copy,
                         rg_candidate *out, rg_error *err) RG_MUST_USE;

/* "A:min7" two semitones up is "B:min7"; what begins with no root stays as it is. */
void rg_change_chord(const rg_change *change, char label[16]);

#endif
