/*
 * Inside of the codec task (task.h: rg_codec_task), shared by its files.
 *
 * One idea: one run trains the codec of one role. codec_open.c opens it from a configuration,
 * codec_model.c makes the model, codec_data.c finds what it is trained on, codec_step.c makes
 * steps, codec_books.c is the quantizer's part of them, codec_judge.c the discriminator's,
 * codec_validate.c listens to it, codec_task.c is the table.
 * Not here: the trainer's loop (trainer.h), the model (models/encodec.h).
 */
#ifndef RG_TRAIN_CODEC_TASK_H
#define RG_TRAIN_CODEC_TASK_H

#include "datasets/sampler.h"
#include "models/encodec.h"
#include "train/balancer.h"
#include "train/codec_judge.h"
#include "train/codec_loss.h"
#include "train/task.h"

/* A loss weight that moves linearly from `begin` to `end` while the schedule runs. */
typedef struct rg_annealed {
    double begin, end;
} rg_annealed;

/* The learning of the codebooks: when it begins, and with what. */
typedef struct rg_codebook_plan {
    int64_t start_step; /* first quantized step */
    double decay, dead_threshold, pool;
    double dropout; /* share of the steps that draw how many codebooks they use ... */
    int32_t n_choices, choices[RG_MAX_BOOKS]; /* ... from these, or from 1 .. all when empty */
    double commit_weight;
    bool commit_sum; /* commitment is summed over the codebooks in use, not their mean */
} rg_codebook_plan;

typedef struct rg_codec_run {
    rg_task_context context;
    char role_name[32];
    double band[2];                 /* Hz that the role needs: for the report */
    char init[1024], init_hash[65]; /* the codec that the run began from; "": none */
    rg_params *params;
    rg_encodec *model;
    rg_store *store;
    rg_sampler *sampler;
    rg_fixed_crops valid;
    double *valid_db, *valid_mel; /* (valid.n) results of one validation */
    int64_t *valid_counts;        /* (K,V) */
    int64_t steps, frames;        /* of the run; of one crop in samples */
    int32_t role;                 /* or RG_ROLE_ANY, RG_ROLE_MIX */
    int32_t batch, micros;
    bool flip; /* half of the crops are turned upside down */
    rg_codec_loss loss;
    rg_annealed weight[RG_CODEC_TERMS];
    double anneal;
    rg_codebook_plan plan;
    rg_judges judges;
    rg_judge *judge;               /* of this update; NULL: none */
    bool judge_learns;             /* and is updated in it */
    rg_balancer balancer, pending; /* after the last update; of the update under way */
    float *crops;                  /* (B,T,C) */
    int32_t *codes;                /* (micros*B*F,K): what the update's codebooks learn from */
    float *residuals;              /* (K,micros*B*F,D) */
    int32_t n_q;                   /* codebooks of this update; 0: not quantized */
} rg_codec_run;

rg_status rg_codec_run_open(const rg_task_context *context, void **self, rg_error *err);
rg_status rg_codec_run_start(void *self, const char *run_folder, rg_error *err);
void rg_codec_run_close(void *self);

/* The model, with its parameters' first values (random, or those of `init`), and the band. */
rg_status rg_codec_run_make_model(rg_codec_run *run, rg_error *err);
/* x (B,T,C) -> latent. *loudness (may be NULL): (B) what each item was divided by; NULL when the
 * codec does not normalize. */
rg_tensor *rg_codec_run_encode(rg_codec_run *run, rg_tensor *x, rg_tensor **loudness);
/* x (B,T,C) through the codec with n_q codebooks (0: not quantized), at its own loudness again;
 * *q: what the codebooks would learn from. NULL after an error. */
rg_tensor *rg_codec_run_reconstruct(rg_codec_run *run, rg_tensor *x, int32_t n_q, rg_rvq_out *q);
/* Signals (B,T,C) as leaves (B*C,T): a row for each item and channel. NULL after an error. */
rg_tensor *rg_codec_rows(rg_exec *ex, const rg_tensor *x);
/* The store, the role, the sampler and the crops of validations. */
rg_status rg_codec_run_open_data(rg_codec_run *run, rg_error *err);
bool rg_codec_run_trains_on(const rg_codec_run *run, const rg_song *song);
/* Parts of opening: model, plan and losses; the discriminators, once `frames` is known; what steps
 * write to. */
rg_status rg_codec_run_open_model(rg_codec_run *run, rg_error *err);
rg_status rg_codec_run_open_judges(rg_codec_run *run, rg_error *err);
rg_status rg_codec_run_make_buffers(rg_codec_run *run, rg_error *err);

/* Crops (B,T,C) of (step, micro) on the tape; NULL after an error. */
rg_tensor *rg_codec_run_crops(rg_codec_run *run, int64_t step, int32_t micro, double *wait);

/* The plan from the configuration, once the model is open. */
rg_status rg_codec_run_read_plan(rg_codec_run *run, rg_error *err);
/* How many codebooks a step uses: 0 before they start, all, or a draw that every process makes
 * alike. */
int32_t rg_codec_run_draw_books(const rg_codec_run *run, int64_t step);
/* Vectors that the codebooks start from: those of whole steps. */
int64_t rg_codec_run_pool(const rg_codec_run *run);
/* k-means over the latents of the crops of step `step` and, as far as needed, of later ones. */
rg_status rg_codec_run_start_books(rg_codec_run *run, int64_t step, double *wait);
/* The codebook counts that quantized steps may use, ascending, into books[RG_MAX_BOOKS]; how many.
 */
int32_t rg_codec_run_book_counts(const rg_codec_run *run, int32_t *books);
/* Weight of the commitment that rg_rvq gives, a mean over the codebooks in use. */
double rg_codec_run_commit_weight(const rg_codec_run *run);
/* Keeps what the codebooks learn from, once the update is made. */
void rg_codec_run_keep_codes(rg_codec_run *run, const rg_rvq_out *q, int32_t micro);
rg_status rg_codec_run_learn_books(rg_codec_run *run, int64_t step, rg_metrics *metrics);

/* What a micro-batch is to the run once n_q, judge and pending are those of its update: the
 * discriminator's update, the gradients of the codec, what the codebooks will learn from. */
rg_status rg_codec_run_learn(rg_codec_run *run, int64_t step, int32_t micro, rg_tensor *x,
                             rg_metrics *metrics);
rg_status rg_codec_run_step(void *self, int64_t step, int32_t micro, rg_metrics *metrics,
                            double *data_wait);
rg_status rg_codec_run_rehearse(void *self, bool training, int32_t items);
rg_status rg_codec_run_after_update(void *self, int64_t step, rg_metrics *metrics);
/* Everything that measuring validation crop i takes. */
rg_status rg_codec_run_measure(rg_codec_run *run, int64_t i, bool quantized);
rg_status rg_codec_run_validate(void *self, int64_t step, rg_metrics *metrics, json_t *items);
rg_status rg_codec_run_sample(void *self, int64_t step);

#endif
