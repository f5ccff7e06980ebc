/*
 * The stem store: a folder with index.jsonl and HDF5 shards; per song one contiguous int16 array,
 * (roles, frames) of a mono store and (roles, 2, frames) of a stereo one, an activity index, tempo,
 * beats, key where known, and provenance.
 *
 * One idea: written once, then only read; reading asks HDF5 for the offset of a song's array once
 * and then uses pread, so any number of threads read at file speed. A role that a song lacks is
 * absent (present 0), never zeros. Roles are data: their number and names come from the store.
 * The format's name is its root attribute Conventions, "ResonantGen-Stems-1.0".
 * Not here: where songs come from (corpora/), crops for training (sampler.h).
 */
#ifndef RG_DATASETS_STORE_H
#define RG_DATASETS_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/status.h"
#include "base/text.h"

enum {
    RG_MAX_ROLES = 16,
    RG_MAX_CHANNELS = 2,
    RG_CHANNEL_MEAN = -1, /* in the place of a channel */
    RG_ID_SIZE = 64,
    RG_ACTIVITY_PER_SECOND = 10,
    RG_STORE_MAJOR = 1,
    RG_STORE_MINOR = 1 /* 1: /summary in every shard */
};

typedef enum rg_split { RG_SPLIT_TRAIN, RG_SPLIT_VALID, RG_SPLIT_TEST, RG_SPLIT_COUNT } rg_split;
const char *rg_split_name(rg_split split);
bool rg_split_parse(const char *text, rg_split *out);

/* A chord that sounds from `start` to `end`, s; label "A:min7" or "N" (none), as in Harte,
 * "Towards automatic extraction of harmony information from music signals", 2010, section 2.3. */
typedef struct rg_song_chord {
    double start, end;
    char label[16];
} rg_song_chord;

typedef struct rg_song {
    char id[RG_ID_SIZE], title[128], group[RG_ID_SIZE], genre[32], prompt[256],
        content_hash[RG_ID_SIZE];
    rg_split split;
    int64_t frames;
    bool present[RG_MAX_ROLES];
    double rms_dbfs[RG_MAX_ROLES], peak[RG_MAX_ROLES]; /* over all channels */
    double loudness_lufs, gain_db; /* of the mix, and what was applied to all stems alike */
    double tempo_bpm;              /* 0: unknown */
    int32_t meter;                 /* beats per bar; 0: unknown */
    int32_t key_tonic, key_mode;   /* 0 = C .. 11 and 0 major, 1 minor; tonic -1: unknown */
    int64_t n_beats, n_downbeats;
    const double *beats, *downbeats; /* seconds */
    int64_t n_chords;                /* 0: unknown */
    const rg_song_chord *chords;     /* rising, never overlapping */
    char signature[8];               /* "6/8" where known to be so written; "" unknown */
    char groove[64];                 /* the accompaniment's pattern; "" unknown */
    int64_t n_activity;              /* blocks of 100 ms */
    const uint8_t *activity; /* (roles, n_activity): RMS of all channels in dB + 96, 0 below */
    uint64_t xxh3;           /* of the int16 array */
    int32_t original_rate;   /* of the source, Hz; 0: the store's own */
    char license[64], package[64];      /* read from the provenance; not read by rg_store_add */
    char instruments[RG_MAX_ROLES][64]; /* "synth bass", "" unknown */
} rg_song;

typedef struct rg_store rg_store;

/* Opens for reading; refuses incomplete shards, foreign versions and lists that disagree, by name.
 * Thread-safe reads. */
rg_store *rg_store_open(const char *folder, rg_error *err);
void rg_store_close(rg_store *store); /* NULL is fine */
const char *rg_store_folder(const rg_store *store);
int32_t rg_store_rate(const rg_store *store);
int32_t rg_store_channels(const rg_store *store); /* 1, or 2: left and right */
int32_t rg_store_roles(const rg_store *store);
const char *rg_store_role(const rg_store *store, int32_t role);
int32_t rg_store_find_role(const rg_store *store, const char *name); /* -1: none */
int64_t rg_store_songs(const rg_store *store);
const rg_song *rg_store_song(const rg_store *store, int64_t song);
int64_t rg_store_find_song(const rg_store *store, const char *id); /* -1: none */
/* SHA-256 over ids, content hashes and checksums of all songs: what a token cache was made from. */
const char *rg_store_hash(const rg_store *store);

/* The configuration it was built from, as YAML; "" when none was given. */
const char *rg_store_config_yaml(const rg_store *store);
/* A table that a person can read: songs, hours, roles present, splits, levels, licences. And the
 * same as a new JSON object (NULL when out of memory). */
rg_status rg_store_describe(const rg_store *store, rg_text *out, rg_error *err) RG_MUST_USE;
json_t *rg_store_describe_json(const rg_store *store);

/* n samples of one role from frame `start`, of one channel or RG_CHANNEL_MEAN, which is exact;
 * parts outside the song, and absent roles, read as zeros. */
