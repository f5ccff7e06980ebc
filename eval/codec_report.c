/*
 * Showing what a codec does: headline rows, the table of a role, code usage, items to hear.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "eval/internal.h"

enum { PLAYER_SECONDS = 8 };

/* How a metric is shown. */
static const struct shown {
    const char *id, *title, *unit;
    rg_direction direction;
    int32_t decimals;
} shown[CODEC_METRICS] = {
    [CODEC_SI_SDR] = {"si_sdr", "SI-SDR", "dB", RG_HIGHER_BETTER, 2},
    [CODEC_SNR] = {"snr", "SNR", "dB", RG_HIGHER_BETTER, 2},
    [CODEC_MEL] = {"mel", "Mel distance", "dB", RG_LOWER_BETTER, 2},
    [CODEC_STFT] = {"stft", "STFT distance", "dB", RG_LOWER_BETTER, 2},
    [CODEC_LOUDNESS] = {"loudness", "Loudness off by", "LU", RG_NO_DIRECTION, 1},
    [CODEC_ONSET_F] = {"onset_f", "Onset F", "", RG_HIGHER_BETTER, 3},
    [CODEC_CHROMA] = {"chroma", "Chroma cosine", "", RG_HIGHER_BETTER, 3},
};

/* What equals the original in each metric: the ceiling. */
static const double perfect[CODEC_METRICS] = {
    [CODEC_SI_SDR] = INFINITY, [CODEC_SNR] = INFINITY, [CODEC_ONSET_F] = 1, [CODEC_CHROMA] = 1};

static void add_columns(rg_table *table)
{
    for (int m = 0; m < CODEC_METRICS; m++)
        rg_table_column(table, shown[m].id, shown[m].title, shown[m].unit, shown[m].direction,
                        shown[m].decimals);
}

static void fill_row(const evaluation *e, rg_table *table, int32_t row, const codec_result *r,
                     enum codec_row which)
{
    for (int m = 0; m < CODEC_METRICS; m++)
        rg_table_interval(table, row, m,
                          rg_bootstrap(rg__codec_values(r, which, m), r->n, e->options.seed));
}

static void add_rows(const evaluation *e, rg_table *table, const codec_result *r, const char *name)
{
    int32_t row = rg_table_row(table, RG_ROW_CEILING, "%soriginal", name);
    for (int m = 0; m < CODEC_METRICS; m++) {
        if (isinf(perfect[m]))
            rg_table_text(table, row, m, "∞");
        else
            rg_table_number(table, row, m, perfect[m]);
    }
    row = rg_table_row(table, RG_ROW_OURS, "%scodec, %.0f bit/s", name, r->nominal_bitrate);
    fill_row(e, table, row, r, CODEC_OURS);
    row = rg_table_row(table, RG_ROW_FLOOR, "%s8-bit PCM, %.0f bit/s", name, r->nominal_bitrate);
    fill_row(e, table, row, r, CODEC_PCM);
    row = rg_table_row(table, RG_ROW_FLOOR, "%ssilence", name);
    fill_row(e, table, row, r, CODEC_SILENCE);
}

/* ---- verdicts ---- */

/* How much better than a floor, over songs: above 0 is better, whatever the metric's direction. */
static rg_interval gain_over(const evaluation *e, const codec_result *r, enum codec_row floor_row,
                             enum codec_metric m)
{
    const double *ours = rg__codec_values(r, CODEC_OURS, m),
                 *other = rg__codec_values(r, floor_row, m);
    bool higher = shown[m].direction == RG_HIGHER_BETTER;
    return rg_bootstrap_paired(higher ? ours : other, higher ? other : ours, r->n, e->options.seed);
}

static void judge(evaluation *e, const codec_result *results, int32_t n, enum codec_row floor_row,
                  enum codec_metric m, const char *what)
{
    judgement j = {0};
    for (int32_t i = 0; i < n; i++)
        rg__judge(&j, results[i].role, gain_over(e, &results[i], floor_row, m), shown[m].unit);
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
        rg_format(used + at, sizeof used - at, "%s%lld", k ? ", " : "", (long long)r->used[k]);
        collapsed = collapsed || r->used[k] * 10 < c->entries;
    }
    if (collapsed)
        rg_report_verdict(e->report, RG_BAD,
                          "The %s codec has collapsed codebooks: %s of %d entries are ever used.",
                          r->role, used, c->entries);
}

