/*
 * What spares the host waiting, and a GPU the host: letters and graphs (kernels/gpu.h).
 *
 * One idea: a step is queued as ever, but into a graph, and the graph takes the place of the last
 * step's where it has its form (cudaGraphExecUpdate), so that nothing a step computes has to be
 * the same from step to step. Events cannot be waited for in a graph: those of its letters and of
 * the pieces it copies from follow when it is on its way.
 * Not here: copies to the device (backend.c).
 */
#include <stdlib.h>

#include "kernels/cuda/backend.h"

/* ---- letters ---- */

struct rg_gpu_letter {
    rg_gpu *gpu;
    void *pinned;
    cudaEvent_t arrived;
    rg_gpu_letter *next; /* posted before it in the same graph */
    bool in_graph;
};

rg_gpu_letter *rg_gpu_letter_create(rg_gpu *gpu, size_t bytes, rg_error *err)
{
    rg_gpu_letter *letter = calloc(1, sizeof *letter);
    if (!letter) {
        rg_fail(err, RG_ERR_NOMEM, "device cuda:%d: out of memory", gpu->index);
        return NULL;
    }
    letter->gpu = gpu;
    if (rg_gpu_check(cudaMallocHost(&letter->pinned, bytes), "pinned memory", err) == RG_OK &&
        rg_gpu_check(cudaEventCreateWithFlags(&letter->arrived, cudaEventDisableTiming),
                     "making an event", err) == RG_OK)
        return letter;
    rg_gpu_letter_destroy(letter);
    return NULL;
}

void rg_gpu_letter_destroy(rg_gpu_letter *letter)
{
    if (!letter) return;
    cudaStreamSynchronize(letter->gpu->stream); /* a copy may still be on its way */
    if (letter->arrived) cudaEventDestroy(letter->arrived);
    cudaFreeHost(letter->pinned);
    free(letter);
}

rg_status rg_gpu_letter_post(rg_gpu_letter *letter, size_t at, const void *from, size_t bytes,
                             rg_error *err)
{
    cudaStream_t stream = letter->gpu->stream;
    RG_TRY(rg_gpu_check(
        cudaMemcpyAsync((char *)letter->pinned + at, from, bytes, cudaMemcpyDeviceToHost, stream),
        "copy to the host", err));
    if (!letter->gpu->captured)
        return rg_gpu_check(cudaEventRecord(letter->arrived, stream), "an event", err);
    if (letter->in_graph) return RG_OK;
    letter->next = letter->gpu->posted;
    letter->in_graph = true;
    letter->gpu->posted = letter;
    return RG_OK;
}

const void *rg_gpu_letter_read(rg_gpu_letter *letter, rg_error *err)
{
    if (letter->in_graph) {
        rg_fail(err, RG_ERR_USAGE, "device cuda: a letter is read within its graph");
        return NULL;
    }
    const rg_status status = rg_gpu_await(letter->gpu, letter->arrived, "work on the device", err);
    return status == RG_OK ? letter->pinned : NULL;
}

static rg_status letters_sent(rg_gpu *gpu, rg_error *err)
{
    for (; gpu->posted; gpu->posted = gpu->posted->next) {
        gpu->posted->in_graph = false;
        RG_TRY(rg_gpu_check(cudaEventRecord(gpu->posted->arrived, gpu->stream), "an event", err));
    }
    return RG_OK;
}

/* ---- graphs ---- */

struct rg_gpu_graph {
    rg_gpu *gpu;
    cudaGraphExec_t ready; /* NULL: none yet */
};

rg_gpu_graph *rg_gpu_graph_create(rg_gpu *gpu, rg_error *err)
{
    rg_gpu_graph *graph = calloc(1, sizeof *graph);
    if (graph)
        graph->gpu = gpu;
    else
        rg_fail(err, RG_ERR_NOMEM, "device cuda:%d: out of memory", gpu->index);
    return graph;
}

void rg_gpu_graph_destroy(rg_gpu_graph *graph)
{
    if (!graph) return;
    if (graph->gpu->captured) rg_gpu_graph_drop(graph);
    cudaStreamSynchronize(graph->gpu->stream); /* it may be running */
    if (graph->ready) cudaGraphExecDestroy(graph->ready);
    free(graph);
}

/* Relaxed: a library may take memory of its own, and events of earlier steps are waited for. */
rg_status rg_gpu_graph_begin(rg_gpu_graph *graph, rg_error *err)
{
    rg_gpu *gpu = graph->gpu;
    RG_TRY(rg_gpu_check(cudaStreamBeginCapture(gpu->stream, cudaStreamCaptureModeRelaxed),
                        "beginning a graph", err));
    gpu->captured = true;
    gpu->first = gpu->piece;
    return RG_OK;
}

/* The captured work as what can be launched. */
static rg_status make_ready(rg_gpu_graph *graph, cudaGraph_t captured, rg_error *err)
{
    cudaGraphExecUpdateResultInfo info;
    if (graph->ready && cudaGraphExecUpdate(graph->ready, captured, &info) == cudaSuccess)
        return RG_OK;
    cudaGetLastError(); /* another form is no failure */
    if (graph->ready) cudaGraphExecDestroy(graph->ready);
    graph->ready = NULL;
    return rg_gpu_check(cudaGraphInstantiate(&graph->ready, captured, 0), "building a graph", err);
}

/* The pieces that only the graph's copies keep from being filled again. */
static rg_status pieces_sent(rg_gpu *gpu, rg_error *err)
{
    for (; gpu->first != gpu->piece; gpu->first = (gpu->first + 1) % RG_GPU_PIECES)
        RG_TRY(
            rg_gpu_check(cudaEventRecord(gpu->staged[gpu->first], gpu->stream), "an event", err));
    return RG_OK;
}

rg_status rg_gpu_graph_end(rg_gpu_graph *graph, rg_error *err)
{
    rg_gpu *gpu = graph->gpu;
    cudaGraph_t captured = NULL;
    gpu->captured = false;
    RG_TRY(rg_gpu_check(cudaStreamEndCapture(gpu->stream, &captured), "ending a graph", err));
    rg_status status = make_ready(graph, captured, err);
    cudaGraphDestroy(captured);
    RG_TRY(status);
    RG_TRY(rg_gpu_check(cudaGraphLaunch(graph->ready, gpu->stream), "starting a graph", err));
    RG_TRY(pieces_sent(gpu, err));
    return letters_sent(gpu, err);
}

/* After a failure, which has been told. */
void rg_gpu_graph_drop(rg_gpu_graph *graph)
{
    rg_gpu *gpu = graph->gpu;
    cudaGraph_t captured = NULL;
    rg_error ignored = {0};
    if (!gpu->captured) return;
    gpu->captured = false;
    if (cudaStreamEndCapture(gpu->stream, &captured) == cudaSuccess) cudaGraphDestroy(captured);
    cudaGetLastError();
    (void)!pieces_sent(gpu, &ignored);
    (void)!letters_sent(gpu, &ignored);
}
