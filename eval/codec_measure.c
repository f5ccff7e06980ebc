/*
 * Measuring a codec on held-out songs: codec, 8-bit PCM at its bitrate, and silence, by the same
 * numbers.
 *
 * One idea: of each song the place where the role plays most is taken, so that silence between
 * phrases flatters nobody; every row sees the same samples.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/sampler.h"
#include "eval/internal.h"
#include "eval/metrics/chroma.h"
#include "eval/metrics/codes.h"
#include "eval/metrics/onset.h"
#include "eval/metrics/pcm_baseline.h"
#include "eval/metrics/signal.h"
#include "eval/metrics/spectrum.h"

static const double least_active = 0.1;

double *rg__codec_values(const codec_result *r, enum codec_row row, enum codec_metric metric)
{
    return r->values + ((int64_t)row * CODEC_METRICS + metric) * r->n;
}

void rg__codec_result_free(codec_result *r)
{
    free(r->values);
    free(r->start);
    free(r->outside);
    free(r->counts);
    *r = (codec_result){0};
}

static rg_status allocate(codec_result *r, rg_error *err)
{
    const rg_encodec_config *c = &r->codec->config;
    int64_t values = (int64_t)CODEC_ROWS * CODEC_METRICS * r->n;
    r->values = malloc((size_t)values * sizeof *r->values);
    r->start = malloc((size_t)r->n * sizeof *r->start);
    r->outside = malloc((size_t)r->n * sizeof *r->outside);
    r->counts = calloc((size_t)c->codebooks * (size_t)c->entries, sizeof *r->counts);
    if (!r->values || !r->start || !r->outside || !r->counts)
        return rg_fail(err, RG_ERR_NOMEM, "no memory to measure a codec");
    for (int64_t i = 0; i < values; i++) r->values[i] = NAN;
    for (int64_t i = 0; i < r->n; i++) r->outside[i] = NAN;
    return RG_OK;
}

/* The most active place of a song, in steps of a quarter of the excerpt; -1 when it never plays. */
static int64_t most_active(const evaluation *e, int64_t song, int32_t role, int64_t frames)
{
    const rg_song *s = rg_store_song(e->store, song);
    int64_t last = s->frames > frames ? s->frames - frames : 0, best = -1;
    double most = least_active;
    for (int64_t at = 0; at <= last; at += frames / 4 > 0 ? frames / 4 : 1) {
        double share = rg_store_active_share(e->store, song, role, at, frames);
        if (share > most) {
            most = share;
            best = at;
        }
    }
    return best;
}

static rg_status read_excerpt(evaluation *e, const codec_result *r, int64_t i, rg_audio *out,
                              double *outside, rg_error *err)
{
    int32_t store_rate = rg_store_rate(e->store), rate = r->codec->config.sample_rate;
    int64_t frames = (int64_t)(e->options.seconds * store_rate);
    const rg_song *song = rg_store_song(e->store, e->songs[i]);
    if (frames > song->frames) frames = song->frames;
    rg_audio raw;
    RG_TRY(rg_audio_make(&raw, frames, 1, store_rate, err));
    rg_status status =
        rg_store_read(e->store, e->songs[i], r->store_role, r->start[i], frames, raw.samples, err);
    if (status == RG_OK && outside)
        status = rg_energy_outside(raw.samples, frames, store_rate, 0, rate / 2.0, outside, err);
    if (status == RG_OK) status = rg_audio_resample(&raw, rate, out, err);
    rg_audio_free(&raw);
    return status;
}

/* ---- the three rows ---- */

typedef struct coded {
    int32_t *codes;
    int64_t frames;
    double encode_seconds, decode_seconds;
} coded;

