/*
 * One step of a codec run (codec_task.h): crops, reconstruction, balanced losses, codebooks.
 *
 * One idea: the balancer cuts the step in two. First each loss gives its gradient at the output;
 * then one backward pass starts from their balanced sum, and from the commitment, which does not
 * pass through the output. What an update may skip (balancer, codebooks) is only kept in
 * after_update. A discriminator's terms join rg_codec_loss_gradients; its own update comes before
 * them, on the detached output.
 */
#include "train/codec_task.h"

#include <math.h>
#include <string.h>

enum { STREAM_DROPOUT = 0x6471, STREAM_CODEBOOKS = 0x6362, STREAM_SIGN = 0x7367 };

static bool is_quantized(const rg_codec_run *run, int64_t step)
{
    return step >= run->plan.start_step;
}

/* Half of the crops are turned upside down: the same sound to an ear, another signal to learn. */
static void flip_signs(const rg_codec_run *run, int64_t step, int32_t micro)
{
    for (int64_t b = 0; b < run->batch; b++) {
        rg_rng rng =
            rg_rng_make(run->context.seed, rg_rng_stream(STREAM_SIGN, (uint64_t)step,
                                                         (uint64_t)(micro * run->batch + b)));
        float *x = run->crops + b * run->frames;
        if (rg_rng_u32(&rng) & 1) continue;
        for (int64_t i = 0; i < run->frames; i++) x[i] = -x[i];
    }
}

static rg_tensor *next_crops(rg_codec_run *run, int64_t step, int32_t micro, double *wait)
{
    rg_exec *ex = run->context.ex;
    rg_error err = {0};
    rg_status status = rg_sampler_next(run->sampler, step, micro, run->crops, wait, &err);
    if (status != RG_OK) {
        rg_exec_fail(ex, status, "%s", err.text);
        return NULL;
    }
    flip_signs(run, step, micro);
    return rg_tensor_from_floats(ex, RG_SHAPE(run->batch, run->frames, 1), run->crops);
}

/* ---- codebooks ---- */

/* Latents of `batches` batches of crops from step `step` on, one after another in out. */
static rg_status pool_latents(rg_codec_run *run, int64_t step, int64_t batches, float *out,
                              double *wait)
{
    rg_exec *ex = run->context.ex;
    for (int64_t i = 0; i < batches; i++) {
        rg_mark mark = rg_tape_mark(ex);
        rg_tensor *x = next_crops(run, step + i / run->micros, (int32_t)(i % run->micros), wait);
        rg_tensor *z = rg_encodec_encode(ex, run->model, x);
        if (!z) return rg_exec_status(ex);
        int64_t n = rg_shape_count(z->shape);
        memcpy(out + i * n, z->data, (size_t)n * sizeof *out);
        rg_tape_rewind(ex, mark);
    }
    return RG_OK;
}

/* Vectors that the codebooks start from: whole batches. */
static int64_t pool_size(const rg_codec_run *run)
{
    const rg_encodec_config *c = rg_encodec_config_of(run->model);
    int64_t per_batch = run->batch * run->frames / rg_encodec_hop(c);
    return (int64_t)ceil(run->plan.pool * c->entries / (double)per_batch) * per_batch;
}

/*
 * k-means over the latents of as many further crops as the codebooks need. They all come from the
 * encoder as it is now, so nothing has to be kept between steps.
 */
static rg_status start_codebooks(rg_codec_run *run, int64_t step, double *wait)
{
    rg_exec *ex = run->context.ex;
    const rg_encodec_config *c = rg_encodec_config_of(run->model);
    int64_t per_batch = run->batch * run->frames / rg_encodec_hop(c), n = pool_size(run);
    rg_mark mark = rg_tape_mark(ex);
    rg_tensor *pool = rg_tensor_new(ex, RG_F32, RG_SHAPE(n, c->dimension));
    if (!pool) return rg_exec_status(ex);
    bool recording = rg_set_recording(ex, false);
    rg_status status = pool_latents(run, step, n / per_batch, pool->data, wait);
    rg_set_recording(ex, recording);
    if (status == RG_OK)
        status = rg_quantizer_start(rg_encodec_quantizer(run->model), ex, pool->data, n,
                                    (double)(per_batch * run->micros),
                                    rg_rng_stream(run->context.seed, STREAM_CODEBOOKS, 0));
    rg_tape_rewind(ex, mark);
    if (status == RG_OK)
        rg_log_line(run->context.log, RG_LOG_INFO, "step %lld: codebooks started from %lld vectors",
                    (long long)step, (long long)n);
    return status;
}

