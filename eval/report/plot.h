/*
 * Plots as SVG: lines with confidence bands, bars with intervals, histograms, spans of time.
 *
 * One idea: a plot is data (rg_plot), drawn by one function. Text and axes take the colour of the
 * page, so one drawing serves light and dark. Not here: layout of text beyond one line.
 */
#ifndef RG_EVAL_PLOT_H
#define RG_EVAL_PLOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

enum { RG_PLOT_SERIES = 12 };

typedef struct rg_series {
    const char *name;
    int64_t n;
    const double *x, *y;      /* (n); NANs leave gaps */
    const double *low, *high; /* (n) or NULL: a band around y */
    bool dashed;
    int32_t hue;               /* 1 to 8; 0: by its place among the series */
    const char *const *labels; /* (n) or NULL: SPANS, written where there is room */
} rg_series;

typedef enum rg_plot_kind { RG_PLOT_LINES, RG_PLOT_BARS, RG_PLOT_SPANS } rg_plot_kind;

/* BARS: series share n groups, named by `groups`; one bar per series in each; x is not read.
 * SPANS: every series is a row of spans from x to y, below each other. */
typedef struct rg_plot {
    rg_plot_kind kind;
    const char *title, *x_label, *y_label;
    const char *const *groups;
    int32_t n_series;
    rg_series series[RG_PLOT_SERIES];
    bool from_zero;       /* the y axis begins at 0 */
    double width, height; /* 0: 420 x 260 */
} rg_plot;

/* Appends one <svg> element. */
void rg_plot_draw(const rg_plot *plot, rg_text *out);

#endif
