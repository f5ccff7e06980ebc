/*
 * Candidate songs of a corpus: read from packages, without doubles, near-duplicates in groups.
 *
 * One idea: a song is its notes; whatever file or package it came in, the hash of the notes is its
 * identity, and songs that share many runs of pitch steps form a group that never crosses a split.
 * Not here: which of them are built (debian_band.c), sound (render.h).
 */
#ifndef RG_DATASETS_CORPORA_SONG_LIST_H
#define RG_DATASETS_CORPORA_SONG_LIST_H

#include "base/log.h"
#include "datasets/corpora/packages.h"
#include "datasets/roles.h"

/* Where the songs of one package lie, and what is known of all of them. */
typedef struct rg_song_source {
    const char *package, *label; /* label: begins the songs' ids */
    const char *license;         /* SPDX */
    const char *folder;          /* below the package's root; the folders in it are read too */
    const char *suffix;          /* ".mid" (and ".mid.gz"), or ".wad": lumps D_* of such files */
    const char *genre;           /* "": unknown */
    const char *guitar_genre;    /* of songs with distorted guitars; NULL: `genre` */
    const char *const *excluded; /* names without suffix, ended by NULL; NULL: none */
} rg_song_source;

typedef struct rg_candidate {
    const rg_song_source *source;
    const rg_package *package;
    char id[RG_ID_SIZE], title[128], file[256]; /* file: below the root, "#LUMP" for lumps */
    char sha256[65], content_hash[33], group[33];
    rg_midi midi;
    rg_midi_parts parts;
    rg_split split;
} rg_candidate;

typedef struct rg_song_list {
    int64_t n, capacity;
    rg_candidate *songs;
    int64_t doubles, unusable; /* left out: same notes; under 100 notes, under 15 s or unreadable */
} rg_song_list;

/* Adds the songs of one source. Files that are not MIDI are counted and told to the log. */
rg_status rg_song_list_add(rg_song_list *list, const rg_song_source *source,
                           const rg_package *package, const rg_log *log, rg_error *err) RG_MUST_USE;
/* Fills `group` (the smallest content hash of the group); call once after all sources. */
rg_status rg_song_list_group(rg_song_list *list, rg_error *err) RG_MUST_USE;
/* Frees song i and closes the gap. */
void rg_song_list_remove(rg_song_list *list, int64_t i);
void rg_song_list_free(rg_song_list *list);

#endif
