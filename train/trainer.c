/*
 * The trainer's loop (trainer.h): one update after another, and around it what makes a run safe:
 * logs, validation, checkpoints, signals, a stop on values that stay non-finite.
 */
#include "train/trainer_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "dist/zero.h"

/* ---- logging ---- */

static void tee_line(void *ctx, rg_log_level level, const char *text)
{
    rg__trainer *t = ctx;
    rg_error ignored = {0};
    char utc[32], line[1024];
    if (t->rank) return; /* rank 0 says it */
    rg_log_line(t->outer, level, "%s", text);
    if (level == RG_LOG_PROGRESS) return;
    int n = snprintf(line, sizeof line, "%s %s", rg_clock_utc(utc), text);
    size_t length = n < (int)sizeof line ? (size_t)n : sizeof line - 1;
    if (t->log_file)
        (void)!rg_appender_line(t->log_file, line, length, &ignored);
    else
        rg_text_printf(&t->early, "%s\n", line);
}

static void format_eta(double seconds, char out[32])
{
    long s = seconds < 0 ? 0 : (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, 32, "%ld:%02ld", s / 60, s % 60);
}

static void start_window(rg__trainer *t)
{
    rg_comm_take_traffic(t->comm);
    rg_comm_take_traffic(t->gpu_comm);
    t->window_start = rg_clock_seconds();
    t->window_wait = 0;
    t->window_steps = t->window_flops = 0;
    rg_pool_take_idle(t->machine.pool);
}

/* What a GPU has kept of the steps since the last line. */
static rg_status take_losses(rg__trainer *t, rg_error *err)
{
    rg_exec *ex = t->machine.ex;
    RG_TRY(rg__trainer_settle(t, err));
    t->now.n = 0;
    if (t->task->losses && t->task->losses(t->self, &t->now) != RG_OK)
        return rg_fail(err, ex->error.code, "step %lld: %s", (long long)t->step, ex->error.text);
    rg_metric_mean_add(&t->mean, &t->now);
    return RG_OK;
}

/* The means since the last line: to the log, the metrics files and the progress line. */
static rg_status log_window(rg__trainer *t, rg_error *err)
{
    rg_metrics m;
    const char *unit = "steps";
    char eta[32], exchange[32] = "", share[32] = "";
    double seconds = rg_clock_seconds() - t->window_start;
    double per_step = t->window_steps ? seconds / (double)t->window_steps : 0;
    double units = t->task->units_per_step ? t->task->units_per_step(t->self, &unit) : 1;
    const rg_idle idle = rg_pool_take_idle(t->machine.pool);
    double peak = t->peak_gflops * t->world;
    double gflops = seconds > 0 ? (double)t->window_flops / seconds * 1e-9 : 0;
    RG_TRY(take_losses(t, err));
    RG_TRY(rg__trainer_means(t, &m, err));
    if (t->rank) {
        start_window(t);
        return RG_OK;
    }
    gflops *= t->world; /* the others have as much to do */
    rg_metrics_set(&m, "lr", t->lr);
    rg_metrics_set(&m, "seconds_per_step", per_step);
    rg_metrics_set(&m, "units_per_second", per_step > 0 ? units / per_step : 0);
    rg_metrics_set(&m, "gflops", gflops);
    if (peak > 0) rg_metrics_set(&m, "share_of_peak", gflops / peak);
    rg_metrics_set(&m, "data_wait_share", seconds > 0 ? t->window_wait / seconds : 0);
    rg_metrics_set(&m, "idle", idle.waiting + idle.alone);
    if (t->scaler.enabled) rg_metrics_set(&m, "loss_scale", t->scaler.scale);
    if (peak > 0) snprintf(share, sizeof share, " (%.0f %% of peak)", 100 * gflops / peak);
    if (t->world > 1)
        snprintf(exchange, sizeof exchange, "  exchange %.1f %%",
                 100 * rg_metrics_get(&m, "exchange_share"));
    format_eta(per_step * (double)(t->steps - t->step), eta);
    rg_log_line(&t->log, RG_LOG_INFO,
                "step %lld/%lld  loss %.4f  |g| %.3g  lr %.2e  %.0f %s/s  %.0f GF/s%s  "
                "data wait %.1f %%  idle %.1f %%%s  ETA %s",
                (long long)t->step, (long long)t->steps, rg_metrics_get(&m, "loss"),
                rg_metrics_get(&m, "grad_norm"), t->lr, rg_metrics_get(&m, "units_per_second"),
                unit, gflops, share, 100 * rg_metrics_get(&m, "data_wait_share"),
                100 * rg_metrics_get(&m, "idle"), exchange, eta);
    start_window(t);
    return rg_metric_log_add(t->metrics, "train", t->step, &m, NULL, err);
}

