/*
 * An open store, shared by the files that read it: store_open.c, store_shard_read.c, store_files.c,
 * store_facts.c, store_read.c.
 */
#ifndef RG_DATASETS_STORE_READER_H
#define RG_DATASETS_STORE_READER_H

#include <pthread.h>

#include "base/hash.h"
#include "datasets/store_internal.h"

typedef struct rg__shard {
    char name[64];
    int fd;                   /* -1: not open now (store_files.c) */
    int32_t readers;          /* of fd */
    hid_t file;               /* of HDF5; -1: not open now */
    uint64_t used, file_used; /* when fd and file were asked for, in reads */
    void *block;              /* beats and activity of its songs, when it has a /summary */
    char features[16];        /* rg__store_features_mark */
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
    pthread_mutex_t lock; /* of HDF5 */
    uint64_t file_reads;
    pthread_mutex_t files_lock; /* of what follows, and of the shards' fd */
    int32_t most_open, n_open;  /* shards; all stay open where they are no more */
    uint64_t reads;
};

/* Opens shard `index`, whose name is set, and appends its songs; the index says how many songs and
 * bytes it has. */
rg_status rg__store_open_shard(rg_store *s, int32_t index, int64_t songs, int64_t bytes,
                               rg_error *err) RG_MUST_USE;
/* Whether what its songs sound like is of the present version. */
bool rg__store_is_heard(const rg__shard *shard);
/* How many shards a store keeps open: a share of what the process may have. */
int32_t rg__store_most_open(void);
/* While a store is opened, by one thread: the shard is open, perhaps in the place of another. */
rg_status rg__store_keep_open(rg_store *s, int32_t shard, rg_error *err) RG_MUST_USE;
/* A descriptor that stays open until end_read; -1 on failure. */
int rg__store_begin_read(const rg_store *store, int32_t shard, rg_error *err);
void rg__store_end_read(const rg_store *store, int32_t shard);
/* The shard of a song in HDF5, open until another song's is asked for; under the lock. -1 on
 * failure. */
hid_t rg__store_song_file(const rg_store *store, int64_t song, char path[RG__PATH], rg_error *err);
void rg__store_close_files(rg_store *s);

#endif
