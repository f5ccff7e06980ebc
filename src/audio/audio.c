/*
 * Sound in memory: making, freeing, converting between sample values, floats and channel counts.
 */
#include "audio/audio.h"

#include <stdlib.h>
#include <string.h>

rg_status rg_audio_make(rg_audio *out, int64_t frames, int32_t channels, int32_t rate,
                        rg_error *err)
{
    *out = (rg_audio){.frames = frames, .channels = channels, .rate = rate};
    if (frames < 0 || channels < 1 || channels > RG_AUDIO_MAX_CHANNELS)
        return rg_fail(err, RG_ERR_SHAPE, "audio of %lld frames and %d channels cannot be made",
                       (long long)frames, channels);
    out->samples = calloc((size_t)(frames > 0 ? frames * channels : 1), sizeof(float));
    if (!out->samples)
        return rg_fail(err, RG_ERR_NOMEM, "no memory for %lld frames of %d channels",
                       (long long)frames, channels);
    return RG_OK;
}

void rg_audio_free(rg_audio *audio)
{
    free(audio->samples);
    *audio = (rg_audio){0};
}

rg_status rg_pcm_to_audio(const rg_pcm *pcm, rg_audio *out, rg_error *err)
{
    RG_TRY(rg_audio_make(out, pcm->frames, pcm->channels, pcm->rate, err));
    int64_t n = pcm->frames * pcm->channels;
    const int32_t *q = pcm->samples;
    const double *d = pcm->samples;
    if (pcm->type == RG_PCM_F32)
        memcpy(out->samples, pcm->samples, (size_t)n * sizeof(float));
    else if (pcm->type == RG_PCM_F64)
        for (int64_t i = 0; i < n; i++) out->samples[i] = (float)d[i];
    else
        for (int64_t i = 0; i < n; i++) out->samples[i] = (float)(q[i] / 2147483648.0);
    return RG_OK;
}

rg_status rg_audio_to_channels(const rg_audio *audio, int32_t channels, rg_audio *out,
                               rg_error *err)
{
    int32_t from = audio->channels;
    if (channels != from && channels != 1 && from != 1)
        return rg_fail(err, RG_ERR_UNSUPPORTED,
                       "%d channels cannot become %d: only mono goes to many, and many to mono",
                       from, channels);
    RG_TRY(rg_audio_make(out, audio->frames, channels, audio->rate, err));
    for (int64_t t = 0; t < audio->frames; t++) {
        const float *in = audio->samples + t * from;
        float *to = out->samples + t * channels;
        double sum = 0;
        for (int32_t c = 0; c < from; c++) sum += in[c];
        for (int32_t c = 0; c < channels; c++)
            to[c] = channels == from ? in[c] : (float)(sum / from);
    }
    return RG_OK;
}
