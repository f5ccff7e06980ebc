/*
 * Reading samples of a store: by pread from any thread; whole songs at another rate; provenance.
 *
 * One idea: where a song's array lies is known since the store was opened, so a read is one pread
 * at file speed. Repacked shards are read through HDF5 under a lock.
 * Not here: questions about levels (store_levels.c), checking every byte (store_verify.c), crops
 * (sampler.h).
 */
#include <string.h>

#include "audio/audio.h"
#include "datasets/store_reader.h"

enum { READ_AT_ONCE = 16384 };

static rg_status read_slowly(const rg_store *s, const rg__entry *e, int64_t first, int64_t n,
                             int16_t *out, rg_error *err)
{
    char name[128], path[RG__PATH];
    snprintf(name, sizeof name, "/audio/%s", e->song.id);
    const rg__shard *sh = &s->shards[e->shard];
    rg_status status = RG_OK;
    pthread_mutex_lock((pthread_mutex_t *)&s->lock);
    hid_t file = rg__store_song_file(s, e - s->songs, path, err);
    hid_t set = file >= 0 ? H5Dopen2(file, name, H5P_DEFAULT) : -1;
    hid_t space = set >= 0 ? H5Dget_space(set) : -1;
    for (int64_t done = 0; status == RG_OK && done < n;) { /* row by row */
        int64_t row = (first + done) / e->song.frames, column = (first + done) % e->song.frames;
        int64_t in_row = e->song.frames - column, part = n - done < in_row ? n - done : in_row;
        hsize_t at[3] = {(hsize_t)row, (hsize_t)column}, count[3] = {1, (hsize_t)part};
        if (s->channels > 1) {
            at[0] = (hsize_t)(row / s->channels);
            at[1] = (hsize_t)(row % s->channels);
            at[2] = (hsize_t)column;
            count[1] = 1;
            count[2] = (hsize_t)part;
        }
        hid_t memory = H5Screate_simple(s->channels > 1 ? 3 : 2, count, NULL);
        if (space < 0 || H5Sselect_hyperslab(space, H5S_SELECT_SET, at, NULL, count, NULL) < 0 ||
            H5Dread(set, H5T_NATIVE_INT16, memory, space, H5P_DEFAULT, out + done) < 0)
            status = rg__h5_fail(err, RG_ERR_IO, sh->name, "reading samples failed");
        H5Sclose(memory);
        done += part;
    }
    if (space >= 0) H5Sclose(space);
    if (set >= 0) H5Dclose(set);
    pthread_mutex_unlock((pthread_mutex_t *)&s->lock);
    return status;
}

rg_status rg__store_read_raw(const rg_store *store, int64_t song, int64_t first, int64_t n,
                             int16_t *out, rg_error *err)
{
    const rg__entry *e = &store->songs[song];
    if (e->offset < 0) return read_slowly(store, e, first, n, out, err);
    const int fd = rg__store_begin_read(store, e->shard, err);
    if (fd < 0) return RG_ERR_IO;
    rg_status status = rg_fs_pread_exact(fd, out, (size_t)n * sizeof *out,
                                         e->offset + first * (int64_t)sizeof *out,
                                         store->shards[e->shard].name, err);
    rg__store_end_read(store, e->shard);
    return status;
}

static void scale_to(const int16_t *restrict x, int64_t n, float scale, float *restrict out)
{
    for (int64_t i = 0; i < n; i++) out[i] = x[i] * scale;
}

static void add_scaled(const int16_t *restrict x, int64_t n, float scale, float *restrict out)
{
    for (int64_t i = 0; i < n; i++) out[i] += x[i] * scale;
}

/* out (n) = or += the samples of one row of a song, times `scale`. */
static rg_status read_row(const rg_store *store, int64_t song, int64_t row, int64_t from, int64_t n,
                          float scale, bool add, float *out, rg_error *err)
{
    int16_t block[READ_AT_ONCE];
    int64_t first = row * store->songs[song].song.frames + from;
    for (int64_t at = 0; at < n;) {
        int64_t count = n - at < READ_AT_ONCE ? n - at : READ_AT_ONCE;
        RG_TRY(rg__store_read_raw(store, song, first + at, count, block, err));
        if (add)
            add_scaled(block, count, scale, out + at);
        else
            scale_to(block, count, scale, out + at);
        at += count;
    }
    return RG_OK;
}

