/*
 * resonant codec encode | decode.
 */
#include <stdio.h>

#include "cli/commands.h"
#include "engine/machine.h"
#include "models/bundle.h"
#include "models/codec_codes.h"

const rg_option rg_cmd_codec_encode_options[] = {
    {"out", "CODES", "code file to write (required)"},
    {"codebooks", "N", "how many codebooks to use (all)"},
    {"bandwidth", "KBPS", "as many codebooks as this many kbit/s pay for"},
    {"device", "NAME", "auto, cpu, cuda or cuda:N (cpu; others are unproven on hardware)"},
    {0},
};
const rg_option rg_cmd_codec_decode_options[] = {
    {"out", "WAV", "sound file to write (required)"},
    {"float", NULL, "32-bit floats, not clipped, in place of 16 bits"},
    {"device", "NAME", "auto, cpu, cuda or cuda:N (cpu; others are unproven on hardware)"},
    {0},
};

/* Opens the codec of the first argument on the device or all cores; the caller closes both. */
static rg_status open_codec(const rg_args *args, const rg_log *log, const char **out,
                            rg_machine *machine, rg_codec *codec, rg_error *err)
{
    const rg_machine_options on = {.device = rg_option_text(args, "device", "cpu")};
    *out = rg_option_text(args, "out", NULL);
    if (!*out) return rg_fail(err, RG_ERR_USAGE, "codec: --out FILE is missing");
    RG_TRY(rg_machine_open(machine, &on, log, err));
    rg_status status = rg_codec_open(rg_arg(args, 0), machine->ex, codec, err);
    if (status != RG_OK) rg_machine_close(machine);
    return status;
}

/* 0: all. */
static rg_status read_books(const rg_args *args, const rg_encodec_config *config, int32_t *books,
                            rg_error *err)
{
    int64_t n = 0;
    double kbps = 0;
    *books = 0;
    if (rg_option_given(args, "codebooks") && rg_option_given(args, "bandwidth"))
        return rg_fail(err, RG_ERR_USAGE, "codec: --codebooks or --bandwidth, not both");
    if (rg_option_given(args, "bandwidth")) {
        RG_TRY(rg_option_real(args, "bandwidth", 0.001, 10000, &kbps, err));
        return rg_codec_books_for(config, kbps, books, err);
    }
    if (!rg_option_given(args, "codebooks")) return RG_OK;
    RG_TRY(rg_option_int(args, "codebooks", 1, config->codebooks, &n, err));
    *books = (int32_t)n;
    return RG_OK;
}

rg_status rg_cmd_codec_encode(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    const char *out;
    int32_t books;
    rg_machine machine;
    rg_codec codec;
    RG_TRY(open_codec(args, cli->log, &out, &machine, &codec, err));
    rg_status status = read_books(args, &codec.config, &books, err);
    if (status == RG_OK)
        status = rg_codec_encode_file(machine.ex, &codec, rg_arg(args, 1), books, out, err);
    rg_codec_free(&codec);
    rg_machine_close(&machine);
    if (status == RG_OK) printf("%s\n", out);
    return status;
}

rg_status rg_cmd_codec_decode(const rg_args *args, const rg_cli *cli, rg_error *err)
{
    const char *out;
    int64_t clipped = 0;
    rg_machine machine;
    rg_codec codec;
    RG_TRY(open_codec(args, cli->log, &out, &machine, &codec, err));
    rg_status status = rg_codec_decode_file(machine.ex, &codec, rg_arg(args, 1), out,
                                            rg_option_given(args, "float"), &clipped, err);
    rg_codec_free(&codec);
    rg_machine_close(&machine);
    if (status == RG_OK && clipped)
        rg_log_line(cli->log, RG_LOG_WARNING, "%lld samples beyond full scale were clipped",
                    (long long)clipped);
    if (status == RG_OK) printf("%s\n", out);
    return status;
}
