/*
 * Banks of triangular mel filters.
 *
 * One idea: a bank is a matrix (bins,bands) that a spectrogram is multiplied with; the two usual
 * scales and both normalisations are there, because losses, features and published metrics each
 * want another one. Not here: the spectrogram (ops.h).
 */
#ifndef RG_AUDIO_MEL_H
#define RG_AUDIO_MEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef enum rg_mel_scale {
    RG_MEL_HTK,   /* 2595 log10(1 + f/700) */
    RG_MEL_SLANEY /* linear below 1 kHz, logarithmic above (Slaney's Auditory Toolbox) */
} rg_mel_scale;

typedef struct rg_mel_bank {
    int32_t rate, n_fft, bands;
    double low, high; /* Hz; high 0: half the rate */
    rg_mel_scale scale;
    bool area; /* each triangle divided by half its width in Hz (Slaney's norm); else height 1 */
} rg_mel_bank;

double rg_mel_from_hz(rg_mel_scale scale, double hz);
double rg_mel_to_hz(rg_mel_scale scale, double mel);

/*
 * out (n_fft/2+1, bands). A band narrower than the distance of two bins may be all zeros, as in
 * torchaudio. RG_ERR_USAGE when the frequencies do not fit 0 <= low < high <= rate/2.
 */
rg_status rg_mel_bank_make(const rg_mel_bank *bank, float *out, rg_error *err) RG_MUST_USE;

#endif
