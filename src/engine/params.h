/*
 * Parameters of a model: names, flat fp32 buffers for values, gradients, moments and their EMA.
 *
 * One idea: a model declares its parameters by name, then one call lays all of them out in flat
 * buffers, so that one AdamW kernel, one norm and one all-reduce serve everything.
 * Weight-normalised weights are declared as such: g and v are the parameters, the operators see the
 * folded weight, and its gradient is mapped back off the tape. Not here: the optimizer
 * (optimizer.h), files (checkpoint.h).
 */
#ifndef RG_ENGINE_PARAMS_H
#define RG_ENGINE_PARAMS_H

#include "engine/exec.h"

enum { RG_NAME_SIZE = 128 };

typedef enum rg_init_kind {
    RG_INIT_ZEROS,
    RG_INIT_ONES,
    RG_INIT_NORMAL,    /* deviation `scale` */
    RG_INIT_TRUNCATED, /* normal cut at 3 deviations */
    RG_INIT_UNIFORM,   /* [-scale, scale] */
} rg_init_kind;

typedef struct rg_init {
    rg_init_kind kind;
    double scale;
} rg_init;

typedef enum rg_param_kind {
    RG_PARAM_PLAIN,
    RG_PARAM_NORM_G,
    RG_PARAM_NORM_V,
    RG_PARAM_STATE
} rg_param_kind;

typedef struct rg_param {
    char name[RG_NAME_SIZE];
    rg_shape shape;
    rg_param_kind kind;
    rg_dtype dtype;    /* F32 but for states */
    bool decay;        /* weight decay applies: matrices yes; biases, gains, g no */
    int64_t offset;    /* into the flat buffers; states: into the state block, bytes */
    rg_tensor *tensor; /* what operators use (of a V: the folded weight; NULL for a G) */
} rg_param;

typedef struct rg_params rg_params;

rg_params *rg_params_create(rg_error *err);
void rg_params_destroy(rg_params *params); /* NULL is fine */

/*
 * Declarations; each returns the tensor that operators take. Its data pointer is set by
 * rg_params_finish. Names are unique ("encoder.0.conv.weight"); a second one of the same name is
 * RG_ERR_MISMATCH at finish. After an error NULL.
 */
rg_tensor *rg_params_add(rg_params *params, const char *name, rg_shape shape, rg_init init);
/* Weight norm over all axes but `axis`: stores name + "_g" (dim[axis]) and name + "_v". */
rg_tensor *rg_params_add_normed(rg_params *params, const char *name, rg_shape shape, int32_t axis,
                                rg_init init);
/* Saved with the model, exported with it, never trained by gradient. Zeroed. */
rg_tensor *rg_params_add_state(rg_params *params, const char *name, rg_dtype type, rg_shape shape);
/* Says that the tensor is used as a GEMM operand (all dims but the last as rows): it gets a packed
 * shadow copy. */
void rg_params_use_as_matrix(rg_params *params, rg_tensor *tensor);

/* Lays out, initialises from (seed, name) so that adding a parameter changes no other, folds and
 * packs. `trainable` false: no gradients, moments or EMA are allocated (inference). RG_ERR_NOMEM,
 * before anything is taken, when that is more memory than is free. */
rg_status rg_params_finish(rg_params *params, rg_exec *ex, uint64_t seed, bool trainable,
                           rg_error *err) RG_MUST_USE;

/*
 * Models that come and go. release: gives the memory of parameters that are not trained back; the
 * tensors stay, and another rg_params_finish takes it again. count_bytes: what rg_params_finish
 * would take for inference, before it is called. rehearse: addresses in the place of memory, for
 * operators of idle kernels (kernels/idle.h); release takes them back.
 */
void rg_params_release(rg_params *params);
typedef struct rg_params_size {
    int64_t elements;    /* numbers that are trained */
    int64_t bytes, copy; /* on the exec's device; on a GPU besides: the host's copy */
} rg_params_size;
rg_params_size rg_params_count_bytes(rg_params *params, const rg_exec *ex);
rg_status rg_params_rehearse(rg_params *params, rg_exec *ex, rg_error *err) RG_MUST_USE;

/* Folds weight norm and packs shadow copies; raises every version. After any change of values,
 * which on a GPU are sent there first, with moments, EMA and states. */
rg_status rg_params_refresh(rg_params *params, rg_exec *ex) RG_MUST_USE;
/* States change on the host only, by their tensors' `host`; rg_tensor_put or refresh sends them.
 *
 * On a GPU: brings what rg_params_values and the like point to up to date with what steps have made
 * of it, and waits. Before saving, and before a change that refresh is to send. */
rg_status rg_params_fetch(const rg_params *params, rg_error *err) RG_MUST_USE;
/* Maps the gradients of folded weights to (dg, dv); once per step, after the last backward, before
 * the norm. */
rg_status rg_params_unfold_gradients(rg_params *params, rg_exec *ex) RG_MUST_USE;
void rg_params_zero_gradients(rg_params *params);
/* Exchanges values and EMA (evaluation with averaged weights, and back); refreshes. */
rg_status rg_params_swap_ema(rg_params *params, rg_exec *ex) RG_MUST_USE;

size_t rg_params_count(const rg_params *params); /* entries */
const rg_param *rg_params_at(const rg_params *params, size_t i);
const rg_param *rg_params_find(const rg_params *params, const char *name); /* NULL: none */
int64_t rg_params_elements(const rg_params *params);                       /* trained numbers */
int64_t rg_params_bytes(const rg_params *params); /* memory that rg_params_finish took */
/* The tensors to hand to rg_backward as wrt: all trained ones (n is 0 when not trainable). */
rg_tensor *const *rg_params_trainable(const rg_params *params, int32_t *n);

/* Flat, rg_params_elements long, the host's: on a GPU as of the last rg_params_fetch, and no
 * gradients (NULL). */
float *rg_params_values(rg_params *params);
float *rg_params_gradients(rg_params *params);
float *rg_params_moment1(rg_params *params);
float *rg_params_moment2(rg_params *params);
float *rg_params_ema(rg_params *params);
const uint8_t *rg_params_decay(const rg_params *params);
void *rg_param_data(rg_params *params,
                    const rg_param *param); /* values of one entry, in checkpoint layout */
/* The name of the parameter that holds flat element i. */
const char *rg_params_name_of(const rg_params *params, int64_t i);

/* A set that trains beside this one (a discriminator beside its codec), not owned: checkpoints keep
 * both. A companion may have one in turn; NULL: none. */
void rg_params_set_companion(rg_params *params, rg_params *companion);
rg_params *rg_params_companion(const rg_params *params);

/* Weights packed in bf16 (RG_BF16) or int8 (RG_I8: linear's) although operands are fp32, from the
 * next refresh on. */
void rg_params_set_packed_type(rg_params *params, rg_dtype type);

#endif
