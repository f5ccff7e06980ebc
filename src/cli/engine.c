/*
 * Pool and exec of commands (engine.h).
 */
#include "cli/engine.h"

static rg_status open_execs(rg_engine *e, rg_error *err)
{
    const rg_kernels *kernels = rg_kernels_cpu(err);
    if (!kernels) return err->code;
    e->pool = rg_pool_create(0, 0, true, err);
    if (!e->pool) return err->code;
    rg_exec_options options = {.kernels = kernels, .pool = e->pool};
    options.host = e->ex = rg_exec_create(&options, err);
    if (!e->ex) return err->code;
    rg_set_recording(e->ex, false);
    if (!e->gpu) return RG_OK;
    rg_exec *there = rg_device_exec(e->gpu, &options, err);
    if (!there) return err->code;
    e->ex = there;
    rg_set_recording(e->ex, false);
    return RG_OK;
}

rg_status rg_engine_open(rg_engine *engine, const char *device, const rg_log *log, rg_error *err)
{
    *engine = (rg_engine){0};
    rg_status status = rg_device_open(device, 1, log, &engine->gpu, err);
    if (status == RG_OK) status = open_execs(engine, err);
    if (status != RG_OK) rg_engine_close(engine);
    return status;
}

void rg_engine_close(rg_engine *engine)
{
    rg_exec *host = engine->ex ? engine->ex->host : NULL;
    if (engine->ex != host) rg_exec_destroy(engine->ex);
    rg_exec_destroy(host);
    rg_pool_destroy(engine->pool);
    rg_gpu_close(engine->gpu);
    *engine = (rg_engine){0};
}
