/*
 * k-means (Lloyd's rounds): where the codebooks of a quantizer start.
 *
 * One idea: the assignment is the quantizer's own search kernel, so it is as fast and as
 * deterministic as that. Centres start as vectors drawn without replacement; a centre that attracts
 * nothing stays where it is.
 */
#ifndef RG_NN_KMEANS_H
#define RG_NN_KMEANS_H

#include "engine/exec.h"

/*
 * vectors (n,dim) -> centres (k,dim), counts (k): how many vectors are nearest to each, codes (n):
 * the nearest centre, 0 .. k-1. At most `rounds` rounds; fewer when no vector changes its centre.
 * Needs n >= 1 (k > n: centres repeat). Refused (RG_ERR_NUMERIC) when a vector is not finite.
 */
rg_status rg_kmeans(rg_exec *ex, const float *vectors, int64_t n, int32_t dim, int32_t k,
                    int32_t rounds, rg_rng rng, float *centres, float *counts,
                    int32_t *codes) RG_MUST_USE;

#endif
