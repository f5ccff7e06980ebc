/*
 * Distances between sets of sounds: KAD and FAD over log-mel statistics.
 *
 * One idea: a second of sound becomes 128 numbers (mean and deviation of 64 log-mel bands), needing
 * no pretrained model; the sets are compared by an unbiased MMD (KAD, 2502.15602) or by the
 * Fréchet distance of two Gaussians. Both are named for their embedding (KAD-logmel,
 * FAD-logmel): they are blind to reversal and nearly so to small shifts of pitch (KAD of 40
 * held-out songs 6.3e-3, reversed 6.3e-3, 6 % sharp 7.5e-3, but low-passed at 8 kHz 196e-3).
 * FAD grows as N shrinks: never compare it at unequal N.
 */
#ifndef RG_EVAL_DISTRIBUTION_H
#define RG_EVAL_DISTRIBUTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

enum { RG_EMBEDDING_SIZE = 128, RG_EMBEDDING_BANDS = 64, RG_EMBEDDING_RATE = 32000 };

/* Rows of one second, growing as songs are added. */
typedef struct rg_embeddings {
    int64_t n, capacity;
    float *rows; /* (n,128) heap */
} rg_embeddings;
void rg_embeddings_free(rg_embeddings *set);
/* Adds the seconds of x (n samples, mono at 32 kHz), brought to RMS 0.05; nothing for silence. */
rg_status rg_embeddings_add(rg_embeddings *set, const float *x, int64_t n,
                            rg_error *err) RG_MUST_USE;

/* Standardises both sets by the reference's mean and deviation (at least 0.1), in place. */
void rg_embeddings_standardise(rg_embeddings *reference, rg_embeddings *other);

/* Unbiased MMD^2 * 1000 with a Gaussian kernel as wide as the median distance inside the reference;
 * at most 1,500 rows a side, drawn by `seed`. Needs 2 rows a side: NAN otherwise. */
rg_status rg_kad(const rg_embeddings *reference, const rg_embeddings *other, uint64_t seed,
                 double *kad, rg_error *err) RG_MUST_USE;
/* Fréchet distance; NAN when a side has fewer than 2 rows. */
rg_status rg_fad(const rg_embeddings *reference, const rg_embeddings *other, double *fad,
                 rg_error *err) RG_MUST_USE;

/*
 * FAD without the bias of small sets: FAD at several sizes of `other`, from a quarter of it up to
 * all, drawn without replacement by `seed`, and a line through (1/N, FAD); its value at 1/N = 0
 * (2311.01616). `reliable` is false below RG_FAD_LEAST rows, where FAD is mostly bias and the line
 * goes on far beyond what was measured. NANs when other has fewer than 16 rows or the reference 2.
 */
enum { RG_FAD_LEAST = 500 };
typedef struct rg_fad_limit {
    double limit, slope, r2;
    bool reliable;
} rg_fad_limit;
rg_status rg_fad_infinity(const rg_embeddings *reference, const rg_embeddings *other, uint64_t seed,
                          rg_fad_limit *out, rg_error *err) RG_MUST_USE;

#endif
