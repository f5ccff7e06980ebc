/*
 * One file of a song, block by block (import_stem.h). This file is compiled for vectors: sums run
 * in LANES parts, so that their order is the same on every machine.
 */
#include "datasets/importers/import_stem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/reader.h"
#include "datasets/store_internal.h"

enum { BLOCK = 8192, LANES = 8, HOURS = 4 };

struct rg__stem {
    rg_reader *reader;
    int32_t lanes;                              /* channels that are made: 1, or 2 that differ */
    rg_resampling *resampling[RG_MAX_CHANNELS]; /* NULL: the file has the rate */
    float *read, *folded[RG_MAX_CHANNELS], *made[RG_MAX_CHANNELS]; /* (BLOCK,channels), (BLOCK),
                                                                      (room) */
    int64_t at, room, left; /* frames read; of `made`; samples still to be given */
    rg_import_downmix policy;
    rg__stem_facts facts;
    float peaks[LANES];
    double sums[LANES], squares[LANES], mono_squares[LANES];
};

/* ---- blocks ---- */

static void measure_peak_and_sum(rg__stem *s, const float *x, int64_t n)
{
    float peaks[LANES];
    double sums[LANES];
    int64_t i = 0;
    memcpy(peaks, s->peaks, sizeof peaks);
    memcpy(sums, s->sums, sizeof sums);
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) {
            float size = fabsf(x[i + k]);
            peaks[k] = size > peaks[k] ? size : peaks[k];
            sums[k] += x[i + k];
        }
    for (; i < n; i++) {
        peaks[0] = fmaxf(peaks[0], fabsf(x[i]));
        sums[0] += x[i];
    }
    memcpy(s->peaks, peaks, sizeof peaks);
    memcpy(s->sums, sums, sizeof sums);
}

static void add_squares(double to[LANES], const float *x, int64_t n)
{
    double sums[LANES];
    int64_t i = 0;
    memcpy(sums, to, sizeof sums);
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) sums[k] += (double)x[i + k] * x[i + k];
    for (; i < n; i++) sums[0] += (double)x[i] * x[i];
    memcpy(to, sums, sizeof sums);
}

/* (a + b) / 2 has the same bits in float as in double: a sum of two is rounded once either way. */
static void fold_mean(const float *restrict x, int32_t channels, int64_t n, float *restrict out)
{
    for (int64_t t = 0; channels == 2 && t < n; t++) out[t] = (x[2 * t] + x[2 * t + 1]) * 0.5f;
    for (int64_t t = 0; channels != 2 && t < n; t++) {
        double sum = 0;
        for (int32_t c = 0; c < channels; c++) sum += x[t * channels + c];
        out[t] = (float)(sum / channels);
    }
}

/* x = the wanted channels, by the policy, of the n frames in s->read. */
static void fold(rg__stem *s, int64_t n, const float *x[RG_MAX_CHANNELS])
{
    int32_t channels = s->facts.channels;
    measure_peak_and_sum(s, s->read, n * channels);
    for (int32_t c = 0; c < s->lanes; c++) x[c] = channels == 1 ? s->read : s->folded[c];
    if (channels == 1) return;
    if (s->policy == RG_IMPORT_MEAN) {
        fold_mean(s->read, channels, n, s->folded[0]);
        add_squares(s->squares, s->read, n * channels);
        add_squares(s->mono_squares, s->folded[0], n);
        return;
    }
    for (int32_t c = 0; c < s->lanes; c++) {
        const float *restrict from = s->read + (s->policy == RG_IMPORT_RIGHT) + c;
        float *restrict to = s->folded[c];
        for (int64_t t = 0; t < n; t++) to[t] = from[t * channels];
    }
}

/* Samples of the next block of the file, or of the resampler's end. */
static rg_status next_block(rg__stem *s, const float *x[RG_MAX_CHANNELS], int64_t *n, rg_error *err)
{
    int64_t frames = rg_reader_frames(s->reader), ask = frames - s->at;
    ask = ask < BLOCK ? ask : BLOCK;
    for (int32_t c = 0; c < s->lanes; c++) x[c] = NULL;
    if (ask > 0) {
        RG_TRY(rg_reader_read(s->reader, s->read, ask, err));
        s->at += ask;
        fold(s, ask, x);
    }
    *n = ask;
    for (int32_t c = 0; c < s->lanes && s->resampling[c]; c++) {
        RG_TRY(rg_resampling_push(s->resampling[c], x[c], ask, s->made[c], s->room, n, err));
        x[c] = s->made[c];
    }
    return RG_OK;
}

rg_status rg__stem_next(rg__stem *s, const float *x[RG_MAX_CHANNELS], int64_t *n, rg_error *err)
{
    *n = 0;
    bool more = true;
    while (*n == 0 && more) { /* a resampler's first blocks may give nothing */
        more = s->at < rg_reader_frames(s->reader);
        RG_TRY(next_block(s, x, n, err));
    }
    if (*n == 0 && s->left > 0) { /* what a resampler does not give at its end is silence */
        *n = s->left < s->room ? s->left : s->room;
        for (int32_t c = 0; c < s->lanes; c++) {
            x[c] = s->made[c];
            memset(s->made[c], 0, (size_t)*n * sizeof *s->made[c]);
        }
    }
    for (int32_t c = s->lanes; c < RG_MAX_CHANNELS; c++) x[c] = x[0];
    *n = *n < s->left ? *n : s->left;
    s->left -= *n;
    return RG_OK;
}

