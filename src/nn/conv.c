/*
 * Convolution layers of EnCodec (conv.h).
 */
#include "nn/conv.h"

#include <math.h>
#include <stdio.h>

rg_conv_pads rg_conv_padding(int64_t length, int32_t kernel, int32_t stride, int32_t dilation,
                             bool causal)
{
    int64_t reach = (int64_t)(kernel - 1) * dilation + 1;
    int64_t total = reach - stride;
    int64_t steps = (length + stride - 1) / stride;
    int64_t extra = steps * stride - length; /* a last step that is not full is filled up */
    int64_t right = causal ? 0 : total / 2;
    return (rg_conv_pads){.left = total - right, .right = right + extra};
}

rg_conv_pads rg_conv_tr_trim(int32_t kernel, int32_t stride, bool causal, double trim_right_ratio)
{
    int64_t total = kernel - stride;
    int64_t right = causal ? (int64_t)ceil((double)total * trim_right_ratio) : total / 2;
    return (rg_conv_pads){.left = total - right, .right = right};
}

static const double group_norm_eps = 1e-5;

static rg_tensor *normalize(rg_exec *ex, const rg_conv_layer *layer, rg_tensor *y)
{
    if (layer->spec.norm != RG_CONV_TIME_GROUP_NORM) return y;
    return rg_groupnorm(ex, y, layer->norm_gain, layer->norm_bias, group_norm_eps);
}

/* `axis` is the weight's axis that keeps its own norm; an output sums `fan_in` inputs. */
static rg_conv_layer declare(rg_params *params, const char *name, const rg_conv_spec *spec,
                             int32_t axis, double fan_in)
{
    char full[RG_NAME_SIZE];
    rg_init init = {RG_INIT_UNIFORM, spec->gain * sqrt(3 / fan_in)};
    rg_conv_layer layer = {.spec = *spec};
    rg_shape shape = RG_SHAPE(spec->kernel, spec->c_in, spec->c_out), out = RG_SHAPE(spec->c_out);
    snprintf(full, sizeof full, "%s.weight", name);
    layer.weight = spec->norm == RG_CONV_WEIGHT_NORM
                       ? rg_params_add_normed(params, full, shape, axis, init)
                       : rg_params_add(params, full, shape, init);
    rg_params_use_as_matrix(params, layer.weight);
    snprintf(full, sizeof full, "%s.bias", name);
    layer.bias = rg_params_add(params, full, out, (rg_init){RG_INIT_ZEROS, 0});
    if (spec->norm != RG_CONV_TIME_GROUP_NORM) return layer;
    snprintf(full, sizeof full, "%s.norm_gain", name);
    layer.norm_gain = rg_params_add(params, full, out, (rg_init){RG_INIT_ONES, 0});
    snprintf(full, sizeof full, "%s.norm_bias", name);
    layer.norm_bias = rg_params_add(params, full, out, (rg_init){RG_INIT_ZEROS, 0});
    return layer;
}

rg_conv_layer rg_conv_declare(rg_params *params, const char *name, const rg_conv_spec *spec)
{
    return declare(params, name, spec, 2, (double)spec->c_in * spec->kernel);
}

/* An output sums kernel / stride taps of every input channel. */
rg_conv_layer rg_conv_tr_declare(rg_params *params, const char *name, const rg_conv_spec *spec)
{
    return declare(params, name, spec, 1, (double)spec->c_in * spec->kernel / spec->stride);
}

rg_tensor *rg_conv_run(rg_exec *ex, const rg_conv_layer *layer, rg_tensor *x)
{
    if (!x) return NULL;
    const rg_conv_spec *s = &layer->spec;
    rg_conv_pads pads =
        rg_conv_padding(x->shape.dim[1], s->kernel, s->stride, s->dilation, s->causal);
    rg_conv1d_attr attr = {.stride = s->stride,
                           .dilation = s->dilation,
                           .pad_left = pads.left,
                           .pad_right = pads.right,
                           .pad_mode = s->pad_mode,
                           .act_in = s->act_in};
    return normalize(ex, layer, rg_conv1d(ex, x, layer->weight, layer->bias, &attr));
}

rg_tensor *rg_conv_tr_run(rg_exec *ex, const rg_conv_layer *layer, rg_tensor *x)
{
    if (!x) return NULL;
    const rg_conv_spec *s = &layer->spec;
    rg_conv_pads trim = rg_conv_tr_trim(s->kernel, s->stride, s->causal, s->trim_right_ratio);
    bool late = s->norm == RG_CONV_TIME_GROUP_NORM; /* what is trimmed counts in the statistics */
    rg_conv_tr1d_attr attr = {.stride = s->stride,
                              .trim_left = late ? 0 : trim.left,
                              .trim_right = late ? 0 : trim.right,
                              .act_in = s->act_in};
    rg_tensor *y = rg_conv_tr1d(ex, x, layer->weight, layer->bias, &attr);
    if (!late) return y;
    return rg_slice(ex, normalize(ex, layer, y), 1, trim.left, x->shape.dim[1] * s->stride);
}
