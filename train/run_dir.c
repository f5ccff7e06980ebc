/*
 * Run directories (run_dir.h).
 */
#include "train/run_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"

static const char prefix[] = "step_", suffix[] = ".safetensors";

static void step_name(int64_t step, char out[64])
{
    snprintf(out, 64, "%s%07lld%s", prefix, (long long)step, suffix);
}

static bool parse_step(const char *name, int64_t *step)
{
    char digits[24];
    size_t n = strlen(name), head = sizeof prefix - 1, tail = sizeof suffix - 1;
    if (n <= head + tail || n - head - tail >= sizeof digits) return false;
    if (strncmp(name, prefix, head) != 0 || strcmp(name + n - tail, suffix) != 0) return false;
    memcpy(digits, name + head, n - head - tail);
    digits[n - head - tail] = 0;
    return rg_parse_int(digits, step) && *step >= 0;
}

/* Steps that have a checkpoint, ascending; the caller frees. */
static rg_status list_steps(const char *folder, int64_t **steps, size_t *n, rg_error *err)
{
    char path[RG_RUN_PATH], **names;
    size_t count;
    *steps = NULL;
    *n = 0;
    RG_TRY(rg_fs_join(path, sizeof path, folder, "checkpoints", err));
    RG_TRY(rg_fs_list(path, &names, &count, err));
    *steps = calloc(count + 1, sizeof **steps);
    for (size_t i = 0; *steps && i < count; i++)
        if (parse_step(names[i], *steps + *n)) ++*n; /* names are sorted, so steps ascend */
    rg_fs_free_names(names, count);
    return *steps ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for a list of checkpoints");
}

rg_status rg_run_path(const rg_run_dir *run, const char *name, char out[RG_RUN_PATH], rg_error *err)
{
    return rg_fs_join(out, RG_RUN_PATH, run->folder, name, err);
}

static rg_status write_text(const rg_run_dir *run, const char *name, const char *text,
                            rg_error *err)
{
    char path[RG_RUN_PATH];
    RG_TRY(rg_run_path(run, name, path, err));
    return rg_fs_write_atomic(path, text, strlen(text), err);
}

static rg_status take_lock(rg_run_dir *run, rg_error *err)
{
    char path[RG_RUN_PATH];
    RG_TRY(rg_run_path(run, "lock", path, err));
    run->lock = rg_fs_lock(path, err);
    if (run->lock >= 0) return RG_OK;
    rg_error_prefix(err, "%s: another process writes this run", run->folder);
    return RG_ERR_IO;
}

static rg_status make_folders(const rg_run_dir *run, rg_error *err)
{
    static const char *const names[] = {"checkpoints", "samples", "eval", "tb"};
    char path[RG_RUN_PATH];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        RG_TRY(rg_run_path(run, names[i], path, err));
        RG_TRY(rg_fs_make_folders(path, err));
    }
    return RG_OK;
}

rg_status rg_run_write_config(const rg_run_dir *run, const rg_config *config, rg_error *err)
{
    rg_text dump;
    rg_text_init(&dump, 1 << 20);
    rg_config_dump(config, &dump);
    rg_status status = rg_text_status(&dump, err);
    if (status == RG_OK) status = write_text(run, "config.yaml", dump.data, err);
    rg_text_free(&dump);
    return status;
}

