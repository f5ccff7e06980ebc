/*
 * Fuzzing metadata: the same bytes as a track of Slakh2100, of MedleyDB (YAML) and of MoisesDB
 * (JSON).
 */
#include "fuzz_import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const folders[] = {"s/Track00001/stems", "y/A_B/A_B_STEMS", "j/u1/bass",
                                          NULL};
    static const char *const files[] = {
        "s/Track00001/stems/S00.flac", "y/A_B/A_B_STEMS/A_B_STEM_01.wav", "j/u1/bass/t1.wav", NULL};
    fuzz_make_root(folders, files);
    fuzz_put("s/Track00001/metadata.yaml", data, n);
    fuzz_put("y/A_B/A_B_METADATA.yaml", data, n);
    fuzz_put("j/u1/data.json", data, n);
    fuzz_import("slakh", "s");
    fuzz_import("medleydb", "y");
    fuzz_import("moisesdb", "j");
    return 0;
}
