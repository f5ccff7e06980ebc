/*
 * Pitch classes of a sound, and how well two of them fit.
 *
 * One idea: spectral peaks vote for their possible fundamentals (f, f/2, f/3, f/4), tuned once per
 * sound (once a minute of a long one); 10 rows of 12 a second. Votes fall by 0.6 a harmonic as in
 * Gomez, Tonal Description of Polyphonic Audio for Music Content Processing (INFORMS J. Computing
 * 18(3), 2006).
 */
#ifndef RG_MUSIC_CHROMA_H
#define RG_MUSIC_CHROMA_H

#include <stdint.h>

#include "base/status.h"

enum { RG_CHROMA_RATE = 10 };

int64_t rg_chroma_frames(int64_t n, int32_t rate);
/* x (n) mono -> chroma (rg_chroma_frames, 12), C first, not normalised; zeros for silence. */
rg_status rg_chroma(const float *x, int64_t n, int32_t rate, float *chroma,
                    rg_error *err) RG_MUST_USE;
/*
 * The same of a signal of n samples and known RMS that comes in blocks: open, push, close (frees;
 * the chroma is whole only then). *tuning_cents (may be NULL): how far the sound lies above equal
 * temperament at 440 Hz, -50..50; *confidence (may be NULL): how far its peaks agree, 0..1. NULL
 * and a text in err without memory.
 */
typedef struct rg_chromas rg_chromas;
rg_chromas *rg_chromas_open(int64_t n, int32_t rate, double rms, float *chroma, rg_error *err);
void rg_chromas_push(rg_chromas *chromas, const float *x, int64_t n);
rg_status rg_chromas_close(rg_chromas *chromas, double *tuning_cents, double *confidence,
                           rg_error *err); /* NULL is fine */
/* Mean cosine over blocks of 2 s (at least one, the last one cut off); blocks without sound in
 * either are left out, NAN when none is left. */
double rg_chroma_cosine(const float *a, const float *b, int64_t frames);
/* Mean over blocks of 2 s of sum p log q, p the stem's profile and q the context's with a floor of
 * 0.02 of its sum: harmonic coherence, higher is better. NAN likewise. */
double rg_chroma_fit(const float *stem, const float *context, int64_t frames);

#endif
