/*
 * AdamW, loss scaling and schedules (optimizer.h).
 *
 * One idea: one pass finds the norm, one call decides by it whether and how much, and one more pass
 * does it and packs the weights. Nothing in between is read by the host, wherever the parameters
 * lie; it hears the outcome when all is queued, or, if it does not want to wait, a step later.
 */
#include "engine/optimizer.h"

#include <math.h>
#include <stddef.h>

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

/* ---- a step's numbers, between their owners and the kernels ---- */

static rg_adamw_rules rules_of(const rg_adamw *o, const rg_scaler *scaler)
{
    return (rg_adamw_rules){.beta1 = o->beta1,
                            .beta2 = o->beta2,
                            .clip_norm = o->clip_norm,
                            .ema_decay = o->ema_decay,
                            .ema_unbiased = o->ema_unbiased,
                            .scaled = scaler->enabled,
                            .growth = scaler->growth,
                            .backoff = scaler->backoff,
                            .interval = scaler->interval};
}

/* A GPU that is not waited for keeps its own count: it is sent only what is new. */
static rg_status send_numbers(const rg_adamw *o, const rg_scaler *scaler, rg_params *params,
                              rg_exec *ex, double lr, double divisor)
{
    rg_adamw_now *now = params->host.now;
    *now = (rg_adamw_now){.lr = lr,
                          .divisor = divisor,
                          .step = o->step,
                          .good_steps = scaler->good_steps,
                          .skipped = scaler->skipped,
                          .scale = scaler->scale};
    if (!params->gpu) return RG_OK;
    const bool counts = o->late && params->now_is_there;
    const size_t bytes = counts ? offsetof(rg_adamw_now, step) : sizeof(rg_adamw_now);
    params->now_is_there = true;
    return rg_gpu_put(params->gpu, params->on.now, now, bytes, &ex->error);
}

/* What became of a step. */
static void take_numbers(const rg_adamw_now *now, rg_adamw *o, rg_scaler *scaler,
                         const rg_params *params, rg_update *update)
{
    o->step = now->step;
    scaler->good_steps = now->good_steps;
    scaler->skipped = now->skipped;
    scaler->scale = now->scale;
    *update = (rg_update){.known = true, .grad_norm = now->grad_norm, .skipped = now->skip != 0};
    if (now->skip && now->nonfinite < params->elements)
        rg_copy_text(update->nonfinite, sizeof update->nonfinite,
                     rg_params_name_of(params, now->nonfinite));
}

rg_status rg_adamw_settle(rg_adamw *optimizer, rg_scaler *scaler, rg_params *params, rg_exec *ex,
                          rg_update *update)
{
    *update = (rg_update){0};
    if (!params->posted) return ex->error.code;
    const rg_adamw_now *heard = rg_gpu_letter_read(params->outcome, &ex->error);
    params->posted = false;
    if (!heard) return ex->error.code;
    rg_adamw_now now = *heard;
    if (now.skip && params->zero) RG_TRY(rg_zero_first_of_all(params, &now.nonfinite, &ex->error));
    take_numbers(&now, optimizer, scaler, params, update);
    return RG_OK;
}

rg_tensor *rg_adamw_seed(rg_params *params, rg_exec *ex, double scale)
{
    const float here = (float)scale;
    if (params->gpu && params->now_is_there)
        return rg_tensor_wrap(ex, RG_F32, RG_SHAPE(1), &params->on.now->seed);
    return rg_tensor_from_floats(ex, RG_SHAPE(1), &here);
}

/* ---- a step ---- */

rg_status rg_adamw_decides(const rg_adamw *o, const rg_scaler *scaler, rg_params *params,
                           rg_exec *ex, const double *sum_squares, int64_t n_sums)
{
    const rg_adamw_begin_args args = {.rules = rules_of(o, scaler),
                                      .sum_squares = sum_squares,
                                      .n_sums = n_sums,
                                      .now = params->on.now};
    return ex->kernels->adamw_begin(&ex->kernel_ctx, &args);
}

