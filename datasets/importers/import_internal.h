/*
 * What the importers share: the list of songs that a data set's function fills.
 *
 * One idea: finding songs never stops at a bad one; the song gets a fault, which is told at the end
 * with all others. Every path is resolved and must lie inside the data set.
 * Not here: anything a caller outside datasets/importers may use.
 */
#ifndef RG_DATASETS_IMPORTERS_IMPORT_INTERNAL_H
#define RG_DATASETS_IMPORTERS_IMPORT_INTERNAL_H

#include "datasets/importers/importer.h"
#include "datasets/roles.h"

enum { RG__IMPORT_STEMS = 256, RG__IMPORT_SONGS = 1 << 20, RG__IMPORT_PATH = 4096 };

typedef struct rg__import_stem {
    char *path; /* resolved */
    char label[64];
    int32_t program, role; /* program: 0-127, 128 drum kit, -1 unknown */
    bool bleed;
} rg__import_stem;

typedef struct rg__import_song {
    char id[RG_ID_SIZE], title[128], genre[32], file[512], license[64];
    char content_hash[33], group[33];
    rg_split split;
    bool has_split; /* else the content decides */
    char *mixture;  /* resolved; NULL: none */
    rg__import_stem *stems;
    int32_t n;
    json_t *notes;  /* array of texts */
    rg_error fault; /* why it cannot be imported */
} rg__import_song;

typedef struct rg__import_list {
    const rg_import_options *options;
    const rg_log *log;
    const char *label; /* begins the songs' ids */
    char root[RG__IMPORT_PATH];
    int64_t n, capacity;
    rg__import_song *songs;
} rg__import_list;

/* A row of the table of data sets. */
typedef struct rg__importer {
    const char *name, *summary, *license, *references;
    rg_status (*find)(rg__import_list *list, rg_error *err);
} rg__importer;

rg_status rg__import_find_folder(rg__import_list *list, rg_error *err);
rg_status rg__import_find_musdb(rg__import_list *list, rg_error *err);
rg_status rg__import_find_manifest(rg__import_list *list, rg_error *err);
rg_status rg__import_find_slakh(rg__import_list *list, rg_error *err);

/* A new song named `name`; `file` is where it lies, below the root. NULL on failure. The pointer
 * holds until the next song. */
rg__import_song *rg__import_add(rg__import_list *list, const char *name, const char *file,
                                rg_error *err);
/* Adds the file folder/name; the song gets a fault when it lies outside the data set or is not a
 * file, and a note when it is not there. */
void rg__import_stem_file(const rg__import_list *list, rg__import_song *song, const char *folder,
                          const char *name, const char *label, int32_t program);
void rg__import_mixture_file(const rg__import_list *list, rg__import_song *song, const char *folder,
                             const char *name);
void rg__import_note(rg__import_song *song, const char *fmt, ...) RG_PRINTF(2, 3);
void rg__import_free(rg__import_list *list);

/* Folders of songs: root/SONG, or root/train/SONG, root/valid(ation)/SONG, root/test/SONG.
 * `one` adds the song in `folder`; `split` is NULL for the first form. */
typedef rg_status rg__import_song_fn(rg__import_list *list, const char *folder, const char *name,
                                     const rg_split *split, rg_error *err);
rg_status rg__import_walk(rg__import_list *list, rg__import_song_fn *one, rg_error *err);
/* Copies with control characters, and bytes that are not UTF-8, as '?'. */
void rg__import_clean(char *out, size_t size, const char *text);

/* Hash of the content of all stems, whatever their names and order. */
rg_status rg__import_hash(rg__import_song *song, rg_error *err) RG_MUST_USE;

/* Reads, mixes and stores one song. Notes are added to it. */
typedef struct rg__import_job {
    const rg_import_options *options;
    const rg__importer *importer;
    const rg_role_map *map;
    const char *map_json;
    int32_t rate;
    rg_store_writer *writer;
} rg__import_job;
rg_status rg__import_store(const rg__import_job *job, rg__import_song *song,
                           rg_error *err) RG_MUST_USE;

#endif
