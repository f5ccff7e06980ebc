/*
 * Hearing a finished store again: `dataset features`.
 *
 * One idea: a shard that lacks features of the present version is copied beside itself under its
 * next name (stems-00000-of-00002.r1.h5), gets them there, and takes the old one's place by one
 * rename: that of the index. Whatever moment it is stopped at, the index names whole files, and
 * what is heard already is not heard again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/threads.h"
#include "datasets/store_reader.h"
#include "music/features/features.h"

enum { COPY_AT_ONCE = 1 << 20, INDEX_LIMIT = 64 << 20, LONGEST_NAME = 48 };

bool rg__store_is_heard(const rg__shard *shard)
{
    return strcmp(shard->features, RG_FEATURES_VERSION) == 0;
}

typedef struct hearing {
    const char *folder;
    const rg_log *log;
    rg_pool *pool;
    rg_store *store;
    json_t *index; /* its lines */
    rg_progress progress;
    int64_t done;
    int32_t shard; /* the present one, with its songs and what is heard in them */
    int64_t n, *songs;
    rg_song_features *heard;
    pthread_mutex_t lock; /* of progress, done and error */
    rg_error error;       /* the first one */
} hearing;

/* ---- listening ---- */

static rg_status hear_song(hearing *h, int64_t i, rg_error *err)
{
    const rg_song *s = rg_store_song(h->store, h->songs[i]);
    rg_store_info store = {.rate = rg_store_rate(h->store),
                           .channels = rg_store_channels(h->store),
                           .n_roles = rg_store_roles(h->store)};
    int64_t n = s->frames * store.n_roles * store.channels;
    for (int32_t r = 0; r < store.n_roles; r++) store.roles[r] = rg_store_role(h->store, r);
    int16_t *samples = malloc((size_t)n * sizeof *samples);
    if (!samples) return rg_fail(err, RG_ERR_NOMEM, "song '%s': no memory to hear it", s->id);
    rg_status status = rg__store_read_raw(h->store, h->songs[i], 0, n, samples, err);
    if (status == RG_OK && rg_xxh3(samples, (size_t)n * sizeof *samples) != s->xxh3)
        status = rg_fail(err, RG_ERR_FORMAT,
                         "song '%s': its samples are damaged; see 'dataset verify'", s->id);
    if (status == RG_OK) status = rg_song_features_hear(s, &store, samples, &h->heard[i], err);
    free(samples);
    return status;
}

/* One song; after a failure the others are skipped. */
static void hear_block(void *ctx, int64_t i, int32_t thread)
{
    hearing *h = ctx;
    rg_error err = {0};
    (void)thread;
    pthread_mutex_lock(&h->lock);
    bool stop = h->error.code != RG_OK;
    pthread_mutex_unlock(&h->lock);
    if (stop) return;
    rg_status status = hear_song(h, i, &err);
    pthread_mutex_lock(&h->lock);
    if (status != RG_OK) rg_fail(&h->error, err.code, "%s", err.text);
    rg_progress_step(&h->progress, h->log, ++h->done, rg_store_song(h->store, h->songs[i])->id);
    pthread_mutex_unlock(&h->lock);
}

/* ---- the new file ---- */

/* "stems-00000-of-00002.h5" has revision 0, "stems-00000-of-00002.r7.h5" has 7. */
static void revised_name(const char *name, int32_t by, char out[64])
{
    size_t stem = strlen(name);
    long revision = 0;
    if (stem > 3 && strcmp(name + stem - 3, ".h5") == 0) stem -= 3;
    for (size_t i = stem; i > 2 && strchr("0123456789", name[i - 1]); i--)
        if (name[i - 2] == 'r' && name[i - 3] == '.') {
            revision = strtol(name + i - 1, NULL, 10);
            stem = i - 3;
            break;
        }
    revision += by;
    if (revision > 0)
        rg_format(out, 64, "%.*s.r%ld.h5", (int)stem, name, revision);
    else
        rg_format(out, 64, "%.*s.h5", (int)stem, name);
}

static rg_status copy_bytes(int from, int to, const char *path, rg_error *err)
{
    char *block = malloc(COPY_AT_ONCE);
    int64_t n = 1, at = 0;
    rg_status status = block ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "%s: no memory", path);
    int64_t size = rg_fs_size(path);
    for (; status == RG_OK && at < size; at += n) {
        n = size - at < COPY_AT_ONCE ? size - at : COPY_AT_ONCE;
        status = rg_fs_pread_exact(from, block, (size_t)n, at, path, err);
        if (status == RG_OK) status = rg_fs_write_exact(to, block, (size_t)n, path, err);
    }
    free(block);
    return status;
}

