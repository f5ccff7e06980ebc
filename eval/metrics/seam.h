/*
 * Clicks: how the step between two samples at a seam compares with the steps of the sound itself.
 *
 * One idea: a seam is heard when the signal jumps there as it does not jump elsewhere, so the
 * measure is the sound's own 99th percentile of steps.
 */
#ifndef RG_EVAL_SEAM_H
#define RG_EVAL_SEAM_H

#include <stdint.h>

/* The q-quantile (0..1) of |x[i] - x[i-1]| over places that sound (a sample beyond -80 dBFS);
 * NAN when nothing sounds or memory is out. */
double rg_step_quantile(const float *x, int64_t n, double q);
/* |x[at] - x[at-1]|; NAN outside 1 .. n-1. */
double rg_step_at(const float *x, int64_t n, int64_t at);

#endif
