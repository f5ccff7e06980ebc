/*
 * Beat(s): where a frame lies in beat, bar and phrase, as the numbers that the decoder reads.
 *
 * One idea: annotated beats (training) and an asked tempo (generation) go through one function, so
 * a model hears the same language from both. Tempo as a word of the prompt is hardly obeyed; a
 * phase that is there in every frame is.
 */
#ifndef RG_MODELS_TRACK_BEAT_H
#define RG_MODELS_TRACK_BEAT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Beats by annotation, or by a steady tempo. With beats: between two beats the phase grows
 * linearly, before the first and after the last at the tempo there. Bars come from downbeats, or
 * every `meter` beats from the first one. Steady when n_beats < 2: beats from `offset` seconds on.
 */
typedef struct rg_beat_grid {
    double tempo;  /* beats per minute; 0 without beats: unknown, all features are 0 */
    int32_t meter; /* beats per bar; 0: 4 */
    double offset;
    const double *beats, *downbeats; /* seconds, rising */
    int64_t n_beats, n_downbeats;
} rg_beat_grid;

/* The frames at which bars begin in [first, first+n), at most `capacity`; returns how many. */
int32_t rg_bar_starts(const rg_beat_grid *grid, double frame_rate, int64_t first, int32_t n,
                      int32_t *out, int32_t capacity);
/*
 * out (n, RG_BEAT_FEATURES) for frames first .. first+n-1: sine and cosine of the phase in the
 * beat, in half a beat, in the bar, in 4 bars and in 16 bars; log2(tempo / 120); 1.
 */
void rg_beat_features(const rg_beat_grid *grid, double frame_rate, int64_t first, int32_t n,
                      float *out);

#endif
