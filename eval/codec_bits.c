/*
 * What a codec's codes cost: nominal bits, entropy, and what a coder would really take.
 *
 * One idea: the entropy of counts is too low where there are few codes for many entries, and of
 * pairs of codes hopelessly so. So each song is also coded by the counts of the other songs: that
 * is a length a real coder reaches, with nothing known beforehand of the song itself.
 */
#include <math.h>
#include <stdlib.h>

#include "eval/internal.h"

enum { MOST_FOLDS = 10, MOST_PAIRED = 8192 };

/* Bits per code (n songs) of codebook k, coded by the songs of other folds. */
typedef struct lengths {
    double *held_out, *previous; /* (n) NAN where the song has no codes */
} lengths;

static rg_status code_fold(const codec_result *r, int32_t k, int64_t fold, int64_t folds,
                           const lengths *out, rg_error *err)
{
    int32_t books = r->codec->config.codebooks;
    rg_baseline *counts = rg_baseline_create(r->codec->config.entries, err);
    if (!counts) return err->code;
    for (int64_t i = 0, at = 0; i < r->n; i++)
        if (r->frames[i] > 0 && at++ % folds != fold)
            rg_baseline_fit(counts, r->codes[i] + k, r->frames[i], books);
    for (int64_t i = 0, at = 0; i < r->n; i++) {
        if (r->frames[i] <= 0 || at++ % folds != fold) continue;
        rg_baseline_bits bits = rg_baseline_score(counts, r->codes[i] + k, r->frames[i], books);
        out->held_out[i] = bits.unigram;
        out->previous[i] = bits.bigram;
    }
    rg_baseline_free(counts);
    return RG_OK;
}

double rg__codec_rate(const rg_encodec_config *config)
{
    const rg_codec_cut cut = rg_codec_cut_of(config, 3600 * (int64_t)config->sample_rate);
    return (double)cut.frames * config->sample_rate / (double)cut.stride;
}

/* `sums`: bit/s over the codebooks so far. */
static rg_status code_book(codec_result *r, int32_t k, int64_t folds, const lengths *book,
                           const lengths *sums, uint64_t seed, rg_error *err)
{
    double rate = rg__codec_rate(&r->codec->config);
    for (int64_t i = 0; i < r->n; i++) book->held_out[i] = book->previous[i] = NAN;
    for (int64_t fold = 0; fold < folds && folds > 1; fold++)
        RG_TRY(code_fold(r, k, fold, folds, book, err));
    for (int64_t i = 0; i < r->n; i++) {
        sums->held_out[i] += rate * book->held_out[i];
        sums->previous[i] += rate * book->previous[i];
    }
    if (k >= CODEC_BOOKS) return RG_OK;
    r->books[k].held_out = rg_bootstrap(book->held_out, r->n, seed);
    r->books[k].previous = rg_bootstrap(book->previous, r->n, seed);
    return RG_OK;
}

rg_status rg__codec_bits(codec_result *r, uint64_t seed, rg_error *err)
{
    const rg_encodec_config *c = &r->codec->config;
    size_t n = (size_t)(r->n > 0 ? r->n : 1);
    double *room = calloc(4 * n, sizeof *room);
    if (!room) return rg_fail(err, RG_ERR_NOMEM, "no memory to count codes");
    lengths book = {room, room + n}, sums = {room + 2 * n, room + 3 * n};
    int64_t songs = 0;
    rg_status status = RG_OK;
    for (int64_t i = 0; i < r->n; i++) songs += r->frames[i] > 0;
    r->entropy_bitrate = 0;
    int64_t folds = songs < MOST_FOLDS ? songs : MOST_FOLDS;
    if (c->entries > MOST_PAIRED) folds = 0; /* pairs would not fit into memory */
    for (int32_t k = 0; k < c->codebooks && status == RG_OK; k++) {
        rg_code_usage usage = rg_usage_of(r->counts + (int64_t)k * c->entries, c->entries);
        if (k < CODEC_BOOKS) r->books[k].usage = usage;
        r->entropy_bitrate += usage.entropy * rg__codec_rate(c);
        status = code_book(r, k, folds, &book, &sums, seed, err);
    }
    r->held_out_bitrate = rg_bootstrap(sums.held_out, r->n, seed);
    r->previous_bitrate = rg_bootstrap(sums.previous, r->n, seed);
    free(room);
    return status;
}

/* ---- tables ---- */

