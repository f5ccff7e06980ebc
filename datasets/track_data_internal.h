/*
 * The inside of rg_track_data, shared by its two files: conditions (track_words.c) and windows
 * (track_data.c).
 *
 * One idea: what a song is asked with is worked out once, when the data is opened.
 */
#ifndef RG_DATASETS_TRACK_DATA_INTERNAL_H
#define RG_DATASETS_TRACK_DATA_INTERNAL_H

#include "datasets/track_data.h"

/* The words of one song, "" for none. */
typedef struct rg__song_words {
    char tempo[RG_TRACK_NAME], key[RG_TRACK_NAME], meter[RG_TRACK_NAME], genre[RG_TRACK_NAME],
        mood[RG_TRACK_NAME], energy[RG_TRACK_NAME], instruments[RG_MAX_ROLES][RG_TRACK_NAME];
} rg__song_words;

struct rg_track_data {
    const rg_store *store;
    const rg_tokens *tokens;
    const rg_codec *codecs;
    int32_t n_roles, store_role[RG_MAX_ROLES];
    int64_t n_songs;
    rg__song_words *words; /* (songs) */
    rg_track_config *config;
    int32_t *ids; /* (songs, roles, fields) of the bound config */
};

static inline const rg_song *rg__song_of(const rg_track_data *d, int64_t song)
{
    return rg_store_song(d->store, rg_tokens_song(d->tokens, song)->song);
}

rg_status rg__track_words_read(rg_track_data *data, rg_error *err) RG_MUST_USE;

#endif
