/*
 * Importers: stem data sets that people have on their disks, into a stem store.
 *
 * One idea: a data set is a row of a table whose one function finds songs and names their stems;
 * what happens to a song then (roles, rates, lengths, sum against mixture, levels, provenance) is
 * the same for all of them.
 * Not here: corpora that are rendered from MIDI (corpora/).
 */
#ifndef RG_DATASETS_IMPORTERS_IMPORTER_H
#define RG_DATASETS_IMPORTERS_IMPORTER_H

#include "base/log.h"
#include "base/text.h"
#include "datasets/roles.h"
#include "datasets/store.h"

/* How several channels become one, or what a stereo store keeps. */
typedef enum rg_import_downmix {
    RG_IMPORT_MEAN,
    RG_IMPORT_LEFT, /* the first channel */
    RG_IMPORT_RIGHT,
    RG_IMPORT_MONO, /* a song with more than one counts as bad */
    RG_IMPORT_KEEP  /* a stereo store: both of two, one twice; a song with more counts as bad */
} rg_import_downmix;

/* What is done to stems of one song that differ by more than 50 ms (less is padded). */
typedef enum rg_import_lengths {
    RG_IMPORT_PAD,  /* silence at the end of the shorter ones */
    RG_IMPORT_TRIM, /* all to the shortest */
    RG_IMPORT_ERROR /* the song counts as bad */
} rg_import_lengths;

typedef struct rg_import_options {
    const char *root;         /* folder of the data set; for "manifest" the file */
    const char *out;          /* folder of the store */
    const char *role_map;     /* YAML (roles.h); NULL: `roles` */
    const rg_role_map *roles; /* NULL: the built-in map of stems */
    const char *require;      /* "drums,bass": songs without these roles are bad; NULL: none */
    const char *beside;       /* store whose songs' sides are kept to; NULL: none */
    const char *license;      /* SPDX, of songs whose data set states none; NULL: not known */
    int32_t rate;             /* of the stems, Hz; 0: 32000 */
    int32_t jobs;             /* songs imported at once; 0: one per CPU */
    rg_import_lengths lengths;
    rg_import_downmix downmix;
    bool skip_bad;     /* a store is made although songs were bad */
    bool keep_doubles; /* songs that a data set's own lists call doubles are taken too */
    bool dry;          /* finds songs and roles, and reads and writes no sound */
    bool same_source;  /* the data set never changes: a finished store of it is left as it is */
} rg_import_options;

/* What an import found. */
typedef struct rg_import_result {
    int64_t songs, bad, warnings; /* bad: left out */
    rg_text unmapped; /* a line "  12  accordion" for each name that no role takes; to be freed */
} rg_import_result;

/*
 * Imports into options->out; an import that was stopped goes on. Bad songs and everything else
 * worth knowing go to `log`, and into the store song by song. RG_ERR_FORMAT at the end when songs
 * were bad and not skip_bad: what was good stays there, unfinished. RG_ERR_USAGE for an unknown
 * name or options out of range, RG_ERR_UNSUPPORTED for data sets in a form that must be
 * converted first.
 */
rg_status rg_import(const char *name, const rg_import_options *options, rg_import_result *result,
                    const rg_log *log, rg_error *err) RG_MUST_USE;

#endif
