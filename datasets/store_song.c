/*
 * One song in an HDF5 file: written by the builder, loaded by the reader, with the same names.
 *
 * One idea: the parallel columns of /songs come from one table of fields, so that writer and
 * reader cannot disagree; the rest are attributes of four groups that share the song's id.
 * Not here: which file, and when (store_write.c, store_shard.c, store_read.c).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/store_internal.h"

enum { MAX_SONGS_PER_FILE = 1 << 20, MAX_TIMES = 1 << 20 };

/* ---- columns of /songs ---- */

static const struct {
    const char *name;
    size_t offset, size;
} columns[] = {
#define TEXT(field)                                                     \
    {                                                                   \
#field, offsetof(rg_song, field), sizeof(((rg_song *)0)->field) \
    }
    TEXT(id), TEXT(title), TEXT(group), TEXT(genre), TEXT(prompt), TEXT(content_hash),
#undef TEXT
};
enum { N_COLUMNS = sizeof columns / sizeof columns[0] };

static bool write_text_column(hid_t group, size_t c, const rg_song *songs, int64_t n)
{
    size_t size = columns[c].size;
    char *packed = calloc((size_t)n, size);
    if (!packed) return false;
    for (int64_t i = 0; i < n; i++)
        rg_copy_text(packed + (size_t)i * size, size, (const char *)&songs[i] + columns[c].offset);
    hid_t type = rg__h5_fixed_text(size);
    bool ok = rg__h5_write(group, columns[c].name, type, packed, (hsize_t)n);
    H5Tclose(type);
    free(packed);
    return ok;
}

static bool read_text_column(hid_t group, size_t c, rg_song *songs, int64_t n)
{
    size_t size = columns[c].size;
    char *packed = calloc((size_t)n, size);
    hid_t type = rg__h5_fixed_text(size);
    bool ok = packed && rg__h5_read(group, columns[c].name, type, packed, (hsize_t)n);
    for (int64_t i = 0; ok && i < n; i++) {
        packed[(size_t)i * size + size - 1] = 0;
        char *text = (char *)&songs[i] + columns[c].offset;
        rg_copy_text(text, size, packed + (size_t)i * size);
        if (c > 0) rg_song_clean_text(text); /* an id is refused instead */
    }
    H5Tclose(type);
    free(packed);
    return ok;
}

static hid_t split_type(void)
{
    hid_t type = H5Tenum_create(H5T_NATIVE_UINT8);
    for (rg_split s = 0; s < RG_SPLIT_COUNT; s++) {
        uint8_t value = (uint8_t)s;
        H5Tenum_insert(type, rg_split_name(s), &value);
    }
    return type;
}

static bool split_and_frames(hid_t group, rg_song *songs, int64_t n, bool write)
{
    uint8_t *split = calloc((size_t)n, 1);
    int64_t *frames = calloc((size_t)n, sizeof *frames);
    hid_t type = split_type();
    bool ok = split && frames;
    for (int64_t i = 0; ok && write && i < n; i++) {
        split[i] = (uint8_t)songs[i].split;
        frames[i] = songs[i].frames;
    }
    hsize_t count = (hsize_t)n;
    if (ok && write)
        ok = rg__h5_write(group, "split", type, split, count) &&
             rg__h5_write(group, "frames", H5T_NATIVE_INT64, frames, count);
    else if (ok)
        ok = rg__h5_read(group, "split", type, split, count) &&
             rg__h5_read(group, "frames", H5T_NATIVE_INT64, frames, count);
    for (int64_t i = 0; ok && !write && i < n; i++) {
        ok = split[i] < RG_SPLIT_COUNT && frames[i] > 0;
        songs[i].split = (rg_split)split[i];
        songs[i].frames = frames[i];
    }
    H5Tclose(type);
    free(split);
    free(frames);
    return ok;
}

