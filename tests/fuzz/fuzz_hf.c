/*
 * Fuzzing folders of transformers: bytes that begin with '{' as their config.json, others as the
 * model.safetensors of a tiny EnCodec. A folder is refused with a text, or its codec is there.
 */
#include <string.h>

#include "base/fs.h"
#include "fuzz.h"
#include "models/hf.h"

/* What the seed's tensors are made for. */
static const char tiny[] =
    "{\"model_type\":\"encodec\",\"sampling_rate\":1000,\"num_filters\":2,\"hidden_size\":2,"
    "\"codebook_dim\":2,\"upsampling_ratios\":[2],\"num_lstm_layers\":1,\"codebook_size\":2,"
    "\"target_bandwidths\":[1.0]}";
/* A file of no tensors. */
static const char none[] = "\x08\0\0\0\0\0\0\0{}      ";

static char folder[] = "/tmp/fuzz-hf-XXXXXX";

static void clean(void)
{
    (void)!rg_fs_remove_tree(folder, NULL);
}

static void put(const char *name, const void *data, size_t n)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, n, f) != n || fclose(f)) abort();
}

static rg_exec *begin(void)
{
    static rg_exec *ex;
    rg_error err = {0};
    if (ex) return ex;
    const size_t room = 256 << 20; /* of address space: valgrind has little */
    ex = rg_exec_create(&(rg_exec_options){.kernels = rg_kernels_reference(),
                                           .step_bytes = room,
                                           .scratch_bytes = room,
                                           .persist_bytes = room},
                        &err);
    if (!ex || !mkdtemp(folder) || atexit(clean)) abort();
    rg_set_recording(ex, false);
    return ex;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    rg_error err = {0};
    rg_codec codec;
    rg_exec *ex = begin();
    const bool config = n > 0 && data[0] == '{';
    put("config.json", config ? (const void *)data : tiny, config ? n : sizeof tiny - 1);
    put("model.safetensors", config ? (const void *)none : data, config ? sizeof none - 1 : n);
    if (rg_hf_load(folder, &(rg_hf_options){.keep_training_state = true}, ex, NULL, &codec, &err)) {
        if (!err.text[0] || strchr(err.text, '\n')) abort();
        return 0;
    }
    if (config || !rg_quantizer_started(rg_encodec_quantizer(codec.model))) abort();
    rg_codec_free(&codec);
    return 0;
}
