/*
 * Beats by dynamic programming, bars by what repeats (beats.h).
 */
#include "music/features/beats.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "music/features/chroma.h"
#include "music/features/onset.h"

static const double tightness = 100;

typedef struct tracker {
    double period; /* frames */
    int64_t n, reach;
    float *local, *total;
    int32_t *before;
    double *penalty; /* of a distance of period / 2 .. 2 period */
    int64_t shortest, longest;
} tracker;

static void tracker_free(tracker *t)
{
    free(t->local);
    free(t->total);
    free(t->before);
    free(t->penalty);
}

static rg_status tracker_make(tracker *t, int64_t n, double bpm, rg_error *err)
{
    *t = (tracker){.period = 60.0 * RG_ONSET_RATE / bpm, .n = n};
    t->shortest = llround(t->period / 2);
    t->longest = llround(t->period * 2);
    t->local = calloc((size_t)n, sizeof(float));
    t->total = calloc((size_t)n, sizeof(float));
    t->before = calloc((size_t)n, sizeof(int32_t));
    t->penalty = calloc((size_t)t->longest + 1, sizeof(double));
    if (!t->local || !t->total || !t->before || !t->penalty) {
        tracker_free(t);
        return rg_fail(err, RG_ERR_NOMEM, "no memory for beats");
    }
    for (int64_t d = t->shortest; d <= t->longest; d++) {
        double off = log((double)d / t->period);
        t->penalty[d] = -tightness * off * off;
    }
    return RG_OK;
}

/* The envelope, widened by a Gaussian of a thirty-second of a beat. */
static void find_local(tracker *t, const float *envelope)
{
    int64_t reach = llround(t->period / 8);
    for (int64_t k = -reach; k <= reach; k++) {
        float weight = (float)exp(-0.5 * pow(32.0 * (double)k / t->period, 2));
        int64_t from = k > 0 ? k : 0, to = k < 0 ? t->n + k : t->n;
        for (int64_t i = from; i < to; i++) t->local[i] += weight * envelope[i - k];
    }
}

static void follow(tracker *t)
{
    float highest = 0;
    for (int64_t i = 0; i < t->n; i++) highest = fmaxf(highest, t->local[i]);
    for (int64_t i = 0; i < t->n; i++) {
        double best = -INFINITY;
        int64_t from = -1, last = i < t->longest ? i : t->longest;
        for (int64_t d = t->shortest; d <= last; d++) {
            double score = t->total[i - d] + t->penalty[d];
            if (score > best) {
                best = score;
                from = i - d;
            }
        }
        bool goes_on = from >= 0 && (best > 0 || t->local[i] > 0.01f * highest);
        t->total[i] = t->local[i] + (goes_on ? (float)best : 0);
        t->before[i] = goes_on ? (int32_t)from : -1;
    }
}

static int64_t last_beat(const tracker *t)
{
    int64_t from = t->n - (int64_t)t->period, best;
    if (from < 0) from = 0;
    best = from;
    for (int64_t i = from; i < t->n; i++)
        if (t->total[i] > t->total[best]) best = i;
    return best;
}

/* Beats before the first and behind the last onset are guesses: they go when hardly anything
 * sounds there. */
static void trim(const tracker *t, const int64_t *frames, int64_t *first, int64_t *last)
{
    double square = 0;
    for (int64_t i = *first; i < *last; i++) square += pow(t->local[frames[i]], 2);
    double least = 0.2 * sqrt(square / fmax(1, (double)(*last - *first)));
    while (*first < *last && t->local[frames[*first]] < least) ++*first;
    while (*first < *last && t->local[frames[*last - 1]] < least) --*last;
}

static rg_status trace(const tracker *t, double **beats_s, int64_t *count, rg_error *err)
{
    int64_t n = 0, first = 0, at = last_beat(t);
    for (int64_t i = at; i >= 0; i = t->before[i]) n++;
    int64_t last = n, *frames = calloc((size_t)n + 1, sizeof *frames);
    *beats_s = malloc((size_t)(n + 1) * sizeof **beats_s);
    if (!frames || !*beats_s) {
        free(frames);
        return rg_fail(err, RG_ERR_NOMEM, "no memory for beats");
    }
    for (int64_t i = at, k = n; i >= 0; i = t->before[i]) frames[--k] = i;
    trim(t, frames, &first, &last);
    for (int64_t k = first; k < last; k++)
        (*beats_s)[k - first] = (double)frames[k] / RG_ONSET_RATE;
    *count = last - first;
    free(frames);
    return RG_OK;
}

rg_status rg_beats_of(const float *envelope, int64_t n, double bpm, double **beats_s,
                      int64_t *count, rg_error *err)
{
    tracker t;
    *beats_s = NULL;
    *count = 0;
    if (!(bpm > 0) || n < 1) return RG_OK;
    RG_TRY(tracker_make(&t, n, bpm, err));
    find_local(&t, envelope);
    follow(&t);
    rg_status status = trace(&t, beats_s, count, err);
    tracker_free(&t);
    return status;
}

/* ---- bars ---- */

