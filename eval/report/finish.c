/*
 * Writing a report's files, index.html last (report.h).
 */
#include <string.h>

#include "base/fs.h"
#include "base/json.h"
#include "eval/report/html.h"
#include "eval/report/internal.h"

static rg_status write_text(const rg_report *report, const char *name, rg_text *text, rg_error *err)
{
    char path[REPORT_PATH + 64];
    rg_status status = rg_text_status(text, err);
    if (status == RG_OK) status = rg_fs_join(path, sizeof path, report->folder, name, err);
    if (status == RG_OK) status = rg_fs_write_atomic(path, text->data, text->n, err);
    rg_text_free(text);
    return status;
}

typedef void table_fn(const rg_table *table, rg_text *out);

static void each_table(const rg_report *report, table_fn *fn, rg_text *out)
{
    for (int32_t i = 0; i < report->n_sections; i++)
        for (int32_t t = 0; t < report->sections[i].n_tables; t++)
            fn(report->sections[i].tables[t], out);
}

static rg_status write_json(const rg_report *report, rg_error *err)
{
    char path[REPORT_PATH + 64];
    json_t *root = json_object(), *tables = json_object();
    for (int32_t i = 0; i < report->n_sections; i++)
        for (int32_t t = 0; t < report->sections[i].n_tables; t++) {
            const rg_table *table = report->sections[i].tables[t];
            json_object_set_new(tables, table->id, rg__table_json(table));
        }
    json_object_set_new(root, "format", json_string("ResonantGen-Report"));
    json_object_set_new(root, "version", json_sprintf("%d.%d", RG_REPORT_MAJOR, RG_REPORT_MINOR));
    json_object_set_new(root, "title", json_string(report->title));
    json_object_set(root, "facts", report->facts);
    json_object_set_new(root, "tables", tables);
    json_object_set(root, "verdicts", report->verdicts);
    rg_status status = rg_fs_join(path, sizeof path, report->folder, "metrics.json", err);
    if (status == RG_OK) status = rg_json_write(root, path, err);
    json_decref(root);
    return status;
}

static rg_status write_csv(const rg_report *report, rg_error *err)
{
    rg_text out;
    rg_text_init(&out, BODY_LIMIT);
    rg_text_add(&out, "table,row,column,value,low,high,n\n");
    each_table(report, rg__table_csv, &out);
    return write_text(report, "metrics.csv", &out, err);
}

static rg_status write_markdown(const rg_report *report, rg_error *err)
{
    rg_text out;
    const char *name;
    json_t *value;
    rg_text_init(&out, BODY_LIMIT);
    rg_text_printf(&out, "# %s\n\n", report->title);
    json_object_foreach(report->facts, name, value)
        rg_text_printf(&out, "- %s: %s\n", name, json_string_value(value));
    for (int32_t i = 0; i < report->n_sections; i++) {
        const section *s = &report->sections[i];
        size_t k;
        rg_text_printf(&out, "\n## %s\n", s->title);
        json_array_foreach(
            report->verdicts, k,
            value) if (strcmp(json_string_value(json_object_get(value, "section")), s->id) == 0)
            rg_text_printf(&out, "\n- **%s**: %s",
                           json_string_value(json_object_get(value, "verdict")),
                           json_string_value(json_object_get(value, "text")));
        rg_text_add(&out, "\n");
        for (int32_t t = 0; t < s->n_tables; t++) rg__table_markdown(s->tables[t], &out);
    }
    return write_text(report, "RESULTS.md", &out, err);
}

/* ---- the page ---- */

static void add_lines(rg_text *out, const char *const *lines)
{
    for (; *lines; lines++) {
        rg_text_add(out, *lines);
        rg_text_add(out, "\n");
    }
}

static void add_header(const rg_report *report, rg_text *out)
{
    const char *name;
    json_t *value;
    rg_text_add(out,
                "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>");
    rg_html_escape(out, report->title);
    rg_text_add(out, "</title><style>\n");
    add_lines(out, rg__page_style);
    rg_text_add(out, "</style></head><body>\n<header><h1>");
    rg_html_escape(out, report->title);
    rg_text_add(out, "</h1>\n<dl class=\"facts\">\n");
    json_object_foreach(report->facts, name, value)
    {
        rg_text_add(out, "<dt>");
        rg_html_escape(out, name);
        rg_text_add(out, "</dt><dd>");
        rg_html_escape(out, json_string_value(value));
        rg_text_add(out, "</dd>\n");
    }
    rg_text_add(out, "</dl>\n");
    if (report->details.data) rg_text_add(out, report->details.data);
    rg_text_add(out, "</header>\n<nav><div>");
    for (int32_t i = 0; i < report->n_sections; i++) {
        rg_text_printf(out, "<a href=\"#%s\">", report->sections[i].id);
        rg_html_escape(out, report->sections[i].title);
        rg_text_add(out, "</a>");
    }
    rg_text_add(out, "</div></nav>\n<main>\n");
}

static void add_section(const section *s, rg_text *out)
{
    size_t at = 0;
    rg_text_printf(out, "<section id=\"%s\"><h2>", s->id);
    rg_html_escape(out, s->title);
    rg_text_add(out, "</h2>\n");
    if (s->verdicts.data) rg_text_add(out, s->verdicts.data);
    for (int32_t t = 0; t < s->n_tables; t++) {
        rg_text_add_n(out, s->body.data ? s->body.data + at : "", s->break_at[t] - at);
        at = s->break_at[t];
        rg__table_html(s->tables[t], out);
    }
    if (s->body.n > at) rg_text_add_n(out, s->body.data + at, s->body.n - at);
    rg_text_add(out, "</section>\n");
}

static rg_status write_page(rg_report *report, rg_error *err)
{
    rg_text out;
    rg_text_init(&out, 2 * BODY_LIMIT);
    add_header(report, &out);
    for (int32_t i = 0; i < report->n_sections; i++) {
        rg__end_figures(&report->sections[i]);
        add_section(&report->sections[i], &out);
    }
    rg_text_add(&out, "</main>\n<footer>Small numbers below a value: 95 % interval, bootstrap over "
                      "songs. Arrows: ↑ higher is better, ↓ lower is better. The same numbers: "
                      "metrics.json, metrics.csv, per_item.csv, RESULTS.md.</footer>\n<script>\n");
    add_lines(&out, rg__page_script);
    rg_text_add(&out, "</script></body></html>\n");
    return write_text(report, "index.html", &out, err);
}

static rg_status write_all(rg_report *report, rg_error *err)
{
    if (report->error.code) return rg_fail(err, report->error.code, "%s", report->error.text);
    for (int32_t i = 0; i < report->n_sections; i++) {
        RG_TRY(rg_text_status(&report->sections[i].body, err));
        RG_TRY(rg_text_status(&report->sections[i].verdicts, err));
    }
    RG_TRY(write_json(report, err));
    RG_TRY(write_csv(report, err));
    RG_TRY(write_text(report, "per_item.csv", &report->items, err));
    RG_TRY(write_markdown(report, err));
    return write_page(report, err);
}

rg_status rg_report_finish(rg_report *report, rg_error *err)
{
    rg_status status = write_all(report, err);
    rg_report_abandon(report);
    return status;
}
