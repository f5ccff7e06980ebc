/*
 * Errors by band (bands.h).
 *
 * One idea: three walks over the same frames: reference, estimate, and their difference, which is
 * the error's own spectrum because spectra are linear.
 */
#include "eval/metrics/bands.h"

#include <math.h>
#include <stdlib.h>

#include "eval/metrics/signal.h"
#include "eval/metrics/spectrum.h"

enum { SIZE = 2048, BINS = SIZE / 2 + 1 };

const rg_band rg_bands[RG_BANDS] = {
    {"0-63 Hz", 0, 63},           {"63-125 Hz", 63, 125},       {"125-250 Hz", 125, 250},
    {"250-500 Hz", 250, 500},     {"500-1000 Hz", 500, 1000},   {"1000-2000 Hz", 1000, 2000},
    {"2000-4000 Hz", 2000, 4000}, {"4000-8000 Hz", 4000, 8000}, {"8000-16000 Hz", 8000, 16000},
    {"over 16000 Hz", 16000, 1e9}};

enum pass { REFERENCE, ESTIMATE, ERROR, PASSES };

typedef struct band_sums {
    enum pass pass;
    int32_t band[BINS]; /* of each bin */
    float *db;          /* (frames,BINS) of the reference */
    double energy[PASSES][RG_BANDS], apart[RG_BANDS];
    int64_t compared[RG_BANDS]; /* bins */
} band_sums;

static void add_frame(void *ctx, int64_t frame, const float *magnitude)
{
    band_sums *s = ctx;
    float *kept = s->db + frame * BINS;
    for (int32_t b = 0; b < BINS; b++) {
        int32_t band = s->band[b];
        double power = (double)magnitude[b] * magnitude[b];
        s->energy[s->pass][band] += power;
        if (s->pass == ERROR) continue;
        float db = (float)(10 * log10(power + 1e-8));
        if (s->pass == REFERENCE) {
            kept[b] = db;
        } else {
            s->apart[band] += fabs((double)db - kept[b]);
            s->compared[band]++;
        }
    }
}

static void place_bins(band_sums *s, int32_t rate)
{
    int32_t band = 0;
    for (int32_t b = 0; b < BINS; b++) {
        while ((double)b * rate / SIZE >= rg_bands[band].high) band++;
        s->band[b] = band;
    }
}

static double ratio_db(double a, double b, double lowest, double highest)
{
    double db = b > 0 ? 10 * log10(a / b) : highest;
    return fmax(lowest, fmin(highest, db));
}

static void fill(const band_sums *s, int64_t frames, int32_t rate, rg_band_error out[RG_BANDS])
{
    double all = 0;
    const double silent = 1e-9; /* -90 dBFS; a full-scale sine has 1 */
    for (int32_t i = 0; i < RG_BANDS; i++) all += s->energy[REFERENCE][i];
    for (int32_t i = 0; i < RG_BANDS; i++) {
        double x = s->energy[REFERENCE][i];
        out[i] = (rg_band_error){NAN, NAN, NAN, NAN};
        if (rg_bands[i].low >= rate / 2.0 || !(x > silent * (double)frames)) continue;
        out[i].share = x / all;
        out[i].snr = ratio_db(x, s->energy[ERROR][i], RG_DB_LOW, RG_DB_HIGH);
        out[i].distance = s->apart[i] / (double)s->compared[i];
        out[i].level = ratio_db(s->energy[ESTIMATE][i], x, -100, 100);
    }
}

rg_status rg_band_errors(const float *reference, const float *estimate, int64_t n, int32_t rate,
                         rg_band_error out[RG_BANDS], rg_error *err)
{
    const rg_framing framing = {SIZE, SIZE / 4.0, false};
    int64_t frames = rg_frame_count(&framing, n);
    band_sums *s = calloc(1, sizeof *s);
    float *error = malloc((size_t)n * sizeof *error);
    rg_status status = RG_OK;
    if (s) s->db = malloc((size_t)(frames * BINS) * sizeof *s->db);
    if (!s || !error || !s->db) status = rg_fail(err, RG_ERR_NOMEM, "no memory for bands");
    if (status == RG_OK) {
        const float *const sounds[PASSES] = {reference, estimate, error};
        for (int64_t i = 0; i < n; i++) error[i] = estimate[i] - reference[i];
        place_bins(s, rate);
        for (s->pass = REFERENCE; s->pass < PASSES && status == RG_OK; s->pass++)
            status = rg_each_frame(&framing, sounds[s->pass], n, add_frame, s, err);
        fill(s, frames, rate, out);
    }
    if (s) free(s->db);
    free(s);
    free(error);
    return status;
}
