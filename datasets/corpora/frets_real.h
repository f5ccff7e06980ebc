/*
 * The corpus "frets-real": eight real recordings, guitar against the rest; all of them test songs,
 * for checks of codecs on sound that no synthesizer made.
 *
 * One idea: it is an import of two Debian packages. Not here: the files' layout
 * (importers/fretsonfire.c).
 */
#ifndef RG_DATASETS_CORPORA_FRETS_REAL_H
#define RG_DATASETS_CORPORA_FRETS_REAL_H

#include "datasets/corpora/corpus.h"

/* rg_corpus_build for this corpus; RG_ERR_USAGE for options of rendered corpora. */
rg_status rg_frets_real_build(const rg_build_options *options, const rg_log *log,
                              rg_error *err) RG_MUST_USE;

#endif
