/*
 * Run directories: runs/<name>-<UTC>-<hash>/ with everything one run was, is and made.
 *
 *   config.yaml cmd.txt env.json describe.json train.log metrics.jsonl metrics.csv tb/
 *   checkpoints/step_NNNNNNN.safetensors  samples/  eval/  links: latest, best
 *   vocabulary.json (of tracks)
 *
 * One idea: whoever writes a run holds its lock; whoever reads it needs only the files.
 */
#ifndef RG_TRAIN_RUN_DIR_H
#define RG_TRAIN_RUN_DIR_H

#include "base/config.h"
#include "base/fs.h"

enum { RG_RUN_PATH = 1024 };

typedef struct rg_run_dir {
    char folder[RG_RUN_PATH];
    int lock;
} rg_run_dir;

/* Makes and locks a new run folder below `runs`; writes config.yaml, cmd.txt and env.json. */
rg_status rg_run_create(rg_run_dir *run, const char *runs, const char *name,
                        const rg_config *config, const char *command_line, const char *env_json,
                        rg_error *err) RG_MUST_USE;
/* Locks an existing run folder for writing; sweeps what a killed writer left. */
rg_status rg_run_open(rg_run_dir *run, const char *folder, rg_error *err) RG_MUST_USE;
void rg_run_close(rg_run_dir *run);

/* The newest run of this name below `runs`; RG_ERR_USAGE with advice when there is none. */
rg_status rg_run_find(const char *runs, const char *name, char out[RG_RUN_PATH],
                      rg_error *err) RG_MUST_USE;
/* Path of a file or folder in the run. */
rg_status rg_run_path(const rg_run_dir *run, const char *name, char out[RG_RUN_PATH],
                      rg_error *err) RG_MUST_USE;
/* Writes the resolved configuration (again, when a run is resumed with a changed one). */
rg_status rg_run_write_config(const rg_run_dir *run, const rg_config *config,
                              rg_error *err) RG_MUST_USE;
/* Path of the checkpoint of a step; step < 0: the newest one; "" and -1 when there is none yet. */
rg_status rg_run_checkpoint(const char *folder, int64_t step, char out[RG_RUN_PATH], int64_t *found,
                            rg_error *err) RG_MUST_USE;
/* Removes all checkpoints but the newest `keep` and the best; points the link `latest`. */
rg_status rg_run_prune(const rg_run_dir *run, int64_t keep, int64_t best_step,
                       rg_error *err) RG_MUST_USE;
/* Points the link `best` at a step's checkpoint. */
rg_status rg_run_set_best(const rg_run_dir *run, int64_t step, rg_error *err) RG_MUST_USE;

#endif
