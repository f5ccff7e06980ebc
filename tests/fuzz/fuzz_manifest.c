/*
 * Fuzzing manifests: lines of JSON that name songs, stems and paths.
 */
#include "fuzz_import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const folders[] = {"a", NULL}, *const files[] = {"a/d.wav", "m.wav", NULL};
    fuzz_make_root(folders, files);
    fuzz_put("data.jsonl", data, n);
    fuzz_import("manifest", "data.jsonl");
    return 0;
}
