/*
 * Drawing spectrograms (picture.h).
 */
#include "eval/report/picture.h"

#include <math.h>
#include <png.h>
#include <stdlib.h>

#include "eval/metrics/spectrum.h"
#include "eval/report/html.h"

enum { BANDS = 128, MAX_FRAMES = 480, COLORS = 256 };
/* The drawing, in its own units. */
enum { WIDTH = 420, HEIGHT = 236, LEFT = 46, RIGHT = 56, TOP = 28, BOTTOM = 36 };
enum { INNER_WIDTH = WIDTH - LEFT - RIGHT, INNER_HEIGHT = HEIGHT - TOP - BOTTOM };

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
    *out = (rg_spectrogram){.bands = BANDS, .rate = mono->rate};
    out->seconds = (double)mono->frames / mono->rate;
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

/* ---- pixels ---- */

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
    double at = share * last;
    int i = (int)at < last ? (int)at : last - 1;
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)lround(map[i][c] + (at - i) * (map[i + 1][c] - map[i][c]));
}

/* index (height,width) into the scale's colours -> a PNG file on the heap. */
static rg_status encode_png(const uint8_t *index, int32_t width, int32_t height, bool diverging,
                            uint8_t **png, size_t *n, rg_error *err)
{
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .format = PNG_FORMAT_RGB_COLORMAP,
                       .width = (png_uint_32)width,
                       .height = (png_uint_32)height,
                       .colormap_entries = COLORS};
    uint8_t colors[COLORS][3];
    png_alloc_size_t size = 0;
    for (int i = 0; i < COLORS; i++) color_of(i / (COLORS - 1.0), diverging, colors[i]);
    *png = NULL;
    if (png_image_write_to_memory(&image, NULL, &size, 0, index, 0, colors)) {
        *png = malloc(size);
        if (!*png) return rg_fail(err, RG_ERR_NOMEM, "no memory for a picture");
        *n = size;
        if (png_image_write_to_memory(&image, *png, &size, 0, index, 0, colors)) return RG_OK;
    }
    free(*png);
    return rg_fail(err, RG_ERR_UNSUPPORTED, "PNG of %d x %d: %s", width, height, image.message);
}

/* Appends the pixels as a data URI. */
static rg_status add_pixels(const uint8_t *index, int32_t width, int32_t height, bool diverging,
                            rg_text *out, rg_error *err)
{
    uint8_t *png = NULL;
    size_t n = 0;
    RG_TRY(encode_png(index, width, height, diverging, &png, &n, err));
    rg_text_add(out, "data:image/png;base64,");
    rg_html_base64(out, png, n);
    free(png);
    return RG_OK;
}

static rg_status draw_pixels(const rg_spectrogram *s, const rg_color_scale *scale, rg_text *out,
                             rg_error *err)
{
    uint8_t *index = malloc((size_t)s->bands * (size_t)s->frames);
    if (!index) return rg_fail(err, RG_ERR_NOMEM, "no memory for a picture");
    for (int32_t y = 0; y < s->bands; y++)
        for (int32_t x = 0; x < s->frames; x++) {
            double db = s->db[(int64_t)(s->bands - 1 - y) * s->frames + x],
                   share = (db - scale->low) / (scale->high - scale->low);
            index[(int64_t)y * s->frames + x] =
                (uint8_t)lround((COLORS - 1) * fmax(0, fmin(1, share)));
        }
    rg_text_printf(out,
                   "<image x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" "
                   "preserveAspectRatio=\"none\" href=\"",
                   LEFT, TOP, INNER_WIDTH, INNER_HEIGHT);
    rg_status status = add_pixels(index, s->frames, s->bands, scale->diverging, out, err);
    rg_text_add(out, "\"/>");
    free(index);
    return status;
}

/* ---- axes and legend ---- */

