/*
 * Measuring a codec on held-out songs: the codec and the rows beside it, by the same numbers.
 *
 * One idea: of each song the place where the role plays most is taken, so that silence between
 * phrases flatters nobody; every row sees the same samples, of a stereo store the channels' mean; a
 * stereo codec gets both channels of a stereo store, and the same in both of a mono one. The
 * codec runs on the exec, one song after another; what the rows make of the song and how near it is
 * are found on all threads.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/sampler.h"
#include "eval/internal.h"
#include "eval/metrics/signal.h"
#include "music/features/chroma.h"
#include "music/features/onset.h"

static const double least_active = 0.1;

double *rg__codec_values(const codec_result *r, enum codec_row row, int32_t metric)
{
    return r->values + ((int64_t)row * CODEC_METRICS + metric) * r->n;
}

void rg__codec_result_free(codec_result *r)
{
    for (int64_t i = 0; r->codes && i < r->n; i++) free(r->codes[i]);
    free(r->values);
    free(r->start);
    free(r->outside);
    free(r->band);
    free(r->frames);
    free(r->codes);
    free(r->counts);
    *r = (codec_result){0};
}

static rg_status allocate(codec_result *r, rg_error *err)
{
    const rg_encodec_config *c = &r->codec->config;
    int64_t values = (int64_t)CODEC_ROWS * CODEC_METRICS * r->n;
    size_t n = (size_t)r->n;
    r->values = malloc((size_t)values * sizeof *r->values);
    r->start = malloc(n * sizeof *r->start);
    r->outside = malloc(n * sizeof *r->outside);
    r->band = malloc(n * sizeof *r->band);
    r->frames = calloc(n, sizeof *r->frames);
    r->codes = calloc(n, sizeof *r->codes);
    r->counts = calloc((size_t)c->codebooks * (size_t)c->entries, sizeof *r->counts);
    if (!r->values || !r->start || !r->outside || !r->band || !r->frames || !r->codes || !r->counts)
        return rg_fail(err, RG_ERR_NOMEM, "no memory to measure a codec");
    for (int64_t i = 0; i < values; i++) r->values[i] = NAN;
    for (int64_t i = 0; i < r->n; i++) {
        r->outside[i] = NAN;
        r->band[i] = (rg_outside){NAN, NAN};
    }
    return RG_OK;
}

/* ---- excerpts ---- */

/* Whether a stem belongs to what is measured. */
static bool takes(const codec_result *r, const rg_song *song, int32_t role)
{
    return song->present[role] && (r->store_role == role || r->store_role == RG_ROLE_MIX);
}

/* Of the mix: of the stem that plays most there. */
static double active_share(const evaluation *e, const codec_result *r, int64_t song, int64_t at,
                           int64_t frames)
{
    double most = 0;
    for (int32_t role = 0; role < rg_store_roles(e->store); role++)
        if (takes(r, rg_store_song(e->store, song), role))
            most = fmax(most, rg_store_active_share(e->store, song, role, at, frames));
    return most;
}

/* The most active place of a song, in steps of a quarter of the excerpt; -1 when it never plays. */
static int64_t most_active(const evaluation *e, const codec_result *r, int64_t song, int64_t frames)
{
    const rg_song *s = rg_store_song(e->store, song);
    int64_t last = s->frames > frames ? s->frames - frames : 0, best = -1;
    double most = least_active;
    for (int64_t at = 0; at <= last; at += frames / 4 > 0 ? frames / 4 : 1) {
        double share = active_share(e, r, song, at, frames);
        if (share > most) {
            most = share;
            best = at;
        }
    }
    return best;
}

