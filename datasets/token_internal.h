/*
 * What the two halves of the token cache share: how one song is written and read.
 *
 * One idea: a part (one song, while building) and the finished cache hold songs in the same way, so
 * the same two functions serve both.
 */
#ifndef RG_DATASETS_TOKEN_INTERNAL_H
#define RG_DATASETS_TOKEN_INTERNAL_H

#include "datasets/store_internal.h"
#include "datasets/token_cache.h"

#define RG__TOKENS_FORMAT "resonantgen-tokens"

/* One song's codes on the heap: codes[r] (frames*books) or NULL. */
typedef struct rg__token_codes {
    char id[RG_ID_SIZE];
    int64_t frames;
    uint16_t *codes[RG_MAX_ROLES];
} rg__token_codes;
void rg__token_codes_free(rg__token_codes *song);

/* The group "/songs/<index>" of one song, with a checksum (XXH3) per role. */
bool rg__tokens_write_song(hid_t file, int64_t index, const rg__token_codes *song,
                           const rg_codec *codecs, int32_t n);
/* RG_ERR_FORMAT when something lacks, has the wrong length, or a checksum or code is wrong. */
rg_status rg__tokens_read_song(hid_t file, const char *path, int64_t index,
                               const rg_token_role *roles, int32_t n, rg__token_codes *out,
                               rg_error *err) RG_MUST_USE;

#endif