static rg_status copy_file(const char *path, const char *copy, rg_error *err)
{
    int from = rg__store_open_file(path, O_RDONLY);
    int to = from < 0 ? -1 : rg__store_open_file(copy, O_WRONLY | O_CREAT | O_TRUNC);
    rg_status status = to < 0 ? rg_fail(err, RG_ERR_IO, "%s: cannot be copied", path)
                              : copy_bytes(from, to, path, err);
    if (from >= 0) rg_fs_current()->close(from);
    if (to >= 0 && rg_fs_current()->close(to) < 0 && errno != EINTR && status == RG_OK)
        status = rg_fail(err, RG_ERR_IO, "%s: cannot be copied", path);
    return status;
}

static rg_status add_features(const hearing *h, const char *path, rg_error *err)
{
    rg_error failure = {0};
    rg__h5_quiet();
    hid_t file = rg__h5_change(path, &failure);
    bool ok = file >= 0;
    for (int64_t i = 0; ok && i < h->n; i++)
        ok = rg__store_write_features(file, rg_store_song(h->store, h->songs[i])->id,
                                      rg_store_roles(h->store), &h->heard[i]);
    ok = ok && rg__store_mark_features(file, RG_FEATURES_VERSION);
    rg_status status =
        ok ? RG_OK : rg__h5_fail(err, RG_ERR_IO, path, "writing the features failed");
    return rg__h5_close_new(file, status, &failure, err);
}

static rg_status write_file(const hearing *h, const char *old, const char *path, rg_error *err)
{
    char temporary[RG__PATH + 32];
    snprintf(temporary, sizeof temporary, "%s.tmp.%ld", path, (long)getpid());
    rg_status status = copy_file(old, temporary, err);
    if (status == RG_OK) status = add_features(h, temporary, err);
    if (status == RG_OK) return rg_fs_commit_path(temporary, path, err);
    rg_fs_current()->unlink(temporary);
    return status;
}

/* ---- the index ---- */

static rg_status read_index(hearing *h, rg_error *err)
{
    char path[RG__PATH], *text = NULL;
    size_t n = 0;
    RG_TRY(rg_fs_join(path, sizeof path, h->folder, RG__STORE_INDEX, err));
    RG_TRY(rg_fs_read_all(path, INDEX_LIMIT, &text, &n, err));
    h->index = json_array();
    rg_status status = RG_OK;
    for (char *rest = text, *line; status == RG_OK && (line = strsep(&rest, "\n"));) {
        if (!*line) continue;
        json_t *object = rg_json_parse(line, strlen(line), path, err);
        if (!object || json_array_append_new(h->index, object) != 0) status = RG_ERR_FORMAT;
    }
    free(text);
    return status;
}

static rg_status write_index(const hearing *h, rg_error *err)
{
    char path[RG__PATH];
    rg_text text;
    size_t i;
    json_t *line;
    RG_TRY(rg_fs_join(path, sizeof path, h->folder, RG__STORE_INDEX, err));
    rg_text_init(&text, INDEX_LIMIT);
    json_array_foreach(h->index, i, line)
    {
        char *dump = json_dumps(line, JSON_COMPACT);
        rg_text_printf(&text, "%s\n", dump ? dump : "");
        free(dump);
    }
    rg_status status = rg_text_status(&text, err);
    if (status == RG_OK) status = rg_fs_write_atomic(path, text.data, text.n, err);
    rg_text_free(&text);
    return status;
}

/* The index names the new file; the old one goes. */
static rg_status replace(hearing *h, const char *old, const char *name, const char *path,
                         rg_error *err)
{
    char hash[RG_SHA256_HEX];
    json_t *line = json_array_get(h->index, (size_t)h->shard + 1);
    RG_TRY(rg_sha256_file(path, hash, err));
    if (json_object_set_new(line, "shard", json_string(name)) != 0 ||
        json_object_set_new(line, "bytes", json_integer(rg_fs_size(path))) != 0 ||
        json_object_set_new(line, "sha256", json_string(hash)) != 0)
        return rg_fail(err, RG_ERR_NOMEM, "no memory for the index");
    RG_TRY(write_index(h, err));
    if (rg_fs_current()->unlink(old) == 0) return RG_OK;
    return rg_fail(err, RG_ERR_IO, "%s: was replaced and cannot be removed", old);
}

