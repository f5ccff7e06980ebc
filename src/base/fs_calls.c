/*
 * The table of calls behind fs.h, and the loops that make them whole.
 *
 * One idea: EINTR and short counts are handled here and nowhere else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/fs_private.h"

static int posix_open(const char *path, int flags, unsigned mode)
{
    return open(path, flags | O_CLOEXEC, (mode_t)mode);
}

static int64_t posix_read(int fd, void *buf, size_t n)
{
    return read(fd, buf, n);
}

static int64_t posix_write(int fd, const void *buf, size_t n)
{
    return write(fd, buf, n);
}

static int64_t posix_pread(int fd, void *buf, size_t n, int64_t offset)
{
    return pread(fd, buf, n, offset);
}

static int64_t posix_seek(int fd, int64_t offset, int whence)
{
    return lseek(fd, offset, whence);
}

static int posix_mkdir(const char *path, unsigned mode)
{
    return mkdir(path, (mode_t)mode);
}

static int posix_truncate(int fd, int64_t length)
{
    return ftruncate(fd, length);
}

static const rg_fs_calls posix_calls = {
    .open = posix_open,
    .read = posix_read,
    .write = posix_write,
    .pread = posix_pread,
    .seek = posix_seek,
    .fsync = fsync,
    .close = close,
    .rename = rename,
    .unlink = unlink,
    .mkdir = posix_mkdir,
    .symlink = symlink,
    .truncate = posix_truncate,
};

static const rg_fs_calls *installed = &posix_calls;

const rg_fs_calls *rg_fs_posix(void)
{
    return &posix_calls;
}

void rg_fs_install(const rg_fs_calls *calls)
{
    installed = calls ? calls : &posix_calls;
}

const rg_fs_calls *rg_fs_current(void)
{
    return installed;
}

/* ---- shared with the other fs_*.c ---- */

rg_status rg__fs_fail(rg_error *err, const char *what, const char *path)
{
    const char *why = strerrordesc_np(errno);
    return rg_fail(err, RG_ERR_IO, "%s: cannot %s: %s", path, what, why ? why : "unknown error");
}

int rg__fs_open(const char *path, int flags)
{
    int fd;
    do {
        fd = installed->open(path, flags, 0666);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

int64_t rg__fs_read(int fd, void *buf, size_t n)
{
    int64_t got;
    do {
        got = installed->read(fd, buf, n);
    } while (got < 0 && errno == EINTR);
    return got;
}

/* After EINTR the descriptor is gone on Linux; closing again could close somebody else's. */
int rg__fs_close(int fd)
{
    int result = installed->close(fd);
    return result < 0 && errno == EINTR ? 0 : result;
}

int rg__fs_fsync(int fd)
{
    int result;
    do {
        result = installed->fsync(fd);
    } while (result < 0 && errno == EINTR);
    return result;
}

rg_status rg__fs_sync_folder_of(const char *path, rg_error *err)
{
    const char *slash = strrchr(path, '/');
    char folder[RG__PATH] = ".";
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (n >= sizeof folder)
        return rg_fail(err, RG_ERR_USAGE, "%s: the path is too long (limit %d bytes)", path,
                       (int)RG__PATH - 1);
    if (slash == path) n = 1; /* the root itself */
    if (n) {
        memcpy(folder, path, n);
        folder[n] = 0;
    }
    int fd = rg__fs_open(folder, O_RDONLY | O_DIRECTORY);
    if (fd < 0) return rg__fs_fail(err, "open the folder for syncing", folder);
    /* some file systems (FUSE, network) cannot sync a folder and say EINVAL */
    rg_status status = RG_OK;
    if (rg__fs_fsync(fd) < 0 && errno != EINVAL) status = rg__fs_fail(err, "sync", folder);
    if (rg__fs_close(fd) < 0 && status == RG_OK) status = rg__fs_fail(err, "close", folder);
    return status;
}

/* ---- exact reads and writes ---- */

rg_status rg_fs_pread_exact(int fd, void *buf, size_t n, int64_t offset, const char *path,
                            rg_error *err)
{
    char *to = buf;
    size_t done = 0;
    while (done < n) {
        int64_t got = installed->pread(fd, to + done, n - done, offset + (int64_t)done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return rg__fs_fail(err, "read", path);
        if (got == 0)
            return rg_fail(err, RG_ERR_FORMAT,
                           "%s: the file ends at byte %lld, %zu bytes more were expected", path,
                           (long long)offset + (long long)done, n - done);
        done += (size_t)got;
    }
    return RG_OK;
}

rg_status rg_fs_write_exact(int fd, const void *buf, size_t n, const char *path, rg_error *err)
{
    const char *from = buf;
    size_t done = 0;
    while (done < n) {
        int64_t put = installed->write(fd, from + done, n - done);
        if (put < 0 && errno == EINTR) continue;
        if (put == 0) errno = ENOSPC; /* a device that takes nothing would loop for ever */
        if (put <= 0) return rg__fs_fail(err, "write", path);
        done += (size_t)put;
    }
    return RG_OK;
}

/* ---- small files ---- */

/* Reads to the end of fd, at most limit bytes, into a growing block that *data always names. */
static rg_status read_to_end(int fd, const char *path, size_t limit, char **data, size_t *n,
                             rg_error *err)
{
    size_t capacity = 0;
    for (*n = 0;;) {
        if (*n + 1 >= capacity) {
            capacity = capacity ? capacity * 2 : 4096;
            char *bigger = realloc(*data, capacity);
            if (!bigger)
                return rg_fail(err, RG_ERR_NOMEM, "%s: no memory for %zu bytes", path, capacity);
            *data = bigger;
        }
        int64_t got = rg__fs_read(fd, *data + *n, capacity - *n - 1);
        if (got < 0) return rg__fs_fail(err, "read", path);
        if (got == 0) break;
        *n += (size_t)got;
        if (*n > limit)
            return rg_fail(err, RG_ERR_FORMAT, "%s: the file is larger than the limit of %zu bytes",
                           path, limit);
    }
    (*data)[*n] = 0;
    return RG_OK;
}

rg_status rg_fs_read_all(const char *path, size_t limit, char **data, size_t *n, rg_error *err)
{
    *data = NULL;
    *n = 0;
    int fd = rg__fs_open(path, O_RDONLY);
    if (fd < 0) return rg__fs_fail(err, "open", path);
    rg_status status = read_to_end(fd, path, limit, data, n, err);
    rg__fs_close(fd);
    if (status != RG_OK) {
        free(*data);
        *data = NULL;
        *n = 0;
    }
    return status;
}
