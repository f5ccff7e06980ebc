/*
 * One song of a store as a folder of sound files and a JSON.
 *
 * One idea: what a file holds is what the store holds: the int16 samples themselves, and song.json
 * says everything else that is known, null where it is not. A role that the song lacks has no file.
 * Not here: reading such folders (importers/).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/audio.h"
#include "datasets/store_internal.h"

enum { FILE_NAME = 48 };

typedef struct export_job {
    const rg_store *store;
    int64_t song;
    bool flac;
} export_job;

/* ---- sound ---- */

static void file_name(const export_job *job, int32_t role, char out[FILE_NAME])
{
    snprintf(out, FILE_NAME, "%s.%s", rg_store_role(job->store, role), job->flac ? "flac" : "wav");
}

static rg_status write_role(const export_job *job, int32_t role, const char *folder, int16_t *raw,
                            int32_t *values, rg_error *err)
{
    char name[FILE_NAME], path[RG__PATH];
    int64_t n = rg_store_song(job->store, job->song)->frames;
    int32_t channels = rg_store_channels(job->store);
    file_name(job, role, name);
    RG_TRY(rg_fs_join(path, sizeof path, folder, name, err));
    RG_TRY(rg__store_read_raw(job->store, job->song, role * channels * n, channels * n, raw, err));
    for (int32_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < n; i++) values[i * channels + c] = raw[c * n + i] * 65536;
    const rg_pcm pcm = {.type = RG_PCM_S16,
                        .samples = values,
                        .frames = n,
                        .channels = channels,
                        .rate = rg_store_rate(job->store)};
    return job->flac ? rg_pcm_write_flac(path, &pcm, err) : rg_pcm_write_wav(path, &pcm, err);
}

static rg_status write_roles(const export_job *job, const char *folder, rg_error *err)
{
    const rg_song *s = rg_store_song(job->store, job->song);
    size_t n = (size_t)(s->frames * rg_store_channels(job->store));
    int16_t *raw = malloc(n * sizeof *raw);
    int32_t *values = malloc(n * sizeof *values);
    rg_status status = RG_OK;
    if (!raw || !values)
        status = rg_fail(err, RG_ERR_NOMEM, "song '%s': no memory for its samples", s->id);
    for (int32_t r = 0; status == RG_OK && r < rg_store_roles(job->store); r++)
        if (s->present[r]) status = write_role(job, r, folder, raw, values, err);
    free(raw);
    free(values);
    return status;
}

/* ---- song.json ---- */

/* null for "", and '?' for bytes beyond ASCII in a text that is not UTF-8. */
static json_t *text_json(const char *text)
{
    if (!text || !*text) return json_null();
    json_t *value = json_string(text);
    char *copy = value ? NULL : strdup(text);
    if (!copy) return value;
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c >= 128) *c = '?';
    value = json_string(copy);
    free(copy);
    return value;
}

static json_t *real_json(double v, bool known)
{
    return known && isfinite(v) ? json_real(v) : json_null();
}

static json_t *times_json(const double *times, int64_t n)
{
    json_t *array = json_array();
    for (int64_t i = 0; i < n; i++) json_array_append_new(array, json_real(times[i]));
    return array;
}

static json_t *key_json(int32_t tonic, int32_t mode)
{
    static const char *const tonics[12] = {"C",  "C#", "D",  "D#", "E",  "F",
                                           "F#", "G",  "G#", "A",  "A#", "B"};
    if (tonic < 0 || tonic > 11) return json_null();
    return json_pack("{s:s, s:s}", "tonic", tonics[tonic], "mode", mode ? "minor" : "major");
}

static json_t *chords_json(const rg_song_chord *chords, int64_t n)
{
    json_t *array = json_array();
    for (int64_t i = 0; i < n; i++)
        json_array_append_new(array, json_pack("{s:f, s:f, s:s}", "start_s", chords[i].start,
                                               "end_s", chords[i].end, "label", chords[i].label));
    return array;
}

/* What is heard, beside what the song's maker says; null where the store says nothing. */
static json_t *heard_json(const rg_song_features *f)
{
    if (!f->version[0]) return json_null();
    return json_pack(
        "{s:s, s:o, s:f, s:o, s:f, s:o, s:f, s:f, s:o, s:o, s:o, s:o, s:o}", "version", f->version,
        "tempo_bpm", real_json(f->tempo_bpm, f->tempo_bpm > 0), "tempo_confidence",
        f->tempo_confidence, "meter", f->meter > 0 ? json_integer(f->meter) : json_null(),
        "meter_confidence", f->meter_confidence, "key", key_json(f->key_tonic, f->key_mode),
        "key_confidence", f->key_confidence, "tuning_cents", f->tuning_cents, "loudness_lufs",
        real_json(f->loudness_lufs, true), "beats_s", times_json(f->beats_s, f->n_beats),
        "downbeats_s", times_json(f->downbeats_s, f->n_downbeats), "sections_s",
        times_json(f->sections_s, f->n_sections), "chords", chords_json(f->chords, f->n_chords));
}

