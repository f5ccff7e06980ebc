/*
 * resonant codec encode | decode.
 */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/device.h"
#include "models/codec_codes.h"

const rg_option rg_cmd_codec_encode_options[] = {
    {"out", "CODES", "code file to write (required)"},
    {0},
};
const rg_option rg_cmd_codec_decode_options[] = {
    {"out", "WAV", "sound file to write (required)"},
    {0},
};

/* Opens the codec of the first argument on all cores; the caller closes both. */
static rg_status open_codec(const rg_args *args, const char **out, rg_device_cpu *cpu,
                            rg_codec *codec, rg_error *err)
{
    *out = rg_option_text(args, "out", NULL);
    if (!*out) return rg_fail(err, RG_ERR_USAGE, "codec: --out FILE is missing");
    RG_TRY(rg_device_open(cpu, err));
    rg_status status = rg_codec_load(rg_arg(args, 0), cpu->ex, codec, err);
    if (status != RG_OK) rg_device_close(cpu);
    return status;
}

rg_status rg_cmd_codec_encode(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    const char *out;
    rg_device_cpu cpu;
    rg_codec codec;
    (void)cli;
    RG_TRY(open_codec(args, &out, &cpu, &codec, err));
    rg_status status = rg_codec_encode_file(cpu.ex, &codec, rg_arg(args, 1), out, err);
    rg_codec_free(&codec);
    rg_device_close(&cpu);
    if (status == RG_OK) printf("%s\n", out);
    return status;
}

rg_status rg_cmd_codec_decode(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    const char *out;
    int64_t clipped = 0;
    rg_device_cpu cpu;
    rg_codec codec;
    RG_TRY(open_codec(args, &out, &cpu, &codec, err));
    rg_status status = rg_codec_decode_file(cpu.ex, &codec, rg_arg(args, 1), out, &clipped, err);
    rg_codec_free(&codec);
    rg_device_close(&cpu);
    if (status == RG_OK && clipped)
        rg_log_line(cli->log, RG_LOG_WARNING, "%lld samples beyond full scale were clipped",
                    (long long)clipped);
    if (status == RG_OK) printf("%s\n", out);
    return status;
}
