/*
 * Beats, and the bars that they make.
 *
 * One idea: beats are the path through the onset envelope that best meets onsets while it keeps the
 * tempo (dynamic programming; Ellis, Beat Tracking by Dynamic Programming, J. New Music Research
 * 36(1), 2007); a bar begins where the harmony changes and accents fall, so its length is the one
 * at which those repeat.
 */
#ifndef RG_MUSIC_BEATS_H
#define RG_MUSIC_BEATS_H

#include <stdint.h>

#include "base/status.h"

/* Times in seconds of an envelope (n) of onset.h at a tempo; heap, *count of them. None when bpm is
 * 0 or the envelope is silent. */
rg_status rg_beats_of(const float *envelope, int64_t n, double bpm, double **beats_s,
                      int64_t *count, rg_error *err) RG_MUST_USE;

/* beats 3 or 4, 0 for unsure; downbeats are the beats first, first + length, ...; `length` is the
 * likelier one even where beats is 0. confidence 0..1: how much better than the other length. */
typedef struct rg_meter {
    int32_t beats, length, first;
    double confidence;
} rg_meter;

/* From beats_s (n), the envelope (frames) and a chroma (chroma_frames,12) of the same sound. */
rg_status rg_meter_of(const double *beats_s, int64_t n, const float *envelope, int64_t frames,
                      const float *chroma, int64_t chroma_frames, rg_meter *out,
                      rg_error *err) RG_MUST_USE;

#endif
