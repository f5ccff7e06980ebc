/*
 * One step of a codec run (codec_task.h): crops, reconstruction, balanced losses, codebooks.
 *
 * One idea: the balancer cuts the step in two. First each loss gives its gradient at the output;
 * then one backward pass starts from their balanced sum, and from the commitment, which does not
 * pass through the output. What an update may skip (balancer, codebooks) is only kept in
 * after_update. A discriminator is updated before the losses ask it, on the detached output; when
 * an update has several micro-batches it hears all of them first, so that all are judged alike.
 */
#include "train/codec_task.h"

#include <math.h>
#include <string.h>

#include "dist/zero.h"

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

static void report_losses(const rg_codec_run *run, const rg_codec_losses *losses,
                          const double *ratios, const rg_tensor *commitment, rg_metrics *metrics)
{
    char name[RG_METRIC_NAME];
    double commit = commitment ? rg_tensor_get(commitment, 0) : 0;
    rg_metrics_set(metrics, "loss",
                   losses->values[RG_CODEC_MSE] + losses->values[RG_CODEC_MEL] + commit);
    for (int32_t t = 0; t < (run->judge ? RG_CODEC_TERMS : RG_CODEC_ADV); t++) {
        snprintf(name, sizeof name, "loss/%s", rg_codec_term_name((rg_codec_term)t));
        rg_metrics_set(metrics, name, losses->values[t]);
        snprintf(name, sizeof name, "ratio/%s", rg_codec_term_name((rg_codec_term)t));
        rg_metrics_set(metrics, name, ratios[t]);
    }
    rg_metrics_set(metrics, "loss/commit", commit);
    if (!run->judge) return;
    rg_metrics_set(metrics, "discriminator/real", losses->real);
    rg_metrics_set(metrics, "discriminator/fake", losses->fake);
}

/* ---- the two halves of a step ---- */

/* Moves channels of items between signals (B,T,C) and rows (B*C,T). */
static rg_status move_channels(rg_exec *ex, const rg_tensor *from, rg_tensor *to, bool to_rows)
{
    const rg_tensor *signal = to_rows ? from : to;
    int64_t t = signal->shape.dim[1], c = signal->shape.dim[2], rows = signal->shape.dim[0] * c;
    size_t size = rg_dtype_size(signal->dtype);
    for (int64_t r = 0; r < rows; r++) {
        size_t row = (size_t)(r * t) * size, first = (size_t)(r / c * t * c + r % c) * size;
        rg_copy_args args = {.src = (const char *)from->data + (to_rows ? first : row),
                             .dst = (char *)to->data + (to_rows ? row : first),
                             .rows = t,
                             .cols = 1,
                             .ld_src = to_rows ? c : 1,
                             .ld_dst = to_rows ? 1 : c};
        RG_TRY(ex->kernels->copy(&ex->kernel_ctx, &args));
    }
    return RG_OK;
}

rg_tensor *rg_codec_rows(rg_exec *ex, const rg_tensor *x)
{
    if (!x) return NULL;
    rg_shape shape = RG_SHAPE(x->shape.dim[0] * x->shape.dim[2], x->shape.dim[1]);
    if (x->shape.dim[2] == 1) return rg_tensor_wrap(ex, x->dtype, shape, x->data);
    rg_tensor *rows = rg_tensor_new(ex, x->dtype, shape);
    return rows && move_channels(ex, x, rows, true) == RG_OK ? rows : NULL;
}

