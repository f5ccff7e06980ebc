/*
 * Opening a run and closing it (trainer.h).
 *
 * One idea: everything that can be refused is refused before a new run has a folder: the
 * configuration, the data, the memory, the disk. Lines that are logged until then are kept for
 * train.log.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/text.h"
#include "train/resources.h"
#include "train/trainer_internal.h"

static rg_status open_config(rg__trainer *t, rg_error *err)
{
    const rg_train_options *o = t->options;
    size_t n = 0;
    t->task = rg_train_task_of(o->config_path, &t->schema, &n, err);
    if (!t->task) return err->code;
    t->config = rg_config_load(o->config_path, t->schema, n, o->overrides, o->n_overrides, err);
    if (!t->config) return err->code;
    t->steps = rg_config_int(t->config, "steps");
    t->optimizer = rg_adamw_from_config(t->config);
    t->schedule = rg_schedule_from_config(t->config);
    t->scaler = rg_scaler_make(rg_config_bool(t->config, "precision.loss_scaling") ||
                               !strcmp(rg_config_text(t->config, "precision.activations"), "fp16"));
    return RG_OK;
}

/* The folder of a run that goes on; checkpoint "" when there is none yet. */
static rg_status reopen_run(rg__trainer *t, char checkpoint[RG_RUN_PATH], rg_error *err)
{
    char folder[RG_RUN_PATH];
    RG_TRY(rg__trainer_find_resumed(t, folder, checkpoint, err));
    return rg_run_open(&t->run, folder, err);
}

static rg_status create_run(rg__trainer *t, rg_error *err)
{
    char *env = rg_env_json(&t->machine, t->peak_gflops, t->config, t->options->version);
    rg_status status = rg_run_create(
        &t->run, rg_config_text(t->config, "runs"), rg_config_text(t->config, "name"), t->config,
        t->options->command_line ? t->options->command_line : "", env ? env : "{}", err);
    free(env);
    return status;
}

/* Opens train.log with what was said before. */
static rg_status open_log(rg__trainer *t, rg_error *err)
{
    char path[RG_RUN_PATH];
    RG_TRY(rg_run_path(&t->run, "train.log", path, err));
    t->log_file = rg_appender_open(path, err);
    if (!t->log_file) return err->code;
    for (char *rest = t->early.data, *line; rest && (line = strsep(&rest, "\n"));)
        if (*line) RG_TRY(rg_appender_line(t->log_file, line, strlen(line), err));
    rg_exec *ex = t->machine.ex;
    char peak[32] = "";
    if (t->peak_gflops > 0) snprintf(peak, sizeof peak, ", peak %.0f GF/s", t->peak_gflops);
    if (ex->stored)
        snprintf(peak, sizeof peak, ", activations of %s", rg_dtype_text(ex->stored->real));
    rg_log_line(&t->log, RG_LOG_INFO, "run %s  seed %llu  %s kernels, products of %s, %d threads%s",
                t->run.folder, (unsigned long long)ex->seed, ex->kernels->name,
                rg_dtype_text(ex->kernel_ctx.operands), rg_pool_threads(t->machine.pool), peak);
    return RG_OK;
}

static rg_status write_description(rg__trainer *t, rg_error *err)
{
    char path[RG_RUN_PATH];
    json_t *description = t->task->describe(t->self);
    RG_TRY(rg_run_path(&t->run, "describe.json", path, err));
    rg_status status = rg_json_write(description, path, err);
    json_decref(description);
    return status;
}

/* The model and the data; nothing is written. */
static rg_status open_task(rg__trainer *t, bool resumes, rg_error *err)
{
    rg_exec *ex = t->machine.ex;
    rg_task_context context = {.config = t->config,
                               .ex = ex,
                               .log = &t->log,
                               .seed = ex->seed,
                               .resumes = resumes,
                               .comm = t->comm,
                               .shards = (int32_t)rg_config_int(t->config, "shards"),
                               .loss_scale = &t->scaler.scale};
    RG_TRY(t->task->open(&context, &t->self, err));
    t->params = t->task->params(t->self);
    t->optimizer.late = ex->gpu && !t->task->after_update; /* which has to know */
    if (!ex->graphs) return RG_OK;
    if (t->world > 1)
        return rg_fail(err, RG_ERR_CONFIG,
                       "%s: graph: updates of several processes are no graph; leave it out",
                       rg_config_place(t->config, "graph"));
    if (!t->optimizer.late)
        return rg_fail(err, RG_ERR_CONFIG,
                       "%s: graph: steps of task '%s' ask for results on the way, which a graph "
                       "cannot give; leave it out",
                       rg_config_place(t->config, "graph"), t->task->kind);
    t->graph = rg_gpu_graph_create(ex->gpu, err);
    return t->graph ? RG_OK : err->code;
}

