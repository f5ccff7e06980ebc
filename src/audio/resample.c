/*
 * Changing the rate with soxr at its high quality setting.
 */
#include <math.h>
#include <soxr.h>
#include <string.h>

#include "audio/audio.h"

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
    if (rate < RG_AUDIO_MIN_RATE || rate > RG_AUDIO_MAX_RATE)
        return rg_fail(err, RG_ERR_SHAPE, "cannot resample to %d Hz; %d to %d are possible", rate,
                       RG_AUDIO_MIN_RATE, RG_AUDIO_MAX_RATE);
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
