/*
 * Metrics against values known from theory: each test would fail if the formula were another.
 */
#include "test.h"

#include "base/rng.h"
#include "eval/metrics/bands.h"
#include "eval/metrics/codes.h"
#include "eval/metrics/distribution.h"
#include "eval/metrics/lowpass.h"
#include "eval/metrics/pcm_baseline.h"
#include "eval/metrics/signal.h"
#include "eval/metrics/spectrum.h"
#include "eval/metrics/stats.h"
#include "music/features/chroma.h"
#include "music/features/onset.h"
#include "music/features/tempo.h"

static float *noise(int64_t n, double deviation, uint64_t seed)
{
    float *x = malloc((size_t)n * sizeof *x);
    rg_rng rng = rg_rng_make(seed, 1);
    rg_rng_fill_normal(&rng, x, n, 0, (float)deviation);
    return x;
}

static void add_sine(float *x, int64_t n, int32_t rate, double hz, double amplitude)
{
    for (int64_t t = 0; t < n; t++)
        x[t] += (float)(amplitude * sin(2 * M_PI * hz * (double)t / rate));
}

static float *sine(int64_t n, int32_t rate, double hz, double amplitude)
{
    float *x = calloc((size_t)n, sizeof *x);
    add_sine(x, n, rate, hz, amplitude);
    return x;
}

START_TEST(si_sdr_of_added_noise_is_its_level)
{
    enum { N = 200000 };
    float *s = noise(N, 0.1, 1), *e = noise(N, 0.1 * pow(10, -12.0 / 20), 2);
    for (int i = 0; i < N; i++) e[i] = 3 * (s[i] + e[i]) + 0.5f; /* scale and offset are free */
    RG_ASSERT_NEAR(rg_si_sdr(s, e, N), 12, 0.1);
    for (int i = 0; i < N; i++) e[i] = -2 * s[i];
    ck_assert(rg_si_sdr(s, e, N) > 60);
    RG_ASSERT_NEAR(rg_snr(s, e, N), -20 * log10(3), 1e-5);
    memset(e, 0, N * sizeof *e);
    RG_ASSERT_NEAR(rg_si_sdr(s, e, N), RG_DB_LOW, 0);
    RG_ASSERT_NEAR(rg_snr(s, e, N), 0, 1e-12);
    ck_assert(isnan(rg_si_sdr(e, s, N)) && isnan(rg_snr(e, s, N)));
    RG_ASSERT_NEAR(rg_snr(s, s, N), RG_DB_HIGH, 0);
    free(s);
    free(e);
}
END_TEST

/* Rate 1000: frames of 5,000 samples every 2,500. */
START_TEST(si_snr_is_a_mean_over_frames)
{
    enum { RATE = 1000, N = 10000 };
    float *s = noise(N, 0.1, 1), *e = noise(N, 0.1 * pow(10, -12.0 / 20), 2);
    for (int i = 0; i < N; i++) e[i] = 3 * (s[i] + e[i]) + 0.5f; /* scale and offset are free */
    RG_ASSERT_NEAR(rg_si_snr(s, e, N, RATE), 12, 0.2);
    for (int i = 0; i < N; i++) e[i] = i < N / 2 ? s[i] : -2 * s[i];
    double one = rg_si_snr(s, e, N, RATE); /* a perfect frame, one of both, a perfect one */
    double outer = rg_si_snr(s, e, N / 2, RATE), inner = rg_si_snr(s + 2500, e + 2500, 5000, RATE);
    double last = rg_si_snr(s + 5000, e + 5000, 5000, RATE);
    RG_ASSERT_NEAR(one, (outer + inner + last) / 3, 1e-9);
    ck_assert(rg_si_sdr(s, e, N) < 0 && outer > 40 && inner < 5);
    /* 7,000 samples: the second frame is filled with 500 zeros. */
    float filled[5000] = {0}, estimate[5000] = {0};
    memcpy(filled, s + 2500, 4500 * sizeof *s);
    memcpy(estimate, e + 2500, 4500 * sizeof *e);
    RG_ASSERT_NEAR(rg_si_snr(s, e, 7000, RATE),
                   (outer + rg_si_snr(filled, estimate, 5000, RATE)) / 2, 1e-9);
    memset(s, 0, 7500 * sizeof *s); /* two frames where both are silent: eps over eps, 0 dB */
    memset(e, 0, 7500 * sizeof *e);
    RG_ASSERT_NEAR(rg_si_snr(s, e, N, RATE), rg_si_snr(s + 5000, e + 5000, 5000, RATE) / 3, 1e-9);
    ck_assert(isnan(rg_si_snr(s, e, 5000, RATE)));
    free(s);
    free(e);
}
END_TEST

