/*
 * Ten songs drawn by lot: a waveform and a player for each stem, which play together.
 *
 * One idea: the waveform shows the whole song, the player holds a piece of its middle (marked in
 * the waveform) as FLAC inside the page, as long as all of them fit.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "audio/audio.h"
#include "base/fs.h"
#include "datasets/song_features.h"
#include "eval/store_page_internal.h"
#include "music/prompt/prompt.h"

enum { SONGS = 10, MOST_SECONDS = 10, COLUMNS = 480, HEIGHT = 56, MOST_FLAC = 64 << 20 };
static const double sound_bytes = 24e6; /* of all pieces, before FLAC halves them */

typedef struct piece {
    int64_t first, frames;
} piece;

static piece place_piece(const rg__page *p, const rg_song *s, int64_t songs)
{
    double rate = rg_store_rate(p->store);
    double rows = (double)rg_store_roles(p->store) * rg_store_channels(p->store);
    double seconds = sound_bytes / (2 * rate * (double)songs * rows);
    int64_t most = (int64_t)(fmin(seconds, MOST_SECONDS) * rate);
    piece at = {.frames = s->frames < most ? s->frames : most};
    at.first = (s->frames - at.frames) / 2;
    return at;
}

/* ---- the waveform ---- */

/* The highest |sample| of each column, of any channel. */
static rg_status find_peaks(const rg__page *p, int64_t song, int32_t role, float peaks[COLUMNS],
                            rg_error *err)
{
    int64_t frames = rg_store_song(p->store, song)->frames, most = frames / COLUMNS + 1;
    float *x = malloc((size_t)most * sizeof *x);
    if (!x) return rg_fail(err, RG_ERR_NOMEM, "no memory for a waveform");
    rg_status status = RG_OK;
    for (int c = 0; status == RG_OK && c < COLUMNS; c++) {
        int64_t first = frames * c / COLUMNS, n = frames * (c + 1) / COLUMNS - first;
        peaks[c] = 0;
        for (int32_t k = 0; status == RG_OK && k < rg_store_channels(p->store); k++) {
            status = rg_store_read_channel(p->store, song, role, k, first, n, x, err);
            for (int64_t i = 0; status == RG_OK && i < n; i++)
                peaks[c] = fmaxf(peaks[c], fabsf(x[i]));
        }
    }
    free(x);
    return status;
}

static rg_status add_wave(rg__page *p, int64_t song, int32_t role, piece at, rg_error *err)
{
    float peaks[COLUMNS];
    double frames = (double)rg_store_song(p->store, song)->frames, middle = HEIGHT / 2.0;
    RG_TRY(find_peaks(p, song, role, peaks, err));
    rg_text_printf(&p->out,
                   "<svg class=\"wave\" viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" "
                   "role=\"img\"><title>waveform</title><rect x=\"%.1f\" width=\"%.1f\" y=\"0\" "
                   "height=\"%d\" fill=\"currentColor\" fill-opacity=\".15\"/>"
                   "<path fill=\"currentColor\" d=\"M0 %.1f",
                   COLUMNS, HEIGHT, COLUMNS * (double)at.first / frames,
                   COLUMNS * (double)at.frames / frames, HEIGHT, middle);
    for (int c = 0; c < COLUMNS; c++)
        rg_text_printf(&p->out, "L%d %.1f", c, middle - 0.3 - peaks[c] * (middle - 1));
    for (int c = COLUMNS - 1; c >= 0; c--)
        rg_text_printf(&p->out, "L%d %.1f", c, middle + 0.3 + peaks[c] * (middle - 1));
    rg_text_add(&p->out, "Z\"/></svg>");
    return RG_OK;
}

/* ---- the player ---- */

static rg_status write_piece(const rg__page *p, int64_t song, int32_t role, piece at,
                             const char *path, rg_error *err)
{
    const int32_t channels = rg_store_channels(p->store);
    float *x = malloc((size_t)at.frames * sizeof *x);
    int32_t *values = malloc((size_t)(at.frames * channels) * sizeof *values);
    rg_status status = RG_OK;
    if (!x || !values) status = rg_fail(err, RG_ERR_NOMEM, "no memory for a player");
    for (int32_t c = 0; status == RG_OK && c < channels; c++) {
        status = rg_store_read_channel(p->store, song, role, c, at.first, at.frames, x, err);
        for (int64_t i = 0; status == RG_OK && i < at.frames; i++)
            values[i * channels + c] = (int32_t)(x[i] * 32768) * 65536;
    }
    const rg_pcm pcm = {.type = RG_PCM_S16,
                        .samples = values,
                        .frames = at.frames,
                        .channels = channels,
                        .rate = rg_store_rate(p->store)};
    if (status == RG_OK) status = rg_pcm_write_flac(path, &pcm, err);
    free(x);
    free(values);
    return status;
}

