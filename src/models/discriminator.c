/*
 * The multi-scale STFT discriminator (discriminator.h).
 *
 * One idea: a table of layers, the same for every scale. The first has no weight norm: EnCodec
 * trains it without.
 */
#include "models/discriminator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "nn/conv2d.h"

/* Kernels are the configuration's but in the last two layers, where they are square. */
static const struct {
    bool square;
    int32_t stride_w, dilation_h;
} shapes[RG_JUDGE_MAPS + 1] = {{false, 1, 1}, {false, 2, 1}, {false, 2, 2},
                               {false, 2, 4}, {true, 1, 1},  {true, 1, 1}};

struct rg_discriminator {
    rg_discriminator_config config;
    rg_conv2d_layer layer[RG_MAX_JUDGE_SCALES][RG_JUDGE_MAPS + 1]; /* the last one: the logits */
};

rg_status rg_discriminator_check(const rg_discriminator_config *c, rg_error *err)
{
    if (c->n_scales < 1 || c->n_scales > RG_MAX_JUDGE_SCALES)
        return rg_fail(err, RG_ERR_CONFIG, "discriminator: %d scales; 1 to %d are possible",
                       (int)c->n_scales, RG_MAX_JUDGE_SCALES);
    for (int32_t i = 0; i < c->n_scales; i++) {
        int32_t n = c->n_fft[i];
        if (n < 16 || n > 65536 || (n & (n - 1)))
            return rg_fail(err, RG_ERR_CONFIG,
                           "discriminator: scale %d is no power of two from 16 to 65536", (int)n);
    }
    const struct {
        const char *name;
        int32_t value, high;
    } ranges[] = {{"filters", c->filters, 1024},
                  {"the kernel's height", c->kernel_h, 63},
                  {"the kernel's width", c->kernel_w, 63}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        if (ranges[i].value < 1 || ranges[i].value > ranges[i].high)
            return rg_fail(err, RG_ERR_CONFIG, "discriminator: %s is %d; it must be 1 to %d",
                           ranges[i].name, (int)ranges[i].value, (int)ranges[i].high);
    }
    if (!(c->slope >= 0 && c->slope < 1))
        return rg_fail(err, RG_ERR_CONFIG, "discriminator: slope is %g; it must be 0 to 1",
                       c->slope);
    return RG_OK;
}

/* The activation halves the power of a signal, or a little less: what comes behind makes up. */
static rg_conv2d_spec spec_of(const rg_discriminator_config *c, int32_t layer)
{
    return (rg_conv2d_spec){.c_in = layer ? c->filters : 2,
                            .c_out = layer < RG_JUDGE_MAPS ? c->filters : 1,
                            .kernel_h = c->kernel_h,
                            .kernel_w = shapes[layer].square ? c->kernel_h : c->kernel_w,
                            .stride_h = 1,
                            .stride_w = shapes[layer].stride_w,
                            .dilation_h = shapes[layer].dilation_h,
                            .dilation_w = 1,
                            .normed = layer > 0,
                            .act = layer < RG_JUDGE_MAPS ? RG_ACT_LEAKY_RELU : RG_ACT_NONE,
                            .slope = c->slope,
                            .gain = layer ? sqrt(2 / (1 + c->slope * c->slope)) : 1};
}

rg_discriminator *rg_discriminator_create(rg_params *params, const char *prefix,
                                          const rg_discriminator_config *config, rg_error *err)
{
    if (rg_discriminator_check(config, err) != RG_OK) return NULL;
    rg_discriminator *judge = calloc(1, sizeof *judge);
    if (!judge) {
        rg_fail(err, RG_ERR_NOMEM, "no memory for a discriminator");
        return NULL;
    }
    judge->config = *config;
    for (int32_t s = 0; s < config->n_scales; s++) {
        for (int32_t l = 0; l <= RG_JUDGE_MAPS; l++) {
            char name[RG_NAME_SIZE];
            rg_conv2d_spec spec = spec_of(config, l);
            snprintf(name, sizeof name, "%sscales.%d.convs.%d", prefix, (int)s, (int)l);
            judge->layer[s][l] = rg_conv2d_declare(params, name, &spec);
        }
    }
    return judge;
}

void rg_discriminator_destroy(rg_discriminator *judge)
{
    free(judge);
}

rg_judgement rg_discriminator_run(rg_exec *ex, const rg_discriminator *judge, rg_tensor *x)
{
    const rg_discriminator_config *c = &judge->config;
    rg_judgement out = {.n_scales = c->n_scales};
    for (int32_t s = 0; s < c->n_scales; s++) {
        rg_stft_attr stft = {.n_fft = c->n_fft[s],
                             .hop = c->n_fft[s] / 4,
                             .pad_mode = RG_PAD_ZERO,
                             .normalized = true};
        rg_tensor *h = rg_stft(ex, x, &stft);
        for (int32_t l = 0; l < RG_JUDGE_MAPS; l++)
            out.maps[s][l] = h = rg_conv2d_run(ex, &judge->layer[s][l], h);
        out.logits[s] = rg_conv2d_run(ex, &judge->layer[s][RG_JUDGE_MAPS], h);
    }
    return out;
}

rg_tensor *rg_hinge(rg_exec *ex, rg_tensor *logits, double side)
{
    const float one = 1;
    rg_tensor *margin = rg_tensor_from_floats(ex, RG_SHAPE(1), &one);
    rg_tensor *lack = rg_add(ex, rg_widen(ex, logits), margin, -side, 1);
    return rg_mean(ex, rg_activation(ex, lack, RG_ACT_LEAKY_RELU, 0));
}