/* ---- shard by shard ---- */

static rg_status take_shard(hearing *h, int32_t shard, rg_error *err)
{
    h->shard = shard;
    h->n = 0;
    for (int64_t i = 0; i < rg_store_songs(h->store); i++)
        if (h->store->songs[i].shard == shard) h->songs[h->n++] = i;
    h->heard = calloc((size_t)h->n + 1, sizeof *h->heard);
    if (!h->heard) return rg_fail(err, RG_ERR_NOMEM, "no memory for features");
    rg_pool_run(h->pool, hear_block, h, h->n);
    if (h->error.code == RG_OK) return RG_OK;
    return rg_fail(err, h->error.code, "%s", h->error.text);
}

static rg_status renew_shard(hearing *h, int32_t shard, rg_error *err)
{
    char old[RG__PATH], path[RG__PATH], name[64];
    RG_TRY(rg_fs_join(old, sizeof old, h->folder, h->store->shards[shard].name, err));
    if (strlen(h->store->shards[shard].name) > LONGEST_NAME)
        return rg_fail(err, RG_ERR_UNSUPPORTED, "%s: the file's name is over %d bytes long", old,
                       LONGEST_NAME);
    revised_name(h->store->shards[shard].name, 1, name);
    RG_TRY(rg_fs_join(path, sizeof path, h->folder, name, err));
    rg_status status = take_shard(h, shard, err);
    if (status == RG_OK) status = write_file(h, old, path, err);
    if (status == RG_OK) status = replace(h, old, name, path, err);
    for (int64_t i = 0; h->heard && i < h->n; i++) rg_song_features_free(&h->heard[i]);
    free(h->heard);
    h->heard = NULL;
    return status;
}

/* The file that an earlier run replaced, and was stopped before it removed it. */
static void remove_former(const hearing *h, int32_t shard)
{
    char path[RG__PATH], former[64];
    const char *name = h->store->shards[shard].name;
    revised_name(name, -1, former);
    if (strcmp(name, former) != 0 &&
        rg_fs_join(path, sizeof path, h->folder, former, NULL) == RG_OK)
        rg_fs_current()->unlink(path);
}

static rg_status renew(hearing *h, int64_t *heard, rg_error *err)
{
    h->store = rg_store_open(h->folder, err);
    if (!h->store) return err->code;
    RG_TRY(read_index(h, err));
    int64_t n = rg_store_songs(h->store);
    h->songs = calloc((size_t)n, sizeof *h->songs);
    if (!h->songs) return rg_fail(err, RG_ERR_NOMEM, "no memory for songs");
    rg_progress_start(&h->progress, "hearing", n - rg_store_heard_songs(h->store));
    for (int32_t s = 0; s < h->store->n_shards; s++) {
        remove_former(h, s);
        if (!rg__store_is_heard(&h->store->shards[s])) RG_TRY(renew_shard(h, s, err));
    }
    *heard = h->done;
    return RG_OK;
}

static rg_status hear_locked(const char *folder, int32_t jobs, const rg_log *log, int64_t *heard,
                             rg_error *err)
{
    hearing h = {.folder = folder, .log = log};
    rg_fs_sweep_temporaries(folder);
    h.pool = rg_pool_create(jobs, 0, false, err);
    pthread_mutex_init(&h.lock, NULL);
    rg_status status = h.pool ? renew(&h, heard, err) : RG_ERR_NOMEM;
    pthread_mutex_destroy(&h.lock);
    rg_pool_destroy(h.pool);
    rg_store_close(h.store);
    json_decref(h.index);
    free(h.songs);
    return status;
}

rg_status rg_store_hear(const char *folder, int32_t jobs, const rg_log *log, int64_t *heard,
                        rg_error *err)
{
    char unfinished[RG__PATH];
    *heard = 0;
    rg_store *store = rg_store_open(folder, err); /* no store: nothing is made there */
    if (!store) return err->code;
    rg_store_close(store);
    RG_TRY(rg_fs_join(unfinished, sizeof unfinished, folder, RG__STORE_UNFINISHED, err));
    RG_TRY(rg_fs_make_folders(unfinished, err));
    int lock = rg__store_lock(unfinished, err);
    if (lock < 0) return RG_ERR_IO;
    rg_status status = hear_locked(folder, jobs, log, heard, err);
    rg_status removed = rg_fs_remove_tree(unfinished, status == RG_OK ? err : NULL);
    rg_fs_unlock(lock);
    return status == RG_OK ? removed : status;
}
