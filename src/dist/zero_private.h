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
    rg_comm *flats; /* where the flat buffers are: `comm`, or between GPUs */
    rg_params *params;
    int32_t rank, world, local; /* shards of this process */
    int32_t n_buckets, next;    /* buckets[next] is the next to send */
    bucket *buckets;            /* in the order in which they are sent */
    int32_t *ascending;         /* (n_buckets) by place */
    int32_t *passes;            /* (views) the last that reaches each */
    bool *unfolded;             /* (views) in this update */
    double *squares;            /* (padded / RG_ZERO_UNIT), by place */
    void *memory;               /* of what follows, and of squares; where the flat buffers are */
    char *kept[64];             /* (local) shards' gradients, where local > 1 */
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

/* zero_memory.c: of what lies where the flat buffers do. Failures are kept in zero->failure. */
void rg_zero_clear(rg_zero *zero, void *data, size_t bytes);
void rg_zero_move(rg_zero *zero, void *to, const void *from, size_t bytes);
rg_status rg_zero_take_memory(rg_zero *zero, size_t shard_bytes, rg_error *err);
void rg_zero_free_memory(rg_zero *zero);
/* The gradients become the sum of kept[0..local), which this changes. */
rg_status rg_zero_add_kept(rg_zero *zero, rg_exec *ex);

#endif
