/*
 * The model of a codec run from its configuration (codec_task.h).
 *
 * One idea: keys have the names of the members of rg_encodec_config, so most of them are one row of
 * a table; what does not fit together is refused with the place of the key that should change.
 * Training and validation run the model through the same call. With `init` the first values are
 * another codec's, which must be of the same model.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/text.h"
#include "models/bundle.h"
#include "train/codec_task.h"

static const struct number {
    const char *key;
    size_t offset;
} numbers[] = {
#define N(name)                                  \
    {                                            \
#name, offsetof(rg_encodec_config, name) \
    }
    N(sample_rate), N(channels),        N(filters),         N(dimension),     N(kernel),
    N(last_kernel), N(residual_kernel), N(residual_layers), N(dilation_base), N(compress),
    N(lstm_layers), N(codebooks),       N(entries),
#undef N
};

static rg_status read_ratios(const rg_config *c, rg_encodec_config *out, rg_error *err)
{
    int64_t ratios[RG_MAX_RATIOS];
    size_t n = rg_config_ints(c, "ratios", ratios, RG_MAX_RATIOS);
    if (n > RG_MAX_RATIOS)
        return rg_fail(err, RG_ERR_CONFIG, "%s: ratios: %zu given, at most %d are possible",
                       rg_config_place(c, "ratios"), n, RG_MAX_RATIOS);
    out->n_ratios = (int32_t)n;
    for (size_t i = 0; i < n; i++) out->ratios[i] = (int32_t)ratios[i];
    int64_t frame_rate = rg_config_int(c, "frame_rate"), hop = rg_encodec_hop(out);
    if (hop * frame_rate == out->sample_rate) return RG_OK;
    return rg_fail(err, RG_ERR_CONFIG,
                   "%s: ratios: their product is %lld; %d Hz at %lld frames a second needs %g",
                   rg_config_place(c, "ratios"), (long long)hop, (int)out->sample_rate,
                   (long long)frame_rate, (double)out->sample_rate / (double)frame_rate);
}

/* One of a choice's words, in the order of its enumeration. */
static uint32_t read_word(const rg_config *c, const char *key, const char *const *words, uint32_t n)
{
    const char *word = rg_config_text(c, key);
    uint32_t i = 0;
    while (i + 1 < n && strcmp(word, words[i]) != 0) i++;
    return i;
}

static rg_status read_kinds(const rg_config *c, rg_encodec_config *out, rg_error *err)
{
    static const char *const pads[RG_PAD_COUNT] = {
        [RG_PAD_ZERO] = "constant", [RG_PAD_REFLECT] = "reflect"};
    static const char *const norms[RG_CONV_NORMS] = {[RG_CONV_WEIGHT_NORM] = "weight_norm",
                                                     [RG_CONV_TIME_GROUP_NORM] = "time_group_norm",
                                                     [RG_CONV_NO_NORM] = "none"};
    out->causal = rg_config_bool(c, "causal");
    out->conv_shortcut = rg_config_bool(c, "conv_shortcut");
    out->pad_mode = (rg_pad)read_word(c, "pad_mode", pads, RG_PAD_COUNT);
    out->norm = (rg_conv_norm)read_word(c, "norm", norms, RG_CONV_NORMS);
    out->trim_right_ratio = rg_config_real(c, "trim_right_ratio");
    out->normalize = rg_config_bool(c, "normalize");
    out->chunk_seconds = rg_config_real(c, "chunk_seconds");
    out->chunk_overlap = rg_config_real(c, "chunk_overlap");
    size_t n = rg_config_reals(c, "bandwidths", out->bandwidths, RG_MAX_BANDWIDTHS);
    if (n > RG_MAX_BANDWIDTHS)
        return rg_fail(err, RG_ERR_CONFIG, "%s: bandwidths: %zu given, at most %d are possible",
                       rg_config_place(c, "bandwidths"), n, RG_MAX_BANDWIDTHS);
    out->n_bandwidths = (int32_t)n;
    return RG_OK;
}

static rg_status read_model_config(const rg_config *c, rg_encodec_config *out, rg_error *err)
{
    *out = rg_encodec_defaults();
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        void *at = (char *)out + numbers[i].offset;
        *(int32_t *)at = (int32_t)rg_config_int(c, numbers[i].key);
    }
    RG_TRY(read_ratios(c, out, err));
    RG_TRY(read_kinds(c, out, err));
    return rg_encodec_check(out, err);
}

static rg_status read_band(rg_codec_run *run, int32_t sample_rate, rg_error *err)
{
    const rg_config *c = run->context.config;
    run->band[0] = rg_config_real(c, "band.low");
    run->band[1] = rg_config_real(c, "band.high");
    if (!(run->band[1] > 0)) run->band[1] = sample_rate / 2.0;
    if (run->band[0] < run->band[1]) return RG_OK;
    return rg_fail(err, RG_ERR_CONFIG, "%s: band.low: %g Hz is not below the band's high end, %g",
                   rg_config_place(c, "band.low"), run->band[0], run->band[1]);
}

/* ---- beginning from another codec ---- */

static void copy_values(rg_codec_run *run, rg_params *from)
{
    rg_params *to = run->params;
    for (size_t i = 0; i < rg_params_count(to); i++) {
        const rg_param *p = rg_params_at(to, i), *q = rg_params_find(from, p->name);
        memcpy(rg_param_data(to, p), rg_param_data(from, q),
               (size_t)rg_shape_count(p->shape) * rg_dtype_size(p->dtype));
    }
    memcpy(rg_params_ema(to), rg_params_values(to), (size_t)rg_params_elements(to) * sizeof(float));
}