/* ---- one update ---- */

static rg_status stop_on_nonfinite(rg__trainer *t, rg_error *err)
{
    char name[RG_NAME_SIZE + 32] = "";
    if (!rg_tape_first_nonfinite(t->machine.ex, name, sizeof name))
        snprintf(name, sizeof name, "the gradient of %s", t->nonfinite);
    rg_error ignored = {0};
    rg_status saved = rg__trainer_save(t, &ignored);
    return rg_fail(err, RG_ERR_NUMERIC,
                   "step %lld: values are not finite for %lld updates in a row; the first tensor "
                   "that has one is %s; %s; lower schedule.lr or look at the data of this step",
                   (long long)t->step, (long long)t->skipped_in_row, name,
                   saved == RG_OK ? "the last good weights are in the latest checkpoint"
                                  : "no checkpoint could be written");
}

static rg_status run_micro(rg__trainer *t, int32_t accumulate, int32_t micro)
{
    rg_exec *ex = t->machine.ex;
    double wait = 0;
    rg_step_begin(ex, (uint64_t)(t->step * accumulate + micro));
    t->now.n = 0;
    rg_zero_micro(t->params, micro);
    rg_zero_last(t->params, ex, micro + t->world >= accumulate);
    rg_status status = t->task->micro_step(t->self, t->step, micro, &t->now, &wait);
    rg_zero_last(t->params, ex, false);
    if (status == RG_OK) status = rg_exec_status(ex);
    rg_metric_mean_add(&t->mean, &t->now);
    t->window_wait += wait;
    t->window_flops += ex->flops;
    return status;
}

/* The outcome of the update of step `step`, when it is known. */
static rg_status hear(rg__trainer *t, const rg_update *update, int64_t step, rg_error *err)
{
    rg_status status = RG_OK;
    if (!update->known) return RG_OK;
    t->now.n = 0;
    rg_metrics_set(&t->now, "grad_norm", update->grad_norm);
    rg_metrics_set(&t->now, "skipped", update->skipped);
    if (!update->skipped && t->task->after_update)
        status = t->task->after_update(t->self, step, &t->now);
    if (status != RG_OK)
        return rg_fail(err, status, "step %lld: %s", (long long)step, t->machine.ex->error.text);
    t->skipped_in_row = update->skipped ? t->skipped_in_row + 1 : 0;
    if (update->skipped) {
        rg_log_line(&t->log, RG_LOG_WARNING,
                    "step %lld: the gradient of %s is not finite; update skipped%s",
                    (long long)step, update->nonfinite,
                    t->scaler.enabled ? ", loss scale halved" : "");
        rg_copy_text(t->nonfinite, sizeof t->nonfinite, update->nonfinite);
        t->now.n = 0; /* a mean with a NaN in it says nothing */
        rg_metrics_set(&t->now, "skipped", 1);
    }
    rg_metric_mean_add(&t->mean, &t->now);
    return RG_OK;
}

