/*
 * The calls of rg_comm (comm.h): what a single process does, and what goes to the back end.
 *
 * One idea: there are three calls below, all others are made of them; small sums gather all values
 * and add them here, in the order in which large ones are added.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dist/comm_private.h"

enum { SMALL = 1024 }; /* values that are gathered rather than scattered */

int32_t rg_comm_rank(const rg_comm *comm)
{
    return comm ? comm->rank : 0;
}

int32_t rg_comm_world(const rg_comm *comm)
{
    return comm ? comm->world : 1;
}

const char *rg_comm_backend_name(const rg_comm *comm)
{
    return comm ? comm->name : "single";
}

const char *rg_comm_rank_text(const rg_comm *comm, int32_t rank)
{
    return comm ? comm->peers[rank].text : "rank 0";
}

void rg_comm_sharing(const rg_comm *comm, int32_t *index, int32_t *count)
{
    *index = 0;
    *count = comm ? 0 : 1;
    for (int32_t r = 0; comm && r < comm->world; r++) {
        if (comm->peers[r].cpus != comm->peers[comm->rank].cpus) continue;
        *index += r < comm->rank;
        ++*count;
    }
}

void rg_comm_of_host(const rg_comm *comm, int32_t *index, int32_t *count)
{
    *index = 0;
    *count = comm ? 0 : 1;
    for (int32_t r = 0; comm && r < comm->world; r++) {
        if (strcmp(comm->peers[r].boot, comm->peers[comm->rank].boot) != 0) continue;
        *index += r < comm->rank;
        ++*count;
    }
}

rg_comm_traffic rg_comm_take_traffic(rg_comm *comm)
{
    rg_comm_traffic traffic = {0};
    if (!comm) return traffic;
    traffic = comm->traffic;
    comm->traffic = (rg_comm_traffic){0};
    return traffic;
}

void rg_comm_close(rg_comm *comm)
{
    if (comm) comm->backend->close(comm);
}

void rg_comm_abort(rg_comm *comm, const char *why)
{
    if (comm) comm->backend->give_up(comm, why);
}

static rg_status start(rg_comm *comm, const rg_comm_call *call, rg_comm_request *request,
                       rg_error *err)
{
    *request = (rg_comm_request){0};
    if (comm) return comm->backend->start(comm, call, request, err);
    if (call->out && call->out != call->in && call->n)
        memcpy(call->out, call->in, (size_t)call->n * (size_t)call->size);
    return RG_OK;
}

rg_status rg_comm_wait(rg_comm *comm, rg_comm_request *request, rg_error *err)
{
    return comm ? comm->backend->wait(comm, request, err) : RG_OK;
}

rg_status rg_comm_progress(rg_comm *comm, rg_error *err)
{
    return comm ? comm->backend->progress(comm, err) : RG_OK;
}

rg_status rg_comm_start_reduce_scatter(rg_comm *comm, const float *in, float *out, int64_t n,
                                       rg_comm_request *request, rg_error *err)
{
    rg_comm_call call = {.kind = RG_COMM_REDUCE_SCATTER, .size = 4, .in = in, .out = out, .n = n};
    return start(comm, &call, request, err);
}

rg_status rg_comm_start_all_gather(rg_comm *comm, const void *in, void *out, size_t bytes,
                                   rg_comm_request *request, rg_error *err)
{
    rg_comm_call call = {
        .kind = RG_COMM_ALL_GATHER, .size = 1, .in = in, .out = out, .n = (int64_t)bytes};
    return start(comm, &call, request, err);
}

static rg_status call_and_wait(rg_comm *comm, const rg_comm_call *call, rg_error *err)
{
    rg_comm_request request;
    RG_TRY(start(comm, call, &request, err));
    return rg_comm_wait(comm, &request, err);
}

rg_status rg_comm_all_gather(rg_comm *comm, const void *in, void *out, size_t bytes, rg_error *err)
{
    rg_comm_request request;
    RG_TRY(rg_comm_start_all_gather(comm, in, out, bytes, &request, err));
    return rg_comm_wait(comm, &request, err);
}

