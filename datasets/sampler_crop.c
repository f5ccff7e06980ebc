/*
 * Making crops: sources read at the wanted rate and added up, a room, a level (sampler_internal.h).
 *
 * One idea: whatever a crop is, it is the sum of sources in one buffer; a number is drawn only for
 * what is wished for, so that a wish changes no crop of a run without it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/sampler_internal.h"

static const double ceiling = 0.99, silence_rms = 1e-4;
static const float full_scale = 32767.0F / 32768;
enum { MOST_TRIES = 16 };

/* Sum of squares and largest magnitude. In lanes, so that it runs at the speed of memory: it is
 * called for every sample that is trained on. */
enum { LANES = 8 };
static void measure(const float *x, int64_t n, double *energy, float *peak)
{
    double sum[LANES] = {0};
    float most[LANES] = {0};
    int64_t whole = n / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES)
        for (int k = 0; k < LANES; k++) {
            float y = fabsf(x[i + k]);
            sum[k] += (double)(y * y);
            most[k] = y > most[k] ? y : most[k];
        }
    for (int64_t i = whole; i < n; i++) {
        float y = fabsf(x[i]);
        sum[0] += (double)(y * y);
        most[0] = y > most[0] ? y : most[0];
    }
    *energy = 0;
    *peak = 0;
    for (int k = 0; k < LANES; k++) {
        *energy += sum[k];
        *peak = most[k] > *peak ? most[k] : *peak;
    }
}

void rg__sampler_set_level(float *x, int64_t n, double dbfs)
{
    double energy;
    float peak;
    measure(x, n, &energy, &peak);
    double rms = sqrt(energy / (double)n);
    if (!(rms > silence_rms)) return;
    float gain = (float)fmin(pow(10, dbfs / 20) / rms, ceiling / (double)peak);
    for (int64_t i = 0; i < n; i++) x[i] *= gain;
}

/* ---- one thread's memory ---- */

rg_status rg__maker_open(rg__maker *m, const rg_sampler *s, rg_error *err)
{
    size_t samples = (size_t)(s->lead + s->o.frames);
    m->stem = malloc(samples * sizeof *m->stem);
    m->sum = malloc(samples * (size_t)s->o.channels * sizeof *m->sum);
    if (!m->stem || !m->sum) return rg_fail(err, RG_ERR_NOMEM, "no memory for crops");
    for (int32_t r = 0; r < RG_MAX_ROLES; r++)
        for (int32_t c = 0; s->stem[r][0] && c < s->stem_channels; c++) {
            m->own[r][c] = rg_resampler_create(s->stem[r][c], err);
            if (!m->own[r][c]) return RG_ERR_NOMEM;
        }
    if (s->lead == 0) return RG_OK;
    m->response = malloc((size_t)(s->lead + 1) * sizeof *m->response);
    m->reverb = rg_reverb_create((int64_t)samples, err);
    if (!m->reverb) return RG_ERR_USAGE;
    return m->response ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for reverb");
}

void rg__maker_close(rg__maker *m)
{
    for (int32_t r = 0; r < RG_MAX_ROLES; r++)
        for (int32_t c = 0; c < RG_MAX_CHANNELS; c++) rg_resampler_destroy(m->own[r][c]);
    free(m->stem);
    free(m->sum);
    free(m->response);
    rg_reverb_destroy(m->reverb);
    *m = (rg__maker){0};
}

/* ---- sources ---- */

void rg__sampler_clear(const rg_sampler *s, rg__maker *m, int64_t lead)
{
    memset(m->sum, 0, (size_t)((lead + s->o.frames) * s->o.channels) * sizeof *m->sum);
}

void rg__sampler_interleave(const rg_sampler *s, const rg__maker *m, int64_t lead, float *out)
{
    int64_t frames = s->o.frames, channels = s->o.channels;
    for (int64_t c = 0; c < channels; c++) {
        const float *from = m->sum + c * (lead + frames) + lead;
        for (int64_t i = 0; i < frames; i++) out[i * channels + c] = from[i];
    }
}

/* What brings the file that a source is of to the wanted level, in dB. */
static double file_gain(const rg_sampler *s, const rg__source *from, const rg_song *song)
{
    double power = 0;
    for (int32_t i = 0; i < from->n_roles; i++)
        if (song->present[from->role[i]]) power += pow(10, song->rms_dbfs[from->role[i]] / 10);
    return s->o.augment.file_dbfs < 0 && power > 0 ? s->o.augment.file_dbfs - 10 * log10(power) : 0;
}

/* maker->stem = a channel of a role from `start`, with `lead` samples before; zeros before the
 * song. */
static rg_status read_stem(const rg_sampler *s, rg__maker *m, int32_t role, int32_t channel,
                           int64_t song, int64_t start, int64_t lead, rg_error *err)
{
    int64_t there = start / s->ratio.in * s->ratio.out, missing = lead > there ? lead - there : 0;
    memset(m->stem, 0, (size_t)missing * sizeof *m->stem);
    return rg_resampled_read(s->stem[role][channel], m->own[role][channel], song,
                             start - (lead - missing) / s->ratio.out * s->ratio.in,
                             lead - missing + s->o.frames, m->stem + missing, err);
}

