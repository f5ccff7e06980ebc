/*
 * Tokens beside tokens: what was copied from training, what repeats itself, what differs.
 *
 * One idea: a frame (all codebooks of one role at one time) is one symbol; runs of equal frames
 * count once, because silence and held notes would otherwise be long "copies" of anything. The
 * index of the training songs is a suffix array, so the longest shared run is exact.
 */
#ifndef RG_EVAL_COPYING_H
#define RG_EVAL_COPYING_H

#include <stdint.h>

#include "base/status.h"

typedef struct rg_copy_index rg_copy_index;
/* books: codebooks of a frame. NULL and RG_ERR_NOMEM. */
rg_copy_index *rg_copy_index_create(int32_t books, rg_error *err);
void rg_copy_index_free(rg_copy_index *index); /* NULL is fine */
/* codes (frames,books) of one song; a run never goes on from one song to the next. */
rg_status rg_copy_index_add(rg_copy_index *index, const int32_t *codes, int64_t frames,
                            rg_error *err) RG_MUST_USE;
/*
 * The longest run of `codes` (frames,books) that stands in any song added, in frames after runs of
 * equal frames count once. The first call sorts the index; none may be added after it.
 */
rg_status rg_copy_longest(rg_copy_index *index, const int32_t *codes, int64_t frames,
                          int64_t *longest, rg_error *err) RG_MUST_USE;

/* Share (0..1) of tokens (frames,books) that differ between two takes; NAN without frames. */
double rg_token_distance(const int32_t *a, const int32_t *b, int64_t frames, int32_t books);
/* Share of frames whose first-codebook token repeats the frame before; NAN below 2 frames. */
double rg_token_repeats(const int32_t *codes, int64_t frames, int32_t books);
/* The greatest share, over lags of least .. most frames, of first-codebook tokens equal to those
 * `lag` frames earlier: 1 for a loop. NAN when frames <= least. */
double rg_token_loop(const int32_t *codes, int64_t frames, int32_t books, int64_t least,
                     int64_t most);

#endif
