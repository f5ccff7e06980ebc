/*
 * The table of commands: what `resonant --help` lists and main() runs.
 */
#include "cli/commands.h"

#define ROW(name, fn, arguments, summary, low, high)                            \
    {                                                                           \
        name, arguments, summary, low, high, rg_cmd_##fn##_options, rg_cmd_##fn \
    }

const rg_command rg_commands[] = {
    ROW("dataset build", dataset_build, "CORPUS --out STORE",
        "make a stem store from a corpus of real songs", 1, 1),
    ROW("dataset import", dataset_import,
        "folder|musdb18hq|slakh|moisesdb|medleydb|fretsonfire|manifest ROOT --out STORE",
        "make a stem store from a data set of yours", 2, 2),
    ROW("dataset features", dataset_features, "STORE",
        "hear tempo, beats, key, chords and more in a store's songs again", 1, 1),
    ROW("dataset info", dataset_info, "STORE", "songs, hours, roles and splits of a store", 1, 1),
    ROW("dataset export", dataset_export, "STORE --song ID --out DIR",
        "write a song's stems and what is known about it", 1, 1),
    ROW("dataset verify", dataset_verify, "STORE", "check every song of a store", 1, 1),
    ROW("tokens build", tokens_build, "CONFIG [key=value...]",
        "encode a store with the codecs of a tracks configuration", 1, -1),
    ROW("train", train, "CONFIG [key=value...]", "train a codec or the tracks", 1, -1),
    ROW("eval", eval, "RUN[@STEP]|BUNDLE", "write an evaluation report", 1, 1),
    ROW("eval compare", eval_compare, "A B", "compare two evaluation reports", 2, 2),
    ROW("export", export, "RUN|CODEC --out DIR",
        "write a bundle for inference, or a codec for transformers", 1, 1),
    ROW("import encodec", import_encodec, "DIR --out BUNDLE",
        "make a bundle of an EnCodec of transformers (config.json, model.safetensors)", 1, 1),
    ROW("generate", generate, "BUNDLE --out SCENE",
        "make music from a prompt; keep locked tracks as they are", 1, 1),
    ROW("analyze", analyze, "FILE|FOLDER|ROLE=FILE...",
        "tempo, beats, key, chords and more, heard in songs or their stems", 1, -1),
    ROW("prompt", prompt, "TEXT", "show what the prompt analyzer understands", 1, 1),
    ROW("codec encode", codec_encode, "CODEC IN --out CODES", "audio file to codes", 2, 2),
    ROW("codec decode", codec_decode, "CODEC CODES --out WAV", "codes to audio file", 2, 2),
    ROW("codec stream", codec_stream, "CODEC [--encode|--decode]",
        "live: sound on standard input to sound on standard output", 1, 1),
    ROW("config validate", config_validate, "FILE [key=value...]", "check a training configuration",
        1, -1),
    ROW("config dump", config_dump, "FILE [key=value...]",
        "print the resolved training configuration", 1, -1),
    ROW("bench", bench, "[train|seanet|lstm|gan|codec|decode|gemm|conv|attention ... | dist]",
        "time kernels against this machine's measured peak", 0, -1),
    ROW("selftest", selftest, "[--device cuda]",
        "check operators and small models on this machine, with a log to show", 0, 0),
    ROW("devices", devices, "", "what this machine offers", 0, 0),
    {0},
};
