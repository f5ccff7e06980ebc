/*
 * A store in words and numbers: songs, hours, splits, roles, levels, licences.
 *
 * One idea: the JSON object is made first and the table is written from it, so both say the same.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/store_internal.h"

static double hours_of(const rg_store *s, int64_t frames)
{
    return (double)frames / rg_store_rate(s) / 3600;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static json_t *describe_split(const rg_store *s, rg_split split)
{
    int64_t songs = 0, frames = 0;
    for (int64_t i = 0; i < rg_store_songs(s); i++) {
        const rg_song *song = rg_store_song(s, i);
        if (song->split != split) continue;
        songs++;
        frames += song->frames;
    }
    return json_pack("{s:s, s:I, s:f}", "split", rg_split_name(split), "songs", (json_int_t)songs,
                     "hours", hours_of(s, frames));
}

/* Songs that have the role, their hours, share of 100-ms blocks above -60 dBFS, level quantiles. */
static json_t *describe_role(const rg_store *s, int32_t r, double *levels)
{
    int64_t songs = 0, frames = 0, active = 0, blocks = 0;
    for (int64_t i = 0; i < rg_store_songs(s); i++) {
        const rg_song *song = rg_store_song(s, i);
        if (!song->present[r]) continue;
        levels[songs++] = song->rms_dbfs[r];
        frames += song->frames;
        blocks += song->n_activity;
        for (int64_t b = 0; b < song->n_activity; b++)
            active += song->activity[r * song->n_activity + b] > RG__ACTIVITY_FLOOR;
    }
    qsort(levels, (size_t)songs, sizeof *levels, by_value);
    json_t *role = json_pack("{s:s, s:I, s:f, s:f}", "role", rg_store_role(s, r), "songs",
                             (json_int_t)songs, "hours", hours_of(s, frames), "active",
                             blocks ? (double)active / (double)blocks : 0.0);
    static const char *const names[] = {"rms_dbfs_p10", "rms_dbfs_p50", "rms_dbfs_p90"};
    for (int q = 0; role && songs > 0 && q < 3; q++) {
        double at = (0.1 + 0.4 * q) * (double)(songs - 1);
        json_object_set_new(role, names[q], json_real(levels[(int64_t)round(at)]));
    }
    return role;
}

/* {"GPL-2.0-only": 7, ...}: songs by one of the texts of rg_song. */
static json_t *count_texts(const rg_store *s, size_t offset)
{
    json_t *counts = json_object();
    for (int64_t i = 0; counts && i < rg_store_songs(s); i++) {
        const char *text = (const char *)rg_store_song(s, i) + offset;
        if (!*text) text = "unknown";
        json_int_t n = json_integer_value(json_object_get(counts, text));
        json_object_set_new(counts, text, json_integer(n + 1));
    }
    return counts;
}

json_t *rg_store_describe_json(const rg_store *s)
{
    int64_t frames = 0, with_key = 0, with_tempo = 0;
    for (int64_t i = 0; i < rg_store_songs(s); i++) {
        const rg_song *song = rg_store_song(s, i);
        frames += song->frames;
        with_key += song->key_tonic >= 0;
        with_tempo += song->tempo_bpm > 0;
    }
    double *levels = malloc((size_t)(rg_store_songs(s) + 1) * sizeof *levels);
    json_t *splits = json_array(), *roles = json_array();
    for (int k = 0; k < RG_SPLIT_COUNT; k++)
        json_array_append_new(splits, describe_split(s, (rg_split)k));
    for (int32_t r = 0; levels && r < rg_store_roles(s); r++)
        json_array_append_new(roles, describe_role(s, r, levels));
    free(levels);
    return json_pack(
        "{s:s, s:s, s:i, s:i, s:I, s:f, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "folder",
        rg_store_folder(s), "hash", rg_store_hash(s), "sample_rate", (int)rg_store_rate(s),
        "channels", (int)rg_store_channels(s), "songs", (json_int_t)rg_store_songs(s), "hours",
        hours_of(s, frames), "songs_with_tempo", (json_int_t)with_tempo, "songs_with_key",
        (json_int_t)with_key, "songs_with_features", (json_int_t)rg_store_heard_songs(s), "splits",
        splits, "roles", roles, "genres", count_texts(s, offsetof(rg_song, genre)), "packages",
        count_texts(s, offsetof(rg_song, package)), "licenses",
        count_texts(s, offsetof(rg_song, license)));
}

/* ---- the table ---- */

static double real_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void write_role(rg_text *out, const json_t *role)
{
    rg_text_printf(out, "%-12s %6.0f %7.2f %6.0f %%", text_of(role, "role"), real_of(role, "songs"),
                   real_of(role, "hours"), 100 * real_of(role, "active"));
    if (json_object_get(role, "rms_dbfs_p50"))
        rg_text_printf(out, "   %.0f / %.0f / %.0f", real_of(role, "rms_dbfs_p10"),
                       real_of(role, "rms_dbfs_p50"), real_of(role, "rms_dbfs_p90"));
    rg_text_add(out, "\n");
}

static void write_counts(rg_text *out, const char *title, json_t *counts)
{
    const char *name;
    json_t *n;
    bool first = true;
    rg_text_printf(out, "%-12s ", title);
    json_object_foreach(counts, name, n)
    {
        rg_text_printf(out, "%s%s %lld", first ? "" : ", ", name, (long long)json_integer_value(n));
        first = false;
    }
    rg_text_add(out, "\n");
}

rg_status rg_store_describe(const rg_store *store, rg_text *out, rg_error *err)
{
    json_t *d = rg_store_describe_json(store), *row;
    size_t i;
    if (!d) return rg_fail(err, RG_ERR_NOMEM, "no memory to describe the store");
    rg_text_printf(out,
                   "%s: %.0f songs, %.2f hours, %.0f Hz%s; %.0f with tempo, %.0f with key, "
                   "%.0f with features\n",
                   text_of(d, "folder"), real_of(d, "songs"), real_of(d, "hours"),
                   real_of(d, "sample_rate"), real_of(d, "channels") > 1 ? " stereo" : "",
                   real_of(d, "songs_with_tempo"), real_of(d, "songs_with_key"),
                   real_of(d, "songs_with_features"));
    rg_text_printf(out, "hash         %s\n\n%-12s %6s %7s\n", text_of(d, "hash"), "split", "songs",
                   "hours");
    json_array_foreach(json_object_get(d, "splits"), i, row)
        rg_text_printf(out, "%-12s %6.0f %7.2f\n", text_of(row, "split"), real_of(row, "songs"),
                       real_of(row, "hours"));
    rg_text_printf(out, "\n%-12s %6s %7s %8s   %s\n", "role", "songs", "hours", "sounding",
                   "level dBFS p10 / p50 / p90");
    json_array_foreach(json_object_get(d, "roles"), i, row) write_role(out, row);
    rg_text_add(out, "\n");
    write_counts(out, "genres", json_object_get(d, "genres"));
    write_counts(out, "packages", json_object_get(d, "packages"));
    write_counts(out, "licences", json_object_get(d, "licenses"));
    json_decref(d);
    return rg_text_status(out, err);
}
