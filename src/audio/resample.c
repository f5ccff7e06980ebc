/*
 * Changing the rate with soxr at its high quality setting.
 */
#include <math.h>
#include <soxr.h>
#include <string.h>

#include "audio/audio.h"

static rg_status check_rate(int32_t rate, rg_error *err)
{
    if (rate >= RG_AUDIO_MIN_RATE && rate <= RG_AUDIO_MAX_RATE) return RG_OK;
    return rg_fail(err, RG_ERR_SHAPE, "cannot resample to %d Hz; %d to %d are possible", rate,
                   RG_AUDIO_MIN_RATE, RG_AUDIO_MAX_RATE);
}

static rg_status convert(const rg_audio *audio, rg_audio *out, rg_error *err)
{
    soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    size_t used = 0, made = 0;
    soxr_error_t fault = soxr_oneshot(audio->rate, out->rate, (unsigned)audio->channels,
                                      audio->samples, (size_t)audio->frames, &used, out->samples,
                                      (size_t)out->frames, &made, NULL, &quality, NULL);
    if (!fault) return RG_OK; /* what soxr left unwritten at the end stays zero */
    return rg_fail(err, RG_ERR_UNSUPPORTED, "cannot resample %d Hz to %d Hz: %s", audio->rate,
                   out->rate, soxr_strerror(fault));
}

rg_status rg_audio_resample(const rg_audio *audio, int32_t rate, rg_audio *out, rg_error *err)
{
    *out = (rg_audio){0};
    RG_TRY(check_rate(rate, err));
    int64_t frames = llround((double)audio->frames * rate / audio->rate);
    RG_TRY(rg_audio_make(out, frames, audio->channels, rate, err));
    rg_status status = RG_OK;
    if (rate == audio->rate)
        memcpy(out->samples, audio->samples,
               (size_t)(frames * audio->channels) * sizeof *out->samples);
    else if (frames > 0)
        status = convert(audio, out, err);
    if (status != RG_OK) rg_audio_free(out);
    return status;
}

/* ---- in blocks ---- */

rg_resampling *rg_resampling_open(int32_t from, int32_t to, rg_error *err)
{
    if (check_rate(from, err) != RG_OK || check_rate(to, err) != RG_OK) return NULL;
    soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    soxr_error_t fault = NULL;
    soxr_t soxr = soxr_create(from, to, 1, &fault, NULL, &quality, NULL);
    if (!fault && soxr) return (rg_resampling *)soxr;
    if (soxr) soxr_delete(soxr);
    rg_fail(err, RG_ERR_UNSUPPORTED, "cannot resample %d Hz to %d Hz: %s", from, to,
            soxr_strerror(fault));
    return NULL;
}

rg_status rg_resampling_push(rg_resampling *r, const float *x, int64_t n, float *out, int64_t room,
                             int64_t *made, rg_error *err)
{
    size_t used = 0, got = 0;
    soxr_error_t fault =
        soxr_process((soxr_t)r, x, x ? (size_t)n : 0, &used, out, (size_t)room, &got);
    *made = (int64_t)got;
    if (!fault && (!x || used == (size_t)n)) return RG_OK;
    return rg_fail(err, RG_ERR_NUMERIC, "resampling failed: %s",
                   fault ? soxr_strerror(fault) : "too little room for what it makes");
}

void rg_resampling_close(rg_resampling *r)
{
    if (r) soxr_delete((soxr_t)r);
}
