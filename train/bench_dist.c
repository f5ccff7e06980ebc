/*
 * Processes that exchange memory, timed (bench.h).
 *
 * One idea: every process runs each call as often as all others, many behind each other, so that
 * none profits from one that was late; what rank 0 sees is told. A copy of as many bytes says what
 * the memory, mostly caches, would take by itself.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "engine/device.h"
#include "train/bench_internal.h"

enum { MOST = 16 << 20, RUNS = 15, BURST = 16, STEP_RUNS = 3 };

typedef struct job {
    rg_comm *comm, *host; /* the one that is timed; messages between the hosts */
    rg_gpu *gpu;          /* NULL: memory is the host's */
    char *data, *other;   /* (MOST) */
    size_t bytes;
    json_t *rows;
    rg_error *err;
} job;

typedef rg_status call(job *j);

static rg_status copy(job *j)
{
    if (j->gpu) return rg_gpu_move(j->gpu, j->other, j->data, j->bytes, j->err);
    memcpy(j->other, j->data, j->bytes);
    return RG_OK;
}

static rg_status allreduce(job *j)
{
    return rg_comm_allreduce(j->comm, RG_COMM_SUM_F32, j->data, (int64_t)(j->bytes / 4), j->err);
}

static rg_status reduce_scatter(job *j)
{
    rg_comm_request request;
    const int64_t n = (int64_t)(j->bytes / 4) / rg_comm_world(j->comm);
    RG_TRY(rg_comm_start_reduce_scatter(j->comm, (float *)(void *)j->data,
                                        (float *)(void *)j->other, n, &request, j->err));
    return rg_comm_wait(j->comm, &request, j->err);
}

static rg_status all_gather(job *j)
{
    const size_t own = j->bytes / (size_t)rg_comm_world(j->comm);
    return rg_comm_all_gather(j->comm, j->other, j->data, own, j->err);
}

static rg_status broadcast(job *j)
{
    return rg_comm_broadcast(j->comm, j->data, j->bytes, 0, j->err);
}

static const struct {
    const char *name;
    call *run;
} calls[] = {{"copy", copy},
             {"allreduce", allreduce},
             {"reduce_scatter", reduce_scatter},
             {"all_gather", all_gather},
             {"broadcast", broadcast}};

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static rg_status time_call(job *j, call *run, int burst, double *seconds)
{
    for (int i = -1; i < RUNS; i++) { /* the first one only warms */
        RG_TRY(rg_comm_barrier(j->host, j->err));
        const double began = rg_clock_seconds();
        for (int k = 0; k < burst; k++) RG_TRY(run(j));
        if (j->gpu) RG_TRY(rg_gpu_wait(j->gpu, j->err));
        if (i >= 0) seconds[i] = (rg_clock_seconds() - began) / burst;
    }
    qsort(seconds, RUNS, sizeof *seconds, by_value);
    return RG_OK;
}

static rg_status time_calls(job *j)
{
    double seconds[RUNS];
    for (size_t bytes = 1024; bytes <= MOST; bytes *= 16)
        for (size_t c = 0; c < sizeof calls / sizeof *calls; c++) {
            const size_t least = (size_t)rg_comm_world(j->comm) * sizeof(float);
            const int burst = bytes < MOST / 64 ? BURST : BURST / 8;
            j->bytes = (bytes + least - 1) / least * least;
            RG_TRY(time_call(j, calls[c].run, burst, seconds));
            const double median = seconds[RUNS / 2];
            json_t *row = json_pack("{s:s, s:I, s:f, s:f, s:f}", "name", calls[c].name, "bytes",
                                    (json_int_t)j->bytes, "min_us", seconds[0] * 1e6, "median_us",
                                    median * 1e6, "mb_per_s", (double)j->bytes / median / 1e6);
            if (!row || json_array_append_new(j->rows, row))
                return rg_fail(j->err, RG_ERR_NOMEM, "bench: no memory for results");
        }
    return RG_OK;
}

/* ---- a step ---- */

/* Alone: rank 0, while the others wait. Both with this process's share of the CPUs. */
static rg_status time_steps(job *j, rg_bench *b, json_t *all)
{
    double alone[STEP_RUNS] = {0}, together[STEP_RUNS];
    if (rg_comm_rank(j->host) == 0) RG_TRY(rg_bench_train_together(b, NULL, STEP_RUNS, alone));
    RG_TRY(rg_comm_barrier(j->host, j->err));
    RG_TRY(rg_bench_train_together(b, j->host, STEP_RUNS, together));
    qsort(alone, STEP_RUNS, sizeof *alone, by_value);
    qsort(together, STEP_RUNS, sizeof *together, by_value);
    const double one = alone[STEP_RUNS / 2], many = together[STEP_RUNS / 2];
    json_t *step = json_pack("{s:i, s:f, s:f, s:f}", "runs", STEP_RUNS, "alone_ms", one * 1e3,
                             "together_ms", many * 1e3, "efficiency", one / many);
    if (!step || json_object_set_new(all, "step", step))
        return rg_fail(j->err, RG_ERR_NOMEM, "bench: no memory for results");
    return RG_OK;
}

