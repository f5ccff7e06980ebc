/*
 * Convolutions through cuDNN's graph API.
 *
 * One idea: a plan is cuDNN's choice of an engine for one direction of one convolution; it is kept
 * by everything that decides it, so that a call costs one launch. Where cuDNN has no plan within
 * the workspace, there is none here either, and the caller does without (conv.c).
 * Channels come last in everything: x (B,H,W,C), w (K,R,S,C), y (B,OH,OW,K), where y is the
 * convolution of x with w; all of one type, F16 or BF16, with sums in fp32. Not here: padding by
 * reflection, biases, activations (conv_dnn.c); gradients of weights, which cuDNN writes in 16
 * bits alone; fp32, for which its fast engines round to TF32 and its exact ones are products as
 * ours are.
 */
#ifndef RG_KERNELS_CUDA_DNN_H
#define RG_KERNELS_CUDA_DNN_H

#include "kernels/kernels.h"

RG_C_BEGIN

typedef enum rg_dnn_way { RG_DNN_FORWARD, RG_DNN_DATA } rg_dnn_way;

/* What decides a plan; all of one width, as its bytes are compared. Pairs are rows, columns. */
typedef struct rg_dnn_conv {
    int64_t way;  /* makes y of x and w, or x of y and w, */
    int64_t add;  /* 1: added to what is there, in fp32 */
    int64_t type; /* RG_F16, RG_BF16 */
    int64_t batch, c, k;
    int64_t x[2], y[2], taps[2], stride[2], dilation[2], before[2], after[2];
    int64_t align_x, align_w, align_y; /* bytes, at most 16 */
} rg_dnn_conv;

enum {
    RG_DNN_PLANS = 2048,         /* no more are made; a codec's step has about 100 */
    RG_DNN_WORKSPACE = 32 << 20, /* a plan that needs more is none */
    RG_DNN_ALIGNMENT = 16        /* no engine asks for more */
};

typedef struct rg_dnn rg_dnn;           /* one per GPU */
typedef struct rg_dnn_plan rg_dnn_plan; /* lives as long as its rg_dnn */

/* For the GPU that is current, on `stream` (a cudaStream_t). NULL with one line in `err` where
 * cuDNN is missing, too old or cannot be started. */
rg_dnn *rg_dnn_open(void *stream, rg_error *err);
/* For a GPU that need not be there: `device` is cuDNN's JSON of its properties. Plans are made as
 * for the GPU itself; none can be run. */
rg_dnn *rg_dnn_open_described(const char *device, rg_error *err);
void rg_dnn_close(rg_dnn *dnn); /* NULL is fine */

/* The plan for c, made when it is first asked for; NULL where there is none, or `dnn` is NULL. */
const rg_dnn_plan *rg_dnn_find(rg_dnn *dnn, const rg_dnn_conv *c);
int64_t rg_dnn_plan_workspace(const rg_dnn_plan *plan); /* bytes */

/* Queues it; x or y is written. workspace: RG_DNN_WORKSPACE bytes. */
rg_status rg_dnn_run(rg_dnn *dnn, const rg_dnn_plan *plan, const void *x, const void *w,
                     const void *y, void *workspace, rg_error *err);

RG_C_END

#endif