/* The balanced gradient at the output y (B,T,C), as a seed for the model's backward pass. */
static rg_tensor *balanced_seed(rg_codec_run *run, int64_t step, rg_tensor *y, rg_tensor *x,
                                rg_codec_losses *losses, double *ratios)
{
    rg_exec *ex = run->context.ex;
    const rg_discriminator *judge = run->judge ? run->judge->model : NULL;
    double weights[RG_CODEC_TERMS];
    bool wanted[RG_CODEC_TERMS];
    rg_tensor *items[RG_CODEC_TERMS] = {0}; /* the balancer's norms are of items, not of rows */
    annealed_weights(run, step, weights, wanted);
    run->loss.scale = *run->context.loss_scale;
    rg_tensor *rows = rg_codec_rows(ex, y), *target = rg_codec_rows(ex, x), *seed;
    if (!rows || !target ||
        rg_codec_loss_gradients(ex, &run->loss, judge, rows, target, wanted, losses) != RG_OK)
        return NULL;
    rg_shape shape = RG_SHAPE(y->shape.dim[0], y->shape.dim[1] * y->shape.dim[2]);
    for (int32_t t = 0; t < RG_CODEC_TERMS; t++) {
        const rg_tensor *g = losses->gradients[t];
        if (g) items[t] = rg_tensor_wrap(ex, g->dtype, shape, g->data);
    }
    run->pending.total_norm = *run->context.loss_scale;
    seed = rg_tensor_new(ex, y->dtype, y->shape);
    rg_tensor *sum = y->shape.dim[2] == 1 ? seed : rg_tensor_new(ex, y->dtype, shape);
    if (!seed || !sum ||
        rg_balancer_combine(&run->pending, ex, items, weights, sum, ratios) != RG_OK)
        return NULL;
    return sum == seed || move_channels(ex, sum, seed, false) == RG_OK ? seed : NULL;
}

/* Backward of crops x and their reconstruction. */
static rg_status improve(rg_codec_run *run, int64_t step, rg_tensor *x, rg_tensor *y,
                         const rg_rvq_out *q, rg_metrics *metrics)
{
    rg_exec *ex = run->context.ex;
    rg_codec_losses losses;
    double ratios[RG_CODEC_TERMS] = {0};
    rg_tensor *seed = balanced_seed(run, step, y, x, &losses, ratios);
    RG_TRY(rg_exec_status(ex));
    float commit_seed = (float)(rg_codec_run_commit_weight(run) * *run->context.loss_scale);
    rg_tensor *roots[] = {y, q->commit};
    rg_tensor *seeds[] = {seed, rg_tensor_from_floats(ex, RG_SHAPE(1), &commit_seed)};
    int32_t n_wrt;
    rg_tensor *const *wrt = rg_params_trainable(run->params, &n_wrt);
    RG_TRY(rg_backward(ex, roots, seeds, q->commit ? 2 : 1, wrt, n_wrt, NULL));
    if (metrics) report_losses(run, &losses, ratios, q->commit, metrics);
    return rg_exec_status(ex);
}

/* The judge's gradients of crops x and what the codec makes of them. */
static rg_status let_hear(rg_codec_run *run, rg_tensor *x, rg_tensor *y, double *loss)
{
    rg_exec *ex = run->context.ex;
    if (!y) return rg_exec_status(ex);
    return rg_judge_hear(ex, run->judge, rg_codec_rows(ex, x), rg_codec_rows(ex, y), loss);
}

/* All micro-batches of the step go through the codec as it is, for the judge alone. */
static rg_status let_hear_all(rg_codec_run *run, int64_t step, double *loss, double *wait)
{
    rg_exec *ex = run->context.ex;
    rg_comm *comm = run->context.comm;
    rg_error err = {0};
    double sum = 0;
    for (int32_t micro = rg_comm_rank(comm); micro < run->micros; micro += rg_comm_world(comm)) {
        rg_rvq_out q;
        rg_zero_micro(run->judge->params, micro);
        rg_mark mark = rg_tape_mark(ex);
        bool recording = rg_set_recording(ex, false);
        rg_tensor *x = rg_codec_run_crops(run, step, micro, wait);
        rg_tensor *y = rg_codec_run_reconstruct(run, x, run->n_q, &q);
        rg_set_recording(ex, recording);
        RG_TRY(let_hear(run, x, y, loss));
        rg_tape_rewind(ex, mark);
        sum += *loss / run->micros;
    }
    if (rg_comm_allreduce(comm, RG_COMM_SUM_F64, &sum, 1, &err) != RG_OK)
        return rg_exec_fail(ex, err.code, "%s", err.text);
    *loss = sum;
    return RG_OK;
}

