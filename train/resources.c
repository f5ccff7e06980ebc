/*
 * Memory and disk of a run (resources.h).
 */
#include "train/resources.h"

#include "base/fs.h"
#include "base/memory.h"
#include "kernels/idle.h"

static const double mib = 1024.0 * 1024.0;

/* What a rehearsal of `items` takes of step and scratch arena. */
static rg_status rehearse(const rg_task *task, void *self, rg_exec *ex, bool training,
                          int32_t items, double *bytes)
{
    rg_step_begin(ex, 0);
    rg_arena *step = ex->step_data, *scratch = ex->kernel_ctx.scratch;
    rg_arena_watch(step);
    rg_arena_watch(scratch);
    rg_status status = task->rehearse(self, training, items);
    if (status == RG_OK) status = rg_exec_status(ex);
    *bytes = (double)(rg_arena_high_water(step) + rg_arena_high_water(scratch));
    rg_step_begin(ex, 0);
    return status;
}

/* Memory is a fixed part and a part for each item. */
static rg_status estimate(const rg_task *task, void *self, rg_exec *ex, bool training,
                          double *bytes)
{
    double one, two;
    RG_TRY(rehearse(task, self, ex, training, 1, &one));
    RG_TRY(rehearse(task, self, ex, training, 2, &two));
    *bytes = one + (two - one) * (task->items(self, training) - 1);
    return RG_OK;
}

rg_status rg_memory_needed(const rg_task *task, void *self, rg_exec *ex, rg_memory_need *need,
                           rg_error *err)
{
    const rg_kernels *kernels = ex->kernels, *stored = ex->stored;
    const rg_kernels idle = rg_kernels_idle(kernels);
    const rg_kernels idle_stored = rg_kernels_idle(stored ? stored : kernels);
    double step = 0, validation = 0;
    ex->kernels = &idle;
    if (stored) ex->stored = &idle_stored;
    rg_status status = estimate(task, self, ex, true, &step);
    if (status == RG_OK) status = estimate(task, self, ex, false, &validation);
    ex->kernels = kernels;
    ex->stored = stored;
    if (status != RG_OK) return rg_fail(err, status, "%s", ex->error.text);
    *need = (rg_memory_need){.activations = step > validation ? step : validation,
                             .data = (double)task->bytes(self)};
    for (const rg_params *p = task->params(self); p; p = rg_params_companion(p))
        need->model += (double)rg_params_bytes(p);
    return RG_OK;
}

/* What steps and data may take: on a GPU what the arenas have taken already. */
static double memory_for_steps(const rg_exec *ex, double data)
{
    if (!ex->gpu) return (double)rg_memory_available();
    return data +
           (double)(rg_arena_capacity(ex->step_data) + rg_arena_capacity(ex->kernel_ctx.scratch));
}

static rg_status check_memory(const rg_task *task, void *self, rg_exec *ex, const char *disk,
                              const rg_log *log, rg_error *err)
{
    rg_memory_need need;
    RG_TRY(rg_memory_needed(task, self, ex, &need, err));
    const double have = memory_for_steps(ex, need.data), more = need.activations + need.data;
    rg_log_line(log, RG_LOG_INFO,
                "model: %.2f M parameters; %.0f MiB in memory, of which activations %.0f MiB and "
                "data %.0f MiB (%.0f MiB are free); %s",
                (double)rg_params_elements(task->params(self)) / 1e6, (need.model + more) / mib,
                need.activations / mib, need.data / mib, (have + need.model) / mib, disk);
    if (more <= have) return RG_OK;
    return rg_fail(
        err, RG_ERR_NOMEM,
        "the run needs %.0f MiB more of memory (activations %.0f MiB, data %.0f MiB), and "
        "%.0f MiB are free; lower batch (now %d) and raise accumulate, or make crops, "
        "windows or the model smaller",
        more / mib, need.activations / mib, need.data / mib, have / mib, task->items(self, true));
}

rg_status rg_check_resources(const rg_task *task, void *self, const rg_config *config, rg_exec *ex,
                             const char *where, const rg_log *log, rg_error *err)
{
    /* values and two moments, and perhaps an average */
    bool ema = rg_config_real(config, "optimizer.ema_decay") > 0;
    const rg_params *params = task->params(self);
    double file = (double)rg_params_elements(params) * 4 * (ema ? 4 : 3);
    for (params = rg_params_companion(params); params; params = rg_params_companion(params))
        file += (double)rg_params_elements(params) * 4 * 3;
    double need = file * (double)(rg_config_int(config, "keep_checkpoints") + 2);
    int64_t have = rg_fs_free_bytes(where);
    char disk[160];
    snprintf(disk, sizeof disk, "a checkpoint takes %.1f MiB of the disk, the run at most %.0f MiB",
             file / mib, need / mib);
    RG_TRY(check_memory(task, self, ex, disk, log, err));
    if (have < 0 || (double)have >= need) return RG_OK;
    return rg_fail(err, RG_ERR_IO,
                   "%s: checkpoints need %.0f MiB and the disk has %.0f MiB free; free some or "
                   "lower keep_checkpoints",
                   where, need / mib, (double)have / mib);
}