rg_status rg_run_create(rg_run_dir *run, const char *runs, const char *name,
                        const rg_config *config, const char *command_line, const char *env_json,
                        rg_error *err)
{
    char hash[65], utc[32], folder[512];
    time_t now = time(NULL);
    struct tm tm;
    rg_config_hash(config, hash);
    strftime(utc, sizeof utc, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
    run->lock = -1;
    for (int32_t again = 0;; again++) { /* two runs of one second get different names */
        if (again)
            snprintf(folder, sizeof folder, "%s-%s-%.6s-%d", name, utc, hash, again);
        else
            snprintf(folder, sizeof folder, "%s-%s-%.6s", name, utc, hash);
        RG_TRY(rg_fs_join(run->folder, sizeof run->folder, runs, folder, err));
        if (!rg_fs_exists(run->folder)) break;
    }
    RG_TRY(make_folders(run, err));
    RG_TRY(take_lock(run, err));
    RG_TRY(write_text(run, "cmd.txt", command_line, err));
    RG_TRY(write_text(run, "env.json", env_json, err));
    return rg_run_write_config(run, config, err); /* last: from here on it is a run */
}

rg_status rg_run_open(rg_run_dir *run, const char *folder, rg_error *err)
{
    char path[RG_RUN_PATH];
    run->lock = -1;
    if (!rg_copy_text(run->folder, sizeof run->folder, folder))
        return rg_fail(err, RG_ERR_USAGE, "%s: path is too long", folder);
    RG_TRY(rg_run_path(run, "config.yaml", path, err));
    if (!rg_fs_exists(path))
        return rg_fail(err, RG_ERR_USAGE, "%s: not a run directory (no config.yaml)", folder);
    RG_TRY(make_folders(run, err));
    RG_TRY(take_lock(run, err));
    RG_TRY(rg_run_path(run, "checkpoints", path, err));
    rg_fs_sweep_temporaries(path);
    rg_fs_sweep_temporaries(run->folder);
    return RG_OK;
}

void rg_run_close(rg_run_dir *run)
{
    if (run->lock >= 0) rg_fs_unlock(run->lock);
    run->lock = -1;
}

rg_status rg_run_find(const char *runs, const char *name, char out[RG_RUN_PATH], rg_error *err)
{
    char **names = NULL;
    size_t n = 0, length = strlen(name), newest = SIZE_MAX;
    if (rg_fs_is_folder(runs)) RG_TRY(rg_fs_list(runs, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        const char *rest = names[i] + length;
        bool is_run = !strncmp(names[i], name, length) && rest[0] == '-' && strlen(rest) > 17 &&
                      rest[9] == 'T' && rest[16] == 'Z';
        char config[RG_RUN_PATH + 16];
        snprintf(config, sizeof config, "%s/%s/config.yaml", runs, names[i]);
        if (is_run && rg_fs_exists(config)) newest = i; /* sorted: the UTC time decides */
    }
    rg_status status =
        newest == SIZE_MAX
            ? rg_fail(err, RG_ERR_USAGE,
                      "%s: no run named '%s' to resume; leave out --resume to start one", runs,
                      name)
            : rg_fs_join(out, RG_RUN_PATH, runs, names[newest], err);
    rg_fs_free_names(names, n);
    return status;
}

rg_status rg_run_checkpoint(const char *folder, int64_t step, char out[RG_RUN_PATH], int64_t *found,
                            rg_error *err)
{
    int64_t *steps;
    size_t n, at = SIZE_MAX;
    RG_TRY(list_steps(folder, &steps, &n, err));
    for (size_t i = 0; i < n; i++)
        if (step < 0 || steps[i] == step) at = i;
    *found = at == SIZE_MAX ? -1 : steps[at];
    int64_t newest = n ? steps[n - 1] : -1;
    free(steps);
    out[0] = 0;
    if (at == SIZE_MAX && step < 0) return RG_OK;
    if (at == SIZE_MAX)
        return rg_fail(err, RG_ERR_USAGE, "%s: has no checkpoint of step %lld; the newest is %lld",
                       folder, (long long)step, (long long)newest);
    char name[128] = "checkpoints/";
    step_name(*found, name + strlen(name));
    return rg_fs_join(out, RG_RUN_PATH, folder, name, err);
}

static rg_status point_link(const rg_run_dir *run, const char *link, int64_t step, rg_error *err)
{
    char path[RG_RUN_PATH], target[128] = "checkpoints/";
    step_name(step, target + strlen(target));
    RG_TRY(rg_run_path(run, link, path, err));
    return rg_fs_link(target, path, err);
}

rg_status rg_run_set_best(const rg_run_dir *run, int64_t step, rg_error *err)
{
    return point_link(run, "best", step, err);
}

rg_status rg_run_prune(const rg_run_dir *run, int64_t keep, int64_t best_step, rg_error *err)
{
    int64_t *steps;
    size_t n;
    RG_TRY(list_steps(run->folder, &steps, &n, err));
    rg_status status = n ? point_link(run, "latest", steps[n - 1], err) : RG_OK;
    for (size_t i = 0; status == RG_OK && i + (size_t)keep < n; i++) {
        char path[RG_RUN_PATH], name[128] = "checkpoints/";
        if (steps[i] == best_step) continue;
        step_name(steps[i], name + strlen(name));
        status = rg_run_path(run, name, path, err);
        if (status == RG_OK && rg_fs_current()->unlink(path) < 0)
            status = rg_fail(err, RG_ERR_IO, "%s: cannot remove an old checkpoint", path);
    }
    free(steps);
    return status;
}
