/*
 * The loss balancer of EnCodec (Defossez et al. 2210.13438, 3.4; audiocraft losses/balancer.py).
 *
 * One idea: what is weighted is not the losses but their gradients at the model's output, each
 * divided by its own running norm, so a weight says which share of the update a loss gets, whatever
 * its scale. Losses that do not pass through the output (commitment) stay outside.
 */
#ifndef RG_TRAIN_BALANCER_H
#define RG_TRAIN_BALANCER_H

#include <jansson.h>

#include "dist/comm.h"
#include "engine/exec.h"

enum { RG_MAX_LOSSES = 8 };

/* Plain data: copy it to keep a state that a skipped update must not have changed. */
typedef struct rg_balancer {
    int32_t n;                    /* losses */
    rg_comm *comm;                /* processes that take turns with micro-batches; NULL: one */
    bool plain;                   /* no balancing: the losses' weighted sum, for comparison */
    double decay, total_norm;     /* 0.999, 1 */
    double total[RG_MAX_LOSSES];  /* running sums of norms ... */
    double weight[RG_MAX_LOSSES]; /* ... and of ones: total / weight is free of start-up bias */
} rg_balancer;

rg_balancer rg_balancer_make(int32_t n, double decay, double total_norm); /* not plain */

/*
 * out (B,...) = sum_i gradients[i] * (weights[i] / sum of weights) * total_norm / (1e-12 + avg_i),
 * where avg_i is the running mean over steps of the mean over items of |gradients[i][b]|_2. A NULL
 * gradient is a loss that is absent in this step: it counts in neither sum. ratios[i] (may be NULL)
 * = avg_i / sum of avg: who would dominate without a balancer.
 * Plain: out = total_norm * sum_i weights[i] gradients[i]; the running means are kept all the same.
 * With several processes each has a micro-batch, and the running means go on with those of all, in
 * the order of their ranks: `out` is what one process that had them all would make. Collective.
 * When a norm is not finite the state stays as it was and `out` is that gradient, so that the
 * update is skipped by whoever looks at the gradients.
 */
rg_status rg_balancer_combine(rg_balancer *balancer, rg_exec *ex, rg_tensor *const gradients[],
                              const double weights[], rg_tensor *out, double ratios[]) RG_MUST_USE;

/* The running sums as a new JSON object, and back with the same bits. A state of fewer losses is
 * one from before the last ones joined: these stay as they are. */
json_t *rg_balancer_save(const rg_balancer *balancer);
rg_status rg_balancer_load(rg_balancer *balancer, const json_t *state, rg_error *err) RG_MUST_USE;

#endif
