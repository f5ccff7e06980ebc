/*
 * Where a program's messages go. The library never prints: it hands lines to a sink.
 *
 * One idea: a log is a callback with a level; a NULL log drops everything.
 */
#ifndef RG_BASE_LOG_H
#define RG_BASE_LOG_H

#include <stdint.h>

#include "base/status.h"

typedef enum rg_log_level { RG_LOG_INFO, RG_LOG_WARNING, RG_LOG_PROGRESS } rg_log_level;

/* PROGRESS lines replace each other on a terminal and appear now and then elsewhere. */
typedef struct rg_log {
    void (*line)(void *ctx, rg_log_level level, const char *text);
    void *ctx;
} rg_log;

void rg_log_line(const rg_log *log, rg_log_level level, const char *fmt, ...) RG_PRINTF(3, 4);

/* Monotonic seconds, and UTC as "2026-11-22T14:03:05Z" (out needs 32 bytes). */
double rg_clock_seconds(void);
const char *rg_clock_utc(char out[32]);

/* Progress of counted work with an estimate of the time left; `text` needs 160 bytes. */
typedef struct rg_progress {
    const char *what;
    int64_t done, total;
    double started, last_shown;
} rg_progress;
void rg_progress_start(rg_progress *p, const char *what, long long total);
/* Logs a PROGRESS line at most twice a second ("rendering 12/24  50 %  ETA 0:42"); always at the
 * end. */
void rg_progress_step(rg_progress *p, const rg_log *log, long long done, const char *detail);

#endif