static json_t *role_json(const export_job *job, int32_t r)
{
    const rg_song *s = rg_store_song(job->store, job->song);
    char name[FILE_NAME];
    file_name(job, r, name);
    bool there = s->present[r];
    return json_pack("{s:s, s:b, s:o, s:o, s:o, s:o}", "role", rg_store_role(job->store, r),
                     "present", (int)there, "file", text_json(there ? name : ""), "instrument",
                     text_json(s->instruments[r]), "peak", real_json(s->peak[r], there), "rms_dbfs",
                     real_json(s->rms_dbfs[r], there));
}

static json_t *provenance_json(const rg_provenance *p)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "package",
                     text_json(p->package), "package_version", text_json(p->package_version),
                     "file", text_json(p->file), "file_sha256", text_json(p->file_sha256),
                     "license", text_json(p->license), "renderer", text_json(p->renderer),
                     "renderer_version", text_json(p->renderer_version), "soundfont",
                     text_json(p->soundfont), "soundfont_sha256", text_json(p->soundfont_sha256),
                     "role_map", text_json(p->role_map_json), "source_dataset",
                     text_json(p->source_dataset), "track_id", text_json(p->track_id), "seed",
                     json_integer((json_int_t)p->seed));
}

static json_t *song_json(const export_job *job, const rg_provenance *provenance,
                         const rg_song_features *heard)
{
    const rg_song *s = rg_store_song(job->store, job->song);
    int32_t rate = rg_store_rate(job->store);
    json_t *roles = json_array();
    for (int32_t r = 0; r < rg_store_roles(job->store); r++)
        json_array_append_new(roles, role_json(job, r));
    return json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:s, s:i, s:i, s:I, s:f, s:i, s:o, s:f, "
        "s:o, "
        "s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
        "format", "resonantgen-song", "version", "1.0", "id", text_json(s->id), "title",
        text_json(s->title), "genre", text_json(s->genre), "prompt", text_json(s->prompt), "group",
        text_json(s->group), "split", rg_split_name(s->split), "content_hash",
        text_json(s->content_hash), "store_hash", rg_store_hash(job->store), "sample_rate",
        (int)rate, "channels", (int)rg_store_channels(job->store), "frames", (json_int_t)s->frames,
        "seconds", (double)s->frames / rate, "original_rate", (int)s->original_rate,
        "loudness_lufs", real_json(s->loudness_lufs, true), "gain_db", s->gain_db, "tempo_bpm",
        real_json(s->tempo_bpm, s->tempo_bpm > 0), "meter",
        s->meter > 0 ? json_integer(s->meter) : json_null(), "key",
        key_json(s->key_tonic, s->key_mode), "beats_s", times_json(s->beats, s->n_beats),
        "downbeats_s", times_json(s->downbeats, s->n_downbeats), "chords",
        chords_json(s->chords, s->n_chords), "heard", heard_json(heard), "roles", roles,
        "provenance", provenance_json(provenance));
}

static rg_status write_json(const export_job *job, const char *folder, rg_error *err)
{
    char path[RG__PATH];
    rg_provenance provenance;
    rg_song_features heard;
    RG_TRY(rg_fs_join(path, sizeof path, folder, "song.json", err));
    RG_TRY(rg_store_provenance(job->store, job->song, &provenance, err));
    rg_status read = rg_store_features(job->store, job->song, &heard, err);
    json_t *json = read == RG_OK ? song_json(job, &provenance, &heard) : NULL;
    rg_song_features_free(&heard);
    rg_provenance_free(&provenance);
    RG_TRY(read);
    if (!json) return rg_fail(err, RG_ERR_NOMEM, "%s: no memory to write it", path);
    rg_status status = rg_json_write(json, path, err);
    json_decref(json);
    return status;
}

rg_status rg_store_export(const rg_store *store, int64_t song, const char *folder, bool flac,
                          rg_error *err)
{
    if (song < 0 || song >= rg_store_songs(store))
        return rg_fail(err, RG_ERR_USAGE, "%s: there is no song %lld", rg_store_folder(store),
                       (long long)song);
    const export_job job = {store, song, flac};
    rg_atomic_folder made = {0};
    RG_TRY(rg_fs_begin_folder(&made, folder, err));
    rg_status status = write_roles(&job, made.temporary, err);
    if (status == RG_OK) status = write_json(&job, made.temporary, err);
    if (status == RG_OK) return rg_fs_commit_folder(&made, err);
    rg_fs_abandon_folder(&made);
    return status;
}
