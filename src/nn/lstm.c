/*
 * The LSTM of EnCodec (lstm.h).
 */
#include "nn/lstm.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

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

size_t rg_lstm_state_bytes(const rg_lstm_layers *lstm, rg_dtype real)
{
    int64_t width = lstm->n ? lstm->w_hh[0]->shape.dim[0] : 0;
    return (size_t)(2 * lstm->n * width) * rg_dtype_size(real);
}

rg_tensor *rg_lstm_run_piece(rg_exec *ex, const rg_lstm_layers *lstm, rg_tensor *x, void *state)
{
    if (!x) return NULL;
    rg_tensor *y = x, *c_last;
    int64_t steps = x->shape.dim[1], width = x->shape.dim[2];
    size_t bytes = (size_t)width * rg_dtype_size(x->dtype);
    rg_shape one = RG_SHAPE(1, width);
    for (int32_t i = 0; i < lstm->n; i++) {
        char *h = (char *)state + (size_t)i * bytes, *c = h + (size_t)lstm->n * bytes;
        rg_tensor *h0 = rg_tensor_wrap(ex, x->dtype, one, h);
        rg_tensor *c0 = rg_tensor_wrap(ex, x->dtype, one, c);
        y = rg_lstm_from(ex, y, lstm->w_ih[i], lstm->w_hh[i], lstm->bias[i], h0, c0, &c_last);
        if (!y) return NULL;
        memcpy(h, (const char *)y->data + (size_t)(steps - 1) * bytes, bytes);
        memcpy(c, c_last->data, bytes);
    }
    return rg_add(ex, y, x, 1, 1);
}
