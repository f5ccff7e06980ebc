/*
 * Players: sound embedded into the page while there is room, files beside it after that (report.h).
 */
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "eval/metrics/signal.h"
#include "eval/report/html.h"
#include "eval/report/internal.h"

/* The WAV file that players play: 16 bit; written to audio/<number>.wav. */
static rg_status write_sound(rg_report *report, const rg_audio *audio, char name[64],
                             char path[REPORT_PATH + 64], rg_error *err)
{
    RG_TRY(rg_fs_join(path, REPORT_PATH + 64, report->folder, "audio", err));
    RG_TRY(rg_fs_make_folders(path, err));
    rg_format(name, 64, "audio/%04d.wav", report->n_sounds++);
    RG_TRY(rg_fs_join(path, REPORT_PATH + 64, report->folder, name, err));
    return rg_audio_write_wav(path, audio, RG_PCM_S16, NULL, err);
}

/* src="..." of a sound. An embedded one leaves no file behind. */
static rg_status add_source(rg_report *report, const rg_audio *audio, rg_text *out, rg_error *err)
{
    char name[64], path[REPORT_PATH + 64];
    RG_TRY(write_sound(report, audio, name, path, err));
    int64_t bytes = rg_fs_size(path);
    if (report->embedded + (size_t)bytes * 4 / 3 > RG_REPORT_EMBED_BYTES) {
        rg_text_printf(out, " src=\"%s\"", name);
        return RG_OK;
    }
    char *data = NULL;
    size_t n = 0;
    RG_TRY(rg_fs_read_all(path, RG_REPORT_EMBED_BYTES, &data, &n, err));
    rg_text_add(out, " src=\"data:audio/wav;base64,");
    rg_html_base64(out, (const uint8_t *)data, n);
    rg_text_add(out, "\"");
    free(data);
    report->embedded += n * 4 / 3;
    return rg_fs_remove_tree(path, err);
}

/* Flags of a sound in red, and as a verdict, so that no program overlooks them. */
static void add_flags(rg_report *report, const char *title, const rg_player *player, rg_text *out)
{
    char text[64];
    rg_levels levels = rg_audio_levels(player->audio);
    if (!rg_flag_text(rg_flag_sound(&levels), text)[0]) return;
    rg_text_printf(out, "<span class=\"flag\">%s</span>", text);
    json_t *entry = json_object();
    char line[256];
    rg_format(line, sizeof line, "%s, %s: %s", title, player->label, text);
    json_object_set_new(entry, "section", json_string(rg__section(report)->id));
    json_object_set_new(entry, "verdict", json_string("flag"));
    json_object_set_new(entry, "text", json_string(line));
    json_array_append_new(report->verdicts, entry);
}

static void add_title(rg_text *out, const char *title, const char *note)
{
    rg_text_add(out, "<h4>");
    rg_html_escape(out, title);
    rg_text_add(out, "</h4>");
    if (!note || !note[0]) return;
    rg_text_add(out, "<p class=\"note\">");
    rg_html_escape(out, note);
    rg_text_add(out, "</p>");
}

void rg_report_players(rg_report *report, const char *title, const char *note,
                       const rg_player *players, int32_t n)
{
    section *s = rg__section(report);
    rg__end_figures(s);
    rg_text_add(&s->body, "<div class=\"item\">");
    add_title(&s->body, title, note);
    rg_text_add(&s->body, "<div class=\"players\">");
    for (int32_t i = 0; i < n; i++) {
        rg_text_add(&s->body, "<label><span>");
        rg_html_escape(&s->body, players[i].label);
        add_flags(report, title, &players[i], &s->body);
        rg_text_add(&s->body, "</span><audio controls preload=\"metadata\"");
        if (add_source(report, players[i].audio, &s->body, &report->error) != RG_OK)
            rg_text_add(&s->body, " src=\"\"");
        rg_text_add(&s->body, "></audio></label>\n");
    }
    rg_text_add(&s->body, "</div></div>\n");
}

void rg_report_stems(rg_report *report, const char *title, const char *note, const rg_player *stems,
                     int32_t n)
{
    section *s = rg__section(report);
    rg__end_figures(s);
    rg_text_add(&s->body, "<div class=\"item stems\">");
    add_title(&s->body, title, note);
    rg_text_add(&s->body, "<div class=\"transport\"><button class=\"play\">Play</button>"
                          "<input class=\"seek\" type=\"range\" min=\"0\" max=\"1000\" value=\"0\" "
                          "aria-label=\"position\"><output>0:00</output></div>\n");
    for (int32_t i = 0; i < n; i++) {
        rg_text_add(&s->body, "<div class=\"stem\"><span>");
        rg_html_escape(&s->body, stems[i].label);
        add_flags(report, title, &stems[i], &s->body);
        rg_text_add(&s->body, "</span><button class=\"mute\" title=\"mute\">M</button>"
                              "<button class=\"solo\" title=\"solo\">S</button>"
                              "<audio controls preload=\"auto\"");
        if (add_source(report, stems[i].audio, &s->body, &report->error) != RG_OK)
            rg_text_add(&s->body, " src=\"\"");
        rg_text_add(&s->body, "></audio></div>\n");
    }
    rg_text_add(&s->body, "</div>\n");
}
