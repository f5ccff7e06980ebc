/*
 * GPUs of several processes by NCCL (kernels/gpu_link.h).
 *
 * One idea: the communicator is non-blocking, so no call of NCCL's can hang the host: each is
 * settled by asking for its state, and the watch in between. Calls and the sums behind them are on
 * one stream; an event before and one behind each are all that ties it to the GPU's own.
 */
#include <nccl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "kernels/cuda/backend.h"
#include "kernels/gpu_link.h"

#define NCCL_CALLS(F)         \
    F(ncclGetUniqueId)        \
    F(ncclGetErrorString)     \
    F(ncclGetLastError)       \
    F(ncclCommInitRankConfig) \
    F(ncclCommGetAsyncError)  \
    F(ncclCommDestroy)        \
    F(ncclCommAbort)          \
    F(ncclGroupStart)         \
    F(ncclGroupEnd)           \
    F(ncclSend)               \
    F(ncclRecv)               \
    F(ncclBroadcast)          \
    F(ncclAllGather)

typedef struct nccl {
#define F(name) __typeof__(&name) name;
    NCCL_CALLS(F)
#undef F
} nccl;

_Static_assert(sizeof(ncclUniqueId) == RG_GPU_LINK_ID, "an id of NCCL's");

enum {
    EVENTS = 64,      /* of the last calls */
    PARTS = 32 << 20, /* bytes of others' parts of a sum at once */
    ALIGNED = 64,     /* numbers of a part are a multiple, so that all parts are aligned */
};

struct rg_gpu_link {
    nccl call;
    ncclComm_t comm;
    rg_gpu *gpu;
    const rg_kernels *kernels;
    int32_t rank, world;
    cudaStream_t stream;
    cudaEvent_t before, done[EVENTS];
    uint64_t calls;
    float *parts; /* (world, most) */
    int64_t most;
    bool aborted;
    rg_gpu_watch watch;
};

static rg_status open_library(nccl *table, rg_error *err)
{
#ifdef RG_CUDA_EMU /* the stand-in is part of the program */
    (void)err;
#define F(name) .name = name,
    *table = (nccl){NCCL_CALLS(F)};
#undef F
    return RG_OK;
#else
#define F(name) #name,
    static const char *const names[] = {NCCL_CALLS(F)};
#undef F
    return rg_dl_fill("libnccl.so.2", names, sizeof names / sizeof *names, table, err);
#endif
}

static rg_status check(const rg_gpu_link *l, ncclResult_t code, const char *what, rg_error *err)
{
    if (code == ncclSuccess || code == ncclInProgress) return RG_OK;
    const char *more = l->comm ? l->call.ncclGetLastError(l->comm) : "";
    return rg_fail(err, RG_ERR_DEVICE, "NCCL: %s: %s%s%.160s", what,
                   l->call.ncclGetErrorString(code), more && more[0] ? ": " : "", more ? more : "");
}

/* The communicator is ready for the next call; fails when the watch does. */
static rg_status settle(rg_gpu_link *l, const char *what, rg_error *err)
{
    ncclResult_t state = ncclInProgress;
    double asked = rg_clock_seconds();
    for (;;) {
        RG_TRY(check(l, l->call.ncclCommGetAsyncError(l->comm, &state), what, err));
        if (state != ncclInProgress) return check(l, state, what, err);
        const struct timespec nap = {.tv_nsec = 50000};
        nanosleep(&nap, NULL);
        if (!l->watch.ask || rg_clock_seconds() - asked < 0.1) continue;
        RG_TRY(l->watch.ask(l->watch.ctx, err));
        asked = rg_clock_seconds();
    }
}

/* ---- opening and closing ---- */

rg_status rg_gpu_link_id(unsigned char id[RG_GPU_LINK_ID], rg_error *err)
{
    rg_gpu_link l = {0};
    ncclUniqueId own;
    RG_TRY(open_library(&l.call, err));
    RG_TRY(check(&l, l.call.ncclGetUniqueId(&own), "an id for the ranks", err));
    memcpy(id, &own, RG_GPU_LINK_ID);
    return RG_OK;
}

