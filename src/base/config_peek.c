/*
 * One scalar of a configuration file before its schema is known (config.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/config.h"
#include "base/fs.h"
#include "base/yaml.h"

enum { MAX_EXTENDS = 4, PATH_SIZE = 1024 };

/* Path of a file that `path` extends: relative to its own folder. */
static rg_status beside(const char *path, const char *name, char out[PATH_SIZE], rg_error *err)
{
    char folder[PATH_SIZE];
    const char *slash = strrchr(path, '/');
    if (name[0] == '/' || !slash) return rg_fs_join(out, PATH_SIZE, "", name, err);
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    return rg_fs_join(out, PATH_SIZE, folder[0] ? folder : "/", name, err);
}

static rg_status look(rg_arena *arena, const char *path, const char *key, int depth, char *out,
                      size_t size, bool *found, rg_error *err)
{
    char *text, next[PATH_SIZE];
    size_t n;
    RG_TRY(rg_fs_read_all(path, RG_YAML_BYTES, &text, &n, err));
    const rg_yaml_node *root = rg_yaml_parse(arena, text, n, path, err);
    free(text);
    if (!root) return err->code;
    if (root->kind != RG_YAML_MAP)
        return rg_fail(err, RG_ERR_CONFIG, "%s:1:1: a map of keys was expected", path);
    const rg_yaml_node *value = rg_yaml_member(root, key);
    const rg_yaml_node *extends = rg_yaml_member(root, "extends");
    if (value && value->kind == RG_YAML_SCALAR) {
        *found = true;
        if (rg_copy_text(out, size, value->text)) return RG_OK;
        return rg_fail(err, RG_ERR_CONFIG, "%s:%d:%d: %s: the value is too long", path, value->line,
                       value->column, key);
    }
    if (!extends || extends->kind != RG_YAML_SCALAR || depth == MAX_EXTENDS) return RG_OK;
    RG_TRY(beside(path, extends->text, next, err));
    return look(arena, next, key, depth + 1, out, size, found, err);
}

rg_status rg_config_peek(const char *path, const char *key, char *out, size_t size, rg_error *err)
{
    bool found = false;
    rg_arena *arena = rg_arena_create((size_t)64 << 20, "peek", err);
    if (!arena) return RG_ERR_NOMEM;
    rg_status status = look(arena, path, key, 0, out, size, &found, err);
    rg_arena_destroy(arena);
    if (status != RG_OK || found) return status;
    return rg_fail(err, RG_ERR_CONFIG, "%s:1:1: the key '%s' is missing", path, key);
}
