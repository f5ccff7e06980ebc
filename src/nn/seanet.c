/*
 * SEANet (seanet.h): the two lists of stages and the loop that runs one.
 */
#include "nn/seanet_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* Where a list is being written: `index` counts modules, activations too. */
typedef struct builder {
    rg_params *params;
    const char *prefix;
    const rg_seanet_config *config;
    rg_seanet *net;
    int32_t index;
} builder;

static seanet_stage *next_stage(builder *b, seanet_stage_kind kind, const char *suffix,
                                char name[RG_NAME_SIZE])
{
    assert(b->net->n < SEANET_STAGES);
    snprintf(name, RG_NAME_SIZE, "%slayers.%d%s", b->prefix, (int)b->index, suffix);
    b->index++;
    seanet_stage *s = &b->net->stages[b->net->n++];
    s->kind = kind;
    return s;
}

/* The spec of a layer with everything that all layers share. */
static rg_conv_spec spec_of(const builder *b, int32_t c_in, int32_t c_out, int32_t kernel,
                            int32_t stride, rg_act act_in)
{
    return (rg_conv_spec){.c_in = c_in,
                          .c_out = c_out,
                          .kernel = kernel,
                          .stride = stride,
                          .dilation = 1,
                          .causal = b->config->causal,
                          .pad_mode = b->config->pad_mode,
                          .norm = b->config->norm,
                          .act_in = act_in,
                          .trim_right_ratio = b->config->trim_right_ratio,
                          .gain = 1};
}

static void add_conv(builder *b, int32_t c_in, int32_t c_out, int32_t kernel, int32_t stride,
                     rg_act act_in)
{
    char name[RG_NAME_SIZE];
    if (act_in != RG_ACT_NONE) b->index++;
    seanet_stage *s = next_stage(b, STAGE_CONV, ".conv", name);
    rg_conv_spec spec = spec_of(b, c_in, c_out, kernel, stride, act_in);
    s->conv = rg_conv_declare(b->params, name, &spec);
}

static void add_conv_tr(builder *b, int32_t c_in, int32_t c_out, int32_t ratio)
{
    char name[RG_NAME_SIZE];
    b->index++;
    seanet_stage *s = next_stage(b, STAGE_CONV_TR, ".conv", name);
    rg_conv_spec spec = spec_of(b, c_in, c_out, 2 * ratio, ratio, RG_ACT_ELU);
    s->conv = rg_conv_tr_declare(b->params, name, &spec);
}

/* A residual layer starts near its skip: what it adds has a third of the level of its input. */
static const double residual_gain = 1.0 / 3;

/* Residual layer j of width `width`: skip(x) + conv_k1(ELU(conv_k3(ELU(x)))). */
static void add_residual(builder *b, int32_t width, int32_t j)
{
    char name[RG_NAME_SIZE], full[RG_NAME_SIZE + 16];
    const rg_seanet_config *c = b->config;
    seanet_stage *s = next_stage(b, STAGE_RESIDUAL, "", name);
    int32_t hidden = width / c->compress;
    rg_conv_spec first = spec_of(b, width, hidden, c->residual_kernel, 1, RG_ACT_ELU);
    for (int32_t i = 0; i < j; i++) first.dilation *= c->dilation_base;
    rg_conv_spec second = spec_of(b, hidden, width, 1, 1, RG_ACT_ELU);
    second.gain = residual_gain;
    rg_conv_spec shortcut = spec_of(b, width, width, 1, 1, RG_ACT_NONE);
    snprintf(full, sizeof full, "%s.block.1.conv", name);
    s->conv = rg_conv_declare(b->params, full, &first);
    snprintf(full, sizeof full, "%s.block.3.conv", name);
    s->second = rg_conv_declare(b->params, full, &second);
    if (!c->conv_shortcut) return;
    snprintf(full, sizeof full, "%s.shortcut.conv", name);
    s->shortcut = rg_conv_declare(b->params, full, &shortcut);
}

static void add_lstm(builder *b, int32_t width)
{
    char name[RG_NAME_SIZE];
    if (b->config->lstm_layers == 0) return;
    seanet_stage *s = next_stage(b, STAGE_LSTM, ".lstm", name);
    s->lstm = rg_lstm_declare(b->params, name, width, b->config->lstm_layers);
}

static void list_encoder(builder *b)
{
    const rg_seanet_config *c = b->config;
    int32_t width = c->filters;
    add_conv(b, c->channels, width, c->kernel, 1, RG_ACT_NONE);
    for (int32_t i = c->n_ratios - 1; i >= 0; i--) {
        for (int32_t j = 0; j < c->residual_layers; j++) add_residual(b, width, j);
        add_conv(b, width, 2 * width, 2 * c->ratios[i], c->ratios[i], RG_ACT_ELU);
        width *= 2;
    }
    add_lstm(b, width);
    add_conv(b, width, c->dimension, c->last_kernel, 1, RG_ACT_ELU);
}

static void list_decoder(builder *b)
{
    const rg_seanet_config *c = b->config;
    int32_t width = c->filters << c->n_ratios;
    add_conv(b, c->dimension, width, c->kernel, 1, RG_ACT_NONE);
    add_lstm(b, width);
    for (int32_t i = 0; i < c->n_ratios; i++) {
        add_conv_tr(b, width, width / 2, c->ratios[i]);
        width /= 2;
        for (int32_t j = 0; j < c->residual_layers; j++) add_residual(b, width, j);
    }
    add_conv(b, width, c->channels, c->last_kernel, 1, RG_ACT_ELU);
}

static rg_seanet *build(rg_params *params, const char *prefix, const rg_seanet_config *config,
                        void (*list)(builder *), rg_error *err)
{
    rg_seanet *net = calloc(1, sizeof *net);
    if (!net) {
        rg_fail(err, RG_ERR_NOMEM, "no memory for a network of %d stages", SEANET_STAGES);
        return NULL;
    }
    builder b = {.params = params, .prefix = prefix, .config = config, .net = net};
    list(&b);
    return net;
}

rg_seanet *rg_seanet_encoder(rg_params *params, const char *prefix, const rg_seanet_config *config,
                             rg_error *err)
{
    return build(params, prefix, config, list_encoder, err);
}

rg_seanet *rg_seanet_decoder(rg_params *params, const char *prefix, const rg_seanet_config *config,
                             rg_error *err)
{
    return build(params, prefix, config, list_decoder, err);
}

void rg_seanet_destroy(rg_seanet *net)
{
    free(net);
}

static rg_tensor *run_residual(rg_exec *ex, const seanet_stage *s, rg_tensor *x)
{
    rg_tensor *skip = s->shortcut.weight ? rg_conv_run(ex, &s->shortcut, x) : x;
    rg_tensor *inner = rg_conv_run(ex, &s->conv, x);
    return rg_add(ex, skip, rg_conv_run(ex, &s->second, inner), 1, 1);
}

rg_tensor *rg_seanet_run(rg_exec *ex, const rg_seanet *net, rg_tensor *x)
{
    for (int32_t i = 0; i < net->n; i++) {
        const seanet_stage *s = &net->stages[i];
        switch (s->kind) {
        case STAGE_CONV:
            x = rg_conv_run(ex, &s->conv, x);
            break;
        case STAGE_CONV_TR:
            x = rg_conv_tr_run(ex, &s->conv, x);
            break;
        case STAGE_RESIDUAL:
            x = run_residual(ex, s, x);
            break;
        case STAGE_LSTM:
            x = rg_lstm_run(ex, &s->lstm, x);
            break;
        }
    }
    return x;
}
