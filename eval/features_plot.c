/*
 * Drawing what was heard (features_plot.h).
 */
#include "eval/features_plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "eval/report/html.h"
#include "eval/report/plot.h"

/* A part is its plot and the line of the legend below it. */
enum { WIDTH = 840, PLOT = 260, PART = 280, ROW = 26, FRAME = 80, LABEL = 24 };
/* A stem has one colour in all of them. */
enum { HUE_OF_MIX = 1, HUE_OF_STEMS = 2, HUE_OF_TIME = 8 };

static int32_t hue_of(int32_t stem)
{
    return stem < 0 ? HUE_OF_MIX : HUE_OF_STEMS + stem % (HUE_OF_TIME - HUE_OF_STEMS);
}

/* ---- rows of spans ---- */

/* Times and labels of all rows, one behind the other. */
typedef struct rows {
    double *x, *y;
    char (*text)[LABEL];
    const char **labels;
    int64_t n;
    rg_plot plot;
} rows;

static void free_rows(rows *r)
{
    free(r->x);
    free(r->y);
    free(r->text);
    free(r->labels);
}

static rg_status alloc_rows(rows *r, const rg_features *f, rg_error *err)
{
    int64_t most = 1 + f->n_sections + f->n_chords + f->n_beats + f->mix.n_active;
    for (int32_t s = 0; s < f->n_stems; s++) most += f->stems[s].n_active;
    r->x = calloc((size_t)most, sizeof *r->x);
    r->y = calloc((size_t)most, sizeof *r->y);
    r->text = calloc((size_t)most, sizeof *r->text);
    r->labels = calloc((size_t)most, sizeof *r->labels);
    if (r->x && r->y && r->text && r->labels) return RG_OK;
    return rg_fail(err, RG_ERR_NOMEM, "no memory for a drawing");
}

static void begin_row(rows *r, const char *name, int32_t hue)
{
    r->plot.series[r->plot.n_series] = (rg_series){
        .name = name, .x = r->x + r->n, .y = r->y + r->n, .hue = hue, .labels = r->labels + r->n};
}

static char *add_span(rows *r, double start, double end)
{
    r->x[r->n] = start;
    r->y[r->n] = end;
    r->labels[r->n] = r->text[r->n];
    r->plot.series[r->plot.n_series].n++;
    return r->text[r->n++];
}

static void add_bars(rows *r, const rg_features *f)
{
    const rg_meter *m = &f->meter;
    if (!m->beats) return;
    for (int64_t i = m->first, bar = 1; i < f->n_beats; i += m->length, bar++) {
        const bool last = i + m->length >= f->n_beats;
        snprintf(add_span(r, f->beats_s[i], last ? f->duration_s : f->beats_s[i + m->length]),
                 LABEL, "%lld", (long long)bar);
    }
}

static void add_active(rows *r, const rg_features *f)
{
    for (int32_t s = f->n_stems ? 0 : -1; s < f->n_stems; s++) {
        const rg_heard *h = s < 0 ? &f->mix : &f->stems[s];
        if (r->plot.n_series == RG_PLOT_SERIES) return;
        begin_row(r, h->role, hue_of(s));
        for (int64_t i = 0; i < h->n_active; i++)
            add_span(r, h->active[i].start_s, h->active[i].end_s);
        r->plot.n_series++;
    }
}

static void fill_rows(rows *r, const rg_features *f)
{
    begin_row(r, "sections", HUE_OF_TIME);
    for (int64_t i = 0; i < f->n_sections; i++)
        snprintf(add_span(r, f->sections[i].start_s, f->sections[i].end_s), LABEL, "%lld",
                 (long long)i + 1);
    r->plot.n_series++;
    begin_row(r, "bars", HUE_OF_TIME);
    add_bars(r, f);
    r->plot.n_series++;
    begin_row(r, "chords", HUE_OF_TIME);
    for (int64_t i = 0; i < f->n_chords; i++)
        rg_chord_label(&f->chords[i], add_span(r, f->chords[i].start_s, f->chords[i].end_s));
    r->plot.n_series++;
    add_active(r, f);
}

/* "name: 120.0 bpm, 4 beats a bar, A minor, -14.2 LUFS", of what was heard. */
static void title_of(const rg_features *f, const char *name, char *out, size_t size)
{
    int n = rg_format(out, size, "%s:", name);
    if (f->tempi[0].bpm > 0 && n < (int)size)
        n += rg_format(out + n, size - (size_t)n, " %.1f bpm,", f->tempi[0].bpm);
    if (f->meter.beats && n < (int)size)
        n += rg_format(out + n, size - (size_t)n, " %d beats a bar,", f->meter.beats);
    if (f->n_keys && n < (int)size)
        n += rg_format(out + n, size - (size_t)n, " %s %s,", rg_pitch_name(f->keys[0].key.tonic),
                       f->keys[0].key.mode ? "minor" : "major");
    if (n >= (int)size) return;
    if (isfinite(f->loudness_lufs))
        rg_format(out + n, size - (size_t)n, " %.1f LUFS", f->loudness_lufs);
    else
        rg_format(out + n, size - (size_t)n, " silence");
}

