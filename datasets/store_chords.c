/*
 * Chords of a song in an HDF5 file: three parallel data sets, start, end and label.
 *
 * One idea: what only some songs have is written only for them, so files of the others stay as
 * they were and older files can be read. Not here: the rest of a song (store_song.c).
 */
#include <math.h>
#include <stdlib.h>

#include "datasets/store_internal.h"

bool rg__store_write_chords(hid_t at, const rg_song_chord *chords, int64_t count)
{
    if (count == 0) return true;
    size_t n = (size_t)count, size = sizeof chords->label;
    double *times = malloc(2 * n * sizeof *times);
    char *labels = calloc(n, size);
    hid_t type = rg__h5_fixed_text(size);
    for (size_t i = 0; times && labels && i < n; i++) {
        times[i] = chords[i].start;
        times[n + i] = chords[i].end;
        rg_copy_text(labels + i * size, size, chords[i].label);
    }
    bool ok = times && labels && rg__h5_write(at, "chords_start_s", H5T_NATIVE_DOUBLE, times, n) &&
              rg__h5_write(at, "chords_end_s", H5T_NATIVE_DOUBLE, times + n, n) &&
              rg__h5_write(at, "chords_label", type, labels, n);
    H5Tclose(type);
    free(times);
    free(labels);
    return ok;
}

bool rg__store_rising_chords(const rg_song_chord *chords, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(chords[i].start) || !isfinite(chords[i].end) ||
            !(chords[i].start <= chords[i].end) ||
            (i > 0 && !(chords[i].start >= chords[i - 1].end)))
            return false;
    return true;
}

bool rg__store_load_chords(hid_t features, rg_song_chord *chords, int64_t n)
{
    if (n == 0) return true;
    size_t count = (size_t)n, size = sizeof chords->label;
    double *times = malloc(2 * count * sizeof *times);
    char *labels = calloc(count, size);
    hid_t type = rg__h5_fixed_text(size);
    bool ok = times && labels &&
              rg__h5_read(features, "chords_start_s", H5T_NATIVE_DOUBLE, times, count) &&
              rg__h5_read(features, "chords_end_s", H5T_NATIVE_DOUBLE, times + count, count) &&
              rg__h5_read(features, "chords_label", type, labels, count);
    for (size_t i = 0; ok && i < count; i++) {
        chords[i] = (rg_song_chord){.start = times[i], .end = times[count + i]};
        labels[i * size + size - 1] = 0;
        rg_copy_text(chords[i].label, size, labels + i * size);
    }
    H5Tclose(type);
    free(times);
    free(labels);
    return ok;
}
