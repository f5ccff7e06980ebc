/*
 * Windows for the track models: codes, latents, beats, activity and conditions of a song's span.
 *
 * One idea: a window is a pure function of (song, first frame, target role); training, validation
 * and evaluation fill the same arrays and differ only in where windows lie and in their masks.
 * Not here: masks (generate/masks.h), losses, the cache itself (token_cache.h).
 */
#ifndef RG_DATASETS_TRACK_DATA_H
#define RG_DATASETS_TRACK_DATA_H

#include <jansson.h>

#include "datasets/token_cache.h"
#include "generate/masks.h"

typedef struct rg_track_data rg_track_data;

/* Borrows all three, which must outlive it. Conditions of songs come from the store: tempo, key,
 * meter, genre, instruments of each role; mood from the song's prompt; energy from how much
 * plays. */
rg_track_data *rg_track_data_create(const rg_store *store, const rg_tokens *tokens,
                                    const rg_codec *codecs, rg_error *err);
void rg_track_data_free(rg_track_data *data); /* NULL is fine */

/* Frame rate, roles (in the cache's order) and fields with the words of the training songs; fields
 * without a word are left out, sizes stay. */
void rg_track_data_describe(const rg_track_data *data, rg_track_config *config);
/* Looks up every song's words in `config`, whose roles must be the cache's. Words that it lacks
 * count as not given. Before any window is filled. */
rg_status rg_track_data_bind(rg_track_data *data, const rg_track_config *config,
                             rg_error *err) RG_MUST_USE;
/* {field: {word: number of training songs}} of the bound fields; new reference. */
json_t *rg_track_data_words(const rg_track_data *data);

/*
 * A place of `frames` frames in a song of the split that has the role: songs in proportion to their
 * length. With probability `active` it is one where the role plays in at least half of the time
 * (the best of eight tries). False when no song has the role.
 */
bool rg_track_data_draw(const rg_track_data *data, rg_split split, int32_t role, int32_t frames,
                        double active, rg_rng *rng, int64_t *song, int64_t *first);
/* Fixed places for validation: number i, spread over the songs and, in them, over their length. */
bool rg_track_data_fixed(const rg_track_data *data, rg_split split, int32_t role, int32_t frames,
                         int64_t i, int64_t *song, int64_t *first);
int64_t rg_track_data_songs(const rg_track_data *data, rg_split split); /* how many */
const char *rg_track_data_id(const rg_track_data *data, int64_t song);
bool rg_track_data_has(const rg_track_data *data, int64_t song, int32_t role, rg_split split);

/* What a mask needs to know of the window. `bars` (at least `capacity` long) is filled. */
void rg_track_data_look(const rg_track_data *data, int64_t song, int64_t first, int32_t frames,
                        int32_t *bars, int32_t capacity, rg_mask_window *out);
/* Codes of all roles, beats, activity and conditions for batch->target. State and cells stay. */
void rg_track_data_fill(const rg_track_data *data, int64_t song, int64_t first,
                        rg_track_batch *batch, int32_t item);
/* Latents of all frames that are KNOWN in the item's state. */
rg_status rg_track_data_latents(const rg_track_data *data, rg_track_batch *batch, int32_t item,
                                rg_error *err) RG_MUST_USE;
/* Codes, latents and presence of the other roles from another window; state and cells stay. Frames
 * that lack there become ABSENT where they were KNOWN. */
rg_status rg_track_data_swap(const rg_track_data *data, int64_t song, int64_t first,
                             rg_track_batch *batch, int32_t item, rg_error *err) RG_MUST_USE;

/* Mean and deviation (D) of a role's latents over training songs, for rg_tracks_start_role. */
rg_status rg_track_data_latent_scale(const rg_track_data *data, int32_t role, float *mean,
                                     float *deviation, rg_error *err) RG_MUST_USE;

#endif
