/*
 * Starting a command as several processes of this host.
 */
#ifndef RG_CLI_PROCESSES_H
#define RG_CLI_PROCESSES_H

#include "cli/options.h"
#include "dist/comm.h"

/*
 * This command line again without --processes, `world` times, each with its --rank, and waits for
 * all. A signal that asks to stop is handed on. RG_ERR_IO when one of them failed, which has said
 * why; RG_ERR_CANCELLED when they were stopped.
 */
rg_status rg_launch_here(const rg_cli *cli, int32_t world, rg_error *err) RG_MUST_USE;

/* Meets the other processes as --rank, --world, --meet, --job, --backend, --timeout and launchers'
 * variables say; *comm NULL: this one is alone. */
rg_status rg_join_processes(const rg_args *args, rg_comm **comm, rg_error *err) RG_MUST_USE;

#endif
