/*
 * A GPU: device, stream, memory, the door between host and device (kernels/gpu.h).
 *
 * One idea: all work goes to one stream that nobody else uses, never the default one. Host memory
 * reaches the device through a ring of pinned pieces, so that a caller may reuse what it gave at
 * once, and is kept waiting only when all pieces are under way.
 * Not here: kernels, products (gemm.c), the tables (table.c).
 */
#include "kernels/cuda/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/text.h"

rg_status rg_gpu_check(cudaError_t code, const char *what, rg_error *err)
{
    if (code == cudaSuccess) return RG_OK;
    const bool memory = code == cudaErrorMemoryAllocation;
    return rg_fail(err, memory ? RG_ERR_NOMEM : RG_ERR_DEVICE, "CUDA: %s: %s (%s)", what,
                   cudaGetErrorString(code), cudaGetErrorName(code));
}

int32_t rg_gpu_count(rg_error *err)
{
    int count = 0, driver = 0;
    const cudaError_t code = cudaGetDeviceCount(&count);
    if (code == cudaSuccess && count > 0) return count;
    cudaDriverGetVersion(&driver);
    if (driver == 0)
        rg_fail(err, RG_ERR_DEVICE, "device cuda: no NVIDIA driver is installed");
    else if (code == cudaErrorInsufficientDriver)
        rg_fail(err, RG_ERR_DEVICE,
                "device cuda: the NVIDIA driver is for CUDA %d.%d, this program needs %d.%d",
                driver / 1000, driver % 1000 / 10, CUDART_VERSION / 1000,
                CUDART_VERSION % 1000 / 10);
    else
        rg_fail(err, RG_ERR_DEVICE, "device cuda: no GPU is visible (%s)",
                code == cudaSuccess ? "none is there" : cudaGetErrorString(code));
    return 0;
}

rg_status rg_gpu_describe(int32_t index, rg_gpu_facts *facts, rg_error *err)
{
    struct cudaDeviceProp p;
    size_t free_bytes = 0, all = 0;
    *facts = (rg_gpu_facts){0};
    RG_TRY(rg_gpu_check(cudaGetDeviceProperties(&p, index), "properties of the device", err));
    RG_TRY(rg_gpu_check(cudaSetDevice(index), "choosing the device", err));
    RG_TRY(rg_gpu_check(cudaMemGetInfo(&free_bytes, &all), "free memory", err));
    rg_copy_text(facts->name, sizeof facts->name, p.name);
    facts->major = p.major, facts->minor = p.minor;
    facts->processors = p.multiProcessorCount;
    facts->memory = (int64_t)p.totalGlobalMem, facts->free = (int64_t)free_bytes;
    memcpy(facts->uuid, &p.uuid, sizeof facts->uuid);
    int driver = 0, runtime = 0;
    RG_TRY(rg_gpu_check(cudaDriverGetVersion(&driver), "version of the driver", err));
    RG_TRY(rg_gpu_check(cudaRuntimeGetVersion(&runtime), "version of the runtime", err));
    facts->driver = driver, facts->runtime = runtime;
    return RG_OK;
}

static rg_status open_stream(rg_gpu *gpu, rg_error *err)
{
    RG_TRY(rg_gpu_check(cudaSetDevice(gpu->index), "choosing the device", err));
    RG_TRY(rg_gpu_check(cudaStreamCreateWithFlags(&gpu->stream, cudaStreamNonBlocking),
                        "making a stream", err));
    void *fault = NULL, *staging = NULL;
    RG_TRY(rg_gpu_check(cudaMalloc(&fault, sizeof *gpu->fault), "memory for faults", err));
    gpu->fault = fault;
    RG_TRY(rg_gpu_check(cudaMalloc(&gpu->workspace, RG_GPU_WORKSPACE), "memory for products", err));
    RG_TRY(rg_gpu_check(cudaMallocHost(&staging, (size_t)RG_GPU_PIECES * RG_GPU_STAGED),
                        "pinned memory", err));
    gpu->staging = staging;
    for (int i = 0; i < RG_GPU_PIECES; i++) {
        RG_TRY(rg_gpu_check(cudaEventCreateWithFlags(&gpu->staged[i], cudaEventDisableTiming),
                            "making an event", err));
        RG_TRY(rg_gpu_check(cudaEventRecord(gpu->staged[i], gpu->stream), "an event", err));
    }
    return rg_gpu_zero(gpu, gpu->fault, sizeof *gpu->fault, err);
}

