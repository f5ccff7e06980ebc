/*
 * Folders that appear whole (fs.h): made under another name, then renamed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/fs_private.h"
#include "base/text.h"

static rg_status check_empty(const char *path, rg_error *err)
{
    char **names = NULL;
    size_t n = 0;
    if (!rg_fs_exists(path)) return RG_OK;
    if (!rg_fs_is_folder(path))
        return rg_fail(err, RG_ERR_USAGE, "%s: is a file; the name of a new folder was expected",
                       path);
    RG_TRY(rg_fs_list(path, &names, &n, err));
    rg_fs_free_names(names, n);
    if (!n) return RG_OK;
    return rg_fail(err, RG_ERR_USAGE, "%s: is not empty; the name of a new folder was expected",
                   path);
}

rg_status rg_fs_begin_folder(rg_atomic_folder *folder, const char *path, rg_error *err)
{
    char bare[sizeof folder->path];
    folder->temporary[0] = 0;
    if (!rg_copy_text(bare, sizeof bare, path) || !bare[0])
        return rg_fail(err, RG_ERR_USAGE, "'%s' is not the name of a folder", path);
    for (size_t n = strlen(bare); n > 1 && bare[n - 1] == '/'; n--) bare[n - 1] = 0;
    RG_TRY(check_empty(bare, err));
    rg_copy_text(folder->path, sizeof folder->path, bare);
    snprintf(folder->temporary, sizeof folder->temporary, "%s.tmp.%ld", bare, (long)getpid());
    return rg_fs_make_folders(folder->temporary, err);
}

rg_status rg_fs_commit_folder(rg_atomic_folder *folder, rg_error *err)
{
    RG_TRY(check_empty(folder->path, err));
    if (rg_fs_is_folder(folder->path)) RG_TRY(rg_fs_remove_tree(folder->path, err));
    if (rg_fs_current()->rename(folder->temporary, folder->path) < 0)
        return rg_fail(err, RG_ERR_IO, "%s: cannot rename to %s: %s", folder->temporary,
                       folder->path, strerror(errno));
    folder->temporary[0] = 0;
    return rg__fs_sync_folder_of(folder->path, err);
}

void rg_fs_abandon_folder(rg_atomic_folder *folder)
{
    rg_error ignored = {0};
    if (folder->temporary[0]) (void)!rg_fs_remove_tree(folder->temporary, &ignored);
    folder->temporary[0] = 0;
}
