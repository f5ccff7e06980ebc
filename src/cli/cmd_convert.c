/*
 * resonant import encodec | export: models from and for other programs, and bundles.
 */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "engine/machine.h"
#include "models/bundle.h"
#include "models/hf.h"

const rg_option rg_cmd_import_encodec_options[] = {
    {"out", "BUNDLE", "new folder for the bundle (required)"},
    {"role", "NAME", "what the codec is called in it (mix)"},
    {"keep-training-state", NULL, "running sums of the codebooks too, for training to go on"},
    {0},
};

rg_status rg_cmd_import_encodec(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    const char *out = rg_option_text(args, "out", NULL);
    rg_machine cpu;
    const rg_hf_options options = {.role = rg_option_text(args, "role", NULL),
                                   .keep_training_state =
                                       rg_option_given(args, "keep-training-state")};
    if (!out)
        return rg_fail(err, RG_ERR_USAGE, "import: --out BUNDLE is missing: where the bundle goes");
    RG_TRY(rg_machine_open(&cpu, NULL, NULL, err));
    rg_status status = rg_hf_import(rg_arg(args, 0), out, &options, cpu.ex, cli->log, err);
    rg_machine_close(&cpu);
    if (status == RG_OK) printf("%s\n", out);
    return status;
}

const rg_option rg_cmd_export_options[] = {
    {"out", "DIR", "new folder for the bundle, or for the model (required)"},
    {"format", "FORMAT",
     "bundle (of a track run), or hf: a codec (as CODEC of `codec encode`) for transformers"},
    {0},
};

static rg_status export_hf(const char *name, const char *out, rg_exec *ex, rg_error *err)
{
    rg_codec codec;
    RG_TRY(rg_codec_open(name, ex, &codec, err));
    rg_status status = rg_hf_export(&codec, out, err);
    rg_codec_free(&codec);
    return status;
}

rg_status rg_cmd_export(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    const char *out = rg_option_text(args, "out", NULL);
    const char *format = rg_option_text(args, "format", "bundle");
    const bool hf = !strcmp(format, "hf");
    rg_machine cpu;
    if (!out)
        return rg_fail(err, RG_ERR_USAGE, "export: --out DIR is missing: where the result goes");
    if (!hf && strcmp(format, "bundle") != 0)
        return rg_fail(err, RG_ERR_USAGE, "export: --format is bundle or hf, not '%s'", format);
    RG_TRY(rg_machine_open(&cpu, NULL, NULL, err));
    rg_status status = hf ? export_hf(rg_arg(args, 0), out, cpu.ex, err)
                          : rg_bundle_export(rg_arg(args, 0), out, cpu.ex, cli->log, err);
    rg_machine_close(&cpu);
    if (status == RG_OK) printf("%s\n", out);
    return status;
}