static rg_status open_libraries(rg_gpu *gpu, rg_error *err)
{
    RG_TRY(rg_dl_cublaslt(&gpu->lt, err));
    const cublasStatus_t code = gpu->lt.cublasLtCreate(&gpu->lt_handle);
    if (code != CUBLAS_STATUS_SUCCESS)
        return rg_fail(err, RG_ERR_DEVICE, "cuBLASLt cannot be started: %s",
                       gpu->lt.cublasLtGetStatusString(code));
    rg_error without = {0}; /* `resonant devices` says what is missing */
    gpu->dnn = rg_dnn_open(gpu->stream, &without);
    gpu->gemms = rg_gemm_cache_create(err);
    return gpu->gemms ? RG_OK : RG_ERR_NOMEM;
}

rg_gpu *rg_gpu_open(int32_t index, rg_error *err)
{
    const int32_t count = rg_gpu_count(err);
    if (count == 0) return NULL;
    if (index < 0 || index >= count) {
        rg_fail(err, RG_ERR_DEVICE, "device cuda:%d: there are %d, counted from 0", index, count);
        return NULL;
    }
    rg_gpu_facts facts;
    if (rg_gpu_describe(index, &facts, err) != RG_OK) return NULL;
    rg_gpu *gpu = calloc(1, sizeof *gpu);
    if (!gpu) {
        rg_fail(err, RG_ERR_NOMEM, "out of memory for device cuda:%d", index);
        return NULL;
    }
    gpu->index = index;
    gpu->major = facts.major;
    if (open_stream(gpu, err) != RG_OK || open_libraries(gpu, err) != RG_OK) {
        rg_gpu_close(gpu);
        return NULL;
    }
    return gpu;
}

/* What fails here has been told before, by the call whose work it was. */
void rg_gpu_close(rg_gpu *gpu)
{
    if (!gpu) return;
    if (gpu->stream) cudaStreamSynchronize(gpu->stream);
    rg_dnn_close(gpu->dnn);
    rg_gemm_cache_destroy(gpu->gemms);
    if (gpu->lt_handle) gpu->lt.cublasLtDestroy(gpu->lt_handle);
    for (int i = 0; i < RG_GPU_PIECES; i++)
        if (gpu->staged[i]) cudaEventDestroy(gpu->staged[i]);
    cudaFreeHost(gpu->staging);
    cudaFree(gpu->workspace);
    cudaFree(gpu->fault);
    if (gpu->stream) cudaStreamDestroy(gpu->stream);
    free(gpu);
}

int32_t rg_gpu_index(const rg_gpu *gpu)
{
    return gpu->index;
}

void rg_gpu_context(rg_gpu *gpu, rg_kernel_ctx *ctx)
{
    ctx->gpu = gpu;
    ctx->stream = gpu->stream;
    ctx->fault = gpu->fault;
}

/* ---- waiting ---- */

void rg_gpu_set_watch(rg_gpu *gpu, rg_gpu_watch watch)
{
    gpu->watch = watch;
}

static cudaError_t ask_once(const rg_gpu *gpu, cudaEvent_t event)
{
    return event ? cudaEventQuery(event) : cudaStreamQuery(gpu->stream);
}

rg_status rg_gpu_await(rg_gpu *gpu, cudaEvent_t event, const char *what, rg_error *err)
{
    if (!gpu->watch.ask)
        return rg_gpu_check(
            event ? cudaEventSynchronize(event) : cudaStreamSynchronize(gpu->stream), what, err);
    double asked = rg_clock_seconds();
    cudaError_t code = ask_once(gpu, event);
    for (int turns = 0; code == cudaErrorNotReady; turns++) {
        const struct timespec nap = {.tv_nsec = 20000};
        if (turns > 1000) nanosleep(&nap, NULL);
        if (rg_clock_seconds() - asked > 0.1) {
            RG_TRY(gpu->watch.ask(gpu->watch.ctx, err));
            asked = rg_clock_seconds();
        }
        code = ask_once(gpu, event);
    }
    return rg_gpu_check(code, what, err);
}

/* ---- memory ---- */

void *rg_gpu_alloc(rg_gpu *gpu, size_t bytes, rg_error *err)
{
    void *memory = NULL;
    size_t free_bytes = 0, all = 0;
    cudaError_t code = cudaSetDevice(gpu->index);
    if (code == cudaSuccess) code = cudaMalloc(&memory, bytes ? bytes : 1);
    if (code == cudaSuccess) return memory;
    cudaGetLastError(); /* a full device is no reason for later calls to fail */
    cudaMemGetInfo(&free_bytes, &all);
    if (code == cudaErrorMemoryAllocation)
        rg_fail(err, RG_ERR_NOMEM,
                "device cuda:%d: %.1f MiB wanted, %.1f MiB free of %.1f; use a smaller batch",
                gpu->index, (double)bytes / 1048576, (double)free_bytes / 1048576,
                (double)all / 1048576);
    else
        rg_gpu_check(code, "allocation", err);
    return NULL;
}

