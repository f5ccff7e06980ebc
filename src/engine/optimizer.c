/*
 * AdamW, loss scaling and schedules (optimizer.h).
 *
 * One idea: one pass finds the norm and whether all is finite; only then is anything changed, in
 * one more pass, which also packs the weights.
 */
#include "engine/optimizer.h"

#include <math.h>

#include "base/text.h"
#include "engine/params_private.h"

rg_scaler rg_scaler_make(bool enabled)
{
    return (rg_scaler){.enabled = enabled,
                       .scale = enabled ? 65536 : 1,
                       .growth = 2,
                       .backoff = 0.5,
                       .interval = 2000};
}

void rg_scaler_update(rg_scaler *scaler, bool finite)
{
    if (!finite) scaler->skipped++;
    if (!scaler->enabled) return;
    if (!finite) {
        scaler->scale *= scaler->backoff;
        scaler->good_steps = 0;
    } else if (++scaler->good_steps == scaler->interval) {
        scaler->scale *= scaler->growth;
        scaler->good_steps = 0;
    }
}

static void name_nonfinite(const rg_params *params, const float *gradients, rg_update *update)
{
    int64_t n = rg_params_elements(params);
    for (int64_t i = 0; i < n; i++) {
        if (isfinite(gradients[i])) continue;
        rg_copy_text(update->nonfinite, sizeof update->nonfinite, rg_params_name_of(params, i));
        return;
    }
}

static double ema_decay_at(const rg_adamw *o)
{
    double t = (double)o->step;
    if (o->ema_unbiased) return 1 - (1 - o->ema_decay) / (1 - pow(o->ema_decay, t + 1));
    return fmin(o->ema_decay, (1 + t) / (10 + t));
}

static rg_status apply(rg_adamw *o, rg_params *params, rg_exec *ex, double lr, double grad_scale)
{
    double t = (double)(o->step + 1);
    rg_adamw_args args = {.w = rg_params_values(params),
                          .m = rg_params_moment1(params),
                          .v = rg_params_moment2(params),
                          .ema = o->ema_decay > 0 ? rg_params_ema(params) : NULL,
                          .g = rg_params_gradients(params),
                          .decay = rg_params_decay(params),
                          .n = rg_params_elements(params),
                          .lr = lr,
                          .beta1 = o->beta1,
                          .beta2 = o->beta2,
                          .eps = o->eps,
                          .weight_decay = o->weight_decay,
                          .grad_scale = grad_scale,
                          .correction1 = 1 - pow(o->beta1, t),
                          .correction2 = 1 - pow(o->beta2, t),
                          .ema_decay = ema_decay_at(o)};
    rg_arena_mark mark = rg_arena_save(ex->scratch);
    rg_status status = rg_params_matrices(params, ex, &args);
    if (status == RG_OK) status = ex->kernels->adamw(&ex->kernel_ctx, &args);
    rg_arena_restore(ex->scratch, mark);
    if (status != RG_OK) return rg_exec_fail(ex, status, "the optimizer's update failed");
    o->step++;
    return rg_params_updated(params, ex);
}

rg_status rg_adamw_step(rg_adamw *optimizer, rg_scaler *scaler, rg_params *params, rg_exec *ex,
                        double lr, double divisor, rg_update *update)
{
    *update = (rg_update){0};
    RG_TRY(rg_params_unfold_gradients(params, ex));
    double sum_squares = 0;
    bool finite = true;
    rg_norm_args norm = {.g = rg_params_gradients(params),
                         .n = rg_params_elements(params),
                         .sum_squares = &sum_squares,
                         .finite = &finite};
    rg_status status = ex->kernels->norm(&ex->kernel_ctx, &norm);
    if (status != RG_OK) return rg_exec_fail(ex, status, "the gradients' norm failed");
    double grad_scale = 1 / (divisor * scaler->scale);
    update->grad_norm = sqrt(sum_squares) * fabs(grad_scale);
    if (!finite) {
        name_nonfinite(params, norm.g, update);
        update->skipped = true;
    } else {
        if (optimizer->clip_norm > 0 && update->grad_norm > optimizer->clip_norm)
            grad_scale *= optimizer->clip_norm / update->grad_norm;
        RG_TRY(apply(optimizer, params, ex, lr, grad_scale));
    }
    rg_scaler_update(scaler, finite);
    return RG_OK;
}

double rg_schedule_at(const rg_schedule *s, int64_t step)
{
    if (step < s->warmup) return s->lr * (double)(step + 1) / (double)s->warmup;
    if (s->kind == RG_SCHEDULE_CONSTANT) return s->lr;
    if (step >= s->total) return s->final_lr;
    double done = (double)(step - s->warmup) / (double)(s->total - s->warmup);
    return s->final_lr + 0.5 * (s->lr - s->final_lr) * (1 + cos(done * acos(-1)));
}
