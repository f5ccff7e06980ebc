/*
 * Benchmarks: the groups, how a job is timed, and what a row says (bench.h).
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "train/bench_internal.h"

enum { MIN_RUNS = 5, MAX_RUNS = 1000 };
static const double seconds_per_job = 0.4, most_seconds = 8;

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
    rg_idle idle;
} timing;

static const char *precision(const rg_bench *b, const rg_bench_work *w)
{
    if (w->precision) return w->precision;
    return b->ctx.operands == RG_BF16 ? "bf16" : "fp32";
}

static void print_row(rg_bench *b, const char *group, const char *name, const rg_bench_work *w,
                      const timing *t)
{
    rg_text_printf(b->out, "%-13s %-46s %-5s %9.3f %9.3f", group, name, precision(b, w),
                   t->least * 1e3, t->median * 1e3);
    if (w->flop > 0)
        rg_text_printf(b->out, " %8.1f GF/s %4.0f %%", w->flop / t->median / 1e9,
                       t->peak > 0 ? 100 * w->flop / t->median / 1e9 / t->peak : 0);
    if (w->audio_seconds > 0)
        rg_text_printf(b->out, " %8.2f x real time", w->audio_seconds / t->median);
    if (w->counted) rg_text_printf(b->out, " %8.1f %s/s", w->count / t->median, w->counted);
    if (w->bytes > 0) rg_text_printf(b->out, " %8.1f MB/s", w->bytes / t->median / 1e6);
    if (w->threads == 0 && rg_pool_threads(b->ctx.pool) > 1)
        rg_text_printf(b->out, "  idle %.1f + %.1f %%", 100 * t->idle.waiting, 100 * t->idle.alone);
    rg_text_printf(b->out, "\n");
}

/* Sets `key` unless the value says nothing; true when there is no memory. */
static bool set_real(json_t *row, const char *key, bool said, double value)
{
    return said && json_object_set_new(row, key, json_real(value));
}

static rg_status add_row(rg_bench *b, const char *group, const char *name, const rg_bench_work *w,
                         const timing *t)
{
    const int threads = w->threads ? w->threads : rg_pool_threads(b->ctx.pool);
    const double gflops = w->flop / t->median / 1e9;
    json_t *row = json_pack("{s:s, s:s, s:s, s:i, s:f, s:f}", "group", group, "name", name,
                            "precision", precision(b, w), "threads", threads, "min_ms",
                            t->least * 1e3, "median_ms", t->median * 1e3);
    if (!row || set_real(row, "gflops", w->flop > 0, gflops) ||
        set_real(row, "share_of_peak", w->flop > 0 && t->peak > 0, gflops / t->peak) ||
        set_real(row, "x_real_time", w->audio_seconds > 0, w->audio_seconds / t->median) ||
        set_real(row, "per_s", w->counted != NULL, w->count / t->median) ||
        set_real(row, "mb_per_s", w->bytes > 0, w->bytes / t->median / 1e6) ||
        set_real(row, "idle_waiting", w->threads == 0, t->idle.waiting) ||
        set_real(row, "idle_alone", w->threads == 0, t->idle.alone) ||
        json_array_append_new(b->rows, row))
        return rg_fail(b->err, RG_ERR_NOMEM, "bench: no memory for a row of results");
    return RG_OK;
}

/* The peak of the precision at hand, now; the best of the run is kept. */
static double measure_peak(rg_bench *b)
{
    const double peak = rg_kernels_peak_gflops(b->ctx.pool, b->ctx.operands);
    double *best = b->ctx.operands == RG_BF16 ? &b->peak_bf16 : &b->peak_f32;
    if (peak > *best) *best = peak;
    return peak;
}

