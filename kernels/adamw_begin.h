/*
 * The decision that an AdamW step begins with, on whatever machine the parameters lie: is the
 * gradient finite, how long is it, and what are the factors of this step.
 *
 * One idea: one function of plain numbers, called by C on a CPU and by one thread on a GPU. The
 * dynamic scale of the loss is that of torch.amp.GradScaler.
 * Not here: the pass over the parameters (rg_kernels.adamw).
 */
#ifndef RG_KERNELS_ADAMW_BEGIN_H
#define RG_KERNELS_ADAMW_BEGIN_H

#include <float.h>
#include <math.h>

#include "kernels/kernels.h"

#if defined(__CUDACC__)
#define RG_ANYWHERE __host__ __device__
#else
#define RG_ANYWHERE
#endif

RG_ANYWHERE static inline void rg_adamw_rescale(const rg_adamw_rules *rules, rg_adamw_now *now)
{
    if (now->skip) now->skipped++;
    if (!rules->scaled) return;
    if (now->skip) {
        now->scale *= rules->backoff;
        now->good_steps = 0;
    } else if (++now->good_steps == rules->interval) {
        now->scale *= rules->growth;
        now->good_steps = 0;
    }
}

/* Of update t, counted from 0. */
RG_ANYWHERE static inline double rg_adamw_ema_at(const rg_adamw_rules *rules, double t)
{
    const double most = rules->ema_decay, early = (1 + t) / (10 + t);
    if (rules->ema_unbiased) return 1 - (1 - most) / (1 - pow(most, t + 1));
    return most < early ? most : early;
}

RG_ANYWHERE static inline void rg_adamw_decide(const rg_adamw_rules *rules, const double *sums,
                                               int64_t n_sums, rg_adamw_now *now)
{
    double sum_squares = 0;
    for (int64_t i = 0; i < n_sums; i++) sum_squares += sums[i];
    const double t = (double)now->step, ema = rg_adamw_ema_at(rules, t);
    double scale = 1 / (now->divisor * now->scale);
    now->skip = !(sum_squares <= DBL_MAX);
    now->nonfinite = INT64_MAX;
    now->grad_norm = sqrt(sum_squares) * fabs(scale);
    if (rules->clip_norm > 0 && now->grad_norm > rules->clip_norm)
        scale *= rules->clip_norm / now->grad_norm;
    now->rate = (float)now->lr;
    now->grad_scale = (float)scale;
    now->inverse1 = (float)(1 / (1 - pow(rules->beta1, t + 1)));
    now->inverse2 = (float)(1 / (1 - pow(rules->beta2, t + 1)));
    now->ema = (float)ema;
    now->ema_rest = (float)(1 - ema);
    now->step += !now->skip;
    rg_adamw_rescale(rules, now);
    now->seed = (float)now->scale;
}

#endif
