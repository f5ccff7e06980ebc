/*
 * What the same bits buy without a codec: 8-bit PCM at a codec's bitrate.
 *
 * One idea: b bits a second are b/8 samples a second; the sound is low-passed to fit them, sampled,
 * quantised to 256 even steps of its own peak, and brought back. A codec that loses to this row has
 * learnt nothing.
 */
#ifndef RG_EVAL_PCM_BASELINE_H
#define RG_EVAL_PCM_BASELINE_H

#include <stdint.h>

#include "base/status.h"

/* x (n) mono at `rate` -> out (n). A bitrate of 8 * rate or more only quantises. */
rg_status rg_pcm_baseline(const float *x, int64_t n, int32_t rate, double bits_per_second,
                          float *out, rg_error *err) RG_MUST_USE;

#endif