static rg_status update_judge(rg_codec_run *run, int64_t step, double loss, rg_metrics *metrics)
{
    rg_metrics_set(metrics, "discriminator/loss", loss);
    return rg_judge_update(run->context.ex, &run->judges, run->judge, step, run->micros, metrics);
}

/* What holds for all micro-batches of an update. */
static rg_status begin_update(rg_codec_run *run, int64_t step, rg_metrics *metrics, double *wait)
{
    double loss = 0;
    run->pending = run->balancer;
    run->n_q = rg_codec_run_draw_books(run, step);
    run->judge = rg_judges_of(&run->judges, step, run->n_q);
    run->judge_learns = run->judge && rg_judges_learn(&run->judges, step);
    if (run->n_q && !rg_quantizer_started(rg_encodec_quantizer(run->model)))
        RG_TRY(rg_codec_run_start_books(run, step, wait));
    if (!run->judge_learns || run->micros == 1) return RG_OK;
    RG_TRY(let_hear_all(run, step, &loss, wait));
    return update_judge(run, step, loss, metrics);
}

rg_status rg_codec_run_learn(rg_codec_run *run, int64_t step, int32_t micro, rg_tensor *x,
                             rg_metrics *metrics)
{
    rg_rvq_out q;
    double loss = 0;
    rg_tensor *y = rg_codec_run_reconstruct(run, x, run->n_q, &q);
    if (run->judge_learns && run->micros == 1) {
        RG_TRY(let_hear(run, x, y, &loss));
        RG_TRY(update_judge(run, step, loss, metrics));
    }
    RG_TRY(improve(run, step, x, y, &q, metrics));
    if (q.codes) rg_codec_run_keep_codes(run, &q, micro);
    return rg_exec_status(run->context.ex);
}

rg_status rg_codec_run_step(void *self, int64_t step, int32_t micro, rg_metrics *metrics,
                            double *data_wait)
{
    rg_codec_run *run = self;
    if (micro == rg_comm_rank(run->context.comm)) /* the first that is dealt to this process */
        RG_TRY(begin_update(run, step, metrics, data_wait));
    rg_tensor *x = rg_codec_run_crops(run, step, micro, data_wait);
    return rg_codec_run_learn(run, step, micro, x, metrics);
}

/* ---- the estimate of memory ---- */

/* A validation crop, and the latents that the codebooks start from. */
static rg_status rehearse_rest(rg_codec_run *run)
{
    rg_exec *ex = run->context.ex;
    const rg_encodec_config *c = rg_encodec_config_of(run->model);
    rg_shape crop = RG_SHAPE(1, run->frames, c->channels);
    bool recording = rg_set_recording(ex, false);
    rg_status status = run->valid.n ? rg_codec_run_measure(run, 0, true) : RG_OK;
    if (status == RG_OK) {
        rg_tensor_new(ex, RG_F32, RG_SHAPE(rg_codec_run_pool(run), c->dimension));
        rg_codec_run_encode(run, rg_tensor_new(ex, ex->kernels->real, crop), NULL);
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
    run->pending.comm = NULL;
    run->n_q = rg_encodec_config_of(run->model)->codebooks;
    run->judge = run->judges.n ? &run->judges.each[0] : NULL;
    rg_shape crops = RG_SHAPE(items, run->frames, rg_encodec_config_of(run->model)->channels);
    rg_tensor *x = rg_tensor_new(ex, ex->kernels->real, crops);
    rg_tensor *y = rg_codec_run_reconstruct(run, x, run->n_q, &q);
    rg_status status = run->judge ? let_hear(run, x, y, NULL) : RG_OK;
    if (status == RG_OK) status = improve(run, 0, x, y, &q, NULL);
    run->judge = NULL;
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
