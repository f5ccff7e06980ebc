/*
 * Escaping, base64, PNG and spectrogram pictures (html.h).
 */
#include "eval/report/html.h"

#include <math.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "eval/metrics/spectrum.h"

enum { BANDS = 128, MAX_FRAMES = 480 };

void rg_html_escape(rg_text *out, const char *s)
{
    for (; *s; s++) switch (*s) {
        case '&':
            rg_text_add(out, "&amp;");
            break;
        case '<':
            rg_text_add(out, "&lt;");
            break;
        case '>':
            rg_text_add(out, "&gt;");
            break;
        case '"':
            rg_text_add(out, "&quot;");
            break;
        case '\'':
            rg_text_add(out, "&#39;");
            break;
        default:
            rg_text_add_n(out, s, 1);
        }
}

void rg_html_base64(rg_text *out, const uint8_t *data, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char line[4 * 1024];
    size_t used = 0;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t left = (uint32_t)(n - i), v = (uint32_t)data[i] << 16;
        if (left > 1) v |= (uint32_t)data[i + 1] << 8;
        if (left > 2) v |= data[i + 2];
        line[used++] = digits[v >> 18];
        line[used++] = digits[v >> 12 & 63];
        line[used++] = left > 1 ? digits[v >> 6 & 63] : '=';
        line[used++] = left > 2 ? digits[v & 63] : '=';
        if (used == sizeof line || i + 3 >= n) {
            rg_text_add_n(out, line, used);
            used = 0;
        }
    }
}

rg_status rg_png_encode(const uint8_t *rgb, int32_t width, int32_t height, uint8_t **png, size_t *n,
                        rg_error *err)
{
    png_image image = {.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_RGB};
    png_alloc_size_t size = 0;
    image.width = (png_uint_32)width;
    image.height = (png_uint_32)height;
    *png = NULL;
    if (!png_image_write_to_memory(&image, NULL, &size, 0, rgb, 0, NULL))
        return rg_fail(err, RG_ERR_UNSUPPORTED, "PNG of %d x %d: %s", width, height, image.message);
    *png = malloc(size);
    if (!*png) return rg_fail(err, RG_ERR_NOMEM, "no memory for a picture");
    if (!png_image_write_to_memory(&image, *png, &size, 0, rgb, 0, NULL)) {
        free(*png);
        *png = NULL;
        return rg_fail(err, RG_ERR_UNSUPPORTED, "PNG of %d x %d: %s", width, height, image.message);
    }
    *n = size;
    return RG_OK;
}

/* ---- spectrograms ---- */

typedef struct painter {
    const rg_mel *mel;
    rg_spectrogram *to;
    float *power, bands[BANDS];
    int32_t bins;
} painter;

static void paint(void *ctx, int64_t frame, const float *magnitude)
{
    painter *p = ctx;
    if (frame >= p->to->frames) return;
    for (int32_t b = 0; b < p->bins; b++) p->power[b] = magnitude[b] * magnitude[b];
    rg_mel_apply(p->mel, p->power, p->bands);
    for (int32_t i = 0; i < BANDS; i++)
        p->to->db[(int64_t)i * p->to->frames + frame] = 10 * log10f(p->bands[i] + 1e-9f);
}

rg_status rg_spectrogram_make(const rg_audio *mono, rg_spectrogram *out, rg_error *err)
{
    int32_t size = mono->rate <= 12000 ? 1024 : 2048;
    double hop = fmax(size / 8.0, (double)mono->frames / (MAX_FRAMES - 1));
    rg_framing framing = {size, hop, true};
    int64_t frames = rg_frame_count(&framing, mono->frames);
    *out = (rg_spectrogram){.bands = BANDS};
    out->frames = (int32_t)(frames < MAX_FRAMES ? frames : MAX_FRAMES);
    rg_mel mel;
    RG_TRY(rg_mel_make(&mel, BANDS, size, mono->rate, 0, mono->rate / 2.0, err));
    painter p = {.mel = &mel, .to = out, .bins = size / 2 + 1};
    p.power = malloc((size_t)p.bins * sizeof(float));
    out->db = malloc((size_t)(BANDS * out->frames) * sizeof(float));
    rg_status status = p.power && out->db
                           ? rg_each_frame(&framing, mono->samples, mono->frames, paint, &p, err)
                           : rg_fail(err, RG_ERR_NOMEM, "no memory for a spectrogram");
    free(p.power);
    rg_mel_free(&mel);
    if (status != RG_OK) rg_spectrogram_free(out);
    return status;
}

void rg_spectrogram_free(rg_spectrogram *s)
{
    free(s->db);
    *s = (rg_spectrogram){0};
}

/* Colours at equal steps; between them linear. */
static const uint8_t dark_to_bright[][3] = {{8, 8, 20},     {40, 20, 90},   {110, 30, 120},
                                            {190, 50, 100}, {240, 110, 60}, {252, 190, 90},
                                            {255, 248, 200}};
static const uint8_t blue_to_red[][3] = {
    {20, 60, 160}, {110, 160, 220}, {245, 245, 245}, {230, 130, 100}, {160, 20, 40}};

static void color_of(double share, bool diverging, uint8_t rgb[3])
{
    int last = diverging ? 4 : 6;
    const uint8_t(*map)[3] = diverging ? blue_to_red : dark_to_bright;
    double at = fmax(0, fmin(1, share)) * last;
    int i = (int)at < last ? (int)at : last - 1;
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)lround(map[i][c] + (at - i) * (map[i + 1][c] - map[i][c]));
}

rg_status rg_spectrogram_image(const rg_spectrogram *s, double low, double high, bool diverging,
                               rg_text *out, rg_error *err)
{
    uint8_t *rgb = malloc((size_t)s->bands * (size_t)s->frames * 3), *png = NULL;
    size_t n = 0;
    if (!rgb) return rg_fail(err, RG_ERR_NOMEM, "no memory for a picture");
    for (int32_t y = 0; y < s->bands; y++)
        for (int32_t x = 0; x < s->frames; x++) {
            double db = s->db[(int64_t)(s->bands - 1 - y) * s->frames + x];
            color_of((db - low) / (high - low), diverging, rgb + ((int64_t)y * s->frames + x) * 3);
        }
    rg_status status = rg_png_encode(rgb, s->frames, s->bands, &png, &n, err);
    free(rgb);
    if (status != RG_OK) return status;
    rg_text_add(out, "<img class=\"spectrogram\" alt=\"spectrogram\" src=\"data:image/png;base64,");
    rg_html_base64(out, png, n);
    rg_text_add(out, "\">");
    free(png);
    return RG_OK;
}