/* What the rows take: sections, bars, chords, and where each stem plays. */
static int rows_height(const rg_features *f)
{
    const int n = 3 + (f->n_stems ? f->n_stems : 1);
    return FRAME + ROW * (n < RG_PLOT_SERIES ? n : RG_PLOT_SERIES);
}

static rg_status draw_rows(const rg_features *f, const char *name, rg_text *out, rg_error *err)
{
    char title[400];
    rows r = {.plot = {.kind = RG_PLOT_SPANS,
                       .title = title,
                       .x_label = "s",
                       .width = WIDTH,
                       .height = rows_height(f)}};
    rg_status status = alloc_rows(&r, f, err);
    if (status == RG_OK) {
        title_of(f, name, title, sizeof title);
        fill_rows(&r, f);
        rg_plot_draw(&r.plot, out);
    }
    free_rows(&r);
    return status;
}

/* ---- energy and rhythm ---- */

/* Means of a second each; the last point only ends the axis where the song ends. */
static void energy_line(const rg_features *f, const rg_heard *h, int64_t n, double *line)
{
    for (int64_t t = 0; t < n; t++) {
        double sum = 0;
        int64_t k = t * RG_ENERGY_RATE, seen = 0;
        for (; k < f->blocks && seen < RG_ENERGY_RATE; k++, seen++) sum += h->power[k];
        line[t] = sum > 1e-9 * (double)seen ? 10 * log10(sum / (double)seen) : NAN;
    }
    line[n] = NAN;
}

static rg_status draw_energy(const rg_features *f, rg_text *out, rg_error *err)
{
    const int64_t n = (f->blocks + RG_ENERGY_RATE - 1) / RG_ENERGY_RATE;
    double *x = calloc((size_t)((n + 1) * (RG_PLOT_SERIES + 1)), sizeof *x);
    rg_plot plot = {.kind = RG_PLOT_LINES,
                    .title = "Energy",
                    .x_label = "s",
                    .y_label = "dBFS",
                    .width = WIDTH,
                    .height = PLOT};
    if (!x) return rg_fail(err, RG_ERR_NOMEM, "no memory for a drawing");
    for (int64_t t = 0; t < n; t++) x[t] = (double)t + 0.5;
    if (n > 0) x[0] = 0;
    x[n] = f->duration_s;
    for (int32_t s = -1; s < f->n_stems && plot.n_series < RG_PLOT_SERIES; s++) {
        const rg_heard *h = s < 0 ? &f->mix : &f->stems[s];
        double *line = x + (plot.n_series + 1) * (n + 1);
        energy_line(f, h, n, line);
        plot.series[plot.n_series++] =
            (rg_series){.name = h->role, .hue = hue_of(s), .n = n + 1, .x = x, .y = line};
    }
    rg_plot_draw(&plot, out);
    free(x);
    return RG_OK;
}

static void draw_rhythm(const rg_features *f, rg_text *out)
{
    static const char *const steps[RG_PATTERN_STEPS] = {
        "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"};
    rg_plot plot = {.kind = RG_PLOT_BARS,
                    .title = "Onsets by sixteenth of a bar",
                    .y_label = "share",
                    .groups = steps,
                    .from_zero = true,
                    .width = WIDTH,
                    .height = PLOT};
    for (int32_t s = f->n_stems ? 0 : -1; s < f->n_stems && plot.n_series < RG_PLOT_SERIES; s++) {
        const rg_heard *h = s < 0 ? &f->mix : &f->stems[s];
        plot.series[plot.n_series++] =
            (rg_series){.name = h->role, .hue = hue_of(s), .n = RG_PATTERN_STEPS, .y = h->pattern};
    }
    rg_plot_draw(&plot, out);
}

/* ---- all of it ---- */

static void begin_part(rg_text *out, int y, int height)
{
    rg_text_printf(out, "<svg y=\"%d\" width=\"%d\" height=\"%d\">\n", y, WIDTH, height);
}

static rg_status draw(const rg_features *f, const char *name, rg_text *out, rg_error *err)
{
    const int top = rows_height(f), height = top + 2 * PART;
    rg_text_printf(out,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
                   "viewBox=\"0 0 %d %d\">\n<title>",
                   WIDTH, height, WIDTH, height);
    rg_html_escape(out, name);
    rg_text_add(out, "</title>\n");
    begin_part(out, 0, top);
    RG_TRY(draw_rows(f, name, out, err));
    rg_text_add(out, "</svg>\n");
    begin_part(out, top, PART);
    RG_TRY(draw_energy(f, out, err));
    rg_text_add(out, "</svg>\n");
    begin_part(out, top + PART, PART);
    draw_rhythm(f, out);
    rg_text_add(out, "</svg>\n</svg>\n");
    return rg_text_status(out, err);
}

rg_status rg_features_plot(const rg_features *features, const char *name, const char *path,
                           rg_error *err)
{
    rg_text out;
    rg_text_init(&out, (size_t)64 << 20);
    rg_status status = draw(features, name, &out, err);
    if (status == RG_OK) status = rg_fs_write_atomic(path, out.data, out.n, err);
    rg_text_free(&out);
    return status;
}
