/*
 * Calls between the GPUs of 1 to 4 processes against the same calls between their hosts, to the
 * bit; ranks that die or do not call the same; what NCCL's stand-in has to find.
 *
 * One idea: each rank has an emulated GPU of its own. No GPU is used before the ranks part.
 */
#include <nccl.h>
#include <signal.h>

#include "cuemu_control.h"
#include "kernels/gpu_link.h"
#include "ranks.h"
#include "train/bench.h"

typedef struct rig {
    rg_gpu *gpu;
    rg_comm *host, *comm;
    float *there; /* on the device */
    rg_error err;
} rig;

enum { ROOM = 1 << 18 }; /* numbers */

static int open_rig(rig *r, rg_comm *host)
{
    *r = (rig){.host = host};
    r->gpu = rg_gpu_open(0, &r->err);
    RG_RANK_EXPECT(host, r->gpu, "%s", r->err.text);
    r->there = rg_gpu_alloc(r->gpu, ROOM * sizeof(float), &r->err);
    RG_RANK_EXPECT(host, r->there && rg_comm_open_gpu(host, r->gpu, &r->comm, &r->err) == RG_OK,
                   "%s", r->err.text);
    RG_RANK_EXPECT(host, !strcmp(rg_comm_backend_name(r->comm), "nccl"), "another back end");
    return 0;
}

static void close_rig(rig *r)
{
    rg_comm_close(r->comm);
    rg_gpu_free(r->gpu, r->there);
    rg_gpu_close(r->gpu);
}

/* Anything that rounds. */
static float value(int32_t rank, int64_t i)
{
    uint32_t x = (uint32_t)i * 2654435761u + (uint32_t)rank * 40503u;
    x = (x ^ (x >> 15)) * 2246822519u;
    return (float)(x >> 8) / (float)(1 + (x & 255)) - 3000;
}

static float *values(int32_t rank, int64_t n)
{
    float *data = malloc((size_t)n * sizeof *data);
    for (int64_t i = 0; data && i < n; i++) data[i] = value(rank, i);
    return data;
}

static int same_as_there(rig *r, const float *expected, int64_t at, int64_t n, const char *what)
{
    float *got = malloc((size_t)n * sizeof *got);
    RG_RANK_EXPECT(r->host, rg_gpu_get(r->gpu, got, r->there + at, (size_t)n * 4, &r->err) == RG_OK,
                   "%s: %s", what, r->err.text);
    for (int64_t i = 0; i < n; i++)
        RG_RANK_EXPECT(r->host, got[i] == expected[i], "%s of %lld: element %lld: %.9g, not %.9g",
                       what, (long long)n, (long long)i, got[i], expected[i]);
    free(got);
    return 0;
}

/* Two sums on their way at once, in place; then all gather them: what the hosts make of it. */
static int check_sums(rig *r, int64_t n)
{
    rg_comm_request requests[2];
    const int32_t world = rg_comm_world(r->host), rank = rg_comm_rank(r->host);
    const int64_t all = 2 * world * n;
    float *data = values(rank, all);
    RG_RANK_EXPECT(r->host, rg_gpu_put(r->gpu, r->there, data, (size_t)all * 4, &r->err) == RG_OK,
                   "%s", r->err.text);
    for (int64_t c = 0; c < 2; c++) {
        float *part = r->there + c * world * n, *own = part + rank * n;
        RG_RANK_EXPECT(r->host,
                       rg_comm_start_reduce_scatter(r->comm, part, own, n, &requests[c], &r->err) ==
                           RG_OK,
                       "%s", r->err.text);
        RG_RANK_EXPECT(r->host, rg_comm_progress(r->comm, &r->err) == RG_OK, "%s", r->err.text);
    }
    for (int64_t c = 0; c < 2; c++) {
        float *part = r->there + c * world * n, *own = part + rank * n;
        RG_RANK_EXPECT(r->host, rg_comm_wait(r->comm, &requests[c], &r->err) == RG_OK, "%s",
                       r->err.text);
        RG_RANK_EXPECT(r->host,
                       rg_comm_all_gather(r->comm, own, part, (size_t)n * 4, &r->err) == RG_OK,
                       "%s", r->err.text);
        RG_RANK_EXPECT(r->host,
                       rg_comm_allreduce(r->host, RG_COMM_SUM_F32, data + c * world * n, world * n,
                                         &r->err) == RG_OK,
                       "%s", r->err.text);
    }
    int wrong = same_as_there(r, data, 0, all, "sum");
    free(data);
    return wrong;
}

