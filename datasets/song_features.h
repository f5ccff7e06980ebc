/*
 * What is heard in a song of a store: /features/ID/heard, beside the labels that its source gave.
 *
 * One idea: labels (rg_song) are what a song's maker says, these are what rg_features_of hears in
 * its stems; both are kept, with method and version, so that either can be judged by the other.
 * Older stores have none; rg_store_hear makes them. Not here: how it is heard (music/features).
 */
#ifndef RG_DATASETS_SONG_FEATURES_H
#define RG_DATASETS_SONG_FEATURES_H

#include "base/log.h"
#include "datasets/store.h"

enum { RG_SONG_PATTERN = 16, RG_SONG_ONSETS_PER_SECOND = 100 };

typedef struct rg_song_features {
    char version[16];                   /* of the methods, RG_FEATURES_VERSION; "": none stored */
    double tempo_bpm, tempo_confidence; /* 0: no tempo */
    int32_t meter;                      /* 3 or 4; 0: unsure */
    double meter_confidence;
    int32_t key_tonic, key_mode; /* as in rg_song; tonic -1: no key */
    double key_confidence, tuning_cents, loudness_lufs;
    int64_t n_beats, n_downbeats, n_sections, n_chords, n_energy, n_onset, n_rhythm;
    double *beats_s, *downbeats_s, *sections_s; /* the beginning of each */
    rg_song_chord *chords;                      /* one behind the other, from 0 to the end */
    float *energy; /* (roles,n_energy) mean square of each 100 ms; 0 for absent roles */
    float *onset;  /* (roles,n_onset) envelope, 100 a second (music/features/onset.h) */
    float *rhythm; /* (roles,16) shares of onset strength by sixteenth of a bar */
} rg_song_features;

/* What is heard in samples (roles,channels,frames) of a store of these roles, channels and rate;
 * roles that are not present are not read. Free with rg_song_features_free, also after a fault. */
rg_status rg_song_features_hear(const rg_song *song, const rg_store_info *store,
                                const int16_t *samples, rg_song_features *out,
                                rg_error *err) RG_MUST_USE;
void rg_song_features_free(rg_song_features *features);

/* What a store says was heard in a song; version "" where it says nothing. Any thread. */
rg_status rg_store_features(const rg_store *store, int64_t song, rg_song_features *out,
                            rg_error *err) RG_MUST_USE;
/* How many songs lie in shards whose features are of the present version. */
int64_t rg_store_heard_songs(const rg_store *store);

/*
 * Hears all songs of a finished store whose features are missing or of another version, `jobs` at
 * once (0: one per CPU). Shard by shard: a new file beside the old one, then the index, which
 * decides; so a stopped one goes on, and at every moment the store is whole. RG_ERR_IO when
 * somebody else is writing it. *heard: songs.
 */
rg_status rg_store_hear(const char *folder, int32_t jobs, const rg_log *log, int64_t *heard,
                        rg_error *err) RG_MUST_USE;

#endif
