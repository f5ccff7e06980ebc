/*
 * Low-passes of measuring: Hann-windowed sincs of 24 zero crossings on each side.
 *
 * One idea: no delay and no ripple that would count as distortion; 6 dB down at the cutoff, within
 * 0.1 dB below 0.9 of it and 44 dB down above 1.1 of it.
 */
#ifndef RG_EVAL_LOWPASS_H
#define RG_EVAL_LOWPASS_H

#include <stdint.h>

#include "base/status.h"

/*
 * The value of `in` (n, `in_step` seconds apart, zeros outside) at `at` seconds, low-passed below
 * `cutoff` Hz.
 */
double rg_sinc_value(const float *in, int64_t n, double in_step, double at, double cutoff);

/*
 * What is left of x (n) at `rate` below cutoff_hz -> out (n), not in place: the reference row of a
 * codec that would keep its band exactly. A cutoff of half the rate or more copies.
 */
rg_status rg_lowpass(const float *x, int64_t n, int32_t rate, double cutoff_hz, float *out,
                     rg_error *err) RG_MUST_USE;

#endif
