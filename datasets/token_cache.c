/*
 * Opening a token cache: what it was made from is checked before anything is used (token_cache.h).
 *
 * One idea: the expected roles and hashes come from the store and codecs at hand; the file only has
 * to agree, and the first thing that does not is named.
 */
#include "datasets/token_cache.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "datasets/token_internal.h"

struct rg_tokens {
    int32_t n_roles;
    rg_token_role roles[RG_MAX_ROLES];
    int64_t n_songs;
    rg_token_song *songs;
    rg__token_codes *blocks; /* own the codes of songs */
    double frame_rate;
    char key[65];
};

static rg_status check_codecs(const rg_store *store, const rg_codec *codecs, int32_t n,
                              rg_error *err)
{
    if (n < 1 || n > RG_MAX_ROLES)
        return rg_fail(err, RG_ERR_MISMATCH, "tokens: %d codecs; it must be 1 .. %d", n,
                       RG_MAX_ROLES);
    for (int32_t i = 0; i < n; i++) {
        if (rg_store_find_role(store, codecs[i].role) < 0)
            return rg_fail(err, RG_ERR_MISMATCH,
                           "tokens: the codec of role '%s' has no such role in store %s",
                           codecs[i].role, rg_store_folder(store));
        double rate = rg_encodec_frame_rate(&codecs[i].config);
        if (fabs(rate - rg_encodec_frame_rate(&codecs[0].config)) > 1e-9)
            return rg_fail(err, RG_ERR_MISMATCH,
                           "tokens: the codec of %s has %g frames per second, that of %s %g",
                           codecs[i].role, rate, codecs[0].role,
                           rg_encodec_frame_rate(&codecs[0].config));
        for (int32_t j = 0; j < i; j++)
            if (strcmp(codecs[i].role, codecs[j].role) == 0)
                return rg_fail(err, RG_ERR_MISMATCH, "tokens: two codecs for role '%s'",
                               codecs[i].role);
    }
    return RG_OK;
}

rg_status rg_tokens_key(const rg_store *store, const rg_codec *codecs, int32_t n, char key[65],
                        rg_error *err)
{
    RG_TRY(check_codecs(store, codecs, n, err));
    rg_sha256 *hash = rg_sha256_begin();
    if (!hash) return rg_fail(err, RG_ERR_NOMEM, "tokens: no memory for a hash");
    rg_sha256_add(hash, rg_store_hash(store), strlen(rg_store_hash(store)));
    for (int32_t i = 0; i < n; i++) {
        rg_sha256_add(hash, codecs[i].role, strlen(codecs[i].role) + 1);
        rg_sha256_add(hash, codecs[i].hash, strlen(codecs[i].hash) + 1);
    }
    rg_sha256_end(hash, key);
    return RG_OK;
}

rg_status rg_tokens_path(const rg_store *store, const rg_codec *codecs, int32_t n, char *out,
                         size_t size, rg_error *err)
{
    char key[65];
    RG_TRY(rg_tokens_key(store, codecs, n, key, err));
    const char *folder = rg_store_folder(store);
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/') length--;
    int written = snprintf(out, size, "%.*s.tokens/%.16s.h5", (int)length, folder, key);
    if (written < 0 || (size_t)written >= size)
        return rg_fail(err, RG_ERR_USAGE, "%s: path is too long", folder);
    return RG_OK;
}

/* ---- opening --------------------------------------------------------------------------------- */

static rg_status check_format(hid_t file, const char *path, rg_error *err)
{
    char format[64] = "", version[32] = "";
    rg__h5_get_text(file, "format", format, sizeof format);
    rg__h5_get_text(file, "version", version, sizeof version);
    if (strcmp(format, RG__TOKENS_FORMAT) != 0)
        return rg_fail(err, RG_ERR_FORMAT, "%s: is no token cache", path);
    if (strtol(version, NULL, 10) > RG_TOKENS_MAJOR)
        return rg_fail(err, RG_ERR_FORMAT, "%s: format %s is newer than the %d.%d known here", path,
                       version, RG_TOKENS_MAJOR, RG_TOKENS_MINOR);
    return RG_OK;
}

static rg_status check_role(hid_t file, const char *path, const rg_token_role *want, rg_error *err)
{
    char name[64], hash[65] = "";
    snprintf(name, sizeof name, "/roles/%s", want->name);
    hid_t group = H5Lexists(file, name, H5P_DEFAULT) > 0 ? H5Gopen2(file, name, H5P_DEFAULT) : -1;
    bool there = group >= 0 && rg__h5_get_text(group, "codec", hash, sizeof hash);
    if (group >= 0) H5Gclose(group);
    if (!there)
        return rg_fail(err, RG_ERR_MISMATCH, "%s: has no tokens of role '%s'; build it again", path,
                       want->name);
    if (strcmp(hash, want->codec_hash) != 0)
        return rg_fail(
            err, RG_ERR_MISMATCH,
            "%s: is stale: role %s was encoded by codec %.12s, not %.12s; build it again", path,
            want->name, hash, want->codec_hash);
    return RG_OK;
}

