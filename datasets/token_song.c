/*
 * One song of a token cache in HDF5 (token_internal.h).
 *
 * One idea: every data set has its checksum beside it, and every code is checked against its
 * codebook, because an index out of range would be read as memory later.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "datasets/token_internal.h"

enum { LONGEST_SONG = 1 << 24 }; /* frames: more than 90 hours at 50 Hz */

void rg__token_codes_free(rg__token_codes *song)
{
    for (int32_t r = 0; r < RG_MAX_ROLES; r++) free(song->codes[r]);
    *song = (rg__token_codes){0};
}

static bool write_role(hid_t group, const char *role, const uint16_t *codes, hsize_t n)
{
    char name[64];
    uint64_t sum = rg_xxh3(codes, (size_t)n * sizeof *codes);
    snprintf(name, sizeof name, "xxh3_%s", role);
    return rg__h5_write(group, role, H5T_NATIVE_UINT16, codes, n) &&
           rg__h5_put(group, name, H5T_NATIVE_UINT64, &sum, 0);
}

bool rg__tokens_write_song(hid_t file, int64_t index, const rg__token_codes *song,
                           const rg_codec *codecs, int32_t n)
{
    char name[64];
    snprintf(name, sizeof name, "/songs/%lld", (long long)index);
    hid_t group = H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = group >= 0 && rg__h5_put_text(group, "id", song->id) &&
              rg__h5_put(group, "frames", H5T_NATIVE_INT64, &song->frames, 0);
    for (int32_t r = 0; ok && r < n; r++)
        if (song->codes[r])
            ok = write_role(group, codecs[r].role, song->codes[r],
                            (hsize_t)song->frames * (hsize_t)codecs[r].config.codebooks);
    if (group >= 0) ok = H5Gclose(group) >= 0 && ok;
    return ok;
}

static rg_status read_role(hid_t group, const char *path, const rg_token_role *role,
                           rg__token_codes *song, int32_t r, rg_error *err)
{
    if (H5Lexists(group, role->name, H5P_DEFAULT) <= 0) return RG_OK; /* absent */
    int64_t n = song->frames * role->books;
    uint16_t *codes = malloc((size_t)n * sizeof *codes + 1);
    if (!codes) return rg_fail(err, RG_ERR_NOMEM, "%s: no memory for %s", path, song->id);
    song->codes[r] = codes;
    char name[64];
    uint64_t sum = 0;
    snprintf(name, sizeof name, "xxh3_%s", role->name);
    if (!rg__h5_read(group, role->name, H5T_NATIVE_UINT16, codes, (hsize_t)n) ||
        !rg__h5_get(group, name, H5T_NATIVE_UINT64, &sum, 0))
        return rg_fail(err, RG_ERR_FORMAT, "%s: song %s: role %s cannot be read as %lld codes",
                       path, song->id, role->name, (long long)n);
    if (sum != rg_xxh3(codes, (size_t)n * sizeof *codes))
        return rg_fail(err, RG_ERR_FORMAT,
                       "%s: song %s: role %s has a wrong checksum; remove the file and build again",
                       path, song->id, role->name);
    for (int64_t i = 0; i < n; i++)
        if (codes[i] >= role->entries)
            return rg_fail(err, RG_ERR_FORMAT, "%s: song %s: role %s has code %d of %d", path,
                           song->id, role->name, codes[i], role->entries);
    return RG_OK;
}

rg_status rg__tokens_read_song(hid_t file, const char *path, int64_t index,
                               const rg_token_role *roles, int32_t n, rg__token_codes *out,
                               rg_error *err)
{
    char name[64];
    *out = (rg__token_codes){0};
    snprintf(name, sizeof name, "/songs/%lld", (long long)index);
    hid_t group = H5Gopen2(file, name, H5P_DEFAULT);
    rg_status status = RG_OK;
    if (group < 0 || !rg__h5_get_text(group, "id", out->id, sizeof out->id) ||
        !rg__h5_get(group, "frames", H5T_NATIVE_INT64, &out->frames, 0) || out->frames < 0 ||
        out->frames > LONGEST_SONG)
        status = rg_fail(err, RG_ERR_FORMAT, "%s: %s is missing or malformed", path, name);
    for (int32_t r = 0; r < n && status == RG_OK; r++)
        status = read_role(group, path, &roles[r], out, r, err);
    if (group >= 0) H5Gclose(group);
    if (status != RG_OK) rg__token_codes_free(out);
    return status;
}
