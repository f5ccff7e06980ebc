/*
 * The renderer: stems in the right places, at the right levels, the same on every run.
 * Skipped where libfluidsynth or a SoundFont is not installed; numbers have tolerances, because
 * SoundFonts differ.
 */
#include "datasets/render.h"

#include <dlfcn.h>

#include "audio/audio.h"
#include "base/fs.h"
#include "midi_bytes.h"
#include "test.h"

static const char *soundfont;

static const char *find_soundfont(void)
{
    static const char *const known[] = {"/usr/share/sounds/sf2/TimGM6mb.sf2",
                                        "/usr/share/sounds/sf2/FluidR3_GM.sf2",
                                        "/usr/share/sounds/sf2/default-GM.sf2"};
    const char *given = getenv("RG_SOUNDFONT");
    if (given) return given;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (rg_fs_exists(known[i])) return known[i];
    return NULL;
}

static rg_stems render(const rg_midi_bytes *b, const rg_render_options *o)
{
    static rg_midi_parts parts;
    rg_midi m;
    rg_stems stems;
    rg_error err = {0};
    rg_renderer *r = rg_renderer_open(soundfont, &err);
    ck_assert_msg(r != NULL, "%s", err.text);
    RG_ASSERT_OK(rg_midi_parse(b->data, b->n, "test.mid", &m, &err), &err);
    RG_ASSERT_OK(rg_roles_assign(&m, rg_role_map_band(), &parts, &err), &err);
    RG_ASSERT_OK(rg_render_song(r, &m, &parts, 4, o, &stems, &err), &err);
    rg_midi_free(&m);
    rg_renderer_close(r);
    return stems;
}

/* RMS in dBFS of a role between two times. */
static double level(const rg_stems *s, int role, double from, double to)
{
    const int16_t *x = s->samples + role * s->frames;
    double energy = 0;
    int64_t first = (int64_t)(from * s->rate), last = (int64_t)(to * s->rate), n = 0;
    for (int64_t i = first; i < last && i < s->frames; i++, n++) energy += (double)x[i] * x[i];
    return n ? 10 * log10(energy / (double)n / (32768.0 * 32768.0) + 1e-12) : -120;
}

START_TEST(a_band_is_rendered_twice_the_same)
{
    static rg_midi_bytes b;
    const rg_render_options o = {.rate = 16000};
    rg_mb_band(&b, 4);
    rg_stems s = render(&b, &o), t = render(&b, &o);
    ck_assert_int_eq(s.frames, t.frames);
    ck_assert(memcmp(s.samples, t.samples, (size_t)(4 * s.frames) * sizeof *s.samples) == 0);
    double seconds = (double)s.frames / s.rate;
    ck_assert_msg(seconds > 7.5 && seconds < 12, "%g s", seconds); /* 8 s and release, trimmed */
    rg_audio mix;
    rg_error err = {0};
    RG_ASSERT_OK(rg_audio_make(&mix, s.frames, 1, s.rate, &err), &err);
    double peak = 0, lufs;
    for (int64_t i = 0; i < s.frames; i++) {
        double sum = 0;
        for (int r = 0; r < 4; r++) sum += s.samples[r * s.frames + i] / 32768.0;
        mix.samples[i] = (float)sum;
        peak = fmax(peak, fabs(sum));
    }
    RG_ASSERT_OK(rg_audio_loudness(&mix, &lufs, &err), &err);
    RG_ASSERT_NEAR(lufs, s.loudness_lufs, 0.2);
    ck_assert_msg(peak <= 0.981 && (lufs > -18.3 || peak > 0.97), "peak %g, %g LUFS", peak, lufs);
    for (int r = 0; r < 4; r++) {
        ck_assert(s.present[r]);
        ck_assert_msg(level(&s, r, 0, 8) > -50, "role %d: %g dBFS", r, level(&s, r, 0, 8));
    }
    rg_audio_free(&mix);
    rg_stems_free(&s);
    rg_stems_free(&t);
}
END_TEST

