/*
 * The finished form of a store: shards name-00000-of-00002.h5 and index.jsonl.
 *
 * One idea: a shard is written from the staged one-song files under a temporary name, gets
 * complete = 1 last, and is fsynced and renamed; the index, written after all shards, is what makes
 * the folder a store. A crash in between leaves the staged songs, and gathering starts again.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "datasets/store_internal.h"

static const int64_t default_shard_bytes = (int64_t)4 << 30;

typedef struct gathering {
    const char *folder;
    const rg_store_info *info;
    char *const *names; /* staged files, sorted */
    size_t n;
    size_t *first; /* of each shard; first[shards] = n */
    int32_t shards;
} gathering;

static void staged_file(const gathering *g, size_t i, char out[RG__PATH])
{
    snprintf(out, RG__PATH, "%s/%s/%s", g->folder, RG__STORE_UNFINISHED, g->names[i]);
}

static void shard_file(const gathering *g, int32_t shard, char out[RG__PATH])
{
    snprintf(out, RG__PATH, "%s/stems-%05d-of-%05d.h5", g->folder, shard, g->shards);
}

/* Cuts the songs into shards of at most the wanted size (at least one song each). */
static rg_status plan(gathering *g, rg_error *err)
{
    int64_t limit = g->info->shard_bytes > 0 ? g->info->shard_bytes : default_shard_bytes;
    int64_t used = 0;
    g->first = calloc(g->n + 1, sizeof *g->first);
    if (!g->first) return rg_fail(err, RG_ERR_NOMEM, "%s: no memory for its plan", g->folder);
    g->shards = 1;
    for (size_t i = 0; i < g->n; i++) {
        char path[RG__PATH];
        staged_file(g, i, path);
        int64_t bytes = rg_fs_size(path);
        if (used > 0 && used + bytes > limit) {
            g->first[g->shards++] = i;
            used = 0;
        }
        used += bytes;
    }
    g->first[g->shards] = g->n;
    return RG_OK;
}

bool rg__store_put_root(hid_t file, const rg_store_info *info)
{
    char roles[RG_MAX_ROLES * 32] = "", now[32], hash[RG_SHA256_HEX];
    for (int32_t r = 0; r < info->n_roles; r++) {
        size_t used = strlen(roles);
        snprintf(roles + used, sizeof roles - used, "%s%s", r ? "," : "", info->roles[r]);
    }
    rg_sha256_of(info->config_yaml, strlen(info->config_yaml), hash);
    const int32_t major = RG_STORE_MAJOR, minor = RG_STORE_MINOR,
                  channels = rg__store_info_channels(info);
    const uint8_t complete = 0;
    return rg__h5_put_text(file, "Conventions", RG__STORE_CONVENTIONS) &&
           rg__h5_put_text(file, "title", info->title) &&
           rg__h5_put_text(file, "creator", info->creator) &&
           rg__h5_put_text(file, "license", info->license) &&
           rg__h5_put_text(file, "references", info->references) &&
           rg__h5_put_text(file, "date_created", rg_clock_utc(now)) &&
           rg__h5_put_text(file, "builder", "resonant dataset") &&
           rg__h5_put_text(file, "config_yaml", info->config_yaml) &&
           rg__h5_put_text(file, "config_sha256", hash) && rg__h5_put_text(file, "roles", roles) &&
           rg__h5_put(file, "format_major", H5T_NATIVE_INT32, &major, 0) &&
           rg__h5_put(file, "format_minor", H5T_NATIVE_INT32, &minor, 0) &&
           rg__h5_put(file, "sample_rate", H5T_NATIVE_INT32, &info->rate, 0) &&
           rg__h5_put(file, "channels", H5T_NATIVE_INT32, &channels, 0) &&
           rg__h5_put(file, "complete", H5T_NATIVE_UINT8, &complete, 0);
}

