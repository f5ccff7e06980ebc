/*
 * Corpora: what `resonant dataset build NAME` can build.
 *
 * One idea: a corpus is a row of a table, with a function that turns options into a stem store.
 * Not here: users' own data (importers).
 */
#ifndef RG_DATASETS_CORPORA_CORPUS_H
#define RG_DATASETS_CORPORA_CORPUS_H

#include "base/log.h"
#include "datasets/store.h"

typedef struct rg_build_options {
    const char *out;       /* folder of the store */
    const char *packages;  /* folder with .deb files to use; NULL: download what is missing */
    const char *cache;     /* where packages are kept and unpacked; NULL: rg_corpus_default_cache */
    const char *soundfont; /* .sf2 or .sf3; NULL: the corpus's own, from its package */
    const char *split;     /* build the songs of this side only; NULL: all */
    const char *augment_soundfont; /* of every other copy; NULL: the songs' own */
    int32_t augment;               /* changed copies of each song (vary.h); 0: none */
    const char *role_map;          /* YAML (roles.h); NULL: the built-in "band" */
    const char *midi; /* composed songs: folder for their MIDI, source and labels; NULL: none */
    int32_t songs;    /* a balanced subset of this many, 3 or more; 0: all */
    double minutes;   /* cut songs here; 0: 4 */
    int32_t rate;     /* of the stems, Hz; 0: 32000 */
    int32_t channels; /* of the stems, 1 or 2; 0: 1 */
    int32_t jobs;     /* songs rendered at once; 0: one per CPU */
} rg_build_options;

typedef struct rg_corpus {
    const char *name, *summary;
    const char *download; /* what is fetched, for a person: "23 MB" */
    rg_status (*build)(const rg_build_options *options, const rg_log *log, rg_error *err);
} rg_corpus;

/* Row i of the table; NULL past its end. */
const rg_corpus *rg_corpus_at(int32_t i);

/*
 * Builds the corpus named `corpus` into options->out. A build that was stopped goes on; a store
 * that is finished with the same settings is left as it is. RG_ERR_USAGE for an unknown name
 * (with the nearest one) or options out of range.
 */
rg_status rg_corpus_build(const char *corpus, const rg_build_options *options, const rg_log *log,
                          rg_error *err) RG_MUST_USE;

/* $XDG_CACHE_HOME/resonantgen or ~/.cache/resonantgen. */
rg_status rg_corpus_default_cache(char *out, size_t size, rg_error *err) RG_MUST_USE;

#endif
