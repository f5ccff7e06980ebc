/*
 * Spectrograms as pictures with axes and a legend.
 *
 * One idea: the pixels are a PNG of 256 colours inside an SVG that draws the rest, so that a
 * picture is one text that needs nothing else, and its words stay sharp at any size.
 */
#ifndef RG_EVAL_PICTURE_H
#define RG_EVAL_PICTURE_H

#include "audio/audio.h"
#include "base/text.h"

/* Log-mel picture (bands,frames), low bands first, in dB of a full-scale sine: 128 bands up to half
 * the rate, floor -90; heap. */
typedef struct rg_spectrogram {
    int32_t bands, frames, rate;
    double seconds;
    float *db;
} rg_spectrogram;
rg_status rg_spectrogram_make(const rg_audio *mono, rg_spectrogram *out, rg_error *err) RG_MUST_USE;
void rg_spectrogram_free(rg_spectrogram *s);

/* Colours of low .. high dB; `diverging`: blue below the middle, red above, for differences. */
typedef struct rg_color_scale {
    double low, high;
    bool diverging;
} rg_color_scale;
/* Appends one <svg> element. */
rg_status rg_spectrogram_draw(const rg_spectrogram *s, const rg_color_scale *scale,
                              const char *title, rg_text *out, rg_error *err) RG_MUST_USE;

#endif