START_TEST(loudness_difference_of_a_gain)
{
    rg_error err = {0};
    double lu;
    float *a = sine(96000, 32000, 1000, 0.1), *b = sine(96000, 32000, 1000, 0.2);
    RG_ASSERT_OK(rg_loudness_difference(a, b, 96000, 32000, &lu, &err), &err);
    RG_ASSERT_NEAR(lu, 20 * log10(2), 0.01);
    free(a);
    free(b);
}
END_TEST

START_TEST(flags_name_what_is_wrong)
{
    char text[64];
    rg_levels fine = {.silent_share = 0.5, .clipped_share = 1e-4};
    ck_assert_str_eq(rg_flag_text(rg_flag_sound(&fine), text), "");
    rg_levels bad = {.silent_share = 1, .clipped_share = 0.1, .dc = -0.2};
    ck_assert_str_eq(rg_flag_text(rg_flag_sound(&bad), text), "silent, clipped, offset");
}
END_TEST

START_TEST(spectral_distances_of_a_gain)
{
    rg_error err = {0};
    double db, by_size[RG_RESOLUTIONS];
    float *a = noise(32000, 0.1, 3), *b = noise(32000, 0.1, 3);
    RG_ASSERT_OK(rg_mel_distance(a, b, 32000, 16000, by_size, &db, &err), &err);
    RG_ASSERT_NEAR(db, 0, 0);
    for (int i = 0; i < 32000; i++) b[i] *= 0.5f; /* every band falls by 6.02 dB */
    RG_ASSERT_OK(rg_mel_distance(a, b, 32000, 16000, by_size, &db, &err), &err);
    RG_ASSERT_NEAR(db, 20 * log10(2), 0.1);
    for (int i = 0; i < RG_RESOLUTIONS; i++) RG_ASSERT_NEAR(by_size[i], 20 * log10(2), 0.2);
    RG_ASSERT_NEAR(db, (by_size[0] + by_size[1] + by_size[2]) / 3, 1e-12);
    RG_ASSERT_OK(rg_stft_distance(a, b, 32000, by_size, &db, &err), &err);
    RG_ASSERT_NEAR(db, 20 * log10(2), 0.1);
    for (int i = 0; i < RG_RESOLUTIONS; i++) RG_ASSERT_NEAR(by_size[i], 20 * log10(2), 0.2);
    free(a);
    free(b);
}
END_TEST

static void keep_peak(void *ctx, int64_t frame, const float *magnitude)
{
    float *peak = ctx;
    if (frame != 3) return;
    for (int b = 0; b <= 512; b++) *peak = fmaxf(*peak, magnitude[b]);
}

START_TEST(a_full_scale_sine_reads_one)
{
    rg_error err = {0};
    float peak = 0, *x = sine(8192, 16384, 16 * 100, 1);
    rg_framing framing = {1024, 256, false};
    RG_ASSERT_OK(rg_each_frame(&framing, x, 8192, keep_peak, &peak, &err), &err);
    RG_ASSERT_NEAR(peak, 1, 1e-4);
    free(x);
}
END_TEST

