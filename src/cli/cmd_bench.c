/*
 * resonant bench: models and kernels, timed against this machine's measured peak.
 */
#include <stdio.h>

#include "cli/commands.h"
#include "train/bench.h"

const rg_option rg_cmd_bench_options[] = {{"json", NULL, "print JSON"}, {0}};

rg_status rg_cmd_bench(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    rg_text out;
    rg_text_init(&out, 1 << 20);
    rg_status status = rg_bench_run(rg_arg_list(args, 0), (size_t)rg_arg_count(args),
                                    rg_option_given(args, "json"), &out, cli->log, err);
    if (status == RG_OK) fputs(out.data, stdout);
    rg_text_free(&out);
    return status;
}
