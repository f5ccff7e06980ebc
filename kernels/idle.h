/*
 * Kernels that compute nothing: a forward and backward pass over them takes the memory that a real
 * one takes and touches none of it, so that its size is known before a run begins. With a tally
 * they also count what computing would take: products, other arithmetic, memory that has to move.
 *
 * One idea: a step rehearsed over this table tells what fits, and how long a machine with a given
 * peak and bandwidth needs at least (Williams, Waterman & Patterson 2009, "Roofline"), before there
 * is such a machine. Scratch that grows with the batch is taken as the real kernels take it; what
 * depends on blocks and threads alone (some MiB) is not. Every operand is counted as read or
 * written once by each call, as if caches were perfect within a call and empty between two.
 * Not here: what machines there are (train/roofline.c); scratch as memory that moves, since it
 * never has to leave a cache.
 */
#ifndef RG_KERNELS_IDLE_H
#define RG_KERNELS_IDLE_H

#include "kernels/kernels.h"

enum { RG_TALLY_ROWS = 1024, RG_TALLY_TEXT = 64 };

/* Calls of one slot with one shape. */
typedef struct rg_tally_row {
    const char *slot;
    bool grad;
    char shape[RG_TALLY_TEXT];
    int64_t calls;
    double products; /* flop of matrix products, which tensor units do */
    double other; /* flop of transforms and searches, which they do not; the rest is not counted */
    double bytes;
    double chain;   /* steps of a recurrence, each of which waits for the one before */
    double seconds; /* measured (rg_gpu_timing_add); 0: not measured */
} rg_tally_row;

/* Zeroed but for the sizes it is empty. A row that has no room ends in the last one, "(others)". */
typedef struct rg_tally {
    int32_t real_bytes; /* of an activation, and of a weight packed for products: 2 or 4 */
    int32_t n, last;    /* rows; the one of the last call */
    struct rg_gpu_timing *timing; /* whose tables count here, or NULL */
    rg_tally_row rows[RG_TALLY_ROWS];
} rg_tally;

/* The real type and matrix layout are those of `like`. Outputs are left as they are. Calls are
 * added to ctx->tally unless that is NULL. */
rg_kernels rg_kernels_idle(const rg_kernels *like);

#endif
