/*
 * Building a report: header, sections, verdicts, figures (report.h).
 */
#include "eval/report/report.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "eval/report/html.h"
#include "eval/report/internal.h"
#include "eval/report/picture.h"

rg_report *rg_report_create(const char *folder, const char *title, rg_error *err)
{
    rg_report *report = calloc(1, sizeof *report);
    if (report) report->sections = calloc(MAX_SECTIONS, sizeof *report->sections);
    if (!report || !report->sections) {
        free(report);
        rg_fail(err, RG_ERR_NOMEM, "no memory for a report");
        return NULL;
    }
    rg_copy_text(report->title, sizeof report->title, title);
    report->facts = json_object();
    report->verdicts = json_array();
    rg_text_init(&report->details, BODY_LIMIT);
    rg_text_init(&report->items, BODY_LIMIT);
    rg_text_add(&report->items, "item,role,metric,value\n");
    if (!rg_copy_text(report->folder, sizeof report->folder, folder))
        rg_fail(err, RG_ERR_USAGE, "%s: the path is too long for a report", folder);
    else if (rg_fs_make_folders(folder, err) == RG_OK)
        return report;
    rg_report_abandon(report);
    return NULL;
}

void rg_report_abandon(rg_report *report)
{
    if (!report) return;
    for (int32_t i = 0; i < report->n_sections; i++) {
        section *s = &report->sections[i];
        rg_text_free(&s->body);
        rg_text_free(&s->verdicts);
        for (int32_t t = 0; t < s->n_tables; t++) {
            free(s->tables[t]->rows);
            free(s->tables[t]);
        }
    }
    free(report->sections);
    json_decref(report->facts);
    json_decref(report->verdicts);
    rg_text_free(&report->details);
    rg_text_free(&report->items);
    free(report);
}

/* ---- header ---- */

void rg_report_fact(rg_report *report, const char *name, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    rg_vformat(text, sizeof text, fmt, args);
    va_end(args);
    json_object_set_new(report->facts, name, json_string(text));
}

void rg_report_details(rg_report *report, const char *name, const char *text)
{
    rg_text_add(&report->details, "<details><summary>");
    rg_html_escape(&report->details, name);
    rg_text_add(&report->details, "</summary><pre>");
    rg_html_escape(&report->details, text);
    rg_text_add(&report->details, "</pre></details>\n");
}

/* ---- body ---- */

void rg_report_section(rg_report *report, const char *id, const char *title)
{
    for (int32_t i = 0; i < report->n_sections; i++)
        if (strcmp(report->sections[i].id, id) == 0) {
            report->current = i;
            return;
        }
    if (report->n_sections == MAX_SECTIONS) {
        rg_fail(&report->error, RG_ERR_UNSUPPORTED, "a report has at most %d sections",
                MAX_SECTIONS);
        return;
    }
    report->current = report->n_sections++;
    section *s = &report->sections[report->current];
    rg_copy_text(s->id, sizeof s->id, id);
    rg_copy_text(s->title, sizeof s->title, title);
    rg_text_init(&s->body, BODY_LIMIT);
    rg_text_init(&s->verdicts, BODY_LIMIT);
}

section *rg__section(rg_report *report)
{
    if (report->n_sections == 0) rg_report_section(report, "main", "Results");
    return &report->sections[report->current];
}

void rg__end_figures(section *s)
{
    if (s->in_figures) rg_text_add(&s->body, "</div>\n");
    s->in_figures = false;
}

static void add_element(rg_report *report, const char *open, const char *close, const char *fmt,
                        va_list args)
{
    char text[2048];
    section *s = rg__section(report);
    rg__end_figures(s);
    rg_vformat(text, sizeof text, fmt, args);
    rg_text_add(&s->body, open);
    rg_html_escape(&s->body, text);
    rg_text_add(&s->body, close);
}

void rg_report_text(rg_report *report, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add_element(report, "<p>", "</p>\n", fmt, args);
    va_end(args);
}

void rg_report_heading(rg_report *report, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add_element(report, "<h3>", "</h3>\n", fmt, args);
    va_end(args);
}

void rg_report_verdict(rg_report *report, rg_verdict verdict, const char *fmt, ...)
{
    static const char *const names[] = {[RG_GOOD] = "good", [RG_NOTE] = "note", [RG_BAD] = "bad"};
    static const char *const signs[] = {[RG_GOOD] = "✓ ", [RG_NOTE] = "• ", [RG_BAD] = "✗ "};
    char text[2048], open[64];
    section *s = rg__section(report);
    va_list args;
    va_start(args, fmt);
    rg_vformat(text, sizeof text, fmt, args);
    va_end(args);
    rg_format(open, sizeof open, "<p class=\"verdict %s\">%s", names[verdict], signs[verdict]);
    rg_text_add(&s->verdicts, open);
    rg_html_escape(&s->verdicts, text);
    rg_text_add(&s->verdicts, "</p>\n");
    json_t *entry = json_object();
    json_object_set_new(entry, "section", json_string(s->id));
    json_object_set_new(entry, "verdict", json_string(names[verdict]));
    json_object_set_new(entry, "text", json_string(text));
    json_array_append_new(report->verdicts, entry);
}

/* ---- items ---- */

