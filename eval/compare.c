/*
 * Two reports side by side (evaluate.h: rg_eval_compare).
 *
 * One idea: songs that both reports measured are compared in pairs; only where a report has no
 * values per song are two intervals compared instead. Nothing is flagged that chance explains.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/json.h"
#include "eval/evaluate.h"
#include "eval/report/report.h"

enum { PATH = 1024, LIMIT = 256 << 20, MAX_SONGS = 4096 };

/* One side: metrics.json, and per_item.csv as {"role: metric": {item: value}}. */
typedef struct side {
    char folder[PATH];
    json_t *metrics, *items;
} side;

/* ---- reading ---- */

static bool has_metrics(const char *folder)
{
    char path[PATH];
    rg_error ignored = {0};
    return rg_fs_join(path, sizeof path, folder, "metrics.json", &ignored) == RG_OK &&
           rg_fs_exists(path);
}

/* A report, or a run or bundle with a report on the test split. */
static rg_status find_report(const char *given, char out[PATH], rg_error *err)
{
    char trimmed[PATH];
    rg_copy_text(trimmed, sizeof trimmed, given);
    for (size_t n = strlen(trimmed); n > 1 && trimmed[n - 1] == '/'; n--) trimmed[n - 1] = 0;
    for (int i = 0; i < 3; i++) {
        int n = i == 0   ? rg_format(out, PATH, "%s", trimmed)
                : i == 1 ? rg_format(out, PATH, "%s/eval/test", trimmed)
                         : rg_format(out, PATH, "%s.eval/test", trimmed);
        if (n < PATH && has_metrics(out)) return RG_OK;
    }
    return rg_fail(err, RG_ERR_USAGE,
                   "%s: has no report (metrics.json); make one with `resonant eval %s`", given,
                   given);
}

/* One field of a CSV line; *at moves behind it. */
static void take_field(const char **at, char out[256])
{
    const char *s = *at;
    bool quoted = *s == '"';
    size_t n = 0;
    s += quoted;
    while (*s && *s != '\n' && (quoted || *s != ',')) {
        if (quoted && *s == '"' && s[1] != '"') break;
        if (quoted && *s == '"') s++;
        if (n < 255) out[n++] = *s;
        s++;
    }
    out[n] = 0;
    s += quoted && *s == '"';
    *at = s + (*s == ',');
}

/* False for a name that is not UTF-8. */
static bool take_line(json_t *items, const char *line)
{
    char item[256], role[256], metric[256], number[256], key[520];
    double value;
    take_field(&line, item);
    take_field(&line, role);
    take_field(&line, metric);
    take_field(&line, number);
    if (!rg_parse_double(number, &value)) return true; /* not measured */
    rg_format(key, sizeof key, "%s: %s", role, metric);
    if (!json_object_get(items, key) && json_object_set_new(items, key, json_object()) != 0)
        return false;
    return json_object_set_new(json_object_get(items, key), item, json_real(value)) == 0;
}

static rg_status read_items(side *s, rg_error *err)
{
    char path[PATH], *data = NULL;
    size_t n = 0;
    s->items = json_object();
    RG_TRY(rg_fs_join(path, sizeof path, s->folder, "per_item.csv", err));
    if (!rg_fs_exists(path)) return RG_OK;
    RG_TRY(rg_fs_read_all(path, LIMIT, &data, &n, err));
    rg_status status = RG_OK;
    int64_t row = 2;
    for (const char *line = strchr(data, '\n'); line && line[1] && status == RG_OK;
         line = strchr(line + 1, '\n'), row++)
        if (!take_line(s->items, line + 1))
            status = rg_fail(err, RG_ERR_FORMAT, "%s:%lld: has a name that is not UTF-8", path,
                             (long long)row);
    free(data);
    return status;
}

static rg_status read_side(side *s, const char *given, rg_error *err)
{
    char path[PATH];
    const char *version;
    RG_TRY(find_report(given, s->folder, err));
    RG_TRY(rg_fs_join(path, sizeof path, s->folder, "metrics.json", err));
    s->metrics = rg_json_read(path, LIMIT, err);
    if (!s->metrics) return err->code;
    RG_TRY(rg_json_get_text(s->metrics, "version", path, &version, err));
    if (atoi(version) > RG_REPORT_MAJOR)
        return rg_fail(err, RG_ERR_UNSUPPORTED, "%s: report version %s; this program reads %d.x",
                       path, version, RG_REPORT_MAJOR);
    return read_items(s, err);
}

