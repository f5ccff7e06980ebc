/*
 * EnCodec of one track (encodec.h): checks of the configuration, parameters, the two networks.
 */
#include "models/encodec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct rg_encodec {
    rg_encodec_config config;
    rg_seanet *encoder, *decoder;
    rg_quantizer *quantizer;
};

rg_encodec_config rg_encodec_defaults(void)
{
    return (rg_encodec_config){.channels = 1,
                               .dimension = 128,
                               .kernel = 7,
                               .last_kernel = 7,
                               .residual_kernel = 3,
                               .residual_layers = 1,
                               .dilation_base = 2,
                               .compress = 2,
                               .pad_mode = RG_PAD_ZERO,
                               .trim_right_ratio = 1};
}

int32_t rg_encodec_hop(const rg_encodec_config *config)
{
    int32_t hop = 1;
    for (int32_t i = 0; i < config->n_ratios; i++) hop *= config->ratios[i];
    return hop;
}

double rg_encodec_frame_rate(const rg_encodec_config *config)
{
    return (double)config->sample_rate / rg_encodec_hop(config);
}

double rg_encodec_bitrate(const rg_encodec_config *config)
{
    return config->codebooks * log2((double)config->entries) * rg_encodec_frame_rate(config);
}

static rg_status check_ratios(const rg_encodec_config *c, rg_error *err)
{
    int64_t hop = 1;
    if (c->n_ratios < 1 || c->n_ratios > RG_MAX_RATIOS)
        return rg_fail(err, RG_ERR_CONFIG, "codec: ratios: %d given, 1 to %d are possible",
                       (int)c->n_ratios, RG_MAX_RATIOS);
    for (int32_t i = 0; i < c->n_ratios; i++) {
        if (c->ratios[i] < 2 || c->ratios[i] > 64)
            return rg_fail(err, RG_ERR_CONFIG, "codec: ratios: %d is not within 2 to 64",
                           (int)c->ratios[i]);
        hop *= c->ratios[i];
        if (hop > c->sample_rate) break;
    }
    if (hop > c->sample_rate || c->sample_rate % hop)
        return rg_fail(
            err, RG_ERR_CONFIG,
            "codec: the product of ratios is %lld, which does not divide sample_rate %d; "
            "for 50 frames a second it must be %d",
            (long long)hop, (int)c->sample_rate, (int)c->sample_rate / 50);
    return RG_OK;
}

/* Chunks hold a frame and move on: a tenth at least, or a signal would be coded countless times. */
static rg_status check_chunks(const rg_encodec_config *c, rg_error *err)
{
    if (!(c->chunk_seconds >= 0 && c->chunk_seconds <= 3600))
        return rg_fail(err, RG_ERR_CONFIG, "codec: chunk_seconds is %g; it must be 0 to 3600",
                       c->chunk_seconds);
    if (!(c->chunk_overlap >= 0 && c->chunk_overlap <= 0.9))
        return rg_fail(err, RG_ERR_CONFIG, "codec: chunk_overlap is %g; it must be 0 to 0.9",
                       c->chunk_overlap);
    if (c->chunk_seconds > 0 && c->chunk_seconds * c->sample_rate < rg_encodec_hop(c))
        return rg_fail(err, RG_ERR_CONFIG,
                       "codec: chunk_seconds is %g, which is shorter than a frame of %d samples",
                       c->chunk_seconds, (int)rg_encodec_hop(c));
    return RG_OK;
}

static rg_status check_bandwidths(const rg_encodec_config *c, rg_error *err)
{
    if (c->n_bandwidths < 0 || c->n_bandwidths > RG_MAX_BANDWIDTHS)
        return rg_fail(err, RG_ERR_CONFIG, "codec: %d bandwidths, at most %d are possible",
                       (int)c->n_bandwidths, RG_MAX_BANDWIDTHS);
    double before = 0;
    for (int32_t i = 0; i < c->n_bandwidths; i++) {
        if (!(c->bandwidths[i] > before && c->bandwidths[i] <= 1e6))
            return rg_fail(err, RG_ERR_CONFIG,
                           "codec: bandwidths: %g is not above %g; rising kbit/s are expected",
                           c->bandwidths[i], before);
        before = c->bandwidths[i];
    }
    return RG_OK;
}

