/*
 * Hours, tempo, keys, levels and activity of a store's songs, as tables and histograms.
 *
 * One idea: everything here is known since the store was opened; no sound is read.
 */
#include <math.h>
#include <stdlib.h>

#include "datasets/song_features.h"
#include "eval/store_page_internal.h"

static const char *const split_titles[RG_SPLIT_COUNT] = {"train", "valid", "test"};

/* Names of at most as many roles as a plot has series. */
static int32_t shown_roles(const rg__page *p)
{
    int32_t n = rg_store_roles(p->store);
    return n < RG_PLOT_SERIES ? n : RG_PLOT_SERIES;
}

/* ---- hours ---- */

rg_status rg__page_hours(rg__page *p, rg_error *err)
{
    static const char *const titles[] = {"role",          "songs",       "train, hours",
                                         "valid, hours",  "test, hours", "sounding, train hours",
                                         "absent, songs", NULL};
    double hours[RG_SPLIT_COUNT][RG_MAX_ROLES] = {{0}}, sounding[RG_MAX_ROLES] = {0};
    int64_t songs[RG_MAX_ROLES] = {0};
    const char *names[RG_MAX_ROLES];
    int32_t roles = rg_store_roles(p->store);
    for (int64_t i = 0; i < rg_store_songs(p->store); i++) {
        const rg_song *s = rg_store_song(p->store, i);
        double length = (double)s->frames / rg_store_rate(p->store) / 3600;
        for (int32_t r = 0; r < roles; r++) {
            if (!s->present[r]) continue;
            songs[r]++;
            hours[s->split][r] += length;
            if (s->split == RG_SPLIT_TRAIN)
                sounding[r] += length * rg_store_active_share(p->store, i, r, 0, s->frames);
        }
    }
    rg__page_begin_table(p, "Songs that have the role. Sounding: above -60 dBFS.", titles);
    for (int32_t r = 0; r < roles; r++) {
        names[r] = rg_store_role(p->store, r);
        rg__page_row(p, names[r]);
        rg__page_cell(p, "%lld", (long long)songs[r]);
        for (int k = 0; k < RG_SPLIT_COUNT; k++) rg__page_cell(p, "%.2f", hours[k][r]);
        rg__page_cell(p, "%.2f", sounding[r]);
        rg__page_cell(p, "%lld", (long long)(rg_store_songs(p->store) - songs[r]));
    }
    rg__page_end_table(p);
    rg_plot plot = {.kind = RG_PLOT_BARS,
                    .title = "Hours per role and split",
                    .y_label = "hours",
                    .groups = names,
                    .n_series = RG_SPLIT_COUNT,
                    .width = 640};
    for (int k = 0; k < RG_SPLIT_COUNT; k++)
        plot.series[k] = (rg_series){.name = split_titles[k], .n = roles, .y = hours[k]};
    rg__page_begin_figures(p);
    rg__page_figure(p, &plot, "A role counts with the whole length of the songs that have it.");
    rg__page_end_figures(p);
    return rg_text_status(&p->out, err);
}

/* ---- tempo and key ---- */

enum { TEMPO_LOW = 40, TEMPO_STEP = 10, TEMPI = 20, KEYS = 12, COMPARED = 100 };
static const double near_tempo = 0.04;

static void add_tempo(rg__page *p)
{
    static const char *const names[TEMPI] = {"40",  "", "60",  "", "80",  "", "100", "", "120", "",
                                             "140", "", "160", "", "180", "", "200", "", "220", ""};
    double counts[TEMPI] = {0};
    int64_t unknown = 0;
    char caption[160];
    for (int64_t i = 0; i < rg_store_songs(p->store); i++) {
        double tempo = rg_store_song(p->store, i)->tempo_bpm;
        double bin = fmin(fmax(floor((tempo - TEMPO_LOW) / TEMPO_STEP), 0), TEMPI - 1);
        if (tempo > 0)
            counts[(int)bin]++;
        else
            unknown++;
    }
    rg_format(caption, sizeof caption,
              "Bins of %d bpm, named by their lower end; the outer ones hold what lies beyond. "
              "Unknown: %lld songs.",
              TEMPO_STEP, (long long)unknown);
    const rg_plot plot = {.kind = RG_PLOT_BARS,
                          .title = "Tempo",
                          .x_label = "bpm",
                          .y_label = "songs",
                          .groups = names,
                          .n_series = 1,
                          .series = {{.n = TEMPI, .y = counts}}};
    rg__page_figure(p, &plot, caption);
}

