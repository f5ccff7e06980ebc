/*
 * Residual vector quantizer with codebooks learnt by moving averages (EnCodec, arXiv 2210.13438,
 * 3.2).
 *
 * One idea: searching is an operator (straight-through); learning the codebooks is a separate call
 * after the backward pass, on the vectors the operator kept. A code that is hardly used is replaced
 * by a vector of the batch, and its running sums with it, so that the replacement stays.
 */
#ifndef RG_NN_RVQ_H
#define RG_NN_RVQ_H

#include "engine/params.h"
#include "ops/ops.h"

enum { RG_MAX_BOOKS = 32 };

/* Made by rg_quantizer_declare; the tensors belong to the params, the struct to the caller. */
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

/* Declares the states prefix + "books", "sums", "cluster_size", "started"; NULL when out of memory.
 */
rg_quantizer *rg_quantizer_declare(rg_params *params, const char *prefix, int32_t n_books,
                                   int32_t entries, int32_t dim);
void rg_quantizer_destroy(rg_quantizer *q); /* NULL is fine */
bool rg_quantizer_started(const rg_quantizer *q);
/*
 * All codebooks from vectors (n,dim), n >= 1, by k-means (50 rounds, centres drawn from the
 * vectors), layer by layer. `per_step`: how many vectors a training step will bring, which is the
 * scale of the running sums. Needs scratch for the vectors.
 */
rg_status rg_quantizer_start(rg_quantizer *q, rg_exec *ex, const float *vectors, int64_t n,
                             double per_step, uint64_t seed) RG_MUST_USE;
/*
 * All codebooks go on from the entries that they have: running sums and sizes get the scale of a
 * step of `per_step` vectors. What they say of how often each entry was used stays; a codebook of
 * which they say nothing counts as used evenly.
 */
void rg_quantizer_go_on(rg_quantizer *q, double per_step);
/*
 * EMA update, Laplace smoothing and revival from one step's codes (M,K) and layer inputs residuals
 * (n_q,M,D) of the first n_q codebooks. *revived: entries replaced, in all.
 */
rg_status rg_quantizer_learn(rg_quantizer *q, rg_exec *ex, const int32_t *codes,
                             const float *residuals, int64_t m, int32_t n_q,
                             const rg_quantizer_update *update, int64_t *revived) RG_MUST_USE;
/* Per codebook from counts of codes: entries used and perplexity 2^entropy. counts (K,V). */
void rg_codebook_usage(const int64_t *counts, int32_t n_books, int32_t entries, int64_t *used,
                       double *perplexity);
/* The same of one codebook from its running cluster sizes: entries above `share` of the mean. */
int64_t rg_quantizer_usage(const rg_quantizer *q, int32_t book, double share, double *perplexity);

#endif
