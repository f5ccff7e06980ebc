/*
 * The two walks over a song, and what follows from them (features.h).
 */
#include "music/features/features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "music/features/chroma.h"
#include "music/features/onset.h"

enum { BLOCK = 8192, FEWEST_BLOCKS = 5 };
static const double active_power = 1e-6; /* -60 dBFS */

/* ---- reading ---- */

typedef struct listener {
    const rg_feature_source *sources;
    int32_t n, channels;
    int64_t frames, at; /* of the longest source */
    float *raw, *mix;   /* (BLOCK,channels) */
    float *mono;        /* (n+2,BLOCK): the sources', the mix's, and of what has pitch */
    bool pitched[RG_FEATURE_STEMS];
} listener;

static void listener_free(listener *l)
{
    free(l->raw);
    free(l->mix);
    free(l->mono);
}

static rg_status check_sources(const rg_feature_source *sources, int32_t n, rg_error *err)
{
    if (n < 1 || n > RG_FEATURE_STEMS)
        return rg_fail(err, RG_ERR_USAGE, "%d stems; a song has 1 to %d", n, RG_FEATURE_STEMS);
    for (int32_t i = 1; i < n; i++) {
        const rg_reader *a = sources[0].reader, *b = sources[i].reader;
        if (rg_reader_rate(a) != rg_reader_rate(b))
            return rg_fail(err, RG_ERR_MISMATCH,
                           "stem '%s' has %d Hz, '%s' has %d Hz; convert them to one rate",
                           sources[0].role, rg_reader_rate(a), sources[i].role, rg_reader_rate(b));
    }
    return RG_OK;
}

static bool has_role(const char *role, const char *const *names)
{
    for (; *names; names++)
        if (strstr(role, *names)) return true;
    return false;
}

/* Chords are what bass and harmony play; where neither sounds, all that is not percussion. */
static void choose_pitched(listener *l, const rg_features *f)
{
    static const char *const chordal[] = {"bass", "harmony", NULL};
    static const char *const unpitched[] = {"drum", "perc", NULL};
    bool any = false;
    for (int32_t i = 0; i < l->n; i++) {
        l->pitched[i] = has_role(l->sources[i].role, chordal) && f->stems[i].rms_dbfs > -60;
        any = any || l->pitched[i];
    }
    for (int32_t i = 0; i < l->n && !any; i++)
        l->pitched[i] = l->n == 1 || !has_role(l->sources[i].role, unpitched);
}

static rg_status listener_make(listener *l, const rg_feature_source *sources, int32_t n,
                               rg_error *err)
{
    *l = (listener){.sources = sources, .n = n, .channels = 1};
    RG_TRY(check_sources(sources, n, err));
    for (int32_t i = 0; i < n; i++) {
        const rg_reader *r = sources[i].reader;
        if (rg_reader_channels(r) > l->channels) l->channels = rg_reader_channels(r);
        if (rg_reader_frames(r) > l->frames) l->frames = rg_reader_frames(r);
    }
    for (int32_t i = 0; i < n; i++) {
        int32_t channels = rg_reader_channels(sources[i].reader);
        if (channels != 1 && channels != l->channels)
            return rg_fail(err, RG_ERR_MISMATCH,
                           "stem '%s' has %d channels, another has %d; give all as many, or 1",
                           sources[i].role, channels, l->channels);
    }
    l->raw = malloc((size_t)BLOCK * (size_t)l->channels * sizeof(float));
    l->mix = malloc((size_t)BLOCK * (size_t)l->channels * sizeof(float));
    l->mono = malloc((size_t)(n + 2) * BLOCK * sizeof(float));
    if (l->raw && l->mix && l->mono) return RG_OK;
    return rg_fail(err, RG_ERR_NOMEM, "no memory for blocks of %d stems", n);
}

static rg_status rewind_all(listener *l, rg_error *err)
{
    l->at = 0;
    for (int32_t i = 0; i < l->n; i++) RG_TRY(rg_reader_rewind(l->sources[i].reader, err));
    return RG_OK;
}

