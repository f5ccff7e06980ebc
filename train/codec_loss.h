/*
 * The reconstruction losses of a codec: waveform and multi-scale log-mel, as values and as
 * gradients at the codec's output.
 *
 * One idea: a table of terms, each a handful of scalar roots with their shares; the balancer wants
 * the gradient of each term at the output, so the output enters as a leaf and the tape of a term
 * ends there. A discriminator's terms (adversarial, feature matching) join this table.
 * Not here: their weights and sum (balancer.h), commitment (the quantizer's).
 */
#ifndef RG_TRAIN_CODEC_LOSS_H
#define RG_TRAIN_CODEC_LOSS_H

#include "ops/ops.h"

typedef enum rg_codec_term {
    RG_CODEC_L1,  /* mean |y - x| */
    RG_CODEC_MSE, /* mean over items of |y - x|^2 / |x|^2 */
    RG_CODEC_MEL, /* mean over scales of (L1 of mel power + MSE of its log10) / 2 */
    RG_CODEC_TERMS
} rg_codec_term;
const char *rg_codec_term_name(rg_codec_term term); /* "l1", "mse", "mel" */

enum { RG_MAX_MEL_SCALES = 8 };

typedef struct rg_codec_loss {
    int32_t rate, bands, n_scales, n_fft[RG_MAX_MEL_SCALES]; /* Hann, hop n_fft/4, from 64 Hz */
    rg_tensor *bank[RG_MAX_MEL_SCALES];                      /* state (bins,bands) */
} rg_codec_loss;

/* Makes the banks in the exec's persist arena. RG_ERR_CONFIG for sizes that are no powers of two.
 */
rg_status rg_codec_loss_make(rg_codec_loss *loss, rg_exec *ex, int32_t rate, int32_t bands,
                             const int32_t *n_fft, int32_t n_scales, rg_error *err) RG_MUST_USE;

/*
 * y, x (B,T): output and target. values[term]; gradients[term] (B,T) = d term / d y in the step
 * arena. `wanted[term]` false: the value is computed, the gradient is NULL.
 */
rg_status rg_codec_loss_gradients(rg_exec *ex, const rg_codec_loss *loss, rg_tensor *y,
                                  rg_tensor *x, const bool wanted[RG_CODEC_TERMS],
                                  double values[RG_CODEC_TERMS],
                                  rg_tensor *gradients[RG_CODEC_TERMS]) RG_MUST_USE;

/* Mean over scales of mean |log10 mel(y) - log10 mel(x)|: the distance that validation reports. */
rg_status rg_codec_mel_distance(rg_exec *ex, const rg_codec_loss *loss, rg_tensor *y, rg_tensor *x,
                                double *out) RG_MUST_USE;

#endif
