/*
 * Reading a store: everything but the samples is loaded at once; samples come by pread.
 *
 * One idea: a song's array is contiguous, unfiltered and of native type, so its place in the file
 * is asked once (H5Dget_offset) and every later read is one pread from any thread. Where a shard
 * was repacked by somebody (chunks, compression), the same call reads through HDF5 under a lock.
 * Not here: questions about levels (store_levels.c), checking every byte (store_verify.c).
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "datasets/store_internal.h"

enum { INDEX_LIMIT = 64 << 20, MAX_SHARDS = 99999, READ_AT_ONCE = 16384 };

typedef struct shard {
    char name[64];
    int fd;
    hid_t file; /* open only while loading, or when a song needs the slow path */
} shard;

typedef struct entry {
    rg_song song;
    void *block; /* its beats and activity */
    int32_t shard;
    int64_t offset; /* of the array in the shard; -1: read through HDF5 */
} entry;

struct rg_store {
    char folder[1024], hash[RG_SHA256_HEX], *config;
    int32_t rate, n_roles, n_shards;
    char roles[RG_MAX_ROLES][32];
    shard *shards;
    int64_t n_songs;
    entry *songs;
    pthread_mutex_t lock; /* of the slow path */
};

static const char *const split_names[RG_SPLIT_COUNT] = {"train", "valid", "test"};

const char *rg_split_name(rg_split split)
{
    return split_names[split];
}

bool rg_split_parse(const char *text, rg_split *out)
{
    for (int s = 0; s < RG_SPLIT_COUNT; s++)
        if (strcmp(text, split_names[s]) == 0) {
            *out = (rg_split)s;
            return true;
        }
    return false;
}

/* ---- one shard ---- */

static rg_status bad_shard(rg_error *err, const char *path, const char *what)
{
    return rg_fail(err, RG_ERR_FORMAT, "%s: %s; build the store again", path, what);
}

static rg_status check_root(const rg_store *s, hid_t file, const char *path, rg_error *err)
{
    char conventions[64];
    int32_t major = 0, minor = 0, channels = 0;
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
    if (!rg__h5_get(file, "channels", H5T_NATIVE_INT32, &channels, 0) || channels != 1)
        return rg_fail(err, RG_ERR_UNSUPPORTED, "%s: has %d channels, mono stems were expected",
                       path, channels);
    (void)s;
    return RG_OK;
}

/* Rate and roles: taken from the first shard, compared with it afterwards. */
static rg_status check_roles(rg_store *s, bool first, hid_t file, const char *path, rg_error *err)
{
    int32_t rate = 0, n = 0;
    char text[RG_MAX_ROLES * 32], roles[RG_MAX_ROLES][32] = {{0}}, *rest = text;
    if (!rg__h5_get(file, "sample_rate", H5T_NATIVE_INT32, &rate, 0) || rate < 1000 ||
        !rg__h5_get_text(file, "roles", text, sizeof text))
        return bad_shard(err, path, "its sample rate or roles are missing");
    for (char *name; (name = strsep(&rest, ",")); n++)
        if (n >= RG_MAX_ROLES || !*name || !rg_copy_text(roles[n], sizeof roles[n], name))
            return bad_shard(err, path, "its list of roles is malformed");
    if (first) {
        s->rate = rate;
        s->n_roles = n;
        memcpy(s->roles, roles, sizeof roles);
        s->config = rg__h5_get_long_text(file, "config_yaml");
        return RG_OK;
    }
    if (rate != s->rate || memcmp(roles, s->roles, sizeof roles) != 0)
        return rg_fail(err, RG_ERR_MISMATCH, "%s: rate or roles differ from the first shard's",
                       path);
    return RG_OK;
}

/* The place of a song's array, when it may be read directly. */
static rg_status locate(const rg_store *s, entry *e, hid_t file, const char *path, int64_t bytes,
                        rg_error *err)
{
    char name[128];
    snprintf(name, sizeof name, "/audio/%s", e->song.id);
    hid_t set = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(set);
    hid_t type = H5Dget_type(set), plist = H5Dget_create_plist(set);
    hsize_t dims[2] = {0, 0};
    bool shaped = H5Sget_simple_extent_ndims(space) == 2 &&
                  H5Sget_simple_extent_dims(space, dims, NULL) == 2 &&
                  dims[0] == (hsize_t)s->n_roles && dims[1] == (hsize_t)e->song.frames;
    bool direct = H5Pget_layout(plist) == H5D_CONTIGUOUS && H5Pget_nfilters(plist) == 0 &&
                  H5Pget_external_count(plist) == 0 && H5Tequal(type, H5T_NATIVE_INT16) > 0;
    haddr_t offset = direct ? H5Dget_offset(set) : HADDR_UNDEF;
    H5Pclose(plist);
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(set);
    e->offset = offset == HADDR_UNDEF ? -1 : (int64_t)offset;
    int64_t size = (int64_t)(dims[0] * dims[1] * sizeof(int16_t));
    if (shaped && (e->offset < 0 || e->offset + size <= bytes)) return RG_OK;
    return rg_fail(err, RG_ERR_FORMAT, "%s: the samples of song '%s' are cut or of wrong shape",
                   path, e->song.id);
}

