/*
 * Report files: what is put in comes out in every format, hostile text is harmless, sound is
 * embedded while there is room and lies in audio/ after that.
 */
#include "test.h"

#include "base/fs.h"
#include "base/json.h"
#include "eval/features_plot.h"
#include "eval/report/html.h"
#include "eval/report/report.h"

static void join(char out[1024], const char *folder, const char *name)
{
    rg_error err = {0};
    RG_ASSERT_OK(rg_fs_join(out, 1024, folder, name, &err), &err);
}

static char *text_of(const char *folder, const char *name)
{
    char path[1024], *data;
    size_t n;
    rg_error err = {0};
    join(path, folder, name);
    RG_ASSERT_OK(rg_fs_read_all(path, 64 << 20, &data, &n, &err), &err);
    return data;
}

static rg_report *begin(char folder[1024], const char *name)
{
    rg_error err = {0};
    join(folder, rg_test_folder(), name);
    rg_report *report = rg_report_create(folder, "Report of <b>\"x\" & 'y'</b>", &err);
    ck_assert_msg(report != NULL, "%s", err.text);
    return report;
}

static rg_audio tone(double seconds, float amplitude)
{
    rg_error err = {0};
    rg_audio a;
    RG_ASSERT_OK(rg_audio_make(&a, (int64_t)(seconds * 16000), 1, 16000, &err), &err);
    for (int64_t i = 0; i < a.frames; i++) a.samples[i] = amplitude * sinf(0.1f * (float)i);
    return a;
}

START_TEST(numbers_are_the_same_in_every_file)
{
    char folder[1024];
    rg_error err = {0};
    rg_report *report = begin(folder, "numbers");
    rg_report_section(report, "one", "One");
    rg_table *table = rg_report_table(report, "t", "A caption");
    int32_t c = rg_table_column(table, "db", "Level", "dB", RG_HIGHER_BETTER, 2),
            d = rg_table_column(table, "none", "None", "", RG_LOWER_BETTER, 0),
            row = rg_table_row(table, RG_ROW_FLOOR, "a \"row\", with | signs");
    rg_table_interval(table, row, c, (rg_interval){-1.234, -2.5, 0.001, 7});
    rg_table_number(table, row, d, NAN);
    rg_table_number(table, row, 99, 1); /* no such column: ignored */
    rg_report_item(report, "song, \"one\"", "bass", "m", 0.5);
    rg_report_verdict(report, RG_BAD, "It %s.", "fails <here>");
    RG_ASSERT_OK(rg_report_finish(report, &err), &err);
    char *html = text_of(folder, "index.html"), *csv = text_of(folder, "metrics.csv"),
         *items = text_of(folder, "per_item.csv"), *md = text_of(folder, "RESULTS.md"),
         *json = text_of(folder, "metrics.json");
    ck_assert_ptr_nonnull(strstr(html, "−1.23<small>−2.50 … 0.00</small>"));
    ck_assert_ptr_nonnull(strstr(html, "<td class=\"number\">–</td>"));
    ck_assert_ptr_nonnull(strstr(html, "It fails &lt;here&gt;."));
    ck_assert_ptr_null(strstr(html, "<b>"));
    ck_assert_ptr_nonnull(strstr(csv, ",db,-1.234,-2.5,0.001,7\n"));
    ck_assert_ptr_nonnull(strstr(items, "\"song, \"\"one\"\"\",bass,m,0.5\n"));
    ck_assert_ptr_nonnull(strstr(md, "with \\| signs (floor) | −1.23 [−2.50 … 0.00] | – |"));
    json_t *root = rg_json_parse(json, strlen(json), "metrics.json", &err);
    ck_assert_msg(root != NULL, "%s", err.text);
    ck_assert_str_eq(json_string_value(json_object_get(root, "version")), "1.0");
    json_decref(root);
    free(html);
    free(csv);
    free(items);
    free(md);
    free(json);
}
END_TEST

