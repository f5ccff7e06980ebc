/*
 * Metrics and their logs (metrics.h).
 */
#include "train/metrics.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/text.h"
#include "train/tensorboard.h"

enum { LOG_LIMIT = 1 << 30, PATH_SIZE = 1200 };

struct rg_metric_log {
    rg_appender *jsonl, *csv;
    int tensorboard;
    char tensorboard_path[PATH_SIZE];
};

static int32_t find_metric(const rg_metrics *metrics, const char *name)
{
    for (int32_t i = 0; i < metrics->n; i++)
        if (!strcmp(metrics->name[i], name)) return i;
    return -1;
}

void rg_metrics_set(rg_metrics *metrics, const char *name, double value)
{
    int32_t i = find_metric(metrics, name);
    if (i < 0) {
        if (metrics->n == RG_MAX_METRICS) return;
        i = metrics->n++;
        rg_copy_text(metrics->name[i], RG_METRIC_NAME, name);
    }
    metrics->value[i] = value;
}

double rg_metrics_get(const rg_metrics *metrics, const char *name)
{
    int32_t i = find_metric(metrics, name);
    return i < 0 ? NAN : metrics->value[i];
}

void rg_metric_mean_add(rg_metric_mean *mean, const rg_metrics *metrics)
{
    for (int32_t i = 0; i < metrics->n; i++) {
        int32_t k = find_metric(&mean->sum, metrics->name[i]);
        if (k < 0) {
            rg_metrics_set(&mean->sum, metrics->name[i], 0);
            k = find_metric(&mean->sum, metrics->name[i]);
            if (k < 0) continue;
        }
        mean->sum.value[k] += metrics->value[i];
        mean->count[k]++;
    }
}

void rg_metric_mean_take(rg_metric_mean *mean, rg_metrics *out)
{
    *out = mean->sum;
    for (int32_t i = 0; i < out->n; i++)
        if (mean->count[i]) out->value[i] /= (double)mean->count[i];
    memset(mean, 0, sizeof *mean);
}

/* ---- the files ---- */

static void csv_rows(rg_text *out, const char *kind, int64_t step, const json_t *metrics)
{
    const char *name;
    json_t *value;
    char number[32];
    json_object_foreach((json_t *)metrics, name, value)
    {
        if (!json_is_number(value)) continue;
        rg_text_printf(out, "%lld,%s,%s,%s\n", (long long)step, kind, name,
                       rg_format_double(json_number_value(value), number));
    }
}

/* Keeps the whole, valid lines of steps up to `last_step` (all when -1); builds the CSV beside. */
static void keep_lines(const char *data, int64_t last_step, rg_text *jsonl, rg_text *csv)
{
    rg_error ignored = {0};
    for (const char *line = data, *end; (end = strchr(line, '\n')); line = end + 1) {
        json_t *record = rg_json_parse(line, (size_t)(end - line), "metrics", &ignored);
        int64_t step = json_integer_value(json_object_get(record, "step"));
        if (record && (last_step < 0 || step <= last_step)) {
            rg_text_add_n(jsonl, line, (size_t)(end - line) + 1);
            const char *kind = json_string_value(json_object_get(record, "kind"));
            csv_rows(csv, kind ? kind : "", step, json_object_get(record, "metrics"));
        }
        json_decref(record);
    }
}

static rg_status cut_logs(const char *jsonl_path, const char *csv_path, int64_t last_step,
                          rg_error *err)
{
    rg_text jsonl, csv;
    rg_text_init(&jsonl, LOG_LIMIT);
    rg_text_init(&csv, LOG_LIMIT);
    rg_text_add(&csv, "step,kind,metric,value\n");
    rg_status status = RG_OK;
    if (rg_fs_exists(jsonl_path)) {
        char *data = NULL;
        size_t n = 0;
        status = rg_fs_read_all(jsonl_path, LOG_LIMIT, &data, &n, err);
        if (status == RG_OK) keep_lines(data, last_step, &jsonl, &csv);
        free(data);
    }
    if (status == RG_OK) status = rg_text_status(&jsonl, err);
    if (status == RG_OK) status = rg_text_status(&csv, err);
    if (status == RG_OK) status = rg_fs_write_atomic(jsonl_path, jsonl.data, jsonl.n, err);
    if (status == RG_OK) status = rg_fs_write_atomic(csv_path, csv.data, csv.n, err);
    rg_text_free(&jsonl);
    rg_text_free(&csv);
    return status;
}