static rg_status load_songs(rg_store *s, int32_t index, hid_t file, const char *path,
                            int64_t expected, int64_t bytes, rg_error *err)
{
    rg_song *rows = NULL;
    int64_t n = 0;
    RG_TRY(rg__store_read_columns(file, path, &rows, &n, err));
    entry *grown = realloc(s->songs, (size_t)(s->n_songs + n) * sizeof *grown);
    rg_status status = RG_OK;
    if (!grown)
        status = rg_fail(err, RG_ERR_NOMEM, "%s: no memory for its songs", path);
    else
        s->songs = grown;
    if (status == RG_OK && n != expected)
        status = rg_fail(err, RG_ERR_MISMATCH, "%s: holds %lld songs, the index says %lld", path,
                         (long long)n, (long long)expected);
    for (int64_t i = 0; status == RG_OK && i < n; i++) {
        entry *e = &s->songs[s->n_songs];
        *e = (entry){.song = rows[i], .shard = index};
        e->song.n_activity = rg__store_blocks(e->song.frames, s->rate);
        status = rg__store_load_song(file, path, s->n_roles, &e->song, &e->block, err);
        if (status != RG_OK) break;
        s->n_songs++;
        status = locate(s, e, file, path, bytes, err);
    }
    free(rows);
    return status;
}

static bool needs_hdf5(const rg_store *s, int32_t index)
{
    for (int64_t i = 0; i < s->n_songs; i++)
        if (s->songs[i].shard == index && s->songs[i].offset < 0) return true;
    return false;
}

static rg_status open_shard(rg_store *s, int32_t index, int64_t songs, int64_t bytes, rg_error *err)
{
    shard *sh = &s->shards[index];
    char path[RG__PATH];
    RG_TRY(rg_fs_join(path, sizeof path, s->folder, sh->name, err));
    int64_t size = rg_fs_size(path);
    if (size != bytes)
        return rg_fail(err, RG_ERR_FORMAT, "%s: has %lld bytes, the index says %lld", path,
                       (long long)size, (long long)bytes);
    hid_t file = rg__h5_open(path);
    if (file < 0) return rg__h5_fail(err, RG_ERR_FORMAT, path, "does not open");
    rg_status status = check_root(s, file, path, err);
    if (status == RG_OK) status = check_roles(s, index == 0, file, path, err);
    if (status == RG_OK) status = load_songs(s, index, file, path, songs, bytes, err);
    if (status == RG_OK && needs_hdf5(s, index))
        sh->file = file;
    else
        H5Fclose(file);
    if (status != RG_OK) return status;
    sh->fd = rg__store_open_file(path, O_RDONLY);
    return sh->fd < 0 ? rg_fail(err, RG_ERR_IO, "%s: cannot open it for reading", path) : RG_OK;
}

/* ---- the index ---- */

static rg_status read_shard_line(rg_store *s, int32_t index, const json_t *line, const char *where,
                                 rg_error *err)
{
    const char *name;
    int64_t songs, bytes;
    RG_TRY(rg_json_get_text(line, "shard", where, &name, err));
    RG_TRY(rg_json_get_int(line, "songs", where, &songs, err));
    RG_TRY(rg_json_get_int(line, "bytes", where, &bytes, err));
    if (strchr(name, '/') ||
        !rg_copy_text(s->shards[index].name, sizeof s->shards[index].name, name))
        return rg_fail(err, RG_ERR_FORMAT, "%s: shard name '%.60s' is not allowed", where, name);
    return open_shard(s, index, songs, bytes, err);
}

static rg_status read_header(rg_store *s, const json_t *header, const char *where, rg_error *err)
{
    int64_t shards;
    RG_TRY(rg_json_check_format(header, RG__STORE_FORMAT, RG_STORE_MAJOR, where, err));
    RG_TRY(rg_json_get_int(header, "shards", where, &shards, err));
    if (shards < 1 || shards > MAX_SHARDS)
        return rg_fail(err, RG_ERR_FORMAT, "%s: %lld shards", where, (long long)shards);
    s->shards = calloc((size_t)shards, sizeof *s->shards);
    if (!s->shards) return rg_fail(err, RG_ERR_NOMEM, "%s: no memory for its shards", where);
    for (int64_t i = 0; i < shards; i++) s->shards[i] = (shard){.fd = -1, .file = -1};
    s->n_shards = (int32_t)shards;
    return RG_OK;
}