rg_status rg__trainer_settle(rg__trainer *t, rg_error *err)
{
    rg_exec *ex = t->machine.ex;
    rg_update update;
    rg_status status = rg_adamw_settle(&t->optimizer, &t->scaler, t->params, ex, &update);
    if (status != RG_OK)
        return rg_fail(err, status, "step %lld: %s", (long long)t->step, ex->error.text);
    return hear(t, &update, t->step - 1, err);
}

/* Gradients of all micro-batches, and what the optimizer makes of them. */
static rg_status queue_update(rg__trainer *t, rg_update *update, rg_error *err)
{
    int32_t accumulate = (int32_t)rg_config_int(t->config, "accumulate");
    rg_exec *ex = t->machine.ex;
    rg_params_zero_gradients(t->params);
    for (int32_t micro = t->rank; micro < accumulate; micro += t->world) {
        rg_status status = run_micro(t, accumulate, micro);
        if (status != RG_OK)
            return rg_fail(err, status, "step %lld: %s", (long long)t->step, ex->error.text);
    }
    t->lr = rg_schedule_at(&t->schedule, t->step);
    rg_status status =
        rg_adamw_step(&t->optimizer, &t->scaler, t->params, ex, t->lr, accumulate, update);
    return status == RG_OK
               ? RG_OK
               : rg_fail(err, status, "step %lld: %s", (long long)t->step, ex->error.text);
}

/* The first update finds out what libraries need, and is no graph. */
static rg_status run_update(rg__trainer *t, rg_error *err)
{
    rg_update update = {0};
    rg_gpu_graph *graph = t->warm ? t->graph : NULL;
    if (graph) RG_TRY(rg_gpu_graph_begin(graph, err));
    rg_status status = queue_update(t, &update, err);
    if (graph && status == RG_OK) status = rg_gpu_graph_end(graph, err);
    if (graph && status != RG_OK) rg_gpu_graph_drop(graph);
    RG_TRY(status);
    t->warm = true;
    RG_TRY(hear(t, &update, t->step - (t->optimizer.late ? 1 : 0), err));
    t->step++;
    t->window_steps++;
    return t->skipped_in_row < rg_config_int(t->config, "nan_patience") ? RG_OK
                                                                        : stop_on_nonfinite(t, err);
}

/* ---- validation ---- */

/* The averaged weights take the place of the trained ones, or give it back. */
static rg_status swap_averages(rg__trainer *t)
{
    return t->optimizer.ema_decay > 0 ? rg_params_swap_ema(t->params, t->machine.ex) : RG_OK;
}

/* The averages of all parameters, of which every process has a share, to all of them. */
static rg_status share_averages(rg__trainer *t, rg_error *err)
{
    return t->optimizer.ema_decay > 0 ? rg_zero_share_averages(t->params, err) : RG_OK;
}

/* Numbers into `m` and `items`, or, when they are NULL, audio; both of what would be exported. */
static rg_status look_at_averages(rg__trainer *t, rg_metrics *m, json_t *items, rg_error *err)
{
    rg_exec *ex = t->machine.ex;
    bool recording = rg_set_recording(ex, false);
    rg_status status = swap_averages(t);
    if (status == RG_OK)
        status =
            m ? t->task->validate(t->self, t->step, m, items) : t->task->sample(t->self, t->step);
    if (status == RG_OK) status = swap_averages(t);
    rg_set_recording(ex, recording);
    if (status == RG_OK) return RG_OK;
    return rg_fail(err, status, "%s at step %lld: %s", m ? "validation" : "samples",
                   (long long)t->step, ex->error.text);
}

/* What all find together; *value the metric that decides. */
static rg_status measure(rg__trainer *t, double *value, rg_error *err)
{
    rg_metrics m = {0};
    json_t *items = json_object();
    double started = rg_clock_seconds();
    rg_status status = look_at_averages(t, &m, items, err);
    *value = rg_metrics_get(&m, t->task->best_metric);
    rg_metrics_set(&m, "validation_seconds", rg_clock_seconds() - started);
    if (status == RG_OK && t->rank == 0)
        status = rg_metric_log_add(t->metrics, "valid", t->step, &m, items, err);
    json_decref(items);
    return status;
}

