/*
 * Mel filter banks (mel.h).
 */
#include "audio/mel.h"

#include <math.h>

/* Slaney's scale: 3 mel per 200 Hz up to 1 kHz (15 mel), from there 27 mel per factor 6.4. */
static const double slaney_hz_per_mel = 200.0 / 3, slaney_knee_hz = 1000, slaney_knee_mel = 15;

static double slaney_step(void)
{
    return log(6.4) / 27;
}

double rg_mel_from_hz(rg_mel_scale scale, double hz)
{
    if (scale == RG_MEL_HTK) return 2595 * log10(1 + hz / 700);
    if (hz < slaney_knee_hz) return hz / slaney_hz_per_mel;
    return slaney_knee_mel + log(hz / slaney_knee_hz) / slaney_step();
}

double rg_mel_to_hz(rg_mel_scale scale, double mel)
{
    if (scale == RG_MEL_HTK) return 700 * (pow(10, mel / 2595) - 1);
    if (mel < slaney_knee_mel) return mel * slaney_hz_per_mel;
    return slaney_knee_hz * exp((mel - slaney_knee_mel) * slaney_step());
}

/* Height at `hz` of the triangle with feet `left` and `right` and its top at `top`. */
static double triangle(double hz, double left, double top, double right)
{
    double rise = (hz - left) / (top - left), fall = (right - hz) / (right - top);
    double height = rise < fall ? rise : fall;
    return height > 0 ? height : 0;
}

rg_status rg_mel_bank_make(const rg_mel_bank *bank, float *out, rg_error *err)
{
    double half = bank->rate / 2.0, high = bank->high > 0 ? bank->high : half;
    if (!(bank->low >= 0 && bank->low < high && high <= half) || bank->bands < 1)
        return rg_fail(err, RG_ERR_USAGE,
                       "mel bank: %d bands from %g to %g Hz do not fit a rate of %d Hz",
                       (int)bank->bands, bank->low, high, (int)bank->rate);
    double from = rg_mel_from_hz(bank->scale, bank->low);
    double step = (rg_mel_from_hz(bank->scale, high) - from) / (bank->bands + 1);
    for (int32_t m = 0; m < bank->bands; m++) {
        double left = rg_mel_to_hz(bank->scale, from + m * step);
        double top = rg_mel_to_hz(bank->scale, from + (m + 1) * step);
        double right = rg_mel_to_hz(bank->scale, from + (m + 2) * step);
        double height = bank->area ? 2 / (right - left) : 1;
        for (int32_t bin = 0; bin <= bank->n_fft / 2; bin++) {
            double hz = (double)bin * bank->rate / bank->n_fft;
            out[(int64_t)bin * bank->bands + m] = (float)(height * triangle(hz, left, top, right));
        }
    }
    return RG_OK;
}
