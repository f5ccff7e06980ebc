/*
 * A data set of one file, found but not read: what fuzz targets of importers share.
 *
 * One idea: the bytes become a file of a tree beside sound files that do exist, and an import that
 * stores nothing looks at it; it works or says why, and says nothing with control characters.
 */
#ifndef RG_TESTS_FUZZ_IMPORT_H
#define RG_TESTS_FUZZ_IMPORT_H

#include <string.h>

#include "base/fs.h"
#include "datasets/importers/importer.h"
#include "fuzz.h"

static char fuzz_root[64];

static inline void fuzz_remove_root(void)
{
    (void)!rg_fs_remove_tree(fuzz_root, NULL);
}

static inline void fuzz_put(const char *path, const void *data, size_t n)
{
    char full[256];
    snprintf(full, sizeof full, "%s/%s", fuzz_root, path);
    FILE *file = fopen(full, "w");
    if (!file || fwrite(data, 1, n, file) != n || fclose(file) != 0) abort();
}

/* The tree's root, with these folders and empty files in it. */
static inline void fuzz_make_root(const char *const *folders, const char *const *files)
{
    char full[256];
    if (fuzz_root[0]) return;
    snprintf(fuzz_root, sizeof fuzz_root, "/tmp/fuzz-import-XXXXXX");
    if (!mkdtemp(fuzz_root)) abort();
    atexit(fuzz_remove_root);
    for (; *folders; folders++) {
        snprintf(full, sizeof full, "%s/%s", fuzz_root, *folders);
        if (rg_fs_make_folders(full, NULL) != RG_OK) abort();
    }
    for (; *files; files++) fuzz_put(*files, "", 0);
}

static inline void fuzz_check_text(const char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < 32 && *text != '\n') || *text == 127) abort();
}

static inline void fuzz_check_line(void *ctx, rg_log_level level, const char *text)
{
    (void)ctx, (void)level;
    fuzz_check_text(text);
}

static inline void fuzz_import(const char *name, const char *file)
{
    char root[256];
    const rg_log log = {fuzz_check_line, NULL};
    snprintf(root, sizeof root, "%s%s%s", fuzz_root, *file ? "/" : "", file);
    rg_import_options o = {.root = root, .dry = true};
    rg_import_result result;
    rg_error err = {0};
    if (rg_import(name, &o, &result, &log, &err) != RG_OK && !err.text[0]) abort();
    if (result.unmapped.data) fuzz_check_text(result.unmapped.data);
    rg_text_free(&result.unmapped);
}

#endif