static rg_status through_codec(evaluation *e, rg_codec *codec, const rg_audio *x, float *out,
                               coded *c, rg_error *err)
{
    int32_t hop = rg_encodec_hop(&codec->config);
    c->frames = (x->frames + hop - 1) / hop;
    c->codes = malloc((size_t)(c->frames * codec->config.codebooks) * sizeof *c->codes);
    if (!c->codes) return rg_fail(err, RG_ERR_NOMEM, "no memory for codes");
    rg_step_begin(e->ex, 0);
    double begun = rg_clock_seconds();
    rg_status status = rg_codec_encode_audio(e->ex, codec, x->samples, x->frames, c->codes);
    c->encode_seconds = rg_clock_seconds() - begun;
    if (status == RG_OK)
        status = rg_codec_decode_audio(e->ex, codec, c->codes, c->frames, out, x->frames);
    c->decode_seconds = rg_clock_seconds() - begun - c->encode_seconds;
    if (status != RG_OK) rg_fail(err, status, "%s", e->ex->error.text);
    return status;
}

static rg_status onset_and_chroma(const rg_audio *x, const float *y, double *onset_f,
                                  double *chroma_cosine, rg_error *err)
{
    int64_t on = rg_onset_frames(x->frames, x->rate), ch = rg_chroma_frames(x->frames, x->rate);
    float *room = malloc((size_t)(2 * on + 24 * ch) * sizeof *room);
    if (!room) return rg_fail(err, RG_ERR_NOMEM, "no memory for onsets");
    float *ea = room, *eb = ea + on, *ca = eb + on, *cb = ca + 12 * ch;
    rg_status status = rg_onset_envelope(x->samples, x->frames, x->rate, ea, err);
    if (status == RG_OK) status = rg_onset_envelope(y, x->frames, x->rate, eb, err);
    if (status == RG_OK) status = rg_chroma(x->samples, x->frames, x->rate, ca, err);
    if (status == RG_OK) status = rg_chroma(y, x->frames, x->rate, cb, err);
    if (status == RG_OK) {
        *onset_f = rg_onset_f(ea, eb, on);
        *chroma_cosine = rg_chroma_cosine(ca, cb, ch);
    }
    free(room);
    return status;
}

static rg_status measure(codec_result *r, enum codec_row row, int64_t i, const rg_audio *x,
                         const float *y, rg_error *err)
{
    double v[CODEC_METRICS];
    v[CODEC_SI_SDR] = rg_si_sdr(x->samples, y, x->frames);
    v[CODEC_SNR] = rg_snr(x->samples, y, x->frames);
    RG_TRY(rg_mel_distance(x->samples, y, x->frames, x->rate, &v[CODEC_MEL], err));
    RG_TRY(rg_stft_distance(x->samples, y, x->frames, &v[CODEC_STFT], err));
    RG_TRY(rg_loudness_difference(x->samples, y, x->frames, x->rate, &v[CODEC_LOUDNESS], err));
    RG_TRY(onset_and_chroma(x, y, &v[CODEC_ONSET_F], &v[CODEC_CHROMA], err));
    if (row == CODEC_SILENCE) v[CODEC_SI_SDR] = NAN; /* 0 of 0 */
    for (int m = 0; m < CODEC_METRICS; m++) rg__codec_values(r, row, m)[i] = v[m];
    return RG_OK;
}

static void count_codes(codec_result *r, const coded *c)
{
    int32_t books = r->codec->config.codebooks, entries = r->codec->config.entries;
    for (int64_t k = 0; k < c->frames * books; k++)
        if (c->codes[k] >= 0 && c->codes[k] < entries)
            r->counts[k % books * entries + c->codes[k]]++;
}

static rg_status measure_rows(evaluation *e, codec_result *r, int64_t i, const rg_audio *x,
                              double seconds[3], rg_error *err)
{
    coded c = {0};
    float *y = calloc((size_t)x->frames, sizeof *y);
    rg_status status = y ? measure(r, CODEC_SILENCE, i, x, y, err)
                         : rg_fail(err, RG_ERR_NOMEM, "no memory for an excerpt");
    if (status == RG_OK)
        status = rg_pcm_baseline(x->samples, x->frames, x->rate, r->nominal_bitrate, y, err);
    if (status == RG_OK) status = measure(r, CODEC_PCM, i, x, y, err);
    if (status == RG_OK) status = through_codec(e, r->codec, x, y, &c, err);
    if (status == RG_OK) status = measure(r, CODEC_OURS, i, x, y, err);
    if (status == RG_OK) count_codes(r, &c);
    seconds[0] += (double)x->frames / x->rate;
    seconds[1] += c.encode_seconds;
    seconds[2] += c.decode_seconds;
    free(c.codes);
    free(y);
    return status;
}

