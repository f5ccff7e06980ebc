/*
 * The commands' functions, one file cmd_*.c for each; their tables are rows of commands.c.
 */
#ifndef RG_CLI_COMMANDS_H
#define RG_CLI_COMMANDS_H

#include "cli/options.h"

#define RG_COMMAND(name)                                                            \
    rg_status rg_cmd_##name(const rg_args *args, const rg_cli *cli, rg_error *err); \
    extern const rg_option rg_cmd_##name##_options[];

RG_COMMAND(train)
RG_COMMAND(config_validate)
RG_COMMAND(config_dump)
RG_COMMAND(dataset_build)
RG_COMMAND(dataset_import)
RG_COMMAND(dataset_features)
RG_COMMAND(dataset_info)
RG_COMMAND(dataset_export)
RG_COMMAND(dataset_verify)
RG_COMMAND(tokens_build)
RG_COMMAND(codec_encode)
RG_COMMAND(codec_decode)
RG_COMMAND(codec_stream)
RG_COMMAND(eval)
RG_COMMAND(eval_compare)
RG_COMMAND(export)
RG_COMMAND(import_encodec)
RG_COMMAND(generate)
RG_COMMAND(analyze)
RG_COMMAND(prompt)
RG_COMMAND(bench)
RG_COMMAND(selftest)
RG_COMMAND(devices)

#endif
