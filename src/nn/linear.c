/*
 * Matrices, norms and feed-forward layers (linear.h).
 *
 * One idea: names are made here, printf-style, so that models read as a list of declarations.
 */
#include "nn/linear.h"

#include <math.h>

#include "nn/names.h"

static const double norm_eps = 1e-5;

rg_tensor *rg_weight_declare(rg_params *params, int32_t in, int32_t out, double gain,
                             const char *name, ...)
{
    RG_NAME(text, name);
    rg_init init = {gain > 0 ? RG_INIT_TRUNCATED : RG_INIT_ZEROS, gain / sqrt((double)in)};
    rg_tensor *w = rg_params_add(params, text, RG_SHAPE(in, out), init);
    if (w) rg_params_use_as_matrix(params, w);
    return w;
}

rg_tensor *rg_table_declare(rg_params *params, int32_t books, int32_t entries, int32_t width,
                            double deviation, const char *name, ...)
{
    RG_NAME(text, name);
    return rg_params_add(params, text, RG_SHAPE(books, entries, width),
                         (rg_init){RG_INIT_TRUNCATED, deviation});
}

rg_norm rg_norm_declare(rg_params *params, int32_t width, const char *name, ...)
{
    RG_NAME(text, name);
    char full[RG_NAME_SIZE + 8];
    rg_norm norm;
    snprintf(full, sizeof full, "%s.gain", text);
    norm.gain = rg_params_add(params, full, RG_SHAPE(width), (rg_init){RG_INIT_ONES, 0});
    snprintf(full, sizeof full, "%s.bias", text);
    norm.bias = rg_params_add(params, full, RG_SHAPE(width), (rg_init){RG_INIT_ZEROS, 0});
    return norm;
}

rg_tensor *rg_norm_run(rg_exec *ex, const rg_norm *norm, rg_tensor *x)
{
    return rg_layernorm(ex, x, norm->gain, norm->bias, norm_eps);
}

rg_tensor *rg_norm_add(rg_exec *ex, const rg_norm *norm, rg_tensor **x, rg_tensor *branch)
{
    if (!branch) return rg_norm_run(ex, norm, *x);
    return rg_residual_layernorm(ex, x, branch, norm->gain, norm->bias, norm_eps);
}

rg_feed rg_feed_declare(rg_params *params, int32_t width, double out_gain, const char *name, ...)
{
    RG_NAME(text, name);
    return (rg_feed){
        .up = rg_weight_declare(params, width, 4 * width, 1, "%s.up", text),
        .down = rg_weight_declare(params, 4 * width, width, out_gain, "%s.down", text),
    };
}

rg_tensor *rg_feed_run(rg_exec *ex, const rg_feed *feed, rg_tensor *x)
{
    rg_tensor *hidden = rg_linear(ex, x, feed->up, NULL, RG_ACT_GELU);
    return rg_linear(ex, hidden, feed->down, NULL, RG_ACT_NONE);
}
