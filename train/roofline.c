/*
 * Steps against data sheets (roofline.h).
 */
#include "train/roofline.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "kernels/idle.h"
#include "train/resources.h"
#include "train/setup.h"
#include "train/task.h"

/* Peak of products of fp16 summed in fp32 (dense), of fp32 arithmetic, and bandwidth of the memory,
 * by NVIDIA's data sheets. */
typedef struct card {
    const char *name, *called;         /* what CUDA's name of it has in it */
    double products, other, bandwidth; /* flop/s, flop/s, bytes/s */
} card;
static const card cards[] = {
    {"RTX 3090", "RTX 3090", 71e12, 35.6e12, 936e9},
    {"A100 SXM 80GB", "A100", 312e12, 19.5e12, 2039e9},
    {"H100 SXM", "H100", 989e12, 67e12, 3350e9},
};
enum { CARDS = sizeof cards / sizeof *cards, LARGEST = 10 };

/* What only moves values that the call before or after has at hand: fusion could save it. */
static const char *const fusible[] = {"activation", "add", "copy", "dropout", "pack", NULL};

/* ---- a step ---- */

typedef struct step {
    rg_config_key *schema;
    rg_config *config;
    const rg_task *task;
    rg_machine machine;
    void *self;
    rg_tally *tally;
    rg_memory_need memory;
    rg_gpu_timing *timing;                /* NULL: nothing is measured */
    double micro_seconds, update_seconds; /* measured without timing the kernels */
} step;

static rg_status open_step(step *s, const char *device, const char *config_path,
                           const char *const *overrides, size_t n, const rg_log *log, rg_error *err)
{
    static const double loss_scale = 1;
    size_t n_schema = 0;
    s->task = rg_train_task_of(config_path, &s->schema, &n_schema, err);
    if (!s->task) return err->code;
    s->config = rg_config_load(config_path, s->schema, n_schema, overrides, n, err);
    if (!s->config) return err->code;
    RG_TRY(rg_machine_for_run(&s->machine, s->config, device, NULL, log, err));
    const rg_task_context context = {.config = s->config,
                                     .ex = s->machine.ex,
                                     .log = log,
                                     .seed = s->machine.ex->seed,
                                     .loss_scale = &loss_scale};
    RG_TRY(s->task->open(&context, &s->self, err));
    s->tally = calloc(1, sizeof *s->tally);
    if (!s->tally) return rg_fail(err, RG_ERR_NOMEM, "no memory for a tally");
    s->tally->real_bytes = device ? (int32_t)rg_dtype_size(rg_exec_activations(s->machine.ex)) : 2;
    return RG_OK;
}

static void close_step(step *s)
{
    rg_gpu_timing_destroy(s->timing);
    if (s->self) s->task->close(s->self);
    rg_machine_close(&s->machine);
    rg_config_free(s->config);
    free(s->schema);
    free(s->tally);
}

static rg_status run_micro(step *s)
{
    rg_step_begin(s->machine.ex, 0);
    return s->task->rehearse(s->self, true, s->task->items(s->self, true));
}

/* Of every set of parameters. */
static rg_status run_update(step *s)
{
    rg_exec *ex = s->machine.ex;
    rg_adamw optimizer = rg_adamw_from_config(s->config);
    rg_scaler scaler = rg_scaler_make(false);
    rg_update update;
    for (rg_params *p = s->task->params(s->self); p; p = rg_params_companion(p))
        RG_TRY(rg_adamw_step(&optimizer, &scaler, p, ex, 0, 1, &update));
    return rg_exec_status(ex);
}

static rg_status add_times(step *s)
{
    return s->timing ? rg_gpu_timing_add(s->timing, &s->machine.ex->error) : RG_OK;
}

