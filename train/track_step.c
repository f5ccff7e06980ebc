/*
 * Steps of a track run: windows, masks, what is forgotten, losses (track_task.h).
 *
 * One idea: the roles take turns within a micro-batch, each with its own tape, so the step arena
 * holds one role's activations at a time; gradients add up in the flat buffer. The family of masks
 * and whether all context is left out are one draw per role and micro-batch: what no item shows
 * then costs nothing.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "train/track_task.h"

/* What all items of one role's micro-batch have in common. */
typedef struct question {
    rg_mask_family family;
    bool alone; /* all context is left out */
} question;

/* Forgets conditions, context or both of an item, or single conditions. */
static void forget(rg_track_run *run, int32_t item, bool alone, rg_rng *rng)
{
    const rg_forgetting *f = &run->forgetting;
    rg_track_batch *b = run->batch;
    int32_t *ids = b->conditions + (int64_t)item * run->config->n_fields;
    double u = rg_rng_uniform(rng);
    bool both = u < f->both, conditions = u < f->both + f->conditions;
    bool context = both || alone;
    for (int32_t i = 0; i < run->config->n_fields; i++) {
        if (rg_rng_uniform(rng) >= f->condition) continue;
        ids[i] = -1;
        if (strcmp(run->config->fields[i].name, "tempo") != 0) continue;
        memset(b->beat + (int64_t)item * b->frames * RG_BEAT_FEATURES, 0,
               (size_t)b->frames * RG_BEAT_FEATURES * sizeof(float));
    }
    if (rg_rng_uniform(rng) < f->activity)
        memset(b->activity + (int64_t)item * b->frames, 0xff, (size_t)b->frames * sizeof(int32_t));
    if (conditions) rg_track_drop_conditions(run->config, b, item);
    if (context) rg_track_drop_context(run->config, b, item);
}

static rg_status draw_item(rg_track_run *run, int32_t item, const question *q, rg_rng *rng)
{
    rg_track_batch *b = run->batch;
    rg_mask_window window;
    int64_t song, first;
    rg_error err = {0};
    if (!rg_track_data_draw(run->data, RG_SPLIT_TRAIN, b->target, b->frames, run->active, rng,
                            &song, &first))
        return rg_exec_fail(run->context.ex, RG_ERR_MISMATCH, "no training song has the role %s",
                            run->config->roles[b->target].name);
    rg_track_data_look(run->data, song, first, b->frames, run->bars, RG_TRACK_BARS, &window);
    rg_track_data_fill(run->data, song, first, b, item);
    rg_mask_write(run->config, b, item, q->family, run->phase == 1, &window, rng);
    forget(run, item, q->alone, rng);
    rg_status status = rg_track_data_latents(run->data, b, item, &err);
    return status == RG_OK ? RG_OK : rg_exec_fail(run->context.ex, status, "%s", err.text);
}

/* The windows of batch->target in micro-batch number `round` of the run. */
static rg_status draw_batch(rg_track_run *run, uint64_t round)
{
    uint64_t seed = run->context.seed, role = (uint64_t)run->batch->target;
    rg_rng rng = rg_rng_make(seed, rg_rng_stream(round, role, 0));
    question q = {.family = rg_mask_draw(&run->mix, &rng),
                  .alone = rg_rng_uniform(&rng) < run->forgetting.context};
    for (int32_t i = 0; i < run->items; i++) {
        rng = rg_rng_make(seed, rg_rng_stream(round, role, (uint64_t)i + 1));
        RG_TRY(draw_item(run, i, &q, &rng));
    }
    return RG_OK;
}

/* Loss and gradients of a batch. */
static rg_status learn_from(rg_track_run *run, const rg_track_batch *batch, rg_track_out *out)
{
    rg_exec *ex = run->context.ex;
    int32_t n;
    RG_TRY(rg_track_loss(ex, run->tracks, batch, out));
    rg_tensor *seed = rg_adamw_seed(run->params, ex, *run->context.loss_scale);
    rg_tensor *const *wrt = rg_params_trainable(run->params, &n);
    return rg_backward(ex, &out->loss, &seed, 1, wrt, n, NULL);
}

static void report_loss(const rg_track_run *run, int32_t role, double bits, rg_metrics *metrics)
{
    char name[RG_METRIC_NAME];
    snprintf(name, sizeof name, "%.31s/loss", run->config->roles[role].name);
    rg_metrics_set(metrics, name, bits);
}