void rg__codec_headline(evaluation *e, const codec_result *results, int32_t n)
{
    judge(e, results, n, CODEC_PCM, CODEC_MEL,
          "Better than 8-bit PCM at the same bitrate (mel distance)");
    judge(e, results, n, CODEC_SILENCE, CODEC_MEL, "Better than silence (mel distance)");
    judge(e, results, n, CODEC_SILENCE, CODEC_SNR, "Better than silence (SNR above 0 dB)");
    for (int32_t i = 0; i < n; i++) judge_usage(e, &results[i]);
    rg_table *table = rg_report_table(
        e->report, "codecs",
        "Reconstruction of held-out songs at each codec's own rate: means over songs. Floors: what "
        "the same bits give as low-passed 8-bit PCM, and silence (its SI-SDR is undefined). A "
        "silent estimate has an SNR of exactly 0 dB.");
    add_columns(table);
    for (int32_t i = 0; i < n; i++) {
        char name[40];
        rg_format(name, sizeof name, "%s: ", results[i].role);
        add_rows(e, table, &results[i], name);
    }
}

/* ---- the section of a role ---- */

static void bits_table(evaluation *e, const codec_result *r)
{
    char id[64];
    const rg_encodec_config *c = &r->codec->config;
    rg_format(id, sizeof id, "codec-%s-bits", r->role);
    rg_table *table = rg_report_table(e->report, id,
                                      "What it costs. A factor of 0.1 means ten times faster than "
                                      "real time on this machine.");
    static const char *const titles[] = {"Rate",          "Frames",       "Codebooks",
                                         "Nominal",       "Entropy",      "Outside the band",
                                         "Encode factor", "Decode factor"};
    static const char *const ids[] = {"rate",    "frame_rate",      "codebooks",
                                      "bitrate", "entropy_bitrate", "outside",
                                      "encode",  "decode"};
    static const char *const units[] = {"Hz", "1/s", "", "bit/s", "bit/s", "% of energy", "", ""};
    static const int32_t decimals[] = {0, 0, 0, 0, 0, 2, 3, 3};
    for (int i = 0; i < 8; i++)
        rg_table_column(table, ids[i], titles[i], units[i],
                        i >= 5 ? RG_LOWER_BETTER : RG_NO_DIRECTION, decimals[i]);
    int32_t row = rg_table_row(table, RG_ROW_OURS, "%s", r->role);
    double outside[1] = {0};
    rg_interval o = rg_bootstrap(r->outside, r->n, e->options.seed);
    outside[0] = o.mean;
    const double v[] = {c->sample_rate,     rg_encodec_frame_rate(c), c->codebooks,
                        r->nominal_bitrate, r->entropy_bitrate,       100 * outside[0],
                        r->encode_factor,   r->decode_factor};
    for (int i = 0; i < 8; i++) rg_table_number(table, row, i, v[i]);
}

