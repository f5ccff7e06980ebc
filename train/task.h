/*
 * What the trainer asks of the thing being trained: one table of functions per kind of run.
 *
 * One idea: the trainer owns steps, optimizer, logging, checkpoints, signals and resume; a task
 * owns model, data and losses. Everything random in a task is a function of (seed, step), so a
 * resumed run has the same bits.
 */
#ifndef RG_TRAIN_TASK_H
#define RG_TRAIN_TASK_H

#include <jansson.h>

#include "base/config.h"
#include "base/log.h"
#include "dist/comm.h"
#include "engine/optimizer.h"

/* Named numbers of one step or one validation, in order of first use; the trainer averages and
 * writes them. */
enum { RG_MAX_METRICS = 256, RG_METRIC_NAME = 64 };
typedef struct rg_metrics {
    int32_t n;
    char name[RG_MAX_METRICS][RG_METRIC_NAME]; /* "loss", "valid/bass/bits", "rvq/used_0" */
    double value[RG_MAX_METRICS];
} rg_metrics;
void rg_metrics_set(rg_metrics *metrics, const char *name, double value);
double rg_metrics_get(const rg_metrics *metrics, const char *name); /* NAN: none */

/* What a task is given when it opens. */
typedef struct rg_task_context {
    const rg_config *config;
    rg_exec *ex;
    const rg_log *log;
    uint64_t seed;
    bool resumes;             /* a checkpoint is loaded next */
    const char *run_folder;   /* where the task may put samples/ and links; NULL before `start` */
    const double *loss_scale; /* multiply the seed of every backward pass by this; the trainer
                                 divides again */
    /* Processes that train together; NULL: one. Of an update's micro-batches this one is given
     * those with micro % world == rank, in turn with the others, and decides nothing by itself. */
    rg_comm *comm;
    int32_t shards; /* groups of micro-batches whose gradients are summed apart (dist/zero.h) */
} rg_task_context;

typedef struct rg_task {
    const char *kind; /* the config's `task:` */
    const rg_config_key *schema;
    size_t n_schema;
    /* Builds model and data; *self is the task's own state. Says in the log what data it found.
     * Refuses here all that can be refused: there is no run folder yet. */
    rg_status (*open)(const rg_task_context *context, void **self, rg_error *err);
    /*
     * For the estimate of memory, on kernels that compute nothing: `training`: one micro-batch of
     * `items` crops or windows, forward and backward, with all that may ever be in it; else what a
     * validation of as many takes at once. Leaves no trace but in the arenas. `items` says how many
     * there really are; `bytes` what the task's data and buffers take, those of `start` included.
     */
    rg_status (*rehearse)(void *self, bool training, int32_t items);
    int32_t (*items)(void *self, bool training);
    int64_t (*bytes)(void *self);
    /* The run folder is there: begins to prepare data, and may write. NULL folder: other processes
     * write. */
    rg_status (*start)(void *self, const char *run_folder, rg_error *err);
    void (*close)(void *self);
    rg_params *(*params)(void *self);
    /*
     * Forward and backward of one micro-batch of step `step` (micro = 0 .. accumulation-1); adds
     * gradients. The trainer has called rg_step_begin. `data_wait` receives the seconds spent
     * waiting for data.
     */
    rg_status (*micro_step)(void *self, int64_t step, int32_t micro, rg_metrics *metrics,
                            double *data_wait);
    /* What micro-batches lost since the last call, as means, where micro_step does not say it: on a
     * GPU, which need not be waited for at each. May be NULL. */
    rg_status (*losses)(void *self, rg_metrics *metrics);
    /* The backward pass of a micro-batch, from 0, after which a parameter gets no more gradient;
     * NULL when there is one pass. */
    int32_t (*last_pass)(const void *self, const char *parameter);
    /* After the optimizer's update (not after a skipped one): codebooks, schedules. May be NULL. */
    rg_status (*after_update)(void *self, int64_t step, rg_metrics *metrics);
    /* Validation on fixed crops and masks, with recording off: all processes measure a share and
     * find the same numbers, those of one process. `items`: one value per song and curve for
     * bootstraps. */
    rg_status (*validate)(void *self, int64_t step, rg_metrics *metrics, json_t *items);
    /* Audio to listen to, into run_folder/samples, with recording off, on rank 0 only. May be NULL.
     */
    rg_status (*sample)(void *self, int64_t step);
    /* Further state for the checkpoint, as a new JSON object, and back. May be NULL. */
    json_t *(*save)(void *self);
    rg_status (*load)(void *self, const json_t *state, rg_error *err);
    /* What is trained on, for the run directory: songs' ids (array of texts), roles, store hash ...
     */
    json_t *(*describe)(void *self);
    double (*units_per_step)(void *self,
                             const char **unit); /* tokens or seconds of audio in one step */
    /* Metric that decides `best` (lower is better). */
    const char *best_metric;
    /*
     * True: there is no `best`, the newest checkpoint is the one to use. So it is against a
     * discriminator, where what the ear prefers may measure worse. NULL: false.
     */
    bool (*newest_is_best)(void *self);
} rg_task;

extern const rg_task rg_codec_task, rg_track_task;

#endif
