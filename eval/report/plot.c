/*
 * Drawing plots (plot.h).
 */
#include "eval/report/plot.h"

#include <math.h>
#include <string.h>

#include "eval/report/html.h"

enum { LEFT = 62, RIGHT = 24, TOP = 34, BOTTOM = 46, LEGEND = 18, TICKS = 6 };

static const char *const palette[] = {"#2f7ed8", "#e07b39", "#2a9d63", "#c0427a",
                                      "#8a63d2", "#b08d17", "#2ba3b5", "#7a8490"};

static const char *color_of(const rg_plot *plot, int32_t s)
{
    const int32_t hue = plot->series[s].hue ? plot->series[s].hue - 1 : s;
    return palette[hue % (int32_t)(sizeof palette / sizeof palette[0])];
}

/* Where the data lies and how it is mapped to the drawing. */
typedef struct frame {
    double width, height, x0, x1, y0, y1; /* data range */
    double legend_rows;
} frame;

static double map_x(const frame *f, double x)
{
    return LEFT + (x - f->x0) / (f->x1 - f->x0) * (f->width - LEFT - RIGHT);
}

static double plot_bottom(const frame *f)
{
    return f->height - BOTTOM - f->legend_rows * LEGEND;
}

static double map_y(const frame *f, double y)
{
    double bottom = plot_bottom(f);
    return bottom - (y - f->y0) / (f->y1 - f->y0) * (bottom - TOP);
}

static void widen(double *low, double *high, double v)
{
    if (!isfinite(v)) return;
    if (v < *low) *low = v;
    if (v > *high) *high = v;
}

static void find_range(const rg_plot *plot, frame *f)
{
    f->x0 = f->y0 = INFINITY;
    f->x1 = f->y1 = -INFINITY;
    for (int32_t s = 0; s < plot->n_series; s++) {
        const rg_series *series = &plot->series[s];
        for (int64_t i = 0; i < series->n; i++) {
            const bool spans = plot->kind == RG_PLOT_SPANS;
            if (plot->kind != RG_PLOT_BARS) widen(&f->x0, &f->x1, series->x[i]);
            widen(spans ? &f->x0 : &f->y0, spans ? &f->x1 : &f->y1, series->y[i]);
            if (series->low) widen(&f->y0, &f->y1, series->low[i]);
            if (series->high) widen(&f->y0, &f->y1, series->high[i]);
        }
    }
    if (plot->from_zero || plot->kind == RG_PLOT_BARS) {
        widen(&f->y0, &f->y1, 0);
    }
    if (!(f->x1 > f->x0)) f->x1 = (f->x0 = isfinite(f->x0) ? f->x0 : 0) + 1;
    if (!isfinite(f->y0)) f->y0 = 0;
    if (!(f->y1 > f->y0)) f->y1 = f->y0 + 1;
    double margin = 0.05 * (f->y1 - f->y0);
    if (f->y0 != 0) f->y0 -= margin;
    if (f->y1 != 0) f->y1 += margin;
}

/* A round step (1, 2, 5 times a power of ten) for about TICKS ticks. */
static double tick_step(double range)
{
    double raw = range / TICKS, power = pow(10, floor(log10(raw))), part = raw / power;
    return power * (part > 5 ? 10 : part > 2 ? 5 : part > 1 ? 2 : 1);
}

static void tick_label(rg_text *out, double v, double step)
{
    int decimals = step >= 1 ? 0 : (int)ceil(-log10(step) - 1e-9);
    if (fabs(v) >= 10000 && step >= 1000)
        rg_text_printf(out, "%gk", v / 1000);
    else
        rg_text_printf(out, "%.*f", decimals, fabs(v) < step / 2 ? 0.0 : v);
}

static void draw_y_axis(const frame *f, rg_text *out)
{
    double step = tick_step(f->y1 - f->y0);
    int64_t first = (int64_t)ceil(f->y0 / step), last = (int64_t)floor(f->y1 / step + 1e-6);
    for (int64_t k = first; k <= last; k++) {
        double v = (double)k * step, y = map_y(f, v);
        rg_text_printf(out,
                       "<line x1=\"%d\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"currentColor\""
                       " stroke-opacity=\".14\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">",
                       LEFT, f->width - RIGHT, y, y, LEFT - 7, y + 4);
        tick_label(out, v, step);
        rg_text_add(out, "</text>");
    }
}