rg_status rg__sampler_add(const rg_sampler *s, rg__maker *m, const rg__source *from, int64_t song,
                          int64_t start, int64_t lead, double gain_db, double pan, rg_error *err)
{
    const rg_song *facts = rg_store_song(s->store, song);
    const double quarter = acos(-1) / 4, n = (double)(lead + s->o.frames);
    double gain = pow(10, (gain_db + file_gain(s, from, facts)) / 20);
    for (int32_t r = 0; r < from->n_roles; r++) {
        if (!facts->present[from->role[r]]) continue;
        for (int32_t c = 0; c < s->o.channels; c++) {
            if (c < s->stem_channels)
                RG_TRY(read_stem(s, m, from->role[r], c, song, start, lead, err));
            /* Of equal power: 1 and 1 in the middle, sqrt 2 and 0 at a side; channels that differ
             * are balanced so and do not move. */
            double angle = (1 + (c == 0 ? pan : -pan)) * quarter;
            float scale = (float)(pan == 0 ? gain : gain * sqrt(2) * cos(angle));
            float *sum = m->sum + c * (int64_t)n;
            for (int64_t i = 0; i < (int64_t)n; i++) sum[i] += scale * m->stem[i];
        }
    }
    return RG_OK;
}

/* ---- one crop ---- */

static double between(rg_rng *rng, double low, double high)
{
    return low < high ? low + (high - low) * rg_rng_uniform(rng) : low;
}

static int32_t draw_count(const rg_augment *a, rg_rng *rng)
{
    double sum = 0, more = 0;
    for (int32_t k = 0; k < RG_MAX_MIXED; k++) sum += a->mix[k];
    for (int32_t k = 1; k < RG_MAX_MIXED; k++) more += a->mix[k];
    if (!(more > 0)) return 1;
    double at = rg_rng_uniform(rng) * sum;
    int32_t last = 1;
    for (int32_t k = 0; k < RG_MAX_MIXED; k++) {
        if (!(a->mix[k] > 0)) continue;
        last = k + 1;
        if (at < a->mix[k]) return last;
        at -= a->mix[k];
    }
    return last;
}

/* One source of a mix: what only a mix or a wish for it draws is drawn only then. */
static rg_status add_drawn(const rg_sampler *s, rg__maker *m, bool must, int64_t lead, rg_rng *rng,
                           rg_error *err)
{
    const rg_augment *a = &s->o.augment;
    int64_t song, start;
    uint64_t n = (uint64_t)s->n_sources;
    const rg__source *from = &s->source[n > 1 ? rg_rng_below(rng, n) : 0];
    rg__sampler_draw(s, from, must, rng, &song, &start);
    double gain = between(rng, a->gain_low, a->gain_high);
    double pan = s->o.channels == 2 ? between(rng, -a->pan, a->pan) : 0;
    return rg__sampler_add(s, m, from, song, start, lead, gain, pan, err);
}

/* Channels have the decay in common, not the noise. */
static void add_room(const rg_sampler *s, rg__maker *m, int64_t lead, rg_rng *rng)
{
    const rg_augment *a = &s->o.augment;
    double rt60 = between(rng, a->rt60_low, a->rt60_high);
    double wet = between(rng, a->wet_low, a->wet_high);
    for (int32_t c = 0; c < s->o.channels; c++) {
        uint64_t noise = rg_rng_u32(rng);
        rg_reverb_response(rt60, wet, s->o.rate, rg_rng_make(s->o.seed, noise), m->response);
        rg_reverb_apply(m->reverb, m->response, rg_reverb_length(rt60, s->o.rate),
                        m->sum + c * (lead + s->o.frames));
    }
}

/* One try at a crop (T,C). */
static rg_status draw_crop(const rg_sampler *s, rg__maker *m, bool must, rg_rng *rng, float *out,
                           rg_error *err)
{
    const rg_sampler_options *o = &s->o;
    int32_t n = draw_count(&o->augment, rng);
    bool room = o->augment.reverb > 0 && rg_rng_uniform(rng) < o->augment.reverb &&
                (n > 1 || o->augment.reverb_single);
    int64_t lead = room ? s->lead : 0;
    rg__sampler_clear(s, m, lead);
    for (int32_t k = 0; k < n; k++) RG_TRY(add_drawn(s, m, must || n > 1, lead, rng, err));
    if (room) add_room(s, m, lead, rng);
    rg__sampler_interleave(s, m, lead, out);
    if (o->low_dbfs < o->high_dbfs)
        rg__sampler_set_level(out, o->frames * o->channels,
                              between(rng, o->low_dbfs, o->high_dbfs));
    return RG_OK;
}

/* As often as it is clipped; after the last try it is lowered instead. */
static rg_status make_crop(const rg_sampler *s, rg__maker *m, bool must, rg_rng *rng, float *out,
                           rg_error *err)
{
    int64_t samples = s->o.frames * s->o.channels;
    for (int32_t tries = 1;; tries++) {
        double energy;
        float peak;
        RG_TRY(draw_crop(s, m, must, rng, out, err));
        if (!s->o.augment.reject_clipped) return RG_OK;
        measure(out, samples, &energy, &peak);
        if (peak < full_scale) return RG_OK;
        if (tries < MOST_TRIES) continue;
        for (int64_t i = 0; i < samples; i++) out[i] *= (float)ceiling / peak;
        return RG_OK;
    }
}

rg_status rg__sampler_make(const rg_sampler *s, rg__maker *m, int64_t batch, float *out,
                           rg_error *err)
{
    const rg_sampler_options *o = &s->o;
    int32_t micro = (int32_t)(batch % o->micros);
    for (int32_t item = 0; item < o->batch; item++) {
        rg_rng rng = rg__sampler_rng(s, batch / o->micros, micro, item);
        bool must = rg__sampler_must(s, micro * o->batch + item);
        RG_TRY(make_crop(s, m, must, &rng, out + item * o->frames * o->channels, err));
    }
    return RG_OK;
}
