/*
 * The failing file system (faulty_fs.h).
 *
 * One idea of the model: a path is tracked from the first call that changes it. For each tracked
 * path we know the file that its name durably names, and for each such file its durable bytes. A
 * descriptor of every tracked file is kept open, so that its inode number is not used again.
 */
#include "faulty_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

enum { MOST = 256, ABSENT = -1 };

typedef struct file {
    dev_t device;
    ino_t inode;
    int held; /* descriptor, or -1 for links and folders */
    mode_t type;
    char *bytes; /* durable content, or the target of a link */
    size_t n;
} file;

typedef struct name {
    char *path;
    int durable; /* index of a file, or ABSENT */
} name;

static struct {
    rg_fault kind;
    int64_t nth, calls;
    file files[MOST];
    int n_files;
    name names[MOST];
    int n_names;
} fs;

static void must(bool ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "faulty_fs: %s: %s\n", what, strerror(errno));
    _exit(3);
}

/* ---- the model ---- */

static void read_content(file *f)
{
    struct stat info;
    must(fstat(f->held, &info) == 0, "fstat");
    free(f->bytes);
    f->n = (size_t)info.st_size;
    f->bytes = malloc(f->n + 1);
    must(f->bytes != NULL, "malloc");
    must(pread(f->held, f->bytes, f->n, 0) == (ssize_t)f->n, "pread");
}

/* The tracked file that a name now names; it is added with its present content as durable. */
static int file_at(const char *path, bool fresh)
{
    struct stat info;
    if (lstat(path, &info) < 0) return ABSENT;
    for (int i = 0; i < fs.n_files; i++)
        if (fs.files[i].device == info.st_dev && fs.files[i].inode == info.st_ino) return i;
    must(fs.n_files < MOST, "too many files");
    file *f = &fs.files[fs.n_files];
    *f = (file){info.st_dev, info.st_ino, -1, info.st_mode & S_IFMT, NULL, 0};
    if (S_ISREG(info.st_mode)) {
        f->held = open(path, O_RDONLY | O_CLOEXEC);
        must(f->held >= 0, "open");
        if (!fresh) read_content(f);
    } else if (S_ISLNK(info.st_mode)) {
        char target[4096];
        ssize_t n = readlink(path, target, sizeof target - 1);
        must(n >= 0, "readlink");
        target[n] = 0;
        f->bytes = strdup(target);
    }
    return fs.n_files++;
}

/* Before a call that changes the name. */
static void track(const char *path)
{
    for (int i = 0; i < fs.n_names; i++)
        if (strcmp(fs.names[i].path, path) == 0) return;
    must(fs.n_names < MOST, "too many names");
    fs.names[fs.n_names].durable = file_at(path, false);
    fs.names[fs.n_names++].path = strdup(path);
}

