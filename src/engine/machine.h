/*
 * What this process computes on: threads, perhaps a GPU, and an exec over them.
 *
 * One idea: one place makes them, for training, generation and checks alike. On a GPU there are two
 * execs, since some things always run on the CPU (exec.h, `host`).
 */
#ifndef RG_ENGINE_MACHINE_H
#define RG_ENGINE_MACHINE_H

#include "engine/device.h"

typedef struct rg_machine_options {
    const char *device;         /* as rg_device_open has it; NULL: the CPU */
    int32_t processes, place;   /* that compute together (0: one), and which this is of its host */
    int32_t threads, first_cpu; /* of the pool; threads 0: one per core */
    bool unpinned;              /* threads may move between CPUs */
    const char *products; /* "fp32", "bf16", or "auto": bf16 where it is multiplied; NULL: fp32 */
    const char *activations; /* what a GPU's are stored as: "fp32", "fp16", "bf16"; NULL: fp32 */
    bool graphs;             /* as rg_exec has it */
    int64_t memory;          /* of a GPU, in bytes, to be shared out; 0: all that is free */
    uint64_t seed;
    bool records; /* execs begin with the tape on */
} rg_machine_options;

typedef struct rg_machine {
    rg_pool *pool;
    rg_gpu *gpu; /* NULL: the CPU */
    rg_exec *ex; /* ex->host is the CPU's */
} rg_machine;

/* NULL options are zeroed ones. After an error there is nothing to close. */
rg_status rg_machine_open(rg_machine *machine, const rg_machine_options *options, const rg_log *log,
                          rg_error *err) RG_MUST_USE;
void rg_machine_close(rg_machine *machine); /* zeroed it is closed */

#endif
