/*
 * Stands in for the CUDA backend in a build without one.
 *
 * One idea: an absent backend is a file that says so, not an #ifdef in its callers. No GPU object
 * is ever made, so the functions that take one are never reached.
 */
#include "kernels/gpu.h"

static rg_status absent(rg_error *err)
{
    return rg_fail(err, RG_ERR_UNSUPPORTED,
                   "device cuda: this program was built without CUDA; use --device cpu");
}

int32_t rg_gpu_count(rg_error *err)
{
    absent(err);
    return 0;
}

rg_status rg_gpu_describe(int32_t index, rg_gpu_facts *facts, rg_error *err)
{
    (void)index;
    *facts = (rg_gpu_facts){0};
    return absent(err);
}

int rg_gpu_libraries(rg_gpu_library out[RG_GPU_LIBRARIES])
{
    (void)out;
    return 0;
}

rg_gpu *rg_gpu_open(int32_t index, rg_error *err)
{
    (void)index;
    absent(err);
    return NULL;
}

void rg_gpu_close(rg_gpu *gpu)
{
    (void)gpu;
}

const rg_kernels *rg_gpu_kernels(rg_gpu *gpu, rg_dtype activations, rg_error *err)
{
    (void)gpu, (void)activations;
    absent(err);
    return NULL;
}

int32_t rg_gpu_index(const rg_gpu *gpu)
{
    (void)gpu;
    return 0;
}

void rg_gpu_context(rg_gpu *gpu, rg_kernel_ctx *ctx)
{
    (void)gpu, (void)ctx;
}

void *rg_gpu_alloc(rg_gpu *gpu, size_t bytes, rg_error *err)
{
    (void)gpu, (void)bytes;
    absent(err);
    return NULL;
}

void rg_gpu_free(rg_gpu *gpu, void *memory)
{
    (void)gpu, (void)memory;
}

rg_status rg_gpu_put(rg_gpu *gpu, void *to, const void *from, size_t bytes, rg_error *err)
{
    (void)gpu, (void)to, (void)from, (void)bytes;
    return absent(err);
}

rg_status rg_gpu_get(rg_gpu *gpu, void *to, const void *from, size_t bytes, rg_error *err)
{
    (void)gpu, (void)to, (void)from, (void)bytes;
    return absent(err);
}

rg_status rg_gpu_move(rg_gpu *gpu, void *to, const void *from, size_t bytes, rg_error *err)
{
    (void)gpu, (void)to, (void)from, (void)bytes;
    return absent(err);
}

rg_gpu_letter *rg_gpu_letter_create(rg_gpu *gpu, size_t bytes, rg_error *err)
{
    (void)gpu, (void)bytes;
    absent(err);
    return NULL;
}

void rg_gpu_letter_destroy(rg_gpu_letter *letter)
{
    (void)letter;
}

rg_status rg_gpu_letter_post(rg_gpu_letter *letter, size_t at, const void *from, size_t bytes,
                             rg_error *err)
{
    (void)letter, (void)at, (void)from, (void)bytes;
    return absent(err);
}

const void *rg_gpu_letter_read(rg_gpu_letter *letter, rg_error *err)
{
    (void)letter;
    absent(err);
    return NULL;
}

rg_gpu_graph *rg_gpu_graph_create(rg_gpu *gpu, rg_error *err)
{
    (void)gpu;
    absent(err);
    return NULL;
}

void rg_gpu_graph_destroy(rg_gpu_graph *graph)
{
    (void)graph;
}

rg_status rg_gpu_graph_begin(rg_gpu_graph *graph, rg_error *err)
{
    (void)graph;
    return absent(err);
}

rg_status rg_gpu_graph_end(rg_gpu_graph *graph, rg_error *err)
{
    (void)graph;
    return absent(err);
}

void rg_gpu_graph_drop(rg_gpu_graph *graph)
{
    (void)graph;
}

rg_gpu_timing *rg_gpu_timing_create(rg_gpu *gpu, struct rg_tally *tally, const rg_kernels *kernels,
                                    const rg_kernels *stored, rg_error *err)
{
    (void)gpu, (void)tally, (void)kernels, (void)stored;
    absent(err);
    return NULL;
}

void rg_gpu_timing_destroy(rg_gpu_timing *timing)
{
    (void)timing;
}

const rg_kernels *rg_gpu_timing_kernels(const rg_gpu_timing *timing)
{
    (void)timing;
    return NULL;
}

const rg_kernels *rg_gpu_timing_stored(const rg_gpu_timing *timing)
{
    (void)timing;
    return NULL;
}

rg_status rg_gpu_timing_add(rg_gpu_timing *timing, rg_error *err)
{
    (void)timing;
    return absent(err);
}

void rg_gpu_set_watch(rg_gpu *gpu, rg_gpu_watch watch)
{
    (void)gpu, (void)watch;
}

rg_status rg_gpu_zero(rg_gpu *gpu, void *memory, size_t bytes, rg_error *err)
{
    (void)gpu, (void)memory, (void)bytes;
    return absent(err);
}

rg_status rg_gpu_wait(rg_gpu *gpu, rg_error *err)
{
    (void)gpu;
    return absent(err);
}
