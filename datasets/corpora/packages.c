/*
 * Fetching and unpacking Debian packages (packages.h).
 */
#include "datasets/corpora/packages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/process.h"
#include "base/text.h"

/* The last (newest) NAME_*.deb of a folder. */
static bool find_deb(const char *folder, const char *name, char *out, size_t size)
{
    char **names = NULL;
    size_t n = 0, length = strlen(name);
    rg_error ignored = {0};
    bool found = false;
    if (!rg_fs_is_folder(folder) || rg_fs_list(folder, &names, &n, &ignored) != RG_OK) return false;
    for (size_t i = 0; i < n; i++) {
        size_t total = strlen(names[i]);
        if (strncmp(names[i], name, length) == 0 && names[i][length] == '_' && total > 4 &&
            strcmp(names[i] + total - 4, ".deb") == 0)
            found = rg_fs_join(out, size, folder, names[i], &ignored) == RG_OK;
    }
    rg_fs_free_names(names, n);
    return found;
}

static rg_status find_or_download(const char *name, const char *folder, const char *cache,
                                  const rg_log *log, char *deb, size_t size, rg_error *err)
{
    char output[RG_PROCESS_OUTPUT];
    if (folder) {
        if (find_deb(folder, name, deb, size)) return RG_OK;
        return rg_fail(err, RG_ERR_USAGE,
                       "%s: there is no %s_*.deb in it; 'apt-get download %s' on a machine with a "
                       "network brings it",
                       folder, name, name);
    }
    if (find_deb(cache, name, deb, size)) return RG_OK;
    rg_log_line(log, RG_LOG_INFO, "downloading %s", name);
    const char *const argv[] = {"apt-get", "download", name, NULL};
    rg_status status = rg_process_run(cache, argv, 0, output, err);
    if (status == RG_OK && find_deb(cache, name, deb, size)) return RG_OK;
    if (status == RG_OK) status = rg_fail(err, RG_ERR_IO, "apt-get brought no %s_*.deb", name);
    char reason[256];
    rg_copy_text(reason, sizeof reason, err ? err->text : "");
    if (err) rg_error_clear(err);
    return rg_fail(err, status,
                   "package %s cannot be fetched (%s); run 'apt-get update' as root, or put the "
                   ".deb files into a folder and give it with --packages",
                   name, reason);
}

/* Unpacks beside the final place and renames, so that a stopped run leaves nothing half done. */
static rg_status unpack(const char *deb, const char *root, rg_error *err)
{
    char temporary[1200], output[RG_PROCESS_OUTPUT];
    if (rg_fs_is_folder(root)) return RG_OK;
    snprintf(temporary, sizeof temporary, "%s.tmp.%ld", root, (long)getpid());
    RG_TRY(rg_fs_make_folders(temporary, err));
    const char *const argv[] = {"dpkg-deb", "-x", deb, temporary, NULL};
    rg_status status = rg_process_run(".", argv, 0, output, err);
    if (status == RG_OK && rg_fs_current()->rename(temporary, root) < 0 && !rg_fs_is_folder(root))
        status = rg_fail(err, RG_ERR_IO, "%s: cannot rename: %s", temporary, strerror(errno));
    if (status == RG_OK && !rg_fs_exists(temporary)) return RG_OK;
    rg_error ignored = {0};
    rg_status removed = rg_fs_remove_tree(temporary, &ignored);
    return status != RG_OK ? status : removed;
}

rg_status rg_package_get(const char *name, const char *folder, const char *cache, const rg_log *log,
                         rg_package *out, rg_error *err)
{
    char deb[1100], output[RG_PROCESS_OUTPUT], unpacked[160];
    RG_TRY(rg_fs_make_folders(cache, err));
    RG_TRY(find_or_download(name, folder, cache, log, deb, sizeof deb, err));
    const char *const argv[] = {"dpkg-deb", "-f", deb, "Version", NULL};
    RG_TRY(rg_process_run(".", argv, 0, output, err));
    rg_copy_text(out->name, sizeof out->name, name);
    rg_copy_text(out->version, sizeof out->version, output);
    snprintf(unpacked, sizeof unpacked, "%s-%s", out->name, out->version);
    for (char *c = unpacked; *c; c++)
        if (*c == '/' || *c == ':') *c = '_';
    RG_TRY(rg_fs_join(out->root, sizeof out->root, cache, unpacked, err));
    return unpack(deb, out->root, err);
}
