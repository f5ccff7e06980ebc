/*
 * Reading runs and bundles (run_files.h).
 */
#include "eval/run_files.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "engine/safetensors.h"

enum { JSON_LIMIT = 64 << 20, LOG_LIMIT = 512 << 20 };

static rg_status read_member(const char *folder, const char *name, json_t **out, rg_error *err)
{
    char path[RG_EVAL_PATH];
    RG_TRY(rg_fs_join(path, sizeof path, folder, name, err));
    *out = rg_json_read(path, JSON_LIMIT, err);
    return *out ? RG_OK : err->code;
}

static bool has(const char *folder, const char *name)
{
    char path[RG_EVAL_PATH];
    rg_error ignored = {0};
    return rg_fs_join(path, sizeof path, folder, name, &ignored) == RG_OK && rg_fs_exists(path);
}

static rg_status find_checkpoint(rg_run_files *run, int64_t of_step, rg_error *err)
{
    char link[64];
    if (of_step < 0)
        snprintf(link, sizeof link, "%s", has(run->folder, "best") ? "best" : "latest");
    else
        snprintf(link, sizeof link, "checkpoints/step_%07lld.safetensors", (long long)of_step);
    if (!has(run->folder, link))
        return of_step < 0
                   ? rg_fail(err, RG_ERR_USAGE,
                             "%s: the run has no checkpoint yet; train it further", run->folder)
                   : rg_fail(err, RG_ERR_USAGE,
                             "%s: there is no checkpoint of step %lld; those kept lie in its "
                             "checkpoints folder (keep_checkpoints says how many)",
                             run->folder, (long long)of_step);
    RG_TRY(rg_fs_join(run->checkpoint, sizeof run->checkpoint, run->folder, link, err));
    rg_st_reader *reader = rg_st_open(run->checkpoint, err);
    if (!reader) return err->code;
    const char *step = rg_st_metadata(reader, "step");
    if (!step || !rg_parse_int(step, &run->step)) run->step = -1;
    rg_st_close(reader);
    return RG_OK;
}

static rg_status read_config(rg_run_files *run, rg_error *err)
{
    char path[RG_EVAL_PATH];
    size_t n;
    if (!has(run->folder, "config.yaml")) return RG_OK;
    RG_TRY(rg_fs_join(path, sizeof path, run->folder, "config.yaml", err));
    return rg_fs_read_all(path, 1 << 20, &run->config, &n, err);
}

/* ---- what it was trained on ---- */

static void add_set(json_t *set, const json_t *list)
{
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        const char *text = json_is_object(entry) ? json_string_value(json_object_get(entry, "id"))
                                                 : json_string_value(entry);
        if (text && text[0]) json_object_set_new(set, text, json_true());
    }
}

static void add_training(rg_run_files *run, const json_t *describe)
{
    add_set(run->train_ids, json_object_get(describe, "songs"));
    add_set(run->train_groups, json_object_get(describe, "groups"));
}

/* The song ids of the codecs that a track run links; a codec whose run is gone counts as unknown.
 * */
static void add_codecs_training(rg_run_files *run)
{
    size_t i;
    json_t *role;
    json_array_foreach(json_object_get(run->describe, "roles"), i, role)
    {
        const char *name = json_is_object(role) ? json_string_value(json_object_get(role, "name"))
                                                : json_string_value(role);
        char folder[RG_EVAL_PATH];
        rg_error ignored = {0};
        json_t *describe = NULL;
        if (!name) continue;
        rg_run_files_codec(run, name, folder);
        if (folder[0] && read_member(folder, "describe.json", &describe, &ignored) == RG_OK)
            add_training(run, describe);
        json_decref(describe);
    }
}

static void add_inits_training(rg_run_files *run)
{
    char folders[RG_EVAL_INITS][RG_EVAL_PATH];
    int32_t n = 0;
    rg_error ignored = {0};
    if (rg_run_files_inits(run, folders, &n, &ignored) != RG_OK) return;
    for (int32_t i = 0; i + 1 < n; i++) {
        json_t *describe = NULL;
        if (read_member(folders[i], "describe.json", &describe, &ignored) == RG_OK)
            add_training(run, describe);
        json_decref(describe);
    }
}

/* ---- opening ---- */