static void add_keys(rg__page *p)
{
    static const char *const names[KEYS] = {"C",  "C#", "D",  "D#", "E",  "F",
                                            "F#", "G",  "G#", "A",  "A#", "B"};
    double counts[2][KEYS] = {{0}};
    int64_t unknown = 0;
    char caption[80];
    for (int64_t i = 0; i < rg_store_songs(p->store); i++) {
        const rg_song *s = rg_store_song(p->store, i);
        if (s->key_tonic >= 0)
            counts[s->key_mode == 1][s->key_tonic]++;
        else
            unknown++;
    }
    rg_format(caption, sizeof caption, "Unknown: %lld songs.", (long long)unknown);
    const rg_plot plot = {
        .kind = RG_PLOT_BARS,
        .title = "Key",
        .x_label = "tonic",
        .y_label = "songs",
        .groups = names,
        .n_series = 2,
        .series = {{.name = "major", .n = KEYS, .y = counts[0]},
                   {.name = "minor", .n = KEYS, .y = counts[1]}},
    };
    rg__page_figure(p, &plot, caption);
}

/* Songs whose labels are known and heard, and where both agree. */
typedef struct agreement {
    int64_t drawn, tempo[2], key[2], meter[2]; /* known, agreeing */
} agreement;

static void agree(int64_t count[2], bool known, bool same)
{
    count[0] += known;
    count[1] += known && same;
}

static rg_status compare_by_ear(const rg__page *p, int64_t song, agreement *a, rg_error *err)
{
    const rg_song *s = rg_store_song(p->store, song);
    rg_song_features f;
    rg_status status = rg_store_features(p->store, song, &f, err);
    if (status == RG_OK && f.version[0]) {
        a->drawn++;
        agree(a->tempo, s->tempo_bpm > 0,
              fabs(f.tempo_bpm - s->tempo_bpm) <= near_tempo * s->tempo_bpm);
        agree(a->key, s->key_tonic >= 0, f.key_tonic == s->key_tonic && f.key_mode == s->key_mode);
        agree(a->meter, s->meter == 3 || s->meter == 4, f.meter == s->meter);
    }
    rg_song_features_free(&f);
    return status;
}

/* Labels against what is heard; nothing where the store does not say. */
static rg_status add_by_ear(rg__page *p, rg_error *err)
{
    static const char *const titles[] = {"label", "songs that have it", "heard the same", NULL};
    int64_t n = 0, *songs = rg__page_draw(p, -1, COMPARED, &n);
    agreement a = {0};
    char caption[120];
    if (!songs) return rg_fail(err, RG_ERR_NOMEM, "no memory for a list of songs");
    rg_status status = RG_OK;
    for (int64_t i = 0; status == RG_OK && i < n; i++)
        status = compare_by_ear(p, songs[i], &a, err);
    free(songs);
    if (status != RG_OK || !a.drawn) return status;
    const int64_t *counts[] = {a.tempo, a.key, a.meter};
    static const char *const names[] = {"tempo, within 4 %", "key", "meter, of 3 or 4 beats"};
    rg_format(caption, sizeof caption, "Labels and what is heard, in %lld songs drawn",
              (long long)a.drawn);
    rg__page_begin_table(p, caption, titles);
    for (int i = 0; i < 3; i++) {
        rg__page_row(p, names[i]);
        rg__page_cell(p, "%lld", (long long)counts[i][0]);
        rg__page_cell(p, "%lld", (long long)counts[i][1]);
    }
    rg__page_end_table(p);
    return RG_OK;
}

rg_status rg__page_labels(rg__page *p, rg_error *err)
{
    rg__page_begin_figures(p);
    add_tempo(p);
    add_keys(p);
    rg__page_end_figures(p);
    RG_TRY(add_by_ear(p, err));
    return rg_text_status(&p->out, err);
}