START_TEST(sound_is_embedded_while_there_is_room)
{
    char folder[1024], path[1024];
    rg_error err = {0};
    rg_report *report = begin(folder, "sound");
    rg_audio a = tone(100, 0.3f), silent = tone(2, 0), loud = tone(2, 1.5f);
    rg_report_section(report, "one", "One");
    for (int i = 0; i < 6; i++) { /* 3.2 MB each, 4.3 MB embedded: four fit */
        rg_player player = {"long", &a};
        rg_report_players(report, "Long", "", &player, 1);
    }
    rg_player flagged[] = {{"quiet", &silent}, {"loud", &loud}};
    rg_report_stems(report, "Flagged", "", flagged, 2);
    RG_ASSERT_OK(rg_report_finish(report, &err), &err);
    join(path, folder, "audio/0003.wav");
    ck_assert(!rg_fs_exists(path));
    join(path, folder, "audio/0004.wav");
    ck_assert(rg_fs_exists(path));
    join(path, folder, "index.html");
    ck_assert_int_lt(rg_fs_size(path), RG_REPORT_EMBED_BYTES + 100000);
    char *html = text_of(folder, "index.html");
    ck_assert_ptr_nonnull(strstr(html, "src=\"audio/0004.wav\""));
    ck_assert_ptr_nonnull(strstr(html, "<span class=\"flag\">silent</span>"));
    ck_assert_ptr_nonnull(strstr(html, "<span class=\"flag\">clipped</span>"));
    free(html);
    rg_audio_free(&a);
    rg_audio_free(&silent);
    rg_audio_free(&loud);
}
END_TEST

static int count(const char *text, const char *what)
{
    int n = 0;
    for (; (text = strstr(text, what)); text += strlen(what)) n++;
    return n;
}

START_TEST(spans_are_labelled_where_there_is_room)
{
    const double start[] = {0, 1, 1.01}, end[] = {1, 1.01, 4};
    const char *const labels[] = {"A:min", "B:maj", "C<"};
    rg_plot plot = {.kind = RG_PLOT_SPANS, .n_series = 2};
    plot.series[0] = (rg_series){.name = "chords", .n = 3, .x = start, .y = end, .labels = labels};
    plot.series[1] = (rg_series){.name = "none"};
    rg_text out;
    rg_text_init(&out, 1 << 16);
    rg_plot_draw(&plot, &out);
    ck_assert_int_eq(count(out.data, "<rect"), 3);
    ck_assert(strstr(out.data, ">A:min<") && strstr(out.data, ">C&lt;<"));
    ck_assert(strstr(out.data, ">chords<") && strstr(out.data, ">none<"));
    ck_assert(!strstr(out.data, "B:maj") && !strstr(out.data, "nan") && !strstr(out.data, "inf"));
    rg_text_free(&out);
}
END_TEST

START_TEST(what_was_heard_is_drawn_whole)
{
    double beats[] = {0.5, 1, 1.5, 2, 2.5, 3, 3.5};
    rg_chord chords[] = {{0, 2, 9, RG_CHORD_MIN, 1}, {2, 4, -1, RG_CHORD_MAJ, 1}};
    rg_section sections[] = {{0, 4, 1}};
    rg_active active[] = {{0, 1.5}, {2, 4}};
    float power[40] = {0.1f};
    char path[1024];
    rg_error err = {0};
    rg_features f = {.blocks = 40,
                     .duration_s = 4,
                     .loudness_lufs = -INFINITY,
                     .n_beats = 7,
                     .beats_s = beats,
                     .n_chords = 2,
                     .chords = chords,
                     .n_sections = 1,
                     .sections = sections,
                     .meter = {.beats = 3, .length = 3, .first = 1, .confidence = 1},
                     .mix = {.role = "mix", .power = power, .active = active, .n_active = 2}};
    snprintf(path, sizeof path, "%s/heard.svg", rg_test_folder());
    RG_ASSERT_OK(rg_features_plot(&f, "a & b", path, &err), &err);
    char *svg = text_of(rg_test_folder(), "heard.svg");
    ck_assert_msg(strstr(svg, "a &amp; b: 3 beats a bar, silence"), "%s", svg);
    ck_assert(strstr(svg, ">A:min<") && strstr(svg, ">N<") && strstr(svg, ">2<"));
    ck_assert(!strstr(svg, "nan") && !strstr(svg, "inf"));
    ck_assert_int_eq(count(svg, "<svg"), count(svg, "</svg>"));
    free(svg);
    f = (rg_features){.duration_s = 1.0 / 48000, .mix = {.role = "mix"}}; /* one sample */
    RG_ASSERT_OK(rg_features_plot(&f, "short", path, &err), &err);
    ck_assert_int_ne(rg_features_plot(&f, "short", "no-such-folder/x.svg", &err), RG_OK);
    ck_assert(strstr(err.text, "no-such-folder") != NULL);
}
END_TEST

