/*
 * What counting alone achieves: unigram and bigram bits of tokens, beside which a model's bits mean
 * something.
 *
 * One idea: both are fitted on the training songs and asked for the very cells that a model was
 * asked for. Bigram: the same codebook one frame earlier, p = (n(u,v) + a p(v)) / (n(u) + a) with
 * a = 0.5 x (kinds of v seen after u) + 1, so that rare pasts fall back to the unigram; the unigram
 * adds one half to every count (Krichevsky & Trofimov 1981). That the unigram weighs more the more
 * kinds followed u is Witten & Bell's idea (IEEE Trans. Information Theory 37(4), 1991).
 */
#ifndef RG_DATASETS_TOKEN_BASELINE_H
#define RG_DATASETS_TOKEN_BASELINE_H

#include "datasets/token_cache.h"
#include "models/track_transformer.h"

typedef struct rg_token_baseline rg_token_baseline;

/* Counts over all songs of the split. Memory: about 4 V^2 bytes per codebook. */
rg_token_baseline *rg_token_baseline_fit(const rg_tokens *tokens, const rg_store *store,
                                         rg_split split, rg_error *err);
void rg_token_baseline_free(rg_token_baseline *baseline); /* NULL is fine */

/* Bits of code v of a codebook; `before` is the code one frame earlier, < 0: not known. */
double rg_token_unigram_bits(const rg_token_baseline *baseline, int32_t role, int32_t book,
                             int32_t v);
double rg_token_bigram_bits(const rg_token_baseline *baseline, int32_t role, int32_t book,
                            int32_t before, int32_t v);

/*
 * Bits summed over the target cells of one item, per codebook (K), added to unigram[] and bigram[];
 * returns the number of frames counted. The frame before a target counts as known.
 */
int64_t rg_token_baseline_measure(const rg_token_baseline *baseline, const rg_track_batch *batch,
                                  int32_t item, double *unigram, double *bigram);

#endif
