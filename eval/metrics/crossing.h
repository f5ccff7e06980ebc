/*
 * Two-way retrieval: do things that were made for each other fit better than crossed ones?
 *
 * One idea: of two pairs (a,A) and (b,B), they are told apart when fit(a,A) + fit(b,B) is greater
 * than fit(a,B) + fit(b,A); what everything has in common cancels. Only pairs from different songs
 * are crossed, and songs are what the bootstrap draws.
 */
#ifndef RG_EVAL_CROSSING_H
#define RG_EVAL_CROSSING_H

#include "base/status.h"
#include "eval/metrics/stats.h"

typedef struct rg_crossing {
    int32_t songs;
    double *own, *other; /* (songs): mean fit with the own partner and with those of other songs */
    double *apart;       /* (songs,songs): % of crossed pairs told apart, ties half; NAN on the
                            diagonal and where a song has no item */
} rg_crossing;

/* fit (n,n): item i against partner j; song (n): 0 .. songs-1. The arrays are heap. */
rg_status rg_crossing_make(rg_crossing *out, const double *fit, const int32_t *song, int32_t n,
                           int32_t songs, rg_error *err) RG_MUST_USE;
void rg_crossing_free(rg_crossing *crossing);
/* Mean of `apart` over pairs of different songs, in %; 50 is chance. */
rg_interval rg_crossing_apart(const rg_crossing *crossing, uint64_t seed);

#endif
