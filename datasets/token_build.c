/*
 * Building a token cache (token_cache.h).
 *
 * One idea: a song's part is a small file named by the song and the key, written atomically; a
 * build that is started again finds the parts of the same key and encodes only what lacks. At the
 * end the parts are gathered into one file, which appears whole, and removed.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "datasets/sampler.h"
#include "datasets/token_internal.h"

typedef struct build {
    rg_store *store;
    rg_codec *codecs;
    int32_t n;
    const char *path;
    rg_exec *ex;
    const rg_log *log;
    char key[65], parts[RG__PATH];
    rg_token_role roles[RG_MAX_ROLES];
} build;

/* ---- one file -------------------------------------------------------------------------------- */

static bool write_head(hid_t file, const build *b, int64_t songs)
{
    bool ok = rg__h5_put_text(file, "format", RG__TOKENS_FORMAT) &&
              rg__h5_put_text(file, "version", "1.0") && rg__h5_put_text(file, "key", b->key) &&
              rg__h5_put_text(file, "store", rg_store_hash(b->store)) &&
              rg__h5_put(file, "songs", H5T_NATIVE_INT64, &songs, 0) &&
              rg__h5_make_group(file, "/roles") && rg__h5_make_group(file, "/songs");
    for (int32_t r = 0; ok && r < b->n; r++) {
        const rg_token_role *role = &b->roles[r];
        char name[64];
        snprintf(name, sizeof name, "/roles/%s", role->name);
        hid_t group = H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        ok = group >= 0 && rg__h5_put_text(group, "codec", role->codec_hash) &&
             rg__h5_put(group, "books", H5T_NATIVE_INT32, &role->books, 0) &&
             rg__h5_put(group, "entries", H5T_NATIVE_INT32, &role->entries, 0) &&
             rg__h5_put(group, "dim", H5T_NATIVE_INT32, &role->dim, 0);
        if (group >= 0) ok = H5Gclose(group) >= 0 && ok;
    }
    return ok;
}

/* A file of songs [0,n), each given by `next`; appears whole. */
static rg_status write_file(const build *b, const char *path, int64_t n,
                            rg_status (*next)(const build *b, int64_t i, rg__token_codes *out,
                                              rg_error *err),
                            const rg__token_codes *only, rg_error *err)
{
    char temporary[RG__PATH + 32];
    rg_error failure = {0};
    snprintf(temporary, sizeof temporary, "%s.tmp.%ld", path, (long)getpid());
    rg__h5_quiet();
    hid_t file = rg__h5_create(temporary, &failure);
    rg_status status = RG_OK;
    if (file < 0 || !write_head(file, b, n))
        status = rg__h5_fail(err, RG_ERR_IO, temporary, "cannot begin the token cache");
    for (int64_t i = 0; i < n && status == RG_OK; i++) {
        rg__token_codes song = {0};
        if (next) status = next(b, i, &song, err);
        if (status == RG_OK &&
            !rg__tokens_write_song(file, i, only ? only : &song, b->codecs, b->n))
            status = rg__h5_fail(err, RG_ERR_IO, temporary, "cannot write a song");
        rg__token_codes_free(&song);
    }
    status = rg__h5_close_new(file, status, &failure, err);
    if (status == RG_OK) status = rg_fs_commit_path(temporary, path, err);
    if (status != RG_OK) rg_fs_current()->unlink(temporary);
    return status;
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* Named by a hash: song ids may hold anything. */
static rg_status part_path(const build *b, int64_t song, char out[RG__PATH], rg_error *err)
{
    char text[RG_ID_SIZE + 70], name[32];
    int n = snprintf(text, sizeof text, "%s/%s", b->key, rg_store_song(b->store, song)->id);
    snprintf(name, sizeof name, "%016llx.h5", (unsigned long long)rg_xxh3(text, (size_t)n));
    return rg_fs_join(out, RG__PATH, b->parts, name, err);
}

static rg_status read_part(const build *b, int64_t song, rg__token_codes *out, rg_error *err)
{
    char path[RG__PATH], key[65] = "";
    RG_TRY(part_path(b, song, path, err));
    hid_t file = rg__h5_open(path);
    if (file < 0) return rg_fail(err, RG_ERR_IO, "%s: cannot open a part", path);
    rg__h5_get_text(file, "key", key, sizeof key);
    rg_status status = strcmp(key, b->key) == 0
                           ? rg__tokens_read_song(file, path, 0, b->roles, b->n, out, err)
                           : rg_fail(err, RG_ERR_MISMATCH, "%s: is a part of another cache", path);
    H5Fclose(file);
    if (status == RG_OK && strcmp(out->id, rg_store_song(b->store, song)->id) != 0) {
        rg__token_codes_free(out);
        status = rg_fail(err, RG_ERR_MISMATCH, "%s: is the part of another song", path);
    }
    return status;
}

static bool has_part(const build *b, int64_t song)
{
    char path[RG__PATH];
    rg_error ignored = {0};
    rg__token_codes codes;
    if (part_path(b, song, path, &ignored) != RG_OK || !rg_fs_exists(path)) return false;
    if (read_part(b, song, &codes, &ignored) != RG_OK) return false; /* made again */
    rg__token_codes_free(&codes);
    return true;
}

/* ---- encoding -------------------------------------------------------------------------------- */

static rg_status encode_role(const build *b, int64_t song, int32_t r, rg__token_codes *out,
                             rg_error *err)
{
    rg_codec *codec = &b->codecs[r];
    int32_t role = rg_store_find_role(b->store, codec->role);
    int64_t n = 0, hop = rg_encodec_hop(&codec->config), books = codec->config.codebooks;
    float *samples = NULL;
    RG_TRY(rg_store_read_resampled(b->store, song, role, codec->config.sample_rate, &samples, &n,
                                   err));
    int64_t frames = (n + hop - 1) / hop;
    if (out->frames > frames || out->frames == 0) out->frames = frames;
    int32_t *codes = malloc((size_t)(frames * books) * sizeof *codes + 1);
    out->codes[r] = malloc((size_t)(frames * books) * sizeof **out->codes + 1);
    rg_status status = RG_OK;
    if (!codes || !out->codes[r]) {
        status = rg_fail(err, RG_ERR_NOMEM, "no memory for the codes of %s", out->id);
    } else {
        rg_step_begin(b->ex, 0);
        status = rg_codec_encode_audio(b->ex, codec, samples, n, codes);
        if (status != RG_OK) rg_fail(err, status, "song %s: %s", out->id, b->ex->error.text);
        for (int64_t i = 0; status == RG_OK && i < frames * books; i++)
            out->codes[r][i] = (uint16_t)codes[i];
    }
    free(codes);
    free(samples);
    return status;
}

static rg_status encode_song(const build *b, int64_t song, rg_error *err)
{
    const rg_song *s = rg_store_song(b->store, song);
    rg__token_codes codes = {0};
    char path[RG__PATH];
    rg_copy_text(codes.id, sizeof codes.id, s->id);
    rg_status status = part_path(b, song, path, err);
    for (int32_t r = 0; r < b->n && status == RG_OK; r++)
        if (s->present[rg_store_find_role(b->store, b->codecs[r].role)])
            status = encode_role(b, song, r, &codes, err);
    if (status == RG_OK) status = write_file(b, path, 1, NULL, &codes, err);
    rg__token_codes_free(&codes);
    return status;
}

static rg_status encode_all(const build *b, const volatile int *stop, rg_error *err)
{
    int64_t n = rg_store_songs(b->store), kept = 0;
    rg_progress progress;
    rg_progress_start(&progress, "encoding", n);
    for (int64_t i = 0; i < n; i++) {
        if (stop && *stop)
            return rg_fail(err, RG_ERR_CANCELLED,
                           "stopped after %lld of %lld songs; the same command goes on",
                           (long long)i, (long long)n);
        if (has_part(b, i))
            kept++;
        else
            RG_TRY(encode_song(b, i, err));
        rg_progress_step(&progress, b->log, i + 1, rg_store_song(b->store, i)->id);
    }
    if (kept)
        rg_log_line(b->log, RG_LOG_INFO, "%lld of %lld songs had been encoded before",
                    (long long)kept, (long long)n);
    return RG_OK;
}

/* The folder of a path, made if need be. */
static rg_status make_parent(const char *path, rg_error *err)
{
    char folder[RG__PATH];
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path) return RG_OK;
    if ((size_t)(slash - path) >= sizeof folder)
        return rg_fail(err, RG_ERR_USAGE, "%s: path is too long", path);
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = 0;
    return rg_fs_make_folders(folder, err);
}

