/*
 * Folders, links, names, locks (fs.h).
 *
 * One idea: what must survive a power loss (a new folder, a replaced link) is followed by an fsync
 * of the folder that names it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/fs_private.h"
#include "base/text.h"

static rg_status make_folder(const char *path, rg_error *err)
{
    if (rg_fs_current()->mkdir(path, 0777) == 0) return rg__fs_sync_folder_of(path, err);
    int error = errno;
    if (error == EEXIST && rg_fs_is_folder(path)) return RG_OK;
    errno = error == EEXIST ? ENOTDIR : error;
    return rg__fs_fail(err, "make the folder", path);
}

rg_status rg_fs_make_folders(const char *path, rg_error *err)
{
    char part[RG__PATH];
    if (!path[0]) return rg_fail(err, RG_ERR_USAGE, "the path of a folder is empty");
    if (!rg_copy_text(part, sizeof part, path))
        return rg_fail(err, RG_ERR_USAGE, "%.200s...: the path is too long (limit %d bytes)", path,
                       (int)RG__PATH - 1);
    size_t n = strlen(part);
    while (n > 1 && part[n - 1] == '/') part[--n] = 0;
    for (char *p = part + 1; *p; p++) {
        if (*p != '/' || p[-1] == '/') continue;
        *p = 0;
        if (!rg_fs_is_folder(part)) RG_TRY(make_folder(part, err));
        *p = '/';
    }
    return rg_fs_is_folder(part) ? RG_OK : make_folder(part, err);
}

enum { DEEPEST_TREE = 64 };

static rg_status remove_at_depth(const char *path, int depth, rg_error *err)
{
    struct stat info;
    if (lstat(path, &info) < 0) return errno == ENOENT ? RG_OK : rg__fs_fail(err, "look at", path);
    if (!S_ISDIR(info.st_mode)) {
        if (rg_fs_current()->unlink(path) < 0 && errno != ENOENT)
            return rg__fs_fail(err, "remove", path);
        return RG_OK;
    }
    if (depth == DEEPEST_TREE)
        return rg_fail(err, RG_ERR_IO, "%s: folders are nested more than %d deep", path,
                       (int)DEEPEST_TREE);
    char **names;
    size_t n;
    RG_TRY(rg_fs_list(path, &names, &n, err));
    rg_status status = RG_OK;
    for (size_t i = 0; i < n && status == RG_OK; i++) {
        char child[RG__PATH];
        status = rg_fs_join(child, sizeof child, path, names[i], err);
        if (status == RG_OK) status = remove_at_depth(child, depth + 1, err);
    }
    rg_fs_free_names(names, n);
    if (status == RG_OK && rmdir(path) < 0 && errno != ENOENT)
        status = rg__fs_fail(err, "remove the folder", path);
    return status;
}

rg_status rg_fs_remove_tree(const char *path, rg_error *err)
{
    return remove_at_depth(path, 0, err);
}

rg_status rg_fs_link(const char *target, const char *path, rg_error *err)
{
    char temporary[RG__PATH];
    int n = rg_format(temporary, sizeof temporary, "%s.tmp.%ld", path, (long)getpid());
    if (n >= (int)sizeof temporary)
        return rg_fail(err, RG_ERR_USAGE, "%.200s...: the path is too long", path);
    rg_fs_current()->unlink(temporary);
    if (rg_fs_current()->symlink(target, temporary) < 0) return rg__fs_fail(err, "link", path);
    if (rg_fs_current()->rename(temporary, path) < 0) {
        rg__fs_fail(err, "put the link in place of", path);
        rg_fs_current()->unlink(temporary);
        return RG_ERR_IO;
    }
    return rg__fs_sync_folder_of(path, err);
}

/* ---- questions ---- */

bool rg_fs_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool rg_fs_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool rg_fs_is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

int64_t rg_fs_size(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (int64_t)info.st_size : -1;
}

