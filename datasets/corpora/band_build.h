/*
 * Band corpora: MIDI songs of Debian packages, sorted into roles and rendered to stems.
 *
 * One idea: a corpus is data (sources, a list of songs with their splits, a SoundFont); one
 * function builds any of them.
 */
#ifndef RG_DATASETS_CORPORA_BAND_BUILD_H
#define RG_DATASETS_CORPORA_BAND_BUILD_H

#include "datasets/corpora/corpus_work.h"
#include "datasets/corpora/song_list.h"

enum { RG_BAND_SOURCES = 16 };

/* A row of a corpus's list; the hash of the notes decides, the id is for people. */
typedef struct rg_listed_song {
    rg_split split;
    const char *content_hash, *id;
} rg_listed_song;

typedef struct rg_band_corpus {
    rg_corpus_about about;
    const rg_song_source *sources;
    int32_t n_sources; /* at most RG_BAND_SOURCES */
    const rg_listed_song *listed;
    int64_t n_listed;
} rg_band_corpus;

extern const rg_band_corpus rg_debian_band_v0, rg_debian_band_v1;

/* rg_corpus_build for one corpus; the options have been checked. */
rg_status rg_band_build(const rg_band_corpus *corpus, const rg_build_options *options,
                        const rg_log *log, rg_error *err) RG_MUST_USE;

#endif
