/*
 * Checking a store: every song's checksum and rows, every shard's hash.
 *
 * One idea: the song's own checksum names the song; the shard's SHA-256 in the index finds what
 * lies between the songs; a shard's summary must say what its songs say. A store that does not open
 * is one fault, said by the opening error.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "datasets/store_internal.h"

typedef struct checker {
    const rg_store *store;
    void (*fault)(void *ctx, const char *song, const char *what);
    void *ctx;
    int64_t faults;
} checker;

static void report(checker *c, const char *song, const char *fmt, ...) RG_PRINTF(3, 4);
static void report(checker *c, const char *song, const char *fmt, ...)
{
    char text[RG_ERROR_TEXT];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    c->faults++;
    c->fault(c->ctx, song, text);
}

static bool all_zero(const int16_t *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (x[i]) return false;
    return true;
}

static void check_role(checker *c, const rg_song *s, int32_t r, const int16_t *row,
                       uint8_t *activity)
{
    const char *role = rg_store_role(c->store, r);
    int32_t channels = rg_store_channels(c->store);
    bool zero = all_zero(row, s->frames * channels);
    if (s->present[r] && zero)
        report(c, s->id, "role %s is marked present but all its samples are zeros", role);
    if (!s->present[r] && !zero) report(c, s->id, "role %s is marked absent but has samples", role);
    if (!s->present[r]) return;
    rg__store_activity(row, channels, s->frames, rg_store_rate(c->store), activity);
    if (memcmp(activity, s->activity + r * s->n_activity, (size_t)s->n_activity) != 0)
        report(c, s->id, "the activity index of role %s does not fit its samples", role);
}

/* What opening took from the shard's summary against the song's own groups. */
static void check_facts(checker *c, int64_t song)
{
    const rg_song *s = rg_store_song(c->store, song);
    rg_song *again = malloc(sizeof *again);
    void *block = NULL;
    rg_error reading = {0};
    const char *what = NULL;
    if (!again)
        report(c, s->id, "no memory to check its facts");
    else if (rg__store_load_again(c->store, song, again, &block, &reading) != RG_OK)
        report(c, s->id, "its facts cannot be read: %s", reading.text);
    else
        what = rg__store_compare(rg_store_roles(c->store), s, again);
    if (what)
        report(c, s->id, "/summary and the song's own groups differ in %s (in %s)", what,
               rg__store_shard_name(c->store, song));
    free(block);
    free(again);
}

static void check_features(checker *c, int64_t song)
{
    rg_song_features heard;
    rg_error reading = {0};
    if (rg_store_features(c->store, song, &heard, &reading) != RG_OK)
        report(c, rg_store_song(c->store, song)->id, "%s", reading.text);
    rg_song_features_free(&heard);
}

static rg_status check_song(checker *c, int64_t song, rg_error *err)
{
    const rg_song *s = rg_store_song(c->store, song);
    int64_t row = s->frames * rg_store_channels(c->store), n = row * rg_store_roles(c->store);
    int16_t *samples = malloc((size_t)n * sizeof *samples);
    uint8_t *activity = malloc((size_t)s->n_activity);
    rg_status status = RG_OK;
    rg_error reading = {0};
    if (!samples || !activity)
        status = rg_fail(err, RG_ERR_NOMEM, "song '%s': no memory to check it", s->id);
    else if (rg__store_read_raw(c->store, song, 0, n, samples, &reading) != RG_OK)
        report(c, s->id, "its samples cannot be read: %s", reading.text);
    else if (rg_xxh3(samples, (size_t)n * sizeof *samples) != s->xxh3)
        report(c, s->id, "checksum of the samples is wrong (in %s)",
               rg__store_shard_name(c->store, song));
    else
        for (int32_t r = 0; r < rg_store_roles(c->store); r++)
            check_role(c, s, r, samples + r * row, activity);
    check_facts(c, song);
    check_features(c, song);
    free(samples);
    free(activity);
    return status;
}

/* The shards' own hashes; reported only where no song of the shard was at fault already. */
static rg_status check_shard(checker *c, const char *folder, const json_t *line, rg_error *err)
{
    const char *name, *expected;
    char path[RG__PATH], hash[RG_SHA256_HEX];
    RG_TRY(rg_json_get_text(line, "shard", folder, &name, err));
    RG_TRY(rg_json_get_text(line, "sha256", folder, &expected, err));
    RG_TRY(rg_fs_join(path, sizeof path, folder, name, err));
    RG_TRY(rg_sha256_file(path, hash, err));
    if (strcmp(hash, expected) != 0)
        report(c, name, "the file's SHA-256 is not the index's: it was changed outside the songs");
    return RG_OK;
}

/* The index's first line counts all songs. */
static rg_status check_header(checker *c, const char *folder, const json_t *line, rg_error *err)
{
    int64_t songs;
    RG_TRY(rg_json_get_int(line, "songs", folder, &songs, err));
    if (songs != rg_store_songs(c->store))
        report(c, RG__STORE_INDEX, "says %lld songs, the shards hold %lld", (long long)songs,
               (long long)rg_store_songs(c->store));
    return RG_OK;
}

static rg_status check_index(checker *c, const char *folder, char *text, rg_error *err)
{
    bool header = true;
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
        if (!*line) continue;
        json_t *object = rg_json_parse(line, strlen(line), RG__STORE_INDEX, err);
        if (!object) return RG_ERR_FORMAT;
        rg_status status =
            header ? check_header(c, folder, object, err) : check_shard(c, folder, object, err);
        json_decref(object);
        RG_TRY(status);
        header = false;
    }
    return RG_OK;
}

/* Shards that the index does not name are of another store, or of none. */
static rg_status check_strangers(checker *c, const char *folder, const char *index, rg_error *err)
{
    char **names = NULL, quoted[300];
    size_t n = 0;
    RG_TRY(rg_fs_list(folder, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(names[i]);
        snprintf(quoted, sizeof quoted, "\"%s\"", names[i]);
        if (length > 3 && strcmp(names[i] + length - 3, ".h5") == 0 && !strstr(index, quoted))
            report(c, names[i], "is not in the index");
    }
    rg_fs_free_names(names, n);
    return RG_OK;
}

static rg_status check_files(checker *c, const char *folder, rg_error *err)
{
    char path[RG__PATH], *text = NULL;
    size_t n = 0;
    RG_TRY(rg_fs_join(path, sizeof path, folder, RG__STORE_INDEX, err));
    RG_TRY(rg_fs_read_all(path, 64 << 20, &text, &n, err));
    rg_status status = check_strangers(c, folder, text, err);
    if (status == RG_OK) status = check_index(c, folder, text, err);
    free(text);
    return status;
}

rg_status rg_store_verify(const char *folder,
                          void (*fault)(void *ctx, const char *song, const char *what), void *ctx,
                          int64_t *faults, rg_error *err)
{
    checker c = {.fault = fault, .ctx = ctx};
    rg_error opening = {0};
    *faults = 0;
    rg_store *store = rg_store_open(folder, &opening);
    if (!store) {
        report(&c, folder, "%s", opening.text);
        *faults = c.faults;
        return RG_OK;
    }
    c.store = store;
    rg_status status = RG_OK;
    for (int64_t i = 0; status == RG_OK && i < rg_store_songs(store); i++)
        status = check_song(&c, i, err);
    if (status == RG_OK && c.faults == 0) status = check_files(&c, folder, err);
    rg_store_close(store);
    *faults = c.faults;
    return status;
}