rg_adamw_args rg_adamw_args_of(const rg_adamw *o, rg_params *params)
{
    const flats *f = &params->on;
    return (rg_adamw_args){.w = f->values,
                           .m = f->moment1,
                           .v = f->moment2,
                           .ema = o->ema_decay > 0 ? f->ema : NULL,
                           .g = f->gradients,
                           .decay = f->decay,
                           .n = rg_params_elements(params),
                           .beta1 = o->beta1,
                           .beta2 = o->beta2,
                           .eps = o->eps,
                           .weight_decay = o->weight_decay,
                           .now = f->now};
}

static rg_status decide(const rg_adamw *o, const rg_scaler *scaler, rg_params *params, rg_exec *ex)
{
    struct sums {
        double squares;
        bool finite;
    } *sums = rg_arena_alloc(ex->kernel_ctx.scratch, sizeof *sums);
    if (!sums) return rg_exec_fail(ex, RG_ERR_NOMEM, "scratch arena is full");
    rg_exec_zero(ex, sums, sizeof *sums); /* kernels that compute nothing leave it */
    const rg_norm_args norm = {.g = params->on.gradients,
                               .n = params->elements,
                               .sum_squares = &sums->squares,
                               .finite = &sums->finite};
    RG_TRY(ex->kernels->norm(&ex->kernel_ctx, &norm));
    return rg_adamw_decides(o, scaler, params, ex, norm.sum_squares, 1);
}

/* The update of one process. */
static rg_status update_all(rg_adamw *o, rg_scaler *scaler, rg_params *params, rg_exec *ex)
{
    RG_TRY(rg_params_unfold_gradients(params, ex));
    rg_adamw_args args = rg_adamw_args_of(o, params);
    rg_arena_mark mark = rg_arena_save(ex->scratch), data = rg_arena_save(ex->kernel_ctx.scratch);
    rg_status status = decide(o, scaler, params, ex);
    if (status == RG_OK) status = rg_params_matrices(params, ex, &args); /* a list for the host */
    if (status == RG_OK) status = ex->kernels->adamw(&ex->kernel_ctx, &args);
    rg_arena_restore(ex->kernel_ctx.scratch, data);
    rg_arena_restore(ex->scratch, mark);
    if (status != RG_OK) return rg_exec_fail(ex, status, "the optimizer's update failed");
    return !params->gpu && args.now->skip ? RG_OK : rg_params_updated(params, ex);
}

rg_status rg_adamw_step(rg_adamw *optimizer, rg_scaler *scaler, rg_params *params, rg_exec *ex,
                        double lr, double divisor, rg_update *update)
{
    *update = (rg_update){0};
    RG_TRY(send_numbers(optimizer, scaler, params, ex, lr, divisor));
    RG_TRY(params->zero ? rg_zero_step(optimizer, scaler, params, ex)
                        : update_all(optimizer, scaler, params, ex));
    if (!params->gpu) {
        take_numbers(params->host.now, optimizer, scaler, params, update);
        return RG_OK;
    }
    RG_TRY(rg_adamw_settle(optimizer, scaler, params, ex, update));
    RG_TRY(
        rg_gpu_letter_post(params->outcome, 0, params->on.now, sizeof(rg_adamw_now), &ex->error));
    params->posted = true;
    return optimizer->late ? RG_OK : rg_adamw_settle(optimizer, scaler, params, ex, update);
}

double rg_schedule_at(const rg_schedule *s, int64_t step)
{
    if (step < s->warmup) return s->lr * (double)(step + 1) / (double)s->warmup;
    if (s->kind == RG_SCHEDULE_CONSTANT) return s->lr;
    if (step >= s->total) return s->final_lr;
    double done = (double)(step - s->warmup) / (double)(s->total - s->warmup);
    return s->final_lr + 0.5 * (s->lr - s->final_lr) * (1 + cos(done * acos(-1)));
}
