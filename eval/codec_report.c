/*
 * Showing what a codec does: headline rows with their verdicts, and the parts of a role in order.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/internal.h"
#include "eval/metrics/opus_baseline.h"

const codec_shown rg__codec_shown[CODEC_SHOWN] = {
    [CODEC_BITRATE] = {"bitrate", "Bits", "bit/s", RG_NO_DIRECTION, 0},
    [CODEC_SI_SDR] = {"si_sdr", "SI-SDR", "dB", RG_HIGHER_BETTER, 2},
    [CODEC_SI_SNR] = {"si_snr", "SI-SNR", "dB, of 5 s", RG_HIGHER_BETTER, 2},
    [CODEC_SNR] = {"snr", "SNR", "dB", RG_HIGHER_BETTER, 2},
    [CODEC_MEL] = {"mel", "Mel distance", "dB", RG_LOWER_BETTER, 2},
    [CODEC_STFT] = {"stft", "STFT distance", "dB", RG_LOWER_BETTER, 2},
    [CODEC_LOUDNESS] = {"loudness", "Loudness off by", "LU", RG_NO_DIRECTION, 1},
    [CODEC_LOUDNESS_ERROR] = {"loudness_error", "Loudness error", "LU", RG_LOWER_BETTER, 1},
    [CODEC_ONSET_F] = {"onset_f", "Onset F", "", RG_HIGHER_BETTER, 3},
    [CODEC_CHROMA] = {"chroma", "Chroma cosine", "", RG_HIGHER_BETTER, 3},
};

/* What equals the original in each metric: the ceiling. */
static const double perfect[CODEC_SHOWN] = {
    [CODEC_BITRATE] = NAN,  [CODEC_SI_SDR] = INFINITY, [CODEC_SI_SNR] = INFINITY,
    [CODEC_SNR] = INFINITY, [CODEC_ONSET_F] = 1,       [CODEC_CHROMA] = 1};

static void add_columns(rg_table *table)
{
    for (int m = 0; m < CODEC_SHOWN; m++) {
        const codec_shown *s = &rg__codec_shown[m];
        rg_table_column(table, s->id, s->title, s->unit, s->direction, s->decimals);
    }
}

static void fill_row(const evaluation *e, rg_table *table, int32_t row, const codec_result *r,
                     enum codec_row which)
{
    if (r->missing[which][0]) {
        rg_table_text(table, row, 0, "%s", r->missing[which]);
        return;
    }
    for (int m = 0; m < CODEC_SHOWN; m++)
        rg_table_interval(table, row, m,
                          rg_bootstrap(rg__codec_values(r, which, m), r->n, e->options.seed));
}

static void add_rows(const evaluation *e, rg_table *table, const codec_result *r, const char *name)
{
    int32_t row = rg_table_row(table, RG_ROW_CEILING, "%soriginal", name);
    for (int m = 0; m < CODEC_SHOWN; m++) {
        if (isinf(perfect[m]))
            rg_table_text(table, row, m, "∞");
        else
            rg_table_number(table, row, m, perfect[m]);
    }
    for (int which = 0; which < CODEC_ROWS; which++) {
        const codec_row_kind *kind = &rg__codec_rows[which];
        bool nominal = which == CODEC_OURS || which == CODEC_PCM;
        char bits[40] = "";
        if (nominal) rg_format(bits, sizeof bits, ", %.0f bit/s", r->nominal_bitrate);
        row = rg_table_row(table, kind->kind, "%s%s%s", name, kind->label, bits);
        fill_row(e, table, row, r, (enum codec_row)which);
    }
}

/* ---- verdicts ---- */

/* How much better than a floor, over songs: above 0 is better, whatever the metric's direction. */
static rg_interval gain_over(const evaluation *e, const codec_result *r, enum codec_row floor_row,
                             enum codec_metric m)
{
    const double *ours = rg__codec_values(r, CODEC_OURS, m),
                 *other = rg__codec_values(r, floor_row, m);
    bool higher = rg__codec_shown[m].direction == RG_HIGHER_BETTER;
    return rg_bootstrap_paired(higher ? ours : other, higher ? other : ours, r->n, e->options.seed);
}

static void judge(evaluation *e, const codec_result *results, int32_t n, enum codec_row floor_row,
                  enum codec_metric m, const char *what)
{
    judgement j = {0};
    for (int32_t i = 0; i < n; i++)
        rg__judge(&j, results[i].role, gain_over(e, &results[i], floor_row, m),
                  rg__codec_shown[m].unit);
    rg__judge_say(e->report, &j, what);
}

/* Few used entries mean a collapsed codebook, whatever the means say. */
static void judge_usage(evaluation *e, const codec_result *r)
{
    const rg_encodec_config *c = &r->codec->config;
    char used[256] = "";
    bool collapsed = false;
    for (int32_t k = 0; k < c->codebooks && k < CODEC_BOOKS; k++) {
        size_t at = strlen(used);
        rg_format(used + at, sizeof used - at, "%s%lld", k ? ", " : "",
                  (long long)r->books[k].usage.used);
        collapsed = collapsed || r->books[k].usage.used * 10 < c->entries;
    }
    if (collapsed)
        rg_report_verdict(e->report, RG_BAD,
                          "The %s codec has collapsed codebooks: %s of %d entries are ever used.",
                          r->role, used, c->entries);
}

