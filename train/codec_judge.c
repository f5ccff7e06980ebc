/*
 * The discriminators of a codec run (codec_judge.h).
 */
#include "train/codec_judge.h"

#include <string.h>

#include "base/json.h"

enum { STREAM_JUDGE = 0x6a64 };

/* ---- opening ---- */

static rg_status read_model(const rg_config *c, int64_t frames, rg_discriminator_config *out,
                            rg_error *err)
{
    int64_t sizes[RG_MAX_JUDGE_SCALES], kernel[2];
    size_t n = rg_config_ints(c, "discriminator.scales", sizes, RG_MAX_JUDGE_SCALES);
    if (rg_config_ints(c, "discriminator.kernel", kernel, 2) != 2)
        return rg_fail(err, RG_ERR_CONFIG,
                       "%s: discriminator.kernel: two numbers are expected, [frames, bins]",
                       rg_config_place(c, "discriminator.kernel"));
    *out = (rg_discriminator_config){.n_scales = (int32_t)n,
                                     .filters = (int32_t)rg_config_int(c, "discriminator.filters"),
                                     .kernel_h = (int32_t)kernel[0],
                                     .kernel_w = (int32_t)kernel[1],
                                     .slope = rg_config_real(c, "discriminator.slope")};
    for (size_t i = 0; i < n && i < RG_MAX_JUDGE_SCALES; i++) {
        out->n_fft[i] = (int32_t)sizes[i];
        if (sizes[i] > frames)
            return rg_fail(err, RG_ERR_CONFIG,
                           "%s: discriminator.scales: %lld samples do not fit into crops of %lld; "
                           "raise crop_seconds or leave it out",
                           rg_config_place(c, "discriminator.scales"), (long long)sizes[i],
                           (long long)frames);
    }
    return rg_discriminator_check(out, err);
}

static rg_status open_one(rg_judge *judge, const rg_task_context *context,
                          const rg_discriminator_config *model, rg_error *err)
{
    const rg_config *c = context->config;
    char prefix[32];
    snprintf(prefix, sizeof prefix, "discriminator.%d.", (int)judge->books);
    judge->adamw = (rg_adamw){.beta1 = rg_config_real(c, "discriminator.beta1"),
                              .beta2 = rg_config_real(c, "discriminator.beta2"),
                              .eps = rg_config_real(c, "discriminator.eps"),
                              .clip_norm = rg_config_real(c, "discriminator.clip_norm")};
    judge->scaler = rg_scaler_make(*context->loss_scale > 1); /* as the codec's */
    judge->params = rg_params_create(err);
    if (!judge->params) return err->code;
    judge->model = rg_discriminator_create(judge->params, prefix, model, err);
    if (!judge->model) return err->code;
    return rg_params_finish(judge->params, context->ex, context->seed, true, err);
}

rg_status rg_judges_open(rg_judges *judges, const rg_task_context *context, rg_params *codec,
                         const int32_t *books, int32_t n_books, int64_t frames, rg_error *err)
{
    const rg_config *c = context->config;
    rg_discriminator_config model;
    int64_t steps = rg_config_int(c, "steps");
    bool cosine = !strcmp(rg_config_text(c, "discriminator.schedule"), "cosine");
    bool per_bandwidth = rg_config_bool(c, "discriminator.per_bandwidth");
    RG_TRY(read_model(c, frames, &model, err));
    judges->seed = context->seed;
    judges->probability = rg_config_real(c, "discriminator.probability");
    judges->start_step = (int64_t)((double)steps * rg_config_real(c, "discriminator.start"));
    judges->schedule = (rg_schedule){.kind = cosine ? RG_SCHEDULE_COSINE : RG_SCHEDULE_CONSTANT,
                                     .lr = rg_config_real(c, "discriminator.lr"),
                                     .final_lr = rg_config_real(c, "discriminator.final_lr"),
                                     .warmup = rg_config_int(c, "discriminator.warmup"),
                                     .total = steps - judges->start_step};
    for (int32_t i = 0; i < (per_bandwidth ? n_books : 1); i++) {
        rg_judge *judge = &judges->each[judges->n++];
        judge->books = per_bandwidth ? books[i] : 0;
        RG_TRY(open_one(judge, context, &model, err));
        rg_params_set_companion(i ? judges->each[i - 1].params : codec, judge->params);
    }
    return RG_OK;
}

void rg_judges_close(rg_judges *judges)
{
    for (int32_t i = 0; i < judges->n; i++) {
        rg_discriminator_destroy(judges->each[i].model);
        rg_params_destroy(judges->each[i].params);
    }
    judges->n = 0;
}

/* ---- steps ---- */

