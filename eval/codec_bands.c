/*
 * Where in the spectrum a codec errs: by FFT size, by octave, outside the role's band.
 *
 * One idea: the octaves are the same for all roles, the band is the role's own.
 */
#include <math.h>
#include <stdlib.h>

#include "eval/internal.h"

enum { MOST_SONGS = 100 };
static const double much_outside = 0.05;

static rg_interval over_songs(const evaluation *e, const codec_result *r, int row, int32_t metric)
{
    return rg_bootstrap(rg__codec_values(r, (enum codec_row)row, metric), r->n, e->options.seed);
}

/* ---- outside the band ---- */

enum side { BOTH, BELOW, ABOVE, SIDES };
static const char *const side_names[SIDES] = {"", ", below the band", ", above the band"};

static double outside_of(const codec_result *r, int64_t i, enum side side)
{
    return (side != ABOVE ? r->band[i].below : 0) + (side != BELOW ? r->band[i].above : 0);
}

typedef struct ranked {
    double most;
    int64_t song;
} ranked;

static int widest_first(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->most != y->most) return x->most < y->most ? 1 : -1;
    return (x->song > y->song) - (x->song < y->song);
}

static void outside_song(const evaluation *e, rg_table *table, const codec_result *results,
                         int32_t n, int64_t song)
{
    int32_t row =
        rg_table_row(table, RG_ROW_PLAIN, "%s", rg_store_song(e->store, e->songs[song])->id);
    for (int32_t k = 0; k < n; k++) {
        double share = outside_of(&results[k], song, BOTH);
        rg_table_number(table, row, k, 100 * share);
        if (share > much_outside) rg_table_mark(table, row, k, RG_BAD);
    }
}

static rg_table *outside_table(const evaluation *e, const codec_result *results, int32_t n)
{
    rg_table *table = rg_report_table(
        e->report, "codec-outside",
        "Energy of whole songs outside the band that each role's configuration names (band.low, "
        "band.high), in %; over 5 % in red: there the band is too narrow. The songs with the most "
        "come first, at most 100; all of them are in per_item.csv. A dash: the role does not "
        "play.");
    for (int32_t k = 0; k < n; k++) {
        char unit[16];
        rg_format(unit, sizeof unit, "%.0f-%.0f Hz", results[k].codec->band[0],
                  results[k].codec->band[1]);
        rg_table_column(table, results[k].role, results[k].role, unit, RG_LOWER_BETTER, 2);
    }
    return table;
}

void rg__codec_outside(evaluation *e, const codec_result *results, int32_t n)
{
    int64_t songs = e->n_songs;
    double *values = malloc((size_t)(songs + 1) * sizeof *values);
    ranked *order = malloc((size_t)(songs + 1) * sizeof *order);
    rg_table *table = outside_table(e, results, n);
    int32_t means[SIDES];
    for (int side = 0; side < SIDES; side++)
        means[side] = rg_table_row(table, side == BOTH ? RG_ROW_OURS : RG_ROW_PLAIN,
                                   "mean over songs%s", side_names[side]);
    for (int64_t i = 0; values && order && i < songs; i++) {
        order[i] = (ranked){-1, i};
        for (int32_t k = 0; k < n; k++)
            order[i].most =
                fmax(order[i].most, outside_of(&results[k], i, BOTH)); /* fmax drops NANs */
    }
    for (int32_t k = 0; k < n * SIDES && values && order; k++) {
        const codec_result *r = &results[k / SIDES];
        for (int64_t i = 0; i < songs; i++)
            values[i] = 100 * outside_of(r, i, (enum side)(k % SIDES));
        rg_table_interval(table, means[k % SIDES], k / SIDES,
                          rg_bootstrap(values, songs, e->options.seed));
    }
    if (order && values) qsort(order, (size_t)songs, sizeof *order, widest_first);
    for (int64_t i = 0; i < songs && i < MOST_SONGS && order && values; i++)
        outside_song(e, table, results, n, order[i].song);
    free(values);
    free(order);
}

/* ---- by FFT size ---- */

static void size_table(evaluation *e, const codec_result *r)
{
    char id[64], column[32], title[40], unit[16];
    rg_format(id, sizeof id, "codec-%s-sizes", r->role);
    rg_table *table = rg_report_table(
        e->report, id,
        "Mel and STFT distance by FFT size: a quarter of it between frames. Long windows tell "
        "pitches apart, short ones attacks.");
    for (int32_t m = 0; m < 2 * RG_RESOLUTIONS; m++) {
        const rg_resolution *size = &rg_resolutions[m % RG_RESOLUTIONS];
        bool mel = m < RG_RESOLUTIONS;
        rg_format(column, sizeof column, "%s_%d", mel ? "mel" : "stft", size->size);
        rg_format(title, sizeof title, "%s, %d", mel ? "Mel" : "STFT", size->size);
        rg_format(unit, sizeof unit, mel ? "dB, %d bands" : "dB", size->bands);
        rg_table_column(table, column, title, unit, RG_LOWER_BETTER, 2);
    }
    for (int row = 0; row < CODEC_ROWS; row++) {
        if (r->missing[row][0]) continue;
        int32_t at = rg_table_row(table, rg__codec_rows[row].kind, "%s", rg__codec_rows[row].label);
        for (int32_t m = 0; m < 2 * RG_RESOLUTIONS; m++)
            rg_table_interval(table, at, m, over_songs(e, r, row, CODEC_MEL_BY_SIZE + m));
    }
}