/* ---- levels and activity ---- */

enum { LEVEL_LOW = -66, LEVEL_STEP = 3, LEVELS = 22 };

/* Share of the role's songs in each bin of RMS level, in percent. */
static void count_levels(const rg__page *p, int32_t role, double counts[LEVELS])
{
    double songs = 0;
    for (int i = 0; i < LEVELS; i++) counts[i] = 0;
    for (int64_t i = 0; i < rg_store_songs(p->store); i++) {
        const rg_song *s = rg_store_song(p->store, i);
        if (!s->present[role]) continue;
        double bin = floor((s->rms_dbfs[role] - LEVEL_LOW) / LEVEL_STEP);
        counts[(int)fmin(fmax(bin, 0), LEVELS - 1)]++;
        songs++;
    }
    for (int i = 0; i < LEVELS; i++) counts[i] *= songs > 0 ? 100 / songs : 0;
}

static void add_levels(rg__page *p)
{
    double at[LEVELS], counts[RG_PLOT_SERIES][LEVELS];
    for (int i = 0; i < LEVELS; i++) at[i] = LEVEL_LOW + (i + 0.5) * LEVEL_STEP;
    rg_plot plot = {.kind = RG_PLOT_LINES,
                    .title = "Level of the stems",
                    .x_label = "RMS of the whole stem, dBFS",
                    .y_label = "% of songs",
                    .n_series = shown_roles(p),
                    .from_zero = true};
    for (int32_t r = 0; r < plot.n_series; r++) {
        count_levels(p, r, counts[r]);
        plot.series[r] =
            (rg_series){.name = rg_store_role(p->store, r), .n = LEVELS, .x = at, .y = counts[r]};
    }
    rg__page_figure(p, &plot, "Bins of 3 dB; the lowest holds what lies below.");
}

/* Low, middle and high tenth of the share of each song in which the role sounds, in percent. */
static void activity_quantiles(const rg__page *p, int32_t role, double *shares, double out[3])
{
    int64_t n = 0;
    for (int64_t i = 0; i < rg_store_songs(p->store); i++) {
        const rg_song *s = rg_store_song(p->store, i);
        if (s->present[role])
            shares[n++] = 100 * rg_store_active_share(p->store, i, role, 0, s->frames);
    }
    rg__page_sort(shares, n);
    for (int q = 0; q < 3; q++) out[q] = n > 0 ? rg__page_quantile(shares, n, 0.1 + 0.4 * q) : NAN;
}

static rg_status add_activity(rg__page *p, rg_error *err)
{
    double low[RG_MAX_ROLES], middle[RG_MAX_ROLES], high[RG_MAX_ROLES], q[3];
    const char *names[RG_MAX_ROLES];
    double *shares = malloc((size_t)rg_store_songs(p->store) * sizeof *shares);
    if (!shares) return rg_fail(err, RG_ERR_NOMEM, "no memory for a histogram");
    int32_t roles = rg_store_roles(p->store);
    for (int32_t r = 0; r < roles; r++) {
        activity_quantiles(p, r, shares, q);
        low[r] = q[0];
        middle[r] = q[1];
        high[r] = q[2];
        names[r] = rg_store_role(p->store, r);
    }
    free(shares);
    const rg_plot plot = {
        .kind = RG_PLOT_BARS,
        .title = "Activity",
        .y_label = "% of a song",
        .groups = names,
        .n_series = 1,
        .series = {{.n = roles, .y = middle, .low = low, .high = high}},
    };
    rg__page_figure(p, &plot,
                    "Share of a song's 100-ms blocks in which the role sounds (above -60 dBFS): "
                    "median over songs, and the range from the lowest to the highest tenth.");
    return RG_OK;
}

rg_status rg__page_levels(rg__page *p, rg_error *err)
{
    rg__page_begin_figures(p);
    add_levels(p);
    RG_TRY(add_activity(p, err));
    rg__page_end_figures(p);
    return rg_text_status(&p->out, err);
}
