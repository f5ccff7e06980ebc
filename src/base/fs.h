/*
 * The only door to the file system.
 *
 * One idea: everything that touches files goes through this small table of calls, so that a test
 * can fail, shorten or interrupt the Nth call for every N, and drop unsynced writes as a power loss
 * would. Not here: formats. Libraries that open paths themselves (HDF5, libsndfile) are given a
 * path that rg_fs_* prepared, or virtual I/O on an rg_file, and are committed by rg_fs_commit.
 */
#ifndef RG_BASE_FS_H
#define RG_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* The calls below return what POSIX does: -1 and errno on failure. Installed once, before threads
 * start. */
typedef struct rg_fs_calls {
    int (*open)(const char *path, int flags, unsigned mode);
    int64_t (*read)(int fd, void *buf, size_t n);
    int64_t (*write)(int fd, const void *buf, size_t n);
    int64_t (*pread)(int fd, void *buf, size_t n, int64_t offset);
    int64_t (*seek)(int fd, int64_t offset, int whence);
    int (*fsync)(int fd);
    int (*close)(int fd);
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
    int (*mkdir)(const char *path, unsigned mode);
    int (*symlink)(const char *target, const char *path);
    int (*truncate)(int fd, int64_t length);
} rg_fs_calls;

const rg_fs_calls *rg_fs_posix(void);
void rg_fs_install(const rg_fs_calls *calls); /* NULL: back to POSIX. For tests. */
const rg_fs_calls *rg_fs_current(void);

/* A whole small file, at most `limit` bytes, plus a terminating 0 not counted in *n. Caller frees.
 */
rg_status rg_fs_read_all(const char *path, size_t limit, char **data, size_t *n,
                         rg_error *err) RG_MUST_USE;

/* Reads exactly n bytes at offset, over short reads and EINTR; a short file is RG_ERR_FORMAT. */
rg_status rg_fs_pread_exact(int fd, void *buf, size_t n, int64_t offset, const char *path,
                            rg_error *err) RG_MUST_USE;
rg_status rg_fs_write_exact(int fd, const void *buf, size_t n, const char *path,
                            rg_error *err) RG_MUST_USE;

/*
 * A file that appears whole or not at all: written to "<path>.tmp.<pid>", then fsync, rename, fsync
 * of the folder (redis's order). Until rg_fs_commit the old file is untouched; rg_fs_abandon
 * removes the temporary. A crash leaves at most a *.tmp.* file, which rg_fs_sweep_temporaries
 * removes.
 */
typedef struct rg_atomic_file {
    int fd;
    char path[1024], temporary[1088];
} rg_atomic_file;
rg_status rg_fs_begin(rg_atomic_file *file, const char *path, rg_error *err) RG_MUST_USE;
rg_status rg_fs_commit(rg_atomic_file *file, rg_error *err) RG_MUST_USE; /* also closes */
void rg_fs_abandon(rg_atomic_file *file);
rg_status rg_fs_write_atomic(const char *path, const void *data, size_t n,
                             rg_error *err) RG_MUST_USE;
/* For files written by a library at file->temporary: closes the sync gap and renames. */
rg_status rg_fs_commit_path(const char *temporary, const char *path, rg_error *err) RG_MUST_USE;
void rg_fs_sweep_temporaries(const char *folder);

/*
 * A folder that appears whole or not at all: files are made in folder->temporary, then one rename.
 * `path` must not exist or be an empty folder (RG_ERR_USAGE otherwise).
 */
typedef struct rg_atomic_folder {
    char path[1024], temporary[1088];
} rg_atomic_folder;
rg_status rg_fs_begin_folder(rg_atomic_folder *folder, const char *path, rg_error *err) RG_MUST_USE;
rg_status rg_fs_commit_folder(rg_atomic_folder *folder, rg_error *err) RG_MUST_USE;
void rg_fs_abandon_folder(rg_atomic_folder *folder); /* fine when never begun (zeroed) */

/* One line added at the end of a log that others may be reading; whole lines only. */
typedef struct rg_appender rg_appender;
rg_appender *rg_appender_open(const char *path, rg_error *err);
rg_status rg_appender_line(rg_appender *a, const char *text, size_t n, rg_error *err);
rg_status rg_appender_close(rg_appender *a, rg_error *err); /* NULL is fine */

rg_status rg_fs_make_folders(const char *path, rg_error *err) RG_MUST_USE; /* mkdir -p */
rg_status rg_fs_remove_tree(const char *path, rg_error *err) RG_MUST_USE;
rg_status rg_fs_link(const char *target, const char *path,
                     rg_error *err) RG_MUST_USE; /* replaces, atomically */
bool rg_fs_exists(const char *path);
bool rg_fs_is_folder(const char *path);
bool rg_fs_is_file(const char *path);       /* no folder, device, pipe or socket: reading it ends */
int64_t rg_fs_size(const char *path);       /* -1 when absent */
int64_t rg_fs_free_bytes(const char *path); /* of the file system that holds path; -1 unknown */

/* Names in a folder (no "." and ".."), sorted bytewise. Free with rg_fs_free_names. */
rg_status rg_fs_list(const char *folder, char ***names, size_t *n, rg_error *err) RG_MUST_USE;
void rg_fs_free_names(char **names, size_t n);

/* Joins with one '/'; RG_ERR_USAGE when it does not fit. */
rg_status rg_fs_join(char *out, size_t size, const char *folder, const char *name,
                     rg_error *err) RG_MUST_USE;
const char *rg_fs_base_name(const char *path);

/* An exclusive lock file (flock). -1 and RG_ERR_IO naming the holder's pid when somebody else has
 * it. */
int rg_fs_lock(const char *path, rg_error *err);
void rg_fs_unlock(int lock);

#endif
