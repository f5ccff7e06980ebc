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
    float commit_seed = (float)(rg_codec_run_commit_weight(run) * *run->context.loss_scale);
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
        run->n_q = rg_codec_run_draw_books(run, step);
        if (run->n_q && !rg_quantizer_started(rg_encodec_quantizer(run->model)))
            RG_TRY(rg_codec_run_start_books(run, step, data_wait));
    }
    rg_tensor *x = rg_codec_run_crops(run, step, micro, data_wait);
    RG_TRY(learn_from(run, step, x, &q, metrics));
    if (q.codes) rg_codec_run_keep_codes(run, &q, micro);
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
        rg_tensor_new(ex, RG_F32, RG_SHAPE(rg_codec_run_pool(run), c->dimension));
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
    return run->n_q ? rg_codec_run_learn_books(run, step, metrics) : RG_OK;
}
