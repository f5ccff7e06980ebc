/*
 * Features of signals whose truth is known: clicks, chords, scales, detuned sounds, silence, noise,
 * a single sample; one sound and its stems; blocks of any size.
 */
#include "test.h"

#include "base/json.h"
#include "base/rng.h"
#include "music/features/features.h"
#include "music/features/features_json.h"
#include "music/features/onset.h"

enum { RATE = 16000 };

static rg_audio make_sound(double seconds)
{
    rg_audio a = {0};
    rg_error err = {0};
    RG_ASSERT_OK(rg_audio_make(&a, llround(seconds * RATE), 1, RATE, &err), &err);
    return a;
}

static void add_note(rg_audio *a, double start, double end, double hz, double level)
{
    int64_t to = (int64_t)(end * RATE);
    for (int64_t t = (int64_t)(start * RATE); t < to && t < a->frames; t++)
        for (int h = 1; h <= 3; h++)
            a->samples[t] += (float)(level / h * sin(2 * M_PI * hz * h * (double)t / RATE));
}

static void add_click(rg_audio *a, double at, double level)
{
    int64_t start = llround(at * RATE);
    for (int64_t t = 0; t < RATE / 50 && start + t < a->frames; t++)
        a->samples[start + t] +=
            (float)(level * exp(-(double)t / 40) * sin(2 * M_PI * 1000 * (double)t / RATE));
}

static rg_features hear(const rg_audio *a)
{
    rg_features f;
    rg_error err = {0};
    rg_reader *r = rg_reader_of(a, &err);
    rg_feature_source source = {"mix", r};
    RG_ASSERT_OK(rg_features_of(&source, 1, &f, &err), &err);
    rg_reader_close(r);
    return f;
}

static double pitch(int semitones_above_c4)
{
    return 261.6256 * pow(2, semitones_above_c4 / 12.0);
}

START_TEST(clicks_are_beats_within_ten_ms)
{
    static const double bpms[] = {70, 97, 120, 143};
    for (int k = 0; k < 4; k++) {
        rg_audio a = make_sound(20);
        double beat = 60 / bpms[k], worst = 0;
        for (int i = 0; 0.5 + i * beat < 19.5; i++) add_click(&a, 0.5 + i * beat, 0.5);
        rg_features f = hear(&a);
        ck_assert_msg(fabs(f.tempi[0].bpm - bpms[k]) <= 0.02 * bpms[k], "%g bpm heard as %g",
                      bpms[k], f.tempi[0].bpm);
        ck_assert_int_ge(f.n_beats, (int64_t)(18.5 / beat));
        for (int64_t i = 0; i < f.n_beats; i++) {
            double phase = (f.beats_s[i] - 0.5) / beat;
            worst = fmax(worst, fabs(phase - round(phase)) * beat);
        }
        ck_assert_msg(worst <= 0.010, "%g bpm: a beat is %.1f ms off", bpms[k], 1000 * worst);
        rg_features_free(&f);
        rg_audio_free(&a);
    }
}
END_TEST

/* Twelve bars of `length` beats: clicks, the first of a bar louder and on another chord. */
static rg_audio make_bars(int length, double beat)
{
    static const int roots[] = {0, 5, 7, 9};
    rg_audio a = make_sound(12 * length * beat + 1);
    for (int bar = 0; bar < 12; bar++) {
        double start = 0.3 + bar * length * beat;
        for (int i = 0; i < length; i++) add_click(&a, start + i * beat, i ? 0.3 : 0.5);
        for (int n = 0; n < 3; n++) {
            static const int major[] = {0, 4, 7}, minor[] = {0, 3, 7};
            int root = roots[bar % 4];
            add_note(&a, start, start + length * beat,
                     pitch(root + (root == 9 ? minor : major)[n] - 12), 0.05);
        }
    }
    return a;
}

START_TEST(bars_of_three_and_four)
{
    for (int length = 3; length <= 4; length++) {
        rg_audio a = make_bars(length, 0.5);
        rg_features f = hear(&a);
        ck_assert_int_eq(f.meter.beats, length);
        double bars = (f.beats_s[f.meter.first] - 0.3) / (0.5 * length);
        ck_assert_double_le(fabs(bars - round(bars)) * 0.5 * length, 0.03);
        rg_features_free(&f);
        rg_audio_free(&a);
    }
}
END_TEST

/* Waltzes whose bars are played in halves too: not two thirds of their tempo. Where nothing falls
 * on the thirds it is two beats to the bar. */
