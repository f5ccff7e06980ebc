/*
 * Tables: filled once, written as HTML, Markdown, CSV and JSON (report.h).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/report/html.h"
#include "eval/report/internal.h"

static const char *const kind_names[] = {[RG_ROW_PLAIN] = "",
                                         [RG_ROW_OURS] = "ours",
                                         [RG_ROW_FLOOR] = "floor",
                                         [RG_ROW_CEILING] = "ceiling"};
static const char *const arrows[] = {
    [RG_NO_DIRECTION] = "", [RG_HIGHER_BETTER] = "↑", [RG_LOWER_BETTER] = "↓"};

rg_table *rg_report_table(rg_report *report, const char *id, const char *caption)
{
    section *s = rg__section(report);
    rg__end_figures(s);
    rg_table *table = s->n_tables < MAX_TABLES ? calloc(1, sizeof *table) : NULL;
    if (table) table->rows = calloc(MAX_ROWS, sizeof *table->rows);
    if (!table || !table->rows) {
        free(table);
        rg_fail(&report->error, RG_ERR_NOMEM, "no room for the table %s", id);
        return NULL;
    }
    rg_copy_text(table->id, sizeof table->id, id);
    rg_copy_text(table->caption, sizeof table->caption, caption);
    s->break_at[s->n_tables] = s->body.n;
    s->tables[s->n_tables++] = table;
    return table;
}

int32_t rg_table_column(rg_table *table, const char *id, const char *title, const char *unit,
                        rg_direction direction, int32_t decimals)
{
    if (!table || table->n_columns == MAX_COLUMNS) return -1;
    column *c = &table->columns[table->n_columns];
    rg_copy_text(c->id, sizeof c->id, id);
    rg_copy_text(c->title, sizeof c->title, title);
    rg_copy_text(c->unit, sizeof c->unit, unit ? unit : "");
    c->direction = direction;
    c->decimals = decimals;
    return table->n_columns++;
}

int32_t rg_table_row(rg_table *table, rg_row_kind kind, const char *fmt, ...)
{
    if (!table || table->n_rows == MAX_ROWS) return -1;
    row *r = &table->rows[table->n_rows];
    va_list args;
    va_start(args, fmt);
    rg_vformat(r->label, sizeof r->label, fmt, args);
    va_end(args);
    r->kind = kind;
    return table->n_rows++;
}

/* NULL where a table, row or column could not be made: then nothing is kept. */
static cell *cell_at(rg_table *table, int32_t r, int32_t c)
{
    if (!table || r < 0 || c < 0 || r >= table->n_rows || c >= table->n_columns) return NULL;
    return &table->rows[r].cells[c];
}

void rg_table_interval(rg_table *table, int32_t r, int32_t c, rg_interval value)
{
    cell *to = cell_at(table, r, c);
    if (!to) return;
    to->kind = CELL_NUMBER;
    to->value = value;
}

void rg_table_number(rg_table *table, int32_t r, int32_t c, double value)
{
    rg_table_interval(table, r, c, (rg_interval){value, value, value, 1});
}

void rg_table_text(rg_table *table, int32_t r, int32_t c, const char *fmt, ...)
{
    cell *to = cell_at(table, r, c);
    if (!to) return;
    va_list args;
    va_start(args, fmt);
    rg_vformat(to->text, sizeof to->text, fmt, args);
    va_end(args);
    to->kind = CELL_TEXT;
}

void rg_table_mark(rg_table *table, int32_t r, int32_t c, rg_verdict verdict)
{
    cell *to = cell_at(table, r, c);
    if (!to) return;
    to->marked = true;
    to->mark = verdict;
}

/* ---- writing ---- */

/* With a true minus sign; "-0.00" is "0.00". */
static void format_number(char *out, size_t size, double v, int32_t decimals)
{
    char digits[48];
    if (fabs(v) < 0.5 * pow(10, -decimals)) v = 0;
    rg_format(digits, sizeof digits, "%.*f", decimals, fabs(v));
    rg_format(out, size, "%s%s", v < 0 ? "−" : "", digits);
}

