/*
 * What the importers share: the list of songs that a data set's function fills.
 *
 * One idea: finding songs never stops at a bad one; the song gets a fault, which is told at the end
 * with all others. Every path is resolved and must lie inside the data set.
 * Not here: anything a caller outside datasets/importers may use.
 */
#ifndef RG_DATASETS_IMPORTERS_IMPORT_INTERNAL_H
#define RG_DATASETS_IMPORTERS_IMPORT_INTERNAL_H

#include "base/threads.h"
#include "base/yaml.h"
#include "datasets/importers/import_print.h"
#include "datasets/importers/importer.h"
#include "datasets/roles.h"

enum { RG__IMPORT_STEMS = 256, RG__IMPORT_SONGS = 1 << 20, RG__IMPORT_PATH = 4096 };

typedef struct rg__import_stem {
    char *path; /* resolved */
    char label[64];
    char hint[32];         /* a name that decides the role before the label does; "" none */
    int32_t program, role; /* program: 0-127, 128 drum kit, -1 unknown */
    bool bleed;
} rg__import_stem;

typedef struct rg__import_song {
    char id[RG_ID_SIZE], title[128], genre[32], file[512], license[64];
    char content_hash[33];
    char group[33]; /* songs of one group share a side of the split; "" until that is settled */
    rg_split split;
    bool has_split; /* else the content decides */
    bool stereo;    /* a stem has several channels, or nobody looked: it was stored before */
    char *mixture;  /* resolved; NULL: none */
    rg__import_stem *stems;
    int32_t n;
    rg__print *print; /* NULL until it is made */
    json_t *notes;    /* array of texts */
    rg_error fault;   /* why it cannot be imported */
} rg__import_song;

typedef struct rg__import_list {
    const rg_import_options *options;
    const rg_log *log;
    const char *label; /* begins the songs' ids */
    char root[RG__IMPORT_PATH];
    int64_t n, capacity, left_out; /* left_out: as the data set's own lists say */
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
rg_status rg__import_find_moisesdb(rg__import_list *list, rg_error *err);
rg_status rg__import_find_fretsonfire(rg__import_list *list, rg_error *err);
rg_status rg__import_find_medleydb(rg__import_list *list, rg_error *err);

/* A new song named `name`; `file` is where it lies, below the root. NULL on failure. The pointer
 * holds until the next song. */
rg__import_song *rg__import_add(rg__import_list *list, const char *name, const char *file,
                                rg_error *err);
/* Adds the file folder/name; the song gets a fault when it lies outside the data set or is not a
 * file, and a note when it is not there. */
rg__import_stem *rg__import_stem_file(const rg__import_list *list, rg__import_song *song,
                                      const char *folder, const char *name, const char *label,
                                      int32_t program); /* NULL then; else until the next stem */
void rg__import_mixture_file(const rg__import_list *list, rg__import_song *song, const char *folder,
                             const char *name);
/* Marks and notes a stem that holds other instruments' sound. */
void rg__import_bleeds(rg__import_song *song, rg__import_stem *stem);
void rg__import_note(rg__import_song *song, const char *fmt, ...) RG_PRINTF(2, 3);
void rg__import_free(rg__import_list *list);

/* Folders of songs: root/SONG, or root/train/SONG, root/valid(ation)/SONG, root/test/SONG.
 * `one` adds the song in `folder`; `split` is NULL for the first form. */
typedef rg_status rg__import_song_fn(rg__import_list *list, const char *folder, const char *name,
                                     const rg_split *split, rg_error *err);
rg_status rg__import_walk(rg__import_list *list, rg__import_song_fn *one, rg_error *err);
/* Folders of songs anywhere down to `depth` levels below the root: `one` says whether a folder was
 * a song; where it was not, its folders are asked. */
typedef rg_status rg__import_try_fn(rg__import_list *list, const char *folder, const char *name,
                                    bool *is_song, rg_error *err);
rg_status rg__import_search(rg__import_list *list, int depth, rg__import_try_fn *one,
                            rg_error *err);

/* The path of metadata folder/name; false and a fault unless it is a file inside the data set. */
bool rg__import_metadata(const rg__import_list *list, const char *folder, const char *name,
                         char path[RG__IMPORT_PATH], rg_error *fault);
/* The same as a tree in `arena`; NULL and a fault. */
const rg_yaml_node *rg__import_yaml(const rg__import_list *list, const char *folder,
                                    const char *name, rg_arena *arena, rg_error *fault);
/* The text of a member of a map, "" when there is none. */
const char *rg__import_scalar(const rg_yaml_node *map, const char *key);

/* Copies with control characters, and bytes that are not UTF-8, as '?'. */
void rg__import_clean(char *out, size_t size, const char *text);

/* Hashes the songs' contents and puts songs of one group on one side of the split. Songs that
 * cannot be read get a fault. */
rg_status rg__import_settle(rg__import_list *list, rg_pool *pool, rg_error *err) RG_MUST_USE;

/* Reads, mixes and stores one song. Notes are added to it. */
typedef struct rg__import_job {
    const rg_import_options *options;
    const rg__importer *importer;
    const rg_role_map *map;
    const char *map_json;
    int32_t rate, channels; /* of the store */
    rg_store_writer *writer;
} rg__import_job;
/* The memory that a song takes, kept from one to the next. NULL: there is none. */
typedef struct rg__import_room rg__import_room;
rg__import_room *rg__import_room_create(void);
void rg__import_room_destroy(rg__import_room *room); /* NULL is fine */
rg_status rg__import_store(const rg__import_job *job, rg__import_room *room, rg__import_song *song,
                           rg_error *err) RG_MUST_USE;

#endif