static int check_broadcasts(rig *r)
{
    const int64_t n = 1000;
    for (int32_t root = 0; root < rg_comm_world(r->host); root++) {
        float *own = values(rg_comm_rank(r->host), n), *roots = values(root, n);
        RG_RANK_EXPECT(r->host,
                       rg_gpu_put(r->gpu, r->there, own, (size_t)n * 4, &r->err) == RG_OK &&
                           rg_comm_broadcast(r->comm, r->there, (size_t)n * 4, root, &r->err) ==
                               RG_OK,
                       "%s", r->err.text);
        if (same_as_there(r, roots, 0, n, "broadcast")) return 1;
        free(own);
        free(roots);
    }
    return 0;
}

static int check_refusals(rig *r)
{
    rg_error err = {0};
    double x = 0;
    RG_RANK_EXPECT(r->host,
                   rg_comm_allreduce(r->comm, RG_COMM_MAX_F64, &x, 1, &err) == RG_ERR_UNSUPPORTED,
                   "%s", err.text);
    return 0;
}

static int all_calls(rg_comm *host, void *ctx)
{
    rig r;
    (void)ctx;
    if (open_rig(&r, host) || check_sums(&r, 1) || check_sums(&r, 259) || check_sums(&r, 5000) ||
        check_broadcasts(&r) || check_refusals(&r))
        return 1;
    RG_RANK_EXPECT(host, rg_comm_take_traffic(r.comm).bytes > 0 || rg_comm_world(host) == 1,
                   "nothing was sent");
    close_rig(&r);
    RG_RANK_EXPECT(host, cuemu_total() == 0, "%d reports of the emulator", cuemu_total());
    return 0;
}

START_TEST(calls_are_those_of_the_hosts)
{
    for (int32_t world = 2; world <= 4; world++)
        rg_ranks_all_good(world, world == 3 ? "tcp" : "shm", all_calls, NULL);
}
END_TEST

/* CUEMU_DEVICES: GPUs of the host, which all processes see; otherwise each has its own. */
static int same_gpu(rg_comm *host, void *ctx)
{
    rig r = {.host = host};
    (void)ctx;
    cuemu_set("devices", "2");
    r.gpu = rg_gpu_open(rg_comm_rank(host) % 2, &r.err);
    RG_RANK_EXPECT(host, r.gpu, "%s", r.err.text);
    const rg_status status = rg_comm_open_gpu(host, r.gpu, &r.comm, &r.err);
    const bool good = rg_comm_world(host) < 3 ? status == RG_OK
                                              : status == RG_ERR_DEVICE &&
                                                    strstr(r.err.text, "rank 0 have the same GPU");
    RG_RANK_EXPECT(host, good, "'%s'", r.err.text);
    rg_comm_close(r.comm);
    rg_gpu_close(r.gpu);
    return 0;
}

START_TEST(two_ranks_on_one_gpu_are_refused)
{
    rg_ranks_all_good(2, "shm", same_gpu, NULL);
    rg_ranks_all_good(3, "shm", same_gpu, NULL);
}
END_TEST

static int timed(rg_comm *host, void *ctx)
{
    rg_error err = {0};
    rg_text out;
    (void)ctx;
    rg_text_init(&out, 1 << 20);
    RG_RANK_EXPECT(host, rg_bench_dist(host, "cuda", false, &out, NULL, &err) == RG_OK, "%s",
                   err.text);
    RG_RANK_EXPECT(host, rg_comm_rank(host) || strstr(out.data, "3 processes over nccl"), "%s",
                   out.data);
    rg_text_free(&out);
    return 0;
}

START_TEST(calls_are_timed)
{
    rg_ranks_all_good(3, "shm", timed, NULL);
}
END_TEST

/* ---- a sum in pieces ---- */

