/*
 * Spectral peaks, their pairs, and what prints have in common (import_print.h).
 */
#include "datasets/importers/import_print.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fft.h"
#include "base/hash.h"

enum {
    FRAME = 1024, /* 128 ms */
    HOP = 256,
    BINS = FRAME / 2,
    NEAR_FRAMES = 7, /* a peak is the largest within these distances */
    NEAR_BINS = 12,
    FAR_FRAMES = 32, /* a pair lies no further apart */
    FAR_BINS = 64,
    PARTNERS = 4,
    COMMON = 1000 /* hashes that more songs have say nothing */
};

/* Two prints of one recording share most; of two recordings, a few per cent. */
static const double alike = 0.25, floor_db = 60;

typedef struct peak {
    int32_t frame, bin;
} peak;

typedef struct spectra {
    float *db; /* (frames, BINS) */
    int32_t frames;
    float top;
} spectra;

static rg_status make_spectra(const float *x, int64_t n, spectra *s, rg_error *err)
{
    const rg_fft *plan = rg_fft_plan(FRAME, err);
    if (!plan) return err ? err->code : RG_ERR_NOMEM;
    const double *hann = rg_fft_hann(plan);
    _Alignas(64) float frame[FRAME], spectrum[FRAME + 2];
    s->frames = n < FRAME ? 0 : (int32_t)((n - FRAME) / HOP + 1);
    s->top = -INFINITY;
    s->db = malloc(((size_t)s->frames * BINS + 1) * sizeof *s->db);
    if (!s->db) return rg_fail(err, RG_ERR_NOMEM, "no memory for a song's print");
    for (int32_t t = 0; t < s->frames; t++) {
        for (int i = 0; i < FRAME; i++) frame[i] = x[(int64_t)t * HOP + i] * (float)hann[i];
        rg_fft_forward(plan, frame, spectrum);
        for (int b = 0; b < BINS; b++) {
            float re = spectrum[2 * b], im = spectrum[2 * b + 1];
            float db = 10 * log10f(re * re + im * im + 1e-20f);
            s->db[(int64_t)t * BINS + b] = db;
            s->top = db > s->top ? db : s->top;
        }
    }
    return RG_OK;
}

/* Largest of its surroundings; of equals the first. */
static bool is_peak(const spectra *s, int32_t t, int32_t b)
{
    float v = s->db[(int64_t)t * BINS + b];
    if (v < s->top - (float)floor_db) return false;
    int32_t t0 = t < NEAR_FRAMES ? 0 : t - NEAR_FRAMES, b0 = b < NEAR_BINS ? 0 : b - NEAR_BINS;
    int32_t t1 = t + NEAR_FRAMES < s->frames ? t + NEAR_FRAMES : s->frames - 1;
    int32_t b1 = b + NEAR_BINS < BINS ? b + NEAR_BINS : BINS - 1;
    for (int32_t u = t0; u <= t1; u++)
        for (int32_t c = b0; c <= b1; c++) {
            float w = s->db[(int64_t)u * BINS + c];
            bool before = u < t || (u == t && c < b);
            if (w > v || (before && w == v)) return false;
        }
    return true;
}

