/*
 * Pool and exec of commands (device.h).
 */
#include "cli/device.h"

rg_status rg_device_open(rg_device_cpu *cpu, rg_error *err)
{
    *cpu = (rg_device_cpu){0};
    const rg_kernels *kernels = rg_kernels_cpu(err);
    if (!kernels) return err->code;
    cpu->pool = rg_pool_create(0, 0, true, err);
    if (!cpu->pool) return err->code;
    rg_exec_options options = {.kernels = kernels, .pool = cpu->pool};
    cpu->ex = rg_exec_create(&options, err);
    if (!cpu->ex) {
        rg_device_close(cpu);
        return err->code;
    }
    rg_set_recording(cpu->ex, false);
    return RG_OK;
}

void rg_device_close(rg_device_cpu *cpu)
{
    rg_exec_destroy(cpu->ex);
    rg_pool_destroy(cpu->pool);
    *cpu = (rg_device_cpu){0};
}