/* ---- the file ---- */

static rg_status prepare(rg__stem *s, const char *path, const char *label, int32_t rate,
                         rg_error *err)
{
    s->reader = rg_reader_open(path, err);
    if (!s->reader) return err ? err->code : RG_ERR_IO;
    int64_t frames = rg_reader_frames(s->reader);
    int32_t from = rg_reader_rate(s->reader), channels = rg_reader_channels(s->reader);
    s->facts.rate = from;
    s->facts.channels = channels;
    if (frames > rg__store_most_frames(from))
        return rg_fail(err, RG_ERR_FORMAT,
                       "%s: is longer than %d hours (%lld frames); cut it into parts", path, HOURS,
                       (long long)frames);
    if (channels > 1 && s->policy == RG_IMPORT_MONO)
        return rg_fail(err, RG_ERR_FORMAT, "'%s' has %d channels; --stereo mean, left or right",
                       label, channels);
    if (channels > RG_MAX_CHANNELS && s->policy == RG_IMPORT_KEEP)
        return rg_fail(err, RG_ERR_FORMAT,
                       "'%s' has %d channels, one or two are kept; --stereo mean, left or right",
                       label, channels);
    s->lanes = s->policy == RG_IMPORT_KEEP ? channels : 1;
    s->left = from == rate ? frames : llround((double)frames * rate / from);
    s->room = (int64_t)BLOCK * rate / from + 64;
    s->read = malloc((size_t)channels * BLOCK * sizeof *s->read);
    if (!s->read) return rg_fail(err, RG_ERR_NOMEM, "%s: no memory to read it", path);
    for (int32_t c = 0; c < s->lanes; c++) {
        s->folded[c] = malloc(BLOCK * sizeof *s->folded[c]);
        s->made[c] = malloc((size_t)s->room * sizeof *s->made[c]);
        if (!s->folded[c] || !s->made[c])
            return rg_fail(err, RG_ERR_NOMEM, "%s: no memory to read it", path);
        if (from == rate) continue;
        s->resampling[c] = rg_resampling_open(from, rate, err);
        if (!s->resampling[c]) return RG_ERR_UNSUPPORTED;
    }
    return RG_OK;
}

rg__stem *rg__stem_open(const char *path, const char *label, rg_import_downmix policy, int32_t rate,
                        rg_error *err)
{
    rg__stem *s = calloc(1, sizeof *s);
    if (s) s->policy = policy;
    if (s && prepare(s, path, label, rate, err) == RG_OK) return s;
    if (!s) rg_fail(err, RG_ERR_NOMEM, "%s: no memory to read it", path);
    rg__stem_close(s);
    return NULL;
}

void rg__stem_close(rg__stem *s)
{
    if (!s) return;
    rg_reader_close(s->reader);
    free(s->read);
    for (int32_t c = 0; c < RG_MAX_CHANNELS; c++) {
        rg_resampling_close(s->resampling[c]);
        free(s->folded[c]);
        free(s->made[c]);
    }
    free(s);
}

rg__stem_facts rg__stem_measured(const rg__stem *s)
{
    rg__stem_facts facts = s->facts;
    double sum = 0, each = 0, mean = 0;
    for (int k = 0; k < LANES; k++) {
        facts.peak = fmax(facts.peak, s->peaks[k]);
        sum += s->sums[k];
        each += s->squares[k];
        mean += s->mono_squares[k];
    }
    if (s->at > 0) facts.dc = sum / (double)(s->at * facts.channels);
    if (each > 0) facts.folded_db = 10 * log10(mean * facts.channels / each + 1e-12);
    return facts;
}

/* ---- sums of files ---- */

static rg_status reserve(rg__row *row, int64_t n, rg_error *err)
{
    if (n <= row->room) return RG_OK;
    int64_t wanted = n > 2 * row->room ? n : 2 * row->room;
    float *grown = realloc(row->samples, (size_t)wanted * sizeof *grown);
    if (!grown) return rg_fail(err, RG_ERR_NOMEM, "no memory for a song's stems");
    row->samples = grown;
    row->room = wanted;
    return RG_OK;
}

rg_status rg__row_add(rg__row *row, int64_t at, const float *x, int64_t n, rg_error *err)
{
    if (n == 0) return RG_OK;
    RG_TRY(reserve(row, at + n, err));
    int64_t there = row->length - at < n ? row->length - at : n;
    float *out = row->samples + at;
    for (int64_t i = 0; i < there; i++) out[i] += x[i];
    memcpy(out + there, x + there, (size_t)(n - there) * sizeof *out);
    if (at + n > row->length) row->length = at + n;
    return RG_OK;
}

rg_status rg__row_pad(rg__row *row, int64_t length, rg_error *err)
{
    if (length <= row->length) return RG_OK;
    RG_TRY(reserve(row, length, err));
    memset(row->samples + row->length, 0, (size_t)(length - row->length) * sizeof *row->samples);
    row->length = length;
    return RG_OK;
}
