/*
 * An exec is everything one thread of execution owns: kernels, arenas, tape, random numbers, error.
 * No globals.
 *
 * One idea: calling an operator runs it at once and, while recording, leaves an entry on the tape;
 * rg_backward walks the tape and leaves it alive. The first error sticks, and every call after it
 * returns NULL at once, so a whole forward pass is written without checks and tested once at its
 * end (rg_exec_status). Not here: what the operators are (ops.h), parameters (params.h).
 */
#ifndef RG_ENGINE_EXEC_H
#define RG_ENGINE_EXEC_H

#include "base/arena.h"
#include "base/rng.h"
#include "engine/op.h"
#include "engine/tensor.h"
#include "kernels/gpu.h"

typedef struct rg_exec_options {
    const rg_kernels *kernels; /* required */
    const rg_kernels
        *stored;          /* for activations stored in 16 bits; NULL: they are as kernels->real */
    rg_pool *pool;        /* borrowed; NULL: one thread */
    rg_gpu *gpu;          /* borrowed; its memory and stream; NULL: the CPU */
    struct rg_exec *host; /* borrowed; see rg_exec; NULL: the exec itself */
    rg_dtype operands;    /* of products: see rg_kernel_ctx */
    bool graphs;          /* see rg_exec */
    uint64_t seed;
    /* Of data. CPU: addresses to reserve, 0: 64, 16, 16 GiB; GPU: memory taken at once, 0: 4, 1, 1
     * GiB. */
    size_t step_bytes, scratch_bytes, persist_bytes;
    int32_t tape_capacity; /* entries; 0: 65536 */
} rg_exec_options;

/* Hears from rg_backward, while it runs, which parameters are through: their gradients get nothing
 * more in this call. `end`: the call is over, and so are those of wrt that were not named. */
typedef struct rg_backward_listener {
    void (*through)(void *ctx, const rg_tensor *parameter);
    void (*end)(void *ctx, rg_tensor *const *wrt, int32_t n_wrt);
    void *ctx;
} rg_backward_listener;

struct rg_exec {
    rg_gpu *gpu;          /* NULL: the CPU */
    bool graphs;          /* on a GPU: steps that can start as one graph do (gpu.h) */
    struct rg_exec *host; /* one of the CPU, for what always runs there; itself where it is one */
    const rg_kernels *kernels; /* while an operator runs: those that it runs on */
    const rg_kernels *stored;  /* NULL: no activations of 16 bits */
    rg_dtype real; /* of parameters, statistics, losses, and of all that is not stored */
    rg_kernel_ctx kernel_ctx;
    /* the host's: headers, tape, what the engine itself needs */
    rg_arena *persist, *step, *scratch;
    /* where tensors' data lie: the same arenas on the CPU, device memory on a GPU. Scratch of
     * kernels and operators is kernel_ctx.scratch. */
    rg_arena *persist_data, *step_data;
    void *device_memory[3];     /* under the data's arenas on a GPU */
    uint64_t seed, step_number; /* key of all random numbers drawn by operators */
    bool recording;
    rg_node **tape;
    int32_t n_tape, cap_tape, next_id, n_param_ids;
    int64_t flops;              /* forward and backward, since the last rg_step_begin */
    rg_tensor *param_gradients; /* by parameter id; data NULL: of a set that is not trained */
    int32_t cap_param_ids;
    int64_t flat_multiple; /* trained parameters' flat buffers are filled up to this; 0: not */
    const rg_backward_listener *listener; /* borrowed; NULL: none */
    rg_error error;
};

rg_exec *rg_exec_create(const rg_exec_options *options, rg_error *err);
void rg_exec_destroy(rg_exec *ex); /* NULL is fine */

rg_status rg_exec_status(const rg_exec *ex); /* of the first error */
/* Records an error and returns `code`; inside an operator its name is put in front afterwards. */
rg_status rg_exec_fail(rg_exec *ex, rg_status code, const char *fmt, ...) RG_PRINTF(3, 4);
#ifdef __clang_analyzer__ /* which cannot see that rg_exec_fail returns its code */
#define rg_exec_fail(ex, code, ...) ((void)(rg_exec_fail)(ex, code, __VA_ARGS__), (code))
#endif

/* Begins a step: resets step arena, tape and ids; `step` keys the random numbers. Results of the
 * last step are gone. */
void rg_step_begin(rg_exec *ex, uint64_t step);

typedef struct rg_mark {
    rg_arena_mark arena, data;
    int32_t n_tape, next_id;
} rg_mark;
rg_mark rg_tape_mark(rg_exec *ex);
void rg_tape_rewind(rg_exec *ex, rg_mark mark); /* frees a sub-pass; tensors made since are gone */

/* Turns the tape on or off; returns what it was. Off: nothing is saved, the arena can be rewound
 * per call. */
bool rg_set_recording(rg_exec *ex, bool on);