rg_status rg_comm_gather(rg_comm *comm, const void *in, void *out, size_t bytes, int32_t root,
                         rg_error *err)
{
    rg_comm_call call = {
        .kind = RG_COMM_GATHER, .size = 1, .root = root, .in = in, .out = out, .n = (int64_t)bytes};
    return call_and_wait(comm, &call, err);
}

rg_status rg_comm_broadcast(rg_comm *comm, void *data, size_t bytes, int32_t root, rg_error *err)
{
    rg_comm_call call = {.kind = RG_COMM_BROADCAST,
                         .size = 1,
                         .root = root,
                         .in = data,
                         .out = data,
                         .n = (int64_t)bytes};
    return call_and_wait(comm, &call, err);
}

rg_status rg_comm_barrier(rg_comm *comm, rg_error *err)
{
    rg_comm_call call = {.kind = RG_COMM_BARRIER, .size = 1};
    return call_and_wait(comm, &call, err);
}

/* ---- sums of few values ---- */

static double add(double a, double b)
{
    return a + b;
}

static double add_floats(double a, double b)
{
    return (double)((float)a + (float)b);
}

static double greater(double a, double b)
{
    return isnan(a) || a > b ? a : b;
}

static double (*const operations[])(double, double) = {
    [RG_COMM_SUM_F32] = add_floats, [RG_COMM_SUM_F64] = add, [RG_COMM_MAX_F64] = greater};

static double value_at(rg_comm_op op, const void *data, int64_t i)
{
    return op == RG_COMM_SUM_F32 ? (double)((const float *)data)[i] : ((const double *)data)[i];
}

static void fold(rg_comm_op op, int32_t world, const void *all, void *data, int64_t n)
{
    double v[RG_COMM_WORLD] = {0};
    for (int64_t i = 0; i < n; i++) {
        for (int32_t r = 0; r < world; r++) v[r] = value_at(op, all, r * n + i);
        for (int32_t left = world; left > 1;) {
            int32_t half = (left + 1) / 2;
            for (int32_t r = 0; r + half < left; r++) v[r] = operations[op](v[r], v[r + half]);
            left = half;
        }
        if (op == RG_COMM_SUM_F32)
            ((float *)data)[i] = (float)v[0];
        else
            ((double *)data)[i] = v[0];
    }
}

static rg_status reduce_few(rg_comm *comm, rg_comm_op op, void *data, int64_t n, rg_error *err)
{
    size_t size = op == RG_COMM_SUM_F32 ? 4 : 8;
    void *all = malloc((size_t)comm->world * (size_t)n * size);
    if (!all) return rg_fail(err, RG_ERR_NOMEM, "allreduce: out of memory");
    rg_status status = rg_comm_all_gather(comm, data, all, (size_t)n * size, err);
    if (status == RG_OK) fold(op, comm->world, all, data, n);
    free(all);
    return status;
}

/* Whole shares of each rank by scattering; what is left over as few values. */
static rg_status reduce_many(rg_comm *comm, float *data, int64_t n, rg_error *err)
{
    int64_t share = n / comm->world, even = share * comm->world;
    float *own = data + comm->rank * share;
    rg_comm_request request;
    RG_TRY(rg_comm_start_reduce_scatter(comm, data, own, share, &request, err));
    RG_TRY(rg_comm_wait(comm, &request, err));
    RG_TRY(rg_comm_all_gather(comm, own, data, (size_t)share * sizeof *data, err));
    return n > even ? reduce_few(comm, RG_COMM_SUM_F32, data + even, n - even, err) : RG_OK;
}

rg_status rg_comm_allreduce(rg_comm *comm, rg_comm_op op, void *data, int64_t n, rg_error *err)
{
    if (!comm) return RG_OK;
    if (comm->on_gpu && (op != RG_COMM_SUM_F32 || n % comm->world))
        return rg_fail(err, RG_ERR_UNSUPPORTED,
                       "between GPUs only floats are summed, so many that the ranks divide them");
    if (comm->on_gpu || (op == RG_COMM_SUM_F32 && n >= SMALL))
        return reduce_many(comm, data, n, err);
    return reduce_few(comm, op, data, n, err);
}