/* A channel, or RG_CHANNEL_MEAN. */
static rg_status read_part(const evaluation *e, const codec_result *r, int64_t i, int32_t channel,
                           int64_t at, int64_t frames, rg_audio *out, rg_error *err)
{
    RG_TRY(rg_audio_make(out, frames, 1, rg_store_rate(e->store), err));
    float *stem = malloc((size_t)frames * sizeof *stem);
    rg_status status = stem ? RG_OK : rg_fail(err, RG_ERR_NOMEM, "no memory for a stem");
    for (int32_t role = 0; role < rg_store_roles(e->store) && status == RG_OK; role++) {
        if (!takes(r, rg_store_song(e->store, e->songs[i]), role)) continue;
        status = rg_store_read_channel(e->store, e->songs[i], role, channel, at, frames, stem, err);
        for (int64_t t = 0; t < frames && status == RG_OK; t++) out->samples[t] += stem[t];
    }
    free(stem);
    if (status != RG_OK) rg_audio_free(out);
    return status;
}

/* At the codec's rate; `above` (may be NULL): share of the energy that this rate cannot hold. */
static rg_status read_excerpt(const evaluation *e, const codec_result *r, int64_t i,
                              int32_t channel, rg_audio *out, double *above, rg_error *err)
{
    int32_t store_rate = rg_store_rate(e->store), rate = r->codec->config.sample_rate;
    int64_t frames = (int64_t)(e->options.seconds * store_rate);
    const rg_song *song = rg_store_song(e->store, e->songs[i]);
    rg_audio raw;
    rg_outside share = {0};
    RG_TRY(read_part(e, r, i, channel, r->start[i], frames < song->frames ? frames : song->frames,
                     &raw, err));
    rg_status status =
        rg_energy_outside(raw.samples, raw.frames, store_rate, 0, rate / 2.0, &share, err);
    if (above) *above = share.above;
    if (status == RG_OK) status = rg_audio_resample(&raw, rate, out, err);
    rg_audio_free(&raw);
    return status;
}

/* Of the whole song, at the store's rate. */
static rg_status measure_band(const evaluation *e, codec_result *r, int64_t i, rg_error *err)
{
    rg_audio song;
    RG_TRY(read_part(e, r, i, RG_CHANNEL_MEAN, 0, rg_store_song(e->store, e->songs[i])->frames,
                     &song, err));
    rg_status status = rg_energy_outside(song.samples, song.frames, song.rate, r->codec->band[0],
                                         r->codec->band[1], &r->band[i], err);
    rg_audio_free(&song);
    return status;
}

/* ---- the codec's own row ---- */

/* What the codec makes of an excerpt; freed by free_coded. */
typedef struct coded {
    int32_t *codes;  /* (frames,K) */
    float *given;    /* (C,n) what it got */
    float *channels; /* (C,n) what it made of it */
    int64_t frames;
    double encode_seconds, decode_seconds;
} coded;

static void free_coded(coded *c)
{
    free(c->codes);
    free(c->given);
    free(c->channels);
}

bool rg__codec_hears_stereo(const evaluation *e, const codec_result *r)
{
    return r->codec->config.channels > 1 && rg_store_channels(e->store) > 1;
}

/* c->given: each channel's own sound of a stereo store, else x in each. */
static rg_status give_channels(const evaluation *e, const codec_result *r, int64_t i,
                               const rg_audio *x, coded *c, rg_error *err)
{
    const int64_t n = x->frames, channels = r->codec->config.channels;
    const bool own = rg__codec_hears_stereo(e, r);
    c->given = calloc((size_t)(n * channels + 1), sizeof *c->given);
    if (!c->given) return rg_fail(err, RG_ERR_NOMEM, "no memory for an excerpt");
    for (int32_t k = 0; k < channels; k++) {
        rg_audio one = {0};
        if (own) RG_TRY(read_excerpt(e, r, i, k, &one, NULL, err));
        memcpy(c->given + k * n, own ? one.samples : x->samples, (size_t)n * sizeof *c->given);
        rg_audio_free(&one);
    }
    return RG_OK;
}