static void usage_table(evaluation *e, const codec_result *r)
{
    char id[64], caption[160];
    const rg_encodec_config *c = &r->codec->config;
    rg_format(id, sizeof id, "codec-%s-usage", r->role);
    rg_format(caption, sizeof caption,
              "Use of the %d entries of each codebook over all excerpts. Perplexity is how many "
              "entries it would be if all were used alike.",
              c->entries);
    rg_table *table = rg_report_table(e->report, id, caption);
    rg_table_column(table, "used", "Used", "", RG_HIGHER_BETTER, 0);
    rg_table_column(table, "dead", "Never used", "", RG_LOWER_BETTER, 0);
    rg_table_column(table, "entropy", "Entropy", "bit", RG_HIGHER_BETTER, 2);
    rg_table_column(table, "perplexity", "Perplexity", "", RG_HIGHER_BETTER, 0);
    for (int32_t k = 0; k < c->codebooks && k < CODEC_BOOKS; k++) {
        int32_t row = rg_table_row(table, RG_ROW_PLAIN, "codebook %d", k);
        rg_table_number(table, row, 0, (double)r->used[k]);
        rg_table_number(table, row, 1, (double)(c->entries - r->used[k]));
        rg_table_number(table, row, 2, r->entropy[k]);
        rg_table_number(table, row, 3, r->perplexity[k]);
        if (r->used[k] * 10 < c->entries) rg_table_mark(table, row, 0, RG_BAD);
    }
}

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Share of each entry, most used first: a flat line is a well-used codebook. */
static rg_status usage_plot(evaluation *e, const codec_result *r, rg_error *err)
{
    char id[64], title[96], names[8][24];
    const rg_encodec_config *c = &r->codec->config;
    int32_t books = c->codebooks < 8 ? c->codebooks : 8;
    int64_t n = c->entries;
    double *room = malloc((size_t)(n * (books + 1)) * sizeof *room);
    if (!room) return rg_fail(err, RG_ERR_NOMEM, "no memory for a plot");
    rg_plot plot = {.kind = RG_PLOT_LINES,
                    .title = title,
                    .x_label = "entry, most used first",
                    .y_label = "% of frames",
                    .n_series = books,
                    .from_zero = true};
    for (int64_t i = 0; i < n; i++) room[i] = (double)i;
    for (int32_t k = 0; k < books; k++) {
        double *y = room + (k + 1) * n, total = 0;
        for (int64_t i = 0; i < n; i++) total += (double)r->counts[k * n + i];
        for (int64_t i = 0; i < n; i++)
            y[i] = total > 0 ? 100 * (double)r->counts[k * n + i] / total : 0;
        qsort(y, (size_t)n, sizeof *y, descending);
        rg_format(names[k], sizeof names[k], "codebook %d", k);
        plot.series[k] = (rg_series){.name = names[k], .n = n, .x = room, .y = y};
    }
    rg_format(title, sizeof title, "%s: code usage", r->role);
    rg_format(id, sizeof id, "usage-%s", r->role);
    rg_report_plot(e->report, id, &plot, "A flat line is a well-used codebook.");
    free(room);
    return RG_OK;
}

static rg_status metric_plot(evaluation *e, const codec_result *r, rg_error *err)
{
    char id[64], title[96];
    double *y = malloc((size_t)r->n * CODEC_ROWS * sizeof *y);
    if (!y) return rg_fail(err, RG_ERR_NOMEM, "no memory for a plot");
    static const char *const names[] = {"codec", "8-bit PCM", "silence"};
    rg_plot plot = {.kind = RG_PLOT_BARS,
                    .title = title,
                    .x_label = "songs",
                    .y_label = "mel distance, dB",
                    .n_series = CODEC_ROWS};
    int64_t n = 0;
    for (int64_t i = 0; i < r->n; i++) n += r->start[i] >= 0;
    for (int row = 0; row < CODEC_ROWS; row++) {
        int64_t at = 0;
        for (int64_t i = 0; i < r->n; i++)
            if (r->start[i] >= 0) y[row * n + at++] = rg__codec_values(r, row, CODEC_MEL)[i];
        plot.series[row] = (rg_series){.name = names[row], .n = n, .y = y + row * n};
    }
    rg_format(title, sizeof title, "%s: mel distance per song", r->role);
    rg_format(id, sizeof id, "mel-%s", r->role);
    if (n > 0) rg_report_plot(e->report, id, &plot, "Lower is better.");
    free(y);
    return RG_OK;
}

/* ---- items ---- */

typedef struct ranked {
    double mel;
    int64_t song;
} ranked;

static int worst_first(const void *a, const void *b)
{
    double x = ((const ranked *)a)->mel, y = ((const ranked *)b)->mel;
    return (x < y) - (x > y);
}