/* A CSV field; quoted when it has to be. */
static void csv_field(rg_text *out, const char *s)
{
    if (!strpbrk(s, ",\"\n\r")) {
        rg_text_add(out, s);
        return;
    }
    rg_text_add(out, "\"");
    for (; *s; s++) {
        if (*s == '"') rg_text_add(out, "\"");
        rg_text_add_n(out, s, 1);
    }
    rg_text_add(out, "\"");
}

void rg_report_item(rg_report *report, const char *item, const char *role, const char *metric,
                    double value)
{
    char number[32];
    csv_field(&report->items, item);
    rg_text_add(&report->items, ",");
    csv_field(&report->items, role);
    rg_text_add(&report->items, ",");
    csv_field(&report->items, metric);
    rg_text_printf(&report->items, ",%s\n", isfinite(value) ? rg_format_double(value, number) : "");
}

/* ---- figures ---- */

static void begin_figure(section *s)
{
    if (!s->in_figures) rg_text_add(&s->body, "<div class=\"figures\">\n");
    s->in_figures = true;
    rg_text_add(&s->body, "<figure>");
}

static void end_figure(section *s, const char *caption)
{
    if (caption && caption[0]) {
        rg_text_add(&s->body, "<figcaption>");
        rg_html_escape(&s->body, caption);
        rg_text_add(&s->body, "</figcaption>");
    }
    rg_text_add(&s->body, "</figure>\n");
}

/* A file that stands alone has no page to take its colours from. */
static rg_status write_svg(rg_report *report, const char *id, const char *svg, rg_error *err)
{
    char name[96], path[REPORT_PATH + 128];
    rg_text file;
    rg_format(name, sizeof name, "plots/%s.svg", id);
    RG_TRY(rg_fs_join(path, sizeof path, report->folder, "plots", err));
    RG_TRY(rg_fs_make_folders(path, err));
    RG_TRY(rg_fs_join(path, sizeof path, report->folder, name, err));
    rg_text_init(&file, BODY_LIMIT);
    rg_text_add(&file, "<svg style=\"color:#1d2733;background:#fff\"");
    rg_text_add(&file, svg + strlen("<svg"));
    rg_status status = rg_text_status(&file, err);
    if (status == RG_OK) status = rg_fs_write_atomic(path, file.data, file.n, err);
    rg_text_free(&file);
    return status;
}

static void add_drawing(rg_report *report, const char *id, const rg_text *svg, const char *caption)
{
    section *s = rg__section(report);
    if (rg_text_status(svg, &report->error) != RG_OK ||
        write_svg(report, id, svg->data, &report->error) != RG_OK)
        return;
    begin_figure(s);
    rg_text_add(&s->body, svg->data);
    end_figure(s, caption);
}

void rg_report_plot(rg_report *report, const char *id, const rg_plot *plot, const char *caption)
{
    rg_text svg;
    rg_text_init(&svg, BODY_LIMIT);
    rg_plot_draw(plot, &svg);
    add_drawing(report, id, &svg, caption);
    rg_text_free(&svg);
}

/* ---- spectrograms ---- */

static void add_spectrogram(rg_report *report, const char *id, const char *part,
                            const rg_spectrogram *s, const rg_color_scale *scale, const char *title)
{
    char name[96];
    rg_text svg;
    rg_text_init(&svg, BODY_LIMIT);
    rg_format(name, sizeof name, "%s-%s", id, part);
    if (rg_spectrogram_draw(s, scale, title, &svg, &report->error) == RG_OK)
        add_drawing(report, name, &svg, "");
    rg_text_free(&svg);
}

/* a = b - a. What lies below the scale counts as its lower end: nobody hears that it differs. */
static void subtract(rg_spectrogram *a, const rg_spectrogram *b, float lowest)
{
    if (a->frames != b->frames) return;
    for (int64_t i = 0; i < (int64_t)a->bands * a->frames; i++)
        a->db[i] = fmaxf(b->db[i], lowest) - fmaxf(a->db[i], lowest);
}

void rg_report_spectrograms(rg_report *report, const char *id, const char *caption,
                            const rg_audio *a, const char *a_name, const rg_audio *b,
                            const char *b_name)
{
    enum { RANGE = 70, APART = 20 };
    char title[96];
    rg_spectrogram sa = {0}, sb = {0};
    rg__end_figures(rg__section(report));
    rg_report_text(report, "%s", caption);
    if (rg_spectrogram_make(a, &sa, &report->error) == RG_OK &&
        rg_spectrogram_make(b, &sb, &report->error) == RG_OK) {
        double top = -90 + RANGE;
        for (int64_t i = 0; i < (int64_t)sa.bands * sa.frames; i++) top = fmax(top, sa.db[i]);
        rg_color_scale same = {10 * ceil(top / 10) - RANGE, 10 * ceil(top / 10), false},
                       apart = {-APART, APART, true};
        add_spectrogram(report, id, "a", &sa, &same, a_name);
        add_spectrogram(report, id, "b", &sb, &same, b_name);
        rg_format(title, sizeof title, "%s minus %s", b_name, a_name);
        subtract(&sa, &sb, (float)same.low);
        add_spectrogram(report, id, "difference", &sa, &apart, title);
    }
    rg_spectrogram_free(&sa);
    rg_spectrogram_free(&sb);
    rg__end_figures(rg__section(report));
}
