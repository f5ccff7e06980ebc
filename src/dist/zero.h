/*
 * One update by several processes: gradients are summed in buckets while the backward pass runs,
 * each process updates its share of the parameters, and all gather the new values (ZeRO-1,
 * arXiv 1910.02054: moments and averages are only ever touched in the own share).
 *
 * One idea: an update's micro-batches belong to `shards`: shard s has those with micro % shards ==
 * s. Each shard's gradients are summed by themselves, then all shards' in halves (dist/comm.h). So
 * the same number of shards gives the same bits on any number of processes that divides it into a
 * power of two, one process included. The rank r of W has the shards r, r + W, r + 2W ...
 *
 * The flat buffers are padded to world x RG_ZERO_UNIT numbers (rg_exec.flat_multiple); a bucket is
 * a range of them, of which rank r has the r-th of W equal slices. Not here: the calls between
 * processes (comm.h); checkpoints, which hold whole parameters: rg_zero_gather before one is
 * written, rg_zero_forget after it is read or written.
 */
#ifndef RG_DIST_ZERO_H
#define RG_DIST_ZERO_H

#include "dist/comm.h"
#include "engine/optimizer.h"

/* Numbers whose squares are summed by themselves, wherever they lie: the norm's bits do not depend
 * on the slices. */
enum { RG_ZERO_UNIT = 4096 };

typedef struct rg_zero rg_zero;

typedef struct rg_zero_options {
    rg_comm *comm;        /* borrowed; NULL: one process */
    rg_comm *gpu_comm;    /* of parameters on a GPU: between those (rg_comm_open_gpu); borrowed */
    int32_t shards;       /* 0: one per process */
    int64_t bucket_bytes; /* 0: 25 MB */
    /* The backward pass of a micro-batch, counted from 0, after which the parameter of this name
     * gets no more gradient; NULL: all are through after the first. */
    int32_t (*last_pass)(const void *ctx, const char *parameter);
    const void *ctx;
} rg_zero_options;

/* RG_ERR_CONFIG when `accumulate` micro-batches cannot be dealt to so many shards and processes. */
rg_status rg_zero_check(const rg_zero_options *options, int64_t accumulate,
                        rg_error *err) RG_MUST_USE;

/* From here on rg_adamw_step of these parameters is one of all processes. After
 * rg_params_finish. */
rg_status rg_zero_attach(rg_params *params, const rg_zero_options *options,
                         rg_error *err) RG_MUST_USE;
void rg_zero_detach(rg_params *params); /* rg_params_destroy does it */

/* The next gradients are those of micro-batch `micro` of the update. Nothing without
 * rg_zero_attach; also below. */
void rg_zero_micro(rg_params *params, int64_t micro);
/* The next micro-batch is the last of this process, so that its gradients can go on their way as
 * they come; false: it is over. */
void rg_zero_last(rg_params *params, rg_exec *ex, bool last);
/* Moments and averages of all slices to rank 0 (on GPUs to all), of the companions too. Collective.
 */
rg_status rg_zero_gather(rg_params *params, rg_error *err) RG_MUST_USE;
/* The averages of all slices to every rank. Collective. */
rg_status rg_zero_share_averages(rg_params *params, rg_error *err) RG_MUST_USE;
/* Gives back memory of moments and averages outside the own slices. */
void rg_zero_forget(rg_params *params);
/* RG_ERR_MISMATCH naming a rank whose values or states differ from rank 0's. Collective. */
rg_status rg_zero_check_same(rg_params *params, rg_error *err) RG_MUST_USE;

/* For the optimizer: the step that params' numbers are about, from the gradients of all shards. */
rg_status rg_zero_step(const rg_adamw *optimizer, const rg_scaler *scaler, rg_params *params,
                       rg_exec *ex) RG_MUST_USE;
/* Of a skipped step on a GPU: *first becomes the least of all processes. Collective. */
rg_status rg_zero_first_of_all(rg_params *params, int64_t *first, rg_error *err) RG_MUST_USE;
/* For rg_params_zero_gradients: an update begins. */
void rg_zero_forget_gradients(rg_params *params);

#endif
