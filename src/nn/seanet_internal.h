/*
 * The stages of a SEANet, for those who run them: over a whole signal (seanet.c) or piece by piece
 * (seanet_stream.c).
 */
#ifndef RG_NN_SEANET_INTERNAL_H
#define RG_NN_SEANET_INTERNAL_H

#include "nn/seanet.h"

typedef enum seanet_stage_kind {
    STAGE_CONV,
    STAGE_CONV_TR,
    STAGE_RESIDUAL,
    STAGE_LSTM
} seanet_stage_kind;

typedef struct seanet_stage {
    seanet_stage_kind kind;
    rg_conv_layer conv;             /* CONV, CONV_TR; RESIDUAL: the first */
    rg_conv_layer second, shortcut; /* RESIDUAL; shortcut.weight NULL: identity */
    rg_lstm_layers lstm;            /* LSTM */
} seanet_stage;

/* first, last, LSTM, and per ratio one resampler and the residual layers */
enum { SEANET_STAGES = 3 + RG_MAX_RATIOS * (1 + RG_MAX_RESIDUAL_LAYERS) };

struct rg_seanet {
    int32_t n;
    seanet_stage stages[SEANET_STAGES];
};

#endif