static bool is_in_folder(const char *path, const struct stat *folder)
{
    char above[4096];
    const char *slash = strrchr(path, '/');
    snprintf(above, sizeof above, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    struct stat info;
    return stat(above[0] ? above : "/", &info) == 0 && info.st_dev == folder->st_dev &&
           info.st_ino == folder->st_ino;
}

static void note_fsync(int fd)
{
    struct stat info;
    must(fstat(fd, &info) == 0, "fstat");
    for (int i = 0; i < fs.n_files; i++) {
        file *f = &fs.files[i];
        if (f->held >= 0 && f->device == info.st_dev && f->inode == info.st_ino) read_content(f);
    }
    for (int i = 0; S_ISDIR(info.st_mode) && i < fs.n_names; i++)
        if (is_in_folder(fs.names[i].path, &info))
            fs.names[i].durable = file_at(fs.names[i].path, true);
}

static void put_back(const char *path, const file *f)
{
    if (S_ISDIR(f->type)) {
        must(mkdir(path, 0777) == 0 || errno == EEXIST, "mkdir");
        return;
    }
    unlink(path);
    if (S_ISLNK(f->type)) {
        must(symlink(f->bytes, path) == 0, "symlink");
        return;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    must(fd >= 0, "open");
    must(write(fd, f->bytes ? f->bytes : "", f->n) == (ssize_t)f->n, "write");
    close(fd);
}

void rg_faulty_power_loss(bool names_survive)
{
    int now[MOST];
    for (int i = 0; i < fs.n_names; i++)
        now[i] = names_survive ? file_at(fs.names[i].path, true) : fs.names[i].durable;
    for (int i = 0; i < fs.n_names; i++) {
        const char *path = fs.names[i].path;
        if (now[i] != ABSENT)
            put_back(path, &fs.files[now[i]]);
        else if (unlink(path) < 0 && errno == EISDIR)
            must(rmdir(path) == 0 || errno == ENOTEMPTY, "rmdir");
    }
}

static void forget(void)
{
    for (int i = 0; i < fs.n_files; i++) {
        if (fs.files[i].held >= 0) close(fs.files[i].held);
        free(fs.files[i].bytes);
    }
    for (int i = 0; i < fs.n_names; i++) free(fs.names[i].path);
    fs.n_files = fs.n_names = 0;
}

/* ---- the calls ---- */

enum { GO = 0 };

/* Counts a call; GO, or the errno it must fail with. */
static int count(bool interruptible, bool needs_room)
{
    fs.calls++;
    bool now = fs.calls == fs.nth, from_now = fs.nth > 0 && fs.calls >= fs.nth;
    if (fs.kind == RG_FS_FAIL && now) return EIO;
    if (fs.kind == RG_FS_EINTR && now && interruptible) return EINTR;
    if (fs.kind == RG_FS_FULL && from_now && needs_room) return ENOSPC;
    if (fs.kind == RG_FS_POWER && from_now) return EIO;
    return GO;
}

static int fail(int error)
{
    errno = error;
    return -1;
}

static size_t shortened(size_t n)
{
    return fs.kind == RG_FS_SHORT && fs.calls == fs.nth && n > 1 ? n / 2 : n;
}

static int faulty_open(const char *path, int flags, unsigned mode)
{
    int error = count(true, (flags & O_CREAT) != 0);
    if (error) return fail(error);
    bool writes = (flags & O_ACCMODE) != O_RDONLY;
    struct stat info;
    bool made = writes && lstat(path, &info) < 0;
    if (writes) track(path);
    int fd = rg_fs_posix()->open(path, flags, mode);
    if (fd >= 0 && made) file_at(path, true); /* durable as an empty file until it is synced */
    return fd;
}

static int64_t faulty_read(int fd, void *buf, size_t n)
{
    int error = count(true, false);
    return error ? fail(error) : rg_fs_posix()->read(fd, buf, shortened(n));
}

static int64_t faulty_write(int fd, const void *buf, size_t n)
{
    int error = count(true, true);
    return error ? fail(error) : rg_fs_posix()->write(fd, buf, shortened(n));
}

static int64_t faulty_pread(int fd, void *buf, size_t n, int64_t offset)
{
    int error = count(true, false);
    return error ? fail(error) : rg_fs_posix()->pread(fd, buf, shortened(n), offset);
}

static int64_t faulty_seek(int fd, int64_t offset, int whence)
{
    int error = count(false, false);
    return error ? fail(error) : rg_fs_posix()->seek(fd, offset, whence);
}

static int faulty_fsync(int fd)
{
    int error = count(true, true);
    if (error) return fail(error);
    note_fsync(fd);
    return rg_fs_posix()->fsync(fd);
}

/* A failing close closes all the same, as Linux does; after a power loss nothing is held either. */
static int faulty_close(int fd)
{
    int error = count(true, false);
    int result = rg_fs_posix()->close(fd);
    return error ? fail(error) : result;
}

static int faulty_rename(const char *from, const char *to)
{
    int error = count(false, false);
    if (error) return fail(error);
    track(from);
    track(to);
    return rg_fs_posix()->rename(from, to);
}

static int faulty_unlink(const char *path)
{
    int error = count(false, false);
    if (error) return fail(error);
    track(path);
    return rg_fs_posix()->unlink(path);
}

static int faulty_mkdir(const char *path, unsigned mode)
{
    int error = count(false, true);
    if (error) return fail(error);
    track(path);
    return rg_fs_posix()->mkdir(path, mode);
}

static int faulty_symlink(const char *target, const char *path)
{
    int error = count(false, true);
    if (error) return fail(error);
    track(path);
    return rg_fs_posix()->symlink(target, path);
}

static int faulty_truncate(int fd, int64_t length)
{
    int error = count(false, false);
    return error ? fail(error) : rg_fs_posix()->truncate(fd, length);
}

static const rg_fs_calls faulty_calls = {
    faulty_open,  faulty_read,   faulty_write,  faulty_pread, faulty_seek,    faulty_fsync,
    faulty_close, faulty_rename, faulty_unlink, faulty_mkdir, faulty_symlink, faulty_truncate,
};

void rg_faulty_begin(rg_fault kind, int64_t nth)
{
    forget();
    fs.kind = kind;
    fs.nth = nth;
    fs.calls = 0;
    rg_fs_install(&faulty_calls);
}

bool rg_faulty_end(void)
{
    rg_fs_install(NULL);
    return fs.nth > 0 && fs.calls >= fs.nth;
}