bool rg__store_write_columns(hid_t file, const rg_song *songs, int64_t n)
{
    hid_t group = H5Gopen2(file, "/songs", H5P_DEFAULT);
    bool ok = group >= 0;
    for (size_t c = 0; ok && c < N_COLUMNS; c++) ok = write_text_column(group, c, songs, n);
    ok = ok && split_and_frames(group, (rg_song *)songs, n, true);
    if (group >= 0) H5Gclose(group);
    return ok;
}

rg_status rg__store_read_columns(hid_t file, const char *path, rg_song **songs, int64_t *n,
                                 rg_error *err)
{
    hid_t group = H5Gopen2(file, "/songs", H5P_DEFAULT);
    *n = group >= 0 ? rg__h5_length(group, "id") : -1;
    bool ok = *n > 0 && *n <= MAX_SONGS_PER_FILE;
    *songs = ok ? calloc((size_t)*n, sizeof **songs) : NULL;
    ok = ok && *songs;
    for (size_t c = 0; ok && c < N_COLUMNS; c++) ok = read_text_column(group, c, *songs, *n);
    ok = ok && split_and_frames(group, *songs, *n, false);
    if (group >= 0) H5Gclose(group);
    if (ok) return RG_OK;
    free(*songs);
    *songs = NULL;
    return rg__h5_fail(err, RG_ERR_FORMAT, path, "the table /songs is missing or malformed");
}

/* ---- groups of one song ---- */

static const char *const groups[] = {"/songs", "/audio", "/activity", "/features", "/provenance"};

bool rg__store_make_groups(hid_t file)
{
    bool ok = true;
    for (size_t g = 0; ok && g < sizeof groups / sizeof groups[0]; g++)
        ok = rg__h5_make_group(file, groups[g]);
    return ok;
}

void rg__store_song_path(char out[128], const char *group, const char *id)
{
    snprintf(out, 128, "/%s/%s", group, id);
}

static bool put_instruments(hid_t at, int32_t n_roles, const rg_song *song)
{
    hid_t type = rg__h5_fixed_text(sizeof song->instruments[0]);
    bool ok = rg__h5_put(at, "instruments", type, song->instruments, (hsize_t)n_roles);
    H5Tclose(type);
    return ok;
}

/* (roles,frames), or (roles,channels,frames) where channels are several. */
static bool write_audio(hid_t file, const rg_store_info *info, const rg_song *s,
                        const int16_t *samples)
{
    char name[128];
    rg__store_song_path(name, "audio", s->id);
    const int32_t n_roles = info->n_roles, channels = rg__store_info_channels(info);
    const int64_t dims[3] = {n_roles, channels, s->frames};
    hid_t set = channels == 1
                    ? rg__h5_write_rows(file, name, H5T_STD_I16LE, n_roles, s->frames, samples)
                    : rg__h5_write_array(file, name, H5T_STD_I16LE, 3, dims, samples);
    if (set < 0) return false;
    uint8_t present[RG_MAX_ROLES];
    for (int32_t r = 0; r < n_roles; r++) present[r] = s->present[r];
    const double scale = 1.0 / 32768, zero = 0;
    hsize_t n = (hsize_t)n_roles;
    bool ok = rg__h5_put_text(set, "units", "1") &&
              rg__h5_put(set, "scale_factor", H5T_NATIVE_DOUBLE, &scale, 0) &&
              rg__h5_put(set, "add_offset", H5T_NATIVE_DOUBLE, &zero, 0) &&
              rg__h5_put(set, "present", H5T_NATIVE_UINT8, present, n) &&
              rg__h5_put(set, "peak", H5T_NATIVE_DOUBLE, s->peak, n) &&
              rg__h5_put(set, "rms_dbfs", H5T_NATIVE_DOUBLE, s->rms_dbfs, n) &&
              rg__h5_put(set, "loudness_lufs", H5T_NATIVE_DOUBLE, &s->loudness_lufs, 0) &&
              rg__h5_put(set, "gain_db", H5T_NATIVE_DOUBLE, &s->gain_db, 0) &&
              rg__h5_put(set, "original_rate", H5T_NATIVE_INT32, &s->original_rate, 0) &&
              rg__h5_put(set, "xxh3", H5T_NATIVE_UINT64, &s->xxh3, 0) &&
              put_instruments(set, n_roles, s);
    return H5Dclose(set) >= 0 && ok;
}