static rg_status read_index(rg_store *s, char *text, const char *path, rg_error *err)
{
    int32_t row = 0;
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
        if (!*line) continue;
        if (row > 0 && row > s->n_shards)
            return rg_fail(err, RG_ERR_FORMAT, "%s: more lines than shards", path);
        char where[RG__PATH + 16];
        snprintf(where, sizeof where, "%s:%d", path, row + 1);
        json_t *object = rg_json_parse(line, strlen(line), where, err);
        if (!object) return RG_ERR_FORMAT;
        rg_status status = row == 0 ? read_header(s, object, where, err)
                                    : read_shard_line(s, row - 1, object, where, err);
        json_decref(object);
        RG_TRY(status);
        row++;
    }
    if (row == 0 || row != s->n_shards + 1)
        return rg_fail(err, RG_ERR_FORMAT, "%s: is cut, %d of %d shards are listed", path,
                       row > 0 ? row - 1 : 0, s->n_shards);
    return RG_OK;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->song.id, ((const entry *)b)->song.id);
}

/* Sorts by id, refuses doubles, and makes the store's hash. */
static rg_status settle(rg_store *s, rg_error *err)
{
    qsort(s->songs, (size_t)s->n_songs, sizeof *s->songs, by_id);
    rg_sha256 *hash = rg_sha256_begin();
    if (!hash) return rg_fail(err, RG_ERR_NOMEM, "%s: no memory for its hash", s->folder);
    rg_status status = RG_OK;
    for (int64_t i = 0; i < s->n_songs; i++) {
        const rg_song *song = &s->songs[i].song;
        char line[256];
        int n = snprintf(line, sizeof line, "%s %s %d %016llx\n", song->id, song->content_hash,
                         (int)song->split, (unsigned long long)song->xxh3);
        rg_sha256_add(hash, line, (size_t)n);
        if (i > 0 && by_id(&s->songs[i - 1], &s->songs[i]) == 0)
            status =
                rg_fail(err, RG_ERR_FORMAT, "%s: song '%s' is listed twice", s->folder, song->id);
    }
    rg_sha256_end(hash, s->hash);
    return status;
}

static rg_status load(rg_store *s, rg_error *err)
{
    char path[RG__PATH], *text = NULL;
    size_t n = 0;
    RG_TRY(rg_fs_join(path, sizeof path, s->folder, RG__STORE_INDEX, err));
    if (!rg_fs_exists(path)) {
        char unfinished[RG__PATH];
        RG_TRY(rg_fs_join(unfinished, sizeof unfinished, s->folder, RG__STORE_UNFINISHED, err));
        return rg_fail(err, RG_ERR_FORMAT,
                       rg_fs_exists(unfinished)
                           ? "%s: the store is not finished; run its 'dataset build' again"
                           : "%s: no stem store here (no " RG__STORE_INDEX ")",
                       s->folder);
    }
    RG_TRY(rg_fs_read_all(path, INDEX_LIMIT, &text, &n, err));
    rg_status status = read_index(s, text, path, err);
    free(text);
    return status == RG_OK ? settle(s, err) : status;
}

rg_store *rg_store_open(const char *folder, rg_error *err)
{
    rg__h5_quiet();
    rg_store *s = calloc(1, sizeof *s);
    if (!s) {
        rg_fail(err, RG_ERR_NOMEM, "%s: no memory for a store", folder);
        return NULL;
    }
    pthread_mutex_init(&s->lock, NULL);
    bool fits = rg_copy_text(s->folder, sizeof s->folder, folder);
    rg_status status =
        fits ? load(s, err) : rg_fail(err, RG_ERR_USAGE, "%.80s...: too long", folder);
    if (status == RG_OK) return s;
    rg_store_close(s);
    return NULL;
}