static rg_status add_item(evaluation *e, const codec_result *r, int64_t i, bool pictures,
                          rg_error *err)
{
    char title[200], note[200], caption[260];
    const rg_song *song = rg_store_song(e->store, e->songs[i]);
    rg_audio sounds[CODEC_ROWS];
    rg_status status = rg__codec_excerpt(e, r, i, sounds, err);
    for (int k = 0; k < CODEC_ROWS; k++)
        if (sounds[k].frames > PLAYER_SECONDS * (int64_t)sounds[k].rate)
            sounds[k].frames = PLAYER_SECONDS * (int64_t)sounds[k].rate;
    rg_format(title, sizeof title, "%s (%s)", song->title[0] ? song->title : song->id, r->role);
    rg_format(note, sizeof note, "from %.0f s; SI-SDR %.1f dB, mel distance %.1f dB, onset F %.2f",
              (double)r->start[i] / rg_store_rate(e->store),
              rg__codec_values(r, CODEC_OURS, CODEC_SI_SDR)[i],
              rg__codec_values(r, CODEC_OURS, CODEC_MEL)[i],
              rg__codec_values(r, CODEC_OURS, CODEC_ONSET_F)[i]);
    if (status == RG_OK) {
        const rg_player players[] = {
            {"original", &sounds[0]}, {"codec", &sounds[1]}, {"8-bit PCM", &sounds[2]}};
        rg_format(caption, sizeof caption, "%s: log-mel spectrograms, 0 to %.0f Hz.", title,
                  sounds[0].rate / 2.0);
        if (pictures)
            rg_report_spectrograms(e->report, caption, &sounds[0], "original", &sounds[1], "codec");
        rg_report_players(e->report, title, note, players, CODEC_ROWS);
    }
    for (int k = 0; k < CODEC_ROWS; k++) rg_audio_free(&sounds[k]);
    return status;
}

/* The `most` worst by mel distance, then as many drawn at random from the rest. */
static rg_status add_items(evaluation *e, const codec_result *r, int32_t most, rg_error *err)
{
    ranked *order = malloc((size_t)(r->n > 0 ? r->n : 1) * sizeof *order);
    if (!order) return rg_fail(err, RG_ERR_NOMEM, "no memory for a list of songs");
    int64_t n = 0;
    for (int64_t i = 0; i < r->n; i++)
        if (r->start[i] >= 0)
            order[n++] = (ranked){rg__codec_values(r, CODEC_OURS, CODEC_MEL)[i], i};
    qsort(order, (size_t)n, sizeof *order, worst_first);
    rg_status status = RG_OK;
    rg_report_heading(e->report, "%s: worst first", r->role);
    for (int64_t k = 0; k < n && k < most && status == RG_OK; k++)
        status = add_item(e, r, order[k].song, k == 0, err);
    if (n > most) rg_report_heading(e->report, "%s: drawn at random", r->role);
    rg_rng rng = rg_rng_make(e->options.seed, 0x6974656d);
    for (int64_t k = most; k < n && k < 2 * (int64_t)most && status == RG_OK; k++) {
        int64_t other = k + (int64_t)rg_rng_below(&rng, (uint64_t)(n - k));
        ranked swap = order[k];
        order[k] = order[other];
        order[other] = swap;
        status = add_item(e, r, order[k].song, k == most, err);
    }
    free(order);
    return status;
}

static void add_csv_items(evaluation *e, const codec_result *r)
{
    static const char *const rows[] = {"codec", "pcm", "silence"};
    char metric[64];
    for (int64_t i = 0; i < r->n; i++)
        for (int row = 0; row < CODEC_ROWS && r->start[i] >= 0; row++)
            for (int m = 0; m < CODEC_METRICS; m++) {
                rg_format(metric, sizeof metric, "%s/%s", rows[row], shown[m].id);
                rg_report_item(e->report, rg_store_song(e->store, e->songs[i])->id, r->role, metric,
                               rg__codec_values(r, row, m)[i]);
            }
}

rg_status rg__codec_section(evaluation *e, const codec_result *r, int32_t players, rg_error *err)
{
    rg_report_heading(e->report, "%s", r->role);
    bits_table(e, r);
    usage_table(e, r);
    RG_TRY(usage_plot(e, r, err));
    RG_TRY(metric_plot(e, r, err));
    add_csv_items(e, r);
    return add_items(e, r, players, err);
}
