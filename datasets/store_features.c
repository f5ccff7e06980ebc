/*
 * What was heard in a song, in an HDF5 file: the group /features/ID/heard.
 *
 * One idea: numbers and series come from two tables, so that what is written and what is read
 * cannot differ; every series says its unit and how many seconds lie between its values.
 */
#include <math.h>
#include <stdlib.h>

#include "datasets/store_reader.h"

enum { MOST_VALUES = 1 << 26 };
static const char *const group_name = "heard", *const version_name = "method_version",
                         *const mark_name = "features_version"; /* of a shard */

static const struct {
    const char *name;
    size_t offset;
    bool integer;
} numbers[] = {
#define FIELD(name, integer)                             \
    {                                                    \
#name, offsetof(rg_song_features, name), integer \
    }
    FIELD(tempo_bpm, false),        FIELD(tempo_confidence, false), FIELD(meter, true),
    FIELD(meter_confidence, false), FIELD(key_tonic, true),         FIELD(key_mode, true),
    FIELD(key_confidence, false),   FIELD(tuning_cents, false),     FIELD(loudness_lufs, false),
#undef FIELD
};

static const struct {
    const char *name, *units;
    double hop_s;         /* 0: none */
    size_t values, count; /* offsets of a pointer and of its length */
    bool by_role;         /* (roles,count) of float, else (count) of double */
} series[] = {
#define FIELD(name, units, hop, count, by_role)                                                 \
    {                                                                                           \
#name, units, hop, offsetof(rg_song_features, name), offsetof(rg_song_features, count), \
            by_role                                                                             \
    }
    FIELD(beats_s, "s", 0, n_beats, false),
    FIELD(downbeats_s, "s", 0, n_downbeats, false),
    FIELD(sections_s, "s", 0, n_sections, false),
    FIELD(energy, "mean square", 1.0 / RG_ACTIVITY_PER_SECOND, n_energy, true),
    FIELD(onset, "log-mel flux", 1.0 / RG_SONG_ONSETS_PER_SECOND, n_onset, true),
    FIELD(rhythm, "share of onset strength by sixteenth of a bar", 0, n_rhythm, true),
#undef FIELD
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static void *field_of(const rg_song_features *f, size_t offset)
{
    return (char *)f + offset;
}

/* ---- writing ---- */

static bool write_series(hid_t at, const rg_song_features *f, int32_t n_roles, size_t k)
{
    const void *values = *(void **)field_of(f, series[k].values);
    int64_t n = *(int64_t *)field_of(f, series[k].count);
    bool ok = true;
    hid_t set = -1;
    if (series[k].by_role)
        set = rg__h5_write_rows(at, series[k].name, H5T_NATIVE_FLOAT, n_roles, n, values);
    else if (rg__h5_write(at, series[k].name, H5T_NATIVE_DOUBLE, values, (hsize_t)n))
        set = H5Dopen2(at, series[k].name, H5P_DEFAULT);
    if (set < 0) return false;
    ok = rg__h5_put_text(set, "units", series[k].units);
    if (series[k].hop_s > 0)
        ok = ok && rg__h5_put(set, "hop_s", H5T_NATIVE_DOUBLE, &series[k].hop_s, 0);
    return H5Dclose(set) >= 0 && ok;
}

static bool write_all(hid_t at, const rg_song_features *f, int32_t n_roles)
{
    bool ok = rg__h5_put_text(at, "source", "estimated") &&
              rg__h5_put_text(at, "method", "resonant analyze") &&
              rg__h5_put_text(at, version_name, f->version);
    for (size_t k = 0; ok && k < COUNT(numbers); k++)
        ok = rg__h5_put(at, numbers[k].name,
                        numbers[k].integer ? H5T_NATIVE_INT32 : H5T_NATIVE_DOUBLE,
                        field_of(f, numbers[k].offset), 0);
    for (size_t k = 0; ok && k < COUNT(series); k++) ok = write_series(at, f, n_roles, k);
    return ok && rg__store_write_chords(at, f->chords, f->n_chords);
}

bool rg__store_write_features(hid_t file, const char *id, int32_t n_roles,
                              const rg_song_features *f)
{
    char name[128];
    if (!f->version[0]) return true;
    rg__store_song_path(name, "features", id);
    hid_t song = H5Gopen2(file, name, H5P_DEFAULT), at = -1;
    bool ok = song >= 0;
    if (ok && H5Lexists(song, group_name, H5P_DEFAULT) > 0)
        ok = H5Ldelete(song, group_name, H5P_DEFAULT) >= 0;
    if (ok) at = H5Gcreate2(song, group_name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    ok = at >= 0 && write_all(at, f, n_roles);
    if (at >= 0) ok = H5Gclose(at) >= 0 && ok;
    if (song >= 0) H5Gclose(song);
    return ok;
}

bool rg__store_mark_features(hid_t file, const char *version)
{
    return (H5Aexists(file, mark_name) <= 0 || H5Adelete(file, mark_name) >= 0) &&
           rg__h5_put_text(file, mark_name, version);
}

bool rg__store_features_mark(hid_t file, char *out, size_t size)
{
    out[0] = 0;
    return H5Aexists(file, mark_name) > 0 && rg__h5_get_text(file, mark_name, out, size);
}

/* ---- loading ---- */

static bool load_series(hid_t at, rg_song_features *f, int32_t n_roles, size_t k)
{
    int64_t rows = series[k].by_role ? n_roles : 1, n = rg__h5_length(at, series[k].name);
    if (n < 0 || n > MOST_VALUES || n % rows) return false;
    void *values = calloc((size_t)n + 1, series[k].by_role ? sizeof(float) : sizeof(double));
    *(void **)field_of(f, series[k].values) = values;
    *(int64_t *)field_of(f, series[k].count) = n / rows;
    return values &&
           rg__h5_read(at, series[k].name, series[k].by_role ? H5T_NATIVE_FLOAT : H5T_NATIVE_DOUBLE,
                       values, (hsize_t)n);
}

static bool load_chords(hid_t at, rg_song_features *f)
{
    int64_t n = rg__h5_length(at, "chords_start_s");
    if (n > MOST_VALUES) return false;
    f->n_chords = n > 0 ? n : 0;
    f->chords = calloc((size_t)f->n_chords + 1, sizeof *f->chords);
    return f->chords && rg__store_load_chords(at, f->chords, f->n_chords) &&
           rg__store_rising_chords(f->chords, f->n_chords);
}

static bool is_sound(const rg_song_features *f)
{
    return isfinite(f->tempo_bpm) && f->tempo_bpm >= 0 && f->key_tonic >= -1 && f->key_tonic < 12 &&
           f->meter >= 0 && f->n_rhythm == RG_SONG_PATTERN &&
           rg__store_rising(f->beats_s, f->n_beats) &&
           rg__store_rising(f->downbeats_s, f->n_downbeats) &&
           rg__store_rising(f->sections_s, f->n_sections);
}

static bool load_all(hid_t at, int32_t n_roles, rg_song_features *f)
{
    bool ok = rg__h5_get_text(at, version_name, f->version, sizeof f->version) && f->version[0];
    for (size_t k = 0; ok && k < COUNT(numbers); k++)
        ok = rg__h5_get(at, numbers[k].name,
                        numbers[k].integer ? H5T_NATIVE_INT32 : H5T_NATIVE_DOUBLE,
                        field_of(f, numbers[k].offset), 0);
    for (size_t k = 0; ok && k < COUNT(series); k++) ok = load_series(at, f, n_roles, k);
    return ok && load_chords(at, f) && is_sound(f);
}

rg_status rg__store_load_features(hid_t file, const char *path, const char *id, int32_t n_roles,
                                  rg_song_features *out, rg_error *err)
{
    char name[128], what[160];
    *out = (rg_song_features){.key_tonic = -1};
    rg__store_song_path(name, "features", id);
    hid_t song = H5Gopen2(file, name, H5P_DEFAULT);
    bool there = song >= 0 && H5Lexists(song, group_name, H5P_DEFAULT) > 0;
    hid_t at = there ? H5Gopen2(song, group_name, H5P_DEFAULT) : -1;
    bool ok = song >= 0 && (!there || (at >= 0 && load_all(at, n_roles, out)));
    if (at >= 0) H5Gclose(at);
    if (song >= 0) H5Gclose(song);
    if (ok) return RG_OK;
    rg_song_features_free(out);
    snprintf(what, sizeof what, "the features of song '%s' are malformed", id);
    return rg__h5_fail(err, RG_ERR_FORMAT, path, what);
}

rg_status rg_store_features(const rg_store *store, int64_t song, rg_song_features *out,
                            rg_error *err)
{
    char path[RG__PATH];
    *out = (rg_song_features){.key_tonic = -1};
    pthread_mutex_lock((pthread_mutex_t *)&store->lock);
    hid_t file = rg__store_song_file(store, song, path, err);
    rg_status status = file < 0 ? RG_ERR_FORMAT
                                : rg__store_load_features(file, path, store->songs[song].song.id,
                                                          store->n_roles, out, err);
    pthread_mutex_unlock((pthread_mutex_t *)&store->lock);
    return status;
}

int64_t rg_store_heard_songs(const rg_store *store)
{
    int64_t n = 0;
    for (int64_t i = 0; i < store->n_songs; i++)
        n += rg__store_is_heard(&store->shards[store->songs[i].shard]);
    return n;
}
