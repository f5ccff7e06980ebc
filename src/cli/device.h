/*
 * A pool and an exec on all cores, for commands that run models without training them.
 */
#ifndef RG_CLI_DEVICE_H
#define RG_CLI_DEVICE_H

#include "engine/exec.h"

typedef struct rg_device_cpu {
    rg_pool *pool;
    rg_exec *ex; /* not recording */
} rg_device_cpu;

rg_status rg_device_open(rg_device_cpu *cpu, rg_error *err) RG_MUST_USE;
void rg_device_close(rg_device_cpu *cpu);

#endif