static rg_status check_origin(hid_t file, const char *path, const rg_tokens *t,
                              const rg_store *store, rg_error *err)
{
    char hash[65] = "", key[65] = "";
    RG_TRY(check_format(file, path, err));
    rg__h5_get_text(file, "store", hash, sizeof hash);
    if (strcmp(hash, rg_store_hash(store)) != 0)
        return rg_fail(err, RG_ERR_MISMATCH,
                       "%s: was made from another store (%.12s, not %.12s of %s)", path, hash,
                       rg_store_hash(store), rg_store_folder(store));
    for (int32_t r = 0; r < t->n_roles; r++) RG_TRY(check_role(file, path, &t->roles[r], err));
    rg__h5_get_text(file, "key", key, sizeof key);
    if (strcmp(key, t->key) != 0)
        return rg_fail(err, RG_ERR_MISMATCH, "%s: has other roles than the %d asked for", path,
                       t->n_roles);
    return RG_OK;
}

static rg_status read_songs(hid_t file, const char *path, rg_tokens *t, const rg_store *store,
                            rg_error *err)
{
    int64_t n = 0;
    if (!rg__h5_get(file, "songs", H5T_NATIVE_INT64, &n, 0) || n != rg_store_songs(store))
        return rg_fail(err, RG_ERR_FORMAT, "%s: has %lld songs, the store %lld", path, (long long)n,
                       (long long)rg_store_songs(store));
    t->songs = calloc((size_t)n + 1, sizeof *t->songs);
    t->blocks = calloc((size_t)n + 1, sizeof *t->blocks);
    if (!t->songs || !t->blocks)
        return rg_fail(err, RG_ERR_NOMEM, "%s: no memory for %lld songs", path, (long long)n);
    for (int64_t i = 0; i < n; i++) {
        RG_TRY(rg__tokens_read_song(file, path, i, t->roles, t->n_roles, &t->blocks[i], err));
        t->n_songs = i + 1;
        rg_token_song *song = &t->songs[i];
        memcpy(song->id, t->blocks[i].id, sizeof song->id);
        song->frames = t->blocks[i].frames;
        song->song = rg_store_find_song(store, song->id);
        if (song->song < 0)
            return rg_fail(err, RG_ERR_MISMATCH, "%s: song %s is not in store %s", path, song->id,
                           rg_store_folder(store));
        for (int32_t r = 0; r < t->n_roles; r++) song->codes[r] = t->blocks[i].codes[r];
    }
    return RG_OK;
}

static rg_status open_into(rg_tokens *t, const char *path, const rg_store *store,
                           const rg_codec *codecs, int32_t n, rg_error *err)
{
    RG_TRY(rg_tokens_key(store, codecs, n, t->key, err));
    t->n_roles = n;
    t->frame_rate = rg_encodec_frame_rate(&codecs[0].config);
    for (int32_t r = 0; r < n; r++) {
        rg_token_role *role = &t->roles[r];
        rg_copy_text(role->name, sizeof role->name, codecs[r].role);
        memcpy(role->codec_hash, codecs[r].hash, sizeof role->codec_hash);
        role->books = codecs[r].config.codebooks;
        role->entries = codecs[r].config.entries;
        role->dim = codecs[r].config.dimension;
    }
    rg__h5_quiet();
    hid_t file = rg__h5_open(path);
    if (file < 0)
        return rg_fail(err, RG_ERR_IO,
                       "%s: cannot open the token cache; `resonant tokens build` makes it", path);
    rg_status status = check_origin(file, path, t, store, err);
    if (status == RG_OK) status = read_songs(file, path, t, store, err);
    H5Fclose(file);
    return status;
}

rg_tokens *rg_tokens_open(const char *path, const rg_store *store, const rg_codec *codecs,
                          int32_t n, rg_error *err)
{
    rg_tokens *t = calloc(1, sizeof *t);
    if (!t) {
        rg_fail(err, RG_ERR_NOMEM, "%s: no memory", path);
        return NULL;
    }
    if (open_into(t, path, store, codecs, n, err) == RG_OK) return t;
    rg_tokens_close(t);
    return NULL;
}

void rg_tokens_close(rg_tokens *tokens)
{
    if (!tokens) return;
    for (int64_t i = 0; i < tokens->n_songs; i++) rg__token_codes_free(&tokens->blocks[i]);
    free(tokens->blocks);
    free(tokens->songs);
    free(tokens);
}

int32_t rg_tokens_roles(const rg_tokens *tokens)
{
    return tokens->n_roles;
}

const rg_token_role *rg_tokens_role(const rg_tokens *tokens, int32_t role)
{
    return &tokens->roles[role];
}

int64_t rg_tokens_songs(const rg_tokens *tokens)
{
    return tokens->n_songs;
}

const rg_token_song *rg_tokens_song(const rg_tokens *tokens, int64_t i)
{
    return &tokens->songs[i];
}

double rg_tokens_frame_rate(const rg_tokens *tokens)
{
    return tokens->frame_rate;
}

const char *rg_tokens_key_of(const rg_tokens *tokens)
{
    return tokens->key;
}
