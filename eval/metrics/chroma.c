/*
 * Chroma by voting peaks (chroma.h).
 */
#include "eval/metrics/chroma.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/metrics/spectrum.h"

enum { BLOCK = 2 * RG_CHROMA_RATE };
static const double window_seconds = 0.256, low_hz = 60, high_hz = 2500, quietest_rms = 3e-5;
/* The gain gives unnormalised magnitudes of 8192 points at an RMS of 0.05, as measured. */
static const double votes[] = {1, 0.6, 0.36, 0.22};

int64_t rg_chroma_frames(int64_t n, int32_t rate)
{
    return (int64_t)floor((double)n * RG_CHROMA_RATE / rate) + 1;
}

/* Two walks over the same frames: the first finds the tuning, the second votes with it. */
typedef struct peaks {
    double bin_hz, gain, tuning;
    int32_t first, last;
    double turn_re, turn_im; /* sum of magnitude * exp(2 pi i deviation) */
    float *chroma;           /* NULL in the first walk */
    int64_t frames;
} peaks;

static double semitones(double hz)
{
    return 69 + 12 * log2(hz / 440);
}

/* Frequency of the peak at bin b: a parabola through the log magnitudes. */
static double peak_hz(const float *m, int32_t b, double bin_hz)
{
    double x = log(m[b - 1] + 1e-12), y = log(m[b] + 1e-12), z = log(m[b + 1] + 1e-12),
           bend = x - 2 * y + z, shift = bend < -1e-12 ? 0.5 * (x - z) / bend : 0;
    return (b + fmax(-0.5, fmin(0.5, shift))) * bin_hz;
}

static void vote(peaks *p, int64_t frame, double hz, double weight)
{
    for (int h = 0; h < 4; h++) {
        double f = hz / (h + 1), s = semitones(f) - p->tuning, off = s - round(s),
               c = cos(M_PI * off);
        if (f < 40) break;
        int64_t class = ((int64_t)llround(s) % 12 + 12) % 12;
        p->chroma[frame * 12 + class] += (float)(weight * votes[h] * c * c);
    }
}

static void take_peaks(void *ctx, int64_t frame, const float *m)
{
    peaks *p = ctx;
    float highest = 0;
    if (frame >= p->frames) return;
    for (int32_t b = p->first; b <= p->last; b++) highest = fmaxf(highest, m[b]);
    for (int32_t b = p->first; b <= p->last; b++) {
        if (!(m[b] > m[b - 1] && m[b] >= m[b + 1] && m[b] > 0.01f * highest)) continue;
        double hz = peak_hz(m, b, p->bin_hz), level = m[b] * p->gain;
        if (p->chroma) {
            vote(p, frame, hz, log1p(50 * level));
            continue;
        }
        double off = semitones(hz) - round(semitones(hz));
        p->turn_re += level * cos(2 * M_PI * off);
        p->turn_im += level * sin(2 * M_PI * off);
    }
}

rg_status rg_chroma(const float *x, int64_t n, int32_t rate, float *chroma, rg_error *err)
{
    int64_t frames = rg_chroma_frames(n, rate);
    int32_t size = (int32_t)lround(window_seconds * rate / 2) * 2;
    double square = 0;
    memset(chroma, 0, (size_t)frames * 12 * sizeof *chroma);
    for (int64_t i = 0; i < n; i++) square += (double)x[i] * x[i];
    double rms = n > 0 ? sqrt(square / (double)n) : 0;
    if (rms < quietest_rms) return RG_OK;
    rg_framing framing = {size, (double)rate / RG_CHROMA_RATE, true};
    peaks p = {.bin_hz = (double)rate / size, .frames = frames, .gain = 2048 * 0.05 / rms};
    p.first = (int32_t)fmax(1, ceil(low_hz / p.bin_hz));
    p.last = (int32_t)fmin(size / 2.0 - 1, floor(high_hz / p.bin_hz));
    RG_TRY(rg_each_frame(&framing, x, n, take_peaks, &p, err));
    p.tuning = atan2(p.turn_im, p.turn_re) / (2 * M_PI);
    p.chroma = chroma;
    return rg_each_frame(&framing, x, n, take_peaks, &p, err);
}

static double block_profile(const float *chroma, int64_t frames, double out[12])
{
    double sum = 0;
    for (int c = 0; c < 12; c++) {
        out[c] = 0;
        for (int64_t t = 0; t < frames; t++) out[c] += chroma[t * 12 + c];
        sum += out[c];
    }
    return sum;
}

static double cosine(const double p[12], const double q[12])
{
    double pq = 0, pp = 0, qq = 0;
    for (int c = 0; c < 12; c++) {
        pq += p[c] * q[c];
        pp += p[c] * p[c];
        qq += q[c] * q[c];
    }
    return pq / sqrt(pp * qq);
}

static double log_fit(const double p[12], const double q[12])
{
    double sp = 0, sq = 0, fit = 0;
    for (int c = 0; c < 12; c++) {
        sp += p[c];
        sq += q[c];
    }
    double floor_q = 0.02 * sq, total = sq + 12 * floor_q;
    for (int c = 0; c < 12; c++) fit += p[c] / sp * log((q[c] + floor_q) / total);
    return fit;
}

static double over_blocks(const float *a, const float *b, int64_t frames,
                          double (*fn)(const double p[12], const double q[12]))
{
    int64_t blocks = frames < BLOCK ? 1 : frames / BLOCK, used = 0;
    double sum = 0;
    for (int64_t k = 0; k < blocks; k++) {
        int64_t start = k * BLOCK, n = frames < BLOCK ? frames : BLOCK;
        double p[12], q[12];
        if (!(block_profile(a + start * 12, n, p) > 0)) continue;
        if (!(block_profile(b + start * 12, n, q) > 0)) continue;
        sum += fn(p, q);
        used++;
    }
    return used > 0 ? sum / (double)used : NAN;
}

double rg_chroma_cosine(const float *a, const float *b, int64_t frames)
{
    return over_blocks(a, b, frames, cosine);
}

double rg_chroma_fit(const float *stem, const float *context, int64_t frames)
{
    return over_blocks(stem, context, frames, log_fit);
}