/* Everything of one staged song, and its row of the table, into the shard. */
static rg_status copy_song(const gathering *g, hid_t staged, const char *path, hid_t file,
                           rg_song *row, void **block, rg_error *err)
{
    rg_provenance provenance;
    char name[128];
    snprintf(name, sizeof name, "/audio/%s", row->id);
    const size_t rows = (size_t)g->info->n_roles * (size_t)rg__store_info_channels(g->info);
    const size_t n = (size_t)row->frames * rows;
    int16_t *samples = malloc(n * sizeof *samples);
    if (!samples) return rg_fail(err, RG_ERR_NOMEM, "%s: no memory for its samples", path);
    row->n_activity = rg__store_blocks(row->frames, g->info->rate);
    rg_status status = rg__store_load_provenance(staged, path, row->id, &provenance, err);
    if (status == RG_OK)
        status = rg__store_load_song(staged, path, g->info->n_roles, row, block, err);
    if (status == RG_OK && !rg__h5_read(staged, name, H5T_NATIVE_INT16, samples, n))
        status = rg__h5_fail(err, RG_ERR_FORMAT, path, "its samples cannot be read");
    if (status == RG_OK && rg_xxh3(samples, n * sizeof *samples) != row->xxh3)
        status =
            rg_fail(err, RG_ERR_FORMAT, "%s: was damaged on disk; remove it and build again", path);
    if (status == RG_OK && !rg__store_write_song(file, g->info, row, &provenance, samples))
        status = rg__h5_fail(err, RG_ERR_IO, path, "writing it into its shard failed");
    rg_provenance_free(&provenance);
    free(samples);
    return status;
}

/* What was heard in it; a shard is marked with a version when all its songs have that one. */
static rg_status copy_features(const gathering *g, hid_t staged, const char *path, hid_t file,
                               const char *id, rg_error *err)
{
    rg_song_features heard;
    char mark[16];
    RG_TRY(rg__store_load_features(staged, path, id, g->info->n_roles, &heard, err));
    bool first = !rg__store_features_mark(file, mark, sizeof mark);
    bool ok = rg__store_write_features(file, id, g->info->n_roles, &heard);
    if (ok && (first || strcmp(mark, heard.version) != 0))
        ok = rg__store_mark_features(file, first ? heard.version : "");
    rg_song_features_free(&heard);
    return ok ? RG_OK : rg__h5_fail(err, RG_ERR_IO, path, "writing its features failed");
}

/* (Not by H5Ocopy: HDF5 1.10 crashes in it when a read or write fails.) */
static rg_status take_song(const gathering *g, hid_t file, const char *path, rg_song *row,
                           void **block, rg_error *err)
{
    hid_t staged = rg__h5_open(path);
    if (staged < 0) return rg__h5_fail(err, RG_ERR_FORMAT, path, "the staged song does not open");
    rg_song *rows = NULL;
    int64_t n = 0;
    rg_status status = rg__store_read_columns(staged, path, &rows, &n, err);
    if (status == RG_OK) {
        *row = rows[0];
        status = copy_song(g, staged, path, file, row, block, err);
    }
    if (status == RG_OK) status = copy_features(g, staged, path, file, row->id, err);
    free(rows);
    H5Fclose(staged);
    return status;
}

bool rg__store_complete(hid_t file, int32_t n_roles, const rg_song *songs, int64_t n)
{
    const uint8_t complete = 1;
    hid_t attr = -1;
    bool ok = rg__store_write_columns(file, songs, n) &&
              rg__store_write_summary(file, n_roles, songs, n) &&
              H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0 &&
              (attr = H5Aopen(file, "complete", H5P_DEFAULT)) >= 0 &&
              H5Awrite(attr, H5T_NATIVE_UINT8, &complete) >= 0;
    if (attr >= 0) H5Aclose(attr);
    return ok;
}