static rg_status add_player(rg__page *p, int64_t song, int32_t role, piece at, rg_error *err)
{
    char path[1200], *data = NULL;
    size_t n = 0;
    rg_format(path, sizeof path, "%.1000s.sound.tmp.%ld", p->path, (long)getpid());
    rg_status status = write_piece(p, song, role, at, path, err);
    if (status == RG_OK) status = rg_fs_read_all(path, MOST_FLAC, &data, &n, err);
    rg_fs_current()->unlink(path);
    if (status == RG_OK) {
        rg_text_add(&p->out, "<audio controls preload=\"auto\" src=\"data:audio/flac;base64,");
        rg_html_base64(&p->out, (const uint8_t *)data, n);
        rg_text_add(&p->out, "\"></audio>");
    }
    free(data);
    return status;
}

/* ---- a song ---- */

/* What was heard in it, where the store says. */
static rg_status add_heard(rg__page *p, int64_t song, rg_error *err)
{
    rg_song_features f;
    char key[16];
    rg_status status = rg_store_features(p->store, song, &f, err);
    if (status == RG_OK && f.version[0]) {
        rg_text_add(&p->out, "<br>by ear:");
        if (f.tempo_bpm > 0) rg_text_printf(&p->out, " %.1f bpm", f.tempo_bpm);
        if (f.key_tonic >= 0)
            rg_text_printf(&p->out, " &middot; %s", rg_key_name(f.key_tonic, f.key_mode, key));
        if (f.meter > 0) rg_text_printf(&p->out, " &middot; %d beats a bar", (int)f.meter);
        rg_text_printf(&p->out, " &middot; %.1f LUFS", f.loudness_lufs);
    }
    rg_song_features_free(&f);
    return status;
}

static rg_status add_title(rg__page *p, int64_t song, piece at, rg_error *err)
{
    const rg_song *s = rg_store_song(p->store, song);
    int32_t rate = rg_store_rate(p->store);
    rg_text_add(&p->out, "<div class=\"item stems\"><h4>");
    rg_html_escape(&p->out, s->title[0] ? s->title : s->id);
    rg_text_add(&p->out, "</h4><p class=\"note\">");
    rg_html_escape(&p->out, s->id);
    rg_text_printf(&p->out, " &middot; %s &middot; %.0f s &middot; played: %.0f to %.0f s",
                   rg_split_name(s->split), (double)s->frames / rate, (double)at.first / rate,
                   (double)(at.first + at.frames) / rate);
    if (s->tempo_bpm > 0) rg_text_printf(&p->out, " &middot; %.1f bpm", s->tempo_bpm);
    if (s->prompt[0]) {
        rg_text_add(&p->out, "<br>");
        rg_html_escape(&p->out, s->prompt);
    }
    RG_TRY(add_heard(p, song, err));
    rg_text_add(&p->out, "</p><div class=\"transport\"><button class=\"play\">Play</button>"
                         "<input class=\"seek\" type=\"range\" min=\"0\" max=\"1000\" value=\"0\" "
                         "aria-label=\"position\"><output>0:00</output></div>\n");
    return RG_OK;
}

static rg_status add_stem(rg__page *p, int64_t song, int32_t role, piece at, rg_error *err)
{
    const rg_song *s = rg_store_song(p->store, song);
    rg_text_add(&p->out, "<div class=\"stem\"><span>");
    rg_html_escape(&p->out, rg_store_role(p->store, role));
    rg_text_add(&p->out, "<br><small class=\"note\">");
    rg_html_escape(&p->out, s->instruments[role]);
    rg_text_printf(&p->out, " %.0f dBFS</small></span>", s->rms_dbfs[role]);
    RG_TRY(add_wave(p, song, role, at, err));
    rg_text_add(&p->out, "<button class=\"mute\" title=\"mute\">M</button>"
                         "<button class=\"solo\" title=\"solo\">S</button>");
    RG_TRY(add_player(p, song, role, at, err));
    rg_text_add(&p->out, "</div>\n");
    return RG_OK;
}

static rg_status add_song(rg__page *p, int64_t song, int64_t songs, rg_error *err)
{
    const rg_song *s = rg_store_song(p->store, song);
    piece at = place_piece(p, s, songs);
    RG_TRY(add_title(p, song, at, err));
    for (int32_t r = 0; r < rg_store_roles(p->store); r++)
        if (s->present[r]) RG_TRY(add_stem(p, song, r, at, err));
    rg_text_add(&p->out, "</div>\n");
    return rg_text_status(&p->out, err);
}

rg_status rg__page_songs(rg__page *p, rg_error *err)
{
    int64_t n = 0, *songs = rg__page_draw(p, -1, SONGS, &n);
    if (!songs) return rg_fail(err, RG_ERR_NOMEM, "no memory for a list of songs");
    rg_text_printf(&p->out,
                   "<p>%lld songs drawn by lot. The waveform is the whole stem; the player holds "
                   "the shaded piece.</p>\n",
                   (long long)n);
    rg_status status = RG_OK;
    for (int64_t i = 0; status == RG_OK && i < n; i++) status = add_song(p, songs[i], n, err);
    free(songs);
    return status;
}