static void draw_x_axis(const frame *f, rg_text *out)
{
    double step = tick_step(f->x1 - f->x0), y = plot_bottom(f);
    int64_t first = (int64_t)ceil(f->x0 / step), last = (int64_t)floor(f->x1 / step + 1e-6);
    for (int64_t k = first; k <= last; k++) {
        double v = (double)k * step;
        rg_text_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", map_x(f, v),
                       y + 17);
        tick_label(out, v, step);
        rg_text_add(out, "</text>");
    }
    rg_text_printf(out,
                   "<line x1=\"%d\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"currentColor\" "
                   "stroke-opacity=\".5\"/>",
                   LEFT, f->width - RIGHT, y, y);
}

static void draw_labels(const rg_plot *plot, const frame *f, rg_text *out)
{
    double middle = (TOP + plot_bottom(f)) / 2;
    rg_text_printf(out, "<text x=\"%d\" y=\"18\" font-size=\"13\" font-weight=\"600\">", 8);
    rg_html_escape(out, plot->title ? plot->title : "");
    rg_text_printf(out, "</text><text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
                   (LEFT + f->width - RIGHT) / 2, plot_bottom(f) + 36);
    rg_html_escape(out, plot->x_label ? plot->x_label : "");
    rg_text_printf(out,
                   "</text><text transform=\"translate(14 %.1f) rotate(-90)\" "
                   "text-anchor=\"middle\">",
                   middle);
    rg_html_escape(out, plot->y_label ? plot->y_label : "");
    rg_text_add(out, "</text>");
}

static double text_width(const char *s)
{
    return 6.6 * (double)strlen(s);
}

/* Lays the legend out in rows; draws it when `out`; returns the number of rows. */
static double legend(const rg_plot *plot, const frame *f, rg_text *out)
{
    double x = LEFT, row = 0;
    if (plot->kind == RG_PLOT_SPANS) return 0;
    if (plot->n_series < 2 && !(plot->n_series == 1 && plot->series[0].name)) return 0;
    for (int32_t s = 0; s < plot->n_series; s++) {
        const char *name = plot->series[s].name ? plot->series[s].name : "";
        double w = 26 + text_width(name);
        if (x > LEFT && x + w > f->width - RIGHT) {
            x = LEFT;
            row++;
        }
        if (out) {
            double y = f->height - (f->legend_rows - row) * LEGEND + 6;
            rg_text_printf(out,
                           "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" "
                           "stroke-width=\"3\"%s/><text x=\"%.1f\" y=\"%.1f\">",
                           x, x + 14, y - 4, y - 4, color_of(plot, s),
                           plot->series[s].dashed ? " stroke-dasharray=\"4 3\"" : "", x + 19, y);
            rg_html_escape(out, name);
            rg_text_add(out, "</text>");
        }
        x += w;
    }
    return row + 1;
}

static void draw_band(const frame *f, const rg_series *s, const char *color, rg_text *out)
{
    if (!s->low || !s->high || s->n < 2) return;
    rg_text_printf(out, "<path fill=\"%s\" fill-opacity=\".16\" d=\"", color);
    char command = 'M';
    for (int64_t i = 0; i < s->n; i++)
        if (isfinite(s->high[i])) {
            rg_text_printf(out, "%c%.1f %.1f", command, map_x(f, s->x[i]), map_y(f, s->high[i]));
            command = 'L';
        }
    for (int64_t i = s->n - 1; i >= 0; i--)
        if (isfinite(s->low[i]))
            rg_text_printf(out, "%c%.1f %.1f", command, map_x(f, s->x[i]), map_y(f, s->low[i]));
    rg_text_add(out, "\"/>");
}

static void draw_line(const frame *f, const rg_series *s, const char *color, rg_text *out)
{
    bool pen_down = false;
    rg_text_printf(out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"2\"%s d=\"", color,
                   s->dashed ? " stroke-dasharray=\"5 4\"" : "");
    for (int64_t i = 0; i < s->n; i++) {
        if (!isfinite(s->y[i])) {
            pen_down = false;
            continue;
        }
        rg_text_printf(out, "%c%.1f %.1f", pen_down ? 'L' : 'M', map_x(f, s->x[i]),
                       map_y(f, s->y[i]));
        pen_down = true;
    }
    rg_text_add(out, "\"/>");
    for (int64_t i = 0; i < s->n && s->n <= 12; i++)
        if (isfinite(s->y[i]))
            rg_text_printf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>",
                           map_x(f, s->x[i]), map_y(f, s->y[i]), color);
}

