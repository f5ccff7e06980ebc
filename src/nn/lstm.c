/*
 * The LSTM of EnCodec (lstm.h).
 */
#include "nn/lstm.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

static rg_tensor *matrix(rg_params *params, const char *name, const char *what, int32_t layer,
                         int32_t width, rg_init init)
{
    char full[RG_NAME_SIZE];
    snprintf(full, sizeof full, "%s.%s_l%d", name, what, (int)layer);
    rg_tensor *w = rg_params_add(params, full, RG_SHAPE(width, 4 * (int64_t)width), init);
    rg_params_use_as_matrix(params, w);
    return w;
}

rg_lstm_layers rg_lstm_declare(rg_params *params, const char *name, int32_t width, int32_t n)
{
    assert(n >= 0 && n <= RG_MAX_LSTM_LAYERS);
    rg_lstm_layers lstm = {.n = n};
    rg_init init = {RG_INIT_UNIFORM, 1.0 / sqrt((double)width)};
    for (int32_t i = 0; i < n; i++) {
        char full[RG_NAME_SIZE];
        lstm.w_ih[i] = matrix(params, name, "weight_ih", i, width, init);
        lstm.w_hh[i] = matrix(params, name, "weight_hh", i, width, init);
        snprintf(full, sizeof full, "%s.bias_l%d", name, (int)i);
        lstm.bias[i] = rg_params_add(params, full, RG_SHAPE(4 * (int64_t)width), init);
    }
    return lstm;
}

rg_tensor *rg_lstm_run(rg_exec *ex, const rg_lstm_layers *lstm, rg_tensor *x)
{
    rg_tensor *y = x;
    for (int32_t i = 0; i < lstm->n; i++) {
        y = rg_lstm(ex, y, lstm->w_ih[i], lstm->w_hh[i], lstm->bias[i]);
    }
    return rg_add(ex, y, x, 1, 1);
}
