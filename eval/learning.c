/*
 * Did it learn? Validation curves of a run and of those it began from, and a verdict on each.
 *
 * One idea: the trainer writes one value per song and curve with every validation; "it falls" is
 * said only when the paired difference over songs, from the first validation at step 100 or later
 * to the last one, excludes zero.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/internal.h"

enum {
    FIRST_STEP = 100,
    MAX_POINTS = 512,
    MAX_CURVES = 120,
    MAX_PLOTS = 24,
    MAX_SONGS = 4096,
    MAX_NAMED = 8
};

/* One curve of one run: points in order of steps; items (song -> value) borrowed from the lines. */
typedef struct curve {
    char name[96];
    int32_t run, n;
    double step[MAX_POINTS], offset;
    json_t *items[MAX_POINTS];
} curve;

typedef struct curves {
    int32_t n, n_runs;
    char folders[RG_EVAL_INITS][RG_EVAL_PATH];
    json_t *lines[RG_EVAL_INITS];
    double last_step[RG_EVAL_INITS];
    curve *all; /* MAX_CURVES */
} curves;

static void free_curves(curves *c)
{
    for (int32_t i = 0; i < c->n_runs; i++) json_decref(c->lines[i]);
    free(c->all);
}

static curve *curve_of(curves *c, int32_t run, const char *name)
{
    for (int32_t i = 0; i < c->n; i++)
        if (c->all[i].run == run && strcmp(c->all[i].name, name) == 0) return &c->all[i];
    if (c->n == MAX_CURVES) return NULL;
    curve *fresh = &c->all[c->n++];
    rg_copy_text(fresh->name, sizeof fresh->name, name);
    fresh->run = run;
    return fresh;
}

static void take_line(curves *c, int32_t run, json_t *line)
{
    const char *kind = json_string_value(json_object_get(line, "kind")), *name;
    double step = json_number_value(json_object_get(line, "step"));
    json_t *items;
    if (step > c->last_step[run]) c->last_step[run] = step;
    if (!kind || strcmp(kind, "valid") != 0) return;
    json_object_foreach(json_object_get(line, "items"), name, items)
    {
        curve *to = curve_of(c, run, name);
        if (!to || to->n == MAX_POINTS || !json_is_object(items)) continue;
        to->step[to->n] = step;
        to->items[to->n++] = items;
    }
}

static rg_status read_curves(const rg_run_files *run, curves *c, rg_error *err)
{
    int32_t n = 0;
    RG_TRY(rg_run_files_inits(run, c->folders, &n, err));
    c->all = calloc(MAX_CURVES, sizeof *c->all);
    if (!c->all) return rg_fail(err, RG_ERR_NOMEM, "no memory for learning curves");
    for (; c->n_runs < n; c->n_runs++) {
        json_t *line;
        size_t i;
        c->lines[c->n_runs] = rg_run_files_metrics(c->folders[c->n_runs], err);
        if (!c->lines[c->n_runs]) return err->code;
        json_array_foreach(c->lines[c->n_runs], i, line) take_line(c, c->n_runs, line);
    }
    for (int32_t i = 0; i < c->n; i++)
        for (int32_t r = 0; r < c->all[i].run; r++) c->all[i].offset += c->last_step[r];
    return RG_OK;
}

/* ---- a curve ---- */

static bool higher_is_better(const char *name)
{
    return strstr(name, "si_sdr") || strstr(name, "snr") || strstr(name, "accuracy");
}

static int64_t values_of(const json_t *items, double *out, int64_t capacity)
{
    const char *song;
    json_t *value;
    int64_t n = 0;
    json_object_foreach((json_t *)items, song, value) if (n < capacity && json_is_number(value))
        out[n++] = json_number_value(value);
    return n;
}

static rg_interval at_point(const json_t *items, uint64_t seed)
{
    double values[MAX_SONGS];
    return rg_bootstrap(values, values_of(items, values, MAX_SONGS), seed);
}

