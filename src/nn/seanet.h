/*
 * SEANet: the convolutional encoder and decoder of EnCodec (Tagliasacchi et al. 2009.02095;
 * Defossez et al. 2210.13438).
 *
 * One idea: a network is a list of stages run one after another; encoder and decoder are two ways
 * to write the list, with the indices that published checkpoints use in their names ("layers.N";
 * activations have an index but no parameters, and are applied by the stage that follows). Not
 * here: the quantizer between them.
 */
#ifndef RG_NN_SEANET_H
#define RG_NN_SEANET_H

#include "nn/conv.h"
#include "nn/lstm.h"

enum { RG_MAX_RATIOS = 8, RG_MAX_RESIDUAL_LAYERS = 4 };

typedef struct rg_seanet_config {
    int32_t channels, filters, dimension;
    int32_t n_ratios, ratios[RG_MAX_RATIOS]; /* decoder order */
    int32_t kernel, last_kernel, residual_kernel, residual_layers, dilation_base, compress,
        lstm_layers;
    bool causal, conv_shortcut; /* the residual's skip: a convolution of kernel 1, or the input */
    rg_pad pad_mode;
    rg_conv_norm norm;
    double trim_right_ratio;
} rg_seanet_config;

typedef struct rg_seanet rg_seanet;

/* Declare parameters prefix + "layers.N..." in params. NULL and a text in err when out of memory.
 */
rg_seanet *rg_seanet_encoder(rg_params *params, const char *prefix, const rg_seanet_config *config,
                             rg_error *err);
rg_seanet *rg_seanet_decoder(rg_params *params, const char *prefix, const rg_seanet_config *config,
                             rg_error *err);
void rg_seanet_destroy(rg_seanet *net); /* NULL is fine */

/* Encoder: (B,T,channels) -> (B,ceil(T/hop),dimension). Decoder: (B,F,dimension) ->
 * (B,F*hop,channels). */
rg_tensor *rg_seanet_run(rg_exec *ex, const rg_seanet *net, rg_tensor *x);

#endif
