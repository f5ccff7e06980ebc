/*
 * Opening a store: the index, its shards in order, and the store's hash.
 *
 * One idea: everything but the samples is loaded at once, so that every question is answered from
 * memory (store_facts.c).
 */
#include <stdlib.h>
#include <string.h>

#include "datasets/store_reader.h"

enum { INDEX_LIMIT = 64 << 20, MAX_SHARDS = 99999 };

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
    return rg__store_open_shard(s, index, songs, bytes, err);
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
    for (int64_t i = 0; i < shards; i++) s->shards[i] = (rg__shard){.fd = -1, .file = -1};
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
    return strcmp(((const rg__entry *)a)->song.id, ((const rg__entry *)b)->song.id);
}

/* Sorts by id, refuses doubles, and makes the store's hash. */
static rg_status settle(rg_store *s, rg_error *err)
{
    bool sorted = true; /* as they are written; qsort would copy them all */
    for (int64_t i = 1; i < s->n_songs; i++)
        sorted = sorted && by_id(&s->songs[i - 1], &s->songs[i]) <= 0;
    if (!sorted) qsort(s->songs, (size_t)s->n_songs, sizeof *s->songs, by_id);
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
    pthread_mutex_init(&s->files_lock, NULL);
    s->most_open = rg__store_most_open();
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
    rg__store_close_files(s);
    for (int32_t i = 0; i < s->n_shards; i++) free(s->shards[i].block);
    for (int64_t i = 0; i < s->n_songs; i++) free(s->songs[i].block);
    free(s->songs);
    free(s->shards);
    free(s->config);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->files_lock);
    free(s);
}

bool rg_store_is_finished(const char *folder, const char *config_yaml)
{
    rg_error ignored = {0};
    rg_store *store = rg_store_open(folder, &ignored);
    bool same = store && strcmp(rg_store_config_yaml(store), config_yaml) == 0;
    rg_store_close(store);
    return same;
}
