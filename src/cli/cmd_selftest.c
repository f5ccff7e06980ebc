/*
 * resonant selftest: whether this machine computes what it should.
 */
#include <stdio.h>

#include "cli/commands.h"
#include "train/selftest.h"

const rg_option rg_cmd_selftest_options[] = {
    {"device", "NAME", "auto, cpu, cuda or cuda:N"},
    {0},
};

/* The log is printed whether or not all is well. */
rg_status rg_cmd_selftest(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    const rg_selftest_options options = {.device = rg_option_text(args, "device", "auto"),
                                         .version = cli->version};
    rg_text out;
    rg_text_init(&out, 1 << 20);
    const rg_status status = rg_selftest_run(&options, &out, cli->log, err);
    if (status == RG_OK || status == RG_ERR_NUMERIC) fputs(out.data, stdout);
    rg_text_free(&out);
    return status;
}
