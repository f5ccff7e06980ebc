/*
 * resonant bench: models and kernels, timed against this machine's measured peak; or, with --model,
 * what a configuration's training step would take of GPUs; or, as `bench dist`, processes.
 */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/processes.h"
#include "train/bench.h"
#include "train/roofline.h"

const rg_option rg_cmd_bench_options[] = {
    {"model", "CONFIG",
     "predict a training step of CONFIG [key=value...] on GPUs, by data sheet, and time it "
     "on the one that is there"},
    {"device", "NAME",
     "cpu to time, cuda to predict (with --model; the default there); of dist both"},
    {"json", NULL, "print JSON"},
    {"processes", "N", "of dist: between N processes on this host"},
    {"backend", "NAME", "of dist: auto, shm, tcp or mpi; with --device cuda NCCL"},
    {"rank", "R", "of dist, as of train"},
    {"world", "N", "of dist, as of train"},
    {"meet", "PLACE", "of dist, as of train"},
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

/* Of several processes, which this starts or is one of. */
static rg_status bench_dist(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    const char *device = rg_option_text(args, "device", "cpu");
    int64_t processes = 1;
    rg_comm *comm;
    rg_text out;
    if (rg_option_given(args, "processes"))
        RG_TRY(rg_option_int(args, "processes", 2, 256, &processes, err));
    if (rg_arg_count(args) != 1 || rg_option_given(args, "model"))
        return rg_fail(err, RG_ERR_USAGE, "bench dist: goes with no other group and no --model");
    if (processes > 1) return rg_launch_here(cli, (int32_t)processes, err);
    RG_TRY(rg_join_processes(args, &comm, err));
    rg_text_init(&out, 1 << 20);
    rg_status status =
        rg_bench_dist(comm, device, rg_option_given(args, "json"), &out, cli->log, err);
    if (status == RG_OK && out.n) fputs(out.data, stdout);
    rg_text_free(&out);
    rg_comm_close(comm);
    return status;
}

rg_status rg_cmd_bench(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    const char *model = rg_option_text(args, "model", NULL);
    const char *const *words = rg_arg_list(args, 0);
    const size_t n = (size_t)rg_arg_count(args);
    const bool json = rg_option_given(args, "json");
    rg_text out;
    if (n && !strcmp(words[0], "dist")) return bench_dist(args, cli, err);
    const char *const of_dist[] = {"processes", "backend", "rank", "world", "meet"};
    for (size_t i = 0; i < sizeof of_dist / sizeof *of_dist; i++)
        if (rg_option_given(args, of_dist[i]))
            return rg_fail(err, RG_ERR_USAGE, "bench: --%s is of `bench dist`", of_dist[i]);
    RG_TRY(check_device(args, model, err));
    rg_text_init(&out, 1 << 20);
    rg_status status = model ? rg_roofline_run(model, words, n, true, json, &out, cli->log, err)
                             : rg_bench_run(words, n, json, &out, cli->log, err);
    if (status == RG_OK) fputs(out.data, stdout);
    rg_text_free(&out);
    return status;
}
