/*
 * resonant tokens build: the token cache of a tracks configuration.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "engine/machine.h"
#include "train/track_task.h"
#include "train/trainer.h"

const rg_option rg_cmd_tokens_build_options[] = {{0}};

rg_status rg_cmd_tokens_build(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    char path[RG_TRACK_PATH];
    rg_config_key *schema = NULL;
    size_t n = 0;
    rg_machine cpu = {0};
    const rg_task *task = rg_train_task_of(rg_arg(args, 0), &schema, &n, err);
    rg_config *config = NULL;
    rg_status status = task ? RG_OK : err->code;
    if (task && strcmp(task->kind, "tracks") != 0)
        status = rg_fail(err, RG_ERR_USAGE,
                         "%s: is a configuration of '%s'; one of tracks names "
                         "the codecs that make tokens",
                         rg_arg(args, 0), task->kind);
    if (status == RG_OK) {
        config = rg_config_load(rg_arg(args, 0), schema, n, rg_arg_list(args, 1),
                                (size_t)rg_arg_count(args) - 1, err);
        status = config ? rg_machine_open(&cpu, NULL, NULL, err) : err->code;
    }
    if (status == RG_OK)
        status = rg_track_build_tokens(config, cpu.ex, cli->stop, cli->log, path, err);
    rg_machine_close(&cpu);
    rg_config_free(config);
    free(schema);
    if (status == RG_OK) printf("%s\n", path);
    return status;
}
