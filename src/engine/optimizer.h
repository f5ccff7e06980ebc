/*
 * AdamW with clipping, decoupled decay and an EMA of the weights; learning-rate schedules; the loss
 * scaler.
 *
 * One idea: everything that a skipped step must not advance sits behind one decision: if the
 * gradients are not finite the step count, the moments, the EMA and the versions stay as they are.
 */
#ifndef RG_ENGINE_OPTIMIZER_H
#define RG_ENGINE_OPTIMIZER_H

#include "engine/params.h"

typedef struct rg_adamw {
    double beta1, beta2, eps, weight_decay;
    double clip_norm;  /* global norm of all gradients; 0: none */
    double ema_decay;  /* 0: no EMA. At update t from 0: min(decay, (1 + t)/(10 + t)), or ... */
    bool ema_unbiased; /* 1 - (1 - decay)/(1 - decay^(t+1)): the weighted mean of all so far */
    int64_t step;      /* updates made */
    bool late;         /* on a GPU rg_adamw_step waits for nothing (see there) */
} rg_adamw;

/* Dynamic loss scaling as torch.amp.GradScaler has it. enabled false: scale is 1 and never changes.
 */
typedef struct rg_scaler {
    bool enabled;
    double scale, growth, backoff;
    int64_t interval, good_steps, skipped;
} rg_scaler;
rg_scaler rg_scaler_make(bool enabled); /* 65536, 2, 0.5, 2000 */

typedef struct rg_update {
    bool known;       /* false: there is nothing to tell yet */
    double grad_norm; /* before clipping, unscaled */
    bool skipped;
    char nonfinite[RG_NAME_SIZE]; /* parameter that had the first non-finite gradient, "" if none */
} rg_update;

/*
 * One update of all parameters from their gradients, which are `divisor` times too large besides
 * the scaler's scale (accumulation). Unfolds weight norm, takes the norm, skips or applies,
 * refreshes. Gradients are not zeroed.
 * Of a GPU's parameters all of it is decided there. With optimizer->late nothing is waited for:
 * optimizer, scaler and update then tell of the call before, and rg_adamw_settle of the last one,
 * if it has not been told of. Before either counter is read or saved, settle.
 */
rg_status rg_adamw_step(rg_adamw *optimizer, rg_scaler *scaler, rg_params *params, rg_exec *ex,
                        double lr, double divisor, rg_update *update) RG_MUST_USE;
/* A scalar seed for a backward pass: the loss scale, which is `scale` unless a GPU has its own. */
rg_tensor *rg_adamw_seed(rg_params *params, rg_exec *ex, double scale);
rg_status rg_adamw_settle(rg_adamw *optimizer, rg_scaler *scaler, rg_params *params, rg_exec *ex,
                          rg_update *update) RG_MUST_USE;

typedef enum rg_schedule_kind { RG_SCHEDULE_CONSTANT, RG_SCHEDULE_COSINE } rg_schedule_kind;
typedef struct rg_schedule {
    rg_schedule_kind kind;
    double lr, final_lr;
    int64_t warmup, total;
} rg_schedule;
/* Learning rate of update number `step` (from 0): linear warm-up, then lr for ever, or half a
 * cosine down to final_lr, which it keeps from `total` on. */
double rg_schedule_at(const rg_schedule *schedule, int64_t step);

#endif
