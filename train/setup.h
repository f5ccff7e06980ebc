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
    rg_gpu *gpu;        /* NULL: the CPU */
    rg_exec *ex;        /* what is trained */
    rg_exec *host;      /* of the CPU; ex itself where that is the CPU's */
    double peak_gflops; /* measured; 0: unknown */
} rg_machine;
/* `device`: "auto" takes a GPU when there is one and says in the log what it took and why; NULL:
 * the CPU. */
rg_status rg_machine_make(rg_machine *machine, const rg_config *config, const char *device,
                          const rg_comm *comm, const rg_log *log, rg_error *err) RG_MUST_USE;
/* The same without a configuration: all CPUs, fp32 products, seed 1. */
rg_status rg_machine_plain(rg_machine *machine, const char *device, const rg_log *log,
                           rg_error *err) RG_MUST_USE;
void rg_machine_free(rg_machine *machine);

/* Everything that decides bits or speed, as JSON text (heap). */
char *rg_env_json(const rg_machine *machine, const rg_config *config, const char *version);

rg_adamw rg_adamw_from_config(const rg_config *config);
rg_schedule rg_schedule_from_config(const rg_config *config);

#endif
