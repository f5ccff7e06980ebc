/*
 * Inside of the codec task (task.h: rg_codec_task), shared by its files.
 *
 * One idea: one run trains the codec of one role. codec_open.c opens it from a configuration,
 * codec_step.c makes steps, codec_validate.c listens to it, codec_task.c is the table.
 * Not here: the trainer's loop (trainer.h), the model (models/encodec.h).
 */
#ifndef RG_TRAIN_CODEC_TASK_H
#define RG_TRAIN_CODEC_TASK_H

#include "datasets/sampler.h"
#include "models/encodec.h"
#include "train/balancer.h"
#include "train/codec_loss.h"
#include "train/task.h"

/* A loss weight that moves linearly from `begin` to `end` while the schedule runs. */
typedef struct rg_annealed {
    double begin, end;
} rg_annealed;

/* The learning of the codebooks: when it begins, and with what. */
typedef struct rg_codebook_plan {
    int64_t start_step; /* first quantized step */
    double decay, dead_threshold, dropout, pool;
} rg_codebook_plan;

typedef struct rg_codec_run {
    rg_task_context context;
    char role_name[32];
    double band[2]; /* Hz that the role needs: for the report */
    rg_params *params;
    rg_encodec *model;
    rg_store *store;
    rg_sampler *sampler;
    rg_fixed_crops valid;
    double *valid_db, *valid_mel; /* (valid.n) results of one validation */
    int64_t *valid_counts;        /* (K,V) */
    int64_t steps, frames;        /* of the run; of one crop in samples */
    int32_t role, batch, micros;
    rg_codec_loss loss;
    rg_annealed weight[RG_CODEC_TERMS];
    double commit_weight, anneal;
    rg_codebook_plan plan;
    rg_balancer balancer, pending; /* after the last update; of the update under way */
    float *crops;                  /* (B,T) */
    int32_t *codes;                /* (micros*B*F,K): what the update's codebooks learn from */
    float *residuals;              /* (K,micros*B*F,D) */
    int32_t n_q;                   /* codebooks of this update; 0: not quantized */
} rg_codec_run;

rg_status rg_codec_run_open(const rg_task_context *context, void **self, rg_error *err);
rg_status rg_codec_run_start(void *self, const char *run_folder, rg_error *err);
void rg_codec_run_close(void *self);

rg_status rg_codec_run_step(void *self, int64_t step, int32_t micro, rg_metrics *metrics,
                            double *data_wait);
rg_status rg_codec_run_rehearse(void *self, bool training, int32_t items);
rg_status rg_codec_run_after_update(void *self, int64_t step, rg_metrics *metrics);
/* Everything that measuring validation crop i takes. */
rg_status rg_codec_run_measure(rg_codec_run *run, int64_t i, bool quantized);
rg_status rg_codec_run_validate(void *self, int64_t step, rg_metrics *metrics, json_t *items);
rg_status rg_codec_run_sample(void *self, int64_t step);

#endif