static bool write_activity(hid_t file, int32_t n_roles, const rg_song *s)
{
    char name[128];
    rg__store_song_path(name, "activity", s->id);
    hid_t set =
        rg__h5_write_rows(file, name, H5T_NATIVE_UINT8, n_roles, s->n_activity, s->activity);
    const double hop = 1.0 / RG_ACTIVITY_PER_SECOND, offset = -96;
    bool ok = set >= 0 && rg__h5_put(set, "hop_s", H5T_NATIVE_DOUBLE, &hop, 0) &&
              rg__h5_put_text(set, "units", "dBFS") &&
              rg__h5_put(set, "add_offset", H5T_NATIVE_DOUBLE, &offset, 0);
    if (set >= 0) ok = H5Dclose(set) >= 0 && ok;
    return ok;
}

static bool write_features(hid_t file, const rg_song *s)
{
    char name[128];
    rg__store_song_path(name, "features", s->id);
    if (!rg__h5_make_group(file, name)) return false;
    hid_t at = H5Gopen2(file, name, H5P_DEFAULT);
    bool ok =
        at >= 0 && rg__h5_put(at, "tempo_bpm", H5T_NATIVE_DOUBLE, &s->tempo_bpm, 0) &&
        rg__h5_put(at, "meter", H5T_NATIVE_INT32, &s->meter, 0) &&
        rg__h5_put(at, "key_tonic", H5T_NATIVE_INT32, &s->key_tonic, 0) &&
        rg__h5_put(at, "key_mode", H5T_NATIVE_INT32, &s->key_mode, 0) &&
        rg__h5_put_text(at, "source", "midi") &&
        rg__h5_write(at, "beats_s", H5T_NATIVE_DOUBLE, s->beats, (hsize_t)s->n_beats) &&
        rg__h5_write(at, "downbeats_s", H5T_NATIVE_DOUBLE, s->downbeats, (hsize_t)s->n_downbeats) &&
        rg__store_write_chords(at, s->chords, s->n_chords) &&
        (!s->signature[0] || rg__h5_put_text(at, "time_signature", s->signature)) &&
        (!s->groove[0] || rg__h5_put_text(at, "groove", s->groove));
    if (at >= 0) ok = H5Gclose(at) >= 0 && ok;
    return ok;
}

static const struct {
    const char *name;
    size_t offset; /* of a const char * in rg_provenance */
} provenance_texts[] = {
#define TEXT(name, field)                    \
    {                                        \
        name, offsetof(rg_provenance, field) \
    }
    TEXT("package", package),
    TEXT("package_version", package_version),
    TEXT("file", file),
    TEXT("file_sha256", file_sha256),
    TEXT("license", license),
    TEXT("renderer", renderer),
    TEXT("renderer_version", renderer_version),
    TEXT("soundfont", soundfont),
    TEXT("soundfont_sha256", soundfont_sha256),
    TEXT("role_map", role_map_json),
    TEXT("source_dataset", source_dataset),
    TEXT("track_id", track_id),
#undef TEXT
};
enum { N_PROVENANCE = sizeof provenance_texts / sizeof provenance_texts[0] };

static const char **provenance_text(const rg_provenance *p, size_t i)
{
    return (const char **)((char *)p + provenance_texts[i].offset);
}

static bool write_provenance(hid_t file, const rg_song *s, const rg_provenance *p)
{
    char name[128];
    rg__store_song_path(name, "provenance", s->id);
    if (!rg__h5_make_group(file, name)) return false;
    hid_t at = H5Gopen2(file, name, H5P_DEFAULT);
    bool ok = at >= 0 && rg__h5_put(at, "seed", H5T_NATIVE_UINT64, &p->seed, 0);
    for (size_t i = 0; ok && i < N_PROVENANCE; i++)
        ok = rg__h5_put_text(at, provenance_texts[i].name, *provenance_text(p, i));
    if (at >= 0) ok = H5Gclose(at) >= 0 && ok;
    return ok;
}

