/*
 * Tempo of an onset envelope: comb of autocorrelations with a log-normal prior.
 *
 * One idea: a tempo is good when the envelope repeats after one, two, three and four of its beats,
 * and likely when it is near 130: after Ellis, Beat Tracking by Dynamic Programming (J. New Music
 * Research 36(1), 2007). Where two beats are rather a bar of three, the tempo is half as much
 * again. What it reaches on songs of known tempo: experiments/features.
 */
#ifndef RG_MUSIC_TEMPO_H
#define RG_MUSIC_TEMPO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rg_tempo {
    double bpm, confidence; /* 0 bpm: none; confidences of the candidates add up to 1 */
} rg_tempo;
enum { RG_TEMPI = 2 };

/* The two best tempi that are more than 8 % apart, best first. */
rg_status rg_tempi_of(const float *envelope, int64_t n, rg_tempo out[RG_TEMPI],
                      rg_error *err) RG_MUST_USE;
/* Beats per minute, 40 to 240, of an envelope (n) of onset.h; 0 when it is too short (4 s) or
 * constant. */
rg_status rg_tempo_of(const float *envelope, int64_t n, double *bpm, rg_error *err) RG_MUST_USE;

/* Within 4 %; `octaves`: also of 2, 3, 1/2 or 1/3 times the reference (Acc2). */
bool rg_tempo_agrees(double reference, double estimate, bool octaves);

#endif