static rg_status open_tensorboard(rg_metric_log *log, const char *run_folder, rg_error *err)
{
    char folder[PATH_SIZE], name[64];
    uint8_t record[RG_TENSORBOARD_MAX_RECORD];
    RG_TRY(rg_fs_join(folder, sizeof folder, run_folder, "tb", err));
    RG_TRY(rg_fs_make_folders(folder, err));
    snprintf(name, sizeof name, "events.out.tfevents.%lld.resonant", (long long)time(NULL));
    RG_TRY(rg_fs_join(log->tensorboard_path, PATH_SIZE, folder, name, err));
    log->tensorboard =
        rg_fs_current()->open(log->tensorboard_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (log->tensorboard < 0)
        return rg_fail(err, RG_ERR_IO, "%s: cannot create", log->tensorboard_path);
    size_t n = rg_tensorboard_header((double)time(NULL), record);
    return rg_fs_write_exact(log->tensorboard, record, n, log->tensorboard_path, err);
}

rg_metric_log *rg_metric_log_open(const char *run_folder, int64_t last_step, rg_error *err)
{
    char jsonl[PATH_SIZE], csv[PATH_SIZE];
    rg_metric_log *log = calloc(1, sizeof *log);
    if (!log) {
        rg_fail(err, RG_ERR_NOMEM, "no memory for the metrics log");
        return NULL;
    }
    log->tensorboard = -1;
    if (rg_fs_join(jsonl, sizeof jsonl, run_folder, "metrics.jsonl", err) == RG_OK &&
        rg_fs_join(csv, sizeof csv, run_folder, "metrics.csv", err) == RG_OK &&
        cut_logs(jsonl, csv, last_step, err) == RG_OK &&
        (log->jsonl = rg_appender_open(jsonl, err)) && (log->csv = rg_appender_open(csv, err)) &&
        open_tensorboard(log, run_folder, err) == RG_OK)
        return log;
    rg_metric_log_close(log, NULL);
    return NULL;
}

/* NaN and infinities are not JSON: they are written as null. */
static json_t *metrics_to_json(const rg_metrics *metrics)
{
    json_t *object = json_object();
    for (int32_t i = 0; i < metrics->n; i++) {
        double v = metrics->value[i];
        json_object_set_new(object, metrics->name[i], isfinite(v) ? json_real(v) : json_null());
    }
    return object;
}

static rg_status add_tensorboard(rg_metric_log *log, const char *kind, int64_t step,
                                 const rg_metrics *metrics, rg_error *err)
{
    uint8_t record[RG_TENSORBOARD_MAX_RECORD];
    char tag[RG_METRIC_NAME + 16];
    for (int32_t i = 0; i < metrics->n; i++) {
        snprintf(tag, sizeof tag, "%s/%s", kind, metrics->name[i]);
        size_t n =
            rg_tensorboard_scalar((double)time(NULL), step, tag, (float)metrics->value[i], record);
        RG_TRY(rg_fs_write_exact(log->tensorboard, record, n, log->tensorboard_path, err));
    }
    return RG_OK;
}

rg_status rg_metric_log_add(rg_metric_log *log, const char *kind, int64_t step,
                            const rg_metrics *metrics, const json_t *items, rg_error *err)
{
    json_t *record = json_object(), *values = metrics_to_json(metrics);
    json_object_set_new(record, "kind", json_string(kind));
    json_object_set_new(record, "step", json_integer(step));
    json_object_set_new(record, "time", json_integer((json_int_t)time(NULL)));
    json_object_set(record, "metrics", values);
    if (items) json_object_set(record, "items", (json_t *)items);
    char *line = json_dumps(record, JSON_COMPACT | JSON_REAL_PRECISION(9));
    rg_text csv;
    rg_text_init(&csv, LOG_LIMIT);
    csv_rows(&csv, kind, step, values);
    rg_status status = line ? rg_text_status(&csv, err)
                            : rg_fail(err, RG_ERR_NOMEM, "no memory for a metrics line");
    if (status == RG_OK) status = rg_appender_line(log->jsonl, line, strlen(line), err);
    if (status == RG_OK && csv.n) status = rg_appender_line(log->csv, csv.data, csv.n - 1, err);
    if (status == RG_OK) status = add_tensorboard(log, kind, step, metrics, err);
    rg_text_free(&csv);
    free(line);
    json_decref(values);
    json_decref(record);
    return status;
}

rg_status rg_metric_log_close(rg_metric_log *log, rg_error *err)
{
    if (!log) return RG_OK;
    rg_status status = rg_appender_close(log->jsonl, err);
    rg_status csv = rg_appender_close(log->csv, err);
    if (log->tensorboard >= 0) rg_fs_current()->close(log->tensorboard);
    free(log);
    return status == RG_OK ? csv : status;
}
