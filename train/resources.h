/*
 * What a run will take of memory and disk, before it takes it.
 *
 * One idea: a rehearsal of a step on kernels that compute nothing (kernels/idle.h) fills the arenas
 * as a real step does and touches hardly any of it. With one item and with two it tells what an
 * item costs, so that a batch of any size is known without being tried.
 */
#ifndef RG_TRAIN_RESOURCES_H
#define RG_TRAIN_RESOURCES_H

#include "train/task.h"

typedef struct rg_memory_need {
    double model;       /* bytes of parameters, gradients, moments and averages, taken already */
    double activations; /* of the arenas that steps and validations use at most */
    double data;        /* of the host's memory, for what is read */
} rg_memory_need;

/* What the open task `self` takes in all. */
rg_status rg_memory_needed(const rg_task *task, void *self, rg_exec *ex, rg_memory_need *need,
                           rg_error *err) RG_MUST_USE;

/* Says in the log what the run will take; refuses what free memory, or the disk that holds `where`,
 * has no room for (RG_ERR_NOMEM, RG_ERR_IO). */
rg_status rg_check_resources(const rg_task *task, void *self, const rg_config *config, rg_exec *ex,
                             const char *where, const rg_log *log, rg_error *err) RG_MUST_USE;

#endif
