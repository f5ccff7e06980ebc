/*
 * Small pieces of HTML: escaped text, base64, PNG pictures.
 */
#ifndef RG_EVAL_HTML_H
#define RG_EVAL_HTML_H

#include <stddef.h>
#include <stdint.h>

#include "audio/audio.h"
#include "base/text.h"

void rg_html_escape(rg_text *out, const char *s); /* & < > " ' */
void rg_html_base64(rg_text *out, const uint8_t *data, size_t n);

/* rgb (height,width,3) as a PNG file in memory; the caller frees *png. */
rg_status rg_png_encode(const uint8_t *rgb, int32_t width, int32_t height, uint8_t **png, size_t *n,
                        rg_error *err) RG_MUST_USE;

/* Log-mel picture (bands,frames), low bands first, in dB: 128 bands up to half the rate, floor -90;
 * heap. */
typedef struct rg_spectrogram {
    int32_t bands, frames;
    float *db;
} rg_spectrogram;
rg_status rg_spectrogram_make(const rg_audio *mono, rg_spectrogram *out, rg_error *err) RG_MUST_USE;
void rg_spectrogram_free(rg_spectrogram *s);
/* <img> of values low..high dB; `diverging`: blue below 0, red above. */
rg_status rg_spectrogram_image(const rg_spectrogram *s, double low, double high, bool diverging,
                               rg_text *out, rg_error *err) RG_MUST_USE;

#endif
