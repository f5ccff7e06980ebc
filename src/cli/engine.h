/*
 * A pool and an exec, for commands that run models without training them.
 */
#ifndef RG_CLI_ENGINE_H
#define RG_CLI_ENGINE_H

#include "engine/device.h"

typedef struct rg_engine {
    rg_pool *pool; /* all CPUs */
    rg_gpu *gpu;   /* NULL: the CPU */
    rg_exec *ex;   /* not recording; ex->host is the CPU's */
} rg_engine;

/* `device` as rg_device_open has it; NULL: the CPU. */
rg_status rg_engine_open(rg_engine *engine, const char *device, const rg_log *log,
                         rg_error *err) RG_MUST_USE;
void rg_engine_close(rg_engine *engine);

#endif
