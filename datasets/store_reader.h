/*
 * An open store, shared by the files that read it: store_open.c, store_shard_read.c, store_facts.c,
 * store_read.c.
 */
#ifndef RG_DATASETS_STORE_READER_H
#define RG_DATASETS_STORE_READER_H

#include <pthread.h>

#include "base/hash.h"
#include "datasets/store_internal.h"

typedef struct rg__shard {
    char name[64];
    int fd;
    hid_t file;        /* open only while loading, or when a song needs the slow path */
    void *block;       /* beats and activity of its songs, when it has a /summary */
    char features[16]; /* rg__store_features_mark */
} rg__shard;

typedef struct rg__entry {
    rg_song song;
    void *block; /* its beats and activity, when the shard has none */
    int32_t shard;
    int64_t offset; /* of the array in the shard; -1: read through HDF5 */
} rg__entry;

struct rg_store {
    char folder[1024], hash[RG_SHA256_HEX], *config;
    int32_t rate, channels, n_roles, n_shards;
    char roles[RG_MAX_ROLES][32];
    rg__shard *shards;
    int64_t n_songs;
    rg__entry *songs;
    pthread_mutex_t lock; /* of the slow path */
};

/* Opens shard `index`, whose name is set, and appends its songs; the index says how many songs and
 * bytes it has. */
rg_status rg__store_open_shard(rg_store *s, int32_t index, int64_t songs, int64_t bytes,
                               rg_error *err) RG_MUST_USE;
/* Whether what its songs sound like is of the present version. */
bool rg__store_is_heard(const rg__shard *shard);
/* The shard of a song, open; under the lock. It stays open for the next song. -1 on failure. */
hid_t rg__store_song_file(const rg_store *store, int64_t song, char path[RG__PATH], rg_error *err);

#endif
