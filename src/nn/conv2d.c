/*
 * Convolution layers over images (conv2d.h).
 */
#include "nn/conv2d.h"

#include <math.h>
#include <stdio.h>

rg_conv2d_layer rg_conv2d_declare(rg_params *params, const char *name, const rg_conv2d_spec *spec)
{
    char full[RG_NAME_SIZE];
    double fan_in = (double)spec->c_in * spec->kernel_h * spec->kernel_w;
    rg_init init = {RG_INIT_UNIFORM, spec->gain * sqrt(3 / fan_in)};
    rg_shape shape = RG_SHAPE(spec->kernel_h, spec->kernel_w, spec->c_in, spec->c_out);
    rg_conv2d_layer layer = {.spec = *spec};
    snprintf(full, sizeof full, "%s.weight", name);
    layer.weight = spec->normed ? rg_params_add_normed(params, full, shape, 3, init)
                                : rg_params_add(params, full, shape, init);
    rg_params_use_as_matrix(params, layer.weight);
    snprintf(full, sizeof full, "%s.bias", name);
    layer.bias = rg_params_add(params, full, RG_SHAPE(spec->c_out), (rg_init){RG_INIT_ZEROS, 0});
    return layer;
}

rg_tensor *rg_conv2d_run(rg_exec *ex, const rg_conv2d_layer *layer, rg_tensor *x)
{
    const rg_conv2d_spec *s = &layer->spec;
    rg_conv2d_attr attr = {.stride_h = s->stride_h,
                           .stride_w = s->stride_w,
                           .dilation_h = s->dilation_h,
                           .dilation_w = s->dilation_w,
                           .pad_h = (s->kernel_h - 1) * s->dilation_h / 2,
                           .pad_w = (s->kernel_w - 1) * s->dilation_w / 2,
                           .act = s->act,
                           .slope = s->slope};
    return rg_conv2d(ex, x, layer->weight, layer->bias, &attr);
}