static rg_status steps(job *j, json_t *all)
{
    int32_t index, count, cpus = rg_cpu_count();
    rg_comm_sharing(j->host, &index, &count);
    const int32_t threads = cpus / count > 1 ? cpus / count : 1;
    rg_bench b = {.kernels = rg_kernels_cpu(j->err), .err = j->err};
    if (!b.kernels) return j->err->code;
    b.data = rg_arena_create((size_t)1 << 30, "bench data", j->err);
    b.ctx.pool = rg_pool_create(threads, index * threads % cpus, true, j->err);
    b.ctx.error = j->err;
    const rg_status status = j->err->code ? j->err->code : time_steps(j, &b, all);
    rg_pool_destroy(b.ctx.pool);
    rg_arena_destroy(b.data);
    return status;
}

/* ---- all ---- */

static void print_text(json_t *all, rg_text *out)
{
    size_t i;
    json_t *row;
    rg_text_printf(out, "%d processes over %s\n%-16s %10s %12s %12s\n",
                   (int)json_integer_value(json_object_get(all, "processes")),
                   json_string_value(json_object_get(all, "backend")), "call", "bytes", "min us",
                   "median us");
    json_array_foreach(json_object_get(all, "rows"), i, row)
        rg_text_printf(out, "%-16s %10lld %12.1f %12.1f %9.1f MB/s\n",
                       json_string_value(json_object_get(row, "name")),
                       (long long)json_integer_value(json_object_get(row, "bytes")),
                       json_real_value(json_object_get(row, "min_us")),
                       json_real_value(json_object_get(row, "median_us")),
                       json_real_value(json_object_get(row, "mb_per_s")));
    const json_t *step = json_object_get(all, "step");
    if (step)
        rg_text_printf(out, "a training step: %.1f ms alone, %.1f ms together, efficiency %.2f\n",
                       json_real_value(json_object_get(step, "alone_ms")),
                       json_real_value(json_object_get(step, "together_ms")),
                       json_real_value(json_object_get(step, "efficiency")));
}

static rg_status write_out(job *j, json_t *all, bool json, rg_text *out)
{
    if (rg_comm_rank(j->host)) return RG_OK;
    char *text = json ? json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
    if (json && !text) return rg_fail(j->err, RG_ERR_NOMEM, "bench: no memory for the results");
    if (json)
        rg_text_printf(out, "%s\n", text);
    else
        print_text(all, out);
    free(text);
    return rg_text_status(out, j->err);
}

static rg_status open_memory(job *j, const char *device, const rg_log *log)
{
    enum { ROOM = MOST + (1 << 16) };
    int32_t place, count;
    const int32_t world = rg_comm_world(j->host);
    rg_comm_of_host(j->host, &place, &count);
    RG_TRY(rg_device_open(device, world, place, log, &j->gpu, j->err));
    if (j->gpu) RG_TRY(rg_comm_open_gpu(j->host, j->gpu, &j->comm, j->err));
    if (!j->gpu) j->comm = j->host;
    j->data = j->gpu ? rg_gpu_alloc(j->gpu, ROOM, j->err) : calloc(1, ROOM);
    j->other = j->gpu ? rg_gpu_alloc(j->gpu, ROOM, j->err) : calloc(1, ROOM);
    if (!j->data || !j->other) return rg_fail(j->err, RG_ERR_NOMEM, "bench: no memory");
    if (!j->gpu) return RG_OK;
    RG_TRY(rg_gpu_zero(j->gpu, j->data, ROOM, j->err));
    return rg_gpu_zero(j->gpu, j->other, ROOM, j->err);
}

static void close_memory(job *j)
{
    if (j->comm != j->host) rg_comm_close(j->comm);
    if (!j->gpu) {
        free(j->data);
        free(j->other);
        return;
    }
    rg_gpu_free(j->gpu, j->data);
    rg_gpu_free(j->gpu, j->other);
    rg_gpu_close(j->gpu);
}

rg_status rg_bench_dist(rg_comm *comm, const char *device, bool json, rg_text *out,
                        const rg_log *log, rg_error *err)
{
    job j = {.host = comm, .rows = json_array(), .err = err};
    if (!comm) {
        json_decref(j.rows);
        return rg_fail(err, RG_ERR_USAGE,
                       "bench dist: say --processes N, or start it by a launcher");
    }
    rg_status status = open_memory(&j, device, log);
    json_t *all = json_pack("{s:s, s:i, s:O}", "backend", rg_comm_backend_name(j.comm), "processes",
                            rg_comm_world(comm), "rows", j.rows);
    if (status == RG_OK && !all)
        status = rg_fail(err, RG_ERR_NOMEM, "bench: no memory for results");
    if (status == RG_OK) status = time_calls(&j);
    if (status == RG_OK && !j.gpu) status = steps(&j, all);
    if (status == RG_OK) status = write_out(&j, all, json, out);
    if (status != RG_OK) rg_comm_abort(j.comm ? j.comm : comm, err->text);
    close_memory(&j);
    json_decref(all);
    json_decref(j.rows);
    return status;
}
