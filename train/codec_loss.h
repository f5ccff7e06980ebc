/*
 * The losses of a codec: waveform, multi-scale mel, and what a discriminator makes of the output;
 * as values and as gradients at the codec's output.
 *
 * One idea: a table of terms, each a handful of scalar roots with their shares; the balancer wants
 * the gradient of each term at the output, so the output enters as a leaf and the tape of a term
 * ends there. The discriminator's parameters are no targets, so they get no gradient from here.
 * Not here: their weights and sum (balancer.h), commitment (the quantizer's), the discriminator's
 * own loss (codec_judge.h).
 */
#ifndef RG_TRAIN_CODEC_LOSS_H
#define RG_TRAIN_CODEC_LOSS_H

#include "models/discriminator.h"

typedef enum rg_codec_term {
    RG_CODEC_L1,   /* mean |y - x| */
    RG_CODEC_MSE,  /* mean over items of |y - x|^2 / |x|^2 */
    RG_CODEC_MEL,  /* mean over scales of (L1 of mel power + MSE of its log10, or of itself) / 2 */
    RG_CODEC_ADV,  /* from here on with a discriminator D: mean over scales of mean -D(y), or of
                     mean max(0, 1 - D(y)) */
    RG_CODEC_FEAT, /* mean over scales and layers of mean |D_l(y) - D_l(x)|, or of that over
                      mean |D_l(x)| */
    RG_CODEC_TERMS
} rg_codec_term;
const char *rg_codec_term_name(rg_codec_term term); /* "l1", "mse", "mel", "adv", "feat" */

enum { RG_MAX_MEL_SCALES = 8 };

typedef struct rg_codec_loss {
    int32_t rate, bands, n_scales, n_fft[RG_MAX_MEL_SCALES]; /* Hann, hop n_fft/4, from 64 Hz */
    rg_tensor *bank[RG_MAX_MEL_SCALES];                      /* state (bins,bands) */
    double scale;       /* of activations' gradients in 16 bits; a power of two, 0: 1 */
    bool mel_linear;    /* the squared difference is of mel power, not of its log10 */
    bool adv_hinge;     /* max(0, 1 - D(y)), not -D(y) */
    bool feat_relative; /* over mean |D_l(x)| */
} rg_codec_loss;

/* Makes the banks in the exec's persist arena. RG_ERR_CONFIG for sizes that are no powers of two.
 */
rg_status rg_codec_loss_make(rg_codec_loss *loss, rg_exec *ex, int32_t rate, int32_t bands,
                             const int32_t *n_fft, int32_t n_scales, rg_error *err) RG_MUST_USE;

/* What the losses say of a batch. */
typedef struct rg_codec_losses {
    double values[RG_CODEC_TERMS];
    rg_tensor *gradients[RG_CODEC_TERMS]; /* (N,T), d term / d y, in the step arena */
    double real, fake;                    /* mean logits of x and of y; 0 without a discriminator */
} rg_codec_losses;

/*
 * y, x (N,T): output and target, a row for each item and channel. `wanted[term]` false: the value
 * is computed, the gradient is NULL. judge NULL: no discriminator; its terms are 0 and have no
 * gradient. On their way through the discriminator they are `loss->scale` times as large.
 */
rg_status rg_codec_loss_gradients(rg_exec *ex, const rg_codec_loss *loss,
                                  const rg_discriminator *judge, rg_tensor *y, rg_tensor *x,
                                  const bool wanted[RG_CODEC_TERMS],
                                  rg_codec_losses *out) RG_MUST_USE;

/* Mean over scales of mean |log10 mel(y) - log10 mel(x)|: the distance that validation reports. */
rg_status rg_codec_mel_distance(rg_exec *ex, const rg_codec_loss *loss, rg_tensor *y, rg_tensor *x,
                                double *out) RG_MUST_USE;

#endif
