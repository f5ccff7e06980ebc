/*
 * Convolution layers of EnCodec: parameters, weight norm and padding in one place.
 *
 * One idea: how much to pad or trim is arithmetic of length, kernel, stride and dilation
 * (audiocraft's modules/conv.py), kept in two pure functions that tests check against a table; the
 * layers are those plus one operator call. Weights are (K,C_in,C_out) with weight norm per output
 * channel, per input channel for transposed ones (torch's legacy weight_norm). Not here: conv2d.
 */
#ifndef RG_NN_CONV_H
#define RG_NN_CONV_H

#include "engine/params.h"
#include "ops/ops.h"

typedef struct rg_conv_pads {
    int64_t left, right;
} rg_conv_pads;

/*
 * What to pad a signal of `length` with, so that a convolution gives ceil(length / stride) steps:
 * causal: (k - stride) on the left; else half on each side, the odd one on the left; on the right
 * also what is missing to a full last step (k = (kernel - 1) * dilation + 1).
 */
rg_conv_pads rg_conv_padding(int64_t length, int32_t kernel, int32_t stride, int32_t dilation,
                             bool causal);
/* What to trim from a transposed convolution's output: kernel - stride in all. */
rg_conv_pads rg_conv_tr_trim(int32_t kernel, int32_t stride, bool causal, double trim_right_ratio);

/* What keeps a layer's output in range: norms of its weights, normalization of each item of its
 * output over time and channels (before a transposed layer is trimmed), or nothing. */
typedef enum rg_conv_norm {
    RG_CONV_WEIGHT_NORM,
    RG_CONV_TIME_GROUP_NORM,
    RG_CONV_NO_NORM,
    RG_CONV_NORMS
} rg_conv_norm;

typedef struct rg_conv_spec {
    int32_t c_in, c_out, kernel, stride, dilation; /* transposed: dilation is not used */
    bool causal;
    rg_pad pad_mode; /* transposed: not used */
    rg_conv_norm norm;
    rg_act act_in;           /* applied to the input */
    double trim_right_ratio; /* transposed and causal only; 1 in EnCodec */
    double gain;             /* start: deviation of the output over that of the input */
} rg_conv_spec;

/* A declared layer; its tensors belong to the params they were declared in. */
typedef struct rg_conv_layer {
    rg_conv_spec spec;
    rg_tensor *weight, *bias;         /* (K,C_in,C_out), (C_out) */
    rg_tensor *norm_gain, *norm_bias; /* (C_out); time group norm only, else NULL */
} rg_conv_layer;

/* Declares name + ".weight_g", ".weight_v" (".weight" without weight norm) and ".bias", and for
 * time group norm ".norm_gain" and ".norm_bias". The weight starts uniform in +-gain sqrt(3 / fan
 * in), which keeps the level of a signal of independent inputs; the bias at 0. */
rg_conv_layer rg_conv_declare(rg_params *params, const char *name, const rg_conv_spec *spec);
rg_conv_layer rg_conv_tr_declare(rg_params *params, const char *name, const rg_conv_spec *spec);

/* x (B,T,C_in) -> (B,ceil(T/stride),C_out). */
rg_tensor *rg_conv_run(rg_exec *ex, const rg_conv_layer *layer, rg_tensor *x);
/* x (B,T,C_in) -> (B,T*stride,C_out). */
rg_tensor *rg_conv_tr_run(rg_exec *ex, const rg_conv_layer *layer, rg_tensor *x);

#endif