static rg_status measure_song(evaluation *e, codec_result *r, int64_t i, double seconds[3],
                              rg_error *err)
{
    int64_t frames = (int64_t)(e->options.seconds * rg_store_rate(e->store));
    r->start[i] = rg_store_song(e->store, e->songs[i])->present[r->store_role]
                      ? most_active(e, e->songs[i], r->store_role, frames)
                      : -1;
    if (r->start[i] < 0) return RG_OK;
    rg_audio x;
    RG_TRY(read_excerpt(e, r, i, &x, &r->outside[i], err));
    rg_status status = measure_rows(e, r, i, &x, seconds, err);
    rg_audio_free(&x);
    return status;
}

static void summarise(codec_result *r, const double seconds[3])
{
    const rg_encodec_config *c = &r->codec->config;
    for (int32_t k = 0; k < c->codebooks && k < CODEC_BOOKS; k++) {
        rg_code_usage u = rg_usage_of(r->counts + (int64_t)k * c->entries, c->entries);
        r->used[k] = u.used;
        r->entropy[k] = u.entropy;
        r->perplexity[k] = u.perplexity;
        r->entropy_bitrate += u.entropy * rg_encodec_frame_rate(c);
    }
    r->encode_factor = seconds[0] > 0 ? seconds[1] / seconds[0] : NAN;
    r->decode_factor = seconds[0] > 0 ? seconds[2] / seconds[0] : NAN;
}

rg_status rg__codec_measure(evaluation *e, rg_codec *codec, codec_result *out, rg_error *err)
{
    double seconds[3] = {0};
    *out = (codec_result){.codec = codec, .n = e->n_songs};
    rg_copy_text(out->role, sizeof out->role, codec->role);
    out->nominal_bitrate = rg_encodec_bitrate(&codec->config);
    out->store_role = rg_store_find_role(e->store, codec->role);
    if (out->store_role < 0)
        return rg_fail(err, RG_ERR_MISMATCH, "%s: has no role '%s', which the codec was made for",
                       rg_store_folder(e->store), codec->role);
    RG_TRY(allocate(out, err));
    rg_progress progress;
    char what[64];
    rg_format(what, sizeof what, "codec %s", codec->role);
    rg_progress_start(&progress, what, out->n);
    for (int64_t i = 0; i < out->n; i++) {
        RG_TRY(rg__eval_check_stop(e, err));
        RG_TRY(measure_song(e, out, i, seconds, err));
        rg_progress_step(&progress, e->log, i + 1, rg_store_song(e->store, e->songs[i])->title);
    }
    summarise(out, seconds);
    return RG_OK;
}

rg_status rg__codec_excerpt(evaluation *e, const codec_result *r, int64_t i,
                            rg_audio out[CODEC_ROWS], rg_error *err)
{
    coded c = {0};
    for (int k = 0; k < CODEC_ROWS; k++) out[k] = (rg_audio){0};
    rg_status status = read_excerpt(e, r, i, &out[0], NULL, err);
    for (int k = 1; k < CODEC_ROWS && status == RG_OK; k++)
        status = rg_audio_make(&out[k], out[0].frames, 1, out[0].rate, err);
    if (status == RG_OK) status = through_codec(e, r->codec, &out[0], out[1].samples, &c, err);
    if (status == RG_OK)
        status = rg_pcm_baseline(out[0].samples, out[0].frames, out[0].rate, r->nominal_bitrate,
                                 out[2].samples, err);
    free(c.codes);
    return status;
}
