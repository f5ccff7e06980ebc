/*
 * SI-SDR, SI-SNR, SNR, loudness difference and sound flags (signal.h). Sums are doubles in sample
 * order.
 */
#include "eval/metrics/signal.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

static const double silent_power = 1e-9; /* -90 dBFS */

static double mean_of(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return n > 0 ? sum / (double)n : 0;
}

static double ratio_db(double signal, double noise)
{
    if (!(signal > 0)) return RG_DB_LOW;
    if (!(noise > 0)) return RG_DB_HIGH;
    double db = 10 * log10(signal / noise);
    return db < RG_DB_LOW ? RG_DB_LOW : db > RG_DB_HIGH ? RG_DB_HIGH : db;
}

double rg_si_sdr(const float *reference, const float *estimate, int64_t n)
{
    double mr = mean_of(reference, n), me = mean_of(estimate, n), rr = 0, re = 0, noise = 0;
    for (int64_t i = 0; i < n; i++) {
        double r = reference[i] - mr;
        rr += r * r;
        re += r * (estimate[i] - me);
    }
    if (!(rr > silent_power * (double)n)) return NAN;
    double scale = re / rr;
    for (int64_t i = 0; i < n; i++) {
        double d = (estimate[i] - me) - scale * (reference[i] - mr);
        noise += d * d;
    }
    return ratio_db(scale * scale * rr, noise);
}

/* One frame of `size` samples, of which the signals have n; the rest is zeros. */
static double si_snr_frame(const float *reference, const float *estimate, int64_t n, int64_t size)
{
    double share = (double)n / (double)size, mr = share * mean_of(reference, n),
           me = share * mean_of(estimate, n), rr = 0, re = 0, noise = 0;
    double eps = ldexp((double)size, -23);
    for (int64_t i = 0; i < size; i++) {
        double r = (i < n ? reference[i] : 0) - mr, e = (i < n ? estimate[i] : 0) - me;
        rr += r * r;
        re += r * e;
    }
    double scale = re / (eps + rr);
    for (int64_t i = 0; i < size; i++) {
        double r = (i < n ? reference[i] : 0) - mr, e = (i < n ? estimate[i] : 0) - me;
        noise += (e - scale * r) * (e - scale * r);
    }
    return 10 * log10((eps + scale * scale * rr) / (eps + noise));
}

double rg_si_snr(const float *reference, const float *estimate, int64_t n, int32_t rate)
{
    int64_t size = 5 * (int64_t)rate, hop = size / 2, frames = 0;
    double sum = 0, power = 0;
    for (int64_t i = 0; i < n; i++) power += (double)reference[i] * reference[i];
    if (!(power > silent_power * (double)n)) return NAN;
    for (int64_t at = 0; frames == 0 || at - hop + size < n; at += hop, frames++) {
        int64_t left = n - at < size ? n - at : size;
        sum += si_snr_frame(reference + at, estimate + at, left, size);
    }
    return sum / (double)frames;
}

double rg_snr(const float *reference, const float *estimate, int64_t n)
{
    double signal = 0, noise = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)reference[i] - estimate[i];
        signal += (double)reference[i] * reference[i];
        noise += d * d;
    }
    return signal > silent_power * (double)n ? ratio_db(signal, noise) : NAN;
}

rg_status rg_loudness_difference(const float *reference, const float *estimate, int64_t n,
                                 int32_t rate, double *lu, rg_error *err)
{
    double a, b;
    rg_audio sound = {(float *)reference, n, 1, rate};
    RG_TRY(rg_audio_loudness(&sound, &a, err));
    sound.samples = (float *)estimate;
    RG_TRY(rg_audio_loudness(&sound, &b, err));
    *lu = isfinite(a) && isfinite(b) ? b - a : NAN;
    return RG_OK;
}

rg_sound_flags rg_flag_sound(const rg_levels *levels)
{
    return (rg_sound_flags){.silent = levels->silent_share > 0.95,
                            .clipped = levels->clipped_share > 0.001,
                            .offset = fabs(levels->dc) > 0.01};
}

const char *rg_flag_text(rg_sound_flags flags, char out[64])
{
    const char *words[] = {flags.silent ? "silent" : NULL, flags.clipped ? "clipped" : NULL,
                           flags.offset ? "offset" : NULL};
    out[0] = 0;
    for (int i = 0; i < 3; i++)
        if (words[i])
            rg_format(out + strlen(out), 64 - strlen(out), "%s%s", out[0] ? ", " : "", words[i]);
    return out;
}
