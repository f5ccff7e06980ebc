/*
 * Building a store: songs wait as one small HDF5 file each until the store is finished.
 *
 * One idea: folder/unfinished/<id>.h5 appears whole or not at all (temporary, fsync, rename), so a
 * builder killed at any moment loses at most the song it was writing, and songs may come in any
 * order from any thread. info.json beside them says what is being built; another build is refused.
 * Not here: the shards and the index (store_shard.c).
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "datasets/store_internal.h"

struct rg_store_writer {
    char folder[1024], unfinished[RG__PATH];
    rg_store_info info;
    json_t *texts; /* owns the strings of info */
    int lock;
    pthread_mutex_t mutex; /* HDF5 would serialise anyway; memory is saved by waiting outside */
};

/* ---- what is being built ---- */

static json_t *info_to_json(const rg_store_info *info)
{
    json_t *roles = json_array();
    for (int32_t r = 0; r < info->n_roles; r++)
        json_array_append_new(roles, json_string(info->roles[r]));
    const char *e = "";
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:o}", "format",
                     RG__STORE_FORMAT, "version", "1.0", "title", info->title ? info->title : e,
                     "creator", info->creator ? info->creator : e, "license",
                     info->license ? info->license : e, "references",
                     info->references ? info->references : e, "config_yaml",
                     info->config_yaml ? info->config_yaml : e, "sample_rate", (int)info->rate,
                     "channels", (int)rg__store_info_channels(info), "roles", roles);
}

/* Points the writer's info at the strings of its JSON copy. */
static void adopt_info(rg_store_writer *w, const rg_store_info *info, json_t *json)
{
    w->info = *info;
    w->info.channels = rg__store_info_channels(info);
    w->texts = json;
    w->info.title = json_string_value(json_object_get(json, "title"));
    w->info.creator = json_string_value(json_object_get(json, "creator"));
    w->info.license = json_string_value(json_object_get(json, "license"));
    w->info.references = json_string_value(json_object_get(json, "references"));
    w->info.config_yaml = json_string_value(json_object_get(json, "config_yaml"));
    for (int32_t r = 0; r < info->n_roles; r++)
        w->info.roles[r] =
            json_string_value(json_array_get(json_object_get(json, "roles"), (size_t)r));
}

static rg_status check_info(const rg_store_info *info, rg_error *err)
{
    if (info->n_roles < 1 || info->n_roles > RG_MAX_ROLES)
        return rg_fail(err, RG_ERR_USAGE, "a store has 1 to %d roles, not %d", RG_MAX_ROLES,
                       info->n_roles);
    if (info->rate < 1000 || info->rate > 384000)
        return rg_fail(err, RG_ERR_USAGE, "a store's rate is 1000 to 384000 Hz, not %d",
                       info->rate);
    if (info->channels < 0 || info->channels > RG_MAX_CHANNELS)
        return rg_fail(err, RG_ERR_USAGE, "a store has 1 or 2 channels, not %d", info->channels);
    for (int32_t r = 0; r < info->n_roles; r++) {
        const char *name = info->roles[r];
        if (!name || !rg__store_good_role(name))
            return rg_fail(err, RG_ERR_USAGE, "role %d: a name is 1 to 31 of a-z 0-9 _ -", r);
        for (int32_t q = 0; q < r; q++)
            if (strcmp(name, info->roles[q]) == 0)
                return rg_fail(err, RG_ERR_USAGE, "role '%s' is named twice", name);
    }
    return RG_OK;
}

/* An unfinished build of something else is refused with the first thing that differs. */
static rg_status same_build(const char *path, const json_t *mine, rg_error *err)
{
    json_t *other = rg_json_read(path, 1 << 22, err);
    if (!other) return RG_ERR_FORMAT;
    if (!json_object_get(other, "channels")) /* begun before there were others */
        json_object_set_new(other, "channels", json_integer(1));
    const char *key;
    json_t *value;
    rg_status status = RG_OK;
    json_object_foreach((json_t *)mine, key, value)
    {
        if (json_equal(value, json_object_get(other, key))) continue;
        status = rg_fail(err, RG_ERR_MISMATCH,
                         "%s: an unfinished store of other settings lies here ('%s' differs); give "
                         "the same settings to go on, or remove the folder to begin anew",
                         path, key);
        break;
    }
    json_decref(other);
    return status;
}