static rg_status open_run(rg_run_files *run, int64_t step, rg_error *err)
{
    RG_TRY(read_member(run->folder, "describe.json", &run->describe, err));
    if (has(run->folder, "env.json")) RG_TRY(read_member(run->folder, "env.json", &run->env, err));
    RG_TRY(read_config(run, err));
    RG_TRY(find_checkpoint(run, step, err));
    const char *task = json_string_value(json_object_get(run->describe, "task"));
    run->kind = task && strcmp(task, "codec") == 0 ? RG_RUN_CODEC : RG_RUN_TRACKS;
    add_training(run, run->describe);
    if (run->kind == RG_RUN_TRACKS) add_codecs_training(run);
    add_inits_training(run);
    return RG_OK;
}

static rg_status open_bundle(rg_run_files *run, int64_t step, rg_error *err)
{
    if (step >= 0)
        return rg_fail(err, RG_ERR_USAGE, "%s: is a bundle, which has no steps; give its run",
                       run->folder);
    RG_TRY(read_member(run->folder, "bundle.json", &run->describe, err));
    run->kind = RG_RUN_BUNDLE;
    run->step = json_integer_value(json_object_get(run->describe, "step"));
    add_training(run, run->describe);
    return RG_OK;
}

rg_status rg_run_files_open(rg_run_files *run, const char *folder, int64_t step, rg_error *err)
{
    *run = (rg_run_files){.step = -1};
    char absolute[PATH_MAX];
    if (!rg_fs_is_folder(folder) || !realpath(folder, absolute))
        return rg_fail(err, RG_ERR_USAGE, "%s: there is no such folder; give a run or a bundle",
                       folder);
    if (!rg_copy_text(run->folder, sizeof run->folder, absolute))
        return rg_fail(err, RG_ERR_USAGE, "%.200s...: the path is too long", absolute);
    rg_copy_text(run->name, sizeof run->name, rg_fs_base_name(run->folder));
    run->train_ids = json_object();
    run->train_groups = json_object();
    rg_status status = has(folder, "bundle.json") ? open_bundle(run, step, err)
                       : has(folder, "describe.json")
                           ? open_run(run, step, err)
                           : rg_fail(err, RG_ERR_USAGE,
                                     "%s: is neither a run (describe.json) nor a "
                                     "bundle (bundle.json)",
                                     folder);
    if (status != RG_OK) rg_run_files_close(run);
    return status;
}

void rg_run_files_close(rg_run_files *run)
{
    json_decref(run->describe);
    json_decref(run->env);
    json_decref(run->train_ids);
    json_decref(run->train_groups);
    free(run->config);
    *run = (rg_run_files){0};
}

const char *rg_run_files_store(const rg_run_files *run)
{
    return json_string_value(json_object_get(run->describe, "store"));
}

/* The folder of the run that a checkpoint (or a link to one) lies in: .../RUN/checkpoints/FILE. */
static void run_of_checkpoint(const char *path, char out[RG_EVAL_PATH])
{
    char real[PATH_MAX];
    out[0] = 0;
    if (!realpath(path, real)) return;
    char *cut = strstr(real, "/checkpoints/");
    if (!cut) return;
    *cut = 0;
    if (has(real, "describe.json")) rg_copy_text(out, RG_EVAL_PATH, real);
}

void rg_run_files_codec(const rg_run_files *run, const char *role, char out[RG_EVAL_PATH])
{
    char name[256], path[RG_EVAL_PATH];
    rg_error ignored = {0};
    out[0] = 0;
    rg_format(name, sizeof name, "checkpoints/codecs/%s.safetensors", role);
    if (rg_fs_join(path, sizeof path, run->folder, name, &ignored) == RG_OK)
        run_of_checkpoint(path, out);
}

/* `init:` of a run: the link "init" or the member of describe.json, a run or a checkpoint of it. */
static bool find_init(const char *folder, char out[RG_EVAL_PATH])
{
    char path[RG_EVAL_PATH], real[PATH_MAX];
    json_t *describe = NULL;
    rg_error ignored = {0};
    const char *named = NULL;
    out[0] = 0;
    if (has(folder, "init")) {
        if (rg_fs_join(path, sizeof path, folder, "init", &ignored) != RG_OK) return false;
        named = path;
    } else if (read_member(folder, "describe.json", &describe, &ignored) == RG_OK)
        named = json_string_value(json_object_get(describe, "init"));
    if (named && named[0] && rg_fs_is_folder(named) && realpath(named, real))
        rg_copy_text(out, RG_EVAL_PATH, real);
    else if (named && named[0])
        run_of_checkpoint(named, out);
    json_decref(describe);
    return out[0] && has(out, "describe.json");
}

