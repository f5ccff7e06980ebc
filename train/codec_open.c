/*
 * Opening a codec run from its configuration, and closing it (codec_task.h).
 */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "train/codec_task.h"

static rg_status read_weight(const rg_config *c, const char *name, rg_annealed *out, rg_error *err)
{
    double values[2] = {0};
    char key[64];
    snprintf(key, sizeof key, "losses.%s", name);
    if (rg_config_reals(c, key, values, 2) != 2)
        return rg_fail(err, RG_ERR_CONFIG, "%s: %s: two numbers are expected, [start, end]",
                       rg_config_place(c, key), key);
    *out = (rg_annealed){values[0], values[1]};
    return RG_OK;
}

/* Whether the configuration gives a discriminator any weight. */
static bool has_judge(const rg_codec_run *run)
{
    const rg_annealed *adv = &run->weight[RG_CODEC_ADV], *feat = &run->weight[RG_CODEC_FEAT];
    return adv->begin > 0 || adv->end > 0 || feat->begin > 0 || feat->end > 0;
}

static rg_status read_losses(rg_codec_run *run, rg_error *err)
{
    const rg_config *c = run->context.config;
    int64_t sizes[RG_MAX_MEL_SCALES];
    int32_t n_fft[RG_MAX_MEL_SCALES];
    size_t n = rg_config_ints(c, "mel.scales", sizes, RG_MAX_MEL_SCALES);
    double begin = 0, end = 0;
    for (size_t i = 0; i < n && i < RG_MAX_MEL_SCALES; i++) n_fft[i] = (int32_t)sizes[i];
    for (int32_t t = 0; t < RG_CODEC_TERMS; t++) {
        RG_TRY(read_weight(c, rg_codec_term_name((rg_codec_term)t), &run->weight[t], err));
        begin += t < RG_CODEC_ADV ? run->weight[t].begin : 0;
        end += t < RG_CODEC_ADV ? run->weight[t].end : 0;
    }
    if (!(begin > 0 && end > 0))
        return rg_fail(err, RG_ERR_CONFIG,
                       "%s: losses: the weights of l1, mse and mel are 0, nothing would be learnt",
                       rg_config_place(c, "losses.mel"));
    run->anneal = rg_config_real(c, "losses.anneal");
    run->balancer = rg_balancer_make(has_judge(run) ? RG_CODEC_TERMS : RG_CODEC_ADV,
                                     rg_config_real(c, "balancer.decay"), 1);
    run->balancer.comm = run->context.comm;
    run->balancer.plain = !rg_config_bool(c, "balancer.enabled");
    RG_TRY(rg_codec_loss_make(&run->loss, run->context.ex, (int32_t)rg_config_int(c, "sample_rate"),
                              (int32_t)rg_config_int(c, "mel.bands"), n_fft, (int32_t)n, err));
    run->loss.mel_linear = !strcmp(rg_config_text(c, "mel.form"), "linear");
    run->loss.adv_hinge = !strcmp(rg_config_text(c, "losses.adv_form"), "hinge");
    run->loss.feat_relative = !strcmp(rg_config_text(c, "losses.feat_form"), "relative");
    return RG_OK;
}

rg_status rg_codec_run_open_judges(rg_codec_run *run, rg_error *err)
{
    int32_t books[RG_MAX_BOOKS], n = rg_codec_run_book_counts(run, books);
    if (!has_judge(run)) return RG_OK;
    return rg_judges_open(&run->judges, &run->context, run->params, books, n, run->frames, err);
}

rg_status rg_codec_run_open_model(rg_codec_run *run, rg_error *err)
{
    RG_TRY(rg_codec_run_make_model(run, err));
    RG_TRY(rg_codec_run_read_plan(run, err));
    return read_losses(run, err);
}

/* What validations write to. */
static rg_status make_results(rg_codec_run *run, rg_error *err)
{
    const rg_encodec_config *c = rg_encodec_config_of(run->model);
    size_t valid = (size_t)run->valid.n;
    run->valid_db = calloc(valid + 1, sizeof *run->valid_db);
    run->valid_mel = calloc(valid + 1, sizeof *run->valid_mel);
    run->valid_counts =
        calloc((size_t)c->codebooks * (size_t)c->entries, sizeof *run->valid_counts);
    if (run->valid_db && run->valid_mel && run->valid_counts) return RG_OK;
    return rg_fail(err, RG_ERR_NOMEM, "no memory for validations");
}