/* x (n,C), which decoding overwrites; scales (chunks). */
static rg_status run_codec(evaluation *e, rg_codec *codec, float *x, int64_t n, float *scales,
                           coded *c, rg_error *err)
{
    int32_t books = codec->config.codebooks;
    rg_step_begin(e->codecs, 0);
    double begun = rg_clock_seconds();
    rg_status status = rg_codec_encode_chunks(e->codecs, codec, x, n, books, c->codes, scales);
    c->encode_seconds = rg_clock_seconds() - begun;
    if (status == RG_OK)
        status = rg_codec_decode_chunks(e->codecs, codec, c->codes, scales, books, x, n);
    c->decode_seconds = rg_clock_seconds() - begun - c->encode_seconds;
    return status == RG_OK ? RG_OK : rg_fail(err, status, "%s", e->codecs->error.text);
}

/* Drops the codes that fill up short chunks, which stand for nothing; returns what is left. */
static int64_t drop_filling(const rg_encodec_config *config, int64_t n, int32_t *codes)
{
    const rg_codec_cut cut = rg_codec_cut_of(config, n);
    const int64_t hop = rg_encodec_hop(config), books = config->codebooks;
    int64_t kept = 0;
    for (int64_t c = 0; c < cut.chunks; c++) {
        const int64_t left = n - c * cut.stride, length = left < cut.samples ? left : cut.samples;
        const int64_t frames = (length + hop - 1) / hop;
        memmove(codes + kept * books, codes + c * cut.frames * books,
                (size_t)(frames * books) * sizeof *codes);
        kept += frames;
    }
    return kept;
}

/* What the codec makes of excerpt x of song i. */
static rg_status through_codec(evaluation *e, const codec_result *r, int64_t i, const rg_audio *x,
                               coded *c, rg_error *err)
{
    const rg_encodec_config *config = &r->codec->config;
    const rg_codec_cut cut = rg_codec_cut_of(config, x->frames);
    const int64_t n = x->frames, channels = config->channels;
    RG_TRY(give_channels(e, r, i, x, c, err));
    const size_t codes = (size_t)(cut.chunks * cut.frames * config->codebooks) + 1;
    float *sound = malloc((size_t)(n * channels + 1) * sizeof *sound);
    float *scales = malloc((size_t)(cut.chunks + 1) * sizeof *scales);
    c->codes = malloc(codes * sizeof *c->codes);
    c->channels = malloc((size_t)(n * channels + 1) * sizeof *c->channels);
    rg_status status = sound && scales && c->codes && c->channels
                           ? RG_OK
                           : rg_fail(err, RG_ERR_NOMEM, "no memory for codes");
    for (int64_t k = 0; k < n * channels && status == RG_OK; k++)
        sound[k] = c->given[k % channels * n + k / channels];
    if (status == RG_OK) status = run_codec(e, r->codec, sound, n, scales, c, err);
    for (int64_t k = 0; k < n * channels && status == RG_OK; k++)
        c->channels[k % channels * n + k / channels] = sound[k];
    if (status == RG_OK) c->frames = drop_filling(config, n, c->codes);
    free(sound);
    free(scales);
    return status;
}

/* The codes stay with the result. */
static void keep_codes(codec_result *r, int64_t i, coded *c)
{
    int32_t books = r->codec->config.codebooks, entries = r->codec->config.entries;
    r->codes[i] = c->codes;
    r->frames[i] = c->frames;
    for (int64_t k = 0; k < c->frames * books; k++)
        if (c->codes[k] >= 0 && c->codes[k] < entries)
            r->counts[k % books * entries + c->codes[k]]++;
    c->codes = NULL;
}

/* ---- how near ---- */

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