/* One channel changes from a bass to a flute while the bass note is held. */
START_TEST(a_program_change_lands_in_the_right_stem_and_rings_on_in_the_old_one)
{
    static rg_midi_bytes b;
    rg_mb_header(&b, 0, 1, 96);
    rg_mb_begin(&b);
    rg_mb_event(&b, 0, 0xC0, 38, 0);   /* synth bass: sustains */
    rg_mb_event(&b, 0, 0x90, 36, 110); /* 0 s */
    rg_mb_event(&b, 192, 0xC0, 73, 0); /* 1 s: flute */
    rg_mb_event(&b, 192, 0x80, 36, 0); /* 2 s: the bass note ends */
    for (int i = 0; i < 24; i++) rg_mb_note(&b, i ? 8 : 192, 88, 0, 72 + i % 5, 100); /* from 3 s */
    rg_mb_event(&b, 0, 0xC1, 0, 0);
    for (int i = 0; i < 16; i++) rg_mb_note(&b, 8, 88, 1, 60, 100); /* from 15 s: a piano */
    rg_mb_end(&b, 1);
    const rg_render_options o = {.rate = 16000};
    rg_stems s = render(&b, &o);
    ck_assert_msg(level(&s, 1, 0.1, 0.9) > -40, "bass %g", level(&s, 1, 0.1, 0.9));
    ck_assert_msg(level(&s, 1, 1.2, 1.9) > -50, "ringing bass %g", level(&s, 1, 1.2, 1.9));
    ck_assert_msg(level(&s, 3, 0, 2.8) < -85, "flute before %g", level(&s, 3, 0, 2.8));
    ck_assert_msg(level(&s, 3, 3.2, 14) > -40, "flute %g", level(&s, 3, 3.2, 14));
    ck_assert_msg(level(&s, 1, 5, 14) < -80, "bass after %g", level(&s, 1, 5, 14));
    ck_assert_msg(!s.present[0] && s.present[2], "drums %d piano %d", s.present[0], s.present[2]);
    rg_stems_free(&s);
}
END_TEST

START_TEST(cut_begins_and_ends_where_asked)
{
    static rg_midi_bytes b;
    rg_mb_band(&b, 16); /* 32 s */
    const rg_render_options whole = {.rate = 16000},
                            part = {.rate = 16000, .start = 10, .seconds = 5};
    rg_stems s = render(&b, &whole), t = render(&b, &part);
    ck_assert_int_eq(t.frames, 5 * 16000);
    double gain = pow(10, (t.gain_db - s.gain_db) / 20), best = 0, both = 0, a = 0, c = 0;
    for (int64_t i = 16000; i < 4 * 16000; i++) { /* the bass: the same notes, the same place */
        double x = s.samples[s.frames + 10 * 16000 + i] * gain, y = t.samples[t.frames + i];
        both += x * y;
        a += x * x;
        c += y * y;
    }
    best = both / sqrt(a * c);
    ck_assert_msg(best > 0.98, "likeness %g", best);
    ck_assert(abs(t.samples[t.frames - 1]) < 40); /* faded */
    rg_stems_free(&s);
    rg_stems_free(&t);
}
END_TEST

/* The mono stems are the mean of the stereo ones, at their own gain; a part that is panned to the
 * left is heard there. */
