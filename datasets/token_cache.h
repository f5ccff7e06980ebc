/*
 * The token cache: the codes of every song and role of a stem store, made once by frozen codecs.
 *
 * One idea: a cache is keyed by what it was made from (the store's hash and each role's codec
 * hash). Its file is named by that key and says it inside; a cache of another store or another
 * codec is refused by name, never read. Songs are encoded one by one into parts that appear whole
 * or not at all, so a build that was killed goes on; opening reads all codes into memory.
 * Format: HDF5, "resonantgen-tokens" 1.0: /roles/<role> (codec, books, entries, dim),
 * /songs/<n> (id, frames) with one uint16 data set (frames*books) per role that the song has.
 * Not here: windows and masks for training (train/track_data.h).
 */
#ifndef RG_DATASETS_TOKEN_CACHE_H
#define RG_DATASETS_TOKEN_CACHE_H

#include "base/log.h"
#include "datasets/store.h"
#include "models/encodec.h"

enum { RG_TOKENS_MAJOR = 1, RG_TOKENS_MINOR = 0 };

typedef struct rg_token_role {
    char name[32], codec_hash[65];
    int32_t books, entries, dim;
} rg_token_role;

typedef struct rg_token_song {
    char id[RG_ID_SIZE];
    int64_t song;                        /* index in the store that the cache was opened with */
    int64_t frames;                      /* F, of all roles */
    const uint16_t *codes[RG_MAX_ROLES]; /* (F,K) by the cache's role numbers; NULL: absent */
} rg_token_song;

typedef struct rg_tokens rg_tokens;

/*
 * SHA-256 over the store's hash and, for each codec in order, role and codec hash. A codec whose
 * role the store lacks, a role given twice, or codecs of different frame rates are RG_ERR_MISMATCH.
 */
rg_status rg_tokens_key(const rg_store *store, const rg_codec *codecs, int32_t n, char key[65],
                        rg_error *err) RG_MUST_USE;
/* "<store folder>.tokens/<first 16 digits of the key>.h5". */
rg_status rg_tokens_path(const rg_store *store, const rg_codec *codecs, int32_t n, char *out,
                         size_t size, rg_error *err) RG_MUST_USE;

/*
 * Encodes every song of the store with codecs[i] for the role codecs[i].role, unless `path` holds
 * that already. Finished songs are kept in "<path>.parts" until the end. RG_ERR_CANCELLED when
 * *stop becomes non-zero (NULL: never); what was done stays.
 */
rg_status rg_tokens_build(rg_store *store, rg_codec *codecs, int32_t n, const char *path,
                          rg_exec *ex, const volatile int *stop, const rg_log *log,
                          rg_error *err) RG_MUST_USE;

/*
 * Opens and reads all codes. Refuses (RG_ERR_MISMATCH, naming role or store) a file that was not
 * made from this store with these codecs, and a damaged one (RG_ERR_FORMAT).
 */
rg_tokens *rg_tokens_open(const char *path, const rg_store *store, const rg_codec *codecs,
                          int32_t n, rg_error *err);
void rg_tokens_close(rg_tokens *tokens); /* NULL is fine */
int32_t rg_tokens_roles(const rg_tokens *tokens);
const rg_token_role *rg_tokens_role(const rg_tokens *tokens, int32_t role);
int64_t rg_tokens_songs(const rg_tokens *tokens);
const rg_token_song *rg_tokens_song(const rg_tokens *tokens, int64_t i);
double rg_tokens_frame_rate(const rg_tokens *tokens);
const char *rg_tokens_key_of(const rg_tokens *tokens);

#endif
