/*
 * The multi-scale STFT discriminator of EnCodec (Defossez et al. 2210.13438, 3.4): says of a signal
 * whether it is a recording or a codec's output.
 *
 * One idea: one small stack of convolutions for each FFT size looks at the complex spectrum as an
 * image of two channels over (frame, bin). It is trained against the codec, so it has parameters of
 * its own, apart from the codec's.
 * Not here: losses and training (train/codec_loss.h, train/codec_judge.c).
 */
#ifndef RG_MODELS_DISCRIMINATOR_H
#define RG_MODELS_DISCRIMINATOR_H

#include "engine/params.h"
#include "ops/ops.h"

enum { RG_MAX_JUDGE_SCALES = 8, RG_JUDGE_MAPS = 5 };

/*
 * What published discriminators differ in: FFT sizes (2048 to 128, doubled at 48 kHz), 32 filters,
 * a kernel of 3 frames by 9 bins (8 in the paper's text) and the slope of LeakyReLU (0.2 or 0.3).
 */
typedef struct rg_discriminator_config {
    int32_t n_scales, n_fft[RG_MAX_JUDGE_SCALES]; /* powers of two; window n_fft, hop n_fft/4 */
    int32_t filters, kernel_h, kernel_w;          /* frames, bins */
    double slope;
} rg_discriminator_config;

typedef struct rg_discriminator rg_discriminator;

/* RG_ERR_CONFIG naming the first member out of range. */
rg_status rg_discriminator_check(const rg_discriminator_config *config, rg_error *err) RG_MUST_USE;

/*
 * Declares the parameters under `prefix` ("discriminator.0.") in params, which must outlive the
 * model. NULL and a text in err when the configuration is wrong or memory is out.
 */
rg_discriminator *rg_discriminator_create(rg_params *params, const char *prefix,
                                          const rg_discriminator_config *config, rg_error *err);
void rg_discriminator_destroy(rg_discriminator *judge); /* NULL is fine */

/* Of each scale: logits (N,F,W,1), above 0 for recordings, and the maps (N,F,W',filters) after each
 * inner layer's activation. */
typedef struct rg_judgement {
    int32_t n_scales;
    rg_tensor *logits[RG_MAX_JUDGE_SCALES];
    rg_tensor *maps[RG_MAX_JUDGE_SCALES][RG_JUDGE_MAPS];
} rg_judgement;

/*
 * x (N,T): one row for each item and channel; the channels of a stereo signal are judged apart. T
 * below an n_fft: that scale hears nothing (F is 0). After an error the tensors are NULL.
 */
rg_judgement rg_discriminator_run(rg_exec *ex, const rg_discriminator *judge, rg_tensor *x);

/* The scalar mean max(0, 1 - side * logits): what logits lack that should lie beyond `side` (1 or
 * -1). */
rg_tensor *rg_hinge(rg_exec *ex, rg_tensor *logits, double side);

#endif