rg_status rg_store_read_channel(const rg_store *store, int64_t song, int32_t role, int32_t channel,
                                int64_t start, int64_t n, float *out, rg_error *err)
{
    const int32_t channels = store->channels;
    if (channel < RG_CHANNEL_MEAN || channel >= channels)
        return rg_fail(err, RG_ERR_USAGE, "%s: has %d channels, there is no channel %d",
                       store->folder, channels, channel);
    if (song < 0 || song >= store->n_songs || role < 0 || role >= store->n_roles || n < 0)
        return rg_fail(err, RG_ERR_USAGE, "%s: there is no song %lld or role %d", store->folder,
                       (long long)song, role);
    const rg_song *s = &store->songs[song].song;
    int64_t from = start < 0 ? 0 : start, to = start + n > s->frames ? s->frames : start + n;
    if (!s->present[role] || to <= from) from = to = start;
    memset(out, 0, (size_t)(from - start) * sizeof *out);
    int32_t first = channel < 0 ? 0 : channel, last = channel < 0 ? channels - 1 : channel;
    const float scale = 1.0f / (float)(32768 * (last - first + 1));
    for (int32_t c = first; c <= last; c++)
        RG_TRY(read_row(store, song, (int64_t)role * channels + c, from, to - from, scale,
                        c > first, out + (from - start), err));
    memset(out + (to - start), 0, (size_t)(start + n - to) * sizeof *out);
    return RG_OK;
}

rg_status rg_store_read(const rg_store *store, int64_t song, int32_t role, int64_t start, int64_t n,
                        float *out, rg_error *err)
{
    return rg_store_read_channel(store, song, role, RG_CHANNEL_MEAN, start, n, out, err);
}

rg_status rg_store_read_resampled(const rg_store *store, int64_t song, int32_t role, int32_t rate,
                                  float **out, int64_t *n, rg_error *err)
{
    rg_audio whole = {0}, made = {0};
    *out = NULL;
    *n = 0;
    if (song < 0 || song >= rg_store_songs(store))
        return rg_fail(err, RG_ERR_USAGE, "%s: there is no song %lld", rg_store_folder(store),
                       (long long)song);
    int64_t frames = rg_store_song(store, song)->frames;
    RG_TRY(rg_audio_make(&whole, frames, 1, rg_store_rate(store), err));
    rg_status status = rg_store_read(store, song, role, 0, frames, whole.samples, err);
    if (status == RG_OK) status = rg_audio_resample(&whole, rate, &made, err);
    rg_audio_free(&whole);
    *out = made.samples;
    *n = made.frames;
    return status;
}

rg_status rg_store_provenance(const rg_store *store, int64_t song, rg_provenance *out,
                              rg_error *err)
{
    char path[RG__PATH];
    *out = (rg_provenance){0};
    pthread_mutex_lock((pthread_mutex_t *)&store->lock);
    hid_t file = rg__store_song_file(store, song, path, err);
    rg_status status =
        file < 0 ? err->code
                 : rg__store_load_provenance(file, path, store->songs[song].song.id, out, err);
    pthread_mutex_unlock((pthread_mutex_t *)&store->lock);
    return status;
}

rg_status rg__store_load_again(const rg_store *store, int64_t song, rg_song *out, void **block,
                               rg_error *err)
{
    char path[RG__PATH];
    *block = NULL;
    *out = store->songs[song].song;
    pthread_mutex_lock((pthread_mutex_t *)&store->lock);
    hid_t file = rg__store_song_file(store, song, path, err);
    rg_status status =
        file < 0 ? err->code : rg__store_load_song(file, path, store->n_roles, out, block, err);
    pthread_mutex_unlock((pthread_mutex_t *)&store->lock);
    return status;
}