/* One micro-batch counts for all; then the update. */
static rg_status count_step(step *s)
{
    const double micros = (double)rg_config_int(s->config, "accumulate");
    RG_TRY(run_micro(s));
    RG_TRY(add_times(s));
    for (int32_t i = 0; i < s->tally->n; i++) {
        rg_tally_row *row = &s->tally->rows[i];
        row->calls *= (int64_t)micros;
        row->products *= micros;
        row->other *= micros;
        row->bytes *= micros;
        row->chain *= micros;
        row->seconds *= micros;
    }
    RG_TRY(run_update(s));
    return add_times(s);
}

/* Over these tables, which count. */
static rg_status tally_step(step *s, const rg_kernels *kernels, const rg_kernels *stored,
                            rg_error *err)
{
    rg_exec *ex = s->machine.ex;
    const rg_kernels *was = ex->kernels, *was_stored = ex->stored;
    ex->kernels = kernels;
    ex->stored = stored;
    ex->kernel_ctx.tally = s->tally;
    rg_set_recording(ex, true);
    rg_status status = count_step(s);
    ex->kernels = was;
    ex->stored = was_stored;
    ex->kernel_ctx.tally = NULL;
    return status == RG_OK ? RG_OK : rg_fail(err, status, "%s", ex->error.text);
}

static rg_status count_idly(step *s, rg_error *err)
{
    const rg_exec *ex = s->machine.ex;
    const rg_kernels idle = rg_kernels_idle(ex->kernels);
    const rg_kernels idle_stored = rg_kernels_idle(ex->stored ? ex->stored : ex->kernels);
    RG_TRY(rg_memory_needed(s->task, s->self, s->machine.ex, &s->memory, err));
    return tally_step(s, &idle, ex->stored ? &idle_stored : NULL, err);
}

/* ---- measured ---- */

/* A rehearsal's inputs are whatever lies there: here zeros. */
static rg_status clear_inputs(const step *s, rg_error *err)
{
    rg_arena *arena = s->machine.ex->step_data;
    const rg_arena_mark mark = rg_arena_save(arena);
    const size_t n = rg_arena_capacity(arena) - rg_arena_used(arena), spare = 4096;
    void *all = n > spare ? rg_arena_alloc(arena, n - spare) : NULL;
    rg_status status = all ? rg_gpu_zero(s->machine.gpu, all, n - spare, err) : RG_OK;
    rg_arena_restore(arena, mark);
    return status;
}

static rg_status waited(step *s, rg_status status, double *seconds, rg_error *err)
{
    const double began = *seconds;
    if (status != RG_OK) return rg_fail(err, status, "%s", s->machine.ex->error.text);
    RG_TRY(rg_gpu_wait(s->machine.gpu, err));
    *seconds = rg_clock_seconds() - began;
    return RG_OK;
}

/* The first round makes plans and is not kept. */
static rg_status clock_step(step *s, rg_error *err)
{
    rg_set_recording(s->machine.ex, true);
    for (int round = 0; round < 2; round++) {
        s->micro_seconds = rg_clock_seconds();
        RG_TRY(waited(s, run_micro(s), &s->micro_seconds, err));
        s->update_seconds = rg_clock_seconds();
        RG_TRY(waited(s, run_update(s), &s->update_seconds, err));
    }
    return RG_OK;
}

static rg_status measure_step(step *s, rg_error *err)
{
    const rg_exec *ex = s->machine.ex;
    RG_TRY(clear_inputs(s, err));
    RG_TRY(clock_step(s, err));
    s->timing = rg_gpu_timing_create(s->machine.gpu, s->tally, ex->kernels, ex->stored, err);
    if (!s->timing) return err->code;
    return tally_step(s, rg_gpu_timing_kernels(s->timing), rg_gpu_timing_stored(s->timing), err);
}

static double step_seconds(const step *s)
{
    return s->micro_seconds * (double)rg_config_int(s->config, "accumulate") + s->update_seconds;
}

/* ---- bounds ---- */

typedef struct bound {
    const rg_tally_row *row;
    double seconds;
    const char *by;
} bound;