static int in_pieces(rg_comm *host, void *ctx)
{
    enum { N = 1000 };
    rig r;
    rg_gpu_link_options o = {
        .parts = 4096, .rank = rg_comm_rank(host), .world = rg_comm_world(host)};
    (void)ctx;
    if (open_rig(&r, host)) return 1;
    float *data = values(o.rank, (int64_t)o.world * N);
    RG_RANK_EXPECT(host, o.rank || rg_gpu_link_id(o.id, &r.err) == RG_OK, "%s", r.err.text);
    RG_RANK_EXPECT(host, rg_comm_broadcast(host, o.id, sizeof o.id, 0, &r.err) == RG_OK, "%s",
                   r.err.text);
    rg_gpu_link *link = rg_gpu_link_open(r.gpu, &o, &r.err);
    RG_RANK_EXPECT(host, link, "%s", r.err.text);
    RG_RANK_EXPECT(
        host,
        rg_gpu_put(r.gpu, r.there, data, sizeof(float) * (size_t)o.world * N, &r.err) == RG_OK &&
            rg_gpu_link_reduce_scatter(link, r.there, r.there + o.rank * N, N, &r.err) == RG_OK &&
            rg_gpu_link_follow(link, rg_gpu_link_calls(link), &r.err) == RG_OK &&
            rg_comm_allreduce(host, RG_COMM_SUM_F32, data, (int64_t)o.world * N, &r.err) == RG_OK,
        "%s", r.err.text);
    if (same_as_there(&r, data + o.rank * N, o.rank * N, N, "pieces")) return 1;
    rg_gpu_link_close(link);
    free(data);
    close_rig(&r);
    return 0;
}

START_TEST(a_sum_in_pieces_is_the_sum)
{
    rg_ranks_all_good(3, "shm", in_pieces, NULL);
}
END_TEST

/* ---- ranks that are gone, and ranks that do something else ---- */

static int expect_failure(rig *r, rg_status status, double began, const char *first,
                          const char *second)
{
    rg_error again = {0};
    rg_comm_request request;
    RG_RANK_EXPECT(r->host, status != RG_OK, "nothing was noticed");
    RG_RANK_EXPECT(r->host, rg_clock_seconds() - began < 10, "noticed too late");
    RG_RANK_EXPECT(r->host, strstr(r->err.text, first) && strstr(r->err.text, second), "'%s'",
                   r->err.text);
    RG_RANK_EXPECT(r->host,
                   rg_comm_start_all_gather(r->comm, r->there, r->there, 4, &request, &again),
                   "the next call goes on");
    close_rig(r);
    return 0;
}

/* The GPU hangs in a sum that rank 1 never comes to: `ctx` false, the host waits for the GPU;
 * true, for a message. */
static int one_dies(rg_comm *host, void *ctx)
{
    rig r;
    float got[8];
    rg_comm_request request;
    const bool *by_message = ctx;
    if (open_rig(&r, host)) return 1;
    RG_RANK_EXPECT(host, rg_comm_barrier(host, &r.err) == RG_OK, "%s", r.err.text); /* all joined */
    if (rg_comm_rank(host) == 1) kill(getpid(), SIGKILL);
    const double began = rg_clock_seconds();
    rg_status status = rg_gpu_zero(r.gpu, r.there, 4096, &r.err);
    if (status == RG_OK)
        status = rg_comm_start_reduce_scatter(r.comm, r.there, r.there, 8, &request, &r.err);
    if (status == RG_OK) status = rg_comm_wait(r.comm, &request, &r.err);
    if (status == RG_OK)
        status = *by_message ? rg_comm_barrier(host, &r.err)
                             : rg_gpu_get(r.gpu, got, r.there, sizeof got, &r.err);
    return expect_failure(&r, status, began, "rank 1", "gone");
}

START_TEST(a_rank_that_is_gone_stops_the_others)
{
    for (int by_message = 0; by_message < 2; by_message++) {
        int results[RG_RANKS_MOST];
        bool ctx = by_message;
        rg_ranks_run(3, "shm", one_dies, &ctx, results);
        ck_assert_int_eq(results[0], 0);
        ck_assert_int_eq(results[1], RG_RANKS_KILLED + SIGKILL);
        ck_assert_int_eq(results[2], 0);
    }
}
END_TEST

