/*
 * What a run needs before its first step: schema, threads, exec, and the description of the
 * machine.
 */
#ifndef RG_TRAIN_SETUP_H
#define RG_TRAIN_SETUP_H

#include "engine/machine.h"
#include "train/trainer.h"

/* The machine that a configuration asks for; with other processes on the same CPUs, a share of
 * these. To be closed by rg_machine_close. */
rg_status rg_machine_for_run(rg_machine *machine, const rg_config *config, const char *device,
                             const rg_comm *comm, const rg_log *log, rg_error *err) RG_MUST_USE;

/* Everything that decides bits or speed, as JSON text (heap). */
char *rg_env_json(const rg_machine *machine, double peak_gflops, const rg_config *config,
                  const char *version);

rg_adamw rg_adamw_from_config(const rg_config *config);
rg_schedule rg_schedule_from_config(const rg_config *config);

#endif