void rg_gpu_free(rg_gpu *gpu, void *memory)
{
    if (!memory) return;
    cudaStreamSynchronize(gpu->stream);
    cudaFree(memory);
}

/* The next piece of the ring, once the copies out of it are done. */
static rg_status turn_ring(rg_gpu *gpu, rg_error *err)
{
    static const char what[] = "copy to the device";
    if (!gpu->captured) /* a graph's copies are not on their way before it is */
        RG_TRY(rg_gpu_check(cudaEventRecord(gpu->staged[gpu->piece], gpu->stream), what, err));
    gpu->piece = (gpu->piece + 1) % RG_GPU_PIECES;
    if (gpu->captured && gpu->piece == gpu->first)
        return rg_fail(err, RG_ERR_UNSUPPORTED,
                       "device cuda:%d: a step sends more than %d MiB; set graph: false",
                       gpu->index, (RG_GPU_PIECES * (RG_GPU_STAGED >> 10)) >> 10);
    gpu->filled = 0;
    return rg_gpu_await(gpu, gpu->staged[gpu->piece], what, err);
}

rg_status rg_gpu_put(rg_gpu *gpu, void *to, const void *from, size_t bytes, rg_error *err)
{
    for (size_t done = 0, n; done < bytes; done += n) {
        if (gpu->filled == RG_GPU_STAGED) RG_TRY(turn_ring(gpu, err));
        const size_t left = bytes - done, room = RG_GPU_STAGED - gpu->filled;
        unsigned char *pinned = gpu->staging + (size_t)gpu->piece * RG_GPU_STAGED + gpu->filled;
        n = left < room ? left : room;
        gpu->filled += n;
        memcpy(pinned, (const char *)from + done, n);
        RG_TRY(rg_gpu_check(
            cudaMemcpyAsync((char *)to + done, pinned, n, cudaMemcpyHostToDevice, gpu->stream),
            "copy to the device", err));
    }
    return RG_OK;
}

static rg_status tell_fault(rg_gpu *gpu, uint32_t fault, rg_error *err)
{
    static const char *const texts[] = {
        [RG_FAULT_CODE] = "a code is beyond its book",
        [RG_FAULT_TARGET] = "a target is beyond the classes",
    };
    if (fault == RG_FAULT_NONE) return RG_OK;
    RG_TRY(rg_gpu_zero(gpu, gpu->fault, sizeof *gpu->fault, err));
    return rg_fail(err, RG_ERR_SHAPE, "device cuda:%d: %s", gpu->index,
                   fault < sizeof texts / sizeof *texts ? texts[fault] : "unknown fault");
}

static rg_status refuse_in_graph(const rg_gpu *gpu, rg_error *err)
{
    if (!gpu->captured) return RG_OK;
    return rg_fail(err, RG_ERR_USAGE,
                   "device cuda:%d: a result is asked for within a graph; set graph: false",
                   gpu->index);
}

rg_status rg_gpu_get(rg_gpu *gpu, void *to, const void *from, size_t bytes, rg_error *err)
{
    uint32_t fault = RG_FAULT_NONE;
    RG_TRY(refuse_in_graph(gpu, err));
    if (gpu->watch.ask) RG_TRY(rg_gpu_wait(gpu, err)); /* the copy itself would wait blindly */
    if (bytes)
        RG_TRY(rg_gpu_check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, gpu->stream),
                            "copy to the host", err));
    RG_TRY(rg_gpu_check(
        cudaMemcpyAsync(&fault, gpu->fault, sizeof fault, cudaMemcpyDeviceToHost, gpu->stream),
        "copy of the fault word", err));
    RG_TRY(rg_gpu_wait(gpu, err));
    return tell_fault(gpu, fault, err);
}

rg_status rg_gpu_move(rg_gpu *gpu, void *to, const void *from, size_t bytes, rg_error *err)
{
    if (bytes == 0) return RG_OK;
    return rg_gpu_check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, gpu->stream),
                        "copy on the device", err);
}

rg_status rg_gpu_zero(rg_gpu *gpu, void *memory, size_t bytes, rg_error *err)
{
    if (bytes == 0) return RG_OK;
    return rg_gpu_check(cudaMemsetAsync(memory, 0, bytes, gpu->stream), "clearing memory", err);
}

rg_status rg_gpu_wait(rg_gpu *gpu, rg_error *err)
{
    RG_TRY(refuse_in_graph(gpu, err));
    return rg_gpu_await(gpu, NULL, "work on the device", err);
}
