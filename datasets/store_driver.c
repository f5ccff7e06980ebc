/*
 * HDF5's file driver for stores: all its reads and writes go through base/fs.
 *
 * One idea: HDF5 1.10 crashes in its own error paths when a write fails (H5Ocopy on a full disk),
 * so a failed write is remembered in the caller's rg_error and HDF5 is told that it worked; the
 * caller asks after closing and throws the file away. Later writes are dropped.
 * Not here: names, temporaries, renaming (store_write.c, store_shard.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/store_internal.h"

typedef struct driver_info {
    rg_error *failure; /* of writing; NULL when the file is only read */
} driver_info;

typedef struct driver_file {
    H5FD_t base; /* first: HDF5 casts */
    int fd;
    haddr_t used, end; /* what HDF5 allocated, what the file holds */
    rg_error *failure;
    char path[RG__PATH];
} driver_file;

static hid_t driver = -1;

int rg__store_open_file(const char *path, int flags)
{
    int fd;
    do fd = rg_fs_current()->open(path, flags | O_CLOEXEC, 0666);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static H5FD_t *driver_open(const char *path, unsigned flags, hid_t access, haddr_t limit)
{
    (void)limit;
    const driver_info *info = H5Pget_driver_info(access);
    bool write = (flags & H5F_ACC_RDWR) != 0;
    driver_file *f = calloc(1, sizeof *f);
    if (!f || !info || !rg_copy_text(f->path, sizeof f->path, path)) {
        free(f);
        return NULL;
    }
    int mode = write ? O_RDWR : O_RDONLY;
    if (flags & H5F_ACC_CREAT) mode |= O_CREAT;
    if (flags & H5F_ACC_TRUNC) mode |= O_TRUNC;
    f->fd = rg__store_open_file(path, mode);
    if (f->fd < 0) {
        free(f);
        return NULL;
    }
    int64_t size = rg_fs_current()->seek(f->fd, 0, SEEK_END);
    f->end = size > 0 ? (haddr_t)size : 0;
    f->failure = write ? info->failure : NULL;
    return &f->base;
}

static herr_t driver_close(H5FD_t *base)
{
    driver_file *f = (driver_file *)base;
    int closed = rg_fs_current()->close(f->fd);
    if (closed < 0 && errno != EINTR && f->failure && f->failure->code == RG_OK)
        rg_fail(f->failure, RG_ERR_IO, "%s: cannot close it: %s", f->path, strerror(errno));
    free(f);
    return 0;
}

static herr_t driver_query(const H5FD_t *base, unsigned long *flags)
{
    (void)base;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA;
    return 0;
}

static haddr_t driver_get_used(const H5FD_t *base, H5FD_mem_t type)
{
    (void)type;
    return ((const driver_file *)base)->used;
}

static herr_t driver_set_used(H5FD_t *base, H5FD_mem_t type, haddr_t address)
{
    (void)type;
    ((driver_file *)base)->used = address;
    return 0;
}

static haddr_t driver_get_end(const H5FD_t *base, H5FD_mem_t type)
{
    (void)type;
    return ((const driver_file *)base)->end;
}

/* What lies beyond the end reads as zeros. */
static herr_t driver_read(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address,
                          size_t size, void *out)
{
    (void)type, (void)transfer;
    driver_file *f = (driver_file *)base;
    size_t there = address >= f->end ? 0 : (size_t)(f->end - address);
    if (there > size) there = size;
    memset((char *)out + there, 0, size - there);
    rg_error err = {0};
    if (rg_fs_pread_exact(f->fd, out, there, (int64_t)address, f->path, &err) == RG_OK) return 0;
    if (!f->failure) return -1;
    memset(out, 0, size);
    rg_fail(f->failure, err.code, "%s", err.text);
    return 0;
}

static herr_t driver_write(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address,
                           size_t size, const void *data)
{
    (void)type, (void)transfer;
    driver_file *f = (driver_file *)base;
    if (!f->failure) return -1;
    if (f->failure->code == RG_OK) {
        if (rg_fs_current()->seek(f->fd, (int64_t)address, SEEK_SET) < 0)
            rg_fail(f->failure, RG_ERR_IO, "%s: cannot seek: %s", f->path, strerror(errno));
        else if (rg_fs_write_exact(f->fd, data, size, f->path, f->failure) != RG_OK &&
                 f->failure->code == RG_OK)
            rg_fail(f->failure, RG_ERR_IO, "%s: cannot write", f->path);
    }
    if (address + size > f->end) f->end = address + size;
    return 0;
}

static int set_length(int fd, int64_t length)
{
    int result;
    do result = rg_fs_current()->truncate(fd, length);
    while (result < 0 && errno == EINTR);
    return result;
}

/* The file becomes as long as HDF5 says, whatever was written last. */
static herr_t driver_truncate(H5FD_t *base, hid_t transfer, hbool_t closing)
{
    (void)transfer, (void)closing;
    driver_file *f = (driver_file *)base;
    if (f->used == f->end || !f->failure) return 0;
    if (f->failure->code == RG_OK && set_length(f->fd, (int64_t)f->used) < 0)
        rg_fail(f->failure, RG_ERR_IO, "%s: cannot set its length: %s", f->path, strerror(errno));
    f->end = f->used;
    return 0;
}

static const H5FD_class_t driver_class = {
    .name = "resonantgen_fs",
    .maxaddr = ((haddr_t)1 << 62) - 1,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(driver_info),
    .open = driver_open,
    .close = driver_close,
    .query = driver_query,
    .get_eoa = driver_get_used,
    .set_eoa = driver_set_used,
    .get_eof = driver_get_end,
    .read = driver_read,
    .write = driver_write,
    .truncate = driver_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

static void register_driver(void)
{
    driver = H5FDregister(&driver_class);
    H5Lunregister(H5L_TYPE_EXTERNAL); /* a store points to no other file */
}

bool rg__h5_set_driver(hid_t access, rg_error *failure)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_driver);
    const driver_info info = {failure};
    return driver >= 0 && H5Pset_driver(access, driver, &info) >= 0;
}