void rg_provenance_free(rg_provenance *p)
{
    for (size_t i = 0; i < N_PROVENANCE; i++) free((char *)*provenance_text(p, i));
    *p = (rg_provenance){0};
}

rg_status rg__store_load_provenance(hid_t file, const char *path, const char *id,
                                    rg_provenance *out, rg_error *err)
{
    char name[128];
    *out = (rg_provenance){0};
    rg__store_song_path(name, "provenance", id);
    hid_t at = H5Gopen2(file, name, H5P_DEFAULT);
    bool ok = at >= 0 && rg__h5_get(at, "seed", H5T_NATIVE_UINT64, &out->seed, 0);
    for (size_t i = 0; ok && i < N_PROVENANCE; i++)
        ok = (*provenance_text(out, i) = rg__h5_get_long_text(at, provenance_texts[i].name));
    if (at >= 0) H5Gclose(at);
    if (ok) return RG_OK;
    rg_provenance_free(out);
    return rg__h5_fail(err, RG_ERR_FORMAT, path, "its provenance is malformed");
}

bool rg__store_write_song(hid_t file, const rg_store_info *info, const rg_song *song,
                          const rg_provenance *provenance, const int16_t *samples)
{
    return write_audio(file, info, song, samples) && write_activity(file, info->n_roles, song) &&
           write_features(file, song) && write_provenance(file, song, provenance);
}

/* ---- loading ---- */

static bool load_audio(hid_t file, int32_t n_roles, rg_song *s)
{
    char name[128];
    rg__store_song_path(name, "audio", s->id);
    hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    if (set < 0) return false;
    uint8_t present[RG_MAX_ROLES] = {0};
    hsize_t n = (hsize_t)n_roles;
    hid_t type = rg__h5_fixed_text(sizeof s->instruments[0]);
    bool ok = rg__h5_get(set, "present", H5T_NATIVE_UINT8, present, n) &&
              rg__h5_get(set, "peak", H5T_NATIVE_DOUBLE, s->peak, n) &&
              rg__h5_get(set, "rms_dbfs", H5T_NATIVE_DOUBLE, s->rms_dbfs, n) &&
              rg__h5_get(set, "loudness_lufs", H5T_NATIVE_DOUBLE, &s->loudness_lufs, 0) &&
              rg__h5_get(set, "gain_db", H5T_NATIVE_DOUBLE, &s->gain_db, 0) &&
              rg__h5_get(set, "original_rate", H5T_NATIVE_INT32, &s->original_rate, 0) &&
              rg__h5_get(set, "xxh3", H5T_NATIVE_UINT64, &s->xxh3, 0) &&
              rg__h5_get(set, "instruments", type, s->instruments, n);
    for (int32_t r = 0; r < n_roles; r++) {
        s->present[r] = present[r] != 0;
        s->instruments[r][sizeof s->instruments[r] - 1] = 0;
        rg_song_clean_text(s->instruments[r]);
    }
    H5Tclose(type);
    H5Dclose(set);
    return ok;
}

bool rg__store_rising(const double *times, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(times[i]) || (i > 0 && times[i] < times[i - 1])) return false;
    return true;
}

bool rg__song_is_sound(const rg_song *s)
{
    return isfinite(s->tempo_bpm) && s->key_tonic >= -1 && s->key_tonic < 12 &&
           rg__store_rising(s->beats, s->n_beats) &&
           rg__store_rising(s->downbeats, s->n_downbeats) &&
           rg__store_rising_chords(s->chords, s->n_chords);
}