/* The host does not wait for a loss of a GPU: it is added up there. */
static rg_status keep_loss(rg_track_run *run, const rg_tensor *loss)
{
    rg_exec *ex = run->context.ex;
    float *sum = (float *)run->losses->data + run->batch->target;
    const rg_add_args args = {
        .a = sum, .b = loss->data, .y = sum, .n = 1, .n_b = 1, .alpha = 1, .beta = 1 / log(2)};
    return ex->kernels->add.forward(&ex->kernel_ctx, &args);
}

/* One role's turn; adds to *sum. */
static rg_status step_role(rg_track_run *run, rg_metrics *metrics, double *sum)
{
    rg_exec *ex = run->context.ex;
    rg_mark mark = rg_tape_mark(ex);
    rg_track_out out;
    RG_TRY(learn_from(run, run->batch, &out));
    if (run->losses) {
        RG_TRY(keep_loss(run, out.loss));
    } else {
        double bits = rg_tensor_get(out.loss, 0) / log(2);
        report_loss(run, run->batch->target, bits, metrics);
        *sum += bits;
    }
    rg_tape_rewind(ex, mark);
    return RG_OK;
}

rg_status rg_track_run_losses(void *self, rg_metrics *metrics)
{
    rg_track_run *run = self;
    rg_exec *ex = run->context.ex;
    const int32_t roles = run->config->n_roles;
    double sum = 0;
    if (run->kept == 0) return RG_OK;
    for (int32_t r = 0; r < roles; r++) {
        double bits = rg_tensor_get(run->losses, r) / (double)run->kept;
        report_loss(run, r, bits, metrics);
        sum += bits;
    }
    rg_metrics_set(metrics, "loss", sum / roles);
    run->kept = 0;
    rg_exec_zero(ex, run->losses->data, (size_t)roles * sizeof(float));
    return rg_exec_status(ex);
}

rg_status rg_track_run_step(void *self, int64_t step, int32_t micro, rg_metrics *metrics,
                            double *data_wait)
{
    rg_track_run *run = self;
    int32_t roles = run->config->n_roles;
    double sum = 0;
    rg_set_recording(run->context.ex, true);
    for (int32_t r = 0; r < roles; r++) {
        double started = rg_clock_seconds();
        uint64_t round = (uint64_t)step * (uint64_t)run->micros + (uint64_t)micro;
        rg_track_batch_clear(run->config, run->batch);
        run->batch->target = r;
        RG_TRY(draw_batch(run, round));
        *data_wait += rg_clock_seconds() - started;
        RG_TRY(step_role(run, metrics, &sum));
    }
    if (run->losses)
        run->kept++;
    else
        rg_metrics_set(metrics, "loss", sum / roles);
    return RG_OK;
}

/* ---- the estimate of memory ---- */

/* All other roles are seen, and a little of the target's own; the rest of it is to be predicted. */
static void show_all(const rg_track_run *run, rg_track_batch *b, int32_t target)
{
    int64_t cells = (int64_t)b->items * b->frames;
    rg_track_batch_clear(run->config, b);
    b->target = target;
    for (int32_t r = 0; r < run->config->n_roles; r++) {
        size_t books = (size_t)run->config->roles[r].books;
        memset(b->codes[r], 0, (size_t)cells * books * sizeof *b->codes[r]);
        memset(b->state[r], r == target ? RG_CELL_UNKNOWN : RG_CELL_KNOWN, (size_t)cells);
    }
    memset(b->cells, 1, (size_t)cells);
    for (int64_t i = 0; i < b->items; i++) {
        b->state[target][i * b->frames] = RG_CELL_KNOWN;
        b->cells[i * b->frames] = 0;
    }
}

static rg_status rehearse_role(rg_track_run *run, rg_track_batch *b, int32_t role, bool training)
{
    rg_exec *ex = run->context.ex;
    rg_mark mark = rg_tape_mark(ex);
    rg_track_out out;
    bool recording = rg_set_recording(ex, training);
    show_all(run, b, role);
    rg_status status =
        training ? learn_from(run, b, &out) : rg_track_loss(ex, run->tracks, b, &out);
    rg_set_recording(ex, recording);
    rg_tape_rewind(ex, mark);
    return status;
}

rg_status rg_track_run_rehearse(void *self, bool training, int32_t items)
{
    rg_track_run *run = self;
    rg_error err = {0};
    rg_status status = RG_OK;
    rg_track_batch *b = rg_track_batch_create(run->config, items, run->config->frames, &err);
    if (!b) return rg_exec_fail(run->context.ex, err.code, "%s", err.text);
    for (int32_t r = 0; r < run->config->n_roles && status == RG_OK; r++)
        status = rehearse_role(run, b, r, training);
    rg_track_batch_free(b);
    return status;
}
