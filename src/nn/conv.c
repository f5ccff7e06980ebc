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

/* `axis` is the weight's axis that keeps its own norm; an output sums `fan_in` inputs. */
static rg_conv_layer declare(rg_params *params, const char *name, const rg_conv_spec *spec,
                             int32_t axis, double fan_in)
{
    char full[RG_NAME_SIZE];
    rg_init init = {RG_INIT_UNIFORM, spec->gain * sqrt(3 / fan_in)};
    rg_conv_layer layer = {.spec = *spec};
    snprintf(full, sizeof full, "%s.weight", name);
    layer.weight = rg_params_add_normed(
        params, full, RG_SHAPE(spec->kernel, spec->c_in, spec->c_out), axis, init);
    rg_params_use_as_matrix(params, layer.weight);
    snprintf(full, sizeof full, "%s.bias", name);
    layer.bias = rg_params_add(params, full, RG_SHAPE(spec->c_out), (rg_init){RG_INIT_ZEROS, 0});
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
    return rg_conv1d(ex, x, layer->weight, layer->bias, &attr);
}

rg_tensor *rg_conv_tr_run(rg_exec *ex, const rg_conv_layer *layer, rg_tensor *x)
{
    const rg_conv_spec *s = &layer->spec;
    rg_conv_pads trim = rg_conv_tr_trim(s->kernel, s->stride, s->causal, s->trim_right_ratio);
    rg_conv_tr1d_attr attr = {
        .stride = s->stride, .trim_left = trim.left, .trim_right = trim.right, .act_in = s->act_in};
    return rg_conv_tr1d(ex, x, layer->weight, layer->bias, &attr);
}
