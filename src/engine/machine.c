/*
 * Pool, GPU and execs (machine.h).
 */
#include "engine/machine.h"

#include <string.h>

static rg_dtype operands(const char *products, bool has_bf16)
{
    if (!products || !strcmp(products, "fp32")) return RG_F32;
    return has_bf16 || !strcmp(products, "bf16") ? RG_BF16 : RG_F32;
}

static rg_dtype activations(const char *text)
{
    if (text && !strcmp(text, "fp16")) return RG_F16;
    return text && !strcmp(text, "bf16") ? RG_BF16 : RG_F32;
}

static rg_status open_execs(rg_machine *m, const rg_machine_options *o, rg_error *err)
{
    const rg_kernels *kernels = rg_kernels_cpu(err);
    if (!kernels) return err->code;
    rg_exec_options options = {.kernels = kernels,
                               .pool = m->pool,
                               .graphs = o->graphs,
                               .seed = o->seed,
                               .operands =
                                   operands(o->products, kernels->fast_operands == RG_BF16)};
    rg_exec *host = m->ex = rg_exec_create(&options, err);
    if (!host) return err->code;
    rg_set_recording(host, o->records);
    if (!m->gpu) return RG_OK;
    options.host = host;
    options.operands = operands(o->products, true);
    rg_exec *there = rg_device_exec(m->gpu, &options, activations(o->activations), o->memory, err);
    if (!there) return err->code;
    m->ex = there;
    rg_set_recording(there, o->records);
    return RG_OK;
}

rg_status rg_machine_open(rg_machine *machine, const rg_machine_options *options, const rg_log *log,
                          rg_error *err)
{
    const rg_machine_options none = {0}, *o = options ? options : &none;
    *machine = (rg_machine){0};
    RG_TRY(rg_device_open(o->device, o->processes, o->place, log, &machine->gpu, err));
    machine->pool = rg_pool_create(o->threads, o->first_cpu, !o->unpinned, err);
    const rg_status status = machine->pool ? open_execs(machine, o, err) : err->code;
    if (status != RG_OK) rg_machine_close(machine);
    return status;
}

void rg_machine_close(rg_machine *machine)
{
    rg_exec *host = machine->ex ? machine->ex->host : NULL;
    if (machine->ex != host) rg_exec_destroy(machine->ex);
    rg_exec_destroy(host);
    rg_pool_destroy(machine->pool);
    rg_gpu_close(machine->gpu);
    *machine = (rg_machine){0};
}
