/*
 * Stems (stems.h).
 */
#include "generate/stems.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double blend_seconds = 0.020;

void rg_stem_lock_free(rg_stem_lock *lock)
{
    rg_pcm_free(&lock->pcm);
    *lock = (rg_stem_lock){0};
}

static int by_start(const void *a, const void *b)
{
    const rg_span *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

rg_status rg_stem_lock_add(rg_stem_lock *lock, double start, double end, const char *name,
                           rg_error *err)
{
    double rate = lock->pcm.rate, length = (double)lock->pcm.frames;
    int64_t a = (int64_t)ceil(fmin(start * rate, length) - 1e-6);
    int64_t b = (int64_t)floor(fmin(end * rate, length) + 1e-6);
    if (a >= b)
        return rg_fail(err, RG_ERR_USAGE,
                       "%s: nothing to lock from %.3f to %.3f s; the file is %.3f s long", name,
                       start, end, length / rate);
    if (lock->n == RG_MAX_SPANS)
        return rg_fail(err, RG_ERR_USAGE, "%s: more than %d locked spans", name, RG_MAX_SPANS);
    lock->spans[lock->n++] = (rg_span){a, b};
    qsort(lock->spans, (size_t)lock->n, sizeof *lock->spans, by_start);
    int32_t kept = 0;
    for (int32_t i = 1; i < lock->n; i++) { /* overlapping spans become one */
        rg_span *last = lock->spans + kept, next = lock->spans[i];
        if (next.start <= last->end)
            last->end = next.end > last->end ? next.end : last->end;
        else
            lock->spans[++kept] = next;
    }
    lock->n = kept + 1;
    return RG_OK;
}

void rg_stem_known(const rg_stem_lock *lock, double frame_rate, int32_t frames, uint8_t *known)
{
    double per_frame = lock->pcm.rate / frame_rate;
    memset(known, 0, (size_t)frames);
    for (int32_t i = 0; i < lock->n; i++)
        for (int32_t f = 0; f < frames; f++)
            if ((double)f * per_frame >= (double)lock->spans[i].start - 1e-6 &&
                (double)(f + 1) * per_frame <= (double)lock->spans[i].end + 1e-6)
                known[f] = 1;
}

rg_status rg_stem_listen(const rg_pcm *pcm, int32_t rate, rg_audio *out, rg_error *err)
{
    rg_audio whole = {0}, mono = {0};
    RG_TRY(rg_pcm_to_audio(pcm, &whole, err));
    rg_status status = rg_audio_to_channels(&whole, 1, &mono, err);
    rg_audio_free(&whole);
    if (status == RG_OK) status = rg_audio_resample(&mono, rate, out, err);
    rg_audio_free(&mono);
    return status;
}

rg_status rg_stem_encode(rg_exec *ex, rg_codec *codec, const rg_pcm *pcm, int32_t frames,
                         int32_t *codes, rg_error *err)
{
    rg_audio audio = {0};
    int64_t books = codec->config.codebooks, hop = rg_encodec_hop(&codec->config);
    memset(codes, 0xff, sizeof *codes * (size_t)(frames * books));
    RG_TRY(rg_stem_listen(pcm, codec->config.sample_rate, &audio, err));
    int64_t n = audio.frames < frames * hop ? audio.frames : frames * hop;
    rg_status status = n ? rg_codec_encode_audio(ex, codec, audio.samples, n, codes) : RG_OK;
    if (status != RG_OK) rg_fail(err, status, "%s", ex->error.text);
    rg_audio_free(&audio);
    return status;
}

rg_status rg_stem_decode(rg_exec *ex, rg_codec *codec, const int32_t *codes, int32_t frames,
                         double seconds, rg_audio *out, rg_error *err)
{
    int32_t rate = codec->config.sample_rate;
    int64_t n = llround(seconds * rate), most = (int64_t)frames * rg_encodec_hop(&codec->config);
    RG_TRY(rg_audio_make(out, n, 1, rate, err));
    rg_status status =
        rg_codec_decode_audio(ex, codec, codes, frames, out->samples, n < most ? n : most);
    if (status == RG_OK) return RG_OK;
    rg_audio_free(out);
    return rg_fail(err, status, "%s", ex->error.text);
}

/* ---- sample values of any type ---- */

static int32_t integer_bits(rg_pcm_type type)
{
    return type == RG_PCM_U8 ? 8 : type == RG_PCM_S16 ? 16 : type == RG_PCM_S24 ? 24 : 32;
}

static double get_sample(const rg_pcm *pcm, int64_t i)
{
    if (pcm->type == RG_PCM_F32) return ((const float *)pcm->samples)[i];
    if (pcm->type == RG_PCM_F64) return ((const double *)pcm->samples)[i];
    return ((const int32_t *)pcm->samples)[i] * 0x1p-31;
}

/* Rounds to the type's own steps, kept left-justified. */
static void set_sample(rg_pcm *pcm, int64_t i, double v)
{
    if (pcm->type == RG_PCM_F32)
        ((float *)pcm->samples)[i] = (float)v;
    else if (pcm->type == RG_PCM_F64)
        ((double *)pcm->samples)[i] = v;
    else {
        int32_t bits = integer_bits(pcm->type);
        double most = ldexp(1, bits - 1), q = nearbyint(v * most);
        q = q < -most ? -most : q > most - 1 ? most - 1 : q;
        ((int32_t *)pcm->samples)[i] = (int32_t)((int64_t)q * ((int64_t)1 << (32 - bits)));
    }
}

static rg_status make_pcm(rg_pcm *out, rg_pcm_type type, int64_t frames, int32_t channels,
                          int32_t rate, rg_error *err)
{
    *out = (rg_pcm){type, NULL, frames, channels, rate};
    out->samples = calloc((size_t)(frames * channels) + 1, rg_pcm_sample_bytes(type));
    if (out->samples) return RG_OK;
    return rg_fail(err, RG_ERR_NOMEM, "no memory for a stem of %lld frames", (long long)frames);
}

/* ---- locked and made samples together ---- */

static void put_made(const rg_audio *made, rg_pcm *out)
{
    for (int64_t f = 0; f < out->frames; f++)
        for (int32_t c = 0; c < out->channels; c++)
            set_sample(out, f * out->channels + c, f < made->frames ? made->samples[f] : 0);
}

/*
 * Blends frame f outside a span, at distance d (1 .. n) from its edge: to the old take where the
 * file has one, else by adding what the made sound lacks at the edge, fading out.
 */
static void blend_frame(const rg_stem_lock *lock, const rg_audio *made, rg_pcm *out, int64_t f,
                        int64_t edge, double weight)
{
    const rg_pcm *old = &lock->pcm;
    for (int32_t c = 0; c < out->channels; c++) {
        double here = f < made->frames ? made->samples[f] : 0, v;
        if (f < old->frames)
            v = here + weight * (get_sample(old, f * old->channels + c) - here);
        else {
            double at_edge = edge < made->frames ? made->samples[edge] : 0;
            v = here + weight * (get_sample(old, edge * old->channels + c) - at_edge);
        }
        set_sample(out, f * out->channels + c, v);
    }
}

static void blend_edges(const rg_stem_lock *lock, const rg_audio *made, rg_pcm *out)
{
    int64_t n = (int64_t)(blend_seconds * out->rate);
    for (int32_t i = 0; i < lock->n; i++) {
        int64_t before = i ? lock->spans[i - 1].end : 0;
        int64_t after = i + 1 < lock->n ? lock->spans[i + 1].start : out->frames;
        int64_t a = lock->spans[i].start, b = lock->spans[i].end;
        for (int64_t d = 1; d <= n; d++) {
            double weight = 0.5 + 0.5 * cos(M_PI * (double)d / (double)(n + 1));
            if (a - d >= before && a - d < out->frames)
                blend_frame(lock, made, out, a - d, a, weight);
            if (b - 1 + d < after && b - 1 + d < out->frames)
                blend_frame(lock, made, out, b - 1 + d, b - 1, weight);
        }
    }
}

static void copy_locked(const rg_stem_lock *lock, rg_pcm *out)
{
    size_t frame = rg_pcm_sample_bytes(out->type) * (size_t)out->channels;
    for (int32_t i = 0; i < lock->n; i++) {
        int64_t a = lock->spans[i].start, b = lock->spans[i].end;
        if (b > out->frames) b = out->frames;
        if (a < b)
            memcpy((char *)out->samples + (size_t)a * frame,
                   (const char *)lock->pcm.samples + (size_t)a * frame, (size_t)(b - a) * frame);
    }
}

rg_status rg_stem_assemble(const rg_stem_lock *lock, const rg_audio *made, int32_t rate,
                           double seconds, rg_pcm *out, rg_error *err)
{
    rg_audio resampled = {0};
    if (lock) rate = lock->pcm.rate;
    RG_TRY(rg_audio_resample(made, rate, &resampled, err));
    rg_status status = make_pcm(out, lock ? lock->pcm.type : RG_PCM_S16, llround(seconds * rate),
                                lock ? lock->pcm.channels : 1, rate, err);
    if (status == RG_OK) put_made(&resampled, out);
    if (status == RG_OK && lock) {
        blend_edges(lock, &resampled, out);
        copy_locked(lock, out);
    }
    rg_audio_free(&resampled);
    return status;
}

static rg_status add_to_mix(const rg_pcm *stem, rg_audio *mix, rg_error *err)
{
    rg_audio audio = {0}, wide = {0}, fast = {0};
    rg_status status = rg_pcm_to_audio(stem, &audio, err);
    if (status == RG_OK) status = rg_audio_to_channels(&audio, mix->channels, &wide, err);
    if (status == RG_OK) status = rg_audio_resample(&wide, mix->rate, &fast, err);
    int64_t n = fast.frames < mix->frames ? fast.frames : mix->frames;
    for (int64_t i = 0; status == RG_OK && i < n * mix->channels; i++)
        mix->samples[i] += fast.samples[i];
    rg_audio_free(&audio);
    rg_audio_free(&wide);
    rg_audio_free(&fast);
    return status;
}

rg_status rg_stem_mix(const rg_pcm *stems, int32_t n, double seconds, rg_audio *out, double *gain,
                      rg_error *err)
{
    int32_t rate = 0, channels = 1;
    double peak = 0;
    for (int32_t i = 0; i < n; i++) {
        if (stems[i].rate > rate) rate = stems[i].rate;
        if (stems[i].channels > 1) channels = 2;
    }
    RG_TRY(rg_audio_make(out, llround(seconds * rate), channels, rate, err));
    memset(out->samples, 0, sizeof *out->samples * (size_t)(out->frames * channels));
    rg_status status = RG_OK;
    for (int32_t i = 0; i < n && status == RG_OK; i++) status = add_to_mix(stems + i, out, err);
    for (int64_t i = 0; i < out->frames * channels; i++)
        peak = fmax(peak, fabs((double)out->samples[i]));
    *gain = peak > 0.99 ? 0.99 / peak : 1;
    for (int64_t i = 0; i < out->frames * channels; i++) out->samples[i] *= (float)*gain;
    if (status != RG_OK) rg_audio_free(out);
    return status;
}
