/*
 * AdamW, loss scaling and schedules (optimizer.h).
 *
 * One idea: one pass finds the norm and whether all is finite; only then is anything changed, in
 * one more pass, which also packs the weights.
 */
#include "engine/optimizer.h"

#include <math.h>

#include "base/text.h"
#include "dist/zero.h"
#include "engine/optimizer_private.h"
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

static double ema_decay_at(const rg_adamw *o)
{
    double t = (double)o->step;
    if (o->ema_unbiased) return 1 - (1 - o->ema_decay) / (1 - pow(o->ema_decay, t + 1));
    return fmin(o->ema_decay, (1 + t) / (10 + t));
}

rg_adamw_args rg_adamw_args_of(const rg_adamw *o, rg_params *params, double lr, double grad_scale)
{
    double t = (double)(o->step + 1);
    const flats *f = &params->on;
    return (rg_adamw_args){.w = f->values,
                           .m = f->moment1,
                           .v = f->moment2,
                           .ema = o->ema_decay > 0 ? f->ema : NULL,
                           .g = f->gradients,
                           .decay = f->decay,
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
}

double rg_adamw_scale(const rg_adamw *o, double grad_scale, double sum_squares, rg_update *update)
{
    update->grad_norm = sqrt(sum_squares) * fabs(grad_scale);
    if (o->clip_norm > 0 && update->grad_norm > o->clip_norm)
        grad_scale *= o->clip_norm / update->grad_norm;
    return grad_scale;
}

int64_t rg_first_nonfinite(const float *numbers, int64_t n)
{
    int64_t i = 0;
    while (i < n && isfinite(numbers[i])) i++;
    return i;
}

static rg_status apply(rg_adamw *o, rg_params *params, rg_exec *ex, double lr, double grad_scale)
{
    rg_adamw_args args = rg_adamw_args_of(o, params, lr, grad_scale);
    rg_arena_mark mark = rg_arena_save(ex->scratch);
    rg_status status = rg_params_matrices(params, ex, &args); /* a list for the host */
    if (status == RG_OK) status = ex->kernels->adamw(&ex->kernel_ctx, &args);
    rg_arena_restore(ex->scratch, mark);
    if (status != RG_OK) return rg_exec_fail(ex, status, "the optimizer's update failed");
    o->step++;
    return rg_params_updated(params, ex);
}

/* The first gradient that is not finite, by name. */
static rg_status name_nonfinite(const rg_params *params, rg_exec *ex, char *out, size_t size)
{
    const size_t bytes = (size_t)params->elements * sizeof(float);
    const float *g = params->on.gradients;
    rg_arena_mark mark = rg_arena_save(ex->scratch);
    if (params->gpu) {
        float *copy = rg_arena_alloc(ex->scratch, bytes);
        if (!copy) return rg_exec_fail(ex, RG_ERR_NOMEM, "scratch arena is full");
        RG_TRY(rg_gpu_get(params->gpu, copy, g, bytes, &ex->error));
        g = copy;
    }
    rg_copy_text(out, size, rg_params_name_of(params, rg_first_nonfinite(g, params->elements)));
    rg_arena_restore(ex->scratch, mark);
    return RG_OK;
}

/* The update of one process. */
static rg_status update_all(rg_adamw *optimizer, rg_params *params, rg_exec *ex, double lr,
                            double grad_scale, rg_update *update)
{
    RG_TRY(rg_params_unfold_gradients(params, ex));
    double sum_squares;
    bool finite;
    rg_status status =
        rg_exec_norm(ex, params->on.gradients, params->elements, &sum_squares, &finite);
    if (status != RG_OK) return rg_exec_fail(ex, status, "the gradients' norm failed");
    grad_scale = rg_adamw_scale(optimizer, grad_scale, sum_squares, update);
    if (finite) return apply(optimizer, params, ex, lr, grad_scale);
    update->skipped = true;
    return name_nonfinite(params, ex, update->nonfinite, sizeof update->nonfinite);
}

rg_status rg_adamw_step(rg_adamw *optimizer, rg_scaler *scaler, rg_params *params, rg_exec *ex,
                        double lr, double divisor, rg_update *update)
{
    *update = (rg_update){0};
    double grad_scale = 1 / (divisor * scaler->scale);
    if (params->zero)
        RG_TRY(rg_zero_step(optimizer, params, ex, lr, grad_scale, update));
    else
        RG_TRY(update_all(optimizer, params, ex, lr, grad_scale, update));
    rg_scaler_update(scaler, !update->skipped);
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