rg_judge *rg_judges_of(rg_judges *judges, int64_t step, int32_t n_q)
{
    if (!judges->n || step < judges->start_step) return NULL;
    for (int32_t i = 0; i < judges->n; i++)
        if (judges->each[i].books == n_q) return &judges->each[i];
    return &judges->each[judges->n - 1]; /* the only one; or, not quantized, that of the best */
}

bool rg_judges_learn(const rg_judges *judges, int64_t step)
{
    rg_rng rng = rg_rng_make(judges->seed, rg_rng_stream(STREAM_JUDGE, (uint64_t)step, 0));
    return rg_rng_uniform(&rng) < judges->probability;
}

rg_status rg_judge_hear(rg_exec *ex, rg_judge *judge, rg_tensor *x, rg_tensor *y, double *loss)
{
    enum { SIDES = 2 };
    rg_tensor *roots[SIDES * RG_MAX_JUDGE_SCALES], *seeds[SIDES * RG_MAX_JUDGE_SCALES];
    rg_mark mark = rg_tape_mark(ex);
    rg_judgement real = rg_discriminator_run(ex, judge->model, rg_detach(ex, x));
    rg_judgement fake = rg_discriminator_run(ex, judge->model, rg_detach(ex, y));
    float share = (float)(judge->scaler.scale / real.n_scales);
    rg_tensor *seed = rg_tensor_from_floats(ex, RG_SHAPE(1), &share);
    int32_t n = SIDES * real.n_scales, n_wrt;
    for (int32_t i = 0; i < n; i++) {
        bool of_real = i < real.n_scales;
        roots[i] = of_real ? rg_hinge(ex, real.logits[i], 1)
                           : rg_hinge(ex, fake.logits[i - real.n_scales], -1);
        seeds[i] = seed;
    }
    RG_TRY(rg_exec_status(ex));
    rg_tensor *const *wrt = rg_params_trainable(judge->params, &n_wrt);
    RG_TRY(rg_backward(ex, roots, seeds, n, wrt, n_wrt, NULL));
    if (loss) *loss = 0;
    for (int32_t i = 0; loss && i < n; i++) *loss += rg_tensor_get(roots[i], 0) / real.n_scales;
    rg_tape_rewind(ex, mark);
    return RG_OK;
}

rg_status rg_judge_update(rg_exec *ex, const rg_judges *judges, rg_judge *judge, int64_t step,
                          int32_t micros, rg_metrics *metrics)
{
    rg_update update;
    double lr = rg_schedule_at(&judges->schedule, step - judges->start_step);
    RG_TRY(rg_adamw_step(&judge->adamw, &judge->scaler, judge->params, ex, lr, micros, &update));
    rg_params_zero_gradients(judge->params);
    rg_metrics_set(metrics, "discriminator/skipped", update.skipped);
    rg_metrics_set(metrics, "discriminator/lr", lr);
    if (!update.skipped) rg_metrics_set(metrics, "discriminator/grad_norm", update.grad_norm);
    return RG_OK;
}

/* ---- checkpoints ---- */

json_t *rg_judges_save(const rg_judges *judges)
{
    json_t *state = json_array();
    for (int32_t i = 0; i < judges->n; i++) {
        const rg_judge *j = &judges->each[i];
        json_array_append_new(state,
                              json_pack("{s:i, s:I, s:f, s:I, s:I}", "books", (int)j->books, "step",
                                        (json_int_t)j->adamw.step, "scale", j->scaler.scale,
                                        "good_steps", (json_int_t)j->scaler.good_steps, "skipped",
                                        (json_int_t)j->scaler.skipped));
    }
    return state;
}

rg_status rg_judges_load(rg_judges *judges, const json_t *state, rg_error *err)
{
    for (int32_t i = 0; i < judges->n && state; i++) {
        rg_judge *j = &judges->each[i];
        json_int_t books = -1, step, good_steps, skipped;
        double scale;
        json_t *one = json_array_get(state, (size_t)i);
        if (json_unpack(one, "{s:I, s:I, s:F, s:I, s:I}", "books", &books, "step", &step, "scale",
                        &scale, "good_steps", &good_steps, "skipped", &skipped) != 0 ||
            books != j->books)
            return rg_fail(err, RG_ERR_MISMATCH,
                           "discriminator: the checkpoint has another set of them; keep "
                           "discriminator.per_bandwidth and the codebook counts as they were");
        j->adamw.step = step;
        if (j->scaler.enabled && scale != 1) { /* 1: of a run without loss scaling */
            j->scaler.scale = scale;
            j->scaler.good_steps = good_steps;
        }
        j->scaler.skipped = skipped;
    }
    return RG_OK;
}
