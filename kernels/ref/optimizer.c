/*
 * Reference AdamW (Loshchilov & Hutter 2019) and gradient norm; the decision before them, which is
 * that of every CPU.
 *
 * One idea: state is float, every step is taken in double and rounded once per stored value.
 */
#include "kernels/ref/ref.h"

#include <math.h>

#include "kernels/adamw_begin.h"

rg_status rg_ref_adamw_begin(rg_kernel_ctx *ctx, const rg_adamw_begin_args *a)
{
    (void)ctx;
    rg_adamw_decide(&a->rules, a->sum_squares, a->n_sums, a->now);
    return RG_OK;
}

void rg_ref_adamw_skip(const rg_adamw_args *a)
{
    int64_t i = 0;
    while (i < a->n && isfinite(a->g[i])) i++;
    if (i < a->n && a->at + i < a->now->nonfinite) a->now->nonfinite = a->at + i;
}

rg_status rg_ref_adamw(rg_kernel_ctx *ctx, const rg_adamw_args *a)
{
    const rg_adamw_now *now = a->now;
    (void)ctx;
    if (now->skip) rg_ref_adamw_skip(a);
    for (int64_t i = 0; i < a->n && !now->skip; i++) {
        const double g = (double)a->g[i] * now->grad_scale;
        const double m = a->beta1 * a->m[i] + (1 - a->beta1) * g;
        const double v = a->beta2 * a->v[i] + (1 - a->beta2) * g * g;
        const double step = m * now->inverse1 / (sqrt(v * now->inverse2) + a->eps);
        const double decay = a->decay && !a->decay[i] ? 0 : a->weight_decay * a->w[i];
        a->m[i] = (float)m;
        a->v[i] = (float)v;
        a->w[i] = (float)(a->w[i] - now->rate * (step + decay));
        if (a->ema)
            a->ema[i] = (float)((double)now->ema * a->ema[i] + now->ema_rest * (double)a->w[i]);
    }
    return RG_OK;
}

static double sum_of_squares(const float *g, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)g[i] * g[i];
    return sum;
}

rg_status rg_ref_norm(rg_kernel_ctx *ctx, const rg_norm_args *a)
{
    (void)ctx;
    for (int64_t r = 0; r < a->ranges; r++)
        a->sum_squares[r] = sum_of_squares(a->g + r * a->n, a->n);
    if (a->ranges) return RG_OK;
    *a->sum_squares = sum_of_squares(a->g, a->n);
    *a->finite = isfinite(*a->sum_squares); /* a float's square is finite in double */
    return RG_OK;
}