static void add(const float *restrict x, int64_t n, float *restrict to)
{
    for (int64_t t = 0; t < n; t++) to[t] += x[t];
}

/* Adds what a source has of this block to the mix, and its mean over channels to its mono row. */
static rg_status add_source(listener *l, int32_t i, int64_t frames, rg_error *err)
{
    rg_reader *r = l->sources[i].reader;
    int32_t channels = rg_reader_channels(r);
    float *mono = l->mono + (int64_t)i * BLOCK;
    int64_t left = rg_reader_frames(r) - l->at, have = left < frames ? left : frames;
    memset(mono, 0, BLOCK * sizeof *mono);
    if (have <= 0) return RG_OK;
    RG_TRY(rg_reader_read(r, l->channels == 1 ? mono : l->raw, have, err));
    if (l->channels == 1) add(mono, have, l->mix);
    for (int64_t t = 0; l->channels > 1 && t < have; t++) {
        float sum = 0;
        for (int32_t c = 0; c < l->channels; c++) {
            float x = l->raw[t * channels + (channels > 1 ? c : 0)];
            l->mix[t * l->channels + c] += x;
            sum += x;
        }
        mono[t] = sum / (float)l->channels;
    }
    return RG_OK;
}

/* *frames: of the next block; 0 at the end. */
static rg_status next_block(listener *l, int64_t *frames, rg_error *err)
{
    float *mix = l->mono + (int64_t)l->n * BLOCK, *pitched = mix + BLOCK;
    *frames = l->frames - l->at < BLOCK ? l->frames - l->at : BLOCK;
    memset(l->mix, 0, (size_t)BLOCK * (size_t)l->channels * sizeof *l->mix);
    memset(mix, 0, 2 * BLOCK * sizeof *mix);
    for (int32_t i = 0; i < l->n; i++) {
        const float *mono = l->mono + (int64_t)i * BLOCK;
        RG_TRY(add_source(l, i, *frames, err));
        add(mono, *frames, mix);
        if (l->pitched[i]) add(mono, *frames, pitched);
    }
    l->at += *frames;
    return RG_OK;
}

/* ---- the first walk: levels ---- */

static void add_power(rg_heard *h, const rg_features *f, const float *x, int64_t at, int64_t n)
{
    for (int64_t t = 0; t < n;) { /* block by block; each sum in the order of time */
        int64_t b = (at + t) * RG_ENERGY_RATE / f->rate,
                end = ((b + 1) * f->rate + RG_ENERGY_RATE - 1) / RG_ENERGY_RATE - at;
        float sum = h->power[b];
        for (end = end < n ? end : n; t < end; t++) sum += x[t] * x[t];
        h->power[b] = sum;
    }
}

/* Sums become means; the last block may be shorter. */
static void finish_power(rg_heard *h, const rg_features *f)
{
    double sum = 0;
    for (int64_t b = 0; b < f->blocks; b++) {
        int64_t from = (b * f->rate + RG_ENERGY_RATE - 1) / RG_ENERGY_RATE,
                to = ((b + 1) * f->rate + RG_ENERGY_RATE - 1) / RG_ENERGY_RATE;
        if (to > f->frames) to = f->frames;
        sum += h->power[b];
        if (to > from) h->power[b] /= (float)(to - from);
    }
    h->rms_dbfs = 10 * log10(sum / (double)f->frames);
}

static rg_status find_levels(listener *l, rg_features *f, rg_error *err)
{
    rg_loudness *meter = rg_loudness_open(l->channels, f->rate, err);
    rg_status status = meter ? rewind_all(l, err) : RG_ERR_UNSUPPORTED;
    for (int64_t at = 0, n; status == RG_OK && at < l->frames; at += n) {
        status = next_block(l, &n, err);
        if (status != RG_OK) break;
        for (int32_t i = 0; i < f->n_stems; i++)
            add_power(&f->stems[i], f, l->mono + (int64_t)i * BLOCK, at, n);
        add_power(&f->mix, f, l->mono + (int64_t)l->n * BLOCK, at, n);
        status = rg_loudness_push(meter, l->mix, n, err);
    }
    rg_status closed = rg_loudness_close(meter, &f->loudness_lufs, err);
    if (status == RG_OK) status = closed;
    for (int32_t i = 0; i < f->n_stems; i++) finish_power(&f->stems[i], f);
    finish_power(&f->mix, f);
    return status;
}

