/*
 * Inside of the track task (task.h: rg_track_task), shared by its files; and building tokens from a
 * track configuration.
 *
 * One idea: one run trains the models of all roles; every step each role gets its own windows and
 * masks, drawn from (seed, step, role). The phase only chooses a mixture of masks and where the
 * weights come from. track_open.c opens, track_step.c makes steps, track_validate.c measures,
 * track_sample.c lets hear, track_task.c is the table.
 */
#ifndef RG_TRAIN_TRACK_TASK_H
#define RG_TRAIN_TRACK_TASK_H

#include "datasets/token_baseline.h"
#include "datasets/track_data.h"
#include "train/task.h"

enum { RG_TRACK_BARS = 256, RG_TRACK_PATH = 1024 };

/* Shares of items whose conditions or context training forgets, so that generation can be guided
 * away from having none (classifier-free guidance, arXiv 2207.12598). */
typedef struct rg_forgetting {
    double condition, conditions, context, both, activity;
} rg_forgetting;

typedef struct rg_track_run {
    rg_task_context context;
    rg_store *store;
    int32_t n_codecs;
    rg_codec codecs[RG_TRACK_ROLES];
    rg_tokens *tokens;
    rg_track_data *data;
    rg_token_baseline *baseline;
    rg_track_config *config;
    rg_params *params;
    rg_tracks *tracks;
    rg_track_batch *batch, *valid; /* of a step; of one validation window per item */
    int32_t phase, items, micros, windows;
    rg_mask_mix mix;
    rg_forgetting forgetting;
    double active;
    char init[RG_TRACK_PATH]; /* checkpoint that the run began from, or "" */
    int32_t *bars;            /* (RG_TRACK_BARS) */
    rg_tensor *losses;        /* of a GPU: (roles) sums over `kept` micro-batches; else NULL */
    int64_t kept;
} rg_track_run;

rg_status rg_track_run_open(const rg_task_context *context, void **self, rg_error *err);
rg_status rg_track_run_start(void *self, const char *run_folder, rg_error *err);
int64_t rg_track_run_bytes(void *self); /* of the batches */
void rg_track_run_close(void *self);
rg_status rg_track_run_rehearse(void *self, bool training, int32_t items);
rg_status rg_track_run_step(void *self, int64_t step, int32_t micro, rg_metrics *metrics,
                            double *data_wait);
rg_status rg_track_run_losses(void *self, rg_metrics *metrics);
rg_status rg_track_run_validate(void *self, int64_t step, rg_metrics *metrics, json_t *items);
rg_status rg_track_run_sample(void *self, int64_t step);

/* "resonant tokens build": store and codecs of a track configuration; *path (RG_TRACK_PATH) is the
 * cache's. */
rg_status rg_track_build_tokens(const rg_config *config, rg_exec *ex, const volatile int *stop,
                                const rg_log *log, char *path, rg_error *err) RG_MUST_USE;

#endif