static rg_status fill_shard(const gathering *g, int32_t shard, hid_t file, const char *path,
                            rg_error *err)
{
    size_t first = g->first[shard], n = g->first[shard + 1] - first;
    rg_song *rows = calloc(n + 1, sizeof *rows);
    void **blocks = calloc(n + 1, sizeof *blocks); /* beats and activity of the rows */
    rg_status status = RG_OK;
    if (!rows || !blocks)
        status = rg_fail(err, RG_ERR_NOMEM, "%s: no memory for its table", path);
    else if (!rg__store_put_root(file, g->info) || !rg__store_make_groups(file))
        status = rg__h5_fail(err, RG_ERR_IO, path, "writing failed");
    for (size_t i = 0; status == RG_OK && i < n; i++) {
        char staged[RG__PATH];
        staged_file(g, first + i, staged);
        status = take_song(g, file, staged, &rows[i], &blocks[i], err);
    }
    if (status == RG_OK && !rg__store_complete(file, g->info->n_roles, rows, (int64_t)n))
        status = rg__h5_fail(err, RG_ERR_IO, path, "finishing the shard failed");
    for (size_t i = 0; blocks && i < n; i++) free(blocks[i]);
    free(blocks);
    free(rows);
    return status;
}

static rg_status write_shard(const gathering *g, int32_t shard, rg_error *err)
{
    char path[RG__PATH], temporary[RG__PATH + 32];
    shard_file(g, shard, path);
    snprintf(temporary, sizeof temporary, "%s.tmp.%ld", path, (long)getpid());
    rg_error failure = {0};
    hid_t file = rg__h5_create(temporary, &failure);
    rg_status status = file < 0 ? rg__h5_fail(err, RG_ERR_IO, path, "creating the shard failed")
                                : fill_shard(g, shard, file, path, err);
    status = rg__h5_close_new(file, status, &failure, err);
    if (status == RG_OK) return rg_fs_commit_path(temporary, path, err);
    rg_fs_current()->unlink(temporary);
    return status;
}

static bool add_line(rg_text *out, json_t *object)
{
    char *line = object ? json_dumps(object, JSON_COMPACT) : NULL;
    if (line) rg_text_printf(out, "%s\n", line);
    free(line);
    json_decref(object);
    return line != NULL;
}

static rg_status write_index(const gathering *g, rg_error *err)
{
    char path[RG__PATH], hash[RG_SHA256_HEX];
    rg_text text;
    rg_text_init(&text, 1 << 22);
    bool ok =
        add_line(&text, json_pack("{s:s, s:s, s:i, s:I}", "format", RG__STORE_FORMAT, "version",
                                  "1.0", "shards", (int)g->shards, "songs", (json_int_t)g->n));
    rg_status status = RG_OK;
    for (int32_t s = 0; ok && status == RG_OK && s < g->shards; s++) {
        shard_file(g, s, path);
        status = rg_sha256_file(path, hash, err);
        if (status == RG_OK)
            ok = add_line(&text, json_pack("{s:s, s:I, s:I, s:s}", "shard", rg_fs_base_name(path),
                                           "songs", (json_int_t)(g->first[s + 1] - g->first[s]),
                                           "bytes", (json_int_t)rg_fs_size(path), "sha256", hash));
    }
    if (status == RG_OK && !ok) status = rg_fail(err, RG_ERR_NOMEM, "no memory for the index");
    if (status == RG_OK) status = rg_text_status(&text, err);
    if (status == RG_OK) status = rg_fs_join(path, sizeof path, g->folder, RG__STORE_INDEX, err);
    if (status == RG_OK) status = rg_fs_write_atomic(path, text.data, text.n, err);
    rg_text_free(&text);
    return status;
}

rg_status rg__store_gather(const char *folder, const rg_store_info *info, char *const *names,
                           size_t n, rg_error *err)
{
    gathering g = {.folder = folder, .info = info, .names = names, .n = n};
    rg__h5_quiet();
    rg_status status = plan(&g, err);
    for (int32_t s = 0; status == RG_OK && s < g.shards; s++) status = write_shard(&g, s, err);
    if (status == RG_OK) status = write_index(&g, err);
    free(g.first);
    return status;
}