/* v (CODEC_METRICS). */
static rg_status compare(const rg_audio *x, const float *y, double *v, rg_error *err)
{
    rg_band_error bands[RG_BANDS];
    v[CODEC_SI_SDR] = rg_si_sdr(x->samples, y, x->frames);
    v[CODEC_SI_SNR] = rg_si_snr(x->samples, y, x->frames, x->rate);
    v[CODEC_SNR] = rg_snr(x->samples, y, x->frames);
    RG_TRY(rg_mel_distance(x->samples, y, x->frames, x->rate, v + CODEC_MEL_BY_SIZE, &v[CODEC_MEL],
                           err));
    RG_TRY(rg_stft_distance(x->samples, y, x->frames, v + CODEC_STFT_BY_SIZE, &v[CODEC_STFT], err));
    RG_TRY(rg_loudness_difference(x->samples, y, x->frames, x->rate, &v[CODEC_LOUDNESS], err));
    v[CODEC_LOUDNESS_ERROR] = fabs(v[CODEC_LOUDNESS]);
    RG_TRY(onset_and_chroma(x, y, &v[CODEC_ONSET_F], &v[CODEC_CHROMA], err));
    RG_TRY(rg_band_errors(x->samples, y, x->frames, x->rate, bands, err));
    for (int i = 0; i < RG_BANDS; i++) {
        v[CODEC_BAND_SHARE + i] = bands[i].share;
        v[CODEC_BAND_SNR + i] = bands[i].snr;
        v[CODEC_BAND_DISTANCE + i] = bands[i].distance;
        v[CODEC_BAND_LEVEL + i] = bands[i].level;
    }
    return RG_OK;
}

typedef struct row_work {
    codec_result *r;
    int64_t song;
    const rg_audio *x;
    float *given;          /* (C, x->frames): what the codec got ... */
    const float *channels; /* ... and what it made */
    float *rows;           /* (CODEC_ROWS, x->frames): the others, made here */
} row_work;

/* The mean over the codec's channels: errors that cancel out in their mix count. */
static rg_status compare_channels(const row_work *w, double *v, rg_error *err)
{
    const int32_t channels = w->r->codec->config.channels;
    for (int32_t c = 0; c < channels; c++) {
        double one[CODEC_METRICS] = {0};
        const rg_audio given = {w->given + c * w->x->frames, w->x->frames, 1, w->x->rate};
        RG_TRY(compare(&given, w->channels + c * w->x->frames, one, err));
        for (int32_t m = 0; m < CODEC_METRICS; m++) v[m] += one[m] / channels;
    }
    return RG_OK;
}

static rg_status measure_row(void *ctx, int64_t row, rg_error *err)
{
    const row_work *w = ctx;
    double v[CODEC_METRICS] = {[CODEC_BITRATE] = w->r->nominal_bitrate};
    float *y = w->rows + row * w->x->frames;
    if (w->r->missing[row][0]) return RG_OK;
    if (row == CODEC_OURS) {
        RG_TRY(compare_channels(w, v, err));
    } else {
        RG_TRY(rg__codec_reference(w->r, (enum codec_row)row, w->x, y, &v[CODEC_BITRATE], err));
        RG_TRY(compare(w->x, y, v, err));
    }
    if (row == CODEC_SILENCE) v[CODEC_SI_SDR] = v[CODEC_SI_SNR] = NAN; /* 0 of 0 */
    for (int32_t m = 0; m < CODEC_METRICS; m++)
        rg__codec_values(w->r, (enum codec_row)row, m)[w->song] = v[m];
    return RG_OK;
}

static rg_status measure_rows(evaluation *e, codec_result *r, int64_t i, const rg_audio *x,
                              double seconds[3], rg_error *err)
{
    coded c = {0};
    rg_status status = through_codec(e, r, i, x, &c, err);
    row_work w = {r,       i,          x,
                  c.given, c.channels, malloc((size_t)(CODEC_ROWS * x->frames) * sizeof(float))};
    if (status == RG_OK && !w.rows) status = rg_fail(err, RG_ERR_NOMEM, "no memory for an excerpt");
    if (status == RG_OK) keep_codes(r, i, &c);
    if (status == RG_OK) status = rg__each(e, CODEC_ROWS, measure_row, &w, err);
    seconds[0] += (double)x->frames / x->rate;
    seconds[1] += c.encode_seconds;
    seconds[2] += c.decode_seconds;
    free(w.rows);
    free_coded(&c);
    return status;
}

