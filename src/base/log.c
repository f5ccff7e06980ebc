/*
 * Log lines, clocks, progress (log.h).
 *
 * One idea: everything here formats one line and hands it to the callback.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "base/text.h"

enum { LINE = 1024 };
static const double show_every = 0.5; /* seconds between progress lines */

void rg_log_line(const rg_log *log, rg_log_level level, const char *fmt, ...)
{
    if (!log || !log->line) return;
    char text[LINE];
    va_list args;
    va_start(args, fmt);
    int n = rg_vformat(text, sizeof text, fmt, args);
    va_end(args);
    if (n >= 0) log->line(log->ctx, level, text);
}

double rg_clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

const char *rg_clock_utc(char out[32])
{
    time_t now = time(NULL);
    struct tm t;
    if (!gmtime_r(&now, &t) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &t)) out[0] = 0;
    return out;
}

void rg_progress_start(rg_progress *p, const char *what, long long total)
{
    double now = rg_clock_seconds();
    *p = (rg_progress){.what = what, .total = total, .started = now, .last_shown = now - 1e9};
}

/* "m:ss", or "h:mm:ss" from an hour on. */
static void format_seconds(double seconds, char out[32])
{
    long s = seconds < 3.6e6 ? (long)(seconds + 0.5) : 3600000;
    if (s < 3600)
        rg_format(out, 32, "%ld:%02ld", s / 60, s % 60);
    else
        rg_format(out, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
}

void rg_progress_step(rg_progress *p, const rg_log *log, long long done, const char *detail)
{
    double now = rg_clock_seconds();
    bool end = done >= p->total;
    p->done = done;
    if (!end && now - p->last_shown < show_every) return;
    p->last_shown = now;
    double elapsed = now - p->started;
    char time[32];
    double left = done > 0 ? elapsed / (double)done * (double)(p->total - done) : 0;
    format_seconds(end ? elapsed : left, time);
    double percent = p->total > 0 ? 100.0 * (double)done / (double)p->total : 100.0;
    rg_log_line(log, RG_LOG_PROGRESS, "%s %lld/%lld  %.0f %%  %s %s%s%s", p->what, done,
                (long long)p->total, percent, end ? "took" : "ETA", end || done > 0 ? time : "?",
                detail ? "  " : "", detail ? detail : "");
}