static bool has_bounds(const rg_interval *v)
{
    return v->n > 1 && isfinite(v->low) && isfinite(v->high) && v->high > v->low;
}

static void cell_text(const cell *c, const column *col, char value[64], char bounds[96])
{
    char low[48], high[48];
    bounds[0] = value[0] = 0;
    if (c->kind == CELL_TEXT) {
        rg_copy_text(value, 64, c->text);
    } else if (c->kind == CELL_NUMBER && isnan(c->value.mean)) {
        rg_copy_text(value, 64, "–");
    } else if (c->kind == CELL_NUMBER) {
        format_number(value, 64, c->value.mean, col->decimals);
        if (!has_bounds(&c->value)) return;
        format_number(low, sizeof low, c->value.low, col->decimals);
        format_number(high, sizeof high, c->value.high, col->decimals);
        rg_format(bounds, 96, "%s … %s", low, high);
    }
}

static void html_head(const rg_table *table, rg_text *out)
{
    rg_text_add(out, "<thead><tr><th></th>");
    for (int32_t c = 0; c < table->n_columns; c++) {
        const column *col = &table->columns[c];
        rg_text_add(out, "<th>");
        rg_html_escape(out, col->title);
        if (col->direction)
            rg_text_printf(out, "&nbsp;<abbr title=\"%s is better\">%s</abbr>",
                           col->direction == RG_HIGHER_BETTER ? "higher" : "lower",
                           arrows[col->direction]);
        if (col->unit[0]) {
            rg_text_add(out, "<small>");
            rg_html_escape(out, col->unit);
            rg_text_add(out, "</small>");
        }
        rg_text_add(out, "</th>");
    }
    rg_text_add(out, "</tr></thead>\n");
}

static void html_cell(const cell *c, const column *col, rg_text *out)
{
    static const char *const marks[] = {
        [RG_GOOD] = " good", [RG_NOTE] = " note", [RG_BAD] = " bad"};
    char value[64], bounds[96];
    cell_text(c, col, value, bounds);
    rg_text_printf(out, "<td class=\"%s%s\">", c->kind == CELL_TEXT ? "text" : "number",
                   c->marked ? marks[c->mark] : "");
    rg_html_escape(out, value);
    if (bounds[0]) rg_text_printf(out, "<small>%s</small>", bounds);
    rg_text_add(out, "</td>");
}

void rg__table_html(const rg_table *table, rg_text *out)
{
    rg_text_printf(out, "<div class=\"scroll\"><table id=\"%s\"><caption>", table->id);
    rg_html_escape(out, table->caption);
    rg_text_add(out, "</caption>");
    html_head(table, out);
    rg_text_add(out, "<tbody>\n");
    for (int32_t r = 0; r < table->n_rows; r++) {
        const row *line = &table->rows[r];
        const char *kind = kind_names[line->kind];
        rg_text_printf(out, "<tr class=\"%s\"><th>", kind);
        rg_html_escape(out, line->label);
        if (line->kind == RG_ROW_FLOOR || line->kind == RG_ROW_CEILING)
            rg_text_printf(out, " <span class=\"tag\">%s</span>", kind);
        rg_text_add(out, "</th>");
        for (int32_t c = 0; c < table->n_columns; c++)
            html_cell(&line->cells[c], &table->columns[c], out);
        rg_text_add(out, "</tr>\n");
    }
    rg_text_add(out, "</tbody></table></div>\n");
}

static void markdown_field(rg_text *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '|') rg_text_add(out, "\\");
        rg_text_add_n(out, *s == '\n' ? " " : s, 1);
    }
}

