/*
 * Rooms for training crops: an impulse response from noise, and convolution with it.
 *
 * One idea: behind the direct sound, a room's sound is noise that decays exponentially (Schroeder,
 * "New method of measuring reverberation time", 1965), so two numbers make a room: the time in
 * which it falls by 60 dB, and how loud it is. No recordings of rooms are needed.
 */
#ifndef RG_DATASETS_REVERB_H
#define RG_DATASETS_REVERB_H

#include "base/rng.h"
#include "base/status.h"

/* Samples of a response: it ends at -60 dB. */
int64_t rg_reverb_length(double rt60, int32_t rate);
/*
 * out (rg_reverb_length): 1 at first, then normal noise times 10^(-3 t / rt60), t in seconds,
 * scaled so that its energy is wet_db relative to that 1.
 */
void rg_reverb_response(double rt60, double wet_db, int32_t rate, rg_rng rng, float *out);

/* Plan and memory of one thread. RG_ERR_USAGE for more than 2^20 samples in all. */
typedef struct rg_reverb rg_reverb;
rg_reverb *rg_reverb_create(int64_t samples, rg_error *err);
void rg_reverb_destroy(rg_reverb *reverb); /* NULL is fine */
/*
 * x (samples) becomes x convolved with response (n), by FFT. The first n - 1 samples miss what came
 * before x; the end is what it should be. No heap use.
 */
void rg_reverb_apply(rg_reverb *reverb, const float *response, int64_t n, float *x);

#endif
