/*
 * Convolution layers over a signal that arrives in pieces.
 *
 * One idea: a layer keeps the last rows of its input that later outputs still read, puts them in
 * front of the next piece and calls the operator that a whole signal goes through, with the padding
 * that is left to it: an output is then the same sum of the same numbers, so pieces of any length
 * give the bits of the whole (kernels.h: bits do not depend on the position).
 *
 * A transposed convolution by s is the convolution whose row of output is s rows; it is made one
 * here, once, because the operator would lay out its weights at every call.
 *
 * An output that reads inputs to come, because the layer is not causal or reflects its start, is
 * given when they are there; the signal's end brings the padding of the whole. On the CPU.
 */
#ifndef RG_NN_CONV_STREAM_H
#define RG_NN_CONV_STREAM_H

#include "nn/conv.h"

typedef struct rg_conv_stream {
    rg_conv_layer layer;              /* the one given, or what a transposed one is */
    rg_tensor wide_weight, wide_bias; /* of the latter */
    int32_t fan;                      /* rows of output of a step: 1; transposed: its stride */
    int64_t trim;                     /* rows of output that are cut off at the start */
    void *kept;                       /* the last rows of the input, (n_kept,C_in) */
    int64_t n_kept, taken, steps;     /* rows kept; rows of input and steps of output so far */
} rg_conv_stream;

/* Memory that rg_conv_stream_init wants for this layer, as the exec's kernels need it. */
size_t rg_conv_stream_bytes(const rg_exec *ex, const rg_conv_layer *layer, bool transposed);
/* At the start of a signal. `memory` begins at a full cache line and lives as long as the stream;
 * weights must not change from now on. */
rg_status rg_conv_stream_init(rg_exec *ex, const rg_conv_layer *layer, bool transposed,
                              void *memory, rg_conv_stream *out) RG_MUST_USE;
void rg_conv_stream_reset(rg_conv_stream *s);

/*
 * x (1,n,C_in), the next n >= 0 rows; `last`: no more will come -> (1,m,C_out), the outputs that
 * are now known, m >= 0. *inputs (may be NULL; of a stride of 1): (1,m,C_in), the rows of input at
 * the same steps. NULL after an error.
 */
rg_tensor *rg_conv_stream_run(rg_exec *ex, rg_conv_stream *s, rg_tensor *x, bool last,
                              rg_tensor **inputs);

/* Rows of input after which `outputs` >= 1 rows of output are known. */
int64_t rg_conv_stream_needs(const rg_conv_layer *layer, bool transposed, int64_t outputs);

#endif
