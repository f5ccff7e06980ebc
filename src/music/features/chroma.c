/*
 * Chroma by voting peaks (chroma.h).
 */
#include "music/features/chroma.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/spectrum.h"

enum { BLOCK = 2 * RG_CHROMA_RATE, TUNED_FRAMES = 60 * RG_CHROMA_RATE };
static const double window_seconds = 0.256, low_hz = 60, high_hz = 2500, quietest_rms = 3e-5;
/* The gain gives unnormalised magnitudes of 8192 points at an RMS of 0.05, as measured. */
static const double votes[] = {1, 0.6, 0.36, 0.22};

int64_t rg_chroma_frames(int64_t n, int32_t rate)
{
    return (int64_t)floor((double)n * RG_CHROMA_RATE / rate) + 1;
}

/* Peaks wait until a block's tuning is known; a block's tuning is that of all sound so far, so a
 * song shorter than a block has one. */
typedef struct peak {
    int32_t frame;
    float semitone, level;
} peak;

struct rg_chromas {
    rg_framer *framer;
    double bin_hz, gain, low_semitone;
    int32_t first, last;
    double turn_re, turn_im, turn_all; /* sums of magnitude * exp(2 pi i deviation), magnitude */
    float *chroma;
    int64_t frames, block_end;
    peak *peaks;
    int64_t n, capacity;
    bool starved; /* no memory for more peaks */
};

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

static double tuning_of(const rg_chromas *c)
{
    return atan2(c->turn_im, c->turn_re) / (2 * M_PI);
}

static void vote(rg_chromas *c, const peak *p, double tuning)
{
    static const double down[] = {0, 12, 19.019550008653874, 24}; /* 12 log2(h) */
    double weight = log1p(50.0 * p->level);
    for (int h = 0; h < 4; h++) {
        double s = p->semitone - down[h], off, turn;
        if (s < c->low_semitone) break;
        s -= tuning;
        off = s - round(s);
        turn = cos(M_PI * off);
        int64_t class = ((int64_t)llround(s) % 12 + 12) % 12;
        c->chroma[(int64_t)p->frame * 12 + class] += (float)(weight * votes[h] * turn * turn);
    }
}

static void end_block(rg_chromas *c)
{
    double tuning = tuning_of(c);
    for (int64_t i = 0; i < c->n; i++) vote(c, c->peaks + i, tuning);
    c->n = 0;
    c->block_end += TUNED_FRAMES;
}

static bool reserve(rg_chromas *c, int64_t more)
{
    if (c->n + more <= c->capacity) return true;
    int64_t wanted = 2 * (c->n + more);
    peak *grown = realloc(c->peaks, (size_t)wanted * sizeof *grown);
    if (!grown) return false;
    c->peaks = grown;
    c->capacity = wanted;
    return true;
}

static void take_peaks(void *ctx, int64_t frame, const float *m)
{
    rg_chromas *c = ctx;
    float highest = 0;
    if (frame >= c->frames) return;
    if (frame >= c->block_end) end_block(c);
    if (!reserve(c, c->last - c->first + 1)) {
        c->starved = true;
        return;
    }
    for (int32_t b = c->first; b <= c->last; b++) highest = fmaxf(highest, m[b]);
    for (int32_t b = c->first; b <= c->last; b++) {
        if (!(m[b] > m[b - 1] && m[b] >= m[b + 1] && m[b] > 0.01f * highest)) continue;
        double s = semitones(peak_hz(m, b, c->bin_hz)), level = m[b] * c->gain, off = s - round(s);
        c->turn_re += level * cos(2 * M_PI * off);
        c->turn_im += level * sin(2 * M_PI * off);
        c->turn_all += level;
        c->peaks[c->n++] = (peak){(int32_t)frame, (float)s, (float)level};
    }
}

rg_chromas *rg_chromas_open(int64_t n, int32_t rate, double rms, float *chroma, rg_error *err)
{
    int32_t size = rg_frame_size(window_seconds * rate);
    rg_framing framing = {size, (double)rate / RG_CHROMA_RATE, true};
    rg_chromas *c = calloc(1, sizeof *c);
    if (!c) {
        rg_fail(err, RG_ERR_NOMEM, "no memory for a chroma");
        return NULL;
    }
    c->frames = rg_chroma_frames(n, rate);
    c->chroma = chroma;
    c->block_end = TUNED_FRAMES;
    c->low_semitone = semitones(40);
    c->bin_hz = (double)rate / size;
    memset(chroma, 0, (size_t)c->frames * 12 * sizeof *chroma);
    if (!(rms >= quietest_rms)) return c;
    c->gain = 2048 * 0.05 / rms;
    c->first = (int32_t)fmax(1, ceil(low_hz / c->bin_hz));
    c->last = (int32_t)fmin(size / 2.0 - 1, floor(high_hz / c->bin_hz));
    c->framer = rg_framer_open(&framing, take_peaks, c, err);
    if (c->framer) return c;
    free(c);
    return NULL;
}

void rg_chromas_push(rg_chromas *c, const float *x, int64_t n)
{
    if (c->framer) rg_framer_push(c->framer, x, n);
}

rg_status rg_chromas_close(rg_chromas *c, double *tuning_cents, double *confidence, rg_error *err)
{
    if (!c) return RG_OK;
    rg_framer_finish(c->framer);
    end_block(c);
    bool starved = c->starved;
    if (tuning_cents) *tuning_cents = 100 * tuning_of(c);
    if (confidence) *confidence = hypot(c->turn_re, c->turn_im) / fmax(c->turn_all, 1e-30);
    free(c->peaks);
    free(c);
    return starved ? rg_fail(err, RG_ERR_NOMEM, "no memory for a chroma") : RG_OK;
}

rg_status rg_chroma(const float *x, int64_t n, int32_t rate, float *chroma, rg_error *err)
{
    double square = 0;
    for (int64_t i = 0; i < n; i++) square += (double)x[i] * x[i];
    rg_chromas *c = rg_chromas_open(n, rate, n > 0 ? sqrt(square / (double)n) : 0, chroma, err);
    if (!c) return err ? err->code : RG_ERR_NOMEM;
    rg_chromas_push(c, x, n);
    return rg_chromas_close(c, NULL, NULL, err);
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