rg_status rg_store_read_channel(const rg_store *store, int64_t song, int32_t role, int32_t channel,
                                int64_t start, int64_t n, float *out, rg_error *err) RG_MUST_USE;
/* The mean of the channels. */
rg_status rg_store_read(const rg_store *store, int64_t song, int32_t role, int64_t start, int64_t n,
                        float *out, rg_error *err) RG_MUST_USE;

/* A whole song's role at `rate`, the mean of its channels: *out (n) on the heap, the caller frees;
 * n = round(frames * rate / store's rate). An absent role gives zeros. */
rg_status rg_store_read_resampled(const rg_store *store, int64_t song, int32_t role, int32_t rate,
                                  float **out, int64_t *n, rg_error *err) RG_MUST_USE;

/* A new folder with a file for each role that the song has (drums.wav, or .flac: the store's own
 * samples) and song.json: labels, tempo, beats, roles, provenance. Appears whole or not at all. */
rg_status rg_store_export(const rg_store *store, int64_t song, const char *folder, bool flac,
                          rg_error *err) RG_MUST_USE;

/* Share of 100-ms blocks in [start, start+n) frames where the role is above -60 dBFS. */
double rg_store_active_share(const rg_store *store, int64_t song, int32_t role, int64_t start,
                             int64_t n);

/* "Some Name_2" -> "label.some-name-2", cut to what fits. */
void rg_song_make_id(char out[RG_ID_SIZE], const char *label, const char *stem);
/* Control characters, and all beyond ASCII where it is not UTF-8, become '?'. */
void rg_song_clean_text(char *text);
/* Underscores to blanks; UTF-8 is left as it is. */
void rg_song_make_title(char out[128], const char *stem);

/* ---- where songs come from, and writing ---- */

typedef struct rg_store_info {
    const char *title, *creator, *license, *references, *config_yaml;
    int32_t rate, n_roles, channels; /* channels 0: 1 */
    const char *roles[RG_MAX_ROLES];
    int64_t shard_bytes; /* 0: 4 GiB */
} rg_store_info;

/* Provenance of one song; all texts may be "" but the licence (SPDX). */
typedef struct rg_provenance {
    const char *package, *package_version, *file, *file_sha256, *license, *renderer,
        *renderer_version, *soundfont, *soundfont_sha256, *role_map_json, *source_dataset,
        *track_id;
    uint64_t seed;
} rg_provenance;

/* A song's provenance, with texts on the heap that rg_provenance_free frees. Any thread. */
rg_status rg_store_provenance(const rg_store *store, int64_t song, rg_provenance *out,
                              rg_error *err) RG_MUST_USE;
void rg_provenance_free(rg_provenance *provenance);

/* Whether a finished store that was made with these settings (config_yaml) lies in the folder. */
bool rg_store_is_finished(const char *folder, const char *config_yaml);

typedef struct rg_store_writer rg_store_writer;
/* Goes on with an unfinished store of the same info in `folder`; refuses another one's, and a
 * finished one. Songs wait as one file each in folder/unfinished until rg_store_finish. */
rg_store_writer *rg_store_create(const char *folder, const rg_store_info *info, rg_error *err);
/* Whether a song of this id is already complete in it (a killed build goes on). */
bool rg_store_has(const rg_store_writer *writer, const char *id);
/* The same, and what /songs says of it: texts, split and frames; the rest of *out is zeros. */
bool rg_store_find_added(const rg_store_writer *writer, const char *id, rg_song *out);
/* Removes added songs that are not wanted (any more). */
rg_status rg_store_keep(rg_store_writer *writer, bool (*wanted)(void *ctx, const char *id),
                        void *ctx, rg_error *err) RG_MUST_USE;
/* samples (roles,channels,frames) int16; rows of absent roles are stored as zeros, whatever they
 * hold. Activity, levels, checksum and features (song_features.h) are computed here. A present role
 * that is all zeros is refused: mark it absent. On disk, whole, when this returns. Any thread. */
rg_status rg_store_add(rg_store_writer *writer, const rg_song *song,
                       const rg_provenance *provenance, const int16_t *samples,
                       rg_error *err) RG_MUST_USE;
/* Gathers the songs, sorted by id, into shards, marks them complete, fsyncs, renames; the index is
 * written last and makes the store. Frees the writer; after a failure rg_store_create goes on. */
rg_status rg_store_finish(rg_store_writer *writer, rg_error *err) RG_MUST_USE;
void rg_store_abandon(rg_store_writer *writer); /* keeps what was added, unfinished; frees */

/* Checks every song's checksum and structure; calls `fault` with the song's name and what is wrong.
 */
rg_status rg_store_verify(const char *folder,
                          void (*fault)(void *ctx, const char *song, const char *what), void *ctx,
                          int64_t *faults, rg_error *err) RG_MUST_USE;

#endif