static rg_status find_active(rg_heard *h, const rg_features *f, rg_error *err)
{
    int64_t capacity = f->blocks / FEWEST_BLOCKS + 2, last = -FEWEST_BLOCKS - 1;
    h->active = calloc((size_t)capacity, sizeof *h->active);
    if (!h->active) return rg_fail(err, RG_ERR_NOMEM, "no memory for active spans");
    for (int64_t b = 0; b < f->blocks; b++) {
        if (!(h->power[b] > active_power)) continue;
        double end = fmin(f->duration_s, (double)(b + 1) / RG_ENERGY_RATE);
        if (b - last > FEWEST_BLOCKS) h->active[h->n_active++].start_s = (double)b / RG_ENERGY_RATE;
        h->active[h->n_active - 1].end_s = end;
        last = b;
    }
    return RG_OK;
}

/* ---- the second walk: onsets and pitch classes ---- */

typedef struct ears {
    rg_onsets *mix, *stems[RG_FEATURE_STEMS];
    rg_chromas *chroma;
} ears;

static double amplitude(double dbfs)
{
    return pow(10, dbfs / 20);
}

/* RMS of the pitched sum, as if its parts did not correlate. */
static double pitched_rms(const listener *l, const rg_features *f)
{
    double square = 0;
    if (!f->n_stems) return amplitude(f->mix.rms_dbfs);
    for (int32_t i = 0; i < l->n; i++)
        if (l->pitched[i]) square += pow(10, f->stems[i].rms_dbfs / 10);
    return sqrt(square);
}

static rg_status open_ears(ears *e, const listener *l, rg_features *f, rg_error *err)
{
    int64_t n = f->frames;
    *e = (ears){0};
    e->mix = rg_onsets_open(n, f->rate, amplitude(f->mix.rms_dbfs), f->mix.onsets, err);
    if (!e->mix) return err->code;
    for (int32_t i = 0; i < f->n_stems; i++) {
        rg_heard *h = &f->stems[i];
        e->stems[i] = rg_onsets_open(n, f->rate, amplitude(h->rms_dbfs), h->onsets, err);
        if (!e->stems[i]) return err->code;
    }
    e->chroma = rg_chromas_open(n, f->rate, pitched_rms(l, f), f->chroma, err);
    return e->chroma ? RG_OK : err->code;
}

static rg_status close_ears(ears *e, rg_features *f, rg_error *err)
{
    rg_status status = rg_onsets_close(e->mix, err);
    for (int32_t i = 0; i < RG_FEATURE_STEMS; i++) {
        rg_status closed = rg_onsets_close(e->stems[i], err);
        if (status == RG_OK) status = closed;
    }
    rg_status closed = rg_chromas_close(e->chroma, &f->tuning_cents, &f->tuning_confidence, err);
    return status == RG_OK ? closed : status;
}

static rg_status listen(listener *l, rg_features *f, rg_error *err)
{
    ears e;
    rg_status status = open_ears(&e, l, f, err);
    if (status == RG_OK) status = rewind_all(l, err);
    for (int64_t at = 0, n; status == RG_OK && at < l->frames; at += n) {
        status = next_block(l, &n, err);
        if (status != RG_OK) break;
        const float *mix = l->mono + (int64_t)l->n * BLOCK;
        for (int32_t i = 0; i < f->n_stems; i++)
            rg_onsets_push(e.stems[i], l->mono + (int64_t)i * BLOCK, n);
        rg_onsets_push(e.mix, mix, n);
        rg_chromas_push(e.chroma, mix + BLOCK, n);
    }
    rg_status closed = close_ears(&e, f, err);
    return status == RG_OK ? closed : status;
}

