/*
 * What a run needs before its first step: schema, threads, exec, and the description of the
 * machine.
 */
#ifndef RG_TRAIN_SETUP_H
#define RG_TRAIN_SETUP_H

#include "train/trainer.h"

/* Threads, kernels and exec from the configuration; freed by rg_machine_free. With other processes
 * on the same CPUs, a share of these. */
typedef struct rg_machine {
    rg_pool *pool;
    rg_exec *ex;
    double peak_gflops; /* measured; 0: unknown */
} rg_machine;
rg_status rg_machine_make(rg_machine *machine, const rg_config *config, const rg_comm *comm,
                          rg_error *err) RG_MUST_USE;
void rg_machine_free(rg_machine *machine);

/* Everything that decides bits or speed, as JSON text (heap). */
char *rg_env_json(const rg_machine *machine, const rg_config *config, const char *version);

rg_adamw rg_adamw_from_config(const rg_config *config);
rg_schedule rg_schedule_from_config(const rg_config *config);

#endif