/* Opus cannot go as low as most of our codecs; then its row has more bits, and that is said. */
static void say_what_rows_are(const codec_result *results, int32_t n, char caption[768])
{
    double lowest = INFINITY;
    for (int32_t i = 0; i < n; i++) lowest = fmin(lowest, results[i].nominal_bitrate);
    rg_format(
        caption, 768,
        "Reconstruction of held-out songs at each codec's own rate: means over songs. Mel and "
        "STFT distance: FFT sizes %d, %d and %d. Floors: what the same bits give as "
        "low-passed 8-bit PCM, and silence (its SI-SDR is undefined). A silent estimate has "
        "an SNR of exactly 0 dB. The low-pass keeps the role's band and needs no bits. Opus "
        "as opusenc comes, its bits counted in its packets%s.",
        rg_resolutions[0].size, rg_resolutions[1].size, rg_resolutions[2].size,
        lowest < RG_OPUS_LOWEST
            ? "; the lowest that it can be asked for is 6 kbit/s, more than the codec has"
            : "");
}

void rg__codec_headline(evaluation *e, const codec_result *results, int32_t n)
{
    judge(e, results, n, CODEC_PCM, CODEC_MEL,
          "Better than 8-bit PCM at the same bitrate (mel distance)");
    judge(e, results, n, CODEC_SILENCE, CODEC_MEL, "Better than silence (mel distance)");
    judge(e, results, n, CODEC_SILENCE, CODEC_SNR, "Better than silence (SNR above 0 dB)");
    for (int32_t i = 0; i < n; i++) judge_usage(e, &results[i]);
    char caption[768];
    say_what_rows_are(results, n, caption);
    rg_table *table = rg_report_table(e->report, "codecs", caption);
    add_columns(table);
    for (int32_t i = 0; i < n; i++) {
        char name[40];
        rg_format(name, sizeof name, "%s: ", results[i].role);
        add_rows(e, table, &results[i], name);
    }
}

/* ---- the section of a role ---- */

static rg_status metric_plot(evaluation *e, const codec_result *r, rg_error *err)
{
    char id[64], title[96];
    double *y = malloc((size_t)r->n * CODEC_ROWS * sizeof *y);
    if (!y) return rg_fail(err, RG_ERR_NOMEM, "no memory for a plot");
    rg_plot plot = {
        .kind = RG_PLOT_BARS, .title = title, .x_label = "songs", .y_label = "mel distance, dB"};
    int64_t n = 0;
    for (int64_t i = 0; i < r->n; i++) n += r->start[i] >= 0;
    for (int row = 0; row < CODEC_ROWS; row++) {
        if (r->missing[row][0]) continue;
        double *to = y + plot.n_series * n;
        int64_t at = 0;
        for (int64_t i = 0; i < r->n; i++)
            if (r->start[i] >= 0) to[at++] = rg__codec_values(r, (enum codec_row)row, CODEC_MEL)[i];
        plot.series[plot.n_series++] =
            (rg_series){.name = rg__codec_rows[row].title, .n = n, .y = to};
    }
    rg_format(title, sizeof title, "%s: mel distance per song", r->role);
    rg_format(id, sizeof id, "mel-%s", r->role);
    if (n > 0) rg_report_plot(e->report, id, &plot, "Lower is better.");
    free(y);
    return RG_OK;
}

/* The metrics of the headline only: the others would say the same many times over. */
static void add_csv_items(evaluation *e, const codec_result *r)
{
    char metric[64];
    for (int64_t i = 0; i < r->n; i++) {
        const char *id = rg_store_song(e->store, e->songs[i])->id;
        for (int row = 0; row < CODEC_ROWS && r->start[i] >= 0; row++)
            for (int m = 0; m < CODEC_SHOWN && !r->missing[row][0]; m++) {
                rg_format(metric, sizeof metric, "%s/%s", rg__codec_rows[row].id,
                          rg__codec_shown[m].id);
                rg_report_item(e->report, id, r->role, metric,
                               rg__codec_values(r, (enum codec_row)row, m)[i]);
            }
        if (r->start[i] < 0) continue;
        rg_report_item(e->report, id, r->role, "band/below", r->band[i].below);
        rg_report_item(e->report, id, r->role, "band/above", r->band[i].above);
    }
}

/* What a reader of a codec's numbers must know of its channels and chunks. */
static void say_how_it_was_measured(evaluation *e, const codec_result *r)
{
    const rg_encodec_config *c = &r->codec->config;
    if (rg__codec_hears_stereo(e, r))
        rg_report_text(e->report,
                       "Each of the codec's %d channels got the stem's own. Its numbers are means "
                       "over the channels, each against its own; players, pictures and all other "
                       "rows are of the channels' mean.",
                       (int)c->channels);
    else if (c->channels > 1)
        rg_report_text(e->report,
                       "Stems are mono: each of the codec's %d channels got the same sound. Its "
                       "numbers are means over the channels, each against the stem; players and "
                       "pictures are of the first. All other rows are of one channel.",
                       (int)c->channels);
    if (c->normalize)
        rg_report_text(e->report,
                       "The codec sends the loudness of each chunk beside its codes: 32 bits, "
                       "which are not in its bitrate.");
}

rg_status rg__codec_section(evaluation *e, const codec_result *r, int32_t players, rg_error *err)
{
    rg_report_heading(e->report, "%s", r->role);
    say_how_it_was_measured(e, r);
    RG_TRY(rg__codec_bits_tables(e, r, err));
    RG_TRY(metric_plot(e, r, err));
    rg__codec_bands(e, r);
    add_csv_items(e, r);
    return rg__codec_items(e, r, players, err);
}