/* ---- by octave ---- */

static int32_t bands_below(const codec_result *r)
{
    int32_t n = 0;
    while (n < RG_BANDS && rg_bands[n].low < r->codec->config.sample_rate / 2.0) n++;
    return n;
}

static rg_interval percent(rg_interval share)
{
    return (rg_interval){100 * share.mean, 100 * share.low, 100 * share.high, share.n};
}

static void band_table(evaluation *e, const codec_result *r)
{
    char id[64], column[48], title[48];
    rg_format(id, sizeof id, "codec-%s-bands", r->role);
    rg_table *table = rg_report_table(
        e->report, id,
        "By octave: the share of the original's energy, how much louder the codec is there, the "
        "SNR of what came out, and the log-spectral distance (FFT 2048). An SNR of 0 dB is no "
        "better than silence; songs that have nothing in an octave are left out of it.");
    rg_table_column(table, "share", "Energy", "%", RG_NO_DIRECTION, 1);
    rg_table_column(table, "codec_level", "Level", "dB, codec", RG_NO_DIRECTION, 1);
    for (int row = 0; row < CODEC_SILENCE; row++) {
        if (r->missing[row][0]) continue;
        rg_format(column, sizeof column, "%s_snr", rg__codec_rows[row].id);
        rg_format(title, sizeof title, "SNR, %s", rg__codec_rows[row].title);
        rg_table_column(table, column, title, "dB", RG_HIGHER_BETTER, 1);
        rg_format(column, sizeof column, "%s_distance", rg__codec_rows[row].id);
        rg_format(title, sizeof title, "Distance, %s", rg__codec_rows[row].title);
        rg_table_column(table, column, title, "dB", RG_LOWER_BETTER, 1);
    }
    for (int32_t b = 0; b < bands_below(r); b++) {
        int32_t at = rg_table_row(table, RG_ROW_PLAIN, "%s", rg_bands[b].name), c = 2;
        rg_table_interval(table, at, 0,
                          percent(over_songs(e, r, CODEC_OURS, CODEC_BAND_SHARE + b)));
        rg_table_interval(table, at, 1, over_songs(e, r, CODEC_OURS, CODEC_BAND_LEVEL + b));
        for (int row = 0; row < CODEC_SILENCE; row++) {
            if (r->missing[row][0]) continue;
            rg_table_interval(table, at, c++, over_songs(e, r, row, CODEC_BAND_SNR + b));
            rg_table_interval(table, at, c++, over_songs(e, r, row, CODEC_BAND_DISTANCE + b));
        }
    }
}

static void band_plot(evaluation *e, const codec_result *r)
{
    enum { SHOWN = CODEC_SILENCE };
    char id[64], title[96];
    double mean[SHOWN][RG_BANDS], low[SHOWN][RG_BANDS], high[SHOWN][RG_BANDS];
    static const char *const groups[RG_BANDS] = {"0",  "63", "125", "250", "500",
                                                 "1k", "2k", "4k",  "8k",  "16k"};
    rg_plot plot = {.kind = RG_PLOT_BARS,
                    .title = title,
                    .x_label = "octave from, Hz",
                    .y_label = "distance, dB",
                    .groups = groups};
    for (int row = 0; row < SHOWN; row++) {
        if (r->missing[row][0]) continue;
        for (int32_t b = 0; b < RG_BANDS; b++) {
            rg_interval v = over_songs(e, r, row, CODEC_BAND_DISTANCE + b);
            mean[row][b] = v.mean;
            low[row][b] = v.low;
            high[row][b] = v.high;
        }
        plot.series[plot.n_series++] = (rg_series){.name = rg__codec_rows[row].title,
                                                   .n = bands_below(r),
                                                   .y = mean[row],
                                                   .low = low[row],
                                                   .high = high[row]};
    }
    rg_format(title, sizeof title, "%s: log-spectral distance by octave", r->role);
    rg_format(id, sizeof id, "bands-%s", r->role);
    rg_report_plot(e->report, id, &plot, "Lower is better; lines: 95 % intervals over songs.");
}

void rg__codec_bands(evaluation *e, const codec_result *r)
{
    band_plot(e, r);
    size_table(e, r);
    band_table(e, r);
}
