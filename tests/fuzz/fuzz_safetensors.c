/*
 * Fuzzing safetensors: a file is refused, or every tensor in it can be read within its bounds. The
 * same bytes are tried as a code file, the other format that stands on it.
 */
#include "engine/safetensors.h"
#include "fuzz.h"
#include "models/codec_codes.h"

static void read_tensor(rg_st_reader *reader, const rg_st_tensor *tensor)
{
    int64_t count = rg_shape_count(tensor->shape);
    char *bytes = malloc((size_t)tensor->bytes + 1);
    float *floats = malloc((size_t)count * sizeof *floats + 1);
    if (!bytes || !floats) abort();
    if (rg_st_read(reader, tensor, bytes, NULL) == RG_OK &&
        rg_st_find(reader, tensor->name) != tensor)
        abort();
    (void)!rg_st_read_floats(reader, tensor, floats, NULL);
    free(bytes);
    free(floats);
}

static void read_codes(const char *path)
{
    rg_error err = {0};
    rg_codes codes = {0};
    if (rg_codes_read(path, &codes, &err) != RG_OK && !err.text[0]) abort();
    rg_codes_free(&codes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    rg_error err = {0};
    const char *path = fuzz_file(data, n);
    rg_st_reader *reader = rg_st_open(path, &err);
    if (!reader && !err.text[0]) abort();
    for (size_t i = 0; reader && i < rg_st_count(reader); i++)
        read_tensor(reader, rg_st_at(reader, i));
    if (reader) rg_st_metadata(reader, "format");
    rg_st_close(reader);
    read_codes(path);
    return 0;
}
