/*
 * The open files of a store's shards.
 *
 * One idea: a store of many shards has them all opened once, to look at, but keeps open no more
 * than its share of the descriptors that the process may have: who reads says which shard, and the
 * one that was read longest ago is closed for it. Where all fit they stay open, and reading asks
 * nothing of this file.
 */
#include <fcntl.h>
#include <sys/resource.h>

#include "datasets/store_reader.h"

enum { FEWEST_OPEN = 4, MOST_OPEN = 1024, MOST_HDF5 = 8 };

int32_t rg__store_most_open(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return FEWEST_OPEN;
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur / 4 > MOST_OPEN) return MOST_OPEN;
    return limit.rlim_cur / 4 > FEWEST_OPEN ? (int32_t)(limit.rlim_cur / 4) : FEWEST_OPEN;
}

static void close_shard(rg_store *s, rg__shard *sh)
{
    if (sh->fd < 0) return;
    rg_fs_current()->close(sh->fd);
    sh->fd = -1;
    s->n_open--;
}

/* Room for one more, if one is open that nobody reads just now. */
static void make_room(rg_store *s)
{
    rg__shard *oldest = NULL;
    if (s->n_open < s->most_open) return;
    for (int32_t i = 0; i < s->n_shards; i++) {
        rg__shard *sh = &s->shards[i];
        if (sh->fd >= 0 && !sh->readers && (!oldest || sh->used < oldest->used)) oldest = sh;
    }
    if (oldest) close_shard(s, oldest);
}

static int open_shard(rg_store *s, rg__shard *sh, rg_error *err)
{
    char path[RG__PATH];
    if (sh->fd >= 0) return sh->fd;
    make_room(s);
    if (rg_fs_join(path, sizeof path, s->folder, sh->name, err) != RG_OK) return -1;
    sh->fd = rg__store_open_file(path, O_RDONLY);
    if (sh->fd < 0)
        rg_fail(err, RG_ERR_IO, "%s: cannot open it for reading", path);
    else
        s->n_open++;
    return sh->fd;
}

rg_status rg__store_keep_open(rg_store *s, int32_t shard, rg_error *err)
{
    return open_shard(s, &s->shards[shard], err) < 0 ? RG_ERR_IO : RG_OK;
}

int rg__store_begin_read(const rg_store *store, int32_t shard, rg_error *err)
{
    rg_store *s = (rg_store *)store; /* what is open is no part of what it holds */
    rg__shard *sh = &s->shards[shard];
    if (s->n_shards <= s->most_open) return sh->fd;
    pthread_mutex_lock(&s->files_lock);
    const int fd = open_shard(s, sh, err);
    if (fd >= 0) sh->readers++;
    sh->used = ++s->reads;
    pthread_mutex_unlock(&s->files_lock);
    return fd;
}

void rg__store_end_read(const rg_store *store, int32_t shard)
{
    rg_store *s = (rg_store *)store;
    if (s->n_shards <= s->most_open) return;
    pthread_mutex_lock(&s->files_lock);
    s->shards[shard].readers--;
    pthread_mutex_unlock(&s->files_lock);
}

hid_t rg__store_song_file(const rg_store *store, int64_t song, char path[RG__PATH], rg_error *err)
{
    rg_store *s = (rg_store *)store;
    rg__shard *sh = &s->shards[s->songs[song].shard], *oldest = NULL;
    int32_t n = 0;
    if (rg_fs_join(path, RG__PATH, s->folder, sh->name, err) != RG_OK) return -1;
    rg__h5_quiet();
    sh->file_used = ++s->file_reads;
    if (sh->file >= 0) return sh->file;
    for (int32_t i = 0; i < s->n_shards; i++) {
        rg__shard *other = &s->shards[i];
        if (other->file < 0) continue;
        n++;
        if (!oldest || other->file_used < oldest->file_used) oldest = other;
    }
    if (n >= MOST_HDF5) {
        H5Fclose(oldest->file);
        oldest->file = -1;
    }
    sh->file = rg__h5_open(path);
    if (sh->file < 0) rg__h5_fail(err, RG_ERR_FORMAT, path, "does not open");
    return sh->file;
}

void rg__store_close_files(rg_store *s)
{
    for (int32_t i = 0; i < s->n_shards; i++) {
        close_shard(s, &s->shards[i]);
        if (s->shards[i].file >= 0) H5Fclose(s->shards[i].file);
    }
}
