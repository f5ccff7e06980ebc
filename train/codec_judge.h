/*
 * The discriminators that a codec is trained against: their configuration, their own updates.
 *
 * One idea: a discriminator is a second model in the same run: parameters, AdamW, loss scaler and
 * schedule of its own. It learns from recordings and from the codec's output, which enter as
 * leaves, so nothing of its update reaches the codec; whether a step updates it is drawn from
 * (seed, step), so that all processes decide alike.
 * Not here: what the codec learns from it (codec_loss.h).
 */
#ifndef RG_TRAIN_CODEC_JUDGE_H
#define RG_TRAIN_CODEC_JUDGE_H

#include "base/config.h"
#include "engine/optimizer.h"
#include "models/discriminator.h"
#include "nn/rvq.h"
#include "train/task.h"

typedef struct rg_judge {
    int32_t books; /* codebooks whose output it judges; 0: any */
    rg_params *params;
    rg_discriminator *model;
    rg_adamw adamw;
    rg_scaler scaler;
} rg_judge;

typedef struct rg_judges {
    int32_t n; /* 0: none */
    rg_judge each[RG_MAX_BOOKS];
    int64_t start_step;   /* the first in which they take part */
    double probability;   /* of an update */
    rg_schedule schedule; /* from start_step on */
    uint64_t seed;
} rg_judges;

/*
 * Makes the discriminators of the configuration's "discriminator" block: one or, per_bandwidth, one
 * for each of the n_books codebook counts in books[] that steps may use. Their parameters become
 * companions of `codec`. Crops of `frames` samples must fill every window.
 */
rg_status rg_judges_open(rg_judges *judges, const rg_task_context *context, rg_params *codec,
                         const int32_t *books, int32_t n_books, int64_t frames,
                         rg_error *err) RG_MUST_USE;
void rg_judges_close(rg_judges *judges);

/* Who judges the output of n_q codebooks (0: not quantized) in this step; NULL: nobody yet. */
rg_judge *rg_judges_of(rg_judges *judges, int64_t step, int32_t n_q);
/* Whether the judge of this step is updated in it. */
bool rg_judges_learn(const rg_judges *judges, int64_t step);

/*
 * Adds to the judge's gradients those of mean over scales of mean max(0, 1 - D(x)) +
 * mean max(0, 1 + D(y)); x, y (N,T), recordings and outputs, are taken as leaves. *loss (may be
 * NULL) is that loss. Leaves nothing on the tape.
 */
rg_status rg_judge_hear(rg_exec *ex, rg_judge *judge, rg_tensor *x, rg_tensor *y,
                        double *loss) RG_MUST_USE;
/* Its update from the gradients of `micros` calls of rg_judge_hear, which are zeroed; skipped when
 * they are not finite. */
rg_status rg_judge_update(rg_exec *ex, const rg_judges *judges, rg_judge *judge, int64_t step,
                          int32_t micros, rg_metrics *metrics) RG_MUST_USE;

/* Counters for the checkpoint as a new JSON array, and back; NULL state: as new. */
json_t *rg_judges_save(const rg_judges *judges);
rg_status rg_judges_load(rg_judges *judges, const json_t *state, rg_error *err) RG_MUST_USE;

#endif