START_TEST(a_fast_waltz_has_its_own_tempo)
{
    static const double bpms[] = {150, 168, 182};
    for (int k = 0; k < 6; k++) {
        const double beat = 60 / bpms[k / 2];
        const bool waltz = k % 2 == 0;
        rg_audio a = make_sound(30);
        for (double at = 0.3; at < 29; at += 3 * beat) {
            add_click(&a, at, 0.5);
            add_click(&a, at + 1.5 * beat, waltz ? 0.4 : 0.4);
            if (waltz) add_click(&a, at + beat, 0.3);
            if (waltz) add_click(&a, at + 2 * beat, 0.3);
        }
        rg_features f = hear(&a);
        const double bpm = waltz ? bpms[k / 2] : bpms[k / 2] / 1.5;
        ck_assert_msg(fabs(f.tempi[0].bpm - bpm) <= 0.02 * bpm, "%g bpm heard as %g", bpm,
                      f.tempi[0].bpm);
        rg_features_free(&f);
        rg_audio_free(&a);
    }
}
END_TEST

START_TEST(chords_and_their_times)
{
    static const char *const want[] = {"C:maj", "F:maj", "G:maj", "A:min"};
    rg_audio a = make_bars(4, 0.5);
    rg_features f = hear(&a);
    char label[16];
    double right = 0;
    for (int64_t i = 0; i < f.n_chords; i++)
        for (int bar = 0; bar < 12; bar++) {
            double start = 0.3 + 2 * bar, end = start + 2,
                   overlap = fmin(end, f.chords[i].end_s) - fmax(start, f.chords[i].start_s);
            rg_chord_label(&f.chords[i], label);
            if (overlap > 0 && !strcmp(label, want[bar % 4])) right += overlap;
        }
    ck_assert_msg(right >= 0.9 * 24, "%.2f of 24 s right", right);
    ck_assert_int_eq(f.keys[0].key.tonic, 0);
    ck_assert_int_eq(f.keys[0].key.mode, 0);
    ck_assert_double_ge(f.keys[0].correlation, f.keys[1].correlation);
    rg_features_free(&f);
    rg_audio_free(&a);
}
END_TEST

/* Every kind on every root, four seconds each, the root an octave below as well. */
START_TEST(kinds_of_chord_on_every_root)
{
    static const struct {
        const char *name;
        int n, notes[4];
    } kinds[] = {{"maj", 3, {0, 4, 7}},      {"min", 3, {0, 3, 7}},      {"7", 4, {0, 4, 7, 10}},
                 {"maj7", 4, {0, 4, 7, 11}}, {"min7", 4, {0, 3, 7, 10}}, {"dim", 3, {0, 3, 6}}};
    for (int k = 0; k < 6; k++) {
        int right = 0;
        rg_audio a = make_sound(48);
        for (int root = 0; root < 12; root++) {
            add_note(&a, 4 * root, 4 * root + 4, pitch(root - 12), 0.05);
            for (int i = 0; i < kinds[k].n; i++)
                add_note(&a, 4 * root, 4 * root + 4, pitch(root + kinds[k].notes[i]), 0.05);
        }
        rg_features f = hear(&a);
        for (int64_t i = 0; i < f.n_chords; i++) {
            char label[16], want[16];
            int root = (int)((f.chords[i].start_s + f.chords[i].end_s) / 8);
            snprintf(want, sizeof want, "%s:%s", rg_pitch_name(root), kinds[k].name);
            right += !strcmp(rg_chord_label(&f.chords[i], label), want);
        }
        ck_assert_msg(right == 12, "%d of 12 chords '%s' heard", right, kinds[k].name);
        rg_features_free(&f);
        rg_audio_free(&a);
    }
}
END_TEST

START_TEST(scales_name_their_key_however_tuned)
{
    static const int steps[2][8] = {{0, 2, 4, 5, 7, 9, 11, 12}, {0, 2, 3, 5, 7, 8, 10, 12}};
    static const double cents[] = {-40, 0, 30};
    for (int k = 0; k < 6; k++) {
        rg_audio a = make_sound(9);
        int tonic = 7 * k % 12;
        for (int i = 0; i < 8; i++) {
            double hz = pitch(tonic + steps[k % 2][i] - 12) * pow(2, cents[k / 2] / 1200);
            add_note(&a, i, i + 1, hz, 0.1);
            add_note(&a, i, i + 1, pitch(tonic - 24) * pow(2, cents[k / 2] / 1200), 0.1);
        }
        rg_features f = hear(&a);
        ck_assert_int_eq(f.keys[0].key.tonic, tonic);
        ck_assert_int_eq(f.keys[0].key.mode, k % 2);
        ck_assert_double_le(fabs(f.tuning_cents - cents[k / 2]), 6);
        rg_features_free(&f);
        rg_audio_free(&a);
    }
}
END_TEST

