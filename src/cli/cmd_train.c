/*
 * resonant train | config validate | config dump.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/processes.h"
#include "engine/device.h"
#include "train/trainer.h"

const rg_option rg_cmd_train_options[] = {
    {"resume", "[RUN[@STEP]]", "go on with the newest run of this name, or with RUN (at STEP)"},
    {"device", "NAME", "auto, cpu, cuda (of each process one) or cuda:N (unproven on hardware)"},
    {"json", NULL, "print the result as JSON"},
    {"processes", "N", "train with N processes on this host"},
    {"rank", "R", "which of the processes this is, where no launcher says so; with --world"},
    {"world", "N", "how many processes there are"},
    {"meet", "PLACE", "where they meet: tcp://HOST:PORT (rank 0's), or a folder that all see"},
    {"job", "NAME", "tells apart jobs that meet at one place"},
    {"backend", "NAME", "auto, shm (one host), tcp or mpi; GPUs exchange gradients by NCCL"},
    {"timeout", "S", "seconds to wait for a process that lives (120 to meet, then 1800)"},
    {0},
};

static void print_result(const rg_args *args, const rg_cli *cli, const rg_train_result *result)
{
    if (rg_option_given(args, "json"))
        printf("{\"run\": \"%s\", \"step\": %lld, \"stopped\": %s}\n", result->run_folder,
               (long long)result->step, result->stopped ? "true" : "false");
    else
        printf("%s\n", result->run_folder);
    if (result->stopped)
        rg_log_line(cli->log, RG_LOG_INFO,
                    "stopped at step %lld after a checkpoint; go on with --resume=%s",
                    (long long)result->step, result->run_folder);
}

static rg_status train_together(const rg_args *args, const rg_cli *cli, rg_comm *comm,
                                rg_error *err)
{
    char resume[RG_RUN_PATH] = "";
    rg_train_options options = {.config_path = rg_arg(args, 0),
                                .overrides = rg_arg_list(args, 1),
                                .n_overrides = (size_t)rg_arg_count(args) - 1,
                                .resume = rg_option_given(args, "resume"),
                                .resume_step = -1,
                                .command_line = cli->command_line,
                                .version = cli->version,
                                .stop = cli->stop,
                                .device = rg_option_text(args, "device", "auto"),
                                .comm = comm};
    rg_train_result result = {0};
    RG_TRY(rg_split_step(rg_option_text(args, "resume", ""), resume, sizeof resume,
                         &options.resume_step, err));
    if (resume[0]) options.resume_path = resume;
    RG_TRY(rg_train(&options, cli->log, &result, err));
    if (rg_comm_rank(comm) == 0) print_result(args, cli, &result);
    return RG_OK;
}

rg_status rg_cmd_train(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    int64_t processes = 1;
    rg_comm *comm;
    RG_TRY(rg_device_check(rg_option_text(args, "device", "auto"), err));
    if (rg_option_given(args, "processes")) {
        RG_TRY(rg_option_int(args, "processes", 1, 256, &processes, err));
        if (rg_option_given(args, "rank") || rg_option_given(args, "world"))
            return rg_fail(err, RG_ERR_USAGE,
                           "--processes starts all ranks; --rank and --world are of one of them");
        if (processes > 1) return rg_launch_here(cli, (int32_t)processes, err);
    }
    RG_TRY(rg_join_processes(args, &comm, err));
    rg_status status = train_together(args, cli, comm, err);
    if (status != RG_OK && comm) {
        rg_error_prefix(err, "rank %d", (int)rg_comm_rank(comm));
        if (!strcmp(rg_comm_backend_name(comm), "mpi")) /* which ends this process when it closes */
            rg_log_line(cli->log, RG_LOG_WARNING, "%s", err->text);
    }
    rg_comm_close(comm);
    return status;
}

const rg_option rg_cmd_config_validate_options[] = {{0}};
const rg_option rg_cmd_config_dump_options[] = {{0}};

/* The schema is the caller's to free, after the configuration. */
static rg_config *load_config(const rg_args *args, rg_config_key **schema, rg_error *err)
{
    size_t n = 0;
    *schema = NULL;
    if (!rg_train_task_of(rg_arg(args, 0), schema, &n, err)) return NULL;
    return rg_config_load(rg_arg(args, 0), *schema, n, rg_arg_list(args, 1),
                          (size_t)rg_arg_count(args) - 1, err);
}

rg_status rg_cmd_config_validate(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    (void)cli;
    rg_config_key *schema;
    rg_config *config = load_config(args, &schema, err);
    if (config) printf("%s: valid\n", rg_arg(args, 0));
    rg_config_free(config);
    free(schema);
    return config ? RG_OK : err->code;
}

rg_status rg_cmd_config_dump(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    (void)cli;
    rg_config_key *schema;
    rg_text dump;
    rg_text_init(&dump, 1 << 20);
    rg_config *config = load_config(args, &schema, err);
    if (config) rg_config_dump(config, &dump);
    rg_status status = config ? rg_text_status(&dump, err) : err->code;
    if (status == RG_OK) fputs(dump.data, stdout);
    rg_text_free(&dump);
    rg_config_free(config);
    free(schema);
    return status;
}