static rg_status go_on(rg__trainer *t, const char *checkpoint, rg_error *err)
{
    if (checkpoint[0]) RG_TRY(rg__trainer_load(t, checkpoint, err));
    if (!checkpoint[0]) rg_log_line(&t->log, RG_LOG_INFO, "no checkpoint yet: from step 0");
    return t->rank ? RG_OK : rg_run_write_config(&t->run, t->config, err);
}

/* Rank 0 finds, makes and locks the folder; the others are told where it is. */
static rg_status find_run(rg__trainer *t, char checkpoint[RG_RUN_PATH], rg_error *err)
{
    if (t->rank == 0) RG_TRY(reopen_run(t, checkpoint, err));
    RG_TRY(rg__trainer_tell(t, t->run.folder, sizeof t->run.folder, err));
    return rg__trainer_tell(t, checkpoint, RG_RUN_PATH, err);
}

/* The files that only rank 0 writes. */
static rg_status open_files(rg__trainer *t, rg_error *err)
{
    RG_TRY(write_description(t, err));
    t->metrics = rg_metric_log_open(t->run.folder, t->step, err);
    return t->metrics ? RG_OK : err->code;
}

static rg_status open_machine(rg__trainer *t, rg_error *err)
{
    rg_machine *m = &t->machine;
    RG_TRY(rg_machine_for_run(m, t->config, t->options->device, t->comm, &t->log, err));
    const char *activations = rg_config_text(t->config, "precision.activations");
    if (!m->gpu && strcmp(activations, "fp32") != 0)
        return rg_fail(
            err, RG_ERR_UNSUPPORTED,
            "precision.activations: %s is for GPUs, and this run is on the CPU; set fp32 "
            "(what a CPU has is precision.products=bf16)",
            activations);
    if (!m->gpu) t->peak_gflops = rg_kernels_peak_gflops(m->pool, m->ex->kernel_ctx.operands);
    return RG_OK;
}

rg_status rg__trainer_open(rg__trainer *t, rg_error *err)
{
    char checkpoint[RG_RUN_PATH] = "";
    bool resume = t->options->resume, writes = t->rank == 0;
    RG_TRY(open_config(t, err));
    RG_TRY(open_machine(t, err));
    if (resume) RG_TRY(find_run(t, checkpoint, err));
    RG_TRY(rg__trainer_agree(t, checkpoint, err));
    RG_TRY(open_task(t, checkpoint[0], err));
    const char *where = resume ? t->run.folder : rg_config_text(t->config, "runs");
    RG_TRY(rg_check_resources(t->task, t->self, t->config, t->machine.ex, where, &t->log, err));
    RG_TRY(rg__trainer_share(t, err));
    if (!resume && writes) RG_TRY(create_run(t, err));
    RG_TRY(rg__trainer_tell(t, t->run.folder, sizeof t->run.folder, err));
    if (writes) RG_TRY(open_log(t, err));
    if (resume) RG_TRY(go_on(t, checkpoint, err));
    RG_TRY(t->task->start(t->self, writes ? t->run.folder : NULL, err));
    return writes ? open_files(t, err) : RG_OK;
}

rg_status rg__trainer_close(rg__trainer *t, rg_status status, rg_error *err)
{
    if (t->self) t->task->close(t->self);
    rg_gpu_graph_destroy(t->graph);
    rg_comm_close(t->gpu_comm);
    rg_status closed = rg_metric_log_close(t->metrics, err);
    if (status == RG_OK) status = closed;
    rg_machine_close(&t->machine);
    rg_config_free(t->config);
    free(t->schema);
    rg_text_free(&t->early);
    (void)!rg_appender_close(t->log_file, NULL);
    rg_run_close(&t->run);
    return status;
}