static void free_side(side *s)
{
    json_decref(s->metrics);
    json_decref(s->items);
}

/* ---- comparing ---- */

typedef struct comparison {
    rg_report *report; /* NULL: only lines */
    rg_table *table;
    const rg_log *log;
    int64_t compared, better, worse;
} comparison;

/* Which way is better for a metric of per_item.csv: by what its name, or a part of it before a
 * comma, ends with. */
static int direction_of(const char *metric)
{
    static const struct {
        const char *word;
        int direction;
    } words[] = {{"codec/si_sdr", 1},  {"codec/si_snr", 1}, {"codec/snr", 1},
                 {"codec/mel", -1},    {"codec/stft", -1},  {"codec/loudness_error", -1},
                 {"codec/onset_f", 1}, {"codec/chroma", 1}, {": model", -1}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const char *found = strstr(metric, words[i].word);
        size_t length = strlen(words[i].word);
        if (found && (found[length] == 0 || found[length] == ',')) return words[i].direction;
    }
    return 0;
}

static void note(comparison *c, const char *name, int direction, double a, double b, rg_interval d)
{
    bool sure = rg_interval_excludes_zero(d), worse = sure && d.mean * direction < 0;
    c->compared++;
    c->worse += worse;
    c->better += sure && !worse;
    if (sure)
        rg_log_line(c->log, worse ? RG_LOG_WARNING : RG_LOG_INFO,
                    "%s %s: %.3f -> %.3f, difference %+.3f (95 %% interval %+.3f to %+.3f)",
                    worse ? "worse " : "better", name, a, b, d.mean, d.low, d.high);
    int32_t row = rg_table_row(c->table, RG_ROW_PLAIN, "%s", name);
    rg_table_number(c->table, row, 0, a);
    rg_table_number(c->table, row, 1, b);
    rg_table_interval(c->table, row, 2, d);
    rg_table_text(c->table, row, 3, worse ? "worse" : sure ? "better" : "no sure difference");
    rg_table_mark(c->table, row, 3, worse ? RG_BAD : sure ? RG_GOOD : RG_NOTE);
}

static double mean_of(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return n ? sum / (double)n : NAN;
}

static void compare_items(comparison *c, const side *a, const side *b)
{
    const char *name, *song;
    json_t *songs, *value;
    json_object_foreach(b->items, name, songs)
    {
        double x[MAX_SONGS], y[MAX_SONGS];
        int64_t n = 0;
        int direction = direction_of(name);
        const json_t *before = json_object_get(a->items, name);
        if (direction == 0 || !before) continue;
        json_object_foreach(songs, song, value)
        {
            const json_t *other = json_object_get(before, song);
            if (!other || n == MAX_SONGS) continue;
            x[n] = json_number_value(other);
            y[n++] = json_number_value(value);
        }
        if (n > 0)
            note(c, name, direction, mean_of(x, n), mean_of(y, n), rg_bootstrap_paired(y, x, n, 1));
    }
}