/* In the order of time. At most one peak lies in each field of NEAR_FRAMES by NEAR_BINS. */
static peak *find_peaks(const spectra *s, int32_t *n)
{
    size_t most = ((size_t)s->frames / NEAR_FRAMES + 2) * (BINS / NEAR_BINS + 2);
    peak *peaks = malloc(most * sizeof *peaks);
    *n = 0;
    for (int32_t t = 0; peaks && t < s->frames; t++)
        for (int32_t b = 1; b < BINS - 1; b++) {
            const float *at = s->db + (int64_t)t * BINS + b;
            if (at[0] < at[-1] || at[0] < at[1] || !is_peak(s, t, b)) continue;
            if ((size_t)*n < most) peaks[(*n)++] = (peak){t, b};
        }
    return peaks;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The smallest different hashes of all pairs. */
static rg_status keep_smallest(const peak *peaks, int32_t n, rg__print *out, rg_error *err)
{
    uint32_t *all = malloc(((size_t)n * PARTNERS + 1) * sizeof *all);
    if (!all) return rg_fail(err, RG_ERR_NOMEM, "no memory for a song's print");
    size_t pairs = 0;
    for (int32_t i = 0; i < n; i++)
        for (int32_t j = i + 1, mates = 0; j < n && mates < PARTNERS; j++) {
            int32_t later = peaks[j].frame - peaks[i].frame, up = peaks[j].bin - peaks[i].bin;
            if (later >= FAR_FRAMES) break;
            if (later == 0 || up <= -FAR_BINS || up >= FAR_BINS) continue;
            int32_t pair[3] = {peaks[i].bin, up, later};
            all[pairs++] = (uint32_t)rg_xxh3(pair, sizeof pair);
            mates++;
        }
    qsort(all, pairs, sizeof *all, by_value);
    out->n = 0;
    for (size_t i = 0; i < pairs && out->n < RG__PRINT_SIZE; i++)
        if (i == 0 || all[i] != all[i - 1]) out->hashes[out->n++] = all[i];
    free(all);
    return RG_OK;
}

rg_status rg__print_make(const float *samples, int64_t n, rg__print *out, rg_error *err)
{
    const int64_t most = (int64_t)RG__PRINT_SECONDS * RG__PRINT_RATE;
    spectra s = {0};
    out->n = 0;
    rg_status status = make_spectra(samples, n < most ? n : most, &s, err);
    int32_t count = 0;
    peak *peaks = status == RG_OK ? find_peaks(&s, &count) : NULL;
    if (peaks)
        status = keep_smallest(peaks, count, out, err);
    else if (status == RG_OK)
        status = rg_fail(err, RG_ERR_NOMEM, "no memory for a song's print");
    free(peaks);
    free(s.db);
    return status;
}

/* ---- comparison ---- */

/* A hash and a print that has it. */
typedef struct posting {
    uint32_t hash;
    int32_t print;
} posting;

static int by_hash(const void *a, const void *b)
{
    const posting *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return (x->print > y->print) - (x->print < y->print);
}

/* Hashes of the union's smallest that both have, as a share. */
static double shared(const rg__print *a, const rg__print *b)
{
    int32_t i = 0, j = 0, both = 0, seen = 0;
    while (i < a->n && j < b->n && seen < RG__PRINT_SIZE) {
        uint32_t x = a->hashes[i], y = b->hashes[j];
        both += x == y;
        i += x <= y;
        j += y <= x;
        seen++;
    }
    return seen ? (double)both / seen : 0;
}

static bool counts(const rg__print *print)
{
    return print && print->n >= RG__PRINT_LEAST;
}

/* Candidates are what shares enough hashes with an earlier print; each posting's run is walked
 * once from each of its members. */
static void compare_all(const rg__print *const *prints, int64_t n, const posting *all, size_t total,
                        int32_t *hits, void (*found)(void *ctx, int64_t a, int64_t b), void *ctx)
{
    for (int64_t i = 0; i < n; i++) {
        if (!counts(prints[i])) continue;
        memset(hits, 0, (size_t)i * sizeof *hits);
        for (int32_t h = 0; h < prints[i]->n; h++) {
            posting key = {prints[i]->hashes[h], (int32_t)i};
            const posting *at = bsearch(&key, all, total, sizeof *all, by_hash);
            for (int run = 0; at-- > all && at->hash == key.hash && run < COMMON; run++)
                hits[at->print]++;
        }
        for (int64_t j = 0; j < i; j++)
            if (hits[j] >= RG__PRINT_LEAST * alike && shared(prints[i], prints[j]) >= alike)
                found(ctx, j, i);
    }
}

rg_status rg__print_compare(const rg__print *const *prints, int64_t n,
                            void (*found)(void *ctx, int64_t a, int64_t b), void *ctx,
                            rg_error *err)
{
    size_t total = 0;
    for (int64_t i = 0; i < n; i++) total += counts(prints[i]) ? (size_t)prints[i]->n : 0;
    posting *all = malloc((total + 1) * sizeof *all);
    int32_t *hits = malloc(((size_t)n + 1) * sizeof *hits);
    bool memory = all && hits;
    size_t at = 0;
    for (int64_t i = 0; memory && i < n; i++)
        for (int32_t h = 0; counts(prints[i]) && h < prints[i]->n; h++)
            all[at++] = (posting){prints[i]->hashes[h], (int32_t)i};
    if (memory) {
        qsort(all, total, sizeof *all, by_hash);
        compare_all(prints, n, all, total, hits, found, ctx);
    }
    free(all);
    free(hits);
    return memory ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory to compare songs");
}
