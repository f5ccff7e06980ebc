/*
 * Evaluation reports: one folder that a person opens and a program reads.
 *
 *   index.html  metrics.json  metrics.csv  per_item.csv  RESULTS.md  plots/  audio/
 *
 * One idea: what is measured is put into tables once, and every file is made from them, so the page
 * and the numbers cannot disagree. The page needs no network and no script to be read; players are
 * embedded up to 20 MB in all, further sound lies in audio/. Not here: what is measured
 * (evaluate.h).
 */
#ifndef RG_EVAL_REPORT_H
#define RG_EVAL_REPORT_H

#include <jansson.h>

#include "audio/audio.h"
#include "eval/metrics/stats.h"
#include "eval/report/plot.h"

enum { RG_REPORT_MAJOR = 1, RG_REPORT_MINOR = 0, RG_REPORT_EMBED_BYTES = 20 << 20 };

typedef struct rg_report rg_report;

/* Makes the folder. NULL with a text in err. */
rg_report *rg_report_create(const char *folder, const char *title, rg_error *err);
/* Writes everything and frees the report, whatever happens; index.html comes last. */
rg_status rg_report_finish(rg_report *report, rg_error *err) RG_MUST_USE;
void rg_report_abandon(rg_report *report); /* NULL is fine */

/* ---- the header ---- */

/* A line such as ("checkpoint", "step 4000, sha256 ..."). */
void rg_report_fact(rg_report *report, const char *name, const char *fmt, ...) RG_PRINTF(3, 4);
/* Long text that opens on a click: the configuration. */
void rg_report_details(rg_report *report, const char *name, const char *text);

/* ---- the body: everything is added to the section begun last ---- */

/* id: letters and '-'; an id used before continues that section. */
void rg_report_section(rg_report *report, const char *id, const char *title);
void rg_report_heading(rg_report *report, const char *fmt, ...) RG_PRINTF(2, 3);
void rg_report_text(rg_report *report, const char *fmt, ...) RG_PRINTF(2, 3);

/* What a reader must not miss: above everything else of its section, and in metrics.json under
 * "verdicts". */
typedef enum rg_verdict { RG_GOOD, RG_NOTE, RG_BAD } rg_verdict;
void rg_report_verdict(rg_report *report, rg_verdict verdict, const char *fmt, ...) RG_PRINTF(3, 4);

/* ---- tables ---- */

typedef enum rg_direction { RG_NO_DIRECTION, RG_HIGHER_BETTER, RG_LOWER_BETTER } rg_direction;
typedef enum rg_row_kind { RG_ROW_PLAIN, RG_ROW_OURS, RG_ROW_FLOOR, RG_ROW_CEILING } rg_row_kind;
typedef struct rg_table rg_table;

/* The table's place is here; it may be filled until rg_report_finish. id names it in the files. */
rg_table *rg_report_table(rg_report *report, const char *id, const char *caption);
/* Returns the column's number. */
int32_t rg_table_column(rg_table *table, const char *id, const char *title, const char *unit,
                        rg_direction direction, int32_t decimals);
int32_t rg_table_row(rg_table *table, rg_row_kind kind, const char *fmt, ...) RG_PRINTF(3, 4);
/* An interval with n 1 or a plain number shows no bounds. NAN shows as a dash. */
void rg_table_interval(rg_table *table, int32_t row, int32_t column, rg_interval value);
void rg_table_number(rg_table *table, int32_t row, int32_t column, double value);
void rg_table_text(rg_table *table, int32_t row, int32_t column, const char *fmt, ...)
    RG_PRINTF(4, 5);
/* Shows the cell in red (or green). */
void rg_table_mark(rg_table *table, int32_t row, int32_t column, rg_verdict verdict);

/* One value of one item, for per_item.csv. */
void rg_report_item(rg_report *report, const char *item, const char *role, const char *metric,
                    double value);

/* ---- pictures and sound ---- */

/* A plot; also plots/<id>.svg. Figures that follow each other stand side by side. */
void rg_report_plot(rg_report *report, const char *id, const rg_plot *plot, const char *caption);
/*
 * Log-mel spectrograms of a sound and of another one on the same scale, and of their difference in
 * dB (b minus a, of what lies above the scale's lower end), side by side; also plots/<id>-a.svg,
 * -b.svg and -difference.svg. Both mono.
 */
void rg_report_spectrograms(rg_report *report, const char *id, const char *caption,
                            const rg_audio *a, const char *a_name, const rg_audio *b,
                            const char *b_name);

/* A row of players: what they are of, and one sound per column. The flags of each sound are found
 * here: a silent or clipped one is shown in red. */
typedef struct rg_player {
    const char *label;
    const rg_audio *audio;
} rg_player;
void rg_report_players(rg_report *report, const char *title, const char *note,
                       const rg_player *players, int32_t n);
/* Stems that play together, with mute and solo. */
void rg_report_stems(rg_report *report, const char *title, const char *note, const rg_player *stems,
                     int32_t n);

#endif
