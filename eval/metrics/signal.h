/*
 * Distances between a sound and its reconstruction, sample by sample.
 *
 * One idea: every function takes mono samples in time order and gives one number; a number that the
 * signals do not define is NAN, and statistics (stats.h) leave NANs out.
 * Not here: spectra (spectrum.h), onsets (onset.h), pitch classes (chroma.h).
 */
#ifndef RG_EVAL_SIGNAL_H
#define RG_EVAL_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "audio/audio.h"
#include "base/status.h"

/* Ratios in dB are held inside these bounds, so that a mean over songs stays a number. */
#define RG_DB_LOW (-60.0)
#define RG_DB_HIGH 100.0

/*
 * Scale-invariant signal-to-distortion ratio in dB (Le Roux et al., 1811.02508), both signals with
 * their mean removed: what is left of `estimate` (n) beside its projection on `reference` (n).
 * NAN when the reference is silent (its RMS below -90 dBFS); RG_DB_LOW for a silent estimate.
 */
double rg_si_sdr(const float *reference, const float *estimate, int64_t n);

/*
 * SI-SNR in dB as audiocraft's compression solver has it (there negated): frames of 5 s with half
 * overlap, the last one filled with zeros, each with its mean removed; p = <e,r> r / (eps + |r|^2),
 * 10 log10((eps + |p|^2) / (eps + |e - p|^2)), eps = 2^-23 * samples of a frame; mean over frames.
 * A frame where both are silent has 0 dB. NAN when the whole reference is silent, as above.
 */
double rg_si_snr(const float *reference, const float *estimate, int64_t n, int32_t rate);

/* Signal-to-noise ratio in dB: 10 log10(|reference|^2 / |reference - estimate|^2); a silent
 * estimate has exactly 0 dB. NAN when the reference is silent. */
double rg_snr(const float *reference, const float *estimate, int64_t n);

/* Loudness of the estimate minus that of the reference in LU (EBU R 128); NAN when either is too
 * quiet or too short (0.4 s) to have one. */
rg_status rg_loudness_difference(const float *reference, const float *estimate, int64_t n,
                                 int32_t rate, double *lu, rg_error *err) RG_MUST_USE;

/* ---- what must never pass unseen ---- */

typedef struct rg_sound_flags {
    bool silent;  /* more than 95 % of the 100-ms blocks below -60 dBFS */
    bool clipped; /* more than 0.1 % of the samples at full scale */
    bool offset;  /* mean beyond 1 % of full scale */
} rg_sound_flags;
rg_sound_flags rg_flag_sound(const rg_levels *levels);
/* "silent", "clipped, offset", or "" when nothing is wrong. */
const char *rg_flag_text(rg_sound_flags flags, char out[64]);

#endif
