/*
 * Opening one shard of a store for reading: its attributes, its songs, and where their samples lie.
 *
 * One idea: a song's array is contiguous, unfiltered and of native type, so its place in the file
 * is known once and for all (store_summary.c, or H5Dget_offset where there is no summary). Where a
 * shard was repacked by somebody (chunks, compression), its samples are read through HDF5.
 * Not here: the list of shards (store_open.c), reading samples (store_read.c).
 */
#include <stdlib.h>
#include <string.h>

#include "datasets/store_reader.h"

static rg_status bad_shard(rg_error *err, const char *path, const char *what)
{
    return rg_fail(err, RG_ERR_FORMAT, "%s: %s; build the store again", path, what);
}

static rg_status check_root(hid_t file, const char *path, rg_error *err)
{
    char conventions[64];
    int32_t major = 0, minor = 0;
    uint8_t complete = 0;
    if (!rg__h5_get_text(file, "Conventions", conventions, sizeof conventions) ||
        strncmp(conventions, "ResonantGen-Stems-", 18) != 0 ||
        !rg__h5_get(file, "format_major", H5T_NATIVE_INT32, &major, 0) ||
        !rg__h5_get(file, "format_minor", H5T_NATIVE_INT32, &minor, 0))
        return bad_shard(err, path, "is not a shard of a stem store");
    if (major != RG_STORE_MAJOR)
        return rg_fail(err, RG_ERR_UNSUPPORTED,
                       "%s: the store has format %d.%d, this program reads %d.x", path, major,
                       minor, RG_STORE_MAJOR);
    if (!rg__h5_get(file, "complete", H5T_NATIVE_UINT8, &complete, 0) || complete != 1)
        return bad_shard(err, path, "the shard is not complete");
    return RG_OK;
}

/* Rate, channels and roles: taken from the first shard, compared with it afterwards. */
static rg_status check_roles(rg_store *s, bool first, hid_t file, const char *path, rg_error *err)
{
    int32_t rate = 0, channels = 0, n = 0;
    char text[RG_MAX_ROLES * 32], roles[RG_MAX_ROLES][32] = {{0}}, *rest = text;
    if (!rg__h5_get(file, "sample_rate", H5T_NATIVE_INT32, &rate, 0) || rate < 1000 ||
        !rg__h5_get_text(file, "roles", text, sizeof text))
        return bad_shard(err, path, "its sample rate or roles are missing");
    for (char *name; (name = strsep(&rest, ",")); n++)
        if (n >= RG_MAX_ROLES || !rg__store_good_role(name) ||
            !rg_copy_text(roles[n], sizeof roles[n], name))
            return bad_shard(err, path, "its list of roles is malformed");
    if (!rg__h5_get(file, "channels", H5T_NATIVE_INT32, &channels, 0) || channels < 1 ||
        channels > RG_MAX_CHANNELS)
        return rg_fail(err, RG_ERR_UNSUPPORTED, "%s: has %d channels; stems of 1 or 2 are read",
                       path, channels);
    if (first) {
        s->rate = rate;
        s->channels = channels;
        s->n_roles = n;
        memcpy(s->roles, roles, sizeof roles);
        s->config = rg__h5_get_long_text(file, "config_yaml");
        return RG_OK;
    }
    if (rate != s->rate || channels != s->channels || memcmp(roles, s->roles, sizeof roles) != 0)
        return rg_fail(err, RG_ERR_MISMATCH,
                       "%s: rate, channels or roles differ from the first shard's", path);
    return RG_OK;
}

/* (roles,frames), or (roles,channels,frames) where channels are several. */
static bool is_shaped(const rg_store *s, const rg_song *song, hid_t space)
{
    hsize_t dims[3] = {0};
    int rank = s->channels == 1 ? 2 : 3;
    return H5Sget_simple_extent_ndims(space) == rank &&
           H5Sget_simple_extent_dims(space, dims, NULL) == rank && dims[0] == (hsize_t)s->n_roles &&
           dims[rank - 1] == (hsize_t)song->frames &&
           (rank == 2 || dims[1] == (hsize_t)s->channels);
}

