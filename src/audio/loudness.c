/*
 * Integrated loudness by EBU R 128 through libebur128.
 */
#include <ebur128.h>
#include <math.h>

#include "audio/audio.h"

rg_status rg_audio_loudness(const rg_audio *audio, double *lufs, rg_error *err)
{
    *lufs = -INFINITY;
    ebur128_state *meter =
        ebur128_init((unsigned)audio->channels, (unsigned long)audio->rate, EBUR128_MODE_I);
    if (!meter)
        return rg_fail(err, RG_ERR_UNSUPPORTED, "no loudness meter for %d channels at %d Hz",
                       audio->channels, audio->rate);
    int fault = ebur128_add_frames_float(meter, audio->samples, (size_t)audio->frames);
    if (!fault) fault = ebur128_loudness_global(meter, lufs);
    ebur128_destroy(&meter);
    if (fault) return rg_fail(err, RG_ERR_NUMERIC, "loudness meter failed (code %d)", fault);
    return RG_OK;
}
