/*
 * Fuzzing reports as `eval compare` reads them back: metrics.json up to the first 0 byte, and
 * per_item.csv behind it, compared with themselves and refused or found no worse.
 */
#include <string.h>

#include "base/fs.h"
#include "eval/evaluate.h"
#include "fuzz.h"

enum { FILES = 2, PATH = 64 };

/* A folder that stays until the end, with links to files in memory. */
static struct {
    char folder[PATH];
    int fd[FILES];
} report = {.folder = "/tmp/rg-fuzz-report-XXXXXX"};

static void remove_folder(void)
{
    rg_error err = {0};
    if (rg_fs_remove_tree(report.folder, &err) != RG_OK) fprintf(stderr, "%s\n", err.text);
}

static void make_folder(void)
{
    static const char *const names[FILES] = {"metrics.json", "per_item.csv"};
    char target[PATH], path[2 * PATH];
    if (!mkdtemp(report.folder)) abort();
    for (int i = 0; i < FILES; i++) {
        report.fd[i] = memfd_create(names[i], 0);
        snprintf(target, sizeof target, "/proc/self/fd/%d", report.fd[i]);
        snprintf(path, sizeof path, "%s/%s", report.folder, names[i]);
        if (report.fd[i] < 0 || symlink(target, path) < 0) abort();
    }
    if (atexit(remove_folder) != 0) abort();
}

static void put(int fd, const uint8_t *data, size_t n)
{
    if (ftruncate(fd, 0) < 0 || pwrite(fd, data, n, 0) != (ssize_t)n) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool made;
    rg_error err = {0};
    int64_t worse = 0;
    size_t first = strnlen((const char *)data, n), rest = first < n ? first + 1 : n;
    if (!made) make_folder();
    made = true;
    put(report.fd[0], data, first);
    put(report.fd[1], data + rest, n - rest);
    if (rg_eval_compare(report.folder, report.folder, NULL, NULL, &worse, &err) != RG_OK) {
        if (!err.text[0]) abort();
    } else if (worse != 0) {
        abort();
    }
    return 0;
}
