/*
 * A SEANet over a signal that arrives in pieces.
 *
 * One idea: every stage is a small machine that takes some rows and gives some; a piece runs
 * through them in turn. Put together, what comes out has the bits of rg_seanet_run over the whole
 * signal, whatever the pieces (conv_stream.h).
 */
#ifndef RG_NN_SEANET_STREAM_H
#define RG_NN_SEANET_STREAM_H

#include "nn/seanet.h"

typedef struct rg_seanet_stream rg_seanet_stream;

/* `net` has no norm over time and outlives the stream; its weights do not change meanwhile. On the
 * CPU. All memory is taken here: NULL and a text in err when there is too little. */
rg_seanet_stream *rg_seanet_stream_create(rg_exec *ex, const rg_seanet *net, rg_error *err);
void rg_seanet_stream_destroy(rg_seanet_stream *stream); /* NULL is fine */
/* Forgets what came: the next piece begins a signal. */
void rg_seanet_stream_reset(rg_seanet_stream *stream);

/* x (1,n,C), the next n >= 0 rows; `last`: no more will come (reset before another signal) ->
 * (1,m,C_out), the rows that are now known. The exec must not record. NULL after an error. */
rg_tensor *rg_seanet_stream_run(rg_exec *ex, rg_seanet_stream *stream, rg_tensor *x, bool last);

/* Rows of input after which `outputs` >= 1 rows of output are known. */
int64_t rg_seanet_needs(const rg_seanet *net, int64_t outputs);

#endif
