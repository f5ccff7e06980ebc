/*
 * Statistics of tokens: how codebooks are used, and what the simplest predictors reach.
 *
 * One idea: everything is counting. Baselines are fitted on one set of sequences and scored on
 * another, in bits per token, so that a language model's bits can stand beside them.
 */
#ifndef RG_EVAL_CODES_H
#define RG_EVAL_CODES_H

#include <stdint.h>

#include "base/status.h"

typedef struct rg_code_usage {
    int64_t used;               /* entries seen at least once */
    double entropy, perplexity; /* bits; 2^entropy; 0 and 1 when nothing was counted */
} rg_code_usage;
rg_code_usage rg_usage_of(const int64_t *counts, int32_t entries);

typedef struct rg_baseline rg_baseline;
/* Counts of single tokens, of pairs (token before, token) and of repetitions for one codebook with
 * `entries` values; NULL and RG_ERR_NOMEM. */
rg_baseline *rg_baseline_create(int32_t entries, rg_error *err);
void rg_baseline_free(rg_baseline *baseline); /* NULL is fine */
/* tokens[i * stride], i < n: one song's codebook in time order; values outside 0..entries-1 are cut
 * points. */
void rg_baseline_fit(rg_baseline *baseline, const int32_t *tokens, int64_t n, int64_t stride);

typedef struct rg_baseline_bits {
    double unigram, bigram, copy; /* bits per token; copy: repeats the last token, else unigram */
    int64_t n;                    /* tokens scored; bits are NAN when 0 */
} rg_baseline_bits;
/*
 * Bits per token of held-out tokens. Unigram: add-one-half smoothing. Bigram: the pair's share
 * where the token before was seen, mixed with the unigram by Witten-Bell weights.
 */
rg_baseline_bits rg_baseline_score(const rg_baseline *baseline, const int32_t *tokens, int64_t n,
                                   int64_t stride);

#endif
