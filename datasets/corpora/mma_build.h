/*
 * The corpus "mma-v1": songs composed here (mma_song.h), played by the program MMA, with labels
 * that are true by construction: tempo, meter, beats, key, chords, groove.
 *
 * One idea: a groove's file decides the side of the split, so the test's styles are unseen. MMA
 * comes from its Debian package, unpacked in the cache; it needs python3.
 */
#ifndef RG_DATASETS_CORPORA_MMA_BUILD_H
#define RG_DATASETS_CORPORA_MMA_BUILD_H

#include "datasets/corpora/corpus.h"

enum { RG_MMA_SONGS = 1000 }; /* unless options->songs says otherwise */

/* rg_corpus_build for this corpus; the options have been checked. */
rg_status rg_mma_build(const rg_build_options *options, const rg_log *log,
                       rg_error *err) RG_MUST_USE;

#endif