int rg__store_lock(const char *unfinished, rg_error *err)
{
    char path[RG__PATH];
    return rg_fs_join(path, sizeof path, unfinished, "lock", err) == RG_OK ? rg_fs_lock(path, err)
                                                                           : -1;
}

static rg_status lock(rg_store_writer *w, rg_error *err)
{
    w->lock = rg__store_lock(w->unfinished, err);
    return w->lock < 0 ? RG_ERR_IO : RG_OK;
}

static rg_status prepare_folder(rg_store_writer *w, rg_error *err)
{
    char path[RG__PATH];
    RG_TRY(rg_fs_join(path, sizeof path, w->folder, RG__STORE_INDEX, err));
    if (rg_fs_exists(path)) {
        if (rg_fs_exists(w->unfinished)) {
            RG_TRY(lock(w, err));
            RG_TRY(rg_fs_remove_tree(w->unfinished, err));
        }
        return rg_fail(err, RG_ERR_MISMATCH,
                       "%s: holds a finished store; remove it first or choose another folder",
                       w->folder);
    }
    RG_TRY(rg_fs_make_folders(w->unfinished, err));
    RG_TRY(lock(w, err));
    rg_fs_sweep_temporaries(w->folder);
    rg_fs_sweep_temporaries(w->unfinished);
    RG_TRY(rg_fs_join(path, sizeof path, w->unfinished, "info.json", err));
    return rg_fs_exists(path) ? same_build(path, w->texts, err)
                              : rg_json_write(w->texts, path, err);
}