/* New tensors in the step arena. Contents undefined; NULL after an error. */
rg_tensor *rg_tensor_new(rg_exec *ex, rg_dtype type, rg_shape shape);
/* A leaf that shares the caller's memory (which must outlive the step). */
rg_tensor *rg_tensor_wrap(rg_exec *ex, rg_dtype type, rg_shape shape, void *data);
/* A leaf copied from n floats, converted to the kernels' real type. */
rg_tensor *rg_tensor_from_floats(rg_exec *ex, rg_shape shape, const float *values);
rg_tensor *rg_tensor_from_ints(rg_exec *ex, rg_shape shape, const int32_t *values);
/* Zeroed tensor in the persist arena: caches, streaming states. */
rg_tensor *rg_tensor_state(rg_exec *ex, rg_dtype type, rg_shape shape);
/* Shares data, cuts the tape. */
rg_tensor *rg_detach(rg_exec *ex, rg_tensor *t);
/*
 * The door between host and device; on the CPU a plain copy or access. put: all elements from host
 * memory in the tensor's own type. get: element i as a double, floats: elements first .. first+n-1,
 * both of any type; on a GPU they wait for all that is queued and give NaN when that fails.
 */
rg_status rg_tensor_put(rg_exec *ex, rg_tensor *t, const void *values);
double rg_tensor_get(const rg_tensor *t, int64_t i);
/*
 * Whole tensors at that door. fill: host memory for all elements of a new tensor t, undefined;
 * when it is written, rg_tensor_filled(t) sends it and returns t. read: host memory with t's
 * elements, as of now. On the CPU both are t->data, on a GPU memory of the step; NULL after an
 * error.
 */
void *rg_tensor_fill(rg_exec *ex, const rg_tensor *t);
rg_tensor *rg_tensor_filled(rg_exec *ex, rg_tensor *t, const void *values);
const void *rg_tensor_read(rg_exec *ex, const rg_tensor *t);
void rg_tensor_floats(const rg_tensor *t, int64_t first, int64_t n, float *out);
/* Sets `bytes` of memory on the exec's device to zero. */
void rg_exec_zero(rg_exec *ex, void *data, size_t bytes);
/* Sum of squares of g (n) on the exec's device and whether all are finite, on the host. */
rg_status rg_exec_norm(rg_exec *ex, const float *g, int64_t n, double *sum_squares,
                       bool *finite) RG_MUST_USE;

/* The kernels for tensors of a type, and the type that activations are stored in. */
static inline const rg_kernels *rg_exec_kernels_of(const rg_exec *ex, rg_dtype type)
{
    return ex->stored && type == ex->stored->real ? ex->stored : ex->kernels;
}
static inline rg_dtype rg_exec_activations(const rg_exec *ex)
{
    return ex->stored ? ex->stored->real : ex->real;
}

/* The kernels that operators called by rg_apply and rg_backward find, and their operands; returns
 * what was there, to be put back. */
typedef struct rg_kernels_used {
    const rg_kernels *kernels;
    rg_dtype operands;
} rg_kernels_used;
rg_kernels_used rg_exec_use(rg_exec *ex, const rg_kernels *kernels);
void rg_exec_use_again(rg_exec *ex, rg_kernels_used before);

/* Gives n new parameters ids and tells where their gradients go (tensors whose data may be NULL:
 * not trained). Returns the first id, or -1 after an error. For rg_params. */
int32_t rg_exec_add_params(rg_exec *ex, const rg_tensor *gradients, int32_t n);

/* Runs an operator: in[] may hold NULLs where it allows; out[] gets op->n_out tensors. For src/ops
 * and tests. */
rg_status rg_apply(rg_exec *ex, const rg_op *op, rg_tensor *const in[], const void *attr,
                   rg_tensor *out[]);

/*
 * Gradients of sum_i <seeds[i], roots[i]> with respect to wrt[]; seeds[i] NULL means ones (a scalar
 * loss). Nodes off every path from a target to a root cost nothing, and parameters that are not in
 * wrt get no gradient. out[i] (n_wrt entries, or NULL when all of wrt are parameters) is the
 * gradient of wrt[i]; parameters' gradients are ADDED into their flat buffer, others are new
 * tensors that live until the arena is rewound. out[i] is NULL when no path leads to it. The tape
 * stays alive: call again with other roots. Refused (RG_ERR_MISMATCH) when a parameter changed
 * after its forward.
 */
rg_status rg_backward(rg_exec *ex, rg_tensor *const *roots, rg_tensor *const *seeds,
                      int32_t n_roots, rg_tensor *const *wrt, int32_t n_wrt, rg_tensor **out);

/* The name "op#number" and output of the first tape entry, from the start, with a value that is not
 * finite; or false. */
bool rg_tape_first_nonfinite(rg_exec *ex, char *name, size_t size);

/* Order, shapes and types of the tape as one number: equal steps have equal addresses and equal
 * hashes. */
uint64_t rg_tape_hash(const rg_exec *ex);

#endif
