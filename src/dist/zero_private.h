/*
 * What the files of zero.h share.
 */
#ifndef RG_DIST_ZERO_PRIVATE_H
#define RG_DIST_ZERO_PRIVATE_H

#include "dist/zero.h"
#include "engine/params_private.h"

typedef struct bucket {
    int64_t at, n; /* in the flat buffers; n is a multiple of world x RG_ZERO_UNIT */
    int32_t views; /* whose gradients lie in it, in part or whole */
    int32_t last_pass;
    int32_t waits; /* of them, how many are not through in this update */
    bool sent;
    rg_comm_request request;
} bucket;

struct rg_zero {
    rg_comm *comm;
    rg_params *params;
    int32_t rank, world, local; /* shards of this process */
    int32_t n_buckets, next;    /* buckets[next] is the next to send */
    bucket *buckets;            /* in the order in which they are sent */
    int32_t *ascending;         /* (n_buckets) by place */
    int32_t *passes;            /* (views) the last that reaches each */
    bool *unfolded;             /* (views) in this update */
    double *squares;            /* (padded / RG_ZERO_UNIT), rank after rank */
    rg_arena *memory;           /* of the shards' gradients, where local > 1 */
    char *kept[64];             /* (local) */
    const float **parts;        /* (local) */
    bool seen[64];              /* a shard that has gradients in this update */
    int32_t current;
    rg_exec *ex; /* while gradients go on their way */
    int32_t pass;
    rg_backward_listener listener;
    rg_error failure; /* of a call inside a backward pass */
};

/* The flat range that a view's parameters have: [*at, *at + *n), and of a weight-normed one the
 * gains' too. */
int32_t rg_zero_ranges(const rg_params *params, size_t view, int64_t at[2], int64_t n[2]);
rg_status rg_zero_make_buckets(rg_zero *zero, const rg_zero_options *options, rg_error *err);
/* All buckets that are not on their way yet; those that are whole when `whole_only`. */
rg_status rg_zero_send(rg_zero *zero, rg_exec *ex, bool whole_only, rg_error *err);
void rg_zero_begin(rg_zero *zero);

#endif