static int64_t bytes_of(const rg_store *s, const rg_song *song)
{
    return song->frames * s->n_roles * s->channels * (int64_t)sizeof(int16_t);
}

/* The place of a song's array, when it may be read directly. */
static rg_status locate(const rg_store *s, rg__entry *e, hid_t file, const char *path,
                        int64_t bytes, rg_error *err)
{
    char name[128];
    snprintf(name, sizeof name, "/audio/%s", e->song.id);
    hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    if (set < 0)
        return rg_fail(err, RG_ERR_FORMAT, "%s: song '%s' is malformed: it has no samples", path,
                       e->song.id);
    hid_t space = H5Dget_space(set), type = H5Dget_type(set), plist = H5Dget_create_plist(set);
    bool shaped = is_shaped(s, &e->song, space);
    bool elsewhere = H5Pget_layout(plist) == H5D_VIRTUAL || H5Pget_external_count(plist) != 0;
    bool integers = H5Tget_class(type) == H5T_INTEGER && H5Tget_size(type) == 2 &&
                    H5Tget_sign(type) == H5T_SGN_2;
    bool direct = H5Pget_layout(plist) == H5D_CONTIGUOUS && H5Pget_nfilters(plist) == 0 &&
                  !elsewhere && H5Tequal(type, H5T_NATIVE_INT16) > 0;
    haddr_t offset = direct ? H5Dget_offset(set) : HADDR_UNDEF;
    H5Pclose(plist);
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(set);
    e->offset = offset == HADDR_UNDEF ? -1 : (int64_t)offset;
    bool fits = e->offset < 0 || e->offset + bytes_of(s, &e->song) <= bytes;
    if (shaped && fits && integers && !elsewhere) return RG_OK;
    return rg_fail(err, RG_ERR_FORMAT, "%s: the samples of song '%s' %s", path, e->song.id,
                   elsewhere   ? "lie in another file, which is not read"
                   : !integers ? "are not 16-bit integers"
                               : "are cut or of wrong shape");
}

/* Names become files elsewhere, and lengths memory. */
static rg_status check_row(const rg_store *s, const rg_song *song, const char *path, rg_error *err)
{
    char id[RG_ID_SIZE];
    rg_copy_text(id, sizeof id, song->id);
    rg_song_clean_text(id);
    if (!rg__store_good_id(song->id))
        return rg_fail(err, RG_ERR_FORMAT, "%s: song id '%s' is not allowed", path, id);
    if (song->frames > rg__store_most_frames(s->rate))
        return rg_fail(err, RG_ERR_FORMAT, "%s: song '%s' is longer than 4 hours", path, id);
    return RG_OK;
}

/* The songs' facts and places one by one, out of their groups. */
static rg_status load_one_by_one(rg_store *s, rg__entry *entries, int64_t n, hid_t file,
                                 const char *path, int64_t bytes, rg_error *err)
{
    for (int64_t i = 0; i < n; i++) {
        rg__entry *e = &entries[i];
        RG_TRY(rg__store_load_song(file, path, s->n_roles, &e->song, &e->block, err));
        RG_TRY(locate(s, e, file, path, bytes, err));
    }
    return RG_OK;
}

/* Places out of the summary. Those of the first and last song are asked of HDF5 too: a file that
 * was repacked has others, and all are asked for then. */
