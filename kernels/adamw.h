/*
 * An AdamW step as kernels see it: what decides on it, and the pass over the parameters (part of
 * kernels.h).
 *
 * One idea: what changes from step to step lies where the parameters do, so that a GPU's step needs
 * no answer from the host. Not here: how it is decided (adamw_begin.h).
 */
#ifndef RG_KERNELS_ADAMW_H
#define RG_KERNELS_ADAMW_H

#ifndef RG_KERNELS_KERNELS_H
#error "include kernels/kernels.h"
#endif

/* A weight that lies in the range of an AdamW step: elements [at, at + rows * cols). */
typedef struct rg_adamw_matrix {
    int64_t at, rows, cols;
    rg_dtype type; /* F32, BF16, F16: what rg_matrix_slot's pack would make of it */
    void *packed;
} rg_adamw_matrix;

/* What stays the same from step to step. */
typedef struct rg_adamw_rules {
    double beta1, beta2, clip_norm; /* of all gradients together; 0: none */
    double ema_decay;               /* of update t from 0: min(ema_decay, (1 + t)/(10 + t)), or */
    bool ema_unbiased;              /* 1 - (1 - ema_decay)/(1 - ema_decay^(t+1)) */
    bool scaled; /* the loss's scale changes: times growth after `interval` steps without a skip */
    double growth, backoff;
    int64_t interval;
} rg_adamw_rules;

/* A step's own numbers, which lie where the parameters do. */
typedef struct rg_adamw_now {
    double lr, divisor; /* the caller's; gradients are divisor times scale too large */
    int64_t step, good_steps, skipped; /* updates made; in a row; not made */
    double scale;                      /* of the loss */
    /* what adamw_begin makes of them */
    double grad_norm;                           /* before clipping, unscaled */
    int64_t nonfinite;                          /* where a skipped step's first such gradient is */
    float rate, grad_scale, inverse1, inverse2; /* grad_scale unscales and clips */
    float ema, ema_rest;                        /* ema = ema ema + ema_rest w */
    float seed;                                 /* `scale` for the next backward pass */
    int32_t skip;
} rg_adamw_now;

/* Begins step now->step + 1: counts it, or, where the sum of sum_squares (n_sums, from the first to
 * the last) is not finite, has it skipped. */
typedef struct rg_adamw_begin_args {
    rg_adamw_rules rules;
    const double *sum_squares;
    int64_t n_sums;
    rg_adamw_now *now;
} rg_adamw_begin_args;

/* AdamW over a flat range in one pass (Loshchilov & Hutter 2019); decay[i] multiplies weight_decay
 * (0 or 1). A skipped step changes nothing but now->nonfinite. */
typedef struct rg_adamw_args {
    float *w, *m, *v, *ema; /* ema NULL: none */
    const float *g;
    const uint8_t *decay; /* per element; NULL: everywhere */
    int64_t n;
    double beta1, beta2, eps, weight_decay;
    rg_adamw_now *now;
    int64_t at;                      /* what now->nonfinite has added to indices of g */
    const rg_adamw_matrix *matrices; /* packed in the same pass; in the order of their `at` */
    int64_t n_matrices;
} rg_adamw_args;

#endif
