/*
 * resonant devices: what this machine offers, measured.
 */
#include <stdio.h>

#include "cli/commands.h"
#include "kernels/kernels.h"

const rg_option rg_cmd_devices_options[] = {{0}};

rg_status rg_cmd_devices(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    (void)args, (void)cli;
    rg_error cuda = {0};
    const rg_kernels *kernels = rg_kernels_cpu(err);
    if (!kernels) return err->code;
    rg_pool *pool = rg_pool_create(0, 0, true, err);
    if (!pool) return err->code;
    printf("cpu: %s kernels, %d threads, fp32 peak %.0f GF/s measured\n", kernels->name,
           rg_pool_threads(pool), rg_kernels_peak_gflops(pool, RG_F32));
    rg_pool_destroy(pool);
    if (!rg_kernels_cuda(&cuda)) printf("cuda: none (%s)\n", cuda.text);
    return RG_OK;
}
