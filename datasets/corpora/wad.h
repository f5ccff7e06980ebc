/*
 * WAD files: a directory of named lumps, as the Doom engine reads them.
 *
 * One idea: the whole file is in memory and every offset is checked; nothing is copied.
 */
#ifndef RG_DATASETS_CORPORA_WAD_H
#define RG_DATASETS_CORPORA_WAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rg_lump {
    char name[9];
    const uint8_t *data;
    size_t n;
} rg_lump;

/* Lump i of the file, with a name that begins with `prefix`: RG_OK and *next = the index to go on
 * with, *next = -1 at the end (and `out` is empty). RG_ERR_FORMAT for a malformed file. */
rg_status rg_wad_next(const void *data, size_t n, const char *path, const char *prefix,
                      int64_t *next, rg_lump *out, rg_error *err) RG_MUST_USE;

#endif
