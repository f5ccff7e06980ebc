/*
 * resonant bench: models and kernels, timed against this machine's measured peak; or, with --model,
 * what a configuration's training step would take of GPUs.
 */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "train/bench.h"
#include "train/roofline.h"

const rg_option rg_cmd_bench_options[] = {
    {"model", "CONFIG",
     "predict a training step of CONFIG [key=value...] on GPUs, by data sheet, and time it "
     "on the one that is there"},
    {"device", "NAME", "cpu to time, cuda to predict (with --model; the default there)"},
    {"json", NULL, "print JSON"},
    {0},
};

/* What is timed runs on the CPU, what is predicted on GPUs. */
static rg_status check_device(const rg_args *args, const char *model, rg_error *err)
{
    const char *works = model ? "cuda" : "cpu", *given = rg_option_text(args, "device", works);
    if (!strcmp(given, works)) return RG_OK;
    if (strcmp(given, "cpu") != 0 && strcmp(given, "cuda") != 0)
        return rg_fail(err, RG_ERR_USAGE, "--device: '%s' is not cpu or cuda", given);
    return rg_fail(err, RG_ERR_USAGE,
                   model ? "--device cpu: --model predicts for GPUs; the groups of bench (without "
                           "--model) time the CPU"
                         : "--device cuda: kernels are timed on the CPU only; --model CONFIG "
                           "predicts a training step on GPUs");
}

rg_status rg_cmd_bench(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    const char *model = rg_option_text(args, "model", NULL);
    const char *const *words = rg_arg_list(args, 0);
    const size_t n = (size_t)rg_arg_count(args);
    const bool json = rg_option_given(args, "json");
    rg_text out;
    RG_TRY(check_device(args, model, err));
    rg_text_init(&out, 1 << 20);
    rg_status status = model ? rg_roofline_run(model, words, n, json, &out, cli->log, err)
                             : rg_bench_run(words, n, json, &out, cli->log, err);
    if (status == RG_OK) fputs(out.data, stdout);
    rg_text_free(&out);
    return status;
}