static int dies_before_meeting(rg_comm *host, void *ctx)
{
    rig r = {.host = host};
    (void)ctx;
    if (rg_comm_rank(host) == 1) kill(getpid(), SIGKILL);
    r.gpu = rg_gpu_open(0, &r.err);
    const double began = rg_clock_seconds();
    const rg_status status = rg_comm_open_gpu(host, r.gpu, &r.comm, &r.err);
    RG_RANK_EXPECT(host, status != RG_OK && strstr(r.err.text, "rank 1"), "'%s'", r.err.text);
    RG_RANK_EXPECT(host, rg_clock_seconds() - began < 10, "noticed too late");
    rg_gpu_close(r.gpu);
    return 0;
}

START_TEST(a_rank_that_never_joins_is_named)
{
    int results[RG_RANKS_MOST];
    rg_ranks_run(2, "shm", dies_before_meeting, NULL, results);
    ck_assert_int_eq(results[0], 0);
    ck_assert_int_eq(results[1], RG_RANKS_KILLED + SIGKILL);
}
END_TEST

/* `ctx`: 0 other counts, 1 other calls, 2 other roots. */
static int not_the_same(rg_comm *host, void *ctx)
{
    rig r;
    float got[8];
    const int how = *(const int *)ctx;
    const bool odd = rg_comm_rank(host) == 1;
    if (open_rig(&r, host)) return 1;
    const double began = rg_clock_seconds();
    rg_status status = rg_gpu_zero(r.gpu, r.there, 4096, &r.err);
    if (how == 0 && status == RG_OK)
        status = rg_comm_allreduce(r.comm, RG_COMM_SUM_F32, r.there, odd ? 16 : 32, &r.err);
    if (how > 0 && odd && status == RG_OK)
        status = rg_comm_broadcast(r.comm, r.there, 64, how - 1, &r.err);
    if (how == 1 && !odd && status == RG_OK)
        status = rg_comm_all_gather(r.comm, r.there, r.there, 64, &r.err);
    if (how == 2 && !odd && status == RG_OK)
        status = rg_comm_broadcast(r.comm, r.there, 64, 0, &r.err);
    if (status == RG_OK) status = rg_gpu_get(r.gpu, got, r.there, sizeof got, &r.err);
    rg_comm_abort(r.comm, r.err.text); /* as a program does; the other one may hear this first */
    return expect_failure(&r, status, began, "rank", "");
}

START_TEST(calls_that_do_not_match_are_named)
{
    for (int how = 0; how < 3; how++) rg_ranks_all_good(2, "shm", not_the_same, &how);
}
END_TEST

/* ---- what the stand-in has to find ---- */

typedef struct bench {
    ncclComm_t comm;
    cudaStream_t stream;
    char *there;
} bench;

static bench open_bench(void)
{
    bench b = {0};
    ncclUniqueId id;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    void *there = NULL;
    ck_assert_int_eq(cudaMalloc(&there, 1024), cudaSuccess);
    ck_assert_int_eq(cudaMemset(there, 0, 1024), cudaSuccess);
    ck_assert_int_eq(cudaStreamCreateWithFlags(&b.stream, cudaStreamNonBlocking), cudaSuccess);
    ck_assert_int_eq(ncclGetUniqueId(&id), ncclSuccess);
    ck_assert_int_eq(ncclCommInitRankConfig(&b.comm, 1, id, 0, &config), ncclSuccess);
    b.there = there;
    return b;
}

static ncclResult_t use_wrongly(const bench *b, int how)
{
    char here[64];
    const ncclUniqueId id = {{0}};
    ncclComm_t other = NULL;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    switch (how) {
    case 0: /* memory of the host */
        return ncclBroadcast(here, here, 64, ncclUint8, 0, b->comm, b->stream);
    case 1: /* a count of bytes where floats are counted */
        return ncclAllGather(b->there, b->there, 1024, ncclFloat, b->comm, b->stream);
    case 2: /* in place beside its place */
        return ncclAllGather(b->there + 4, b->there, 64, ncclUint8, b->comm, b->stream);
    case 3:
        return ncclBroadcast(b->there, b->there, 64, ncclUint8, 1, b->comm, b->stream);
    case 4:
        return ncclBroadcast(b->there + 1, b->there + 1, 4, ncclFloat, 0, b->comm, b->stream);
    case 5:
        return ncclBroadcast(b->there, b->there, 64, ncclNumTypes, 0, b->comm, b->stream);
    case 6:
        return ncclBroadcast(b->there, b->there, 64, ncclUint8, 0, b->comm, NULL);
    case 7:
        return ncclBroadcast(b->there, b->there, 64, ncclUint8, 0, NULL, b->stream);
    case 8:
        return ncclSend(b->there, 64, ncclUint8, 0, b->comm, b->stream);
    case 9:
        return ncclGroupEnd();
    case 10:
        return ncclCommInitRankConfig(&other, 1, id, 0, &config);
    case 11:
        config.size = 0;
        return ncclCommInitRankConfig(&other, 1, id, 0, &config);
    case 12: /* a group in which one call was refused */
        (void)ncclGroupStart();
        (void)ncclSend(b->there, 64, ncclUint8, 7, b->comm, b->stream);
        return ncclGroupEnd();
    case 13: /* destroyed too early */
        (void)ncclBroadcast(b->there, b->there, 64, ncclUint8, 0, b->comm, b->stream);
        return ncclCommDestroy(b->comm);
    default:
        return ncclInternalError;
    }
}