static void cost_table(evaluation *e, const codec_result *r)
{
    char id[64];
    const rg_encodec_config *c = &r->codec->config;
    rg_format(id, sizeof id, "codec-%s-bits", r->role);
    rg_table *table = rg_report_table(
        e->report, id,
        "What it costs. Nominal: codebooks × bits × frames. Entropy: of the counts of these very "
        "codes, which is too low for few codes. Coded: by the counts of the other songs, as a "
        "coder could; after: given the code of the frame before. A factor of 0.1 means ten times "
        "faster than real time on this machine.");
    rg_interval above = rg_bootstrap(r->outside, r->n, e->options.seed);
    const struct {
        const char *id, *title, *unit;
        rg_direction direction;
        int32_t decimals;
        double value;
    } columns[] = {
        {"rate", "Rate", "Hz", RG_NO_DIRECTION, 0, c->sample_rate},
        {"frame_rate", "Frames", "1/s", RG_NO_DIRECTION, 0, rg__codec_rate(c)},
        {"codebooks", "Codebooks", "", RG_NO_DIRECTION, 0, c->codebooks},
        {"bitrate", "Nominal", "bit/s", RG_NO_DIRECTION, 0, r->nominal_bitrate},
        {"entropy_bitrate", "Entropy", "bit/s", RG_NO_DIRECTION, 0, r->entropy_bitrate},
        {"held_out_bitrate", "Coded", "bit/s", RG_NO_DIRECTION, 0, 0},
        {"previous_bitrate", "Coded, after", "bit/s", RG_NO_DIRECTION, 0, 0},
        {"outside", "Above half the rate", "% of energy", RG_LOWER_BETTER, 2, 100 * above.mean},
        {"band_low", "Band from", "Hz", RG_NO_DIRECTION, 0, r->codec->band[0]},
        {"band_high", "to", "Hz", RG_NO_DIRECTION, 0, r->codec->band[1]},
        {"encode", "Encode factor", "", RG_LOWER_BETTER, 3, r->encode_factor},
        {"decode", "Decode factor", "", RG_LOWER_BETTER, 3, r->decode_factor}};
    int32_t row = rg_table_row(table, RG_ROW_OURS, "%s", r->role);
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        int32_t at = rg_table_column(table, columns[i].id, columns[i].title, columns[i].unit,
                                     columns[i].direction, columns[i].decimals);
        rg_table_number(table, row, at, columns[i].value);
        if (i == 5) rg_table_interval(table, row, at, r->held_out_bitrate);
        if (i == 6) rg_table_interval(table, row, at, r->previous_bitrate);
    }
}

static void usage_table(evaluation *e, const codec_result *r)
{
    char id[64], caption[400];
    const rg_encodec_config *c = &r->codec->config;
    int64_t codes = 0;
    for (int64_t i = 0; i < r->n; i++) codes += r->frames[i];
    rg_format(id, sizeof id, "codec-%s-usage", r->role);
    rg_format(caption, sizeof caption,
              "Use of the %d entries of each codebook over all excerpts: %lld codes, %.1f for each "
              "entry. Perplexity is how many entries it would be if all were used alike. Coded: by "
              "the counts of the other songs; after: given the code of the frame before.",
              c->entries, (long long)codes, (double)codes / c->entries);
    rg_table *table = rg_report_table(e->report, id, caption);
    rg_table_column(table, "used", "Used", "", RG_HIGHER_BETTER, 0);
    rg_table_column(table, "dead", "Never used", "", RG_LOWER_BETTER, 0);
    rg_table_column(table, "entropy", "Entropy", "bit", RG_HIGHER_BETTER, 2);
    rg_table_column(table, "perplexity", "Perplexity", "", RG_HIGHER_BETTER, 0);
    rg_table_column(table, "nominal", "Nominal", "bit/code", RG_NO_DIRECTION, 2);
    rg_table_column(table, "held_out", "Coded", "bit/code", RG_NO_DIRECTION, 2);
    rg_table_column(table, "previous", "Coded, after", "bit/code", RG_NO_DIRECTION, 2);
    for (int32_t k = 0; k < c->codebooks && k < CODEC_BOOKS; k++) {
        const codec_book *b = &r->books[k];
        int32_t row = rg_table_row(table, RG_ROW_PLAIN, "codebook %d", k);
        rg_table_number(table, row, 0, (double)b->usage.used);
        rg_table_number(table, row, 1, (double)(c->entries - b->usage.used));
        rg_table_number(table, row, 2, b->usage.entropy);
        rg_table_number(table, row, 3, b->usage.perplexity);
        rg_table_number(table, row, 4, log2(c->entries));
        rg_table_interval(table, row, 5, b->held_out);
        rg_table_interval(table, row, 6, b->previous);
        if (b->usage.used * 10 < c->entries) rg_table_mark(table, row, 0, RG_BAD);
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

rg_status rg__codec_bits_tables(evaluation *e, const codec_result *r, rg_error *err)
{
    cost_table(e, r);
    usage_table(e, r);
    return usage_plot(e, r, err);
}