static void mean_chroma(const float *chroma, int64_t frames, double from_s, double to_s,
                        double out[12])
{
    int64_t a = llround(from_s * RG_CHROMA_RATE), b = llround(to_s * RG_CHROMA_RATE);
    memset(out, 0, 12 * sizeof *out);
    if (b <= a) b = a + 1;
    for (int64_t t = a > 0 ? a : 0; t < b && t < frames; t++)
        for (int c = 0; c < 12; c++) out[c] += chroma[t * 12 + c];
}

static double difference(const double a[12], const double b[12])
{
    double ab = 0, aa = 0, bb = 0;
    for (int c = 0; c < 12; c++) {
        ab += a[c] * b[c];
        aa += a[c] * a[c];
        bb += b[c] * b[c];
    }
    return aa > 0 && bb > 0 ? 1 - ab / sqrt(aa * bb) : 0;
}

static void standardise(double *x, int64_t n)
{
    double sum = 0, square = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += x[i];
        square += x[i] * x[i];
    }
    double mean = sum / (double)n, deviation = sqrt(fmax(0, square / (double)n - mean * mean));
    for (int64_t i = 0; i < n; i++) x[i] = deviation > 1e-9 ? (x[i] - mean) / deviation : 0;
}

static double loudest(const float *envelope, int64_t frames, double at_s)
{
    enum { REACH = 4 };
    int64_t middle = llround(at_s * RG_ONSET_RATE);
    double most = 0;
    for (int64_t i = middle - REACH; i <= middle + REACH; i++)
        if (i >= 0 && i < frames) most = fmax(most, envelope[i]);
    return most;
}

/* Evidence that a bar begins at a beat: the harmony is another one than before (two beats each
 * side, and one), and the onset is strong. */
static void find_evidence(const double *beats, int64_t n, const float *envelope, int64_t frames,
                          const float *chroma, int64_t chroma_frames, double *evidence,
                          double *accents)
{
    for (int64_t i = 0; i < n; i++) {
        double a[12], b[12], c[12], d[12];
        int64_t back = i >= 2 ? i - 2 : 0, on = i + 2 < n ? i + 2 : n - 1;
        mean_chroma(chroma, chroma_frames, beats[i > 0 ? i - 1 : 0], beats[i], a);
        mean_chroma(chroma, chroma_frames, beats[i], beats[i + 1 < n ? i + 1 : i], b);
        mean_chroma(chroma, chroma_frames, beats[back], beats[i], c);
        mean_chroma(chroma, chroma_frames, beats[i], beats[on], d);
        evidence[i] = i > 0 && i + 1 < n ? difference(a, b) + difference(c, d) : 0;
        accents[i] = loudest(envelope, frames, beats[i]);
    }
    standardise(evidence, n);
    standardise(accents, n);
    for (int64_t i = 0; i < n; i++) evidence[i] += 0.5 * accents[i];
    standardise(evidence, n);
}

/* Mean evidence of the best phase of a bar of `length` beats, and that phase. */
static double best_phase(const double *evidence, int64_t n, int32_t length, int32_t *phase)
{
    double best = -INFINITY;
    for (int32_t p = 0; p < length; p++) {
        double sum = 0;
        int64_t seen = 0;
        for (int64_t i = p; i < n; i += length, seen++) sum += evidence[i];
        double mean = seen > 0 ? sum / (double)seen : 0;
        if (mean > best) {
            best = mean;
            *phase = p;
        }
    }
    return best;
}

static double repeats(const double *x, int64_t n, int64_t lag)
{
    double sum = 0;
    for (int64_t i = 0; i + lag < n; i++) sum += x[i] * x[i + lag];
    return n > lag ? sum / (double)(n - lag) : 0;
}

rg_status rg_meter_of(const double *beats_s, int64_t n, const float *envelope, int64_t frames,
                      const float *chroma, int64_t chroma_frames, rg_meter *out, rg_error *err)
{
    enum { FEWEST = 12 };
    static const double sure = 0.08;
    *out = (rg_meter){.length = 4};
    if (n < FEWEST) return RG_OK;
    double *evidence = calloc((size_t)n * 2, sizeof *evidence), score[2];
    int32_t phase[2] = {0, 0};
    if (!evidence) return rg_fail(err, RG_ERR_NOMEM, "no memory for bars");
    find_evidence(beats_s, n, envelope, frames, chroma, chroma_frames, evidence, evidence + n);
    for (int32_t i = 0; i < 2; i++) {
        int32_t length = 3 + i;
        score[i] = best_phase(evidence, n, length, &phase[i]) + repeats(evidence, n, length) +
                   repeats(evidence, n, 2 * (int64_t)length);
    }
    free(evidence);
    int32_t four = score[1] >= score[0];
    double margin = fabs(score[1] - score[0]) / (fabs(score[0]) + fabs(score[1]) + 1e-9);
    *out =
        (rg_meter){.length = 3 + four, .first = phase[four], .confidence = fmin(1, margin / 0.5)};
    out->beats = margin >= sure ? out->length : 0;
    return RG_OK;
}
