/*
 * Sound in memory and on disk: WAV, FLAC, OGG through libsndfile, rates through soxr, loudness
 * through libebur128.
 *
 * One idea: rg_audio is float, interleaved, for listening and models; rg_pcm keeps the file's own
 * sample values, so that locked material can be written back bit for bit. Not here: spectra
 * (ops.h), stems (datasets).
 */
#ifndef RG_AUDIO_AUDIO_H
#define RG_AUDIO_AUDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* samples (frames,channels), full scale +-1 (float files may exceed it); heap, freed by
 * rg_audio_free. */
typedef struct rg_audio {
    float *samples;
    int64_t frames;
    int32_t channels, rate;
} rg_audio;

typedef enum rg_pcm_type {
    RG_PCM_S16,
    RG_PCM_S24,
    RG_PCM_S32,
    RG_PCM_F32,
    RG_PCM_F64,
    RG_PCM_U8
} rg_pcm_type;

/* The file's own values: int32 left-justified for integer types, float or double for float types.
 */
typedef struct rg_pcm {
    rg_pcm_type type;
    void *samples; /* (frames,channels) int32_t, float or double */
    int64_t frames;
    int32_t channels, rate;
} rg_pcm;

enum { RG_AUDIO_MAX_CHANNELS = 32, RG_AUDIO_MIN_RATE = 1000, RG_AUDIO_MAX_RATE = 384000 };

/* Refuses unreadable, empty-header, NaN/Inf (with the frame number) and oversized (> 4 h) files by
 * name. */
rg_status rg_audio_read(const char *path, rg_audio *out, rg_error *err) RG_MUST_USE;
rg_status rg_pcm_read(const char *path, rg_pcm *out, rg_error *err) RG_MUST_USE;
void rg_audio_free(rg_audio *audio);
void rg_pcm_free(rg_pcm *pcm);
rg_status rg_audio_make(rg_audio *out, int64_t frames, int32_t channels, int32_t rate,
                        rg_error *err) RG_MUST_USE;
size_t rg_pcm_sample_bytes(rg_pcm_type type);

/* WAV, atomically. Values beyond full scale of an integer type are clipped and counted in *clipped
 * (may be NULL). */
rg_status rg_audio_write_wav(const char *path, const rg_audio *audio, rg_pcm_type type,
                             int64_t *clipped, rg_error *err) RG_MUST_USE;
rg_status rg_pcm_write_wav(const char *path, const rg_pcm *pcm, rg_error *err) RG_MUST_USE;
/* The same values as FLAC: S16 or S24, up to 8 channels; RG_ERR_UNSUPPORTED for others. */
rg_status rg_pcm_write_flac(const char *path, const rg_pcm *pcm, rg_error *err) RG_MUST_USE;
rg_status rg_pcm_to_audio(const rg_pcm *pcm, rg_audio *out, rg_error *err) RG_MUST_USE;

/* New audio at `rate` (soxr HQ); length round(frames * rate / audio->rate). Same rate: a copy. */
rg_status rg_audio_resample(const rg_audio *audio, int32_t rate, rg_audio *out,
                            rg_error *err) RG_MUST_USE;
/* The same of mono sound that comes in blocks: the samples that one call would give, however the
 * blocks are cut. Each push takes n samples and makes at most `room`, which must hold
 * n * to / from + 1; x NULL asks for the end: until none are made. close is fine with NULL. */
typedef struct rg_resampling rg_resampling;
rg_resampling *rg_resampling_open(int32_t from, int32_t to, rg_error *err);
rg_status rg_resampling_push(rg_resampling *r, const float *x, int64_t n, float *out, int64_t room,
                             int64_t *made, rg_error *err) RG_MUST_USE;
void rg_resampling_close(rg_resampling *r);
/* Mean over channels, or a mono signal in every channel. */
rg_status rg_audio_to_channels(const rg_audio *audio, int32_t channels, rg_audio *out,
                               rg_error *err) RG_MUST_USE;

/* Integrated loudness in LUFS (EBU R 128); -INFINITY for silence. */
rg_status rg_audio_loudness(const rg_audio *audio, double *lufs, rg_error *err) RG_MUST_USE;

/* The same of sound that comes in blocks (frames,channels); close frees, and is fine with NULL. */
typedef struct rg_loudness rg_loudness;
rg_loudness *rg_loudness_open(int32_t channels, int32_t rate, rg_error *err);
rg_status rg_loudness_push(rg_loudness *loudness, const float *x, int64_t frames,
                           rg_error *err) RG_MUST_USE;
rg_status rg_loudness_close(rg_loudness *loudness, double *lufs, rg_error *err) RG_MUST_USE;

/* What one hears by numbers. */
typedef struct rg_levels {
    double peak, rms_dbfs, dc, clipped_share,
        silent_share; /* silent: 100 ms blocks below -60 dBFS */
} rg_levels;
rg_levels rg_audio_levels(const rg_audio *audio);

#endif