START_TEST(energy_outside_a_band)
{
    rg_error err = {0};
    rg_outside share;
    float *x = sine(64000, 32000, 500, 0.3);
    add_sine(x, 64000, 32000, 6000, 0.1); /* a tenth of the power of both */
    RG_ASSERT_OK(rg_energy_outside(x, 64000, 32000, 0, 4000, &share, &err), &err);
    RG_ASSERT_NEAR(share.above, 0.1, 1e-3);
    RG_ASSERT_NEAR(share.below, 0, 0);
    RG_ASSERT_OK(rg_energy_outside(x, 64000, 32000, 1000, 16000, &share, &err), &err);
    RG_ASSERT_NEAR(share.below, 0.9, 1e-3);
    RG_ASSERT_NEAR(share.above, 0, 1e-3);
    RG_ASSERT_OK(rg_energy_outside(x, 64000, 32000, 1000, 4000, &share, &err), &err);
    RG_ASSERT_NEAR(share.below + share.above, 1, 1e-3);
    memset(x, 0, 64000 * sizeof *x);
    RG_ASSERT_OK(rg_energy_outside(x, 64000, 32000, 1000, 4000, &share, &err), &err);
    ck_assert(share.below == 0 && share.above == 0);
    free(x);
}
END_TEST

/* 180 Hz and 3 kHz, of which the estimate halves the second and adds noise to nothing else. */
START_TEST(band_errors_are_found_in_their_octave)
{
    enum { N = 64000, RATE = 16000 };
    rg_error err = {0};
    rg_band_error e[RG_BANDS];
    float *x = sine(N, RATE, 180, 0.3), *y = sine(N, RATE, 180, 0.3);
    add_sine(x, N, RATE, 3000, 0.1);
    add_sine(y, N, RATE, 3000, 0.05);
    RG_ASSERT_OK(rg_band_errors(x, y, N, RATE, e, &err), &err);
    for (int i = 1; i < RG_BANDS; i++) ck_assert(rg_bands[i].low == rg_bands[i - 1].high);
    ck_assert_str_eq(rg_bands[6].name, "2000-4000 Hz");
    RG_ASSERT_NEAR(e[2].share, 0.9, 1e-3);
    RG_ASSERT_NEAR(e[6].share, 0.1, 1e-3);
    RG_ASSERT_NEAR(e[6].level, -20 * log10(2), 0.01);
    RG_ASSERT_NEAR(e[6].snr, 20 * log10(2), 0.01); /* half is missing: |X|^2 / |X/2|^2 */
    RG_ASSERT_NEAR(e[2].level, 0, 0.001);
    ck_assert(e[2].snr > 50 && isnan(e[4].snr) && isnan(e[8].share));
    memset(y, 0, N * sizeof *y);
    RG_ASSERT_OK(rg_band_errors(x, y, N, RATE, e, &err), &err);
    RG_ASSERT_NEAR(e[6].snr, 0, 1e-9);
    RG_ASSERT_NEAR(e[6].level, -100, 0);
    free(x);
    free(y);
}
END_TEST

/* Noise fills every bin, so a gain is the same distance in every band. */
START_TEST(band_distance_of_a_gain)
{
    enum { N = 64000, RATE = 48000 };
    rg_error err = {0};
    rg_band_error e[RG_BANDS];
    float *x = noise(N, 0.3, 3), *y = noise(N, 0.3, 3);
    for (int i = 0; i < N; i++) y[i] *= 0.5f;
    RG_ASSERT_OK(rg_band_errors(x, y, N, RATE, e, &err), &err);
    double sum = 0;
    for (int i = 0; i < RG_BANDS; i++) {
        RG_ASSERT_NEAR(e[i].distance, 20 * log10(2), 0.1);
        RG_ASSERT_NEAR(e[i].level, -20 * log10(2), 1e-4);
        sum += e[i].share;
    }
    RG_ASSERT_NEAR(sum, 1, 1e-12);
    RG_ASSERT_NEAR(e[RG_BANDS - 1].share, 1.0 / 3, 0.01); /* 16 to 24 of 24 kHz */
    free(x);
    free(y);
}
END_TEST

/* Short noise bursts at the given times. */
static float *bursts(int64_t n, int32_t rate, const double *seconds, int count)
{
    float *x = calloc((size_t)n, sizeof *x);
    float *burst = noise(rate / 20, 0.3, 9);
    for (int k = 0; k < count; k++)
        for (int64_t i = 0; i < rate / 20; i++) {
            int64_t t = llround(seconds[k] * rate) + i;
            if (t < n) x[t] += burst[i] * expf(-(float)i / (0.01f * (float)rate));
        }
    free(burst);
    return x;
}