static double member(const json_t *cell, const char *key)
{
    const json_t *v = json_object_get(cell, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

/* b - a from two independent intervals: half-widths add as squares. */
static rg_interval difference(const json_t *a, const json_t *b)
{
    double va = member(a, "value"), vb = member(b, "value"),
           wa = (member(a, "high") - member(a, "low")) / 2,
           wb = (member(b, "high") - member(b, "low")) / 2, w = sqrt(wa * wa + wb * wb);
    rg_interval d = {vb - va, vb - va - w, vb - va + w, 0};
    int64_t na = json_integer_value(json_object_get(a, "n")),
            nb = json_integer_value(json_object_get(b, "n"));
    d.n = na < nb ? na : nb;
    return d;
}

static void compare_cells(comparison *c, const char *table, const char *row, const json_t *columns,
                          const json_t *cells_a, const json_t *cells_b)
{
    const char *id;
    json_t *column;
    json_object_foreach((json_t *)columns, id, column)
    {
        const char *better = json_string_value(json_object_get(column, "better"));
        const json_t *a = json_object_get(cells_a, id), *b = json_object_get(cells_b, id);
        if (!better || strcmp(better, "none") == 0 || !json_is_object(a) || !json_is_object(b))
            continue;
        rg_interval d = difference(a, b);
        char name[256];
        rg_format(name, sizeof name, "%s / %s / %s", table, row, id);
        if (isfinite(d.mean) && d.n > 1)
            note(c, name, strcmp(better, "higher") == 0 ? 1 : -1, member(a, "value"),
                 member(b, "value"), d);
    }
}

/* Tables without values per song: "ours" rows that both reports have. */
static void compare_tables(comparison *c, const side *a, const side *b)
{
    const char *id, *row;
    json_t *table, *cells;
    json_object_foreach(json_object_get(b->metrics, "tables"), id, table)
    {
        const json_t *other = json_object_get(json_object_get(a->metrics, "tables"), id);
        if (strncmp(id, "codec", 5) == 0 || strncmp(id, "bits", 4) == 0 || !other) continue;
        json_object_foreach(json_object_get(table, "rows"), row, cells)
        {
            const char *kind = json_string_value(json_object_get(cells, "row"));
            const json_t *before = json_object_get(json_object_get(other, "rows"), row);
            if (kind && strcmp(kind, "ours") == 0 && before)
                compare_cells(c, id, row, json_object_get(table, "columns"), before, cells);
        }
    }
}

static rg_status begin(comparison *c, const side *a, const side *b, const char *out, rg_error *err)
{
    if (!out) return RG_OK;
    char title[300];
    rg_format(title, sizeof title, "Comparison: %s against %s",
              json_string_value(json_object_get(b->metrics, "title")),
              json_string_value(json_object_get(a->metrics, "title")));
    c->report = rg_report_create(out, title, err);
    if (!c->report) return err->code;
    rg_report_fact(c->report, "A", "%s", a->folder);
    rg_report_fact(c->report, "B", "%s", b->folder);
    rg_report_section(c->report, "comparison", "Differences");
    c->table = rg_report_table(c->report, "comparison",
                               "B minus A. A difference is flagged only where its 95 % interval "
                               "excludes 0: over pairs of songs, or of two intervals.");
    rg_table_column(c->table, "a", "A", "", RG_NO_DIRECTION, 3);
    rg_table_column(c->table, "b", "B", "", RG_NO_DIRECTION, 3);
    rg_table_column(c->table, "difference", "B − A", "", RG_NO_DIRECTION, 3);
    rg_table_column(c->table, "verdict", "Verdict", "", RG_NO_DIRECTION, 0);
    return RG_OK;
}

static rg_status end(comparison *c, rg_error *err)
{
    rg_log_line(c->log, RG_LOG_INFO, "%lld numbers compared: %lld surely better, %lld surely worse",
                (long long)c->compared, (long long)c->better, (long long)c->worse);
    if (!c->report) return RG_OK;
    rg_report_verdict(c->report, c->worse ? RG_BAD : RG_GOOD,
                      "%lld numbers compared: %lld surely better, %lld surely worse.",
                      (long long)c->compared, (long long)c->better, (long long)c->worse);
    return rg_report_finish(c->report, err);
}

rg_status rg_eval_compare(const char *a, const char *b, const char *out, const rg_log *log,
                          int64_t *regressions, rg_error *err)
{
    side before = {0}, after = {0};
    comparison c = {.log = log};
    *regressions = 0;
    rg_status status = read_side(&before, a, err);
    if (status == RG_OK) status = read_side(&after, b, err);
    if (status == RG_OK) status = begin(&c, &before, &after, out, err);
    if (status == RG_OK) {
        compare_items(&c, &before, &after);
        compare_tables(&c, &before, &after);
        if (c.compared == 0)
            status = rg_fail(err, RG_ERR_MISMATCH,
                             "%s and %s: have nothing in common to compare (same kind of run, same "
                             "songs?)",
                             a, b);
    }
    if (status == RG_OK)
        status = end(&c, err);
    else
        rg_report_abandon(c.report);
    *regressions = c.worse;
    free_side(&before);
    free_side(&after);
    return status;
}
