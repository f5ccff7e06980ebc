/*
 * The state of a run while it is trained: shared by trainer.c, trainer_open.c and resume.c, not for
 * anybody else.
 */
#ifndef RG_TRAIN_TRAINER_INTERNAL_H
#define RG_TRAIN_TRAINER_INTERNAL_H

#include "train/metrics.h"
#include "train/setup.h"
#include "train/trainer.h"

typedef struct rg__trainer {
    const rg_train_options *options;
    const rg_task *task;
    void *self;
    rg_config_key *schema; /* of config, which reads it as long as it lives */
    rg_config *config;
    rg_machine machine;
    rg_gpu_graph *graph; /* of an update; NULL: each of its calls starts by itself */
    bool warm;           /* an update has been made */
    double peak_gflops;  /* of the CPU, measured; 0: unknown, as a GPU's is */
    rg_run_dir run;
    rg_params *params;
    rg_adamw optimizer;
    rg_schedule schedule;
    rg_scaler scaler;
    rg_metric_log *metrics;
    rg_metric_mean mean;
    rg_metrics now;
    rg_log log; /* the caller's, and train.log */
    const rg_log *outer;
    rg_comm *comm;     /* NULL: one process */
    rg_comm *gpu_comm; /* of several processes on GPUs; else NULL */
    int32_t rank, world;
    rg_appender *log_file;
    rg_text early; /* what was said before there was a log file */
    int64_t step, steps, best_step, skipped_in_row;
    char nonfinite[RG_NAME_SIZE]; /* whose gradient the last skipped update had */
    double best, lr, window_start, window_wait;
    int64_t window_steps, window_flops;
} rg__trainer;

/* trainer_ranks.c: what processes agree on; each is for one process too. */
/* That all run the same program with the same configuration, kernels and checkpoint. */
rg_status rg__trainer_agree(rg__trainer *t, const char *checkpoint, rg_error *err) RG_MUST_USE;
/* Shards of the parameters, once the task is open. */
rg_status rg__trainer_share(rg__trainer *t, rg_error *err) RG_MUST_USE;
/* Rank 0's text, of `size` bytes, on all. */
rg_status rg__trainer_tell(rg__trainer *t, void *data, size_t size, rg_error *err) RG_MUST_USE;
/* Whether any process was asked to stop. */
rg_status rg__trainer_stops(rg__trainer *t, bool *stops, rg_error *err) RG_MUST_USE;
/* The means of what all processes measured since they were last taken, which this begins anew;
 * among them the share of the time that went into exchanging, and what was exchanged. */
rg_status rg__trainer_means(rg__trainer *t, rg_metrics *out, rg_error *err) RG_MUST_USE;

/* Hears of the last update where it has not been heard of; then the counters are as they are. */
rg_status rg__trainer_settle(rg__trainer *t, rg_error *err) RG_MUST_USE;
rg_status rg__trainer_open(rg__trainer *t, rg_error *err) RG_MUST_USE;
/* Returns `status`, or what closing found. */
rg_status rg__trainer_close(rg__trainer *t, rg_status status, rg_error *err);
/* Writes the checkpoint of the current step and removes old ones. */
rg_status rg__trainer_save(rg__trainer *t, rg_error *err) RG_MUST_USE;
/* Reads one back and says in the log what was restored and what changed. */
rg_status rg__trainer_load(rg__trainer *t, const char *path, rg_error *err) RG_MUST_USE;
/* The run folder and checkpoint that --resume means; checkpoint "" when there is none yet. */
rg_status rg__trainer_find_resumed(rg__trainer *t, char folder[RG_RUN_PATH],
                                   char checkpoint[RG_RUN_PATH], rg_error *err) RG_MUST_USE;

#endif
