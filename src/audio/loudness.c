/*
 * Integrated loudness by EBU R 128 through libebur128.
 */
#include <ebur128.h>
#include <math.h>

#include "audio/audio.h"

rg_loudness *rg_loudness_open(int32_t channels, int32_t rate, rg_error *err)
{
    ebur128_state *meter = ebur128_init((unsigned)channels, (unsigned long)rate, EBUR128_MODE_I);
    if (!meter)
        rg_fail(err, RG_ERR_UNSUPPORTED, "no loudness meter for %d channels at %d Hz", channels,
                rate);
    return (rg_loudness *)meter;
}

rg_status rg_loudness_push(rg_loudness *loudness, const float *x, int64_t frames, rg_error *err)
{
    int fault = ebur128_add_frames_float((ebur128_state *)loudness, x, (size_t)frames);
    if (!fault) return RG_OK;
    return rg_fail(err, RG_ERR_NUMERIC, "loudness meter failed (code %d)", fault);
}

rg_status rg_loudness_close(rg_loudness *loudness, double *lufs, rg_error *err)
{
    ebur128_state *meter = (ebur128_state *)loudness;
    *lufs = -INFINITY;
    if (!meter) return RG_OK;
    int fault = ebur128_loudness_global(meter, lufs);
    ebur128_destroy(&meter);
    if (!fault) return RG_OK;
    return rg_fail(err, RG_ERR_NUMERIC, "loudness meter failed (code %d)", fault);
}

rg_status rg_audio_loudness(const rg_audio *audio, double *lufs, rg_error *err)
{
    rg_loudness *meter = rg_loudness_open(audio->channels, audio->rate, err);
    *lufs = -INFINITY;
    if (!meter) return RG_ERR_UNSUPPORTED;
    rg_status status = rg_loudness_push(meter, audio->samples, audio->frames, err),
              closed = rg_loudness_close(meter, lufs, err);
    return status != RG_OK ? status : closed;
}
