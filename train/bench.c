/*
 * Benchmarks: the groups, how a job is timed, and what a row says (bench.h).
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "train/bench_internal.h"

enum { MIN_RUNS = 5, MAX_RUNS = 1000 };
static const double seconds_per_job = 0.4;

/* ---- timing ---- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct timing {
    double least, median; /* seconds of one call */
    double peak;          /* GF/s of the machine around it */
} timing;

static void print_row(rg_bench *b, const char *group, const char *name, const rg_bench_work *w,
                      const timing *t)
{
    rg_text_printf(b->out, "%-10s %-46s %-5s %9.3f %9.3f", group, name, w->bf16 ? "bf16" : "fp32",
                   t->least * 1e3, t->median * 1e3);
    if (w->flop > 0)
        rg_text_printf(b->out, " %8.1f GF/s %4.0f %%", w->flop / t->median / 1e9,
                       t->peak > 0 ? 100 * w->flop / t->median / 1e9 / t->peak : 0);
    if (w->audio_seconds > 0)
        rg_text_printf(b->out, " %8.2f x real time", w->audio_seconds / t->median);
    if (w->steps > 0) rg_text_printf(b->out, " %8.1f steps/s", w->steps / t->median);
    rg_text_printf(b->out, "\n");
}

static rg_status add_row(rg_bench *b, const char *group, const char *name, const rg_bench_work *w,
                         const timing *t)
{
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:i, s:f, s:f}", "group", group, "name", name, "precision",
                  w->bf16 ? "bf16" : "fp32", "threads", rg_pool_threads(b->ctx.pool), "min_ms",
                  t->least * 1e3, "median_ms", t->median * 1e3);
    const double gflops = w->flop / t->median / 1e9;
    int bad = row == NULL;
    if (!bad && w->flop > 0) bad = json_object_set_new(row, "gflops", json_real(gflops));
    if (!bad && w->flop > 0 && t->peak > 0)
        bad = json_object_set_new(row, "share_of_peak", json_real(gflops / t->peak));
    if (!bad && w->audio_seconds > 0)
        bad = json_object_set_new(row, "x_real_time", json_real(w->audio_seconds / t->median));
    if (!bad && w->steps > 0)
        bad = json_object_set_new(row, "per_s", json_real(w->steps / t->median));
    if (bad || json_array_append_new(b->rows, row))
        return rg_fail(b->err, RG_ERR_NOMEM, "bench: no memory for a row of results");
    return RG_OK;
}

rg_status rg_bench_time(rg_bench *b, const char *group, const char *name, const rg_bench_work *work,
                        rg_bench_fn *fn, void *args)
{
    double times[MAX_RUNS];
    int runs = 0;
    RG_TRY(fn(b, args)); /* warms caches and plans */
    double peak = rg_kernels_peak_gflops(b->ctx.pool, RG_F32);
    for (const double start = now();
         runs < MAX_RUNS && (runs < MIN_RUNS || now() - start < seconds_per_job); runs++) {
        const double t = now();
        RG_TRY(fn(b, args));
        times[runs] = now() - t;
    }
    const double after = rg_kernels_peak_gflops(b->ctx.pool, RG_F32);
    if (after > peak) peak = after;
    qsort(times, (size_t)runs, sizeof times[0], by_value);
    const timing t = {times[0], times[runs / 2], peak};
    rg_log_line(b->log, RG_LOG_PROGRESS, "%s %s", group, name);
    if (b->rows) return add_row(b, group, name, work, &t);
    print_row(b, group, name, work, &t);
    return RG_OK;
}

/* ---- an engine for models ---- */

rg_status rg_bench_engine(rg_bench *b, rg_bench_model_fn *run, const void *what)
{
    const rg_exec_options options = {.kernels = b->kernels, .pool = b->ctx.pool, .seed = 1};
    rg_exec *ex = rg_exec_create(&options, b->err);
    rg_params *params = ex ? rg_params_create(b->err) : NULL;
    rg_status status = params ? run(b, ex, params, what) : b->err->code;
    if (status != RG_OK && b->err->code == RG_OK)
        rg_fail(b->err, status, "%s", ex ? ex->error.text : "bench: no engine");
    rg_params_destroy(params);
    rg_exec_destroy(ex);
    return status;
}

/* ---- all ---- */

typedef struct bench_group {
    const char *name;
    rg_status (*run)(rg_bench *b);
} bench_group;

static const bench_group groups[] = {
    {"train", rg_bench_train}, {"seanet", rg_bench_seanet},      {"lstm", rg_bench_lstm},
    {"codec", rg_bench_codec}, {"decode", rg_bench_decode},      {"gemm", rg_bench_gemm},
    {"conv", rg_bench_conv},   {"attention", rg_bench_attention}};
enum { GROUPS = sizeof groups / sizeof groups[0] };

static rg_status select_groups(const char *const *names, size_t n, bool chosen[GROUPS],
                               rg_error *err)
{
    for (size_t g = 0; g < GROUPS; g++) chosen[g] = n == 0;
    for (size_t i = 0; i < n; i++) {
        size_t g = 0;
        while (g < GROUPS && strcmp(groups[g].name, names[i]) != 0) g++;
        if (g == GROUPS)
            return rg_fail(err, RG_ERR_USAGE,
                           "bench: no group '%s'; use train, seanet, lstm, codec, decode, gemm, "
                           "conv, attention",
                           names[i]);
        chosen[g] = true;
    }
    return RG_OK;
}

static rg_status run_groups(rg_bench *b, const bool chosen[GROUPS])
{
    if (!b->rows)
        rg_text_printf(b->out, "%-10s %-46s %-5s %9s %9s   and what that is\n", "group", "name", "",
                       "min ms", "median ms");
    for (size_t g = 0; g < GROUPS; g++) {
        if (chosen[g]) RG_TRY(groups[g].run(b));
        rg_arena_reset(b->data);
    }
    return RG_OK;
}

static rg_status write_json(rg_bench *b)
{
    json_t *all = json_pack("{s:s, s:i, s:O}", "isa", b->kernels->name, "threads",
                            rg_pool_threads(b->ctx.pool), "rows", b->rows);
    char *text = all ? json_dumps(all, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(all);
    if (!text) return rg_fail(b->err, RG_ERR_NOMEM, "bench: no memory for the results");
    rg_text_printf(b->out, "%s\n", text);
    free(text);
    return RG_OK;
}

rg_status rg_bench_run(const char *const *names, size_t n, bool json, rg_text *out,
                       const rg_log *log, rg_error *err)
{
    bool chosen[GROUPS];
    RG_TRY(select_groups(names, n, chosen, err));
    rg_bench b = {.kernels = rg_kernels_cpu(err), .out = out, .log = log, .err = err};
    if (!b.kernels) return err->code;
    b.data = rg_arena_create((size_t)8 << 30, "bench data", err);
    b.ctx.scratch = rg_arena_create((size_t)8 << 30, "bench scratch", err);
    b.ctx.pool = rg_pool_create(0, 0, true, err);
    b.ctx.error = err;
    b.rows = json ? json_array() : NULL;
    rg_status status = err->code;
    if (status == RG_OK && json && !b.rows)
        status = rg_fail(err, RG_ERR_NOMEM, "bench: no memory for results");
    if (status == RG_OK) status = run_groups(&b, chosen);
    if (status == RG_OK && json) status = write_json(&b);
    if (status == RG_OK) status = rg_text_status(out, err);
    json_decref(b.rows);
    rg_pool_destroy(b.ctx.pool);
    rg_arena_destroy(b.ctx.scratch);
    rg_arena_destroy(b.data);
    return status;
}