static rg_status draw_legend(const rg_color_scale *scale, rg_text *out, rg_error *err)
{
    uint8_t column[COLORS];
    const int x = LEFT + INNER_WIDTH + 10;
    for (int i = 0; i < COLORS; i++) column[i] = (uint8_t)(COLORS - 1 - i);
    rg_text_printf(out,
                   "<image x=\"%d\" y=\"%d\" width=\"10\" height=\"%d\" "
                   "preserveAspectRatio=\"none\" href=\"",
                   x, TOP, INNER_HEIGHT);
    RG_TRY(add_pixels(column, 1, COLORS, scale->diverging, out, err));
    rg_text_add(out, "\"/>");
    rg_text_printf(out, "<text x=\"%d\" y=\"%d\">dB</text>", x + 14, TOP - 10);
    for (int i = 0; i <= (scale->high - scale->low) / 10; i++) {
        double db = scale->high - 10 * i;
        rg_text_printf(out, "<text x=\"%d\" y=\"%.1f\">%s%.0f</text>", x + 14,
                       TOP + INNER_HEIGHT * (scale->high - db) / (scale->high - scale->low) + 4,
                       db < 0                       ? "−"
                       : scale->diverging && db > 0 ? "+"
                                                    : "",
                       fabs(db));
    }
    return RG_OK;
}

static void draw_frequencies(const rg_spectrogram *s, rg_text *out)
{
    static const double ticks[] = {0, 250, 500, 1000, 2000, 4000, 8000, 16000};
    double top = rg_mel_of_hz(s->rate / 2.0), last = HEIGHT;
    for (size_t i = 0; i < sizeof ticks / sizeof ticks[0] && ticks[i] <= s->rate / 2.0; i++) {
        double y = TOP + INNER_HEIGHT * (1 - rg_mel_of_hz(ticks[i]) / top);
        if (last - y < 13) continue; /* it would touch the one below */
        last = y;
        rg_text_printf(out,
                       "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" "
                       "stroke=\"currentColor\"/><text x=\"%d\" y=\"%.1f\" "
                       "text-anchor=\"end\">",
                       LEFT - 4, LEFT, y, y, LEFT - 6, y + 4);
        rg_text_printf(out, ticks[i] < 1000 ? "%.0f" : "%.0fk",
                       ticks[i] < 1000 ? ticks[i] : ticks[i] / 1000);
        rg_text_add(out, "</text>");
    }
    rg_text_printf(out,
                   "<text transform=\"translate(11 %.1f) rotate(-90)\" "
                   "text-anchor=\"middle\">Hz</text>",
                   TOP + INNER_HEIGHT / 2.0);
}

static void draw_times(const rg_spectrogram *s, rg_text *out)
{
    double step = s->seconds > 40 ? 10 : s->seconds > 12 ? 4 : s->seconds > 2 ? 1 : 0.25;
    for (int i = 0; i * step <= s->seconds; i++) {
        double x = LEFT + INNER_WIDTH * i * step / s->seconds;
        rg_text_printf(out,
                       "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" "
                       "stroke=\"currentColor\"/><text x=\"%.1f\" y=\"%d\" "
                       "text-anchor=\"middle\">%g</text>",
                       x, x, HEIGHT - BOTTOM, HEIGHT - BOTTOM + 4, x, HEIGHT - BOTTOM + 16,
                       i * step);
    }
    rg_text_printf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">seconds</text>",
                   LEFT + INNER_WIDTH / 2, HEIGHT - 4);
}

rg_status rg_spectrogram_draw(const rg_spectrogram *s, const rg_color_scale *scale,
                              const char *title, rg_text *out, rg_error *err)
{
    rg_text_printf(out,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                   "font-family=\"system-ui,sans-serif\" font-size=\"11\" "
                   "fill=\"currentColor\" role=\"img\"><title>",
                   WIDTH, HEIGHT);
    rg_html_escape(out, title);
    rg_text_printf(out, "</title><text x=\"%d\" y=\"16\" font-size=\"13\" font-weight=\"600\">",
                   LEFT);
    rg_html_escape(out, title);
    rg_text_add(out, "</text>");
    rg_status status = draw_pixels(s, scale, out, err);
    if (status == RG_OK) status = draw_legend(scale, out, err);
    draw_frequencies(s, out);
    draw_times(s, out);
    rg_text_add(out, "</svg>\n");
    return status;
}