/* Weights and codebooks of a codec of the same model, hence with the same parameters. */
static rg_status take_over(rg_codec_run *run, rg_codec *from, rg_error *err)
{
    char text[2][RG_ENCODEC_MEMBER_TEXT];
    const char *place = rg_config_place(run->context.config, "init");
    const char *member =
        rg_encodec_difference(&from->config, rg_encodec_config_of(run->model), text);
    if (member)
        return rg_fail(err, RG_ERR_MISMATCH,
                       "%s: init: %s has %s %s, this configuration %s; give the codec's own", place,
                       run->init, member, text[0], text[1]);
    copy_values(run, from->params);
    memcpy(run->init_hash, from->hash, sizeof run->init_hash);
    double crops = (double)rg_config_int(run->context.config, "batch") *
                   (double)rg_config_int(run->context.config, "accumulate");
    double frames =
        rg_config_real(run->context.config, "crop_seconds") * rg_encodec_frame_rate(&from->config);
    rg_quantizer_go_on(rg_encodec_quantizer(run->model), crops * frames);
    if (rg_params_refresh(run->params, run->context.ex) == RG_OK) return RG_OK;
    return rg_fail(err, run->context.ex->error.code, "%s: %s", run->init,
                   run->context.ex->error.text);
}

static rg_status begin_from(rg_codec_run *run, const char *name, rg_error *err)
{
    rg_codec from;
    if (!rg_copy_text(run->init, sizeof run->init, name))
        return rg_fail(err, RG_ERR_CONFIG, "%s: init: path is too long",
                       rg_config_place(run->context.config, "init"));
    if (rg_codec_open(name, run->context.ex, &from, err) != RG_OK) {
        rg_error_prefix(err, "%s: init", rg_config_place(run->context.config, "init"));
        return err->code;
    }
    rg_status status = take_over(run, &from, err);
    rg_codec_free(&from);
    return status;
}

rg_status rg_codec_run_make_model(rg_codec_run *run, rg_error *err)
{
    const char *init = rg_config_text(run->context.config, "init");
    rg_encodec_config config;
    RG_TRY(read_model_config(run->context.config, &config, err));
    RG_TRY(read_band(run, config.sample_rate, err));
    run->params = rg_params_create(err);
    if (!run->params) return err->code;
    run->model = rg_encodec_create(run->params, "", &config, err);
    if (!run->model) return err->code;
    RG_TRY(rg_params_finish(run->params, run->context.ex, run->context.seed, true, err));
    return init[0] && !run->context.resumes ? begin_from(run, init, err) : RG_OK;
}

/* ---- running it ---- */

/* What each item of x (B,T,C) is divided by: the RMS of its channels' mean, and a little more, so
 * that silence stays silence (audiocraft's encodec.py); and one over it. */
static void loudness_of(rg_exec *ex, const rg_tensor *x, rg_tensor **loudness, rg_tensor **inverse)
{
    int64_t items = x->shape.dim[0], frames = x->shape.dim[1], channels = x->shape.dim[2], at = 0;
    int64_t n = rg_shape_count(x->shape);
    float *level = rg_arena_alloc(ex->step, (size_t)(2 * items + n) * sizeof *level);
    if (!level) {
        rg_exec_fail(ex, RG_ERR_NOMEM, "step arena is full; use a smaller batch");
        return;
    }
    float *over = level + items, *samples = over + items;
    rg_tensor_floats(x, 0, n, samples);
    for (int64_t b = 0; b < items; b++) {
        double power = 0;
        for (int64_t t = 0; t < frames; t++) {
            double mono = 0;
            for (int64_t c = 0; c < channels; c++) mono += (double)samples[at++];
            power += mono * mono / (double)(channels * channels);
        }
        level[b] = (float)(sqrt(power / (double)frames) + 1e-8);
        over[b] = 1 / level[b];
    }
    *loudness = rg_tensor_from_floats(ex, RG_SHAPE(items), level);
    *inverse = rg_tensor_from_floats(ex, RG_SHAPE(items), over);
}

rg_tensor *rg_codec_run_encode(rg_codec_run *run, rg_tensor *x, rg_tensor **loudness)
{
    rg_exec *ex = run->context.ex;
    rg_tensor *level = NULL, *inverse = NULL;
    if (x && rg_encodec_config_of(run->model)->normalize) {
        loudness_of(ex, x, &level, &inverse);
        x = inverse ? rg_scale_items(ex, x, inverse) : NULL;
    }
    if (loudness) *loudness = level;
    return rg_encodec_encode(ex, run->model, x);
}

rg_tensor *rg_codec_run_reconstruct(rg_codec_run *run, rg_tensor *x, int32_t n_q, rg_rvq_out *q)
{
    rg_exec *ex = run->context.ex;
    rg_tensor *loudness;
    *q = (rg_rvq_out){.quantized = rg_codec_run_encode(run, x, &loudness)};
    if (n_q) *q = rg_rvq(ex, q->quantized, rg_encodec_quantizer(run->model)->books, NULL, n_q);
    if (!q->quantized) return NULL;
    rg_tensor *y = rg_encodec_decode(ex, run->model, q->quantized, x->shape.dim[1]);
    return loudness ? rg_scale_items(ex, y, loudness) : y;
}