static bound bound_of(const card *c, const rg_tally_row *row)
{
    const double products = row->products / c->products, other = row->other / c->other;
    const double memory = row->bytes / c->bandwidth;
    if (products >= other && products >= memory) return (bound){row, products, "products"};
    if (other >= memory) return (bound){row, other, "arithmetic"};
    return (bound){row, memory, "memory"};
}

static int by_measured(const void *a, const void *b)
{
    const bound *x = a, *y = b;
    if (x->row->seconds != y->row->seconds) return x->row->seconds < y->row->seconds ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

static int by_seconds(const void *a, const void *b)
{
    const bound *x = a, *y = b;
    if (x->seconds != y->seconds) return x->seconds < y->seconds ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

static bool is_fusible(const char *slot)
{
    for (const char *const *name = fusible; *name; name++)
        if (!strcmp(*name, slot)) return true;
    return false;
}

enum { TOTAL, PRODUCTS, MEMORY, FUSION, SUMS };
static const char *const sum_names[SUMS] = {"a step takes at least, ms",
                                            "  where products bound it", "  where memory bounds it",
                                            "  copies, sums, activations: fusion's most"};

typedef struct prediction {
    double seconds[SUMS];
    int32_t n;
    bound rows[RG_TALLY_ROWS]; /* the longest first */
} prediction;

static void predict(const card *c, const rg_tally *tally, prediction *p)
{
    *p = (prediction){.n = tally->n};
    for (int32_t i = 0; i < tally->n; i++) {
        const bound b = p->rows[i] = bound_of(c, &tally->rows[i]);
        p->seconds[TOTAL] += b.seconds;
        if (b.by[0] == 'p') p->seconds[PRODUCTS] += b.seconds;
        if (b.by[0] == 'm') p->seconds[MEMORY] += b.seconds;
        if (is_fusible(b.row->slot)) p->seconds[FUSION] += b.seconds;
    }
    qsort(p->rows, (size_t)p->n, sizeof p->rows[0], by_seconds);
}

static rg_tally_row sum_of(const rg_tally *tally)
{
    rg_tally_row sum = {0};
    for (int32_t i = 0; i < tally->n; i++) {
        const rg_tally_row *row = &tally->rows[i];
        sum.calls += row->calls;
        sum.products += row->products;
        sum.other += row->other;
        sum.bytes += row->bytes;
        sum.chain += row->chain;
    }
    return sum;
}

/* ---- as text ---- */

static void print_cards(rg_text *out, const prediction *p)
{
    rg_text_printf(out, "%-44s", "");
    for (int c = 0; c < CARDS; c++) rg_text_printf(out, "%15s", cards[c].name);
    rg_text_printf(out, "\n");
    for (int i = 0; i < SUMS; i++) {
        rg_text_printf(out, "%-44s", sum_names[i]);
        for (int c = 0; c < CARDS; c++) rg_text_printf(out, "%15.3f", 1e3 * p[c].seconds[i]);
        rg_text_printf(out, "\n");
    }
}

static void print_largest(rg_text *out, const char *name, const prediction *p)
{
    rg_text_printf(out, "\nthe largest on the %s:\n%6s %9s %-10s %7s %9s %9s  %s\n", name, "share",
                   "ms", "bound by", "calls", "GFLOP", "MB", "operator");
    for (int32_t i = 0; i < p->n && i < LARGEST; i++) {
        const bound *b = &p->rows[i];
        rg_text_printf(out, "%4.1f %% %9.3f %-10s %7lld %9.2f %9.1f  %s%s %s\n",
                       100 * b->seconds / p->seconds[TOTAL], 1e3 * b->seconds, b->by,
                       (long long)b->row->calls, (b->row->products + b->row->other) / 1e9,
                       b->row->bytes / 1e6, b->row->slot, b->row->grad ? ", gradient:" : ":",
                       b->row->shape);
    }
}

/* The GPU that was measured, and the card whose data sheet it has; NULL: none that is known. */
typedef struct measured {
    const step *s;
    const card *card;
    rg_gpu_facts gpu;
    prediction bounds; /* the longest first, as measured */
    double kernels;    /* seconds of all, one by one */
} measured;

static rg_status take_measured(measured *m, const step *s, rg_error *err)
{
    *m = (measured){.s = s};
    RG_TRY(rg_gpu_describe(rg_gpu_index(s->machine.gpu), &m->gpu, err));
    for (int c = 0; c < CARDS; c++)
        if (strstr(m->gpu.name, cards[c].called)) m->card = &cards[c];
    predict(m->card ? m->card : &cards[0], s->tally, &m->bounds);
    qsort(m->bounds.rows, (size_t)m->bounds.n, sizeof m->bounds.rows[0], by_measured);
    for (int32_t i = 0; i < m->bounds.n; i++) m->kernels += m->bounds.rows[i].row->seconds;
    return RG_OK;
}

static void print_measured(rg_text *out, const measured *m)
{
    const rg_exec *ex = m->s->machine.ex;
    rg_text_printf(out,
                   "\nmeasured on the %s, activations in %s: a step takes %.3f ms, its kernels one "
                   "by one %.3f ms; %s%s\n%6s %9s %9s %7s  %s\n",
                   m->gpu.name, rg_dtype_text(rg_exec_activations(ex)), 1e3 * step_seconds(m->s),
                   1e3 * m->kernels,
                   m->card ? "at least, by the data sheet of the " : "no data sheet",
                   m->card ? m->card->name : "", "share", "ms", "at least", "calls", "operator");
    for (int32_t i = 0; i < m->bounds.n && i < LARGEST; i++) {
        const bound *b = &m->bounds.rows[i];
        char least[24] = "-";
        if (m->card) snprintf(least, sizeof least, "%.3f", 1e3 * b->seconds);
        rg_text_printf(out, "%4.1f %% %9.3f %9s %7lld  %s%s %s\n",
                       100 * b->row->seconds / m->kernels, 1e3 * b->row->seconds, least,
                       (long long)b->row->calls, b->row->slot, b->row->grad ? ", gradient:" : ":",
                       b->row->shape);
    }
}

static void print(rg_text *out, const char *config, const step *s, const prediction *p,
                  const measured *m)
{
    const rg_tally_row sum = sum_of(s->tally);
    const double mib = 1024.0 * 1024.0;
    rg_text_printf(out,
                   "%s: one training step, predicted from data sheets%s\n"
                   "16-bit activations: %.2f GFLOP of products, %.2f GFLOP of other arithmetic, "
                   "%.2f GB moved\n"
                   "%lld kernels%s",
                   config, m ? "" : "; nothing was measured", sum.products / 1e9, sum.other / 1e9,
                   sum.bytes / 1e9, (long long)sum.calls, sum.chain > 0 ? ", and " : "");
    if (sum.chain > 0)
        rg_text_printf(out, "%.0f steps of an LSTM that wait for each other", sum.chain);
    rg_text_printf(out, ": each microsecond that one takes to begin costs %.2f ms\n",
                   1e-3 * ((double)sum.calls + sum.chain));
    rg_text_printf(out, "memory: %.0f MiB for the model and its updates, %.0f MiB of %s\n\n",
                   s->memory.model / mib, s->memory.activations / mib, "activations in fp32");
    print_cards(out, p);
    for (int c = 0; c < CARDS; c++) print_largest(out, cards[c].name, &p[c]);
    if (m) print_measured(out, m);
}

/* ---- as JSON ---- */

static json_t *row_json(const bound *b)
{
    return json_pack("{s:s, s:b, s:s, s:I, s:f, s:s, s:f, s:f}", "slot", b->row->slot, "grad",
                     b->row->grad, "shape", b->row->shape, "calls", (json_int_t)b->row->calls, "ms",
                     1e3 * b->seconds, "bound", b->by, "flop", b->row->products + b->row->other,
                     "bytes", b->row->bytes);
}

static json_t *card_json(const card *c, const prediction *p)
{
    json_t *rows = json_array();
    for (int32_t i = 0; i < p->n; i++) json_array_append_new(rows, row_json(&p->rows[i]));
    return json_pack("{s:s, s:f, s:f, s:f, s:f, s:o}", "name", c->name, "bound_ms",
                     1e3 * p->seconds[TOTAL], "products_ms", 1e3 * p->seconds[PRODUCTS],
                     "memory_ms", 1e3 * p->seconds[MEMORY], "fusion_ms", 1e3 * p->seconds[FUSION],
                     "rows", rows);
}

/* NULL is null. */
static json_t *measured_json(const measured *m)
{
    if (!m) return json_null();
    json_t *rows = json_array();
    for (int32_t i = 0; i < m->bounds.n; i++) {
        const bound *b = &m->bounds.rows[i];
        json_t *row = row_json(b);
        json_object_set_new(row, "measured_ms", json_real(1e3 * b->row->seconds));
        if (!m->card) json_object_set_new(row, "ms", json_null());
        json_array_append_new(rows, row);
    }
    return json_pack("{s:s, s:s?, s:s, s:f, s:f, s:o}", "gpu", m->gpu.name, "card",
                     m->card ? m->card->name : NULL, "activations",
                     rg_dtype_text(rg_exec_activations(m->s->machine.ex)), "step_ms",
                     1e3 * step_seconds(m->s), "kernels_ms", 1e3 * m->kernels, "rows", rows);
}

static rg_status print_json(rg_text *out, const char *config, const step *s, const prediction *p,
                            const measured *m, rg_error *err)
{
    const rg_tally_row sum = sum_of(s->tally);
    json_t *list = json_array();
    for (int c = 0; c < CARDS; c++) json_array_append_new(list, card_json(&cards[c], &p[c]));
    json_t *all = json_pack("{s:s, s:b, s:f, s:f, s:f, s:I, s:f, s:f, s:f, s:o, s:o}", "config",
                            config, "prediction", 1, "products_flop", sum.products, "other_flop",
                            sum.other, "bytes", sum.bytes, "kernels", (json_int_t)sum.calls,
                            "chain", sum.chain, "model_bytes", s->memory.model, "activation_bytes",
                            s->memory.activations, "cards", list, "measured", measured_json(m));
    char *text = all ? json_dumps(all, JSON_INDENT(2)) : NULL;
    if (text) rg_text_printf(out, "%s\n", text);
    free(text);
    json_decref(all);
    return text ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for a prediction");
}

/* `on` is the step that was measured, or NULL. */
static rg_status report(const step *s, const step *on, const char *config, bool json, rg_text *out,
                        rg_error *err)
{
    prediction *p = calloc(CARDS, sizeof *p);
    measured *m = on ? calloc(1, sizeof *m) : NULL;
    rg_status status = p && (m || !on) ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory to predict");
    if (status == RG_OK && m) status = take_measured(m, on, err);
    for (int c = 0; status == RG_OK && c < CARDS; c++) predict(&cards[c], s->tally, &p[c]);
    if (status == RG_OK && json)
        status = print_json(out, config, s, p, m, err);
    else if (status == RG_OK)
        print(out, config, s, p, m);
    free(m);
    free(p);
    return status;
}

rg_status rg_roofline_run(const char *config_path, const char *const *overrides, size_t n,
                          bool measures, bool json, rg_text *out, const rg_log *log, rg_error *err)
{
    rg_error none = {0};
    step s = {0}, on = {0};
    measures = measures && rg_gpu_count(&none) > 0;
    rg_status status = open_step(&s, NULL, config_path, overrides, n, log, err);
    if (status == RG_OK) status = count_idly(&s, err);
    if (status == RG_OK && measures)
        status = open_step(&on, "cuda", config_path, overrides, n, log, err);
    if (status == RG_OK && measures) status = measure_step(&on, err);
    if (status == RG_OK) status = report(&s, measures ? &on : NULL, config_path, json, out, err);
    close_step(&on);
    close_step(&s);
    return status;
}
