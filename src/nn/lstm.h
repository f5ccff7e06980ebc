/*
 * The LSTM of EnCodec: layers one after another, with the input added to the output.
 *
 * One idea: y + x keeps the codec trainable when the recurrence has learnt nothing yet. Over a
 * whole signal it starts from zeros; a stream's pieces hand their state on.
 */
#ifndef RG_NN_LSTM_H
#define RG_NN_LSTM_H

#include "engine/params.h"
#include "ops/ops.h"

enum { RG_MAX_LSTM_LAYERS = 4 };

typedef struct rg_lstm_layers {
    int32_t n;
    rg_tensor *w_ih[RG_MAX_LSTM_LAYERS], *w_hh[RG_MAX_LSTM_LAYERS], *bias[RG_MAX_LSTM_LAYERS];
} rg_lstm_layers;

/* Declares name + ".weight_ih_l0" (C,4C), ".weight_hh_l0" (C,4C), ".bias_l0" (4C), ...; n layers.
 */
rg_lstm_layers rg_lstm_declare(rg_params *params, const char *name, int32_t width, int32_t n);
/* x (B,T,C) -> x + layers(x), (B,T,C). */
rg_tensor *rg_lstm_run(rg_exec *ex, const rg_lstm_layers *lstm, rg_tensor *x);
/* The same for a piece of a stream, (1,T,C) with T above 0, on the CPU. `state`, of
 * rg_lstm_state_bytes, holds h and c of every layer, zeros at first, and is replaced. */
size_t rg_lstm_state_bytes(const rg_lstm_layers *lstm, rg_dtype real);
rg_tensor *rg_lstm_run_piece(rg_exec *ex, const rg_lstm_layers *lstm, rg_tensor *x, void *state);

#endif