START_TEST(onsets_are_found_within_ten_milliseconds)
{
    static const int32_t rates[] = {8000, 16000, 22050, 32000, 44100};
    static const double times[] = {0.5, 1.13, 2.0, 2.42, 3.333};
    for (int r = 0; r < 5; r++) {
        rg_error err = {0};
        int64_t n = 4 * rates[r], frames = rg_onset_frames(n, rates[r]), peaks[64];
        float *x = bursts(n, rates[r], times, 5), envelope[401];
        ck_assert_int_eq(frames, 401);
        RG_ASSERT_OK(rg_onset_envelope(x, n, rates[r], envelope, &err), &err);
        ck_assert_int_eq(rg_onset_peaks(envelope, frames, peaks, 64), 5);
        for (int k = 0; k < 5; k++) RG_ASSERT_NEAR((double)peaks[k] / 100, times[k], 0.0101);
        free(x);
    }
}
END_TEST

START_TEST(onset_f_counts_hits_misses_and_false_alarms)
{
    static const double a[] = {0.5, 1, 1.5, 2, 2.5}, b[] = {0.52, 1.02, 1.7, 2.0};
    rg_error err = {0};
    float *x = bursts(96000, 32000, a, 5), *y = bursts(96000, 32000, b, 4), ex[301], ey[301];
    RG_ASSERT_OK(rg_onset_envelope(x, 96000, 32000, ex, &err), &err);
    RG_ASSERT_OK(rg_onset_envelope(y, 96000, 32000, ey, &err), &err);
    RG_ASSERT_NEAR(rg_onset_f(ex, ex, 301), 1, 0);
    RG_ASSERT_NEAR(rg_onset_f(ex, ey, 301), 2 * 3.0 / 9, 1e-12);
    memset(ey, 0, sizeof ey);
    RG_ASSERT_NEAR(rg_onset_f(ex, ey, 301), 0, 0);
    ck_assert(isnan(rg_onset_f(ey, ex, 301)));
    free(x);
    free(y);
}
END_TEST

START_TEST(coherence_is_one_with_itself_and_falls_when_shifted)
{
    double times[24];
    rg_rng rng = rg_rng_make(4, 4);
    for (int k = 0; k < 24; k++) times[k] = 0.3 + 0.4 * k + 0.15 * rg_rng_uniform(&rng);
    rg_error err = {0};
    float *x = bursts(320000, 32000, times, 24), e[1001];
    RG_ASSERT_OK(rg_onset_envelope(x, 320000, 32000, e, &err), &err);
    RG_ASSERT_NEAR(rg_onset_coherence(e, e, 1001, 0), 1, 1e-9);
    ck_assert(rg_onset_coherence(e, e, 1001, 18) < 0.4);
    ck_assert(rg_onset_prominence(e, e, 1001) > 2.5);
    float zeros[1001] = {0};
    ck_assert(isnan(rg_onset_coherence(e, zeros, 1001, 0)));
    free(x);
}
END_TEST

START_TEST(tempo_of_clicks)
{
    static const double tempi[] = {72, 100, 128, 171};
    for (int k = 0; k < 4; k++) {
        double times[64], bpm;
        rg_error err = {0};
        int n = 0;
        for (; n < 64 && 0.2 + n * 60 / tempi[k] < 11.8; n++) times[n] = 0.2 + n * 60 / tempi[k];
        float *x = bursts(32000 * 12, 32000, times, n), e[1201];
        RG_ASSERT_OK(rg_onset_envelope(x, 32000 * 12, 32000, e, &err), &err);
        RG_ASSERT_OK(rg_tempo_of(e, 1201, &bpm, &err), &err);
        ck_assert_msg(rg_tempo_agrees(tempi[k], bpm, true), "%g, heard %g", tempi[k], bpm);
        if (k > 0 && k < 3) RG_ASSERT_NEAR(bpm, tempi[k], 1);
        memset(e, 0, sizeof e);
        RG_ASSERT_OK(rg_tempo_of(e, 1201, &bpm, &err), &err);
        RG_ASSERT_NEAR(bpm, 0, 0);
        free(x);
    }
    ck_assert(rg_tempo_agrees(100, 103.9, false) && !rg_tempo_agrees(100, 104.1, false));
    ck_assert(rg_tempo_agrees(100, 51, true) && !rg_tempo_agrees(100, 75, true));
}
END_TEST