/* A send that nobody receives; a call before the last one is settled. */
static int planted(rg_comm *unused, void *ctx)
{
    enum { CASES = 14 };
    ncclResult_t state;
    bench b = open_bench();
    (void)ctx;
    (void)!freopen("/dev/null", "w", stderr);
    cuemu_set("streams", "lazy");
    for (int how = 0; how < CASES; how++) {
        const ncclResult_t code = use_wrongly(&b, how);
        if (code != ncclInvalidArgument && code != ncclInvalidUsage) return 100 + how;
    }
    RG_RANK_EXPECT(unused, cudaStreamSynchronize(b.stream) == cudaSuccess, "a stream");
    (void)ncclGroupStart();
    (void)ncclSend(b.there, 64, ncclUint8, 0, b.comm, b.stream);
    if (ncclGroupEnd() != ncclSuccess || cudaStreamQuery(b.stream) != cudaErrorNotReady) return 2;
    if (ncclCommGetAsyncError(b.comm, &state) != ncclSuccess || state != ncclInvalidUsage) return 3;
    if (ncclBroadcast(b.there, b.there, 64, ncclUint8, 0, b.comm, b.stream) != ncclInvalidUsage)
        return 4;
    return ncclCommAbort(b.comm) == ncclSuccess && cudaStreamSynchronize(b.stream) == cudaSuccess
               ? 0
               : 5;
}

static int unsettled(rg_comm *unused, void *ctx)
{
    ncclUniqueId id;
    ncclComm_t comm;
    ncclResult_t state;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    bench b = open_bench();
    (void)unused, (void)ctx;
    (void)!freopen("/dev/null", "w", stderr);
    config.blocking = 0;
    (void)ncclGetUniqueId(&id);
    if (ncclCommInitRankConfig(&comm, 1, id, 0, &config) != ncclInProgress) return 1;
    if (ncclBroadcast(b.there, b.there, 64, ncclUint8, 0, comm, b.stream) != ncclInvalidUsage)
        return 2;
    if (ncclCommGetAsyncError(comm, &state) != ncclSuccess || state != ncclSuccess) return 3;
    if (ncclBroadcast(b.there, b.there, 64, ncclUint8, 0, comm, b.stream) != ncclInProgress)
        return 4;
    if (ncclBroadcast(b.there, b.there, 64, ncclUint8, 0, comm, b.stream) != ncclInvalidUsage)
        return 5;
    if (ncclCommGetAsyncError(comm, &state) != ncclSuccess || state != ncclSuccess) return 6;
    if (cudaStreamSynchronize(b.stream) != cudaSuccess) return 7;
    return ncclCommDestroy(comm) == ncclSuccess ? 0 : 8;
}

START_TEST(the_stand_in_finds_misuse)
{
    rg_ranks_all_good(1, "shm", planted, NULL);
    rg_ranks_all_good(1, "shm", unsettled, NULL);
}
END_TEST

RG_TEST_MAIN("GPUs of several processes", 120, calls_are_those_of_the_hosts,
             two_ranks_on_one_gpu_are_refused, calls_are_timed, a_sum_in_pieces_is_the_sum,
             a_rank_that_is_gone_stops_the_others, a_rank_that_never_joins_is_named,
             calls_that_do_not_match_are_named, the_stand_in_finds_misuse)