static rg_status open_stream(rg_gpu_link *l, size_t parts, rg_error *err)
{
    RG_TRY(rg_gpu_check(cudaSetDevice(l->gpu->index), "choosing the device", err));
    RG_TRY(rg_gpu_check(cudaStreamCreateWithFlags(&l->stream, cudaStreamNonBlocking),
                        "making a stream", err));
    RG_TRY(rg_gpu_check(cudaEventCreateWithFlags(&l->before, cudaEventDisableTiming),
                        "making an event", err));
    for (int i = 0; i < EVENTS; i++)
        RG_TRY(rg_gpu_check(cudaEventCreateWithFlags(&l->done[i], cudaEventDisableTiming),
                            "making an event", err));
    l->most = (int64_t)(parts / sizeof(float)) / l->world / ALIGNED * ALIGNED;
    l->parts = rg_gpu_alloc(l->gpu, (size_t)(l->most * l->world) * sizeof(float), err);
    return l->parts ? RG_OK : err->code;
}

static rg_status join(rg_gpu_link *l, const rg_gpu_link_options *o, rg_error *err)
{
    ncclUniqueId id;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    memcpy(&id, o->id, sizeof id);
    const ncclResult_t code =
        l->call.ncclCommInitRankConfig(&l->comm, o->world, id, o->rank, &config);
    RG_TRY(check(l, code, "joining the ranks", err));
    return settle(l, "joining the ranks", err);
}

rg_gpu_link *rg_gpu_link_open(rg_gpu *gpu, const rg_gpu_link_options *o, rg_error *err)
{
    rg_gpu_link *l = calloc(1, sizeof *l);
    if (!l || o->world > RG_GPU_LINK_WORLD) {
        rg_fail(err, RG_ERR_NOMEM, "no memory for %d GPUs", (int)o->world);
        free(l);
        return NULL;
    }
    l->gpu = gpu;
    l->rank = o->rank;
    l->world = o->world;
    l->watch = o->watch;
    l->kernels = rg_gpu_kernels(gpu, RG_F32, err);
    if (l->kernels && open_library(&l->call, err) == RG_OK &&
        open_stream(l, o->parts ? o->parts : PARTS, err) == RG_OK && join(l, o, err) == RG_OK)
        return l;
    l->aborted = true;
    if (l->comm) l->call.ncclCommAbort(l->comm);
    rg_gpu_link_close(l);
    return NULL;
}

/* What fails here has been told before. */
void rg_gpu_link_close(rg_gpu_link *l)
{
    if (!l) return;
    if (l->stream) cudaStreamSynchronize(l->stream);
    if (l->comm && !l->aborted) l->call.ncclCommDestroy(l->comm);
    rg_gpu_free(l->gpu, l->parts);
    if (l->before) cudaEventDestroy(l->before);
    for (int i = 0; i < EVENTS; i++)
        if (l->done[i]) cudaEventDestroy(l->done[i]);
    if (l->stream) cudaStreamDestroy(l->stream);
    free(l);
}

void rg_gpu_link_abort(rg_gpu_link *l)
{
    if (!l->aborted) l->call.ncclCommAbort(l->comm);
    l->aborted = true;
}

/* ---- calls ---- */

static rg_status begin(rg_gpu_link *l, rg_error *err)
{
    if (l->aborted) return rg_fail(err, RG_ERR_CANCELLED, "NCCL: the ranks have parted");
    if (l->gpu->captured)
        return rg_fail(err, RG_ERR_UNSUPPORTED, "NCCL: a call within a graph; set graph: false");
    RG_TRY(rg_gpu_check(cudaEventRecord(l->before, l->gpu->stream), "an event", err));
    return rg_gpu_check(cudaStreamWaitEvent(l->stream, l->before, 0), "a stream", err);
}

static rg_status end(rg_gpu_link *l, rg_error *err)
{
    cudaEvent_t done = l->done[l->calls++ % EVENTS];
    return rg_gpu_check(cudaEventRecord(done, l->stream), "an event", err);
}

uint64_t rg_gpu_link_calls(const rg_gpu_link *l)
{
    return l->calls;
}

/* An event that has been recorded again since is that of a later call. */
rg_status rg_gpu_link_follow(rg_gpu_link *l, uint64_t calls, rg_error *err)
{
    if (!calls) return RG_OK;
    cudaEvent_t done = l->done[(calls - 1) % EVENTS];
    return rg_gpu_check(cudaStreamWaitEvent(l->gpu->stream, done, 0), "a stream", err);
}