static rg_status prepare(build *b, rg_error *err)
{
    RG_TRY(rg_tokens_key(b->store, b->codecs, b->n, b->key, err));
    int n = snprintf(b->parts, sizeof b->parts, "%s.parts", b->path);
    if (n < 0 || (size_t)n >= sizeof b->parts)
        return rg_fail(err, RG_ERR_USAGE, "%s: path is too long", b->path);
    for (int32_t r = 0; r < b->n; r++) {
        const rg_codec *codec = &b->codecs[r];
        if (codec->config.entries > 65536)
            return rg_fail(err, RG_ERR_UNSUPPORTED, "codec of %s: %d entries do not fit 16 bits",
                           codec->role, codec->config.entries);
        b->roles[r] = (rg_token_role){.books = codec->config.codebooks,
                                      .entries = codec->config.entries,
                                      .dim = codec->config.dimension};
        rg_copy_text(b->roles[r].name, sizeof b->roles[r].name, codec->role);
        memcpy(b->roles[r].codec_hash, codec->hash, sizeof codec->hash);
    }
    RG_TRY(make_parent(b->path, err));
    RG_TRY(rg_fs_make_folders(b->parts, err));
    rg_fs_sweep_temporaries(b->parts);
    return RG_OK;
}

rg_status rg_tokens_build(rg_store *store, rg_codec *codecs, int32_t n, const char *path,
                          rg_exec *ex, const volatile int *stop, const rg_log *log, rg_error *err)
{
    build b = {.store = store, .codecs = codecs, .n = n, .path = path, .ex = ex, .log = log};
    rg_error ignored = {0};
    if (rg_fs_exists(path)) {
        rg_tokens *there = rg_tokens_open(path, store, codecs, n, &ignored);
        if (there) {
            rg_log_line(log, RG_LOG_INFO, "%s: is there already, %lld songs", path,
                        (long long)rg_tokens_songs(there));
            rg_tokens_close(there);
            return RG_OK;
        }
        rg_log_line(log, RG_LOG_WARNING, "%s; it is made anew", ignored.text);
    }
    RG_TRY(prepare(&b, err));
    RG_TRY(encode_all(&b, stop, err));
    RG_TRY(write_file(&b, path, rg_store_songs(store), read_part, NULL, err));
    return rg_fs_remove_tree(b.parts, err);
}