/* later - earlier over the songs that both have. */
static rg_interval between(const json_t *earlier, const json_t *later, uint64_t seed)
{
    double a[MAX_SONGS], b[MAX_SONGS];
    const char *song;
    json_t *value;
    int64_t n = 0;
    json_object_foreach((json_t *)later, song, value)
    {
        const json_t *before = json_object_get(earlier, song);
        if (n == MAX_SONGS || !json_is_number(value) || !json_is_number(before)) continue;
        a[n] = json_number_value(value);
        b[n++] = json_number_value(before);
    }
    return rg_bootstrap_paired(a, b, n, seed);
}

/* The point from which the curve must get better; -1 when there are not two of them. */
static int32_t first_point(const curve *c)
{
    for (int32_t i = 0; i + 1 < c->n; i++)
        if (c->step[i] >= FIRST_STEP) return i;
    return -1;
}

typedef enum outcome { LEARNT, UNSURE, FAILED, TOO_SHORT } outcome;

static outcome judge(const curve *c, uint64_t seed, rg_interval *difference)
{
    int32_t first = first_point(c);
    *difference = (rg_interval){NAN, NAN, NAN, 0};
    if (first < 0) return TOO_SHORT;
    *difference = between(c->items[first], c->items[c->n - 1], seed);
    bool better = higher_is_better(c->name) ? difference->mean > 0 : difference->mean < 0;
    if (!better) return FAILED;
    return rg_interval_excludes_zero(*difference) ? LEARNT : UNSURE;
}

static const char *label_of(const curves *all, const curve *c, char out[128])
{
    if (all->n_runs > 1)
        rg_format(out, 128, "%s (run %d)", c->name, c->run + 1);
    else
        rg_format(out, 128, "%s", c->name);
    return out;
}

static void add_table(evaluation *e, const curves *all)
{
    static const char *const words[] = {"yes", "not surely", "no", "too few validations"};
    static const rg_verdict marks[] = {RG_GOOD, RG_NOTE, RG_BAD, RG_NOTE};
    rg_table *table = rg_report_table(
        e->report, "learning",
        "Every validation curve: value at the first validation at step 100 or later, at the last "
        "one, and the paired difference over the same songs. A curve got better only when its "
        "interval excludes 0.");
    int32_t first = rg_table_column(table, "first", "First", "", RG_NO_DIRECTION, 3),
            last = rg_table_column(table, "last", "Last", "", RG_NO_DIRECTION, 3),
            change = rg_table_column(table, "change", "Change", "", RG_NO_DIRECTION, 3),
            steps = rg_table_column(table, "steps", "Steps", "", RG_NO_DIRECTION, 0),
            verdict = rg_table_column(table, "better", "Better", "", RG_NO_DIRECTION, 0);
    for (int32_t i = 0; i < all->n; i++) {
        const curve *c = &all->all[i];
        char label[128];
        rg_interval d;
        int32_t start = first_point(c),
                row = rg_table_row(table, RG_ROW_PLAIN, "%s", label_of(all, c, label));
        outcome o = judge(c, e->options.seed, &d);
        if (start >= 0)
            rg_table_interval(table, row, first, at_point(c->items[start], e->options.seed));
        rg_table_interval(table, row, last, at_point(c->items[c->n - 1], e->options.seed));
        rg_table_interval(table, row, change, d);
        rg_table_text(table, row, steps, "%.0f–%.0f", start >= 0 ? c->step[start] : c->step[0],
                      c->step[c->n - 1]);
        rg_table_text(table, row, verdict, "%s", words[o]);
        rg_table_mark(table, row, verdict, marks[o]);
    }
}

static void add_verdict(evaluation *e, const curves *all)
{
    char names[1200] = "", label[128];
    int32_t count[4] = {0}, named = 0;
    rg_interval d;
    for (int32_t i = 0; i < all->n; i++) {
        outcome o = judge(&all->all[i], e->options.seed, &d);
        count[o]++;
        if (o == LEARNT) continue;
        size_t used = strlen(names);
        if (++named > MAX_NAMED) continue;
        rg_format(names + used, sizeof names - used, "%s%s", used ? ", " : "",
                  label_of(all, &all->all[i], label));
    }
    if (count[LEARNT] == all->n)
        rg_report_verdict(e->report, RG_GOOD,
                          "All %d validation curves got better from step %d on (95 %% interval of "
                          "the paired difference over songs).",
                          all->n, FIRST_STEP);
    else
        rg_report_verdict(e->report, count[FAILED] ? RG_BAD : RG_NOTE,
                          "%d of %d validation curves surely got better from step %d on; %d did "
                          "not, %d not surely, %d have too few validations. Not sure: %s%s.",
                          count[LEARNT], all->n, FIRST_STEP, count[FAILED], count[UNSURE],
                          count[TOO_SHORT], names, named > MAX_NAMED ? " and more" : "");
}