/* ---- what follows ---- */

static rg_status find_rhythm(rg_heard *h, const rg_features *f, rg_error *err)
{
    int64_t *peaks = malloc((size_t)(f->onset_frames / 3 + 1) * sizeof *peaks);
    if (!peaks) return rg_fail(err, RG_ERR_NOMEM, "no memory for onsets");
    int64_t n = rg_onset_peaks(h->onsets, f->onset_frames, peaks, f->onset_frames / 3 + 1),
            bars = (f->n_beats - f->meter.first - 1) / f->meter.length;
    double sum = 0, *pattern = h->pattern;
    h->onsets_per_s = (double)n / f->duration_s;
    for (int64_t bar = 0, k = 0; bar < bars; bar++) {
        const double *beat = f->beats_s + f->meter.first + bar * f->meter.length;
        double from = beat[0], step = (beat[f->meter.length] - from) / RG_PATTERN_STEPS;
        while (k < n && (double)peaks[k] / RG_ONSET_RATE < from - step / 2) k++;
        for (; k < n && (double)peaks[k] / RG_ONSET_RATE < beat[f->meter.length] - step / 2; k++) {
            double at = ((double)peaks[k] / RG_ONSET_RATE - from) / step;
            int64_t place = llround(at) < 0 ? 0 : llround(at) % RG_PATTERN_STEPS;
            pattern[place] += h->onsets[peaks[k]];
            sum += h->onsets[peaks[k]];
        }
    }
    for (int i = 0; i < RG_PATTERN_STEPS && sum > 0; i++) pattern[i] /= sum;
    free(peaks);
    return RG_OK;
}

/* Rows of sections: pitch classes (sum 1) and how loud each stem is beside its own mean. */
static void fill_row(const rg_features *f, double from_s, double to_s, float *row)
{
    int64_t a = llround(from_s * RG_CHROMA_RATE), b = llround(to_s * RG_CHROMA_RATE);
    double sum = 0;
    for (int64_t t = a; t < b && t < f->chroma_frames; t++)
        for (int c = 0; c < 12; c++) {
            row[c] += f->chroma[t * 12 + c];
            sum += f->chroma[t * 12 + c];
        }
    for (int c = 0; c < 12 && sum > 0; c++) row[c] /= (float)sum;
    for (int32_t i = 0; i < (f->n_stems ? f->n_stems : 1); i++) {
        const rg_heard *h = f->n_stems ? &f->stems[i] : &f->mix;
        double power = 0, mean = pow(10, h->rms_dbfs / 10);
        int64_t p = llround(from_s * RG_ENERGY_RATE), q = llround(to_s * RG_ENERGY_RATE);
        for (int64_t t = p; t < q && t < f->blocks; t++) power += h->power[t];
        if (q > p && mean > 0)
            row[12 + i] = (float)(0.3 * fmin(2, sqrt(power / (double)(q - p) / mean)));
    }
}

/* One row a bar, or every two seconds where there are no bars. */
static rg_status find_sections(rg_features *f, rg_error *err)
{
    int64_t bars = f->n_beats > 0 ? (f->n_beats - f->meter.first - 1) / f->meter.length : 0,
            n = bars > 0 ? bars : (int64_t)ceil(f->duration_s / 2);
    int32_t width = 12 + (f->n_stems ? f->n_stems : 1);
    float *rows = calloc((size_t)(n + 1) * (size_t)width, sizeof *rows);
    double *starts = calloc((size_t)n + 1, sizeof *starts);
    rg_status status = RG_OK;
    if (!rows || !starts) status = rg_fail(err, RG_ERR_NOMEM, "no memory for sections");
    for (int64_t i = 0; status == RG_OK && i <= n; i++) {
        starts[i] = bars > 0 ? f->beats_s[f->meter.first + i * f->meter.length] : 2.0 * (double)i;
        if (i > 0) fill_row(f, starts[i - 1], starts[i], rows + (i - 1) * width);
    }
    if (status == RG_OK)
        status = rg_sections_of(rows, n, width, starts, f->duration_s, &f->sections, &f->n_sections,
                                err);
    free(rows);
    free(starts);
    return status;
}