START_TEST(chroma_of_a_chord)
{
    rg_error err = {0};
    enum { N = 32000 * 4, F = 41 };
    float *c = calloc(N, sizeof *c), *fis = calloc(N, sizeof *fis), a[F * 12], b[F * 12];
    static const int notes[] = {60, 64, 67}; /* C E G, 30 cents sharp: tuning is removed */
    for (int k = 0; k < 3; k++) {
        add_sine(c, N, 32000, 440 * pow(2, (notes[k] + 0.3 - 69) / 12), 0.1);
        add_sine(fis, N, 32000, 440 * pow(2, (notes[k] + 6 - 69) / 12.0), 0.1);
    }
    RG_ASSERT_OK(rg_chroma(c, N, 32000, a, &err), &err);
    RG_ASSERT_OK(rg_chroma(fis, N, 32000, b, &err), &err);
    const float *row = a + 20 * 12;
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < 12; i++)
            if (i != 0 && i != 4 && i != 7) ck_assert(row[notes[k] % 12] > row[i]);
    RG_ASSERT_NEAR(rg_chroma_cosine(a, a, F), 1, 1e-6);
    ck_assert(rg_chroma_cosine(a, b, F) < 0.5);
    ck_assert(rg_chroma_fit(a, a, F) > rg_chroma_fit(a, b, F) + 0.5);
    free(c);
    free(fis);
}
END_TEST

START_TEST(usage_and_perplexity)
{
    int64_t counts[8] = {5, 5, 5, 5, 0, 0, 0, 0};
    rg_code_usage u = rg_usage_of(counts, 8);
    ck_assert_int_eq(u.used, 4);
    RG_ASSERT_NEAR(u.entropy, 2, 1e-12);
    RG_ASSERT_NEAR(u.perplexity, 4, 1e-12);
}
END_TEST

/* A Markov chain over 4 tokens that goes on by one with chance 0.9: entropy rate known. */
START_TEST(bigram_finds_a_markov_chain)
{
    enum { N = 100000 };
    rg_error err = {0};
    int32_t *tokens = malloc(2 * N * sizeof *tokens), last = 0;
    rg_rng rng = rg_rng_make(5, 5);
    for (int i = 0; i < N; i++) {
        last = rg_rng_uniform(&rng) < 0.9 ? (last + 1) % 4 : (int32_t)rg_rng_below(&rng, 4);
        tokens[2 * i] = last;
        tokens[2 * i + 1] = 1; /* another codebook */
    }
    rg_baseline *b = rg_baseline_create(4, &err);
    rg_baseline_fit(b, tokens, N / 2, 2);
    rg_baseline_bits bits = rg_baseline_score(b, tokens + N, N / 2, 2);
    double p = 0.925, q = 0.025, rate = -p * log2(p) - 3 * q * log2(q);
    RG_ASSERT_NEAR(bits.unigram, 2, 0.01);
    RG_ASSERT_NEAR(bits.bigram, rate, 0.02);
    ck_assert_int_eq(bits.n, N / 2);
    bits = rg_baseline_score(b, tokens + 1, 0, 2);
    ck_assert(isnan(bits.unigram));
    rg_baseline_free(b);
    free(tokens);
}
END_TEST

