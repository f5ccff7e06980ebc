/*
 * Sound block by block (reader.h).
 */
#include "audio/reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "audio/sndio.h"
#include "base/text.h"

struct rg_reader {
    char path[1024];
    rg_sndio io;
    SNDFILE *file; /* NULL: memory */
    const float *samples;
    const int16_t *integers; /* (channels,frames), instead of samples */
    int64_t frames, at;
    int32_t channels, rate;
};

static rg_reader *make(rg_error *err)
{
    rg_reader *r = calloc(1, sizeof *r);
    if (!r) rg_fail(err, RG_ERR_NOMEM, "no memory for a reader");
    return r;
}

static rg_status open_file(rg_reader *r, const char *path, rg_error *err)
{
    SF_INFO info = {0};
    rg_error fault = {0};
    RG_TRY(rg_sndio_open(&r->io, path, err));
    r->file = sf_open_virtual(rg_sndio_calls(), SFM_READ, &info, &r->io);
    if (!r->file)
        rg_fail(&fault, RG_ERR_FORMAT, "is not a sound file that can be read: %s",
                sf_strerror(NULL));
    else if (rg_sndio_check(&info, RG_READER_MAX_HOURS, &fault) == RG_OK) {
        r->frames = info.frames;
        r->channels = info.channels;
        r->rate = info.samplerate;
    }
    if (r->io.fault)
        return rg_fail(err, RG_ERR_IO, "%s: cannot read: %s", path, strerror(r->io.fault));
    return fault.code == RG_OK ? RG_OK : rg_fail(err, fault.code, "%s: %s", path, fault.text);
}

rg_reader *rg_reader_open(const char *path, rg_error *err)
{
    rg_reader *r = make(err);
    if (!r) return NULL;
    r->io.fd = -1;
    rg_copy_text(r->path, sizeof r->path, path);
    if (open_file(r, path, err) == RG_OK) return r;
    rg_reader_close(r);
    return NULL;
}

rg_reader *rg_reader_of(const rg_audio *audio, rg_error *err)
{
    rg_reader *r = make(err);
    if (!r) return NULL;
    r->io.fd = -1;
    r->samples = audio->samples;
    r->frames = audio->frames;
    r->channels = audio->channels;
    r->rate = audio->rate;
    return r;
}

rg_reader *rg_reader_of_int16(const int16_t *samples, int32_t channels, int64_t frames,
                              int32_t rate, rg_error *err)
{
    rg_reader *r = make(err);
    if (!r) return NULL;
    r->io.fd = -1;
    r->integers = samples;
    r->frames = frames;
    r->channels = channels;
    r->rate = rate;
    return r;
}

void rg_reader_close(rg_reader *r)
{
    if (!r) return;
    if (r->file) sf_close(r->file);
    if (r->io.fd >= 0) rg_sndio_close(&r->io);
    free(r);
}

int64_t rg_reader_frames(const rg_reader *r)
{
    return r->frames;
}

int32_t rg_reader_channels(const rg_reader *r)
{
    return r->channels;
}

int32_t rg_reader_rate(const rg_reader *r)
{
    return r->rate;
}

rg_status rg_reader_rewind(rg_reader *r, rg_error *err)
{
    r->at = 0;
    if (!r->file || sf_seek(r->file, 0, SEEK_SET) == 0) return RG_OK;
    return rg_fail(err, RG_ERR_IO, "%s: cannot go back to its start", r->path);
}

/* An exponent of ones is infinity or no number. */
static bool are_finite(const float *x, int64_t n)
{
    int32_t bad = 0;
    for (int64_t i = 0; i < n; i++) {
        int32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bad |= (bits & 0x7f800000) == 0x7f800000;
    }
    return !bad;
}

static rg_status read_file(rg_reader *r, float *out, int64_t frames, rg_error *err)
{
    int64_t got = sf_readf_float(r->file, out, frames);
    if (r->io.fault)
        return rg_fail(err, RG_ERR_IO, "%s: cannot read: %s", r->path, strerror(r->io.fault));
    if (got < frames)
        return rg_fail(err, RG_ERR_FORMAT,
                       "%s: ends at frame %lld of %lld (%s); the file is incomplete", r->path,
                       (long long)(r->at + (got > 0 ? got : 0)), (long long)r->frames,
                       sf_strerror(r->file));
    if (are_finite(out, frames * r->channels)) return RG_OK;
    for (int64_t i = 0; i < frames * r->channels; i++)
        if (!isfinite(out[i]))
            return rg_fail(err, RG_ERR_NUMERIC,
                           "%s: frame %lld, channel %lld is not a finite number", r->path,
                           (long long)(r->at + i / r->channels), (long long)(i % r->channels));
    return RG_OK;
}

static void read_integers(const rg_reader *r, float *out, int64_t frames)
{
    for (int64_t c = 0; c < r->channels; c++) {
        const int16_t *from = r->integers + c * r->frames + r->at;
        for (int64_t i = 0; i < frames; i++) out[i * r->channels + c] = from[i] * (1.0f / 32768);
    }
}

rg_status rg_reader_read(rg_reader *r, float *out, int64_t frames, rg_error *err)
{
    if (r->file)
        RG_TRY(read_file(r, out, frames, err));
    else if (r->integers)
        read_integers(r, out, frames);
    else
        memcpy(out, r->samples + r->at * r->channels, (size_t)(frames * r->channels) * sizeof *out);
    r->at += frames;
    return RG_OK;
}