static rg_status conclude(rg_features *f, rg_error *err)
{
    const rg_heard *mix = &f->mix;
    RG_TRY(rg_tempi_of(mix->onsets, f->onset_frames, f->tempi, err));
    RG_TRY(
        rg_beats_of(mix->onsets, f->onset_frames, f->tempi[0].bpm, &f->beats_s, &f->n_beats, err));
    RG_TRY(rg_meter_of(f->beats_s, f->n_beats, mix->onsets, f->onset_frames, f->chroma,
                       f->chroma_frames, &f->meter, err));
    f->n_keys = rg_keys_of(f->chroma, f->chroma_frames, f->keys);
    rg_chord_grid grid = {f->beats_s, f->n_beats, f->meter.first, f->meter.length};
    RG_TRY(rg_chords_of(f->chroma, f->chroma_frames, f->n_beats > 1 ? &grid : NULL, &f->chords,
                        &f->n_chords, err));
    if (f->n_chords > 0) f->chords[f->n_chords - 1].end_s = f->duration_s;
    for (int32_t i = -1; i < f->n_stems; i++) {
        rg_heard *h = i < 0 ? &f->mix : &f->stems[i];
        RG_TRY(find_rhythm(h, f, err));
        RG_TRY(find_active(h, f, err));
    }
    return find_sections(f, err);
}

static rg_status make_heard(rg_heard *h, const char *role, const rg_features *f, rg_error *err)
{
    rg_copy_text(h->role, sizeof h->role, role);
    h->power = calloc((size_t)f->blocks + 1, sizeof *h->power);
    h->onsets = calloc((size_t)f->onset_frames, sizeof *h->onsets);
    if (h->power && h->onsets) return RG_OK;
    return rg_fail(err, RG_ERR_NOMEM, "no memory for features of '%s'", role);
}

static rg_status prepare(listener *l, const rg_feature_source *sources, int32_t n, rg_features *f,
                         rg_error *err)
{
    RG_TRY(listener_make(l, sources, n, err));
    f->rate = rg_reader_rate(sources[0].reader);
    f->channels = l->channels;
    f->frames = l->frames;
    f->duration_s = (double)f->frames / f->rate;
    f->blocks = (f->frames * RG_ENERGY_RATE + f->rate - 1) / f->rate;
    f->onset_frames = rg_onset_frames(f->frames, f->rate);
    f->chroma_frames = rg_chroma_frames(f->frames, f->rate);
    f->n_stems = n > 1 ? n : 0;
    RG_TRY(make_heard(&f->mix, "mix", f, err));
    for (int32_t i = 0; i < f->n_stems; i++)
        RG_TRY(make_heard(&f->stems[i], sources[i].role, f, err));
    f->chroma = calloc((size_t)f->chroma_frames * 12, sizeof *f->chroma);
    return f->chroma ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for pitch classes");
}

rg_status rg_features_of(const rg_feature_source *sources, int32_t n, rg_features *out,
                         rg_error *err)
{
    listener l = {0};
    *out = (rg_features){0};
    rg_status status = prepare(&l, sources, n, out, err);
    if (status == RG_OK) status = find_levels(&l, out, err);
    if (status == RG_OK) {
        choose_pitched(&l, out);
        status = listen(&l, out, err);
    }
    if (status == RG_OK) status = conclude(out, err);
    listener_free(&l);
    return status;
}

static void heard_free(rg_heard *h)
{
    free(h->power);
    free(h->onsets);
    free(h->active);
}

void rg_features_free(rg_features *f)
{
    heard_free(&f->mix);
    for (int32_t i = 0; i < f->n_stems; i++) heard_free(&f->stems[i]);
    free(f->beats_s);
    free(f->chords);
    free(f->sections);
    free(f->chroma);
    *f = (rg_features){0};
}