/* Beats, downbeats, chords and activity in one heap block: doubles first. */
static bool load_block(hid_t file, hid_t features, int32_t n_roles, rg_song *s, void **block)
{
    char name[128];
    rg__store_song_path(name, "activity", s->id);
    s->n_beats = rg__h5_length(features, "beats_s");
    s->n_downbeats = rg__h5_length(features, "downbeats_s");
    int64_t bytes = rg__h5_length(file, name), chords = rg__h5_length(features, "chords_start_s");
    s->n_chords = chords > 0 ? chords : 0; /* older stores and most songs have none */
    if (s->n_beats < 0 || s->n_downbeats < 0 || s->n_beats > MAX_TIMES ||
        s->n_downbeats > MAX_TIMES || s->n_chords > MAX_TIMES || bytes != s->n_activity * n_roles)
        return false;
    double *times = malloc((size_t)(s->n_beats + s->n_downbeats) * sizeof *times +
                           (size_t)s->n_chords * sizeof *s->chords + (size_t)bytes);
    *block = times;
    if (!times) return false;
    double *downbeats = times + s->n_beats;
    rg_song_chord *listed = (rg_song_chord *)(downbeats + s->n_downbeats);
    uint8_t *activity = (uint8_t *)(listed + s->n_chords);
    s->chords = listed;
    s->beats = times;
    s->downbeats = downbeats;
    s->activity = activity;
    return rg__h5_read(features, "beats_s", H5T_NATIVE_DOUBLE, times, (hsize_t)s->n_beats) &&
           rg__h5_read(features, "downbeats_s", H5T_NATIVE_DOUBLE, downbeats,
                       (hsize_t)s->n_downbeats) &&
           rg__h5_read(file, name, H5T_NATIVE_UINT8, activity, (hsize_t)bytes) &&
           rg__store_load_chords(features, listed, s->n_chords);
}

/* Texts that older stores and most songs lack. */
static bool load_words(hid_t at, rg_song *s)
{
    return (H5Aexists(at, "time_signature") <= 0 ||
            rg__h5_get_text(at, "time_signature", s->signature, sizeof s->signature)) &&
           (H5Aexists(at, "groove") <= 0 ||
            rg__h5_get_text(at, "groove", s->groove, sizeof s->groove));
}

static bool load_features(hid_t file, int32_t n_roles, rg_song *s, void **block)
{
    char name[128];
    rg__store_song_path(name, "features", s->id);
    hid_t at = H5Gopen2(file, name, H5P_DEFAULT);
    bool ok = at >= 0 && rg__h5_get(at, "tempo_bpm", H5T_NATIVE_DOUBLE, &s->tempo_bpm, 0) &&
              rg__h5_get(at, "meter", H5T_NATIVE_INT32, &s->meter, 0) &&
              rg__h5_get(at, "key_tonic", H5T_NATIVE_INT32, &s->key_tonic, 0) &&
              rg__h5_get(at, "key_mode", H5T_NATIVE_INT32, &s->key_mode, 0) && load_words(at, s) &&
              load_block(file, at, n_roles, s, block);
    if (at >= 0) H5Gclose(at);
    return ok && rg__song_is_sound(s);
}

rg_status rg__store_load_song(hid_t file, const char *path, int32_t n_roles, rg_song *song,
                              void **block, rg_error *err)
{
    char name[128];
    *block = NULL;
    rg__store_song_path(name, "provenance", song->id);
    hid_t at = H5Gopen2(file, name, H5P_DEFAULT);
    bool ok = at >= 0 && rg__h5_get_text(at, "license", song->license, sizeof song->license) &&
              rg__h5_get_text(at, "package", song->package, sizeof song->package) &&
              load_audio(file, n_roles, song) && load_features(file, n_roles, song, block);
    if (at >= 0) H5Gclose(at);
    rg_song_clean_text(song->license);
    rg_song_clean_text(song->package);
    if (ok) return RG_OK;
    free(*block);
    *block = NULL;
    char what[160];
    snprintf(what, sizeof what, "song '%s' is malformed", song->id);
    return rg__h5_fail(err, RG_ERR_FORMAT, path, what);
}
