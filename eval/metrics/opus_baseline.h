/*
 * What Opus (RFC 6716) makes of a sound, by the programs opusenc and opusdec where they are
 * installed (Debian package opus-tools).
 *
 * One idea: the coder as it comes: its own defaults, a target bitrate, 48 kHz. Its variable rate
 * may miss the target, so the bits that it took are counted in its file, without the container.
 */
#ifndef RG_EVAL_OPUS_BASELINE_H
#define RG_EVAL_OPUS_BASELINE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* The lowest and highest bitrate that opusenc takes for one channel, bit/s. */
enum { RG_OPUS_LOWEST = 6000, RG_OPUS_HIGHEST = 256000 };

/* RG_OK when both programs run; else RG_ERR_UNSUPPORTED, and err names the one that is not there.
 */
rg_status rg_opus_installed(rg_error *err) RG_MUST_USE;

/*
 * x (n) mono at `rate` -> out (n), through Opus and back; silence where it gave fewer samples.
 * `bits_per_second` is brought into what opusenc takes. *taken gets the bits per second of its
 * packets. Works in a folder of its own below TMPDIR, which is gone afterwards; each program may
 * take 60 s.
 */
rg_status rg_opus_baseline(const float *x, int64_t n, int32_t rate, double bits_per_second,
                           float *out, double *taken, rg_error *err) RG_MUST_USE;

/*
 * Bytes of the audio packets in an Ogg file (RFC 3533) of n bytes: of all pages but those of
 * headers, whose position is 0. -1 when it is no Ogg file or cut off.
 */
int64_t rg_ogg_payload(const uint8_t *file, size_t n);

#endif
