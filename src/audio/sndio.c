/*
 * libsndfile on descriptors of src/base/fs (sndio.h): five callbacks and a remembered errno.
 */
#include "audio/sndio.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "audio/audio.h"
#include "base/fs.h"

rg_status rg_sndio_open(rg_sndio *io, const char *path, rg_error *err)
{
    const rg_fs_calls *fs = rg_fs_current();
    *io = (rg_sndio){.fd = -1};
    if (rg_fs_is_folder(path))
        return rg_fail(err, RG_ERR_IO, "%s: is a folder, not an audio file", path);
    io->fd = fs->open(path, O_RDONLY | O_CLOEXEC, 0);
    if (io->fd < 0) return rg_fail(err, RG_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    io->length = fs->seek(io->fd, 0, SEEK_END);
    if (io->length >= 0) return RG_OK;
    int fault = errno;
    rg_sndio_close(io);
    return rg_fail(err, RG_ERR_IO, "%s: cannot find its length: %s; give a regular file", path,
                   strerror(fault));
}

void rg_sndio_close(rg_sndio *io)
{
    if (io->fd >= 0) rg_fs_current()->close(io->fd);
    io->fd = -1;
}

void rg_sndio_attach(rg_sndio *io, int fd)
{
    *io = (rg_sndio){.fd = fd};
}

static sf_count_t io_length(void *user)
{
    return ((rg_sndio *)user)->length;
}
static sf_count_t io_tell(void *user)
{
    return ((rg_sndio *)user)->position;
}

static sf_count_t io_seek(sf_count_t offset, int whence, void *user)
{
    rg_sndio *io = user;
    int64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? io->position : io->length;
    if (from + offset < 0) return -1;
    io->position = from + offset;
    return io->position;
}

static sf_count_t io_read(void *out, sf_count_t n, void *user)
{
    rg_sndio *io = user;
    int64_t done = 0;
    while (done < n) {
        int64_t got =
            rg_fs_current()->pread(io->fd, (char *)out + done, (size_t)(n - done), io->position);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && io->fault == 0) io->fault = errno;
        if (got <= 0) break;
        done += got;
        io->position += got;
    }
    return done;
}

static sf_count_t io_write(const void *data, sf_count_t n, void *user)
{
    rg_sndio *io = user;
    const rg_fs_calls *fs = rg_fs_current();
    if (io->cursor != io->position && fs->seek(io->fd, io->position, SEEK_SET) < 0) {
        if (io->fault == 0) io->fault = errno;
        return 0;
    }
    int64_t done = 0;
    while (done < n) {
        int64_t put = fs->write(io->fd, (const char *)data + done, (size_t)(n - done));
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) {
            if (io->fault == 0) io->fault = put < 0 ? errno : ENOSPC;
            break;
        }
        done += put;
    }
    io->position += done;
    io->cursor = io->position;
    if (io->position > io->length) io->length = io->position;
    return done;
}

SF_VIRTUAL_IO *rg_sndio_calls(void)
{
    static SF_VIRTUAL_IO calls = {io_length, io_seek, io_read, io_write, io_tell};
    return &calls;
}

rg_status rg_sndio_check(const SF_INFO *info, int32_t hours, rg_error *err)
{
    if (info->channels < 1 || info->channels > RG_AUDIO_MAX_CHANNELS)
        return rg_fail(err, RG_ERR_FORMAT, "has %d channels; 1 to %d can be read", info->channels,
                       RG_AUDIO_MAX_CHANNELS);
    if (info->samplerate < RG_AUDIO_MIN_RATE || info->samplerate > RG_AUDIO_MAX_RATE)
        return rg_fail(err, RG_ERR_FORMAT, "has a sample rate of %d Hz; %d to %d can be read",
                       info->samplerate, RG_AUDIO_MIN_RATE, RG_AUDIO_MAX_RATE);
    if (info->frames <= 0) return rg_fail(err, RG_ERR_FORMAT, "holds no sound (0 frames)");
    if (info->frames > (sf_count_t)hours * 3600 * info->samplerate)
        return rg_fail(err, RG_ERR_FORMAT,
                       "is longer than %d hours (%lld frames); cut it into parts", hours,
                       (long long)info->frames);
    return RG_OK;
}
