/*
 * What the store's own files share: names in the HDF5 files, and short forms of HDF5 calls.
 *
 * One idea: the rg__h5_* functions return true or false and close what they open, so that a whole
 * song is written as one chain of `&&` and one error is made of HDF5's own error stack at the end.
 * Not here: anything a caller outside datasets/store_*.c may use.
 */
#ifndef RG_DATASETS_STORE_INTERNAL_H
#define RG_DATASETS_STORE_INTERNAL_H

#include <hdf5.h>

#include "base/fs.h"
#include "datasets/song_features.h"

#define RG__STORE_CONVENTIONS "ResonantGen-Stems-1.0"
#define RG__STORE_FORMAT "resonantgen-stems"
#define RG__STORE_INDEX "index.jsonl"
#define RG__STORE_UNFINISHED "unfinished"
#define RG__STORE_SUMMARY "/summary"

enum { RG__PATH = 1200, RG__ALIGNMENT = 4096, RG__ACTIVITY_FLOOR = 36 /* -60 dBFS + 96 */ };

/* open() of base/fs over EINTR; -1 and errno. */
int rg__store_open_file(const char *path, int flags);

/* HDF5's errors belong to the thread: call this first in every function that uses HDF5. */
void rg__h5_quiet(void);
/* Records RG_ERR_IO or `code` with the deepest entry of HDF5's error stack. */
rg_status rg__h5_fail(rg_error *err, rg_status code, const char *path, const char *what);
#ifdef __clang_analyzer__ /* which cannot see that rg__h5_fail returns its code */
#define rg__h5_fail(err, code, path, what) ((void)(rg__h5_fail)(err, code, path, what), (code))
#endif

/* New files: contiguous data aligned to 4,096 bytes, readable since 1.8. -1 on failure. A failed
 * write shows in *failure (to be zeroed before) and nowhere else: look after H5Fclose. */
hid_t rg__h5_create(const char *path, rg_error *failure);
/* The same for a file that is there. */
hid_t rg__h5_change(const char *path, rg_error *failure);
hid_t rg__h5_open(const char *path);
/* Sets the driver of store_driver.c in a file access list. */
bool rg__h5_set_driver(hid_t access, rg_error *failure);
/* Closes a file of rg__h5_create or rg__h5_change; gives the first of: `status`, a failed write, a
 * failed close. */
rg_status rg__h5_close_new(hid_t file, rg_status status, const rg_error *failure, rg_error *err);
bool rg__h5_make_group(hid_t at, const char *name);

/* Attributes. Texts are of fixed length, UTF-8. n 0: a scalar. */
bool rg__h5_put_text(hid_t at, const char *name, const char *text);
bool rg__h5_put(hid_t at, const char *name, hid_t type, const void *values, hsize_t n);
bool rg__h5_get_text(hid_t at, const char *name, char *out, size_t size); /* cuts what is longer */
bool rg__h5_get(hid_t at, const char *name, hid_t type, void *values, hsize_t n);
/* A text of any length up to 1 MiB, on the heap. */
char *rg__h5_get_long_text(hid_t at, const char *name);

/* A text of `size` bytes, UTF-8, filled up with zeros; close it with H5Tclose. */
hid_t rg__h5_fixed_text(size_t size);

/* One-dimensional data sets. rg__h5_length is -1 when there is none of this name. */
bool rg__h5_write(hid_t at, const char *name, hid_t type, const void *values, hsize_t n);
int64_t rg__h5_length(hid_t at, const char *name);
bool rg__h5_read(hid_t at, const char *name, hid_t type, void *values, hsize_t n);
/* (rows,columns); the open data set, -1 on failure. */
hid_t rg__h5_write_rows(hid_t at, const char *name, hid_t type, int32_t rows, int64_t columns,
                        const void *values);
/* The same of 2 or 3 dimensions. */
hid_t rg__h5_write_array(hid_t at, const char *name, hid_t type, int32_t rank, const int64_t *dims,
                         const void *values);

/* Of the store that is written: what 0 stands for. */
static inline int32_t rg__store_info_channels(const rg_store_info *info)
{
    return info->channels > 0 ? info->channels : 1;
}

/* What names of roles and ids of songs may be, and how long songs may be (4 hours). */
bool rg__store_good_role(const char *name);
bool rg__store_good_id(const char *id);
int64_t rg__store_most_frames(int32_t rate);

/* One song of a file opened with rg__h5_open, with everything but its place in the file. The
 * beats, downbeats, chords and activity lie in one heap block that the caller frees. */
rg_status rg__store_load_song(hid_t file, const char *path, int32_t n_roles, rg_song *song,
                              void **block, rg_error *err) RG_MUST_USE;
