/*
 * What the files of a store's page share: each adds one section to the text.
 */
#ifndef RG_EVAL_STORE_PAGE_INTERNAL_H
#define RG_EVAL_STORE_PAGE_INTERNAL_H

#include "base/text.h"
#include "eval/report/html.h"
#include "eval/report/plot.h"
#include "eval/store_page.h"

typedef struct rg__page {
    const rg_store *store;
    const char *path; /* of the page; temporaries lie beside it */
    uint64_t seed;
    rg_text out;
} rg__page;

/* Songs of the store (at most `most`) drawn without repetition; their number. `role` >= 0: of those
 * that have it. Heap; NULL when out of memory. */
int64_t *rg__page_draw(const rg__page *p, int32_t role, int64_t most, int64_t *n);
/* The q-th quantile of sorted values (n > 0). */
double rg__page_quantile(const double *sorted, int64_t n, double q);
void rg__page_sort(double *values, int64_t n);

/* A figure with its caption. */
void rg__page_figure(rg__page *p, const rg_plot *plot, const char *caption);
void rg__page_begin_figures(rg__page *p);
void rg__page_end_figures(rg__page *p);
/* A table's header cells, ended by NULL; rows are written between begin and end. */
void rg__page_begin_table(rg__page *p, const char *caption, const char *const *titles);
void rg__page_end_table(rg__page *p);
void rg__page_row(rg__page *p, const char *name); /* begins a row; ended by the next or the table */
void rg__page_cell(rg__page *p, const char *fmt, ...) RG_PRINTF(2, 3);

rg_status rg__page_hours(rg__page *p, rg_error *err) RG_MUST_USE;
rg_status rg__page_labels(rg__page *p, rg_error *err) RG_MUST_USE;
rg_status rg__page_levels(rg__page *p, rg_error *err) RG_MUST_USE;
rg_status rg__page_bands(rg__page *p, rg_error *err) RG_MUST_USE;
rg_status rg__page_songs(rg__page *p, rg_error *err) RG_MUST_USE;
rg_status rg__page_warnings(rg__page *p, rg_error *err) RG_MUST_USE;

#endif
