/*
 * Numbers of a run on disk: metrics.jsonl (one line per record), metrics.csv (long form, one row
 * per number) and tb/ (TensorBoard scalars).
 *
 * One idea: metrics.jsonl is the truth; a resumed run first drops the lines that came after its
 * checkpoint, and the CSV is rewritten from what is left.
 * Not here: deciding what to log (trainer.c) and reading it for a report (eval).
 */
#ifndef RG_TRAIN_METRICS_H
#define RG_TRAIN_METRICS_H

#include "train/task.h"

/* Running means of the metrics of several steps. */
typedef struct rg_metric_mean {
    rg_metrics sum;
    int64_t count[RG_MAX_METRICS];
} rg_metric_mean;
void rg_metric_mean_add(rg_metric_mean *mean, const rg_metrics *metrics);
/* Writes the means to `out` and starts again. */
void rg_metric_mean_take(rg_metric_mean *mean, rg_metrics *out);

typedef struct rg_metric_log rg_metric_log;

/* Opens the logs of a run folder; records of steps beyond `last_step` are dropped (-1: all). */
rg_metric_log *rg_metric_log_open(const char *run_folder, int64_t last_step, rg_error *err);
/* One record; kind is "train" or "valid"; `items` (a JSON object of per-song values) may be NULL.
 * */
rg_status rg_metric_log_add(rg_metric_log *log, const char *kind, int64_t step,
                            const rg_metrics *metrics, const json_t *items,
                            rg_error *err) RG_MUST_USE;
rg_status rg_metric_log_close(rg_metric_log *log, rg_error *err); /* NULL is fine */

#endif