START_TEST(stereo_is_as_the_parts_are_panned)
{
    static rg_midi_bytes b;
    rg_mb_header(&b, 0, 1, 96);
    rg_mb_begin(&b);
    rg_mb_event(&b, 0, 0xB0, 10, 0); /* pan: left */
    rg_mb_event(&b, 0, 0xC0, 38, 0);
    rg_mb_event(&b, 0, 0xC1, 73, 0);
    for (int i = 0; i < 16; i++) rg_mb_note(&b, 8, 88, 0, 36, 110);
    for (int i = 0; i < 16; i++) rg_mb_note(&b, 8, 88, 1, 72 + i % 5, 100);
    rg_mb_end(&b, 1);
    const rg_render_options mono = {.rate = 16000}, stereo = {.rate = 16000, .channels = 2};
    rg_stems m = render(&b, &mono), s = render(&b, &stereo);
    ck_assert(m.channels == 1 && s.channels == 2 && m.frames > 4 * 16000);
    double gain = pow(10, (m.gain_db - s.gain_db) / 20), power[2] = {0};
    int64_t n = m.frames < s.frames ? m.frames : s.frames;
    for (int32_t r = 0; r < 4; r++) {
        const int16_t *left = s.samples + 2 * r * s.frames, *right = left + s.frames;
        for (int64_t i = 0; i < n; i++) {
            double mean = gain * (left[i] + right[i]) / 2;
            ck_assert_msg(fabs(mean - m.samples[r * m.frames + i]) < 0.51 + 0.51 * gain,
                          "role %d, frame %lld", r, (long long)i);
            power[0] += r == 1 ? left[i] * left[i] : 0;
            power[1] += r == 1 ? right[i] * right[i] : 0;
        }
    }
    ck_assert_msg(power[0] > 1e4 * power[1], "bass: left %g, right %g", power[0], power[1]);
    rg_stems_free(&m);
    rg_stems_free(&s);
}
END_TEST

START_TEST(impossible_wishes_are_refused)
{
    static rg_midi_bytes b;
    static rg_midi_parts parts;
    rg_midi m;
    rg_stems s;
    rg_error err = {0};
    ck_assert_ptr_null(rg_renderer_open("/nonexistent/a.sf2", &err));
    ck_assert_ptr_nonnull(strstr(err.text, "apt-get"));
    rg_error_clear(&err);
    rg_renderer *r = rg_renderer_open(soundfont, &err);
    rg_mb_band(&b, 1);
    RG_ASSERT_OK(rg_midi_parse(b.data, b.n, "test.mid", &m, &err), &err);
    RG_ASSERT_OK(rg_roles_assign(&m, rg_role_map_band(), &parts, &err), &err);
    const rg_render_options slow = {.rate = 4000}, late = {.rate = 16000, .start = 100};
    ck_assert_int_eq(rg_render_song(r, &m, &parts, 4, &slow, &s, &err), RG_ERR_USAGE);
    rg_error_clear(&err);
    ck_assert_int_eq(rg_render_song(r, &m, &parts, 4, &late, &s, &err), RG_ERR_USAGE);
    rg_error_clear(&err);
    const rg_render_options usual = {.rate = 16000};
    static const int32_t counts[] = {-1, 0, RG_MAX_ROLES + 1};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(rg_render_song(r, &m, &parts, counts[i], &usual, &s, &err), RG_ERR_USAGE);
        ck_assert_ptr_nonnull(strstr(err.text, "1 to 16 roles"));
        ck_assert_ptr_null(s.samples);
        rg_error_clear(&err);
    }
    for (int32_t k = 0; k < parts.n; k++) parts.part[k].role = RG_ROLE_DROP;
    ck_assert_int_eq(rg_render_song(r, &m, &parts, 4, &usual, &s, &err), RG_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "nothing sounds"));
    rg_midi_free(&m);
    rg_renderer_close(r);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_band_is_rendered_twice_the_same,
        a_program_change_lands_in_the_right_stem_and_rings_on_in_the_old_one,
        cut_begins_and_ends_where_asked, stereo_is_as_the_parts_are_panned,
        impossible_wishes_are_refused};
    soundfont = find_soundfont();
    void *library = dlopen("libfluidsynth.so.3", RTLD_NOW);
    if (!soundfont || !library) {
        printf("SKIP render: %s\n", soundfont ? "libfluidsynth3 is not installed"
                                              : "no SoundFont is installed (timgm6mb-soundfont)");
        return 0;
    }
    return rg_test_run("render", tests, sizeof tests / sizeof tests[0], 120);
}