/* A path that is yet to be made is answered for by the nearest folder above it that exists. */
int64_t rg_fs_free_bytes(const char *path)
{
    char at[RG__PATH];
    if (!rg_copy_text(at, sizeof at, path)) return -1;
    struct statvfs info;
    while (statvfs(at, &info) < 0) {
        if (errno != ENOENT) return -1;
        char *slash = strrchr(at, '/');
        if (slash == at && at[1])
            at[1] = 0;
        else if (slash && slash != at)
            *slash = 0;
        else if (strcmp(at, ".") != 0)
            rg_copy_text(at, sizeof at, ".");
        else
            return -1;
    }
    return (int64_t)info.f_bavail * (int64_t)info.f_frsize;
}

/* ---- names ---- */

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Adds a copy of `name`; the list doubles as it grows. */
static bool add_name(char ***names, size_t *n, size_t *capacity, const char *name)
{
    if (*n == *capacity) {
        size_t bigger = *capacity ? *capacity * 2 : 16;
        char **more = realloc(*names, bigger * sizeof *more);
        if (!more) return false;
        *names = more;
        *capacity = bigger;
    }
    char *copy = strdup(name);
    if (copy) (*names)[(*n)++] = copy;
    return copy != NULL;
}

rg_status rg_fs_list(const char *folder, char ***names, size_t *n, rg_error *err)
{
    *names = NULL;
    *n = 0;
    DIR *dir = opendir(folder);
    if (!dir) return rg__fs_fail(err, "list", folder);
    size_t capacity = 0;
    rg_status status = RG_OK;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (add_name(names, n, &capacity, entry->d_name)) continue;
        status = rg_fail(err, RG_ERR_NOMEM, "%s: out of memory while listing", folder);
        break;
    }
    if (status == RG_OK && errno) status = rg__fs_fail(err, "list", folder);
    closedir(dir);
    if (status != RG_OK) {
        rg_fs_free_names(*names, *n);
        *names = NULL;
        *n = 0;
    } else if (*n) {
        qsort(*names, *n, sizeof **names, by_bytes);
    }
    return status;
}

void rg_fs_free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++) free(names[i]);
    free(names);
}

rg_status rg_fs_join(char *out, size_t size, const char *folder, const char *name, rg_error *err)
{
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/') n--;
    bool slash = n > 0 && folder[n - 1] != '/';
    int written = rg_format(out, size, "%.*s%s%s", (int)n, folder, slash ? "/" : "", name);
    if (written >= 0 && (size_t)written < size) return RG_OK;
    return rg_fail(err, RG_ERR_USAGE, "%.200s/%.100s: the path is too long (limit %zu bytes)",
                   folder, name, size ? size - 1 : 0);
}

const char *rg_fs_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- locks ---- */

int rg_fs_lock(const char *path, rg_error *err)
{
    int fd = rg__fs_open(path, O_RDWR | O_CREAT);
    if (fd < 0) {
        rg__fs_fail(err, "open the lock file", path);
        return -1;
    }
    char text[32] = "";
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int error = errno;
        int64_t n = rg_fs_current()->pread(fd, text, sizeof text - 1, 0);
        text[n > 0 ? n : 0] = 0;
        text[strcspn(text, "\n")] = 0;
        if (error == EWOULDBLOCK)
            rg_fail(err, RG_ERR_IO, "%s: in use by process %s; wait for it or stop it", path,
                    text[0] ? text : "?");
        else
            rg__fs_fail(err, "lock", path);
        rg__fs_close(fd);
        return -1;
    }
    /* The number is for people; the lock holds without it. */
    int n = rg_format(text, sizeof text, "%ld\n", (long)getpid());
    if (rg_fs_current()->truncate(fd, 0) == 0 &&
        rg_fs_write_exact(fd, text, (size_t)n, path, NULL) != RG_OK)
        rg_fs_current()->truncate(fd, 0);
    return fd;
}

void rg_fs_unlock(int lock)
{
    if (lock >= 0) rg__fs_close(lock);
}
