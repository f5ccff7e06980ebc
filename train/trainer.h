/*
 * The trainer: steps, optimizer, schedules, logs, checkpoints, validation, signals and resume for
 * any task (task.h).
 *
 * One idea: a run is a pure function of its resolved configuration; a checkpoint holds everything
 * that is not, so a run stopped at any moment and resumed ends with the same bits. Several
 * processes deal the micro-batches of every update among themselves and decide alike; rank 0
 * writes.
 * Not here: models, data and losses (the task's), the file layout of a run (run_dir.h).
 */
#ifndef RG_TRAIN_TRAINER_H
#define RG_TRAIN_TRAINER_H

#include <signal.h>

#include "base/log.h"
#include "dist/comm.h"
#include "train/run_dir.h"
#include "train/task.h"

typedef struct rg_train_options {
    const char *config_path; /* required unless resume_path names a run */
    const char *const *overrides;
    size_t n_overrides;
    bool resume;             /* go on with a run instead of starting one */
    const char *resume_path; /* run folder or checkpoint; NULL: the newest run of the name */
    int64_t resume_step;     /* < 0: the newest checkpoint */
    const char *command_line;
    const char *version;               /* for env.json */
    const volatile sig_atomic_t *stop; /* set to a signal number: checkpoint and return */
    const char *device;                /* "auto", "cpu", "cuda" or "cuda:N"; NULL: cpu */
    rg_comm *comm; /* the processes that train together, each of which calls this; NULL: one */
} rg_train_options;

typedef struct rg_train_result {
    char run_folder[RG_RUN_PATH];
    int64_t step;
    bool stopped; /* by *stop, after a checkpoint */
} rg_train_result;

rg_status rg_train(const rg_train_options *options, const rg_log *log, rg_train_result *result,
                   rg_error *err) RG_MUST_USE;

/* The schema of a kind of run: the trainer's keys and the task's; NULL and RG_ERR_CONFIG when the
 * kind is unknown. The caller frees *schema. */
const rg_task *rg_train_task_of(const char *config_path, rg_config_key **schema, size_t *n_schema,
                                rg_error *err);

#endif