/* The provenance of a song with texts on the heap. */
rg_status rg__store_load_provenance(hid_t file, const char *path, const char *id,
                                    rg_provenance *out, rg_error *err) RG_MUST_USE;
/* The columns of /songs: n songs are written, or read into `songs` (allocated; caller frees). */
bool rg__store_write_columns(hid_t file, const rg_song *songs, int64_t n);
rg_status rg__store_read_columns(hid_t file, const char *path, rg_song **songs, int64_t *n,
                                 rg_error *err) RG_MUST_USE;

/* "/features/ID" */
void rg__store_song_path(char out[128], const char *group, const char *id);
/* Writes one song into the groups of `file` (rg__store_make_groups). */
bool rg__store_make_groups(hid_t file);
bool rg__store_write_song(hid_t file, const rg_store_info *info, const rg_song *song,
                          const rg_provenance *provenance, const int16_t *samples);
/* What was heard in a song that is in `file`, in the place of what is there; nothing is written of
 * version "", which is what loading gives where there is nothing. */
bool rg__store_write_features(hid_t file, const char *id, int32_t n_roles,
                              const rg_song_features *features);
rg_status rg__store_load_features(hid_t file, const char *path, const char *id, int32_t n_roles,
                                  rg_song_features *out, rg_error *err) RG_MUST_USE;
/* The version of the features that all songs of a shard have; "": none, or several. Reading is
 * false where there is no mark. */
bool rg__store_mark_features(hid_t file, const char *version);
bool rg__store_features_mark(hid_t file, char *out, size_t size);

/* Chords in a group of one song; nothing is written of a song without. */
bool rg__store_write_chords(hid_t features, const rg_song_chord *chords, int64_t n);
bool rg__store_load_chords(hid_t features, rg_song_chord *chords, int64_t n);
/* Whether times are finite and rising, and those of chords do not overlap. */
bool rg__store_rising(const double *times, int64_t n);
bool rg__store_rising_chords(const rg_song_chord *chords, int64_t n);

/* Beats and chords in order, tempo and key in range: what a damaged file may not say. */
bool rg__song_is_sound(const rg_song *song);

/* The group /summary of a shard: all songs' facts (the columns of /songs are in `songs` already)
 * and the offset of each one's samples. Beats, downbeats, chords and activity of all lie in one
 * heap block that the caller frees. */
bool rg__store_write_summary(hid_t file, int32_t n_roles, const rg_song *songs, int64_t n);
bool rg__store_has_summary(hid_t file);
rg_status rg__store_read_summary(hid_t file, const char *path, int32_t n_roles, rg_song *songs,
                                 int64_t *offsets, int64_t n, void **block,
                                 rg_error *err) RG_MUST_USE;
/* The name of the first fact in which two readings of a song differ; NULL when they are alike. */
const char *rg__store_compare(int32_t n_roles, const rg_song *a, const rg_song *b);

/* The root attributes of a new shard, not complete yet. */
bool rg__store_put_root(hid_t file, const rg_store_info *info);
/* The tables /songs and /summary; then the shard says that it is complete. */
bool rg__store_complete(hid_t file, int32_t n_roles, const rg_song *songs, int64_t n);

/* The lock in folder/unfinished that whoever writes a store holds (rg_fs_lock). */
int rg__store_lock(const char *unfinished, rg_error *err);

/* Gathers the staged songs (file names in `names`) into shards and writes the index. */
rg_status rg__store_gather(const char *folder, const rg_store_info *info, char *const *names,
                           size_t n, rg_error *err) RG_MUST_USE;

/* Blocks of 100 ms that n frames make, and the first frame of one. */
int64_t rg__store_blocks(int64_t frames, int32_t rate);
int64_t rg__store_block_start(int64_t block, int32_t rate);
/* RMS in dB + 96 of each block of one role's samples (channels,frames), rounded; 0 below. The sum
 * of all squares. */
int64_t rg__store_activity(const int16_t *samples, int32_t channels, int64_t frames, int32_t rate,
                           uint8_t *out);
int32_t rg__store_peak(const int16_t *samples, int64_t n); /* 0 to 32768 */

/* The song as its own groups in the shard have it: for verify. */
rg_status rg__store_load_again(const rg_store *store, int64_t song, rg_song *out, void **block,
                               rg_error *err) RG_MUST_USE;
/* Where a song's array lies: for verify. */
const char *rg__store_shard_name(const rg_store *store, int64_t song);
/* n samples of a song's (roles,channels,frames) from the first-th on. */
rg_status rg__store_read_raw(const rg_store *store, int64_t song, int64_t first, int64_t n,
                             int16_t *out, rg_error *err) RG_MUST_USE;

#endif
