/*
 * Questions about an open store that need no file: names, rate, roles, songs; names of splits.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "datasets/store_reader.h"

static const char *const split_names[RG_SPLIT_COUNT] = {"train", "valid", "test"};

const char *rg_split_name(rg_split split)
{
    return split_names[split];
}

bool rg_split_parse(const char *text, rg_split *out)
{
    for (int s = 0; s < RG_SPLIT_COUNT; s++)
        if (strcmp(text, split_names[s]) == 0) {
            *out = (rg_split)s;
            return true;
        }
    return false;
}

const char *rg_store_folder(const rg_store *store)
{
    return store->folder;
}

int32_t rg_store_rate(const rg_store *store)
{
    return store->rate;
}

int32_t rg_store_channels(const rg_store *store)
{
    return store->channels;
}

int32_t rg_store_roles(const rg_store *store)
{
    return store->n_roles;
}

const char *rg_store_role(const rg_store *store, int32_t role)
{
    return store->roles[role];
}

int32_t rg_store_find_role(const rg_store *store, const char *name)
{
    for (int32_t r = 0; r < store->n_roles; r++)
        if (strcmp(store->roles[r], name) == 0) return r;
    return -1;
}

int64_t rg_store_songs(const rg_store *store)
{
    return store->n_songs;
}

const rg_song *rg_store_song(const rg_store *store, int64_t song)
{
    return &store->songs[song].song;
}

int64_t rg_store_find_song(const rg_store *store, const char *id)
{
    int64_t low = 0, high = store->n_songs;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int order = strcmp(store->songs[middle].song.id, id);
        if (order == 0) return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

const char *rg_store_hash(const rg_store *store)
{
    return store->hash;
}

const char *rg_store_config_yaml(const rg_store *store)
{
    return store->config ? store->config : "";
}

const char *rg__store_shard_name(const rg_store *store, int64_t song)
{
    return store->shards[store->songs[song].shard].name;
}

bool rg__store_good_id(const char *id)
{
    size_t n = strnlen(id, RG_ID_SIZE);
    if (n == 0 || n >= RG_ID_SIZE || id[0] == '.') return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)id[i]) && !strchr("._-", id[i])) return false;
    return true;
}

bool rg__store_good_role(const char *name)
{
    size_t n = strnlen(name, 32);
    return n > 0 && n < 32 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

int64_t rg__store_most_frames(int32_t rate)
{
    return (int64_t)rate * 4 * 3600;
}

void rg_song_clean_text(char *text)
{
    json_t *valid = json_string(text);
    for (char *c = text; *c; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte < 32 || byte == 127 || (byte > 127 && !valid)) *c = '?';
    }
    json_decref(valid);
}

void rg_song_make_id(char out[RG_ID_SIZE], const char *label, const char *stem)
{
    size_t n = (size_t)snprintf(out, RG_ID_SIZE, "%s.", label);
    for (const char *c = stem; *c && n + 1 < RG_ID_SIZE; c++) {
        if (isalnum((unsigned char)*c))
            out[n++] = (char)tolower((unsigned char)*c);
        else if (out[n - 1] != '-' && out[n - 1] != '.')
            out[n++] = '-';
    }
    while (out[n - 1] == '-') n--;
    out[n] = 0;
}

void rg_song_make_title(char out[128], const char *stem)
{
    rg_copy_text(out, 128, stem);
    for (char *c = out; *c; c++)
        if (*c == '_') *c = ' ';
}
