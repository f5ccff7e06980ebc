/*
 * Available memory (memory.h), from /proc/meminfo and the files of control groups, version 2.
 *
 * One idea: a limit holds for a group and for all above it, so every folder on the way up is asked.
 */
#include "base/memory.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"

enum { LIMIT = 1 << 20 };
static const char *const groups = "/sys/fs/cgroup";

static char *read_text(const char *path)
{
    char *text;
    size_t n;
    rg_error ignored = {0};
    if (!rg_fs_exists(path)) return NULL;
    return rg_fs_read_all(path, LIMIT, &text, &n, &ignored) == RG_OK ? text : NULL;
}

/* The number after `name` at the start of a line; -1: none. */
static int64_t number_after(const char *text, const char *name)
{
    size_t n = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (strncmp(line, name, n) == 0) return strtoll(line + n, NULL, 10);
    }
    return -1;
}

static int64_t number_in(const char *folder, const char *file, const char *name)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    char *text = read_text(path);
    int64_t value = text && strncmp(text, "max", 3) != 0 ? number_after(text, name) : -1;
    free(text);
    return value;
}

/* What one group leaves; caches count as free, as they do in the whole system. */
static int64_t left_in(const char *folder)
{
    int64_t most = number_in(folder, "memory.max", "");
    int64_t used = number_in(folder, "memory.current", "");
    if (most < 0 || used < 0) return INT64_MAX;
    int64_t cached = number_in(folder, "memory.stat", "inactive_file ");
    int64_t left = most - used + (cached > 0 ? cached : 0);
    return left > 0 ? left : 0;
}

static int64_t left_in_groups(void)
{
    char folder[1024];
    char *text = read_text("/proc/self/cgroup");
    const char *mine = text ? strstr(text, "0::/") : NULL;
    int n = mine ? snprintf(folder, sizeof folder, "%s%.*s", groups, (int)strcspn(mine + 3, "\n"),
                            mine + 3)
                 : -1;
    free(text);
    int64_t least = INT64_MAX;
    while (n > 0 && n < (int)sizeof folder && strlen(folder) >= strlen(groups)) {
        int64_t left = left_in(folder);
        if (left < least) least = left;
        *strrchr(folder, '/') = 0;
    }
    return least;
}

int64_t rg_memory_available(void)
{
    char *text = read_text("/proc/meminfo");
    int64_t kib = text ? number_after(text, "MemAvailable:") : -1, groups_left = left_in_groups();
    free(text);
    int64_t free_bytes = kib >= 0 ? kib * 1024 : INT64_MAX;
    return free_bytes < groups_left ? free_bytes : groups_left;
}
