/*
 * The accompaniment patterns ("grooves") of the program MMA, read from its standard library.
 *
 * One idea: a library file is a style; all grooves of a style lie on one side of the split, which
 * the hash of the file's name decides, so test songs are in styles that training never hears.
 * Introductions, fills, endings and metronomes are no grooves to build a song on.
 * Not here: songs (mma_song.h).
 */
#ifndef RG_DATASETS_CORPORA_MMA_GROOVES_H
#define RG_DATASETS_CORPORA_MMA_GROOVES_H

#include "datasets/store.h"

typedef struct rg_groove {
    char style[32], name[48]; /* "bossanova" (its file), "BossaNova1Sus" */
    char genre[32];           /* "bossa nova" */
    int32_t quarters;         /* of a bar, as MMA counts */
    int32_t beats;            /* of a bar, as people count: 2 in 6/8 */
    char signature[8];        /* "4/4" */
    rg_split split;
} rg_groove;

/* Reads all files of `folder` (MMA's lib/stdlib), sorted by file, then as written. Heap; caller
 * frees. RG_ERR_FORMAT when a side of the split has none. */
rg_status rg_grooves_read(const char *folder, rg_groove **out, int64_t *n,
                          rg_error *err) RG_MUST_USE;

#endif
