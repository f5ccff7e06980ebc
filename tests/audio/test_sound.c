/*
 * Resampling, channels, loudness and levels against values known from theory.
 */
#include "test.h"

#include "audio/audio.h"

static rg_audio sine(double hz, double amplitude, double seconds, int32_t rate, int32_t channels)
{
    rg_error err = {0};
    rg_audio a;
    RG_ASSERT_OK(rg_audio_make(&a, llround(seconds * rate), channels, rate, &err), &err);
    for (int64_t t = 0; t < a.frames; t++)
        for (int32_t c = 0; c < channels; c++)
            a.samples[t * channels + c] =
                (float)(amplitude * sin(2 * M_PI * hz * (double)t / rate));
    return a;
}

START_TEST(resampled_sine_is_the_sine_at_the_new_rate)
{
    static const int32_t rates[] = {8000, 16000, 22050, 24000, 32000, 48000};
    rg_audio in = sine(440, 0.5, 2, 44100, 2);
    for (size_t i = 0; i < 6; i++) {
        rg_error err = {0};
        rg_audio out, want = sine(440, 0.5, 2, rates[i], 2);
        RG_ASSERT_OK(rg_audio_resample(&in, rates[i], &out, &err), &err);
        ck_assert_int_eq(out.frames, want.frames);
        for (int64_t t = rates[i] / 4; t < out.frames - rates[i] / 4; t++)
            RG_ASSERT_NEAR(out.samples[2 * t], want.samples[2 * t], 2e-4);
        rg_audio_free(&out);
        rg_audio_free(&want);
    }
    rg_audio_free(&in);
}
END_TEST

START_TEST(length_is_rounded_and_the_same_rate_copies)
{
    rg_error err = {0};
    rg_audio out, in = sine(100, 0.1, 1, 44100, 1);
    for (int64_t n = 0; n < 12; n++) {
        in.frames = n;
        RG_ASSERT_OK(rg_audio_resample(&in, 8000, &out, &err), &err);
        ck_assert_int_eq(out.frames, llround((double)n * 8000 / 44100));
        rg_audio_free(&out);
        RG_ASSERT_OK(rg_audio_resample(&in, 44100, &out, &err), &err);
        ck_assert_mem_eq(out.samples, in.samples, (size_t)n * sizeof(float));
        rg_audio_free(&out);
    }
    ck_assert_int_eq(rg_audio_resample(&in, 10, &out, &err), RG_ERR_SHAPE);
    rg_audio_free(&in);
}
END_TEST

START_TEST(channels_are_averaged_or_repeated)
{
    rg_error err = {0};
    float samples[] = {1, 0, -0.5f, 0.25f};
    rg_audio stereo = {samples, 2, 2, 8000}, mono, five;
    RG_ASSERT_OK(rg_audio_to_channels(&stereo, 1, &mono, &err), &err);
    RG_ASSERT_NEAR(mono.samples[0], 0.5, 0);
    RG_ASSERT_NEAR(mono.samples[1], -0.125, 0);
    RG_ASSERT_OK(rg_audio_to_channels(&mono, 5, &five, &err), &err);
    for (int i = 0; i < 10; i++) RG_ASSERT_NEAR(five.samples[i], i < 5 ? 0.5 : -0.125, 0);
    rg_audio wrong;
    ck_assert_int_eq(rg_audio_to_channels(&five, 2, &wrong, &err), RG_ERR_UNSUPPORTED);
    rg_audio_free(&mono);
    rg_audio_free(&five);
}
END_TEST

/* EBU Tech 3341, test 1: a stereo 1 kHz sine of -23 dBFS reads -23 LUFS; a mono one 3 dB less. */
START_TEST(loudness_of_the_reference_sine)
{
    rg_error err = {0};
    double lufs;
    rg_audio stereo = sine(1000, pow(10, -23.0 / 20), 20, 48000, 2);
    RG_ASSERT_OK(rg_audio_loudness(&stereo, &lufs, &err), &err);
    RG_ASSERT_NEAR(lufs, -23, 0.1);
    rg_audio mono = sine(1000, pow(10, -23.0 / 20), 20, 48000, 1);
    RG_ASSERT_OK(rg_audio_loudness(&mono, &lufs, &err), &err);
    RG_ASSERT_NEAR(lufs, -26, 0.1);
    memset(mono.samples, 0, (size_t)mono.frames * sizeof(float));
    RG_ASSERT_OK(rg_audio_loudness(&mono, &lufs, &err), &err);
    ck_assert(isinf(lufs) && lufs < 0);
    rg_audio_free(&stereo);
    rg_audio_free(&mono);
}
END_TEST

START_TEST(levels_of_known_signals)
{
    rg_audio a = sine(100, 0.5, 2, 8000, 1);
    rg_levels levels = rg_audio_levels(&a);
    RG_ASSERT_NEAR(levels.peak, 0.5, 1e-6);
    RG_ASSERT_NEAR(levels.rms_dbfs, 20 * log10(0.5) - 10 * log10(2), 1e-3);
    RG_ASSERT_NEAR(levels.dc, 0, 1e-6);
    RG_ASSERT_NEAR(levels.clipped_share, 0, 0);
    RG_ASSERT_NEAR(levels.silent_share, 0, 0);
    for (int64_t t = 0; t < 8000; t++) a.samples[t] = 0;
    for (int64_t t = 15984; t < 16000; t++) a.samples[t] = -1;
    levels = rg_audio_levels(&a);
    RG_ASSERT_NEAR(levels.silent_share, 0.5, 0);
    RG_ASSERT_NEAR(levels.clipped_share, 0.001, 1e-12);
    RG_ASSERT_NEAR(levels.peak, 1, 0);
    rg_audio_free(&a);
}
END_TEST

RG_TEST_MAIN("sound", 60, resampled_sine_is_the_sine_at_the_new_rate,
             length_is_rounded_and_the_same_rate_copies, channels_are_averaged_or_repeated,
             loudness_of_the_reference_sine, levels_of_known_signals)
