/*
 * Reference AdamW (Loshchilov & Hutter 2019) and gradient norm.
 *
 * One idea: state is float, every step is taken in double and rounded once per stored value.
 */
#include "kernels/ref/ref.h"

#include <math.h>

rg_status rg_ref_adamw(rg_kernel_ctx *ctx, const rg_adamw_args *a)
{
    (void)ctx;
    for (int64_t i = 0; i < a->n; i++) {
        const double g = a->g[i] * a->grad_scale;
        const double m = a->beta1 * a->m[i] + (1 - a->beta1) * g;
        const double v = a->beta2 * a->v[i] + (1 - a->beta2) * g * g;
        const double step = m / a->correction1 / (sqrt(v / a->correction2) + a->eps);
        const double decay = a->decay && !a->decay[i] ? 0 : a->weight_decay * a->w[i];
        a->m[i] = (float)m;
        a->v[i] = (float)v;
        a->w[i] = (float)(a->w[i] - a->lr * (step + decay));
        if (a->ema) a->ema[i] = (float)(a->ema_decay * a->ema[i] + (1 - a->ema_decay) * a->w[i]);
    }
    return RG_OK;
}

rg_status rg_ref_norm(rg_kernel_ctx *ctx, const rg_norm_args *a)
{
    (void)ctx;
    *a->sum_squares = 0;
    *a->finite = true;
    for (int64_t i = 0; i < a->n; i++) {
        *a->sum_squares += (double)a->g[i] * a->g[i];
        if (!isfinite(a->g[i])) *a->finite = false;
    }
    return RG_OK;
}
