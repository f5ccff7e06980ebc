/*
 * Reading WAD files (wad.h).
 */
#include "datasets/corpora/wad.h"

#include <string.h>

enum { HEADER = 12, ENTRY = 16 };

static uint32_t u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

rg_status rg_wad_next(const void *data, size_t n, const char *path, const char *prefix,
                      int64_t *next, rg_lump *out, rg_error *err)
{
    const uint8_t *bytes = data;
    *out = (rg_lump){0};
    if (n < HEADER || (memcmp(bytes, "IWAD", 4) != 0 && memcmp(bytes, "PWAD", 4) != 0))
        return rg_fail(err, RG_ERR_FORMAT, "%s: is not a WAD file", path);
    uint64_t lumps = u32(bytes + 4), directory = u32(bytes + 8);
    if (directory + lumps * ENTRY > n)
        return rg_fail(err, RG_ERR_FORMAT, "%s: the WAD directory lies outside the file", path);
    for (uint64_t i = (uint64_t)*next; i < lumps; i++) {
        const uint8_t *entry = bytes + directory + i * ENTRY;
        uint64_t offset = u32(entry), size = u32(entry + 4);
        memcpy(out->name, entry + 8, 8);
        if (strncmp(out->name, prefix, strlen(prefix)) != 0) continue;
        if (offset + size > n)
            return rg_fail(err, RG_ERR_FORMAT, "%s: lump %.8s lies outside the file", path,
                           out->name);
        out->data = bytes + offset;
        out->n = (size_t)size;
        *next = (int64_t)i + 1;
        return RG_OK;
    }
    *out = (rg_lump){0};
    *next = -1;
    return RG_OK;
}