static rg_status measure_song(evaluation *e, codec_result *r, int64_t i, double seconds[3],
                              rg_error *err)
{
    int64_t frames = (int64_t)(e->options.seconds * rg_store_rate(e->store));
    r->start[i] = most_active(e, r, e->songs[i], frames);
    if (r->start[i] < 0) return RG_OK;
    rg_audio x;
    RG_TRY(measure_band(e, r, i, err));
    RG_TRY(read_excerpt(e, r, i, RG_CHANNEL_MEAN, &x, &r->outside[i], err));
    rg_status status = measure_rows(e, r, i, &x, seconds, err);
    rg_audio_free(&x);
    return status;
}

rg_status rg__codec_measure(evaluation *e, rg_codec *codec, const char *role, codec_result *out,
                            rg_error *err)
{
    double seconds[3] = {0};
    *out = (codec_result){.codec = codec, .n = e->n_songs};
    rg_copy_text(out->role, sizeof out->role, role ? role : codec->role);
    out->nominal_bitrate = rg_encodec_bitrate(&codec->config) /
                           rg_encodec_frame_rate(&codec->config) * rg__codec_rate(&codec->config);
    out->store_role = rg_store_find_role(e->store, out->role);
    if (out->store_role < 0 && strcmp(out->role, "mix") == 0) out->store_role = RG_ROLE_MIX;
    if (out->store_role < 0 && out->store_role != RG_ROLE_MIX)
        return rg_fail(err, RG_ERR_MISMATCH, "%s: has no role '%s', which the codec was made for",
                       rg_store_folder(e->store), out->role);
    RG_TRY(allocate(out, err));
    rg__codec_find_rows(out);
    rg_progress progress;
    char what[64];
    rg_format(what, sizeof what, "codec %s", out->role);
    rg_progress_start(&progress, what, out->n);
    for (int64_t i = 0; i < out->n; i++) {
        RG_TRY(rg__eval_check_stop(e, err));
        RG_TRY(measure_song(e, out, i, seconds, err));
        rg_progress_step(&progress, e->log, i + 1, rg_store_song(e->store, e->songs[i])->title);
    }
    out->encode_factor = seconds[0] > 0 ? seconds[1] / seconds[0] : NAN;
    out->decode_factor = seconds[0] > 0 ? seconds[2] / seconds[0] : NAN;
    return rg__codec_bits(out, e->options.seed, err);
}

/* ---- excerpts to hear ---- */

rg_status rg__codec_excerpt(evaluation *e, const codec_result *r, int64_t i, codec_excerpt *out,
                            rg_error *err)
{
    coded c = {0};
    double bitrate;
    *out = (codec_excerpt){0};
    RG_TRY(read_excerpt(e, r, i, RG_CHANNEL_MEAN, &out->original, NULL, err));
    const rg_audio *x = &out->original;
    for (int row = 0; row < CODEC_ROWS; row++) {
        if (r->missing[row][0]) continue;
        RG_TRY(rg_audio_make(&out->rows[row], x->frames, 1, x->rate, err));
        if (row != CODEC_OURS)
            RG_TRY(rg__codec_reference(r, (enum codec_row)row, x, out->rows[row].samples, &bitrate,
                                       err));
    }
    rg_status status = through_codec(e, r, i, x, &c, err);
    const int32_t shown = rg__codec_hears_stereo(e, r) ? r->codec->config.channels : 1;
    for (int32_t k = 0; k < shown && status == RG_OK; k++)
        for (int64_t t = 0; t < x->frames; t++)
            out->rows[CODEC_OURS].samples[t] += c.channels[k * x->frames + t] / (float)shown;
    free_coded(&c);
    return status;
}

void rg__codec_excerpt_free(codec_excerpt *excerpt)
{
    rg_audio_free(&excerpt->original);
    for (int row = 0; row < CODEC_ROWS; row++) rg_audio_free(&excerpt->rows[row]);
}
