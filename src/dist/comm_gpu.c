/*
 * The calls of rg_comm between GPUs (comm.h), by way of a link (kernels/gpu_link.h).
 *
 * One idea: who is there is known by the processes' own wires, which a rank that dies cannot
 * deceive; NCCL only moves bytes. Whoever waits, for the GPU or for the host's messages, asks both
 * now and then, and the first failure ends all of the GPU's calls, so that nothing hangs.
 */
#include <stdlib.h>
#include <string.h>

#include "dist/comm_private.h"
#include "kernels/gpu_link.h"

typedef struct gpu_comm {
    rg_comm comm;
    rg_comm *host;
    rg_gpu *gpu;
    rg_gpu_link *link;
} gpu_comm;

static rg_status fail_all(gpu_comm *g, rg_status status, const rg_error *why, rg_error *err)
{
    if (status == RG_OK) return RG_OK;
    if (!g->comm.failure.code) g->comm.failure = *why;
    if (g->link) rg_gpu_link_abort(g->link);
    return rg_fail(err, status, "%s", why->text);
}

/* Here or between the hosts. */
static rg_status failed_before(gpu_comm *g, rg_error *err)
{
    const rg_error *f = g->comm.failure.code ? &g->comm.failure : &g->host->failure;
    return fail_all(g, f->code, f, err);
}

/* While the host waits for its messages: its own wire is looked at there. */
static rg_status ask_link(void *ctx, rg_error *err)
{
    gpu_comm *g = ctx;
    rg_error why = {0};
    RG_TRY(failed_before(g, err));
    if (!g->link) return RG_OK;
    rg_status status = rg_gpu_link_check(g->link, &why);
    return fail_all(g, status, &why, err);
}

/* While the host waits for the GPU: a rank that is gone is a better reason than NCCL's. */
static rg_status ask_both(void *ctx, rg_error *err)
{
    gpu_comm *g = ctx;
    rg_error why = {0};
    RG_TRY(failed_before(g, err));
    rg_status status = g->host->wire->check(g->host->wire, &why);
    if (status == RG_OK) return ask_link(ctx, err);
    return fail_all(g, status, &why, err);
}

static rg_status queue(gpu_comm *g, const rg_comm_call *call, rg_error *err)
{
    const size_t bytes = (size_t)call->n * (size_t)call->size;
    switch (call->kind) {
    case RG_COMM_REDUCE_SCATTER:
        return rg_gpu_link_reduce_scatter(g->link, call->in, call->out, call->n, err);
    case RG_COMM_ALL_GATHER:
        return rg_gpu_link_all_gather(g->link, call->in, call->out, bytes, err);
    case RG_COMM_BROADCAST:
        return rg_gpu_link_broadcast(g->link, call->out, bytes, call->root, err);
    default:
        return rg_fail(err, RG_ERR_UNSUPPORTED, "between GPUs nothing is gathered on one rank");
    }
}

static uint64_t bytes_sent(const rg_comm *comm, const rg_comm_call *call)
{
    const uint64_t bytes = (uint64_t)call->n * (uint64_t)call->size;
    if (call->kind == RG_COMM_BROADCAST && call->root != comm->rank) return 0;
    return bytes * (uint64_t)(comm->world - 1);
}

static rg_status start(rg_comm *comm, const rg_comm_call *call, rg_comm_request *request,
                       rg_error *err)
{
    gpu_comm *g = (gpu_comm *)comm;
    rg_error why = {0};
    RG_TRY(failed_before(g, err));
    if (call->kind == RG_COMM_BARRIER) return rg_comm_barrier(g->host, err);
    if (!call->n) return RG_OK;
    const double began = rg_clock_seconds();
    const rg_status status = queue(g, call, &why);
    request->end = rg_gpu_link_calls(g->link);
    comm->traffic.seconds += rg_clock_seconds() - began;
    comm->traffic.bytes += bytes_sent(comm, call);
    return fail_all(g, status, &why, err);
}

