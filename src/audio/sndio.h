/*
 * libsndfile on descriptors of src/base/fs: private to src/audio.
 *
 * One idea: libsndfile never opens a path itself; it reads and writes through the table of calls in
 * fs.h, so that tests can fail any of them, and a failed call is remembered because libsndfile
 * drops the errors of its last header update.
 */
#ifndef RG_AUDIO_SNDIO_H
#define RG_AUDIO_SNDIO_H

#include <sndfile.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* One open file. `position` is libsndfile's idea of the place, `cursor` the descriptor's own. */
typedef struct rg_sndio {
    int fd;
    int64_t position, cursor, length;
    int fault; /* errno of the first failed call; 0: none */
} rg_sndio;

/* Opens a path for reading; `io->fd` is closed by rg_sndio_close. */
rg_status rg_sndio_open(rg_sndio *io, const char *path, rg_error *err) RG_MUST_USE;
void rg_sndio_close(rg_sndio *io);
/* Takes an empty descriptor for writing; it stays the caller's. */
void rg_sndio_attach(rg_sndio *io, int fd);
/* The callbacks, for sf_open_virtual(rg_sndio_calls(), ..., io). */
SF_VIRTUAL_IO *rg_sndio_calls(void);

/* Whether a header describes sound that can be read: channels, rate, at most `hours` long. */
rg_status rg_sndio_check(const SF_INFO *info, int32_t hours, rg_error *err) RG_MUST_USE;

#endif
