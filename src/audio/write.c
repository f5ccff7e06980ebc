/*
 * Writing WAV and FLAC files, atomically and with the same bytes every time.
 *
 * One idea: there is one writer, write_file, which puts down the sample values it is given; floats
 * are quantised to values first. No PEAK chunk (it holds the time of day), RF64 only when the data
 * does not fit a WAV.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/audio.h"
#include "audio/sndio.h"
#include "base/fs.h"

/* Per type: libsndfile's code, bits of an integer sample, bytes in the file. */
static const struct encoding {
    int code, bits, bytes;
} encodings[] = {
    [RG_PCM_S16] = {SF_FORMAT_PCM_16, 16, 2}, [RG_PCM_S24] = {SF_FORMAT_PCM_24, 24, 3},
    [RG_PCM_S32] = {SF_FORMAT_PCM_32, 32, 4}, [RG_PCM_F32] = {SF_FORMAT_FLOAT, 0, 4},
    [RG_PCM_F64] = {SF_FORMAT_DOUBLE, 0, 8},  [RG_PCM_U8] = {SF_FORMAT_PCM_U8, 8, 1},
};
enum { FLAC_CHANNELS = 8 };
static const int64_t wav_limit = 0xfffff000; /* bytes of data that a 32-bit WAV can hold */

static sf_count_t write_frames(SNDFILE *file, const rg_pcm *pcm)
{
    if (pcm->frames == 0) return 0;
    if (pcm->type == RG_PCM_F64) return sf_writef_double(file, pcm->samples, pcm->frames);
    if (pcm->type == RG_PCM_F32) return sf_writef_float(file, pcm->samples, pcm->frames);
    return sf_writef_int(file, pcm->samples, pcm->frames);
}

static rg_status write_to(rg_sndio *io, const char *path, const rg_pcm *pcm, int container,
                          rg_error *err)
{
    SF_INFO info = {.samplerate = pcm->rate, .channels = pcm->channels};
    info.format = container | encodings[pcm->type].code;
    SNDFILE *file = sf_open_virtual(rg_sndio_calls(), SFM_WRITE, &info, io);
    if (!file)
        return rg_fail(err, io->fault ? RG_ERR_IO : RG_ERR_UNSUPPORTED, "%s: cannot write: %s",
                       path, io->fault ? strerror(io->fault) : sf_strerror(NULL));
    sf_command(file, SFC_SET_ADD_PEAK_CHUNK, NULL, SF_FALSE);
    sf_count_t put = write_frames(file, pcm);
    sf_close(file);
    if (put == pcm->frames && io->fault == 0) return RG_OK;
    return rg_fail(err, RG_ERR_IO, "%s: cannot write: %s", path,
                   io->fault ? strerror(io->fault) : "the sound library stopped");
}

static rg_status check_shape(const char *path, int64_t frames, int32_t channels, int32_t rate,
                             rg_error *err)
{
    if (frames < 0 || channels < 1 || channels > RG_AUDIO_MAX_CHANNELS ||
        rate < RG_AUDIO_MIN_RATE || rate > RG_AUDIO_MAX_RATE)
        return rg_fail(err, RG_ERR_SHAPE, "%s: %lld frames, %d channels, %d Hz cannot be a file",
                       path, (long long)frames, channels, rate);
    return RG_OK;
}

static rg_status write_file(const char *path, const rg_pcm *pcm, int container, rg_error *err)
{
    RG_TRY(check_shape(path, pcm->frames, pcm->channels, pcm->rate, err));
    rg_atomic_file file;
    RG_TRY(rg_fs_begin(&file, path, err));
    rg_sndio io;
    rg_sndio_attach(&io, file.fd);
    rg_status status = write_to(&io, path, pcm, container, err);
    if (status == RG_OK) return rg_fs_commit(&file, err);
    rg_fs_abandon(&file);
    return status;
}

rg_status rg_pcm_write_wav(const char *path, const rg_pcm *pcm, rg_error *err)
{
    int64_t bytes = pcm->frames * pcm->channels * encodings[pcm->type].bytes;
    return write_file(path, pcm, bytes > wav_limit ? SF_FORMAT_RF64 : SF_FORMAT_WAV, err);
}

rg_status rg_pcm_write_flac(const char *path, const rg_pcm *pcm, rg_error *err)
{
    if ((pcm->type != RG_PCM_S16 && pcm->type != RG_PCM_S24) || pcm->channels > FLAC_CHANNELS)
        return rg_fail(err, RG_ERR_UNSUPPORTED,
                       "%s: FLAC holds 16 or 24 bits in up to %d channels; write a WAV", path,
                       FLAC_CHANNELS);
    return write_file(path, pcm, SF_FORMAT_FLAC, err);
}

/* One sample as an int32 whose upper `bits` bits hold the value. */
static int32_t quantise(float x, int bits, int64_t *clipped)
{
    double full = ldexp(1.0, bits - 1), v = nearbyint((double)x * full);
    if (x > 1.0f || x < -1.0f) (*clipped)++;
    if (v > full - 1) v = full - 1;
    if (v < -full) v = -full;
    return (int32_t)((int64_t)v * ((int64_t)1 << (32 - bits)));
}

static void fill_pcm(const rg_audio *audio, rg_pcm *pcm, int64_t *clipped)
{
    int64_t n = audio->frames * audio->channels;
    int bits = encodings[pcm->type].bits;
    float *f = pcm->samples;
    double *d = pcm->samples;
    int32_t *q = pcm->samples;
    for (int64_t i = 0; i < n; i++) {
        if (pcm->type == RG_PCM_F64)
            d[i] = audio->samples[i];
        else if (pcm->type == RG_PCM_F32)
            f[i] = audio->samples[i];
        else
            q[i] = quantise(audio->samples[i], bits, clipped);
    }
}

rg_status rg_audio_write_wav(const char *path, const rg_audio *audio, rg_pcm_type type,
                             int64_t *clipped, rg_error *err)
{
    RG_TRY(check_shape(path, audio->frames, audio->channels, audio->rate, err));
    int64_t n = audio->frames * audio->channels, beyond = 0;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(audio->samples[i]))
            return rg_fail(err, RG_ERR_NUMERIC,
                           "%s: not written: frame %lld is not a finite number", path,
                           (long long)(i / audio->channels));
    rg_pcm pcm = {
        .type = type, .frames = audio->frames, .channels = audio->channels, .rate = audio->rate};
    pcm.samples = malloc((size_t)(n > 0 ? n : 1) * rg_pcm_sample_bytes(type));
    if (!pcm.samples) return rg_fail(err, RG_ERR_NOMEM, "%s: no memory to write it", path);
    fill_pcm(audio, &pcm, &beyond);
    if (clipped) *clipped = beyond;
    rg_status status = rg_pcm_write_wav(path, &pcm, err);
    rg_pcm_free(&pcm);
    return status;
}
