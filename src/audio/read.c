/*
 * Reading audio files whole: WAV, FLAC, OGG and what else libsndfile knows.
 *
 * One idea: there is one reader, rg_pcm_read, which keeps the file's own values; floats for
 * listening and models are made from it. Memory grows with what was really decoded, never with what
 * a header claims.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/audio.h"
#include "audio/sndio.h"

enum { MAX_HOURS = 4, CHUNK_SAMPLES = 1 << 16 };

/* libsndfile's sub-formats and the type that holds their values exactly. Decoders of lossy formats
 * produce floats. */
static const struct subformat {
    int code;
    rg_pcm_type type;
} subformats[] = {
    {SF_FORMAT_PCM_S8, RG_PCM_U8},     {SF_FORMAT_PCM_U8, RG_PCM_U8},
    {SF_FORMAT_PCM_16, RG_PCM_S16},    {SF_FORMAT_PCM_24, RG_PCM_S24},
    {SF_FORMAT_PCM_32, RG_PCM_S32},    {SF_FORMAT_DOUBLE, RG_PCM_F64},
    {SF_FORMAT_ULAW, RG_PCM_S16},      {SF_FORMAT_ALAW, RG_PCM_S16},
    {SF_FORMAT_IMA_ADPCM, RG_PCM_S16}, {SF_FORMAT_MS_ADPCM, RG_PCM_S16},
    {SF_FORMAT_ALAC_16, RG_PCM_S16},   {SF_FORMAT_ALAC_24, RG_PCM_S24},
};

static rg_pcm_type type_of(int format)
{
    int code = format & SF_FORMAT_SUBMASK;
    for (size_t i = 0; i < sizeof subformats / sizeof subformats[0]; i++)
        if (subformats[i].code == code) return subformats[i].type;
    return RG_PCM_F32;
}

size_t rg_pcm_sample_bytes(rg_pcm_type type)
{
    return type == RG_PCM_F64 ? sizeof(double) : sizeof(float);
}

static sf_count_t read_chunk(SNDFILE *file, rg_pcm_type type, void *out, sf_count_t frames)
{
    if (type == RG_PCM_F64) return sf_readf_double(file, out, frames);
    if (type == RG_PCM_F32) return sf_readf_float(file, out, frames);
    return sf_readf_int(file, out, frames);
}

/* Grows pcm->samples to hold `frames`. */
static rg_status reserve(rg_pcm *pcm, int64_t frames, int64_t *capacity, rg_error *err)
{
    if (frames <= *capacity) return RG_OK;
    int64_t wanted = *capacity * 2 > frames ? *capacity * 2 : frames;
    void *grown =
        realloc(pcm->samples, (size_t)(wanted * pcm->channels) * rg_pcm_sample_bytes(pcm->type));
    if (!grown)
        return rg_fail(err, RG_ERR_NOMEM, "no memory for %lld frames of %d channels",
                       (long long)wanted, pcm->channels);
    pcm->samples = grown;
    *capacity = wanted;
    return RG_OK;
}

static rg_status read_samples(SNDFILE *file, int64_t claimed, rg_pcm *pcm, rg_error *err)
{
    size_t frame_bytes = (size_t)pcm->channels * rg_pcm_sample_bytes(pcm->type);
    int64_t chunk = CHUNK_SAMPLES / pcm->channels, capacity = 0;
    while (pcm->frames < claimed) {
        int64_t ask = claimed - pcm->frames < chunk ? claimed - pcm->frames : chunk;
        RG_TRY(reserve(pcm, pcm->frames + ask, &capacity, err));
        char *at = (char *)pcm->samples + (size_t)pcm->frames * frame_bytes;
        int64_t got = read_chunk(file, pcm->type, at, ask);
        if (got <= 0) break;
        pcm->frames += got;
    }
    if (pcm->frames == claimed) return RG_OK;
    return rg_fail(err, RG_ERR_FORMAT, "ends at frame %lld of %lld (%s); the file is incomplete",
                   (long long)pcm->frames, (long long)claimed, sf_strerror(file));
}

static rg_status check_finite(const rg_pcm *pcm, rg_error *err)
{
    int64_t n = pcm->frames * pcm->channels;
    const float *f = pcm->samples;
    const double *d = pcm->samples;
    if (pcm->type != RG_PCM_F32 && pcm->type != RG_PCM_F64) return RG_OK;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(pcm->type == RG_PCM_F64 ? d[i] : (double)f[i]))
            return rg_fail(err, RG_ERR_NUMERIC, "frame %lld, channel %lld is not a finite number",
                           (long long)(i / pcm->channels), (long long)(i % pcm->channels));
    return RG_OK;
}

static rg_status read_open_file(SNDFILE *file, const SF_INFO *info, rg_pcm *out, rg_error *err)
{
    *out = (rg_pcm){
        .type = type_of(info->format), .channels = info->channels, .rate = info->samplerate};
    RG_TRY(read_samples(file, info->frames, out, err));
    return check_finite(out, err);
}

rg_status rg_pcm_read(const char *path, rg_pcm *out, rg_error *err)
{
    *out = (rg_pcm){0};
    rg_sndio io;
    RG_TRY(rg_sndio_open(&io, path, err));
    SF_INFO info = {0};
    SNDFILE *file = sf_open_virtual(rg_sndio_calls(), SFM_READ, &info, &io);
    rg_status status = RG_OK;
    rg_error fault = {0};
    if (!file)
        status = rg_fail(&fault, RG_ERR_FORMAT, "is not a sound file that can be read: %s",
                         sf_strerror(NULL));
    else if ((status = rg_sndio_check(&info, MAX_HOURS, &fault)) == RG_OK)
        status = read_open_file(file, &info, out, &fault);
    /* After a failed call libsndfile may take the file for another format: believe nothing. */
    if (io.fault)
        status = rg_fail(err, RG_ERR_IO, "%s: cannot read: %s", path, strerror(io.fault));
    else if (status != RG_OK)
        rg_fail(err, status, "%s: %s", path, fault.text);
    if (file) sf_close(file);
    rg_sndio_close(&io);
    if (status != RG_OK) rg_pcm_free(out);
    return status;
}

void rg_pcm_free(rg_pcm *pcm)
{
    free(pcm->samples);
    *pcm = (rg_pcm){0};
}

rg_status rg_audio_read(const char *path, rg_audio *out, rg_error *err)
{
    *out = (rg_audio){0};
    rg_pcm pcm;
    RG_TRY(rg_pcm_read(path, &pcm, err));
    rg_status status = rg_pcm_to_audio(&pcm, out, err);
    rg_pcm_free(&pcm);
    return status;
}
