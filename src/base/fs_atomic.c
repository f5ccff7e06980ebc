/*
 * Files that appear whole or not at all, and logs of whole lines (fs.h).
 *
 * One idea: write a temporary, fsync it, rename it, fsync the folder; any failure on the way
 * removes the temporary and leaves the old file. What is not a regular file (/dev/full, a pipe) is
 * written straight, because a rename would replace the device by a file.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/fs_private.h"
#include "base/text.h"

/* Fills file->path: what `path` names after following links, so that a link stays a link. */
static rg_status resolve(rg_atomic_file *file, const char *path, rg_error *err)
{
    struct stat info;
    char target[PATH_MAX];
    bool linked = lstat(path, &info) == 0 && S_ISLNK(info.st_mode) && realpath(path, target);
    if (!rg_copy_text(file->path, sizeof file->path, linked ? target : path))
        return rg_fail(err, RG_ERR_USAGE, "%.200s...: the path is too long (limit %zu bytes)", path,
                       sizeof file->path - 1);
    return RG_OK;
}

static bool is_special(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

rg_status rg_fs_begin(rg_atomic_file *file, const char *path, rg_error *err)
{
    *file = (rg_atomic_file){.fd = -1};
    RG_TRY(resolve(file, path, err));
    if (rg_fs_is_folder(path))
        return rg_fail(err, RG_ERR_IO, "%s: is a folder, a file was expected", path);
    if (is_special(path)) {
        file->fd = rg__fs_open(path, O_WRONLY);
    } else {
        rg_format(file->temporary, sizeof file->temporary, "%s.tmp.%ld", file->path,
                  (long)getpid());
        int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
        file->fd = rg__fs_open(file->temporary, flags);
        if (file->fd < 0 && errno == EEXIST) { /* left by a crashed process of the same number */
            rg_fs_current()->unlink(file->temporary);
            file->fd = rg__fs_open(file->temporary, flags);
        }
    }
    return file->fd < 0 ? rg__fs_fail(err, "create", path) : RG_OK;
}

static void remove_temporary(const char *temporary)
{
    if (temporary[0]) rg_fs_current()->unlink(temporary);
}

/* Renames and syncs the folder; on failure of the rename the temporary is removed. */
static rg_status put_in_place(const char *temporary, const char *path, rg_error *err)
{
    if (rg_fs_current()->rename(temporary, path) < 0) {
        rg__fs_fail(err, "rename its new version into place", path);
        remove_temporary(temporary);
        return RG_ERR_IO;
    }
    return rg__fs_sync_folder_of(path, err);
}

rg_status rg_fs_commit(rg_atomic_file *file, rg_error *err)
{
    bool direct = file->temporary[0] == 0;
    rg_status status = RG_OK;
    if (rg__fs_fsync(file->fd) < 0 && !(direct && (errno == EINVAL || errno == EROFS)))
        status = rg__fs_fail(err, "sync", file->path);
    if (rg__fs_close(file->fd) < 0 && status == RG_OK)
        status = rg__fs_fail(err, "close", file->path);
    file->fd = -1;
    if (status != RG_OK) remove_temporary(file->temporary);
    if (status == RG_OK && !direct) status = put_in_place(file->temporary, file->path, err);
    file->temporary[0] = 0;
    return status;
}

void rg_fs_abandon(rg_atomic_file *file)
{
    if (file->fd >= 0) rg__fs_close(file->fd);
    file->fd = -1;
    remove_temporary(file->temporary);
    file->temporary[0] = 0;
}

rg_status rg_fs_write_atomic(const char *path, const void *data, size_t n, rg_error *err)
{
    rg_atomic_file file;
    RG_TRY(rg_fs_begin(&file, path, err));
    rg_status status = rg_fs_write_exact(file.fd, data, n, path, err);
    if (status != RG_OK) {
        rg_fs_abandon(&file);
        return status;
    }
    return rg_fs_commit(&file, err);
}

rg_status rg_fs_commit_path(const char *temporary, const char *path, rg_error *err)
{
    int fd = rg__fs_open(temporary, O_RDONLY);
    if (fd < 0) return rg__fs_fail(err, "open", temporary);
    rg_status status = RG_OK;
    if (rg__fs_fsync(fd) < 0) status = rg__fs_fail(err, "sync", temporary);
    if (rg__fs_close(fd) < 0 && status == RG_OK) status = rg__fs_fail(err, "close", temporary);
    if (status != RG_OK) {
        remove_temporary(temporary);
        return status;
    }
    return put_in_place(temporary, path, err);
}

/* Whether `name` is "<something>.tmp.<pid>" and that process is gone. */
static bool is_left_over(const char *name)
{
    static const char tag[] = ".tmp.";
    const char *at = NULL;
    for (const char *p = strstr(name, tag); p; p = strstr(p + 1, tag)) at = p;
    int64_t pid;
    if (!at || at == name || !isdigit((unsigned char)at[sizeof tag - 1])) return false;
    if (!rg_parse_int(at + sizeof tag - 1, &pid) || pid <= 0 || pid > INT_MAX) return false;
    return kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

void rg_fs_sweep_temporaries(const char *folder)
{
    char **names;
    size_t n;
    if (rg_fs_list(folder, &names, &n, NULL) != RG_OK) return;
    for (size_t i = 0; i < n; i++) {
        char path[RG__PATH];
        if (is_left_over(names[i]) &&
            rg_fs_join(path, sizeof path, folder, names[i], NULL) == RG_OK)
            rg_fs_current()->unlink(path);
    }
    rg_fs_free_names(names, n);
}

/* ---- logs ---- */

struct rg_appender {
    int fd;
    bool regular;
    int64_t end; /* bytes of whole lines; for regular files */
    char path[1024];
};

/* Cuts a last line without an end, which a crash may have left. */
static rg_status cut_torn_line(rg_appender *a, rg_error *err)
{
    int64_t end = a->end;
    char block[512];
    while (end > 0) {
        size_t n = end < (int64_t)sizeof block ? (size_t)end : sizeof block;
        RG_TRY(rg_fs_pread_exact(a->fd, block, n, end - (int64_t)n, a->path, err));
        const char *newline = memrchr(block, '\n', n);
        if (newline) {
            end -= (int64_t)n - (newline - block) - 1;
            break;
        }
        end -= (int64_t)n;
    }
    if (end == a->end) return RG_OK;
    if (rg_fs_current()->truncate(a->fd, end) < 0) return rg__fs_fail(err, "truncate", a->path);
    a->end = end;
    return RG_OK;
}

rg_appender *rg_appender_open(const char *path, rg_error *err)
{
    rg_appender *a = calloc(1, sizeof *a);
    if (!a || !rg_copy_text(a->path, sizeof a->path, path)) {
        rg_fail(err, a ? RG_ERR_USAGE : RG_ERR_NOMEM, "%.200s: %s", path,
                a ? "the path is too long" : "out of memory");
        free(a);
        return NULL;
    }
    bool special = is_special(path);
    a->fd = rg__fs_open(path, special ? O_WRONLY : O_RDWR | O_APPEND | O_CREAT);
    if (a->fd < 0) {
        rg__fs_fail(err, "open for appending", path);
        free(a);
        return NULL;
    }
    a->regular = !special;
    rg_status status = RG_OK;
    if (a->regular) {
        a->end = rg_fs_current()->seek(a->fd, 0, SEEK_END);
        status = a->end < 0 ? rg__fs_fail(err, "find the end", path) : cut_torn_line(a, err);
    }
    if (status == RG_OK) return a;
    rg__fs_close(a->fd);
    free(a);
    return NULL;
}

rg_status rg_appender_line(rg_appender *a, const char *text, size_t n, rg_error *err)
{
    char small[1024], *line = small;
    if (n + 1 > sizeof small) line = malloc(n + 1);
    if (!line) return rg_fail(err, RG_ERR_NOMEM, "%s: no memory for a line", a->path);
    memcpy(line, text, n);
    line[n] = '\n'; /* one write, so that a reader beside us sees whole lines */
    rg_status status = rg_fs_write_exact(a->fd, line, n + 1, a->path, err);
    if (line != small) free(line);
    if (status == RG_OK)
        a->end += (int64_t)n + 1;
    else if (a->regular)
        rg_fs_current()->truncate(a->fd, a->end);
    return status;
}

rg_status rg_appender_close(rg_appender *a, rg_error *err)
{
    if (!a) return RG_OK;
    rg_status status = RG_OK;
    if (a->regular && rg__fs_fsync(a->fd) < 0) status = rg__fs_fail(err, "sync", a->path);
    if (rg__fs_close(a->fd) < 0 && status == RG_OK) status = rg__fs_fail(err, "close", a->path);
    free(a);
    return status;
}