static void writer_free(rg_store_writer *w)
{
    if (!w) return;
    if (w->lock >= 0) rg_fs_unlock(w->lock);
    json_decref(w->texts);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

rg_store_writer *rg_store_create(const char *folder, const rg_store_info *info, rg_error *err)
{
    if (check_info(info, err) != RG_OK) return NULL;
    rg_store_writer *w = calloc(1, sizeof *w);
    json_t *json = w ? info_to_json(info) : NULL;
    if (!json) {
        free(w);
        rg_fail(err, RG_ERR_NOMEM, "%s: no memory for a store writer", folder);
        return NULL;
    }
    w->lock = -1;
    pthread_mutex_init(&w->mutex, NULL);
    adopt_info(w, info, json);
    bool fits = rg_copy_text(w->folder, sizeof w->folder, folder);
    rg_status status = fits ? RG_OK : rg_fail(err, RG_ERR_USAGE, "%.80s...: too long", folder);
    if (status == RG_OK)
        status = rg_fs_join(w->unfinished, sizeof w->unfinished, folder, RG__STORE_UNFINISHED, err);
    if (status == RG_OK) status = prepare_folder(w, err);
    if (status == RG_OK) return w;
    writer_free(w);
    return NULL;
}

void rg_store_abandon(rg_store_writer *writer)
{
    writer_free(writer);
}

/* ---- one song ---- */

static bool staged_path(const rg_store_writer *w, const char *id, char out[RG__PATH])
{
    int n = snprintf(out, RG__PATH, "%s/%s.h5", w->unfinished, id);
    return n > 0 && n < RG__PATH - 40;
}

bool rg_store_has(const rg_store_writer *writer, const char *id)
{
    char path[RG__PATH];
    return rg__store_good_id(id) && staged_path(writer, id, path) && rg_fs_exists(path);
}

bool rg_store_find_added(const rg_store_writer *writer, const char *id, rg_song *out)
{
    char path[RG__PATH];
    rg_song *row = NULL;
    int64_t n = 0;
    if (!rg_store_has(writer, id) || !staged_path(writer, id, path)) return false;
    rg__h5_quiet();
    hid_t file = rg__h5_open(path);
    if (file < 0) return false;
    bool there = rg__store_read_columns(file, path, &row, &n, NULL) == RG_OK && n == 1;
    if (there) *out = row[0];
    free(row);
    H5Fclose(file);
    return there;
}

static rg_status check_song(const rg_store_writer *w, const rg_song *s, const rg_provenance *p,
                            rg_error *err)
{
    if (!rg__store_good_id(s->id))
        return rg_fail(err, RG_ERR_USAGE,
                       "song id '%.63s': 1 to 63 letters, digits and . _ - are allowed", s->id);
    if (s->frames < 1 || s->frames > rg__store_most_frames(w->info.rate))
        return rg_fail(err, RG_ERR_USAGE, "song '%s': %lld frames; 1 frame to 4 hours are allowed",
                       s->id, (long long)s->frames);
    if (!p->license || !*p->license)
        return rg_fail(err, RG_ERR_USAGE, "song '%s': its licence (SPDX) is missing", s->id);
    if ((int)s->split < 0 || s->split >= RG_SPLIT_COUNT || s->key_tonic < -1 || s->key_tonic > 11 ||
        s->n_beats < 0 || s->n_downbeats < 0 || !isfinite(s->tempo_bpm) || s->n_chords < 0 ||
        !rg__store_rising_chords(s->chords, s->n_chords))
        return rg_fail(err, RG_ERR_USAGE,
                       "song '%s': split, key, beats, chords or tempo is not valid", s->id);
    return RG_OK;
}

/* Fills what is computed here. */
static rg_status measure(const rg_store_writer *w, rg_song *s, const int16_t *samples,
                         uint8_t *activity, rg_error *err)
{
    bool any = false;
    const int64_t n = s->frames * w->info.channels;
    for (int32_t r = 0; r < w->info.n_roles; r++) {
        const int16_t *row = samples + r * n;
        s->peak[r] = 0;
        s->rms_dbfs[r] = -200;
        if (!s->present[r]) continue;
        any = true;
        double energy = (double)rg__store_activity(row, w->info.channels, s->frames, w->info.rate,
                                                   activity + r * s->n_activity);
        s->peak[r] = rg__store_peak(row, n) / 32768.0;
        s->rms_dbfs[r] = 10 * log10(energy / (double)n / (32768.0 * 32768.0) + 1e-20);
        if (!(s->peak[r] > 0))
            return rg_fail(err, RG_ERR_FORMAT,
                           "song '%s': role %s is all zeros; mark it absent instead", s->id,
                           w->info.roles[r]);
    }
    if (!any) return rg_fail(err, RG_ERR_FORMAT, "song '%s': every role is absent", s->id);
    s->xxh3 = rg_xxh3(samples, (size_t)(n * w->info.n_roles) * sizeof *samples);
    return RG_OK;
}

static bool is_silent(const int16_t *x, int64_t n)
{
    return x[0] == 0 && memcmp(x, x + 1, (size_t)(n - 1) * sizeof *x) == 0;
}

/* Rows of absent roles are stored as zeros; where they are not, *copy (heap) is to be stored. */
static rg_status clear_absent(const rg_store_writer *w, const rg_song *s, const int16_t *samples,
                              int16_t **copy, rg_error *err)
{
    int64_t n = s->frames * w->info.channels;
    size_t row = (size_t)n * sizeof *samples, all = row * (size_t)w->info.n_roles;
    for (int32_t r = 0; r < w->info.n_roles; r++) {
        int64_t at = r * n;
        if (s->present[r] || is_silent(samples + at, n)) continue;
        if (!*copy && (*copy = malloc(all))) memcpy(*copy, samples, all);
        if (!*copy) return rg_fail(err, RG_ERR_NOMEM, "song '%s': no memory to write it", s->id);
        memset(*copy + at, 0, row);
    }
    return RG_OK;
}

/* The song's own file. HDF5 works for one thread at a time; the disk does not. */
static rg_status stage(rg_store_writer *w, const rg_song *s, const rg_provenance *p,
                       const rg_song_features *heard, const int16_t *samples, rg_error *err)
{
    char path[RG__PATH], temporary[RG__PATH + 32];
    if (!staged_path(w, s->id, path))
        return rg_fail(err, RG_ERR_USAGE, "%s: the path is too long", w->folder);
    snprintf(temporary, sizeof temporary, "%s.tmp.%ld", path, (long)getpid());
    rg__h5_quiet();
    rg_error failure = {0};
    pthread_mutex_lock(&w->mutex);
    hid_t file = rg__h5_create(temporary, &failure);
    bool ok = file >= 0 && rg__store_make_groups(file) &&
              rg__store_write_song(file, &w->info, s, p, samples) &&
              rg__store_write_features(file, s->id, w->info.n_roles, heard) &&
              rg__store_write_columns(file, s, 1);
    rg_status status = ok ? RG_OK : rg__h5_fail(err, RG_ERR_IO, path, "writing the song failed");
    status = rg__h5_close_new(file, status, &failure, err);
    pthread_mutex_unlock(&w->mutex);
    if (status == RG_OK) return rg_fs_commit_path(temporary, path, err);
    rg_fs_current()->unlink(temporary);
    return status;
}

rg_status rg_store_add(rg_store_writer *writer, const rg_song *song,
                       const rg_provenance *provenance, const int16_t *samples, rg_error *err)
{
    RG_TRY(check_song(writer, song, provenance, err));
    size_t rows = (size_t)writer->info.n_roles;
    rg_song *s = malloc(sizeof *s);
    int64_t blocks = rg__store_blocks(song->frames, writer->info.rate);
    uint8_t *activity = calloc(rows, (size_t)blocks);
    int16_t *copy = NULL;
    rg_song_features heard = {0};
    rg_status status = RG_OK;
    if (!s || !activity) {
        status = rg_fail(err, RG_ERR_NOMEM, "song '%s': no memory to write it", song->id);
    } else {
        *s = *song;
        s->n_activity = blocks;
        s->activity = activity;
        if (!s->original_rate) s->original_rate = writer->info.rate;
        status = clear_absent(writer, s, samples, &copy, err);
    }
    if (copy) samples = copy;
    if (status == RG_OK) status = measure(writer, s, samples, activity, err);
    if (status == RG_OK) status = rg_song_features_hear(s, &writer->info, samples, &heard, err);
    if (status == RG_OK) status = stage(writer, s, provenance, &heard, samples, err);
    rg_song_features_free(&heard);
    free(s);
    free(copy);
    free(activity);
    return status;
}

/* ---- the end ---- */

static bool is_staged(const char *name)
{
    size_t n = strlen(name);
    return n > 3 && strcmp(name + n - 3, ".h5") == 0;
}

rg_status rg_store_keep(rg_store_writer *writer, bool (*wanted)(void *ctx, const char *id),
                        void *ctx, rg_error *err)
{
    char **names = NULL, id[RG_ID_SIZE], path[RG__PATH];
    size_t n = 0;
    RG_TRY(rg_fs_list(writer->unfinished, &names, &n, err));
    rg_status status = RG_OK;
    for (size_t i = 0; status == RG_OK && i < n; i++) {
        if (!is_staged(names[i])) continue;
        snprintf(id, sizeof id, "%.*s", (int)(strlen(names[i]) - 3), names[i]);
        if (wanted(ctx, id)) continue;
        status = rg_fs_join(path, sizeof path, writer->unfinished, names[i], err);
        if (status == RG_OK && rg_fs_current()->unlink(path) != 0)
            status = rg_fail(err, RG_ERR_IO, "%s: cannot be removed", path);
    }
    rg_fs_free_names(names, n);
    return status;
}

rg_status rg_store_finish(rg_store_writer *writer, rg_error *err)
{
    char **names = NULL;
    size_t n = 0, staged = 0;
    rg_status status = rg_fs_list(writer->unfinished, &names, &n, err);
    for (size_t i = 0; status == RG_OK && i < n; i++) {
        if (!is_staged(names[i])) continue;
        char *name = names[staged];
        names[staged++] = names[i];
        names[i] = name;
    }
    if (status == RG_OK && staged == 0)
        status = rg_fail(err, RG_ERR_MISMATCH, "%s: no song was added", writer->folder);
    if (status == RG_OK)
        status = rg__store_gather(writer->folder, &writer->info, names, staged, err);
    rg_fs_free_names(names, n);
    char unfinished[RG__PATH];
    rg_copy_text(unfinished, sizeof unfinished, writer->unfinished);
    writer_free(writer);
    return status == RG_OK ? rg_fs_remove_tree(unfinished, err) : status;
}
