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
    const char *name;
    double products, other, bandwidth; /* flop/s, flop/s, bytes/s */
} card;
static const card cards[] = {
    {"RTX 3090", 71e12, 35.6e12, 936e9},
    {"A100 SXM 80GB", 312e12, 19.5e12, 2039e9},
    {"H100 SXM", 989e12, 67e12, 3350e9},
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
} step;

static rg_status open_step(step *s, const char *config_path, const char *const *overrides, size_t n,
                           const double *loss_scale, const rg_log *log, rg_error *err)
{
    size_t n_schema = 0;
    s->task = rg_train_task_of(config_path, &s->schema, &n_schema, err);
    if (!s->task) return err->code;
    s->config = rg_config_load(config_path, s->schema, n_schema, overrides, n, err);
    if (!s->config) return err->code;
    RG_TRY(rg_machine_for_run(&s->machine, s->config, NULL, NULL, log, err));
    const rg_task_context context = {.config = s->config,
                                     .ex = s->machine.ex,
                                     .log = log,
                                     .seed = s->machine.ex->seed,
                                     .loss_scale = loss_scale};
    RG_TRY(s->task->open(&context, &s->self, err));
    s->tally = calloc(1, sizeof *s->tally);
    if (!s->tally) return rg_fail(err, RG_ERR_NOMEM, "no memory for a tally");
    s->tally->real_bytes = 2;
    return RG_OK;
}

static void close_step(step *s)
{
    if (s->self) s->task->close(s->self);
    rg_machine_close(&s->machine);
    rg_config_free(s->config);
    free(s->schema);
    free(s->tally);
}

/* One micro-batch counts for all; then the update of every set of parameters. */
static rg_status count_step(step *s)
{
    rg_exec *ex = s->machine.ex;
    const int64_t micros = rg_config_int(s->config, "accumulate");
    rg_step_begin(ex, 0);
    RG_TRY(s->task->rehearse(s->self, true, s->task->items(s->self, true)));
    for (int32_t i = 0; i < s->tally->n; i++) {
        rg_tally_row *row = &s->tally->rows[i];
        row->calls *= micros;
        row->products *= (double)micros;
        row->other *= (double)micros;
        row->bytes *= (double)micros;
        row->chain *= (double)micros;
    }
    rg_adamw optimizer = rg_adamw_from_config(s->config);
    rg_scaler scaler = rg_scaler_make(false);
    rg_update update;
    for (rg_params *p = s->task->params(s->self); p; p = rg_params_companion(p))
        RG_TRY(rg_adamw_step(&optimizer, &scaler, p, ex, 0, 1, &update));
    return rg_exec_status(ex);
}

static rg_status tally_step(step *s, rg_error *err)
{
    rg_exec *ex = s->machine.ex;
    const rg_kernels *kernels = ex->kernels, counting = rg_kernels_idle(kernels);
    ex->kernels = &counting;
    ex->kernel_ctx.tally = s->tally;
    rg_set_recording(ex, true);
    rg_status status = count_step(s);
    ex->kernels = kernels;
    ex->kernel_ctx.tally = NULL;
    return status == RG_OK ? RG_OK : rg_fail(err, status, "%s", ex->error.text);
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

static void print(rg_text *out, const char *config, const step *s, const prediction *p)
{
    const rg_tally_row sum = sum_of(s->tally);
    const double mib = 1024.0 * 1024.0;
    rg_text_printf(out,
                   "%s: one training step, predicted from data sheets; nothing was measured\n"
                   "16-bit activations: %.2f GFLOP of products, %.2f GFLOP of other arithmetic, "
                   "%.2f GB moved\n"
                   "%lld kernels%s",
                   config, sum.products / 1e9, sum.other / 1e9, sum.bytes / 1e9,
                   (long long)sum.calls, sum.chain > 0 ? ", and " : "");
    if (sum.chain > 0)
        rg_text_printf(out, "%.0f steps of an LSTM that wait for each other", sum.chain);
    rg_text_printf(out, ": each microsecond that one takes to begin costs %.2f ms\n",
                   1e-3 * ((double)sum.calls + sum.chain));
    rg_text_printf(out, "memory: %.0f MiB for the model and its updates, %.0f MiB of %s\n\n",
                   s->memory.model / mib, s->memory.activations / mib, "activations in fp32");
    print_cards(out, p);
    for (int c = 0; c < CARDS; c++) print_largest(out, cards[c].name, &p[c]);
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

static rg_status print_json(rg_text *out, const char *config, const step *s, const prediction *p,
                            rg_error *err)
{
    const rg_tally_row sum = sum_of(s->tally);
    json_t *list = json_array();
    for (int c = 0; c < CARDS; c++) json_array_append_new(list, card_json(&cards[c], &p[c]));
    json_t *all =
        json_pack("{s:s, s:b, s:f, s:f, s:f, s:I, s:f, s:f, s:f, s:o}", "config", config,
                  "prediction", 1, "products_flop", sum.products, "other_flop", sum.other, "bytes",
                  sum.bytes, "kernels", (json_int_t)sum.calls, "chain", sum.chain, "model_bytes",
                  s->memory.model, "activation_bytes", s->memory.activations, "cards", list);
    char *text = all ? json_dumps(all, JSON_INDENT(2)) : NULL;
    if (text) rg_text_printf(out, "%s\n", text);
    free(text);
    json_decref(all);
    return text ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for a prediction");
}

static rg_status report(const step *s, const char *config, bool json, rg_text *out, rg_error *err)
{
    prediction *p = calloc(CARDS, sizeof *p);
    if (!p) return rg_fail(err, RG_ERR_NOMEM, "no memory for a prediction");
    for (int c = 0; c < CARDS; c++) predict(&cards[c], s->tally, &p[c]);
    rg_status status = RG_OK;
    if (json)
        status = print_json(out, config, s, p, err);
    else
        print(out, config, s, p);
    free(p);
    return status;
}

rg_status rg_roofline_run(const char *config_path, const char *const *overrides, size_t n,
                          bool json, rg_text *out, const rg_log *log, rg_error *err)
{
    const double loss_scale = 1;
    step s = {0};
    rg_status status = open_step(&s, config_path, overrides, n, &loss_scale, log, err);
    if (status == RG_OK) status = rg_memory_needed(s.task, s.self, s.machine.ex, &s.memory, err);
    if (status == RG_OK) status = tally_step(&s, err);
    if (status == RG_OK) status = report(&s, config_path, json, out, err);
    close_step(&s);
    return status;
}