void rg__table_markdown(const rg_table *table, rg_text *out)
{
    rg_text_printf(out, "\n%s\n\n| |", table->caption);
    for (int32_t c = 0; c < table->n_columns; c++) {
        const column *col = &table->columns[c];
        rg_text_add(out, " ");
        markdown_field(out, col->title);
        rg_text_printf(out, "%s%s%s%s%s |", col->direction ? " " : "", arrows[col->direction],
                       col->unit[0] ? " (" : "", col->unit, col->unit[0] ? ")" : "");
    }
    rg_text_add(out, "\n|:--|");
    for (int32_t c = 0; c < table->n_columns; c++) rg_text_add(out, "--:|");
    for (int32_t r = 0; r < table->n_rows; r++) {
        const row *line = &table->rows[r];
        rg_text_add(out, "\n| ");
        markdown_field(out, line->label);
        if (line->kind == RG_ROW_FLOOR || line->kind == RG_ROW_CEILING)
            rg_text_printf(out, " (%s)", kind_names[line->kind]);
        rg_text_add(out, " |");
        for (int32_t c = 0; c < table->n_columns; c++) {
            char value[64], bounds[96];
            cell_text(&line->cells[c], &table->columns[c], value, bounds);
            rg_text_add(out, " ");
            markdown_field(out, value);
            if (bounds[0]) rg_text_printf(out, " [%s]", bounds);
            rg_text_add(out, " |");
        }
    }
    rg_text_add(out, "\n");
}

static void csv_number(rg_text *out, double v)
{
    char number[32];
    rg_text_printf(out, ",%s", isfinite(v) ? rg_format_double(v, number) : "");
}

void rg__table_csv(const rg_table *table, rg_text *out)
{
    for (int32_t r = 0; r < table->n_rows; r++)
        for (int32_t c = 0; c < table->n_columns; c++) {
            const cell *from = &table->rows[r].cells[c];
            if (from->kind != CELL_NUMBER) continue;
            rg_text_printf(out, "%s,\"", table->id);
            for (const char *s = table->rows[r].label; *s; s++)
                rg_text_add_n(out, *s == '"' ? "'" : s, 1);
            rg_text_printf(out, "\",%s", table->columns[c].id);
            csv_number(out, from->value.mean);
            csv_number(out, from->value.low);
            csv_number(out, from->value.high);
            rg_text_printf(out, ",%lld\n", (long long)from->value.n);
        }
}

static void json_number(json_t *object, const char *key, double v)
{
    json_object_set_new(object, key, isfinite(v) ? json_real(v) : json_null());
}

static json_t *cell_json(const cell *c)
{
    if (c->kind == CELL_TEXT) return json_string(c->text);
    if (c->kind == CELL_EMPTY) return json_null();
    json_t *out = json_object();
    json_number(out, "value", c->value.mean);
    json_number(out, "low", c->value.low);
    json_number(out, "high", c->value.high);
    json_object_set_new(out, "n", json_integer(c->value.n));
    return out;
}

json_t *rg__table_json(const rg_table *table)
{
    static const char *const directions[] = {
        [RG_NO_DIRECTION] = "none", [RG_HIGHER_BETTER] = "higher", [RG_LOWER_BETTER] = "lower"};
    json_t *out = json_object(), *columns = json_object(), *rows = json_object();
    for (int32_t c = 0; c < table->n_columns; c++) {
        const column *col = &table->columns[c];
        json_t *entry = json_object();
        json_object_set_new(entry, "title", json_string(col->title));
        json_object_set_new(entry, "unit", json_string(col->unit));
        json_object_set_new(entry, "better", json_string(directions[col->direction]));
        json_object_set_new(columns, col->id, entry);
    }
    for (int32_t r = 0; r < table->n_rows; r++) {
        json_t *line = json_object();
        if (kind_names[table->rows[r].kind][0])
            json_object_set_new(line, "row", json_string(kind_names[table->rows[r].kind]));
        for (int32_t c = 0; c < table->n_columns; c++)
            json_object_set_new(line, table->columns[c].id, cell_json(&table->rows[r].cells[c]));
        json_object_set_new(rows, table->rows[r].label, line);
    }
    json_object_set_new(out, "caption", json_string(table->caption));
    json_object_set_new(out, "columns", columns);
    json_object_set_new(out, "rows", rows);
    return out;
}
