/*
 * A run or a bundle as its reader sees it: only files.
 *
 * One idea: evaluation never includes the trainer; what a run is, was trained on and learnt is read
 * from config.yaml, describe.json, env.json, metrics.jsonl and the links of its folder (design.md
 * 5). A track run's codecs and the runs it began from are found by its links.
 */
#ifndef RG_EVAL_RUN_FILES_H
#define RG_EVAL_RUN_FILES_H

#include <jansson.h>

#include "datasets/store.h"

enum { RG_EVAL_PATH = 1024, RG_EVAL_INITS = 8 };

typedef enum rg_run_kind { RG_RUN_CODEC, RG_RUN_TRACKS, RG_RUN_BUNDLE } rg_run_kind;

typedef struct rg_run_files {
    rg_run_kind kind;
    char folder[RG_EVAL_PATH], name[256];
    char checkpoint[RG_EVAL_PATH];    /* best, else latest; "" for bundles */
    int64_t step;                     /* of the checkpoint; -1 unknown */
    json_t *describe, *env;           /* describe.json or bundle.json; env.json or NULL */
    char *config;                     /* text of config.yaml, or NULL */
    json_t *train_ids, *train_groups; /* sets (objects): all songs any part was trained on */
} rg_run_files;

/* `step` of the checkpoint; < 0: best, else latest. RG_ERR_USAGE with advice when the folder is
 * neither, or has no such checkpoint. */
rg_status rg_run_files_open(rg_run_files *run, const char *folder, int64_t step,
                            rg_error *err) RG_MUST_USE;
void rg_run_files_close(rg_run_files *run);
/* The store folder that the run names, or NULL. */
const char *rg_run_files_store(const rg_run_files *run);

/* Folders of the runs this one began from, oldest first, itself last. */
rg_status rg_run_files_inits(const rg_run_files *run, char out[RG_EVAL_INITS][RG_EVAL_PATH],
                             int32_t *n, rg_error *err) RG_MUST_USE;
/* The folder of the codec run of a role of a track run; "" when it cannot be told. */
void rg_run_files_codec(const rg_run_files *run, const char *role, char out[RG_EVAL_PATH]);

/* The parsed lines of metrics.jsonl (objects) of a run folder: new array, empty without a file. A
 * half-written last line is left out. */
json_t *rg_run_files_metrics(const char *folder, rg_error *err);

/*
 * Songs of a split to be evaluated: store indices (heap), at most `limit`, evenly spread. Unless
 * split is train, RG_ERR_MISMATCH when any song of the split, or its near-duplicate group, was
 * trained on.
 */
rg_status rg_eval_songs(const rg_run_files *run, const rg_store *store, rg_split split,
                        int64_t limit, int64_t **songs, int64_t *n, rg_error *err) RG_MUST_USE;
/* SHA-256 over the ids of the songs: the "split hash". */
void rg_eval_songs_hash(const rg_store *store, const int64_t *songs, int64_t n, char hex[65]);

#endif