static rg_status place_all(const rg_store *s, rg__entry *entries, const int64_t *offsets, int64_t n,
                           hid_t file, const char *path, int64_t bytes, rg_error *err)
{
    RG_TRY(locate(s, &entries[0], file, path, bytes, err));
    RG_TRY(locate(s, &entries[n - 1], file, path, bytes, err));
    bool trusted = entries[0].offset == offsets[0] && entries[n - 1].offset == offsets[n - 1];
    for (int64_t i = 1; i < n - 1; i++) {
        int64_t size = bytes_of(s, &entries[i].song);
        bool inside = offsets[i] >= 0 && size <= bytes && offsets[i] <= bytes - size;
        if (!trusted || !inside) RG_TRY(locate(s, &entries[i], file, path, bytes, err));
        if (trusted && inside) entries[i].offset = offsets[i];
    }
    return RG_OK;
}

static rg_status load_summary(rg_store *s, rg__shard *sh, rg_song *rows, rg__entry *entries,
                              int64_t n, hid_t file, const char *path, int64_t bytes, rg_error *err)
{
    int64_t *offsets = malloc((size_t)n * sizeof *offsets);
    if (!offsets) return rg_fail(err, RG_ERR_NOMEM, "%s: no memory for its songs", path);
    rg_status status =
        rg__store_read_summary(file, path, s->n_roles, rows, offsets, n, &sh->block, err);
    for (int64_t i = 0; status == RG_OK && i < n; i++) entries[i].song = rows[i];
    if (status == RG_OK) status = place_all(s, entries, offsets, n, file, path, bytes, err);
    free(offsets);
    return status;
}

static rg_status load_songs(rg_store *s, int32_t index, hid_t file, const char *path,
                            int64_t expected, int64_t bytes, rg_error *err)
{
    rg_song *rows = NULL;
    int64_t n = 0;
    RG_TRY(rg__store_read_columns(file, path, &rows, &n, err));
    rg__entry *grown = realloc(s->songs, (size_t)(s->n_songs + n) * sizeof *grown);
    rg_status status = RG_OK;
    if (grown) s->songs = grown;
    if (!grown)
        status = rg_fail(err, RG_ERR_NOMEM, "%s: no memory for its songs", path);
    else if (n != expected)
        status = rg_fail(err, RG_ERR_MISMATCH, "%s: holds %lld songs, the index says %lld", path,
                         (long long)n, (long long)expected);
    if (status == RG_OK) {
        rg__entry *entries = &s->songs[s->n_songs];
        for (int64_t i = 0; status == RG_OK && i < n; i++)
            status = check_row(s, &rows[i], path, err);
        for (int64_t i = 0; status == RG_OK && i < n; i++) {
            rows[i].n_activity = rg__store_blocks(rows[i].frames, s->rate);
            entries[i] = (rg__entry){.song = rows[i], .shard = index};
        }
        if (status == RG_OK) s->n_songs += n; /* all or none, for rg_store_close */
        if (status == RG_OK)
            status =
                rg__store_has_summary(file)
                    ? load_summary(s, &s->shards[index], rows, entries, n, file, path, bytes, err)
                    : load_one_by_one(s, entries, n, file, path, bytes, err);
    }
    free(rows);
    return status;
}

rg_status rg__store_open_shard(rg_store *s, int32_t index, int64_t songs, int64_t bytes,
                               rg_error *err)
{
    rg__shard *sh = &s->shards[index];
    char path[RG__PATH];
    RG_TRY(rg_fs_join(path, sizeof path, s->folder, sh->name, err));
    int64_t size = rg_fs_size(path);
    if (size != bytes)
        return rg_fail(err, RG_ERR_FORMAT, "%s: has %lld bytes, the index says %lld", path,
                       (long long)size, (long long)bytes);
    hid_t file = rg__h5_open(path);
    if (file < 0) return rg__h5_fail(err, RG_ERR_FORMAT, path, "does not open");
    rg_status status = check_root(file, path, err);
    if (status == RG_OK) status = check_roles(s, index == 0, file, path, err);
    rg__store_features_mark(file, sh->features, sizeof sh->features);
    if (status == RG_OK) status = load_songs(s, index, file, path, songs, bytes, err);
    H5Fclose(file);
    return status == RG_OK ? rg__store_keep_open(s, index, err) : status;
}