/* How many codebooks this step uses: all, or a draw that every process makes alike. */
static int32_t draw_books(const rg_codec_run *run, int64_t step)
{
    if (!is_quantized(run, step)) return 0;
    int32_t books = rg_encodec_config_of(run->model)->codebooks;
    rg_rng rng = rg_rng_make(run->context.seed, rg_rng_stream(STREAM_DROPOUT, (uint64_t)step, 0));
    if (!(rg_rng_uniform(&rng) < run->plan.dropout)) return books;
    return 1 + (int32_t)rg_rng_below(&rng, (uint64_t)books);
}

/* What the codebooks will learn from, once the update is made. */
static void keep_codes(rg_codec_run *run, const rg_rvq_out *q, int32_t micro)
{
    const rg_encodec_config *c = rg_encodec_config_of(run->model);
    int64_t m = run->batch * run->frames / rg_encodec_hop(c), all = m * run->micros;
    int64_t width = c->dimension;
    memcpy(run->codes + micro * m * c->codebooks, q->codes->data,
           (size_t)(m * c->codebooks) * sizeof *run->codes);
    for (int64_t k = 0; k < run->n_q; k++) {
        memcpy(run->residuals + (k * all + micro * m) * width,
               (const float *)q->residuals->data + k * m * width,
               (size_t)(m * width) * sizeof *run->residuals);
    }
}

static rg_status learn_codebooks(rg_codec_run *run, int64_t step, rg_metrics *metrics)
{
    const rg_encodec_config *c = rg_encodec_config_of(run->model);
    rg_quantizer *q = rg_encodec_quantizer(run->model);
    int64_t m = run->micros * run->batch * run->frames / rg_encodec_hop(c), revived = 0;
    rg_quantizer_update update = {.decay = run->plan.decay,
                                  .epsilon = 1e-5,
                                  .dead_threshold = run->plan.dead_threshold,
                                  .seed = run->context.seed,
                                  .step = (uint64_t)step};
    RG_TRY(rg_quantizer_learn(q, run->context.ex, run->codes, run->residuals, m, run->n_q, &update,
                              &revived));
    rg_metrics_set(metrics, "rvq/revived", (double)revived);
    for (int32_t k = 0; k < c->codebooks; k++) {
        char name[RG_METRIC_NAME];
        double perplexity;
        int64_t used = rg_quantizer_usage(q, k, run->plan.dead_threshold, &perplexity);
        snprintf(name, sizeof name, "rvq/perplexity_%d", (int)k);
        rg_metrics_set(metrics, name, perplexity);
        snprintf(name, sizeof name, "rvq/used_%d", (int)k);
        rg_metrics_set(metrics, name, (double)used);
    }
    return RG_OK;
}

/* ---- losses ---- */

static void annealed_weights(const rg_codec_run *run, int64_t step, double *weights, bool *wanted)
{
    double span = run->anneal * (double)run->steps;
    double t = span > 0 ? fmin((double)step / span, 1) : 1;
    for (int32_t i = 0; i < RG_CODEC_TERMS; i++) {
        weights[i] = run->weight[i].begin + t * (run->weight[i].end - run->weight[i].begin);
        wanted[i] = weights[i] > 0;
    }
}

static void report_losses(const double *values, const double *ratios, double commit,
                          rg_metrics *metrics)
{
    char name[RG_METRIC_NAME];
    rg_metrics_set(metrics, "loss", values[RG_CODEC_MSE] + values[RG_CODEC_MEL] + commit);
    for (int32_t t = 0; t < RG_CODEC_TERMS; t++) {
        snprintf(name, sizeof name, "loss/%s", rg_codec_term_name((rg_codec_term)t));
        rg_metrics_set(metrics, name, values[t]);
        snprintf(name, sizeof name, "ratio/%s", rg_codec_term_name((rg_codec_term)t));
        rg_metrics_set(metrics, name, ratios[t]);
    }
    rg_metrics_set(metrics, "loss/commit", commit);
}

/* The balanced gradient at the output y (B,T,1), as a seed for the model's backward pass. */
static rg_tensor *balanced_seed(rg_codec_run *run, int64_t step, rg_tensor *y, rg_tensor *x,
                                double *values, double *ratios)
{
    rg_exec *ex = run->context.ex;
    double weights[RG_CODEC_TERMS];
    bool wanted[RG_CODEC_TERMS];
    rg_tensor *gradients[RG_CODEC_TERMS];
    if (!y) return NULL;
    rg_shape flat = RG_SHAPE(y->shape.dim[0], y->shape.dim[1]);
    rg_tensor *y_leaf = rg_tensor_wrap(ex, y->dtype, flat, y->data);
    rg_tensor *x_leaf = rg_tensor_wrap(ex, x->dtype, flat, x->data);
    annealed_weights(run, step, weights, wanted);
    if (rg_codec_loss_gradients(ex, &run->loss, y_leaf, x_leaf, wanted, values, gradients) != RG_OK)
        return NULL;
    rg_tensor *seed = rg_tensor_new(ex, y->dtype, y->shape);
    run->pending.total_norm = *run->context.loss_scale;
    if (!seed || rg_balancer_combine(&run->pending, ex, gradients, weights, seed, ratios) != RG_OK)
        return NULL;
    return seed;
}

