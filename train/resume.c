/*
 * What a run keeps and how it goes on: checkpoints written, found and read back (trainer.h).
 *
 * One idea: the checkpoint holds parameters, counters and the task's own state; everything else is
 * decided by the configuration, whose changes since the run began are said aloud.
 */
#include "train/trainer_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "dist/zero.h"
#include "engine/checkpoint.h"

static json_t *trainer_state(rg__trainer *t)
{
    json_t *state = json_object();
    json_object_set_new(state, "best", isfinite(t->best) ? json_real(t->best) : json_null());
    json_object_set_new(state, "best_step", json_integer(t->best_step));
    json_object_set_new(state, "skipped_in_row", json_integer(t->skipped_in_row));
    if (t->task->save) json_object_set_new(state, "task", t->task->save(t->self));
    return state;
}

static rg_status write_checkpoint(rg__trainer *t, rg_error *err)
{
    char name[96], path[RG_RUN_PATH];
    snprintf(name, sizeof name, "checkpoints/step_%07lld.safetensors", (long long)t->step);
    RG_TRY(rg_run_path(&t->run, name, path, err));
    json_t *state = trainer_state(t);
    rg_checkpoint c = {.step = t->step,
                       .lr = t->lr,
                       .seed = t->machine.ex->seed,
                       .optimizer = t->optimizer,
                       .scaler = t->scaler,
                       .extra = json_dumps(state, JSON_COMPACT | JSON_REAL_PRECISION(17))};
    json_decref(state);
    rg_config_hash(t->config, c.config_hash);
    rg_copy_text(c.isa, sizeof c.isa, t->machine.ex->kernels->name);
    rg_status status = c.extra ? rg_checkpoint_save(path, t->params, &c, err)
                               : rg_fail(err, RG_ERR_NOMEM, "no memory for a checkpoint");
    free(c.extra);
    RG_TRY(status);
    return rg_run_prune(&t->run, rg_config_int(t->config, "keep_checkpoints"), t->best_step, err);
}

rg_status rg__trainer_save(rg__trainer *t, rg_error *err)
{
    RG_TRY(rg__trainer_settle(t, err));
    RG_TRY(rg_zero_check_same(t->params, err));
    RG_TRY(rg_zero_gather(t->params, err));
    rg_status status = t->rank ? RG_OK : write_checkpoint(t, err);
    rg_zero_forget(t->params);
    return status;
}

static void report_config_changes(rg__trainer *t)
{
    char path[RG_RUN_PATH];
    rg_error ignored = {0};
    rg_config_key *schema = NULL;
    size_t n = 0;
    if (rg_run_path(&t->run, "config.yaml", path, &ignored) != RG_OK) return;
    const rg_task *task = rg_train_task_of(path, &schema, &n, &ignored);
    rg_config *before = task ? rg_config_load(path, schema, n, NULL, 0, &ignored) : NULL;
    rg_text diff;
    rg_text_init(&diff, 1 << 20);
    if (before) rg_config_diff(before, t->config, &diff);
    if (diff.n)
        rg_log_line(&t->log, RG_LOG_WARNING, "the configuration changed since the run began:\n%s",
                    diff.data);
    rg_text_free(&diff);
    rg_config_free(before);
    free(schema);
}

static rg_status apply_state(rg__trainer *t, const rg_checkpoint *c, const char *path,
                             rg_error *err)
{
    json_t *state = rg_json_parse(c->extra, strlen(c->extra), path, err);
    if (!state) return err->code;
    const json_t *best = json_object_get(state, "best"), *task = json_object_get(state, "task");
    t->best = json_is_number(best) ? json_number_value(best) : INFINITY;
    t->best_step = json_integer_value(json_object_get(state, "best_step"));
    t->skipped_in_row = json_integer_value(json_object_get(state, "skipped_in_row"));
    rg_status status = RG_OK;
    if (t->task->load) status = t->task->load(t->self, task, err);
    json_decref(state);
    return status;
}

rg_status rg__trainer_load(rg__trainer *t, const char *path, rg_error *err)
{
    rg_checkpoint c = {0};
    RG_TRY(rg_checkpoint_load(path, t->params, t->machine.ex, &c, err));
    rg_zero_forget(t->params);
    rg_status status = apply_state(t, &c, path, err);
    const char *isa = t->machine.ex->kernels->name;
    if (status == RG_OK) {
        t->step = c.step;
        t->lr = c.lr;
        if (c.scaler.enabled == t->scaler.enabled) t->scaler = c.scaler;
        t->optimizer.step = c.optimizer.step;
        rg_log_line(&t->log, RG_LOG_INFO,
                    "resumed %s: step %lld, lr %.3e, %lld updates, seed %llu, loss scale %g", path,
                    (long long)c.step, c.lr, (long long)c.optimizer.step,
                    (unsigned long long)c.seed, t->scaler.scale);
        report_config_changes(t);
        if (strcmp(isa, c.isa) != 0)
            rg_log_line(&t->log, RG_LOG_WARNING,
                        "the run was written with %s kernels and goes on with %s: bits may differ",
                        c.isa, isa);
        if (c.seed != t->machine.ex->seed)
            status = rg_fail(err, RG_ERR_MISMATCH,
                             "%s: was made with seed %llu, the configuration says %llu", path,
                             (unsigned long long)c.seed, (unsigned long long)t->machine.ex->seed);
    }
    rg_checkpoint_free(&c);
    return status;
}

/* Splits "run@1200" or "run/checkpoints/step_0001200.safetensors" into the run and the step. */
rg_status rg__trainer_find_resumed(rg__trainer *t, char folder[RG_RUN_PATH],
                                   char checkpoint[RG_RUN_PATH], rg_error *err)
{
    const rg_train_options *o = t->options;
    int64_t found;
    if (!o->resume_path)
        RG_TRY(rg_run_find(rg_config_text(t->config, "runs"), rg_config_text(t->config, "name"),
                           folder, err));
    else if (!rg_copy_text(folder, RG_RUN_PATH, o->resume_path))
        return rg_fail(err, RG_ERR_USAGE, "%s: path is too long", o->resume_path);
    char *in_run = strstr(folder, "/checkpoints/");
    if (o->resume_path && in_run && rg_fs_exists(folder) && !rg_fs_is_folder(folder)) {
        rg_copy_text(checkpoint, RG_RUN_PATH, folder);
        *in_run = 0;
        return RG_OK;
    }
    if (!rg_fs_is_folder(folder)) return rg_fail(err, RG_ERR_USAGE, "%s: no such run", folder);
    return rg_run_checkpoint(folder, o->resume_step, checkpoint, &found, err);
}
