/*
 * Fuzzing WAD files: every lump lies within the file, and the walk ends.
 */
#include "datasets/corpora/wad.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    rg_error err = {0};
    int64_t next = 0, last = -1;
    for (size_t steps = 0; next >= 0; steps++) {
        rg_lump lump = {0};
        if (rg_wad_next(data, n, "fuzz", "D_", &next, &lump, &err) != RG_OK) {
            if (!err.text[0]) abort();
            return 0;
        }
        if (next >= 0 && (next <= last || steps > n)) abort();
        last = next;
        if (lump.data && (lump.data < data || lump.n > n || lump.data > data + n - lump.n)) abort();
    }
    return 0;
}