/* Forward and backward of crops x (B,T,1); what the codebooks would learn from in *q. */
static rg_status learn_from(rg_codec_run *run, int64_t step, rg_tensor *x, rg_rvq_out *q,
                            rg_metrics *metrics)
{
    rg_exec *ex = run->context.ex;
    double values[RG_CODEC_TERMS] = {0}, ratios[RG_CODEC_TERMS] = {0};
    rg_tensor *z = rg_encodec_encode(ex, run->model, x);
    *q = (rg_rvq_out){.quantized = z};
    if (run->n_q) *q = rg_rvq(ex, z, rg_encodec_quantizer(run->model)->books, NULL, run->n_q);
    rg_tensor *y = rg_encodec_decode(ex, run->model, q->quantized, run->frames);
    rg_tensor *seed = balanced_seed(run, step, y, x, values, ratios);
    RG_TRY(rg_exec_status(ex));
    float commit_seed = (float)(run->commit_weight * *run->context.loss_scale);
    rg_tensor *roots[] = {y, q->commit};
    rg_tensor *seeds[] = {seed, rg_tensor_from_floats(ex, RG_SHAPE(1), &commit_seed)};
    int32_t n_wrt;
    rg_tensor *const *wrt = rg_params_trainable(run->params, &n_wrt);
    RG_TRY(rg_backward(ex, roots, seeds, q->commit ? 2 : 1, wrt, n_wrt, NULL));
    if (metrics)
        report_losses(values, ratios, q->commit ? rg_tensor_get(q->commit, 0) : 0, metrics);
    return rg_exec_status(ex);
}

rg_status rg_codec_run_step(void *self, int64_t step, int32_t micro, rg_metrics *metrics,
                            double *data_wait)
{
    rg_codec_run *run = self;
    rg_rvq_out q;
    if (micro == 0) {
        run->pending = run->balancer;
        run->n_q = draw_books(run, step);
        if (run->n_q && !rg_quantizer_started(rg_encodec_quantizer(run->model)))
            RG_TRY(start_codebooks(run, step, data_wait));
    }
    rg_tensor *x = next_crops(run, step, micro, data_wait);
    RG_TRY(learn_from(run, step, x, &q, metrics));
    if (q.codes) keep_codes(run, &q, micro);
    return RG_OK;
}

/* ---- the estimate of memory ---- */

/* A validation crop, and the latents that the codebooks start from. */
static rg_status rehearse_rest(rg_codec_run *run)
{
    rg_exec *ex = run->context.ex;
    const rg_encodec_config *c = rg_encodec_config_of(run->model);
    bool recording = rg_set_recording(ex, false);
    rg_status status = run->valid.n ? rg_codec_run_measure(run, 0, true) : RG_OK;
    if (status == RG_OK) {
        rg_tensor_new(ex, RG_F32, RG_SHAPE(pool_size(run), c->dimension));
        rg_encodec_encode(ex, run->model,
                          rg_tensor_new(ex, ex->kernels->real, RG_SHAPE(1, run->frames, 1)));
        status = rg_exec_status(ex);
    }
    rg_set_recording(ex, recording);
    return status;
}

rg_status rg_codec_run_rehearse(void *self, bool training, int32_t items)
{
    rg_codec_run *run = self;
    rg_exec *ex = run->context.ex;
    rg_rvq_out q;
    if (!training) return rehearse_rest(run);
    run->pending = run->balancer;
    run->n_q = rg_encodec_config_of(run->model)->codebooks;
    rg_tensor *x = rg_tensor_new(ex, ex->kernels->real, RG_SHAPE(items, run->frames, 1));
    rg_status status = learn_from(run, 0, x, &q, NULL);
    run->n_q = 0;
    return status;
}

rg_status rg_codec_run_after_update(void *self, int64_t step, rg_metrics *metrics)
{
    rg_codec_run *run = self;
    run->balancer = run->pending;
    run->balancer.total_norm = 1;
    return run->n_q ? learn_codebooks(run, step, metrics) : RG_OK;
}
