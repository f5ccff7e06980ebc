/*
 * One GPU: its memory, its stream, its tables of kernels; what the engine sees of the backend.
 *
 * One idea: device memory is reserved once, in blocks that arenas are laid over
 * (rg_arena_create_over), and everything queued goes to one stream in order. Host memory crosses
 * over at one door, rg_gpu_put and rg_gpu_get. In a build without CUDA every call here fails with
 * one line that says so (stub.c).
 * Not here: tensors, CUDA's own headers.
 */
#ifndef RG_KERNELS_GPU_H
#define RG_KERNELS_GPU_H

#include "kernels/kernels.h"

typedef struct rg_gpu rg_gpu;

/* What is known of a GPU and its software, for people. */
typedef struct rg_gpu_facts {
    char name[128];
    int32_t major, minor;    /* compute capability */
    int32_t processors;      /* SMs */
    int64_t memory, free;    /* bytes */
    unsigned char uuid[16];  /* no other GPU has it */
    int32_t driver, runtime; /* as CUDA counts: 13000 is 13.0 */
} rg_gpu_facts;

/* How many there are; 0 with the reason in `err` (no driver, no device, built without CUDA). */
int32_t rg_gpu_count(rg_error *err);
rg_status rg_gpu_describe(int32_t index, rg_gpu_facts *facts, rg_error *err) RG_MUST_USE;

/* A library of NVIDIA's, for people. */
typedef struct rg_gpu_library {
    const char *name, *file; /* "cuDNN", "libcudnn.so.9" */
    char version[32];        /* "" when it cannot be opened */
} rg_gpu_library;

/* cuBLASLt, cuDNN, NCCL, cuFFT: opens each. Returns how many of `out` it filled: 0 when this
 * program was built without CUDA. */
enum { RG_GPU_LIBRARIES = 4 };
int rg_gpu_libraries(rg_gpu_library out[RG_GPU_LIBRARIES]);

/* NULL with one line in `err`. Not thread-safe: one GPU object, one thread. */
rg_gpu *rg_gpu_open(int32_t index, rg_error *err);
void rg_gpu_close(rg_gpu *gpu); /* waits for what is queued; NULL is fine */

int32_t rg_gpu_index(const rg_gpu *gpu);

/* The table for activations stored as F32, F16 or BF16; NULL where the GPU has no such products. */
const rg_kernels *rg_gpu_kernels(rg_gpu *gpu, rg_dtype activations, rg_error *err);
/* Sets what kernels need to know of the GPU: stream, fault word, gpu. */
void rg_gpu_context(rg_gpu *gpu, rg_kernel_ctx *ctx);

/* Device memory, 256-byte aligned; NULL and RG_ERR_NOMEM with what is free. */
void *rg_gpu_alloc(rg_gpu *gpu, size_t bytes, rg_error *err);
void rg_gpu_free(rg_gpu *gpu, void *memory); /* NULL is fine; waits for what is queued */

/*
 * Copies in the order of the stream. put: `from` may be changed at once when it returns. get:
 * waits, and tells faults of kernels since the last get (RG_ERR_SHAPE), which it clears.
 */
rg_status rg_gpu_put(rg_gpu *gpu, void *to, const void *from, size_t bytes,
                     rg_error *err) RG_MUST_USE;
rg_status rg_gpu_get(rg_gpu *gpu, void *to, const void *from, size_t bytes,
                     rg_error *err) RG_MUST_USE;
/* Between two places of the device. */
rg_status rg_gpu_move(rg_gpu *gpu, void *to, const void *from, size_t bytes,
                      rg_error *err) RG_MUST_USE;
/*
 * A letter is what the host hears of the device without waiting for it: memory of the host that a
 * copies in the order of the stream fill. post: `bytes` of them, from `at` on. read: all of them as
 * of the last post, for which it waits; NULL after an error. What is posted again has been read.
 */
typedef struct rg_gpu_letter rg_gpu_letter;
rg_gpu_letter *rg_gpu_letter_create(rg_gpu *gpu, size_t bytes, rg_error *err);
void rg_gpu_letter_destroy(rg_gpu_letter *letter); /* NULL is fine */
rg_status rg_gpu_letter_post(rg_gpu_letter *letter, size_t at, const void *from, size_t bytes,
                             rg_error *err) RG_MUST_USE;
const void *rg_gpu_letter_read(rg_gpu_letter *letter, rg_error *err);

/*
 * A graph is a stretch of the stream's work that starts as one. Between begin and end nothing runs;
 * end starts it all. The same graph may be begun again at once, with other work; where that has
 * the form of the work before, nothing is built anew. In between the host can wait for nothing:
 * rg_gpu_get, rg_gpu_wait and the reading of letters that were posted since fail. drop: nothing of
 * what was queued since begin runs.
 */
typedef struct rg_gpu_graph rg_gpu_graph;
rg_gpu_graph *rg_gpu_graph_create(rg_gpu *gpu, rg_error *err);
void rg_gpu_graph_destroy(rg_gpu_graph *graph); /* NULL is fine */
rg_status rg_gpu_graph_begin(rg_gpu_graph *graph, rg_error *err) RG_MUST_USE;
rg_status rg_gpu_graph_end(rg_gpu_graph *graph, rg_error *err) RG_MUST_USE;
void rg_gpu_graph_drop(rg_gpu_graph *graph);

/*
 * Kernels timed call by call: tables that note the stream's time before and after each call of
 * `kernels` (and of `stored`, NULL: none), and count it in `tally` as idle ones do (idle.h). They
 * are for an exec whose ctx->tally is this one. add: waits, and adds the seconds of the calls since
 * the last time to the tally's rows. Outside of graphs only.
 */
typedef struct rg_gpu_timing rg_gpu_timing;
struct rg_tally;
rg_gpu_timing *rg_gpu_timing_create(rg_gpu *gpu, struct rg_tally *tally, const rg_kernels *kernels,
                                    const rg_kernels *stored, rg_error *err);
void rg_gpu_timing_destroy(rg_gpu_timing *timing); /* NULL is fine */
const rg_kernels *rg_gpu_timing_kernels(const rg_gpu_timing *timing);
const rg_kernels *rg_gpu_timing_stored(const rg_gpu_timing *timing); /* NULL: none */
rg_status rg_gpu_timing_add(rg_gpu_timing *timing, rg_error *err) RG_MUST_USE;

/*
 * Asked every 100 ms while the host waits for the GPU, whose work may wait for other processes: an
 * error ends the wait. ask NULL: nobody.
 */
typedef struct rg_gpu_watch {
    rg_status (*ask)(void *ctx, rg_error *err);
    void *ctx;
} rg_gpu_watch;
void rg_gpu_set_watch(rg_gpu *gpu, rg_gpu_watch watch);

rg_status rg_gpu_zero(rg_gpu *gpu, void *memory, size_t bytes, rg_error *err) RG_MUST_USE;
rg_status rg_gpu_wait(rg_gpu *gpu, rg_error *err) RG_MUST_USE;

#endif