rg_status rg_encodec_check(const rg_encodec_config *c, rg_error *err)
{
    const struct {
        const char *name;
        int32_t value, low, high;
    } ranges[] = {
        {"sample_rate", c->sample_rate, 1000, 384000},
        {"channels", c->channels, 1, 32},
        {"filters", c->filters, 1, 512},
        {"dimension", c->dimension, 1, 4096},
        {"kernel", c->kernel, 1, 63},
        {"last_kernel", c->last_kernel, 1, 63},
        {"residual_kernel", c->residual_kernel, 1, 63},
        {"residual_layers", c->residual_layers, 0, RG_MAX_RESIDUAL_LAYERS},
        {"dilation_base", c->dilation_base, 1, 8},
        {"compress", c->compress, 1, c->filters},
        {"lstm_layers", c->lstm_layers, 0, RG_MAX_LSTM_LAYERS},
        {"pad_mode", (int32_t)c->pad_mode, 0, RG_PAD_COUNT - 1},
        {"norm", (int32_t)c->norm, 0, RG_CONV_NORMS - 1},
        {"codebooks", c->codebooks, 1, RG_MAX_BOOKS},
        {"entries", c->entries, 2, 65536},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (ranges[i].value < ranges[i].low || ranges[i].value > ranges[i].high)
            return rg_fail(err, RG_ERR_CONFIG, "codec: %s is %d; it must be %d to %d",
                           ranges[i].name, (int)ranges[i].value, (int)ranges[i].low,
                           (int)ranges[i].high);
    }
    if (!(c->trim_right_ratio >= 0 && c->trim_right_ratio <= 1))
        return rg_fail(err, RG_ERR_CONFIG, "codec: trim_right_ratio is %g; it must be 0 to 1",
                       c->trim_right_ratio);
    RG_TRY(check_ratios(c, err));
    RG_TRY(check_chunks(c, err));
    return check_bandwidths(c, err);
}

static rg_seanet_config seanet_of(const rg_encodec_config *c)
{
    rg_seanet_config s = {.channels = c->channels,
                          .filters = c->filters,
                          .dimension = c->dimension,
                          .n_ratios = c->n_ratios,
                          .kernel = c->kernel,
                          .last_kernel = c->last_kernel,
                          .residual_kernel = c->residual_kernel,
                          .residual_layers = c->residual_layers,
                          .dilation_base = c->dilation_base,
                          .compress = c->compress,
                          .lstm_layers = c->lstm_layers,
                          .causal = c->causal,
                          .conv_shortcut = c->conv_shortcut,
                          .pad_mode = c->pad_mode,
                          .norm = c->norm,
                          .trim_right_ratio = c->trim_right_ratio};
    for (int32_t i = 0; i < c->n_ratios; i++) s.ratios[i] = c->ratios[i];
    return s;
}

rg_encodec *rg_encodec_create(rg_params *params, const char *prefix,
                              const rg_encodec_config *config, rg_error *err)
{
    if (rg_encodec_check(config, err) != RG_OK) return NULL;
    rg_encodec *model = calloc(1, sizeof *model);
    if (!model) {
        rg_fail(err, RG_ERR_NOMEM, "no memory for a codec");
        return NULL;
    }
    char name[RG_NAME_SIZE];
    rg_seanet_config net = seanet_of(config);
    model->config = *config;
    snprintf(name, sizeof name, "%sencoder.", prefix);
    model->encoder = rg_seanet_encoder(params, name, &net, err);
    snprintf(name, sizeof name, "%sdecoder.", prefix);
    model->decoder = rg_seanet_decoder(params, name, &net, err);
    snprintf(name, sizeof name, "%squantizer.", prefix);
    model->quantizer =
        rg_quantizer_declare(params, name, config->codebooks, config->entries, config->dimension);
    if (model->encoder && model->decoder && model->quantizer) return model;
    rg_fail(err, RG_ERR_NOMEM, "no memory for a codec");
    rg_encodec_destroy(model);
    return NULL;
}

void rg_encodec_destroy(rg_encodec *model)
{
    if (!model) return;
    rg_seanet_destroy(model->encoder);
    rg_seanet_destroy(model->decoder);
    rg_quantizer_destroy(model->quantizer);
    free(model);
}

const rg_encodec_config *rg_encodec_config_of(const rg_encodec *model)
{
    return &model->config;
}

rg_quantizer *rg_encodec_quantizer(rg_encodec *model)
{
    return model->quantizer;
}

const rg_seanet *rg_encodec_encoder(const rg_encodec *model)
{
    return model->encoder;
}

const rg_seanet *rg_encodec_decoder(const rg_encodec *model)
{
    return model->decoder;
}

rg_tensor *rg_encodec_encode(rg_exec *ex, rg_encodec *model, rg_tensor *x)
{
    return rg_widen(ex, rg_seanet_run(ex, model->encoder, x));
}

rg_tensor *rg_encodec_decode(rg_exec *ex, rg_encodec *model, rg_tensor *z, int64_t length)
{
    rg_tensor *y = rg_widen(ex, rg_seanet_run(ex, model->decoder, z));
    if (!y || y->shape.dim[1] == length) return y;
    return rg_slice(ex, y, 1, 0, length);
}
