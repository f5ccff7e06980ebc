/*
 * How often a model's likeliest token is right, and whether it is as sure as it is right.
 *
 * One idea: predictions are counted in bins of confidence; the expected calibration error is the
 * mean distance between confidence and share of right guesses, weighted by count (Naeini et al.
 * 2015, 15 equal bins). Counts of several songs add up.
 */
#ifndef RG_EVAL_CALIBRATION_H
#define RG_EVAL_CALIBRATION_H

#include <stdint.h>

enum { RG_CALIBRATION_BINS = 15 };

typedef struct rg_calibration {
    int64_t n[RG_CALIBRATION_BINS], right[RG_CALIBRATION_BINS];
    double confidence[RG_CALIBRATION_BINS]; /* sums */
} rg_calibration;

/* One prediction from logits (n > 0): probability of the likeliest entry, and if it is `truth`. */
void rg_calibration_add(rg_calibration *c, const float *logits, int32_t n, int32_t truth);
void rg_calibration_merge(rg_calibration *into, const rg_calibration *from);
double rg_calibration_top1(const rg_calibration *c);  /* 0..1; NAN without predictions */
double rg_calibration_error(const rg_calibration *c); /* 0..1; NAN likewise */
/* Mean confidence minus share of right guesses: above 0 where the model is too sure. */
double rg_calibration_excess(const rg_calibration *c);

#endif
