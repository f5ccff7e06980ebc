/*
 * Several processes that train one model: collective calls between them.
 *
 * One idea: sums are taken in one fixed order whatever the back end, the number of hosts and who
 * comes first: values of ranks are added in halves (rank r and rank r + W/2, then W/4 ...), so a
 * process that holds the values of several ranks can add them alike (rg_tree_add) and have the same
 * bits.
 * Every process calls the same functions in the same order; one that does not is named. A process
 * that dies, leaves or gives up is named to all others within seconds, and every later call fails.
 * Not here: who is which rank and how they find each other (launch.h), gradients (zero.h).
 */
#ifndef RG_DIST_COMM_H
#define RG_DIST_COMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/status.h"

typedef enum rg_comm_op { RG_COMM_SUM_F32, RG_COMM_SUM_F64, RG_COMM_MAX_F64 } rg_comm_op;

/* NULL stands for a single process everywhere below: its rank is 0, and every call is done at once.
 */
typedef struct rg_comm rg_comm;

/* A call under way; zeroed it is done. */
typedef struct rg_comm_request {
    uint64_t end; /* rounds that have to be over */
} rg_comm_request;

void rg_comm_close(rg_comm *comm); /* the others learn that this process has left */
int32_t rg_comm_rank(const rg_comm *comm);
int32_t rg_comm_world(const rg_comm *comm);
const char *rg_comm_backend_name(const rg_comm *comm); /* "single", "shm", "tcp", "mpi", "nccl" */
/* "rank 1 (node-a, pid 4711)", for messages; lives as long as comm. */
const char *rg_comm_rank_text(const rg_comm *comm, int32_t rank);
/* How many ranks before this one run on the same CPUs, and how many do in all. */
void rg_comm_sharing(const rg_comm *comm, int32_t *index, int32_t *count);

/* How many ranks before this one run on the same host, and how many do in all. */
void rg_comm_of_host(const rg_comm *comm, int32_t *index, int32_t *count);

/* data (n) becomes, on every rank, the ranks' sum or greatest. NaN of any rank is a NaN of all. */
rg_status rg_comm_allreduce(rg_comm *comm, rg_comm_op op, void *data, int64_t n,
                            rg_error *err) RG_MUST_USE;
/* out (world, bytes) on every rank from in (bytes), which may be its place in out. */
rg_status rg_comm_all_gather(rg_comm *comm, const void *in, void *out, size_t bytes,
                             rg_error *err) RG_MUST_USE;
/* The same, on `root` only; out is not looked at elsewhere. */
rg_status rg_comm_gather(rg_comm *comm, const void *in, void *out, size_t bytes, int32_t root,
                         rg_error *err) RG_MUST_USE;
rg_status rg_comm_broadcast(rg_comm *comm, void *data, size_t bytes, int32_t root,
                            rg_error *err) RG_MUST_USE;
rg_status rg_comm_barrier(rg_comm *comm, rg_error *err) RG_MUST_USE;

/*
 * The same without waiting; `in` and `out` belong to the call until rg_comm_wait. out (n) = sum
 * over ranks of in[rank] of in (world, n); out may be the own place in `in`. Several calls may be
 * under way; they end in the order in which they began. No heap use.
 */
rg_status rg_comm_start_reduce_scatter(rg_comm *comm, const float *in, float *out, int64_t n,
                                       rg_comm_request *request, rg_error *err) RG_MUST_USE;
rg_status rg_comm_start_all_gather(rg_comm *comm, const void *in, void *out, size_t bytes,
                                   rg_comm_request *request, rg_error *err) RG_MUST_USE;
rg_status rg_comm_wait(rg_comm *comm, rg_comm_request *request, rg_error *err) RG_MUST_USE;
/* Lets calls under way go on, without waiting: to be called now and then while computing. */
rg_status rg_comm_progress(rg_comm *comm, rg_error *err) RG_MUST_USE;

/* Tells all others why this process cannot go on: their next or present call fails with `why`. */
void rg_comm_abort(rg_comm *comm, const char *why);

/*
 * The same ranks for the memory of GPUs, one of each rank (NCCL): pointers are the device's, a call
 * comes behind what the GPU's stream holds by then, and rg_comm_wait makes that stream wait for it,
 * not the host. allreduce is of floats whose number the ranks divide; there is no gather. `host` is
 * borrowed and goes on serving the host's memory; while either waits for a rank that is gone, both
 * fail. Collective over `host`; to be closed before it and before the GPU.
 */
struct rg_gpu;
rg_status rg_comm_open_gpu(rg_comm *host, struct rg_gpu *gpu, rg_comm **comm,
                           rg_error *err) RG_MUST_USE;

/* Since the last call of this: bytes that this process sent to others, and seconds that it spent in
 * the calls above, moving and waiting. */
typedef struct rg_comm_traffic {
    uint64_t bytes;
    double seconds;
} rg_comm_traffic;
rg_comm_traffic rg_comm_take_traffic(rg_comm *comm);

/* out (n) = sum of parts[0..count), each (n), in halves as the calls above do; out may be one of
 * them. */
void rg_tree_add(const float *const *parts, int32_t count, float *out, int64_t n);

#endif