START_TEST(plots_and_pictures_are_made)
{
    char folder[1024];
    rg_error err = {0};
    rg_report *report = begin(folder, "plots");
    double x[] = {0, 1, 2}, y[] = {3, NAN, 1}, low[] = {2, 2, 0}, high[] = {4, 4, 2};
    rg_plot plot = {.title = "T & t", .n_series = 1};
    plot.series[0] = (rg_series){.name = "s", .n = 3, .x = x, .y = y, .low = low, .high = high};
    rg_report_section(report, "one", "One");
    rg_report_plot(report, "p", &plot, "");
    plot.series[0].n = 0; /* nothing to draw */
    rg_report_plot(report, "empty", &plot, "");
    rg_audio a = tone(1, 0.3f), b = tone(1, 0.2f);
    rg_report_spectrograms(report, "two", "Two", &a, "a", &b, "b");
    RG_ASSERT_OK(rg_report_finish(report, &err), &err);
    char *svg = text_of(folder, "plots/p.svg"), *html = text_of(folder, "index.html");
    ck_assert_ptr_nonnull(strstr(svg, "T &amp; t"));
    ck_assert_ptr_null(strstr(svg, "nan"));
    ck_assert_ptr_null(strstr(svg, "inf"));
    ck_assert_ptr_nonnull(strstr(html, "data:image/png;base64,iVBORw0KGgo"));
    free(svg);
    free(html);
    static const char *const parts[] = {"a", "b", "difference"};
    for (int i = 0; i < 3; i++) { /* each stands alone: axes, and a legend of 10 dB steps */
        char name[64];
        snprintf(name, sizeof name, "plots/two-%s.svg", parts[i]);
        svg = text_of(folder, name);
        ck_assert_ptr_nonnull(strstr(svg, "href=\"data:image/png;base64,iVBORw0KGgo"));
        ck_assert_ptr_nonnull(strstr(svg, ">seconds</text>"));
        ck_assert_ptr_nonnull(strstr(svg, ">Hz</text>"));
        ck_assert_ptr_nonnull(strstr(svg, i == 2 ? ">+20</text>" : ">−70</text>"));
        ck_assert_ptr_nonnull(strstr(svg, i == 2 ? ">−20</text>" : ">0</text>"));
        ck_assert_ptr_null(strstr(svg, "nan"));
        free(svg);
    }
    rg_audio_free(&a);
    rg_audio_free(&b);
}
END_TEST

START_TEST(base64_of_the_standard)
{
    static const char *const cases[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
    for (int i = 1; i < 5; i++) { /* RFC 4648, section 10 */
        rg_text out;
        rg_text_init(&out, 100);
        rg_html_base64(&out, (const uint8_t *)cases[i][0], strlen(cases[i][0]));
        ck_assert_str_eq(out.data, cases[i][1]);
        rg_text_free(&out);
    }
}
END_TEST

RG_TEST_MAIN("report", 60, numbers_are_the_same_in_every_file,
             sound_is_embedded_while_there_is_room, spans_are_labelled_where_there_is_room,
             what_was_heard_is_drawn_whole, plots_and_pictures_are_made, base64_of_the_standard)
