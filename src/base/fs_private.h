/*
 * What the fs_*.c files and hash.c share: not for anybody else.
 */
#ifndef RG_BASE_FS_PRIVATE_H
#define RG_BASE_FS_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { RG__PATH = 4096 };

/* RG_ERR_IO "path: cannot <what>: <text of errno>". */
rg_status rg__fs_fail(rg_error *err, const char *what, const char *path);

/* The calls of the installed table, over EINTR; -1 and errno on failure. */
int rg__fs_open(const char *path, int flags);
int64_t rg__fs_read(int fd, void *buf, size_t n);
int rg__fs_close(int fd);
int rg__fs_fsync(int fd);

/* Makes the directory entry of `path` durable. */
rg_status rg__fs_sync_folder_of(const char *path, rg_error *err) RG_MUST_USE;

#endif
