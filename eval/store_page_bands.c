/*
 * Where the energy of each role lies: by octave, and the frequencies below which 1 .. 99 % of it
 * lie.
 *
 * One idea: power spectra (Hann, 4,096 samples, no overlap) of the middle of songs drawn by lot are
 * summed song by song, so that a loud song counts no more than a quiet one.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fft.h"
#include "eval/store_page_internal.h"

enum {
    WINDOW = 4096,
    BINS = WINDOW / 2 + 1,
    MOST_SONGS = 48,
    MOST_SECONDS = 30,
    OCTAVES = 10,
    QUANTILES = 5
};
static const double lowest_edge = 22.1, share_of[QUANTILES] = {0.01, 0.05, 0.5, 0.95, 0.99};

/* One role: shares of octaves and quantiles of songs (n of each). */
typedef struct bands {
    int64_t n;
    double octave[OCTAVES][MOST_SONGS], quantile[QUANTILES][MOST_SONGS];
} bands;

typedef struct spectra {
    const rg_fft *plan;
    float *x, *spectrum; /* (WINDOW), (BINS,2) */
    double power[BINS];
} spectra;

/* Adds up the power of the song's middle; zero when the role is silent there. */
static rg_status sum_power(const rg__page *p, int64_t song, int32_t role, spectra *s, rg_error *err)
{
    const double *window = rg_fft_hann(s->plan);
    int64_t frames = rg_store_song(p->store, song)->frames, rate = rg_store_rate(p->store);
    int64_t length = frames < MOST_SECONDS * rate ? frames : MOST_SECONDS * rate;
    int64_t first = (frames - length) / 2;
    memset(s->power, 0, sizeof s->power);
    for (int64_t at = first; at == first || at + WINDOW <= first + length; at += WINDOW) {
        RG_TRY(rg_store_read(p->store, song, role, at, WINDOW, s->x, err));
        for (int i = 0; i < WINDOW; i++) s->x[i] *= (float)window[i];
        rg_fft_forward(s->plan, s->x, s->spectrum);
        for (int i = 1; i < BINS; i++) {
            double re = s->spectrum[2 * i], im = s->spectrum[2 * i + 1];
            s->power[i] += re * re + im * im;
        }
    }
    return RG_OK;
}

static void note_song(bands *b, const double power[BINS], int32_t rate)
{
    double sum = 0, below = 0;
    int q = 0;
    for (int i = 0; i < BINS; i++) sum += power[i];
    if (!(sum > 0)) return;
    for (int o = 0; o < OCTAVES; o++) b->octave[o][b->n] = 0;
    for (int i = 1; i < BINS; i++) {
        double hz = (double)i * rate / WINDOW;
        int o = (int)floor(log2(fmax(hz / lowest_edge, 1)));
        b->octave[o < OCTAVES ? o : OCTAVES - 1][b->n] += 100 * power[i] / sum;
        below += power[i];
        for (; q < QUANTILES && below >= share_of[q] * sum; q++) b->quantile[q][b->n] = hz;
    }
    for (; q < QUANTILES; q++) b->quantile[q][b->n] = rate / 2.0;
    b->n++;
}

static rg_status measure_role(const rg__page *p, int32_t role, spectra *s, bands *b, rg_error *err)
{
    int64_t n = 0, *songs = rg__page_draw(p, role, MOST_SONGS, &n);
    rg_status status = songs ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for a list of songs");
    for (int64_t i = 0; status == RG_OK && i < n; i++) {
        status = sum_power(p, songs[i], role, s, err);
        if (status == RG_OK) note_song(b, s->power, rg_store_rate(p->store));
    }
    free(songs);
    return status;
}

static double median_of(double *values, int64_t n)
{
    if (n == 0) return NAN;
    rg__page_sort(values, n);
    return rg__page_quantile(values, n, 0.5);
}

static void add_table(rg__page *p, bands *all)
{
    static const char *const titles[] = {"role",     "songs",    "1 %, Hz",  "5 %, Hz",
                                         "50 %, Hz", "95 %, Hz", "99 %, Hz", NULL};
    rg__page_begin_table(p,
                         "Frequency below which that share of a song's energy lies: median over "
                         "songs drawn by lot, from the middle 30 s of each.",
                         titles);
    for (int32_t r = 0; r < rg_store_roles(p->store); r++) {
        rg__page_row(p, rg_store_role(p->store, r));
        rg__page_cell(p, "%lld", (long long)all[r].n);
        for (int q = 0; q < QUANTILES; q++) {
            double hz = median_of(all[r].quantile[q], all[r].n);
            rg__page_cell(p, isfinite(hz) ? "%.0f" : "-", hz);
        }
    }
    rg__page_end_table(p);
}

static void add_plot(rg__page *p, bands *all)
{
    static const char *const names[OCTAVES] = {"31", "63", "125", "250", "500",
                                               "1k", "2k", "4k",  "8k",  "16k"};
    double shares[RG_PLOT_SERIES][OCTAVES];
    int32_t roles = rg_store_roles(p->store);
    rg_plot plot = {.kind = RG_PLOT_BARS,
                    .title = "Energy by octave",
                    .x_label = "middle of the octave, Hz",
                    .y_label = "% of the energy",
                    .groups = names,
                    .n_series = roles < RG_PLOT_SERIES ? roles : RG_PLOT_SERIES,
                    .width = 760};
    for (int32_t r = 0; r < plot.n_series; r++) {
        for (int o = 0; o < OCTAVES; o++) shares[r][o] = median_of(all[r].octave[o], all[r].n);
        plot.series[r] =
            (rg_series){.name = rg_store_role(p->store, r), .n = OCTAVES, .y = shares[r]};
    }
    rg__page_begin_figures(p);
    rg__page_figure(p, &plot,
                    "Median over the same songs. The lowest octave holds what lies below it too, "
                    "the highest what lies above.");
    rg__page_end_figures(p);
}

static rg_status measure(rg__page *p, bands *all, rg_error *err)
{
    spectra s = {.plan = rg_fft_plan(WINDOW, err),
                 .x = aligned_alloc(64, WINDOW * sizeof(float)),
                 .spectrum = aligned_alloc(64, (2 * BINS + 14) * sizeof(float))};
    rg_status status = s.plan ? RG_OK : err->code;
    if (status == RG_OK && (!s.x || !s.spectrum))
        status = rg_fail(err, RG_ERR_NOMEM, "no memory for spectra");
    for (int32_t r = 0; status == RG_OK && r < rg_store_roles(p->store); r++)
        status = measure_role(p, r, &s, &all[r], err);
    free(s.x);
    free(s.spectrum);
    return status;
}

rg_status rg__page_bands(rg__page *p, rg_error *err)
{
    bands *all = calloc(RG_MAX_ROLES, sizeof *all);
    if (!all) return rg_fail(err, RG_ERR_NOMEM, "no memory for bands");
    rg_status status = measure(p, all, err);
    if (status == RG_OK) {
        add_table(p, all);
        add_plot(p, all);
        status = rg_text_status(&p->out, err);
    }
    free(all);
    return status;
}
