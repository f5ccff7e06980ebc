/*
 * resonant train | config validate | config dump.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "train/trainer.h"

const rg_option rg_cmd_train_options[] = {
    {"resume", "[RUN[@STEP]]", "go on with the newest run of this name, or with RUN (at STEP)"},
    {"device", "NAME", "auto or cpu (this build has no CUDA backend)"},
    {"json", NULL, "print the result as JSON"},
    {0},
};

static rg_status check_device(const rg_args *args, rg_error *err)
{
    const char *device = rg_option_text(args, "device", "auto");
    if (!strcmp(device, "auto") || !strcmp(device, "cpu")) return RG_OK;
    if (strcmp(device, "cuda") != 0)
        return rg_fail(err, RG_ERR_USAGE, "--device: '%s' is not auto or cpu", device);
    rg_kernels_cuda(err);
    return rg_fail(err, RG_ERR_UNSUPPORTED, "no CUDA device");
}

rg_status rg_cmd_train(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    char resume[RG_RUN_PATH] = "";
    rg_train_options options = {.config_path = rg_arg(args, 0),
                                .overrides = rg_arg_list(args, 1),
                                .n_overrides = (size_t)rg_arg_count(args) - 1,
                                .resume = rg_option_given(args, "resume"),
                                .resume_step = -1,
                                .command_line = cli->command_line,
                                .version = cli->version,
                                .stop = cli->stop};
    rg_train_result result = {0};
    RG_TRY(check_device(args, err));
    RG_TRY(rg_split_step(rg_option_text(args, "resume", ""), resume, sizeof resume,
                         &options.resume_step, err));
    if (resume[0]) options.resume_path = resume;
    rg_status status = rg_train(&options, cli->log, &result, err);
    if (status == RG_OK && rg_option_given(args, "json"))
        printf("{\"run\": \"%s\", \"step\": %lld, \"stopped\": %s}\n", result.run_folder,
               (long long)result.step, result.stopped ? "true" : "false");
    else if (status == RG_OK)
        printf("%s\n", result.run_folder);
    if (status == RG_OK && result.stopped)
        rg_log_line(cli->log, RG_LOG_INFO,
                    "stopped at step %lld after a checkpoint; go on with --resume=%s",
                    (long long)result.step, result.run_folder);
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
