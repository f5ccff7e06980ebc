/*
 * Residual vector quantizer with codebooks learnt by moving averages (EnCodec 3.2; handbook
 * "codec-and-tracks" 3).
 *
 * One idea: searching is an operator (straight-through); learning the codebooks is a separate call
 * after the backward pass, on the vectors the operator kept. A code that is hardly used is replaced
 * by a vector of the batch, and its running sums with it, so that the replacement stays.
 */
#ifndef RG_NN_RVQ_H
#define RG_NN_RVQ_H

#include "engine/params.h"
#include "ops/ops.h"

typedef struct rg_quantizer {
    int32_t n_books, entries, dim;
    rg_tensor *books;        /* state (K,V,D) */
    rg_tensor *sums;         /* state (K,V,D): running sums */
    rg_tensor *cluster_size; /* state (K,V) */
    rg_tensor *started;      /* state (K) I32: 1 once k-means has run */
} rg_quantizer;

typedef struct rg_quantizer_update {
    double decay, epsilon; /* 0.99, 1e-5 */
    double dead_threshold; /* revive below dead_threshold * vectors / entries (15.7: 0.1) */
    uint64_t seed, step;   /* all random choices come from these: every rank agrees */
} rg_quantizer_update;

rg_quantizer *rg_quantizer_declare(rg_params *params, const char *prefix, int32_t n_books,
                                   int32_t entries, int32_t dim);
/* Codebook k of all from vectors (n,dim) by k-means (50 rounds, centres drawn from the vectors),
 * layer by layer. */
rg_status rg_quantizer_start(rg_quantizer *q, rg_exec *ex, const float *vectors, int64_t n,
                             uint64_t seed) RG_MUST_USE;
/* EMA update, Laplace smoothing and revival from one step's codes (M,K) and layer inputs residuals
 * (n_q,M,D). */
rg_status rg_quantizer_learn(rg_quantizer *q, rg_exec *ex, const int32_t *codes,
                             const float *residuals, int64_t m, int32_t n_q,
                             const rg_quantizer_update *update, int64_t *revived) RG_MUST_USE;
/* Per codebook from counts of codes: entries used and perplexity 2^entropy. counts (K,V). */
void rg_codebook_usage(const int64_t *counts, int32_t n_books, int32_t entries, int64_t *used,
                       double *perplexity);

#endif