/* ---- plots ---- */

/* The curves of one name over all runs, one series each, steps counted on. */
static void plot_name(evaluation *e, const curves *all, const char *name, double *room)
{
    rg_plot plot = {.title = name, .x_label = "step", .y_label = ""};
    char id[128] = "curve-", labels[RG_EVAL_INITS][32];
    for (size_t i = 0; i < 100 && name[i]; i++) {
        size_t at = strlen(id);
        id[at] = strchr("/ .", name[i]) ? '-' : name[i];
        id[at + 1] = 0;
    }
    double *next = room;
    for (int32_t i = 0; i < all->n && plot.n_series < RG_EVAL_INITS; i++) {
        const curve *c = &all->all[i];
        if (strcmp(c->name, name) != 0) continue;
        double *x = next, *y = x + c->n, *low = y + c->n, *high = low + c->n;
        next = high + c->n;
        for (int32_t k = 0; k < c->n; k++) {
            rg_interval v = at_point(c->items[k], e->options.seed);
            x[k] = c->offset + c->step[k];
            y[k] = v.mean;
            low[k] = v.low;
            high[k] = v.high;
        }
        rg_format(labels[plot.n_series], sizeof labels[0], "run %d", c->run + 1);
        plot.series[plot.n_series] =
            (rg_series){.name = all->n_runs > 1 ? labels[plot.n_series] : NULL,
                        .n = c->n,
                        .x = x,
                        .y = y,
                        .low = low,
                        .high = high};
        plot.n_series++;
    }
    rg_report_plot(e->report, id, &plot, "");
}

static rg_status add_plots(evaluation *e, const curves *all, rg_error *err)
{
    double *room = malloc(sizeof(double) * 4 * MAX_POINTS * RG_EVAL_INITS);
    if (!room) return rg_fail(err, RG_ERR_NOMEM, "no memory for learning curves");
    int32_t plots = 0;
    for (int32_t i = 0; i < all->n && plots < MAX_PLOTS; i++) {
        bool seen = false;
        for (int32_t k = 0; k < i; k++) seen |= strcmp(all->all[k].name, all->all[i].name) == 0;
        if (seen || all->all[i].n < 2) continue;
        plot_name(e, all, all->all[i].name, room);
        plots++;
    }
    free(room);
    return RG_OK;
}

static void name_runs(evaluation *e, const curves *all)
{
    for (int32_t i = 0; i < all->n_runs && all->n_runs > 1; i++) {
        const char *slash = strrchr(all->folders[i], '/');
        rg_report_text(e->report, "Run %d: %s, %.0f steps.", i + 1,
                       slash ? slash + 1 : all->folders[i], all->last_step[i]);
    }
}

rg_status rg__learning_section(evaluation *e, rg_error *err)
{
    curves all = {0};
    rg_status status = read_curves(&e->run, &all, err);
    if (status == RG_OK && all.n == 0) {
        rg_report_section(e->report, "learning", "Learning");
        rg_report_text(e->report, "The run has no validation values per song.");
    } else if (status == RG_OK) {
        rg_report_section(e->report, "headline", "In short");
        add_verdict(e, &all);
        rg_report_section(e->report, "learning", "Learning");
        rg_report_text(e->report,
                       "Validation on fixed crops of held-out songs; bands are 95 %% intervals "
                       "over songs.");
        name_runs(e, &all);
        status = add_plots(e, &all, err);
        add_table(e, &all);
    }
    free_curves(&all);
    return status;
}