START_TEST(pcm_row_keeps_the_band_that_fits)
{
    enum { N = 32000 };
    rg_error err = {0};
    float *low = sine(N, 16000, 100, 0.5), *both = sine(N, 16000, 100, 0.5), *out = malloc(4 * N);
    add_sine(both, N, 16000, 1500, 0.5);
    /* 8 kbit/s: 1,000 samples a second, so 100 Hz stays and 1,500 Hz goes. */
    RG_ASSERT_OK(rg_pcm_baseline(low, N, 16000, 8000, out, &err), &err);
    ck_assert(rg_si_sdr(low + 2000, out + 2000, N - 4000) > 30);
    RG_ASSERT_OK(rg_pcm_baseline(both, N, 16000, 8000, out, &err), &err);
    ck_assert(rg_si_sdr(low + 2000, out + 2000, N - 4000) > 30);
    RG_ASSERT_NEAR(rg_si_sdr(both + 2000, out + 2000, N - 4000), 0, 0.1);
    RG_ASSERT_OK(rg_pcm_baseline(both, N, 16000, 8 * 16000, out, &err), &err);
    ck_assert(rg_si_sdr(both, out, N) > 40);
    ck_assert_int_eq(rg_pcm_baseline(both, N, 16000, 2, out, &err), RG_ERR_SHAPE);
    free(low);
    free(both);
    free(out);
}
END_TEST

START_TEST(lowpass_keeps_what_it_says)
{
    enum { N = 32000, RATE = 16000 };
    rg_error err = {0};
    float *out = malloc(N * sizeof *out);
    static const struct {
        double hz, low, high; /* dB that may be left */
    } rows[] = {{100, -0.02, 0.02},
                {1800, -0.1, 0.1},
                {2000, -6.2, -5.8},
                {2200, -300, -44},
                {6000, -300, -60}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        float *x = sine(N, RATE, rows[i].hz, 0.5);
        RG_ASSERT_OK(rg_lowpass(x, N, RATE, 2000, out, &err), &err);
        double in = 0, left = 0;
        for (int t = 2000; t < N - 2000; t++) {
            in += x[t] * x[t];
            left += out[t] * out[t];
        }
        double db = 10 * log10(left / in + 1e-30);
        ck_assert_msg(db >= rows[i].low && db <= rows[i].high, "%g Hz: %g dB", rows[i].hz, db);
        free(x);
    }
    float *x = noise(N, 0.1, 4);
    RG_ASSERT_OK(rg_lowpass(x, N, RATE, RATE / 2.0, out, &err), &err);
    ck_assert_mem_eq(x, out, N * sizeof *x);
    ck_assert_int_eq(rg_lowpass(x, N, RATE, 0, out, &err), RG_ERR_SHAPE);
    free(x);
    free(out);
}
END_TEST

START_TEST(bootstrap_interval_has_the_width_of_theory)
{
    double a[400], b[400];
    rg_rng rng = rg_rng_make(6, 6);
    for (int i = 0; i < 400; i++) {
        double song = 10 * rg_rng_normal(&rng);
        a[i] = song + rg_rng_normal(&rng) + 0.5;
        b[i] = song;
    }
    rg_interval one = rg_bootstrap(a, 400, 1), pair = rg_bootstrap_paired(a, b, 400, 1);
    RG_ASSERT_NEAR((one.high - one.low) / (2 * 1.96 * 10 / 20), 1, 0.12);
    RG_ASSERT_NEAR((pair.high - pair.low) / (2 * 1.96 * 1 / 20), 1, 0.12);
    ck_assert(rg_interval_excludes_zero(pair) && !rg_interval_excludes_zero(one));
    a[3] = NAN;
    ck_assert_int_eq(rg_bootstrap(a, 400, 1).n, 399);
    ck_assert(isnan(rg_bootstrap(a, 0, 1).mean));
    double up[] = {2, 3, 3}, down[] = {1, 3};
    RG_ASSERT_NEAR(rg_auc(up, 3, down, 2), (3 + 0 + 0.5 + 0.5) / 6, 1e-12);
}
END_TEST

/* Rows of independent normals: FAD is known in closed form when one set is scaled and moved. */
static void fill(rg_embeddings *set, int64_t n, double mean, double deviation, uint64_t seed)
{
    set->n = set->capacity = n;
    set->rows = noise(n * RG_EMBEDDING_SIZE, deviation, seed);
    for (int64_t i = 0; i < n * RG_EMBEDDING_SIZE; i++) set->rows[i] += (float)mean;
}

