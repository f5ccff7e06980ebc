/*
 * Declaring the matrices and norms that transformers are made of.
 *
 * One idea: a layer is its tensors; running it is a call of an operator. Matrices start as a normal
 * cut at 3 deviations, sigma = gain / sqrt(in), and have no bias (MusicGen's choice); gain 0 is a
 * closed gate. Not here: attention (nn/attention.h).
 */
#ifndef RG_NN_LINEAR_H
#define RG_NN_LINEAR_H

#include "engine/params.h"
#include "ops/ops.h"

/* w (in,out) under the printf-style name, packed for GEMM. NULL after an error of params. */
rg_tensor *rg_weight_declare(rg_params *params, int32_t in, int32_t out, double gain,
                             const char *name, ...) RG_PRINTF(5, 6);
/* table (books,entries,width) for rg_embedding, deviation as given. */
rg_tensor *rg_table_declare(rg_params *params, int32_t books, int32_t entries, int32_t width,
                            double deviation, const char *name, ...) RG_PRINTF(6, 7);

/* LayerNorm with gain and bias (width), eps 1e-5; names get ".gain" and ".bias". */
typedef struct rg_norm {
    rg_tensor *gain, *bias;
} rg_norm;
rg_norm rg_norm_declare(rg_params *params, int32_t width, const char *name, ...) RG_PRINTF(3, 4);
rg_tensor *rg_norm_run(rg_exec *ex, const rg_norm *norm, rg_tensor *x);
/* *x becomes *x + branch; returns its norm. branch NULL: the norm of *x alone. */
rg_tensor *rg_norm_add(rg_exec *ex, const rg_norm *norm, rg_tensor **x, rg_tensor *branch);

/* down(gelu(up(x))), hidden 4 x width; names get ".up" and ".down". */
typedef struct rg_feed {
    rg_tensor *up, *down;
} rg_feed;
rg_feed rg_feed_declare(rg_params *params, int32_t width, double out_gain, const char *name, ...)
    RG_PRINTF(4, 5);
rg_tensor *rg_feed_run(rg_exec *ex, const rg_feed *feed, rg_tensor *x);

#endif