static rg_status wait(rg_comm *comm, rg_comm_request *request, rg_error *err)
{
    gpu_comm *g = (gpu_comm *)comm;
    RG_TRY(failed_before(g, err));
    return rg_gpu_link_follow(g->link, request->end, err);
}

static rg_status progress(rg_comm *comm, rg_error *err)
{
    return ask_link(comm, err);
}

static void give_up(rg_comm *comm, const char *why)
{
    gpu_comm *g = (gpu_comm *)comm;
    if (!g->comm.failure.code) rg_fail(&g->comm.failure, RG_ERR_CANCELLED, "%s", why);
    rg_gpu_link_abort(g->link);
    rg_comm_abort(g->host, why);
}

static void leave(rg_comm *comm)
{
    gpu_comm *g = (gpu_comm *)comm;
    rg_error ignored = {0};
    if (failed_before(g, &ignored) == RG_OK)
        (void)!rg_gpu_wait(g->gpu, &ignored); /* or learns why it cannot */
    (void)!failed_before(g, &ignored);
    rg_gpu_link_close(g->link);
    g->host->beside = (rg_gpu_watch){0};
    rg_gpu_set_watch(g->gpu, (rg_gpu_watch){0});
    free(g);
}

static const rg_comm_backend backend = {
    .start = start, .wait = wait, .progress = progress, .give_up = give_up, .close = leave};

/* NCCL says of two ranks on one GPU that it is unhappy, or hangs. */
static rg_status check_gpus(gpu_comm *g, rg_error *err)
{
    enum { UUID = sizeof((rg_gpu_facts *)0)->uuid };
    rg_gpu_facts own;
    unsigned char all[RG_GPU_LINK_WORLD * UUID];
    RG_TRY(rg_gpu_describe(rg_gpu_index(g->gpu), &own, err));
    RG_TRY(rg_comm_all_gather(g->host, own.uuid, all, UUID, err));
    for (int32_t r = 0; r < g->comm.world; r++)
        for (int32_t q = 0; q < r; q++)
            if (!memcmp(all + r * UUID, all + q * UUID, UUID))
                return rg_fail(err, RG_ERR_DEVICE,
                               "device cuda: %s and rank %d have the same GPU; start as many "
                               "processes on a host as it has GPUs",
                               rg_comm_rank_text(g->host, r), (int)q);
    return RG_OK;
}

static rg_status join(gpu_comm *g, rg_error *err)
{
    RG_TRY(check_gpus(g, err));
    struct {
        rg_gpu_link_options options;
        rg_error error;
    } first;
    memset(&first, 0, sizeof first);
    if (g->comm.rank == 0) (void)!rg_gpu_link_id(first.options.id, &first.error);
    RG_TRY(rg_comm_broadcast(g->host, &first, sizeof first, 0, err));
    if (first.error.code) return rg_fail(err, first.error.code, "%s", first.error.text);
    first.options.rank = g->comm.rank;
    first.options.world = g->comm.world;
    first.options.watch = (rg_gpu_watch){ask_both, g};
    g->link = rg_gpu_link_open(g->gpu, &first.options, err);
    return g->link ? RG_OK : err->code;
}

rg_status rg_comm_open_gpu(rg_comm *host, struct rg_gpu *gpu, rg_comm **comm, rg_error *err)
{
    gpu_comm *g = calloc(1, sizeof *g);
    *comm = NULL;
    if (!g) return rg_fail(err, RG_ERR_NOMEM, "out of memory");
    g->comm = (rg_comm){.backend = &backend,
                        .name = "nccl",
                        .on_gpu = true,
                        .rank = host->rank,
                        .world = host->world,
                        .peers = host->peers,
                        .timeout = host->timeout};
    g->host = host;
    g->gpu = gpu;
    const rg_status status = join(g, err);
    if (status != RG_OK) {
        free(g);
        return status;
    }
    host->beside = (rg_gpu_watch){ask_link, g};
    rg_gpu_set_watch(gpu, (rg_gpu_watch){ask_both, g});
    *comm = &g->comm;
    return RG_OK;
}