START_TEST(silence_noise_and_a_sample_are_heard_without_inventing)
{
    static const double lengths[] = {1.0 / RATE, 0.01, 3, 8};
    for (int k = 0; k < 4; k++)
        for (int noisy = 0; noisy < 2; noisy++) {
            rg_audio a = make_sound(lengths[k]);
            rg_rng rng = rg_rng_make(7, (uint64_t)k);
            if (noisy) rg_rng_fill_normal(&rng, a.samples, a.frames, 0, 0.1f);
            rg_features f = hear(&a);
            json_t *json = rg_features_to_json(&f, "x");
            ck_assert_ptr_nonnull(json);
            ck_assert_int_eq(f.n_sections, 1);
            if (!noisy) {
                ck_assert(json_is_null(json_object_get(json, "tempo")));
                ck_assert(json_is_null(json_object_get(json, "key")));
                ck_assert(json_is_null(json_object_get(json, "loudness_lufs")));
                ck_assert_int_eq(json_array_size(json_object_get(json, "beats_s")), 0);
                ck_assert_int_eq(json_array_size(json_object_get(json, "active")), 0);
                ck_assert_int_eq(f.chords[0].root, -1);
            }
            json_decref(json);
            rg_features_free(&f);
            rg_audio_free(&a);
        }
}
END_TEST

START_TEST(stems_add_up_to_the_mix)
{
    rg_error err = {0};
    rg_audio song = make_bars(4, 0.5), stems[2] = {make_sound(song.frames / (double)RATE),
                                                   make_sound(song.frames / (double)RATE)};
    for (int bar = 0; bar < 12; bar++)
        for (int i = 0; i < 4; i++) add_click(&stems[0], 0.3 + 2 * bar + 0.5 * i, i ? 0.3 : 0.5);
    for (int64_t t = 0; t < song.frames; t++)
        stems[1].samples[t] = song.samples[t] - stems[0].samples[t];
    rg_feature_source sources[2] = {{"drums", rg_reader_of(&stems[0], &err)},
                                    {"harmony", rg_reader_of(&stems[1], &err)}};
    rg_features whole = hear(&song), parts;
    RG_ASSERT_OK(rg_features_of(sources, 2, &parts, &err), &err);
    ck_assert_double_le(fabs(whole.tempi[0].bpm - parts.tempi[0].bpm), 0.5);
    ck_assert_double_le(fabs(whole.loudness_lufs - parts.loudness_lufs), 0.01);
    ck_assert_int_eq(parts.n_stems, 2);
    ck_assert_int_eq(parts.keys[0].key.tonic, 0);
    double drums = 0;
    for (int i = 0; i < RG_PATTERN_STEPS; i += 4) drums += parts.stems[0].pattern[i];
    ck_assert_msg(drums > 0.9, "quarters hold %.2f of the drums", drums);
    rg_features_free(&whole);
    rg_features_free(&parts);
    for (int i = 0; i < 2; i++) {
        rg_reader_close(sources[i].reader);
        rg_audio_free(&stems[i]);
    }
    rg_audio_free(&song);
}
END_TEST

START_TEST(blocks_of_any_size_give_the_same_bits)
{
    rg_audio a = make_bars(3, 0.4);
    rg_error err = {0};
    int64_t n = rg_onset_frames(a.frames, RATE);
    float *whole = malloc((size_t)n * sizeof *whole), *parts = malloc((size_t)n * sizeof *parts);
    double square = 0;
    for (int64_t t = 0; t < a.frames; t++) square += (double)a.samples[t] * a.samples[t];
    RG_ASSERT_OK(rg_onset_envelope(a.samples, a.frames, RATE, whole, &err), &err);
    rg_onsets *o = rg_onsets_open(a.frames, RATE, sqrt(square / (double)a.frames), parts, &err);
    for (int64_t at = 0, step = 1; at < a.frames; at += step, step = step * 3 % 5003 + 1)
        rg_onsets_push(o, a.samples + at, step < a.frames - at ? step : a.frames - at);
    RG_ASSERT_OK(rg_onsets_close(o, &err), &err);
    ck_assert_int_eq(memcmp(whole, parts, (size_t)n * sizeof *whole), 0);
    free(whole);
    free(parts);
    rg_audio_free(&a);
}
END_TEST

START_TEST(stems_that_do_not_fit_are_refused)
{
    rg_error err = {0};
    rg_audio a = make_sound(1), b = make_sound(1);
    b.rate = RATE / 2;
    rg_feature_source sources[2] = {{"bass", rg_reader_of(&a, &err)},
                                    {"drums", rg_reader_of(&b, &err)}};
    rg_features f;
    ck_assert_int_eq(rg_features_of(sources, 2, &f, &err), RG_ERR_MISMATCH);
    ck_assert_ptr_nonnull(strstr(err.text, "16000"));
    rg_features_free(&f);
    for (int i = 0; i < 2; i++) rg_reader_close(sources[i].reader);
    rg_audio_free(&a);
    rg_audio_free(&b);
}
END_TEST

RG_TEST_MAIN("features", 120, clicks_are_beats_within_ten_ms, bars_of_three_and_four,
             a_fast_waltz_has_its_own_tempo, chords_and_their_times, kinds_of_chord_on_every_root,
             scales_name_their_key_however_tuned,
             silence_noise_and_a_sample_are_heard_without_inventing, stems_add_up_to_the_mix,
             blocks_of_any_size_give_the_same_bits, stems_that_do_not_fit_are_refused)
