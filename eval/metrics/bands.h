/*
 * Errors of a reconstruction by band: which octaves a codec keeps.
 *
 * One idea: the same ten octaves, named in Hz, for every role and rate, so that codecs compare.
 */
#ifndef RG_EVAL_BANDS_H
#define RG_EVAL_BANDS_H

#include <stdint.h>

#include "base/status.h"

enum { RG_BANDS = 10 };

/* Band i holds low <= f < high. */
typedef struct rg_band {
    const char *name; /* "1000-2000 Hz": also its key in metrics.json */
    double low, high; /* Hz */
} rg_band;
extern const rg_band rg_bands[RG_BANDS]; /* 0, 63, 125, ... 16000 Hz; the last has no upper end */

/* All NAN in a band above half the rate, or where the reference has less than -90 dBFS. */
typedef struct rg_band_error {
    double share;    /* of the reference's energy, 0..1 */
    double snr;      /* dB: 10 log10(|X|^2 / |X - Y|^2); a silent estimate has 0 */
    double distance; /* dB: mean over frames and bins of |10 log10((|X|^2+e) / (|Y|^2+e))|, e 1e-8;
                        the log-STFT distance (spectrum.h) of the band's bins alone */
    double level;    /* dB: 10 log10(|Y|^2 / |X|^2); not below -100 */
} rg_band_error;

/* reference, estimate (n) mono. Hann frames of 2,048 samples, hop 512; sums over all of them. */
rg_status rg_band_errors(const float *reference, const float *estimate, int64_t n, int32_t rate,
                         rg_band_error out[RG_BANDS], rg_error *err) RG_MUST_USE;

#endif
