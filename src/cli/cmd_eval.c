/*
 * resonant eval | eval compare.
 */
#include <stdio.h>

#include "cli/commands.h"
#include "eval/evaluate.h"
#include "models/bundle.h"

const rg_option rg_cmd_eval_options[] = {
    {"data", "STORE", "stem store to measure on (the one that the run names)"},
    {"split", "NAME", "test, valid or train (test); train says so in the title"},
    {"out", "DIR", "folder of the report (RUN/eval/SPLIT)"},
    {"songs", "N", "at most N songs (all)"},
    {"seconds", "S", "of each song and role (20)"},
    {"samples", "N", "pieces to generate for the report (3)"},
    {"seed", "N", "of bootstraps and generation (1)"},
    {"precision", "TYPE",
     "of the tracks' weights: fp32, bf16 or int8; on a GPU fp32, fp16 or bf16 (fp32)"},
    {"device", "NAME",
     "of tracks, or of a codec run's codec: auto, cpu, cuda or cuda:N (cpu; others are unproven on "
     "hardware)"},
    {"threads", "N", "CPU threads (one per core)"},
    {0},
};

rg_status rg_cmd_eval(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    char path[1024] = "";
    int64_t samples = 3, seed = 1, threads = 0;
    const char *split = rg_option_text(args, "split", "test");
    char target[1024];
    rg_eval_options o = rg_eval_defaults(target);
    RG_TRY(rg_split_step(rg_arg(args, 0), target, sizeof target, &o.step, err));
    if (!rg_split_parse(split, &o.split))
        return rg_fail(err, RG_ERR_USAGE, "--split: '%s' is not test, valid or train", split);
    const char *precision = rg_option_text(args, "precision", "fp32");
    if (!rg_precision_parse(precision, &o.precision))
        return rg_fail(err, RG_ERR_USAGE, "--precision: '%s' is not fp32, fp16, bf16 or int8",
                       precision);
    RG_TRY(rg_option_int(args, "songs", 1, 1000000, &o.songs, err));
    RG_TRY(rg_option_real(args, "seconds", 1, 3600, &o.seconds, err));
    RG_TRY(rg_option_int(args, "samples", 0, 100, &samples, err));
    RG_TRY(rg_option_int(args, "seed", 0, INT64_MAX, &seed, err));
    RG_TRY(rg_option_int(args, "threads", 0, 1024, &threads, err));
    o.store = rg_option_text(args, "data", NULL);
    o.out = rg_option_text(args, "out", NULL);
    o.samples = (int32_t)samples;
    o.seed = (uint64_t)seed;
    o.threads = (int32_t)threads;
    o.device = rg_option_text(args, "device", "cpu");
    o.version = cli->version;
    o.stop = cli->stop;
    RG_TRY(rg_evaluate(&o, cli->log, path, err));
    printf("%s\n", path);
    return RG_OK;
}

const rg_option rg_cmd_eval_compare_options[] = {
    {"out", "DIR", "also write a report of the comparison"},
    {0},
};

rg_status rg_cmd_eval_compare(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    int64_t regressions = 0;
    RG_TRY(rg_eval_compare(rg_arg(args, 0), rg_arg(args, 1), rg_option_text(args, "out", NULL),
                           cli->log, &regressions, err));
    printf("%lld regressions\n", (long long)regressions);
    return RG_OK;
}
