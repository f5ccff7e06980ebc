/*
 * Onsets: how much begins when, and whether two stems begin things together.
 *
 * One idea: one envelope (half-wave rectified log-mel flux, 100 values a second) serves peaks,
 * onset F and rhythmic coherence; the flux is that of Ellis, Beat Tracking by Dynamic Programming
 * (J. New Music Research 36(1), 2007). The input is brought to one level first, so quiet stems
 * count like loud ones.
 */
#ifndef RG_MUSIC_ONSET_H
#define RG_MUSIC_ONSET_H

#include <stdint.h>

#include "base/status.h"

enum { RG_ONSET_RATE = 100 };

/* Values of an envelope of n samples; the value k belongs to time k / 100 s. */
int64_t rg_onset_frames(int64_t n, int32_t rate);
/* x (n) mono -> envelope (rg_onset_frames), mean about 1 at busy places, zeros for silence. The
 * first and last 30 ms are zero: where an excerpt is cut nothing begins. */
rg_status rg_onset_envelope(const float *x, int64_t n, int32_t rate, float *envelope,
                            rg_error *err) RG_MUST_USE;
/*
 * The same of a signal of n samples and known RMS that comes in blocks: open, push, close (frees;
 * the envelope is whole only then). NULL and a text in err without memory.
 */
typedef struct rg_onsets rg_onsets;
rg_onsets *rg_onsets_open(int64_t n, int32_t rate, double rms, float *envelope, rg_error *err);
void rg_onsets_push(rg_onsets *onsets, const float *x, int64_t n);
rg_status rg_onsets_close(rg_onsets *onsets, rg_error *err); /* NULL is fine */
/* Peaks of an envelope: indices in rising order, at most `capacity`; returns how many there are. */
int64_t rg_onset_peaks(const float *envelope, int64_t n, int64_t *peaks, int64_t capacity);
/* F measure of the estimate's onsets against the reference's, one to one within 50 ms; NAN when
 * the reference has none. Envelopes (n). */
double rg_onset_f(const float *reference, const float *estimate, int64_t n);

/* Coherence of a stem with its context: correlation at lag 0 of both envelopes (n), smoothed by 20
 * ms; -1..1, NAN when either is constant. `lag` in frames shifts b later. */
double rg_onset_coherence(const float *a, const float *b, int64_t n, int64_t lag);
/* (value at lag 0 - mean) / deviation over lags of +-0.6 s; NAN likewise. */
double rg_onset_prominence(const float *a, const float *b, int64_t n);

#endif
