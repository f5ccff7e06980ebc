/*
 * Sound read block by block, from a file or from memory, as often as wanted.
 *
 * One idea: what measures a long sound walks over it several times in bounded memory and does not
 * care where it lies. Not here: whole files (audio.h).
 */
#ifndef RG_AUDIO_READER_H
#define RG_AUDIO_READER_H

#include "audio/audio.h"

enum { RG_READER_MAX_HOURS = 10 };

typedef struct rg_reader rg_reader;

/* Opens a file of at most 10 hours; faults name it, as those of rg_audio_read do. */
rg_reader *rg_reader_open(const char *path, rg_error *err);
/* Borrows the audio, which must outlive the reader. */
rg_reader *rg_reader_of(const rg_audio *audio, rg_error *err);
/* Likewise of (channels,frames) samples in 1/32768. */
rg_reader *rg_reader_of_int16(const int16_t *samples, int32_t channels, int64_t frames,
                              int32_t rate, rg_error *err);
void rg_reader_close(rg_reader *reader); /* NULL is fine */

int64_t rg_reader_frames(const rg_reader *reader);
int32_t rg_reader_channels(const rg_reader *reader);
int32_t rg_reader_rate(const rg_reader *reader);

rg_status rg_reader_rewind(rg_reader *reader, rg_error *err) RG_MUST_USE;
/* The next `frames` frames (frames,channels); fewer than that are a fault (an incomplete file), and
 * so is a sample that is not finite. */
rg_status rg_reader_read(rg_reader *reader, float *out, int64_t frames, rg_error *err) RG_MUST_USE;

#endif