rg_status rg_gpu_link_check(rg_gpu_link *l, rg_error *err)
{
    ncclResult_t state = ncclSuccess;
    if (l->aborted) return rg_fail(err, RG_ERR_CANCELLED, "NCCL: the ranks have parted");
    RG_TRY(check(l, l->call.ncclCommGetAsyncError(l->comm, &state), "its state", err));
    return check(l, state, "between the ranks", err);
}

/* Every rank's part (n) of this rank's sum to l->parts (world, n). */
static rg_status exchange(rg_gpu_link *l, const float *in, int64_t n, int64_t stride, rg_error *err)
{
    const size_t bytes = (size_t)n * sizeof(float);
    RG_TRY(rg_gpu_check(cudaMemcpyAsync(l->parts + l->rank * n, in + l->rank * stride, bytes,
                                        cudaMemcpyDeviceToDevice, l->stream),
                        "a copy", err));
    if (l->world == 1) return RG_OK;
    ncclResult_t code = l->call.ncclGroupStart();
    for (int32_t r = 0; r < l->world && code == ncclSuccess; r++) {
        if (r == l->rank) continue;
        code = l->call.ncclSend(in + r * stride, (size_t)n, ncclFloat, r, l->comm, l->stream);
        if (code == ncclSuccess)
            code = l->call.ncclRecv(l->parts + r * n, (size_t)n, ncclFloat, r, l->comm, l->stream);
    }
    const ncclResult_t ended = l->call.ncclGroupEnd();
    RG_TRY(check(l, code, "sending parts of a sum", err));
    RG_TRY(check(l, ended, "sending parts of a sum", err));
    return settle(l, "sending parts of a sum", err);
}

/* out (n) = the parts' sum, in halves: one call a level, since parts lie one behind the other. */
static rg_status add_parts(rg_gpu_link *l, float *out, int64_t n, rg_error *err)
{
    rg_kernel_ctx ctx = {.error = err};
    rg_gpu_context(l->gpu, &ctx);
    ctx.stream = l->stream;
    for (int32_t left = l->world; left > 1;) {
        const int32_t half = (left + 1) / 2;
        const int64_t count = (int64_t)(left - half) * n;
        const rg_add_args add = {.a = l->parts,
                                 .b = l->parts + half * n,
                                 .y = l->parts,
                                 .n = count,
                                 .n_b = count,
                                 .alpha = 1,
                                 .beta = 1};
        RG_TRY(l->kernels->add.forward(&ctx, &add));
        left = half;
    }
    return rg_gpu_check(cudaMemcpyAsync(out, l->parts, (size_t)n * sizeof(float),
                                        cudaMemcpyDeviceToDevice, l->stream),
                        "a copy", err);
}

rg_status rg_gpu_link_reduce_scatter(rg_gpu_link *l, const float *in, float *out, int64_t n,
                                     rg_error *err)
{
    RG_TRY(begin(l, err));
    for (int64_t at = 0, m; at < n; at += m) {
        m = n - at < l->most ? n - at : l->most;
        RG_TRY(exchange(l, in + at, m, n, err));
        RG_TRY(add_parts(l, out + at, m, err));
    }
    return end(l, err);
}

rg_status rg_gpu_link_all_gather(rg_gpu_link *l, const void *in, void *out, size_t bytes,
                                 rg_error *err)
{
    RG_TRY(begin(l, err));
    const ncclResult_t code = l->call.ncclAllGather(in, out, bytes, ncclUint8, l->comm, l->stream);
    RG_TRY(check(l, code, "all_gather", err));
    RG_TRY(settle(l, "all_gather", err));
    return end(l, err);
}

rg_status rg_gpu_link_broadcast(rg_gpu_link *l, void *data, size_t bytes, int32_t root,
                                rg_error *err)
{
    RG_TRY(begin(l, err));
    const ncclResult_t code =
        l->call.ncclBroadcast(data, data, bytes, ncclUint8, root, l->comm, l->stream);
    RG_TRY(check(l, code, "broadcast", err));
    RG_TRY(settle(l, "broadcast", err));
    return end(l, err);
}