static void draw_bar(const frame *f, const rg_series *s, const char *color, int64_t i, double x,
                     double width, rg_text *out)
{
    double top = map_y(f, fmax(s->y[i], 0)), bottom = map_y(f, fmin(s->y[i], 0)),
           middle = x + width / 2;
    if (!isfinite(s->y[i])) return;
    rg_text_printf(out,
                   "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" "
                   "fill-opacity=\".85\"/>",
                   x, top, width, fmax(0.5, bottom - top), color);
    if (s->low && isfinite(s->low[i]) && s->high[i] > s->low[i])
        rg_text_printf(out,
                       "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" "
                       "stroke=\"currentColor\" stroke-width=\"1.5\"/>",
                       middle, middle, map_y(f, s->low[i]), map_y(f, s->high[i]));
}

static void draw_bars(const rg_plot *plot, const frame *f, rg_text *out)
{
    int64_t groups = plot->n_series > 0 ? plot->series[0].n : 0;
    draw_y_axis(f, out);
    if (groups == 0) return;
    double room = (f->width - LEFT - RIGHT) / (double)groups, gap = groups > 40 ? 0 : room * 0.2,
           width = (room - gap) / plot->n_series;
    for (int64_t g = 0; g < groups; g++) {
        double x = LEFT + (double)g * room + gap / 2;
        for (int32_t s = 0; s < plot->n_series; s++)
            draw_bar(f, &plot->series[s], color_of(plot, s), g, x + s * width, width, out);
        if (!plot->groups) continue;
        rg_text_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
                       LEFT + ((double)g + 0.5) * room, plot_bottom(f) + 17);
        rg_html_escape(out, plot->groups[g]);
        rg_text_add(out, "</text>");
    }
    double zero = map_y(f, 0);
    rg_text_printf(out,
                   "<line x1=\"%d\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"currentColor\" "
                   "stroke-opacity=\".5\"/>",
                   LEFT, f->width - RIGHT, zero, zero);
}

/* One row of spans and its name; neighbours differ in strength. */
static void draw_spans(const frame *f, const rg_series *s, const char *color, double y,
                       double height, rg_text *out)
{
    for (int64_t i = 0; i < s->n; i++) {
        const double x = map_x(f, s->x[i]), width = fmax(0.5, map_x(f, s->y[i]) - x);
        rg_text_printf(out,
                       "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" "
                       "fill-opacity=\"%s\"/>",
                       x, y, width, height, color, i % 2 ? ".3" : ".5");
        if (!s->labels || text_width(s->labels[i]) > width) continue;
        rg_text_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", x + width / 2,
                       y + height / 2 + 4);
        rg_html_escape(out, s->labels[i]);
        rg_text_add(out, "</text>");
    }
    rg_text_printf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LEFT - 7,
                   y + height / 2 + 4);
    rg_html_escape(out, s->name ? s->name : "");
    rg_text_add(out, "</text>");
}

static void draw_rows(const rg_plot *plot, const frame *f, rg_text *out)
{
    const double room = (plot_bottom(f) - TOP) / (plot->n_series ? plot->n_series : 1);
    draw_x_axis(f, out);
    for (int32_t s = 0; s < plot->n_series; s++)
        draw_spans(f, &plot->series[s], color_of(plot, s), TOP + s * room + 1, room - 3, out);
}

static void draw_lines(const rg_plot *plot, const frame *f, rg_text *out)
{
    draw_y_axis(f, out);
    draw_x_axis(f, out);
    for (int32_t s = 0; s < plot->n_series; s++)
        draw_band(f, &plot->series[s], color_of(plot, s), out);
    for (int32_t s = 0; s < plot->n_series; s++)
        draw_line(f, &plot->series[s], color_of(plot, s), out);
}

void rg_plot_draw(const rg_plot *plot, rg_text *out)
{
    static void (*const draw[])(const rg_plot *plot, const frame *f, rg_text *out) = {
        [RG_PLOT_LINES] = draw_lines, [RG_PLOT_BARS] = draw_bars, [RG_PLOT_SPANS] = draw_rows};
    frame f = {.width = plot->width > 0 ? plot->width : 420,
               .height = plot->height > 0 ? plot->height : 260};
    find_range(plot, &f);
    f.legend_rows = legend(plot, &f, NULL);
    f.height += f.legend_rows * LEGEND;
    rg_text_printf(out,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
                   "font-family=\"system-ui,sans-serif\" font-size=\"12\" fill=\"currentColor\" "
                   "role=\"img\"><title>",
                   f.width, f.height);
    rg_html_escape(out, plot->title ? plot->title : "");
    rg_text_add(out, "</title>");
    draw[plot->kind](plot, &f, out);
    draw_labels(plot, &f, out);
    legend(plot, &f, out);
    rg_text_add(out, "</svg>\n");
}