/* Everything that steps write to, so that no step uses the heap. */
rg_status rg_codec_run_make_buffers(rg_codec_run *run, rg_error *err)
{
    const rg_encodec_config *c = rg_encodec_config_of(run->model);
    size_t batch = (size_t)run->batch, crop = (size_t)run->frames;
    size_t vectors = (size_t)run->micros * batch * (crop / (size_t)rg_encodec_hop(c));
    size_t books = (size_t)c->codebooks;
    run->crops = calloc(batch * crop * (size_t)c->channels, sizeof *run->crops);
    run->codes = calloc(vectors * books, sizeof *run->codes);
    run->residuals = calloc(vectors * books * (size_t)c->dimension, sizeof *run->residuals);
    if (run->crops && run->codes && run->residuals) return RG_OK;
    return rg_fail(err, RG_ERR_NOMEM, "no memory for batches of %zu crops", batch);
}

static void say_what_was_found(const rg_codec_run *run)
{
    const rg_encodec_config *c = rg_encodec_config_of(run->model);
    rg_sampler_summary s = rg_sampler_describe(run->sampler);
    rg_log_line(run->context.log, RG_LOG_INFO,
                "%s: %lld songs, %.2f h, %.0f %% of the crops active; %lld validation crops",
                run->role_name, (long long)s.songs, s.hours, 100 * s.active_share,
                (long long)run->valid.n);
    rg_log_line(run->context.log, RG_LOG_INFO,
                "codec: %d Hz, %g frames/s, %d x %d codes, %.2f kbit/s; quantized from step %lld",
                (int)c->sample_rate, rg_encodec_frame_rate(c), (int)c->codebooks, (int)c->entries,
                rg_encodec_bitrate(c) / 1000, (long long)run->plan.start_step);
    if (run->init[0])
        rg_log_line(run->context.log, RG_LOG_INFO, "begins from %s (%.12s)", run->init,
                    run->init_hash);
    if (run->judges.n)
        rg_log_line(run->context.log, RG_LOG_INFO,
                    "discriminator: %d of %.2f M parameters, from step %lld, updated in %g %% of "
                    "the steps",
                    (int)run->judges.n,
                    (double)rg_params_elements(run->judges.each[0].params) / 1e6,
                    (long long)run->judges.start_step, 100 * run->judges.probability);
}

rg_status rg_codec_run_open(const rg_task_context *context, void **self, rg_error *err)
{
    rg_codec_run *run = calloc(1, sizeof *run);
    if (!run) return rg_fail(err, RG_ERR_NOMEM, "no memory for a codec run");
    run->context = *context;
    run->steps = rg_config_int(context->config, "steps");
    rg_status status = rg_codec_run_open_model(run, err);
    if (status == RG_OK) status = rg_codec_run_open_data(run, err);
    if (status == RG_OK) status = rg_codec_run_open_judges(run, err);
    if (status == RG_OK) status = make_results(run, err);
    if (status != RG_OK) {
        rg_codec_run_close(run);
        return status;
    }
    say_what_was_found(run);
    *self = run;
    return RG_OK;
}

rg_status rg_codec_run_start(void *self, const char *run_folder, rg_error *err)
{
    rg_codec_run *run = self;
    rg_sampler_summary s = rg_sampler_describe(run->sampler);
    double started = rg_clock_seconds();
    run->context.run_folder = run_folder;
    RG_TRY(rg_codec_run_make_buffers(run, err));
    RG_TRY(rg_sampler_start(run->sampler, err));
    if (s.held_songs && rg_encodec_config_of(run->model)->sample_rate != rg_store_rate(run->store))
        rg_log_line(run->context.log, RG_LOG_INFO,
                    "%s: %lld of %lld songs resampled and held, %.0f MiB, in %.1f s",
                    run->role_name, (long long)s.held_songs, (long long)s.songs,
                    (double)s.bytes / 1048576, rg_clock_seconds() - started);
    return RG_OK;
}

void rg_codec_run_close(void *self)
{
    rg_codec_run *run = self;
    if (!run) return;
    rg_sampler_destroy(run->sampler);
    rg_fixed_crops_free(&run->valid);
    rg_store_close(run->store);
    rg_encodec_destroy(run->model);
    rg_judges_close(&run->judges);
    rg_params_destroy(run->params);
    free(run->crops);
    free(run->codes);
    free(run->residuals);
    free(run->valid_db);
    free(run->valid_mel);
    free(run->valid_counts);
    free(run);
}
