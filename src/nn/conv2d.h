/*
 * Convolution layers over (height, width) images, as spectrogram discriminators have them.
 *
 * One idea: both axes are padded with zeros by half of what the dilated kernel reaches, rounded
 * down, so an odd kernel with stride 1 keeps the size and an even one takes one step off it.
 * Weights are (KH,KW,C_in,C_out), with weight norm per output channel or plain.
 */
#ifndef RG_NN_CONV2D_H
#define RG_NN_CONV2D_H

#include "engine/params.h"
#include "ops/ops.h"

typedef struct rg_conv2d_spec {
    int32_t c_in, c_out, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    bool normed; /* by weight norm */
    rg_act act;  /* see rg_conv2d_attr */
    double slope;
    double gain; /* start: deviation of the output over that of the input */
} rg_conv2d_spec;

/* A declared layer; its tensors belong to the params they were declared in. */
typedef struct rg_conv2d_layer {
    rg_conv2d_spec spec;
    rg_tensor *weight, *bias; /* (KH,KW,C_in,C_out), (C_out) */
} rg_conv2d_layer;

/* Declares name + ".weight_g" and ".weight_v", or ".weight", and name + ".bias"; they start as
 * rg_conv_declare's do. */
rg_conv2d_layer rg_conv2d_declare(rg_params *params, const char *name, const rg_conv2d_spec *spec);

/* x (B,H,W,C_in) -> (B,OH,OW,C_out), O = (size + 2 pad - reach) / stride + 1 per axis. */
rg_tensor *rg_conv2d_run(rg_exec *ex, const rg_conv2d_layer *layer, rg_tensor *x);

#endif
