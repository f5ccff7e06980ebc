/*
 * Mel scales and banks against values known by hand.
 */
#include "audio/mel.h"

#include "test.h"

START_TEST(scales)
{
    RG_ASSERT_NEAR(rg_mel_from_hz(RG_MEL_HTK, 1000), 999.98554, 1e-4);
    RG_ASSERT_NEAR(rg_mel_from_hz(RG_MEL_SLANEY, 1000), 15, 1e-12);
    RG_ASSERT_NEAR(rg_mel_from_hz(RG_MEL_SLANEY, 6400), 42, 1e-9);
    for (double hz = 10; hz < 20000; hz *= 1.7) {
        RG_ASSERT_NEAR(rg_mel_to_hz(RG_MEL_HTK, rg_mel_from_hz(RG_MEL_HTK, hz)), hz, 1e-8 * hz);
        RG_ASSERT_NEAR(rg_mel_to_hz(RG_MEL_SLANEY, rg_mel_from_hz(RG_MEL_SLANEY, hz)), hz,
                       1e-8 * hz);
    }
}
END_TEST

/* Neighbouring triangles of height 1 add up to 1 between the first and the last top. */
START_TEST(triangles_add_up_to_one)
{
    enum { N = 2048, BANDS = 40 };
    static float bank[(N / 2 + 1) * BANDS];
    for (rg_mel_scale scale = RG_MEL_HTK; scale <= RG_MEL_SLANEY; scale++) {
        rg_error err = {0};
        rg_mel_bank b = {16000, N, BANDS, 100, 7000, scale, false};
        RG_ASSERT_OK(rg_mel_bank_make(&b, bank, &err), &err);
        double low = rg_mel_from_hz(scale, 100), step = rg_mel_from_hz(scale, 7000) - low;
        double first = rg_mel_to_hz(scale, low + step / (BANDS + 1));
        double last = rg_mel_to_hz(scale, low + step * BANDS / (BANDS + 1));
        for (int32_t bin = 0; bin <= N / 2; bin++) {
            double hz = bin * 16000.0 / N, sum = 0;
            for (int32_t m = 0; m < BANDS; m++) sum += (double)bank[bin * BANDS + m];
            if (hz >= first && hz <= last) RG_ASSERT_NEAR(sum, 1, 1e-5);
            if (hz <= 100 || hz >= 7000) RG_ASSERT_NEAR(sum, 0, 1e-9);
        }
    }
}
END_TEST

/* With the area norm every triangle covers the same area in Hz: 1. */
START_TEST(area_norm)
{
    enum { N = 8192, BANDS = 20 };
    static float bank[(N / 2 + 1) * BANDS];
    rg_error err = {0};
    rg_mel_bank b = {16000, N, BANDS, 200, 0, RG_MEL_SLANEY, true};
    RG_ASSERT_OK(rg_mel_bank_make(&b, bank, &err), &err);
    for (int32_t m = 0; m < BANDS; m++) {
        double area = 0;
        for (int32_t bin = 0; bin <= N / 2; bin++) area += (double)bank[bin * BANDS + m];
        RG_ASSERT_NEAR(area * 16000 / N, 1, 0.01);
    }
}
END_TEST

START_TEST(wrong_frequencies_are_refused)
{
    float bank[33 * 8];
    rg_error err = {0};
    rg_mel_bank b = {8000, 64, 8, 100, 5000, RG_MEL_HTK, false};
    ck_assert_int_eq(rg_mel_bank_make(&b, bank, &err), RG_ERR_USAGE);
    ck_assert_msg(strstr(err.text, "5000") != NULL, "%s", err.text);
    b.high = 100;
    ck_assert_int_eq(rg_mel_bank_make(&b, bank, NULL), RG_ERR_USAGE);
}
END_TEST

RG_TEST_MAIN("audio/mel", 30, scales, triangles_add_up_to_one, area_norm,
             wrong_frequencies_are_refused)