static rg_status validate(rg__trainer *t, rg_error *err)
{
    double value = NAN;
    char text[32] = "not measured yet";
    RG_TRY(share_averages(t, err));
    RG_TRY(measure(t, &value, err));
    rg_zero_forget(t->params);
    bool newest = t->task->newest_is_best && t->task->newest_is_best(t->self);
    bool best = !newest && value < t->best;
    if (isfinite(value)) snprintf(text, sizeof text, "%.4f", value);
    rg_log_line(&t->log, RG_LOG_INFO, "step %lld/%lld  valid %s %s%s", (long long)t->step,
                (long long)t->steps, t->task->best_metric, text, best ? " (best)" : "");
    if (!best) return RG_OK;
    t->best = value;
    t->best_step = t->step;
    RG_TRY(rg__trainer_save(t, err));
    return t->rank ? RG_OK : rg_run_set_best(&t->run, t->step, err);
}

static rg_status sample(rg__trainer *t, rg_error *err)
{
    RG_TRY(share_averages(t, err));
    if (t->rank == 0) RG_TRY(look_at_averages(t, NULL, NULL, err));
    rg_zero_forget(t->params);
    start_window(t);
    return RG_OK;
}

static bool due(const rg__trainer *t, const char *key)
{
    int64_t every = rg_config_int(t->config, key);
    return every > 0 && (t->step % every == 0 || t->step == t->steps);
}

static rg_status run_steps(rg__trainer *t, rg_error *err)
{
    int64_t saved = -1;
    bool stop;
    RG_TRY(rg__trainer_stops(t, &stop, err));
    start_window(t);
    while (t->step < t->steps && !stop) {
        RG_TRY(run_update(t, err));
        if (due(t, "log_every")) RG_TRY(log_window(t, err));
        if (due(t, "validate_every")) {
            RG_TRY(validate(t, err));
            start_window(t);
        }
        if (due(t, "checkpoint_every")) {
            RG_TRY(rg__trainer_save(t, err));
            saved = t->step;
        }
        bool last = t->step == t->steps;
        if (t->task->sample && (last || (due(t, "sample_every")))) RG_TRY(sample(t, err));
        RG_TRY(rg__trainer_stops(t, &stop, err));
    }
    return saved == t->step ? RG_OK : rg__trainer_save(t, err);
}

/* ---- all of it ---- */

rg_status rg_train(const rg_train_options *options, const rg_log *log, rg_train_result *result,
                   rg_error *err)
{
    rg__trainer *t = calloc(1, sizeof *t);
    if (!t) return rg_fail(err, RG_ERR_NOMEM, "no memory for the trainer");
    *t = (rg__trainer){
        .options = options, .outer = log, .run.lock = -1, .best = INFINITY, .best_step = -1};
    t->log = (rg_log){tee_line, t};
    t->comm = options->comm;
    t->rank = rg_comm_rank(t->comm);
    t->world = rg_comm_world(t->comm);
    rg_text_init(&t->early, 1 << 20);
    rg_status status = rg__trainer_open(t, err);
    if (status == RG_OK && t->step >= t->steps)
        rg_log_line(&t->log, RG_LOG_INFO, "nothing to do: step %lld of %lld is reached",
                    (long long)t->step, (long long)t->steps);
    else if (status == RG_OK)
        status = run_steps(t, err);
    if (status != RG_OK) rg_comm_abort(t->gpu_comm ? t->gpu_comm : t->comm, err->text);
    if (status != RG_OK && t->log_file)
        rg_log_line(&t->log, RG_LOG_WARNING, "stopped: %s", err->text);
    rg_copy_text(result->run_folder, sizeof result->run_folder, t->run.folder);
    result->step = t->step;
    result->stopped = options->stop && *options->stop && t->step < t->steps;
    status = rg__trainer_close(t, status, err);
    free(t);
    return status;
}