START_TEST(fad_and_kad_of_known_gaussians)
{
    rg_error err = {0};
    rg_embeddings a, b, c;
    double same, far, kad_same, kad_far;
    fill(&a, 6000, 0, 1, 1);
    fill(&b, 6000, 0, 1, 2);
    fill(&c, 6000, 0.5, 2, 3);
    RG_ASSERT_OK(rg_fad(&a, &b, &same, &err), &err);
    RG_ASSERT_OK(rg_fad(&a, &c, &far, &err), &err);
    ck_assert_msg(same < 2, "FAD of equal sets is %g", same);
    RG_ASSERT_NEAR(far, RG_EMBEDDING_SIZE * (0.25 + 1), 4);
    RG_ASSERT_OK(rg_kad(&a, &b, 1, &kad_same, &err), &err);
    RG_ASSERT_OK(rg_kad(&a, &c, 1, &kad_far, &err), &err);
    ck_assert_msg(fabs(kad_same) < 1 && kad_far > 50, "KAD %g and %g", kad_same, kad_far);
    rg_embeddings_free(&a);
    rg_embeddings_free(&b);
    rg_embeddings_free(&c);
}
END_TEST

static void embed(rg_embeddings *set, float *x, int64_t n)
{
    rg_error err = {0};
    RG_ASSERT_OK(rg_embeddings_add(set, x, n, &err), &err);
    free(x);
}

/* Chords of random notes; `dull` takes the high partials away, `reversed` turns time round. */
static float *music(uint64_t seed, bool dull, bool reversed)
{
    enum { N = 32000 * 8 };
    float *x = calloc(N, sizeof *x);
    rg_rng rng = rg_rng_make(seed, 77);
    for (int k = 0; k < 32; k++) {
        double hz = 110 * pow(2, (double)rg_rng_below(&rng, 36) / 12);
        int64_t start = k * 8000;
        for (int h = 1; h <= (dull ? 2 : 16); h++)
            for (int64_t i = 0; i < 16000 && start + i < N; i++)
                x[start + i] += (float)(0.1 / h * sin(2 * M_PI * hz * h * (double)i / 32000) *
                                        exp(-(double)i / 6000));
    }
    for (int64_t i = 0; reversed && i < N / 2; i++) {
        float t = x[i];
        x[i] = x[N - 1 - i];
        x[N - 1 - i] = t;
    }
    return x;
}

START_TEST(kad_orders_corruptions_and_is_blind_to_reversal)
{
    rg_error err = {0};
    double value[3];
    for (int which = 0; which < 3; which++) {
        rg_embeddings reference = {0}, other = {0};
        for (uint64_t s = 0; s < 6; s++) embed(&reference, music(s, false, false), 32000 * 8);
        for (uint64_t s = 9; s < 15; s++)
            embed(&other, music(s, which == 1, which == 2), 32000 * 8);
        ck_assert_int_eq(other.n, 6 * 7);
        rg_embeddings_standardise(&reference, &other);
        RG_ASSERT_OK(rg_kad(&reference, &other, 1, &value[which], &err), &err);
        rg_embeddings_free(&reference);
        rg_embeddings_free(&other);
    }
    ck_assert_msg(value[1] > value[0] + 100, "dull %g, clean %g", value[1], value[0]);
    ck_assert_msg(fabs(value[2] - value[0]) < 20, "reversed %g, clean %g", value[2], value[0]);
}
END_TEST

RG_TEST_MAIN("metrics", 120, si_sdr_of_added_noise_is_its_level, si_snr_is_a_mean_over_frames,
             band_errors_are_found_in_their_octave, band_distance_of_a_gain,
             lowpass_keeps_what_it_says, loudness_difference_of_a_gain, flags_name_what_is_wrong,
             spectral_distances_of_a_gain, a_full_scale_sine_reads_one, energy_outside_a_band,
             onsets_are_found_within_ten_milliseconds, onset_f_counts_hits_misses_and_false_alarms,
             coherence_is_one_with_itself_and_falls_when_shifted, tempo_of_clicks,
             chroma_of_a_chord, usage_and_perplexity, bigram_finds_a_markov_chain,
             pcm_row_keeps_the_band_that_fits, bootstrap_interval_has_the_width_of_theory,
             fad_and_kad_of_known_gaussians, kad_orders_corruptions_and_is_blind_to_reversal)