void rg_store_close(rg_store *s)
{
    if (!s) return;
    for (int32_t i = 0; i < s->n_shards; i++) {
        if (s->shards[i].fd >= 0) rg_fs_current()->close(s->shards[i].fd);
        if (s->shards[i].file >= 0) H5Fclose(s->shards[i].file);
    }
    for (int64_t i = 0; i < s->n_songs; i++) free(s->songs[i].block);
    free(s->songs);
    free(s->shards);
    free(s->config);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- questions ---- */

const char *rg_store_folder(const rg_store *store)
{
    return store->folder;
}

int32_t rg_store_rate(const rg_store *store)
{
    return store->rate;
}

int32_t rg_store_roles(const rg_store *store)
{
    return store->n_roles;
}

const char *rg_store_role(const rg_store *store, int32_t role)
{
    return store->roles[role];
}

int32_t rg_store_find_role(const rg_store *store, const char *name)
{
    for (int32_t r = 0; r < store->n_roles; r++)
        if (strcmp(store->roles[r], name) == 0) return r;
    return -1;
}

int64_t rg_store_songs(const rg_store *store)
{
    return store->n_songs;
}

const rg_song *rg_store_song(const rg_store *store, int64_t song)
{
    return &store->songs[song].song;
}

int64_t rg_store_find_song(const rg_store *store, const char *id)
{
    int64_t low = 0, high = store->n_songs;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int order = strcmp(store->songs[middle].song.id, id);
        if (order == 0) return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

const char *rg_store_hash(const rg_store *store)
{
    return store->hash;
}

const char *rg_store_config_yaml(const rg_store *store)
{
    return store->config ? store->config : "";
}

const char *rg__store_shard_name(const rg_store *store, int64_t song)
{
    return store->shards[store->songs[song].shard].name;
}

/* ---- samples ---- */

static rg_status read_slowly(const rg_store *s, const entry *e, int64_t first, int64_t n,
                             int16_t *out, rg_error *err)
{
    char name[128];
    snprintf(name, sizeof name, "/audio/%s", e->song.id);
    const shard *sh = &s->shards[e->shard];
    rg_status status = RG_OK;
    pthread_mutex_lock((pthread_mutex_t *)&s->lock);
    rg__h5_quiet();
    hid_t set = H5Dopen2(sh->file, name, H5P_DEFAULT);
    hid_t space = set >= 0 ? H5Dget_space(set) : -1;
    for (int64_t done = 0; status == RG_OK && done < n;) { /* row by row */
        hsize_t at[2] = {(hsize_t)((first + done) / e->song.frames),
                         (hsize_t)((first + done) % e->song.frames)};
        int64_t in_row = e->song.frames - (int64_t)at[1];
        hsize_t count[2] = {1, (hsize_t)(n - done < in_row ? n - done : in_row)};
        hid_t memory = H5Screate_simple(2, count, NULL);
        if (space < 0 || H5Sselect_hyperslab(space, H5S_SELECT_SET, at, NULL, count, NULL) < 0 ||
            H5Dread(set, H5T_NATIVE_INT16, memory, space, H5P_DEFAULT, out + done) < 0)
            status = rg__h5_fail(err, RG_ERR_IO, sh->name, "reading samples failed");
        H5Sclose(memory);
        done += (int64_t)count[1];
    }
    if (space >= 0) H5Sclose(space);
    if (set >= 0) H5Dclose(set);
    pthread_mutex_unlock((pthread_mutex_t *)&s->lock);
    return status;
}

rg_status rg__store_read_raw(const rg_store *store, int64_t song, int64_t first, int64_t n,
                             int16_t *out, rg_error *err)
{
    const entry *e = &store->songs[song];
    if (e->offset < 0) return read_slowly(store, e, first, n, out, err);
    const shard *sh = &store->shards[e->shard];
    return rg_fs_pread_exact(sh->fd, out, (size_t)n * sizeof *out,
                             e->offset + first * (int64_t)sizeof *out, sh->name, err);
}

rg_status rg_store_read(const rg_store *store, int64_t song, int32_t role, int64_t start, int64_t n,
                        float *out, rg_error *err)
{
    if (song < 0 || song >= store->n_songs || role < 0 || role >= store->n_roles || n < 0)
        return rg_fail(err, RG_ERR_USAGE, "%s: there is no song %lld or role %d", store->folder,
                       (long long)song, role);
    const rg_song *s = &store->songs[song].song;
    int64_t from = start < 0 ? 0 : start, to = start + n > s->frames ? s->frames : start + n;
    if (!s->present[role] || to <= from) from = to = start;
    memset(out, 0, (size_t)(from - start) * sizeof *out);
    int16_t block[READ_AT_ONCE];
    for (int64_t at = from; at < to;) {
        int64_t count = to - at < READ_AT_ONCE ? to - at : READ_AT_ONCE;
        RG_TRY(rg__store_read_raw(store, song, role * s->frames + at, count, block, err));
        for (int64_t i = 0; i < count; i++) out[at - start + i] = block[i] * (1.0f / 32768);
        at += count;
    }
    memset(out + (to - start), 0, (size_t)(start + n - to) * sizeof *out);
    return RG_OK;
}
