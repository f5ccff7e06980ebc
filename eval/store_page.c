/*
 * A store's page: its frame, and small pieces of HTML (store_page.h).
 *
 * One idea: a section is a row of a table: its name and the function that writes it.
 */
#include "eval/store_page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/rng.h"
#include "eval/report/internal.h"
#include "eval/store_page_internal.h"

enum { STREAM_SONGS = 0x70616765 };

/* ---- draws and quantiles ---- */

int64_t *rg__page_draw(const rg__page *p, int32_t role, int64_t most, int64_t *n)
{
    int64_t all = 0, songs = rg_store_songs(p->store);
    int64_t *drawn = malloc((size_t)songs * sizeof *drawn);
    rg_rng rng = rg_rng_make(p->seed, rg_rng_stream(STREAM_SONGS, (uint64_t)role + 1, 0));
    for (int64_t i = 0; drawn && i < songs; i++)
        if (role < 0 || rg_store_song(p->store, i)->present[role]) drawn[all++] = i;
    *n = all < most ? all : most;
    for (int64_t i = 0; drawn && i < *n; i++) {
        int64_t j = i + (int64_t)rg_rng_below(&rng, (uint64_t)(all - i)), song = drawn[j];
        drawn[j] = drawn[i];
        drawn[i] = song;
    }
    return drawn;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

void rg__page_sort(double *values, int64_t n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
}

double rg__page_quantile(const double *sorted, int64_t n, double q)
{
    return sorted[(int64_t)round(q * (double)(n - 1))];
}

/* ---- pieces ---- */

void rg__page_begin_figures(rg__page *p)
{
    rg_text_add(&p->out, "<div class=\"figures\">\n");
}

void rg__page_end_figures(rg__page *p)
{
    rg_text_add(&p->out, "</div>\n");
}

void rg__page_figure(rg__page *p, const rg_plot *plot, const char *caption)
{
    rg_text_add(&p->out, "<figure>");
    rg_plot_draw(plot, &p->out);
    rg_text_add(&p->out, "<figcaption>");
    rg_html_escape(&p->out, caption);
    rg_text_add(&p->out, "</figcaption></figure>\n");
}

void rg__page_begin_table(rg__page *p, const char *caption, const char *const *titles)
{
    rg_text_add(&p->out, "<div class=\"scroll\"><table><caption>");
    rg_html_escape(&p->out, caption);
    rg_text_add(&p->out, "</caption><thead><tr>");
    for (; *titles; titles++) {
        rg_text_add(&p->out, "<th>");
        rg_html_escape(&p->out, *titles);
        rg_text_add(&p->out, "</th>");
    }
    rg_text_add(&p->out, "</tr></thead><tbody>");
}

void rg__page_row(rg__page *p, const char *name)
{
    rg_text_add(&p->out, "<tr><th>");
    rg_html_escape(&p->out, name);
    rg_text_add(&p->out, "</th>");
}

void rg__page_cell(rg__page *p, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    rg_vformat(text, sizeof text, fmt, args);
    va_end(args);
    rg_text_add(&p->out, "<td>");
    rg_html_escape(&p->out, text);
    rg_text_add(&p->out, "</td>");
}

void rg__page_end_table(rg__page *p)
{
    rg_text_add(&p->out, "</tbody></table></div>\n");
}

/* ---- the frame ---- */

static const struct {
    const char *id, *title;
    rg_status (*write)(rg__page *p, rg_error *err);
} sections[] = {
    {"hours", "Hours", rg__page_hours},    {"labels", "Tempo and key", rg__page_labels},
    {"levels", "Levels", rg__page_levels}, {"bands", "Frequencies", rg__page_bands},
    {"songs", "Songs", rg__page_songs},    {"warnings", "Warnings", rg__page_warnings},
};
enum { SECTIONS = sizeof sections / sizeof sections[0] };

static void add_text(rg__page *p, const char *name, const char *text)
{
    rg_text_printf(&p->out, "<dt>%s</dt><dd>", name);
    rg_html_escape(&p->out, text);
    rg_text_add(&p->out, "</dd>\n");
}

static void add_fact(rg__page *p, const char *name, const char *fmt, ...) RG_PRINTF(3, 4);
static void add_fact(rg__page *p, const char *name, const char *fmt, ...)
{
    char text[1200];
    va_list args;
    va_start(args, fmt);
    rg_vformat(text, sizeof text, fmt, args);
    va_end(args);
    add_text(p, name, text);
}

static void add_counts(rg__page *p, const char *name, const json_t *counts)
{
    const char *what;
    json_t *n;
    rg_text line;
    rg_text_init(&line, 1 << 16);
    json_object_foreach((json_t *)counts, what, n) rg_text_printf(
        &line, "%s%s %lld", line.n ? ", " : "", what, (long long)json_integer_value(n));
    add_text(p, name, line.data ? line.data : "");
    rg_text_free(&line);
}

static void add_lines(rg_text *out, const char *const *lines)
{
    for (; *lines; lines++) rg_text_add(out, *lines);
}

static rg_status add_header(rg__page *p, rg_error *err)
{
    json_t *d = rg_store_describe_json(p->store);
    if (!d) return rg_fail(err, RG_ERR_NOMEM, "no memory to describe the store");
    const char *name = rg_fs_base_name(rg_store_folder(p->store));
    rg_text_add(&p->out,
                "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>");
    rg_html_escape(&p->out, name);
    rg_text_add(&p->out, "</title><style>\n");
    add_lines(&p->out, rg__page_style);
    rg_text_add(&p->out,
                ".wave{flex:1;min-width:300px;height:56px;color:var(--accent)}"
                ".stem>span{width:150px}figure{max-width:640px}"
                "thead th:first-child{text-align:left}ul.warnings{font-size:14px;max-height:420px;"
                "overflow:auto}</style></head><body>\n<header><h1>Stem store ");
    rg_html_escape(&p->out, name);
    rg_text_add(&p->out, "</h1><dl class=\"facts\">\n");
    add_fact(p, "songs", "%lld, %.2f hours", (long long)rg_store_songs(p->store),
             json_number_value(json_object_get(d, "hours")));
    add_fact(p, "stems", "%d roles, %d Hz, 16 bit%s", (int)rg_store_roles(p->store),
             (int)rg_store_rate(p->store), rg_store_channels(p->store) > 1 ? ", stereo" : "");
    add_counts(p, "from", json_object_get(d, "packages"));
    add_counts(p, "genres", json_object_get(d, "genres"));
    add_counts(p, "licences", json_object_get(d, "licenses"));
    add_text(p, "hash", rg_store_hash(p->store));
    rg_text_add(&p->out, "</dl></header>\n<nav><div>");
    for (int i = 0; i < SECTIONS; i++)
        rg_text_printf(&p->out, "<a href=\"#%s\">%s</a>", sections[i].id, sections[i].title);
    rg_text_add(&p->out, "</div></nav>\n<main>\n");
    json_decref(d);
    return RG_OK;
}

static rg_status write_page(rg__page *p, rg_error *err)
{
    RG_TRY(add_header(p, err));
    for (int i = 0; i < SECTIONS; i++) {
        rg_text_printf(&p->out, "<section id=\"%s\"><h2>%s</h2>\n", sections[i].id,
                       sections[i].title);
        RG_TRY(sections[i].write(p, err));
        rg_text_add(&p->out, "</section>\n");
    }
    rg_text_add(&p->out, "</main>\n<script>\n");
    add_lines(&p->out, rg__page_script);
    rg_text_add(&p->out, "</script></body></html>\n");
    RG_TRY(rg_text_status(&p->out, err));
    return rg_fs_write_atomic(p->path, p->out.data, p->out.n, err);
}

rg_status rg_store_page(const rg_store *store, const char *path, uint64_t seed, rg_error *err)
{
    rg__page p = {.store = store, .path = path, .seed = seed};
    rg_text_init(&p.out, BODY_LIMIT);
    rg_status status = write_page(&p, err);
    rg_text_free(&p.out);
    return status;
}