rg_status rg_run_files_inits(const rg_run_files *run, char out[RG_EVAL_INITS][RG_EVAL_PATH],
                             int32_t *n, rg_error *err)
{
    char chain[RG_EVAL_INITS][RG_EVAL_PATH];
    *n = 1;
    rg_copy_text(chain[0], RG_EVAL_PATH, run->folder);
    while (*n < RG_EVAL_INITS && find_init(chain[*n - 1], chain[*n])) (*n)++;
    for (int32_t i = 0; i < *n; i++)
        if (!rg_copy_text(out[i], RG_EVAL_PATH, chain[*n - 1 - i]))
            return rg_fail(err, RG_ERR_USAGE, "path too long");
    return RG_OK;
}

json_t *rg_run_files_metrics(const char *folder, rg_error *err)
{
    char path[RG_EVAL_PATH], *data = NULL;
    size_t n = 0;
    json_t *lines = json_array();
    if (!has(folder, "metrics.jsonl")) return lines;
    if (rg_fs_join(path, sizeof path, folder, "metrics.jsonl", err) != RG_OK ||
        rg_fs_read_all(path, LOG_LIMIT, &data, &n, err) != RG_OK) {
        json_decref(lines);
        return NULL;
    }
    for (char *line = data, *end; (end = strchr(line, '\n')); line = end + 1) {
        rg_error ignored = {0};
        json_t *record = rg_json_parse(line, (size_t)(end - line), path, &ignored);
        if (record) json_array_append_new(lines, record);
    }
    free(data);
    return lines;
}

/* ---- songs ---- */

/* Groups of training songs that the store knows: a run that recorded ids only is covered too. */
static void add_groups_of_ids(const rg_run_files *run, const rg_store *store)
{
    for (int64_t i = 0; i < rg_store_songs(store); i++) {
        const rg_song *song = rg_store_song(store, i);
        if (song->group[0] && json_object_get(run->train_ids, song->id))
            json_object_set_new(run->train_groups, song->group, json_true());
    }
}

static bool was_trained_on(const rg_run_files *run, const rg_song *song)
{
    return json_object_get(run->train_ids, song->id) ||
           (song->group[0] && json_object_get(run->train_groups, song->group));
}

static rg_status refuse_leaks(const rg_run_files *run, const rg_store *store, rg_split split,
                              rg_error *err)
{
    const rg_song *first = NULL;
    int64_t leaks = 0, all = 0;
    for (int64_t i = 0; i < rg_store_songs(store); i++) {
        const rg_song *song = rg_store_song(store, i);
        if (song->split != split) continue;
        all++;
        if (!was_trained_on(run, song)) continue;
        if (leaks++ == 0) first = song;
    }
    if (leaks == 0) return RG_OK;
    return rg_fail(err, RG_ERR_MISMATCH,
                   "%s: %lld of %lld %s songs were trained on, or are near-duplicates of such "
                   "(first: %s, group %s); evaluate on the store of the run, or with --split train",
                   rg_store_folder(store), (long long)leaks, (long long)all, rg_split_name(split),
                   first->id, first->group[0] ? first->group : "none");
}

rg_status rg_eval_songs(const rg_run_files *run, const rg_store *store, rg_split split,
                        int64_t limit, int64_t **songs, int64_t *n, rg_error *err)
{
    int64_t count = 0;
    *songs = NULL;
    *n = 0;
    add_groups_of_ids(run, store);
    if (split != RG_SPLIT_TRAIN) RG_TRY(refuse_leaks(run, store, split, err));
    for (int64_t i = 0; i < rg_store_songs(store); i++)
        count += rg_store_song(store, i)->split == split;
    if (count == 0)
        return rg_fail(err, RG_ERR_MISMATCH, "%s: has no songs in split %s", rg_store_folder(store),
                       rg_split_name(split));
    int64_t take = limit > 0 && limit < count ? limit : count, seen = 0;
    *songs = malloc((size_t)take * sizeof **songs);
    if (!*songs) return rg_fail(err, RG_ERR_NOMEM, "no memory for a list of songs");
    for (int64_t i = 0; i < rg_store_songs(store) && *n < take; i++) {
        if (rg_store_song(store, i)->split != split) continue;
        if (seen++ * take / count == *n) (*songs)[(*n)++] = i;
    }
    return RG_OK;
}

void rg_eval_songs_hash(const rg_store *store, const int64_t *songs, int64_t n, char hex[65])
{
    rg_sha256 *hash = rg_sha256_begin();
    hex[0] = 0;
    if (!hash) return;
    for (int64_t i = 0; i < n; i++) {
        const char *id = rg_store_song(store, songs[i])->id;
        rg_sha256_add(hash, id, strlen(id) + 1);
    }
    rg_sha256_end(hash, hex);
}