rg_status rg_bench_time(rg_bench *b, const char *group, const char *name, const rg_bench_work *work,
                        rg_bench_fn *fn, void *args)
{
    double times[MAX_RUNS], sum = 0;
    int runs = 0;
    RG_TRY(fn(b, args)); /* warms caches and plans */
    const double before = measure_peak(b);
    rg_pool_take_idle(b->ctx.pool);
    while (runs < MAX_RUNS && (sum < seconds_per_job || (runs < MIN_RUNS && sum < most_seconds))) {
        const double t = now();
        RG_TRY(fn(b, args));
        times[runs] = now() - t;
        sum += times[runs++];
    }
    const rg_idle idle = rg_pool_take_idle(b->ctx.pool);
    const double after = measure_peak(b);
    qsort(times, (size_t)runs, sizeof times[0], by_value);
    const timing t = {times[0], times[runs / 2], before > after ? before : after, idle};
    rg_log_line(b->log, RG_LOG_PROGRESS, "%s %s", group, name);
    if (b->rows) return add_row(b, group, name, work, &t);
    print_row(b, group, name, work, &t);
    return RG_OK;
}

/* ---- an engine for models ---- */

rg_status rg_bench_engine(rg_bench *b, rg_bench_model_fn *run, const void *what)
{
    const rg_exec_options options = {
        .kernels = b->kernels, .pool = b->ctx.pool, .operands = b->ctx.operands, .seed = 1};
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
    bool bf16; /* a second pass with products of bf16, where the CPU multiplies them */
} bench_group;

static const bench_group groups[] = {
    {"train", rg_bench_train, true},         {"seanet", rg_bench_seanet, true},
    {"lstm", rg_bench_lstm, true},           {"gan", rg_bench_gan, true},
    {"codec", rg_bench_codec, true},         {"decode", rg_bench_decode, false},
    {"gemm", rg_bench_gemm, true},           {"conv", rg_bench_conv, true},
    {"attention", rg_bench_attention, true}, {"spectra", rg_bench_spectra, false},
    {"loader", rg_bench_loader, false},      {"discriminator", rg_bench_discriminator, true},
    {"features", rg_bench_features, false},  {"prompt", rg_bench_prompt, false}};
enum { GROUPS = sizeof groups / sizeof groups[0] };

static rg_status select_groups(const char *const *names, size_t n, bool chosen[GROUPS],
                               rg_error *err)
{
    for (size_t g = 0; g < GROUPS; g++) chosen[g] = n == 0;
    for (size_t i = 0; i < n; i++) {
        size_t g = 0;
        while (g < GROUPS && strcmp(groups[g].name, names[i]) != 0) g++;
        if (g == GROUPS)
            return rg_fail(
                err, RG_ERR_USAGE,
                "bench: no group '%s'; use train, seanet, lstm, gan, codec, decode, gemm, "
                "conv, attention, spectra, loader, discriminator, features, prompt, or dist by "
                "itself",
                names[i]);
        chosen[g] = true;
    }
    return RG_OK;
}

static rg_status run_group(rg_bench *b, const bench_group *g)
{
    const bool bf16 = g->bf16 && b->kernels->fast_operands == RG_BF16;
    for (int pass = 0; pass < 1 + bf16; pass++) {
        b->ctx.operands = pass ? RG_BF16 : RG_F32;
        RG_TRY(g->run(b));
        rg_arena_reset(b->data);
    }
    return RG_OK;
}

static rg_status run_groups(rg_bench *b, const bool chosen[GROUPS])
{
    if (!b->rows)
        rg_text_printf(b->out,
                       "%-13s %-46s %-5s %9s %9s   what that is; cores idle: waiting + one alone\n",
                       "group", "name", "", "min ms", "median ms");
    b->ctx.operands = RG_BF16;
    measure_peak(b);
    for (size_t g = 0; g < GROUPS; g++)
        if (chosen[g]) RG_TRY(run_group(b, &groups[g]));
    if (!b->rows)
        rg_text_printf(b->out, "peak of %d threads on %s: %.0f GF/s fp32, %.0f GF/s bf16\n",
                       (int)rg_pool_threads(b->ctx.pool), b->kernels->name, b->peak_f32,
                       b->peak_bf16);
    return RG_OK;
}

static rg_status write_json(rg_bench *b)
{
    json_t *all = json_pack("{s:s, s:i, s:{s:f, s:f}, s:O}", "isa", b->kernels->name, "threads",
                            rg_pool_threads(b->ctx.pool), "peak_gflops", "fp32", b->peak_f32,
                            "bf16", b->peak_bf16, "rows", b->rows);
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
