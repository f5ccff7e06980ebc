/*
 * A board in a folder that all processes see (meet.h).
 *
 * One idea: a text is a file that appears whole. The folder must be this user's own, since its name
 * can be guessed where it lies in a folder for all.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "dist/meet.h"

typedef struct folder {
    rg_board board;
    bool serves;
    char path[RG_LAUNCH_TEXT];
} folder;

static rg_status put(rg_board *board, const char *key, const char *text, rg_error *err)
{
    const folder *f = (const folder *)board;
    char path[RG_LAUNCH_TEXT + 64];
    RG_TRY(rg_fs_join(path, sizeof path, f->path, key, err));
    return rg_fs_write_atomic(path, text, strlen(text), err);
}

static rg_status get(rg_board *board, const char *key, char **text, rg_error *err)
{
    const folder *f = (const folder *)board;
    char path[RG_LAUNCH_TEXT + 64];
    size_t n;
    *text = NULL;
    RG_TRY(rg_fs_join(path, sizeof path, f->path, key, err));
    if (!rg_fs_is_file(path)) return RG_OK;
    rg_error gone = {0}; /* by whoever cleans up, between the two calls */
    (void)!rg_fs_read_all(path, RG_BOARD_TEXT, text, &n, &gone);
    return RG_OK;
}

static void leave(rg_board *board, bool finished)
{
    folder *f = (folder *)board;
    rg_error ignored = {0};
    if (f->serves && finished) (void)!rg_fs_remove_tree(f->path, &ignored);
    free(f);
}

static rg_status check_owner(const char *path, rg_error *err)
{
    struct stat s;
    if (lstat(path, &s) == 0 && S_ISDIR(s.st_mode) && s.st_uid == geteuid()) return RG_OK;
    return rg_fail(err, RG_ERR_IO, "%s: is no folder of this user's; say another place with --meet",
                   path);
}

rg_board *rg_board_folder(const char *path, bool serve, rg_error *err)
{
    folder *f = calloc(1, sizeof *f);
    if (!f) {
        rg_fail(err, RG_ERR_NOMEM, "out of memory");
        return NULL;
    }
    f->board = (rg_board){put, get, leave};
    f->serves = serve;
    rg_status status = rg_copy_text(f->path, sizeof f->path, path)
                           ? rg_fs_make_folders(path, err)
                           : rg_fail(err, RG_ERR_USAGE, "%s: path is too long", path);
    if (status == RG_OK) status = check_owner(path, err);
    if (status == RG_OK) return &f->board;
    free(f);
    return NULL;
}
