/*
 * The operators' constructors: what models are written with.
 *
 * One idea: each runs at once and returns tensors of the step arena (the caller frees nothing).
 * Given NULL for a required input, or after any error, each returns NULL and does nothing; the
 * first error is in ex->error. Shapes: B items, T steps, C channels. "real" is the kernels' float
 * type. Not here: parameters and layers (src/nn).
 */
#ifndef RG_OPS_OPS_H
#define RG_OPS_OPS_H

#include "engine/exec.h"

/* y (...,N) = act(x (...,K) w (K,N) + bias (N) or NULL). */
rg_tensor *rg_linear(rg_exec *ex, rg_tensor *x, rg_tensor *w, rg_tensor *bias, rg_act act);

typedef struct rg_conv1d_attr {
    int32_t stride, dilation;
    int64_t pad_left,
        pad_right; /* as given; reflect on an input shorter than the pad is done as EnCodec does */
    rg_pad pad_mode;
    rg_act act_in; /* applied to x on load */
} rg_conv1d_attr;
/* x (B,T,C_in), w (K,C_in,C_out), bias (C_out) or NULL -> (B,T_out,C_out). */
rg_tensor *rg_conv1d(rg_exec *ex, rg_tensor *x, rg_tensor *w, rg_tensor *bias,
                     const rg_conv1d_attr *attr);

typedef struct rg_conv_tr1d_attr {
    int32_t stride;
    int64_t trim_left, trim_right;
    rg_act act_in;
} rg_conv_tr1d_attr;
/* x (B,T,C_in), w (K,C_in,C_out) -> (B,(T-1)*stride + K - trims,C_out). */
rg_tensor *rg_conv_tr1d(rg_exec *ex, rg_tensor *x, rg_tensor *w, rg_tensor *bias,
                        const rg_conv_tr1d_attr *attr);

typedef struct rg_conv2d_attr {
    int32_t stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w;
    rg_act act;   /* applied to the result: NONE or LEAKY_RELU */
    double slope; /* of LEAKY_RELU: 0 or more */
} rg_conv2d_attr;
/* x (B,H,W,C_in), w (KH,KW,C_in,C_out) -> (B,OH,OW,C_out). */
rg_tensor *rg_conv2d(rg_exec *ex, rg_tensor *x, rg_tensor *w, rg_tensor *bias,
                     const rg_conv2d_attr *attr);

/* x (B,T,C), w_ih (C,4H), w_hh (H,4H), bias (4H), zero initial state -> (B,T,H). Gates i, f, g, o.
 */
rg_tensor *rg_lstm(rg_exec *ex, rg_tensor *x, rg_tensor *w_ih, rg_tensor *w_hh, rg_tensor *bias);
/* The same from a state h0, c0 (B,H), which gets no gradient. *c_last (B,H): the cells after the
 * last step; the rest of the new state is the last step of the result. A sequence in pieces gives
 * the bits of the whole. */
rg_tensor *rg_lstm_from(rg_exec *ex, rg_tensor *x, rg_tensor *w_ih, rg_tensor *w_hh,
                        rg_tensor *bias, rg_tensor *h0, rg_tensor *c0, rg_tensor **c_last);

/* y = layernorm(x) over the last axis; gain (C), bias (C) or NULL. */
rg_tensor *rg_layernorm(rg_exec *ex, rg_tensor *x, rg_tensor *gain, rg_tensor *bias, double eps);
/* The same of *x + residual; *x becomes the sum, which goes on as the residual stream. */
rg_tensor *rg_residual_layernorm(rg_exec *ex, rg_tensor **x, rg_tensor *residual, rg_tensor *gain,
                                 rg_tensor *bias, double eps);

/* x (B,T,C) -> (x - mean) / sqrt(variance + eps) * gain + bias, mean and variance of an item over
 * its steps and channels (Wu and He 1803.08494 with one group); gain (C), bias (C) or NULL. */
rg_tensor *rg_groupnorm(rg_exec *ex, rg_tensor *x, rg_tensor *gain, rg_tensor *bias, double eps);

typedef struct rg_attention_attr {
    int32_t heads;
    int64_t channels; /* H*D: width of the q, k and v column blocks */
    int64_t q_column, k_column,
        v_column; /* where they start in the rows of q_source and kv_source */
    bool causal;
    double window;    /* |q_pos - k_pos| at most this; < 0: no band */
    double rope_base; /* 0: no rotary positions */
} rg_attention_attr;
/*
 * q_source (B,Tq,Cq), kv_source (B,Tk,Ck) (the same tensor for self-attention) -> (B,Tq,channels).
 * q_pos (Tq), k_pos (Tk): F32 positions in frames or NULL: 0, 1, 2 ...; key_mask (B,Tk) U8 or NULL:
 * all.
 */
rg_tensor *rg_attention(rg_exec *ex, rg_tensor *q_source, rg_tensor *kv_source, rg_tensor *q_pos,
                        rg_tensor *k_pos, rg_tensor *key_mask, const rg_attention_attr *attr);

/* codes (B,T,K) I32, table (K,V,C) -> (B,T,C): sum over k of table[k, codes[..,k]]; negative codes
 * add nothing. */
rg_tensor *rg_embedding(rg_exec *ex, rg_tensor *codes, rg_tensor *table);

/* Elementwise; slope is for LEAKY_RELU. */
rg_tensor *rg_activation(rg_exec *ex, rg_tensor *x, rg_act act, double slope);

/*
 * logits (...,V), targets (...) I32 with negatives ignored, weight (...) F32 or NULL -> loss (1):
 * the weighted mean of the negative log-likelihoods in nats; *nll (...) (not differentiable) when
 * nll is not NULL.
 */
rg_tensor *rg_softmax_ce(rg_exec *ex, rg_tensor *logits, rg_tensor *targets, rg_tensor *weight,
                         rg_tensor **nll);

typedef struct rg_rvq_out {
    rg_tensor *quantized; /* (B,T,D); straight-through: its gradient goes to x unchanged */
    rg_tensor *commit;    /* (1) */
    rg_tensor *codes;     /* (B,T,K) I32; columns from n_q on are -1 */
    rg_tensor *residuals; /* (n_q,B*T,D) inputs of each layer while recording, else NULL */
} rg_rvq_out;
/* x (B,T,D), books (K,V,D) state; codes (B,T,K) I32 given or NULL: searched. */
rg_rvq_out rg_rvq(rg_exec *ex, rg_tensor *x, rg_tensor *books, rg_tensor *codes, int32_t n_q);

typedef struct rg_stft_attr {
    int32_t n_fft, hop;
    int64_t pad_left, pad_right, frames; /* frames 0: as many as fit without zero fill */
    rg_pad pad_mode;
    bool normalized; /* divides by the window's L2 norm */
} rg_stft_attr;
/* x (B,T) -> (B,F,n_fft/2+1,2), real and imaginary parts. */
rg_tensor *rg_stft(rg_exec *ex, rg_tensor *x, const rg_stft_attr *attr);

typedef struct rg_spectrogram_attr {
    rg_stft_attr stft;
    int32_t power;    /* 1: magnitude, 2: power */
    double log_floor; /* log output = log10(log_floor + y) */
} rg_spectrogram_attr;
/* x (B,T), bank (bins,M) or NULL -> y (B,F,M or bins) and *log_y (same shape) when log_y is not
 * NULL. */
rg_tensor *rg_spectrogram(rg_exec *ex, rg_tensor *x, rg_tensor *bank,
                          const rg_spectrogram_attr *attr, rg_tensor **log_y);

/* A scalar (1) between a and b of equal shape (first axis: items); gradient flows to a only.
 * RELATIVE_L1 takes all of a and b as one item: mean |a - b| / mean |b|. */
rg_tensor *rg_distance(rg_exec *ex, rg_tensor *a, rg_tensor *b, rg_distance_kind kind);

/* The mean of all elements (1); 0 of none. */
rg_tensor *rg_mean(rg_exec *ex, rg_tensor *x);

/* alpha a + beta b; b has a's shape or a suffix of it (broadcast over the leading axes). */
rg_tensor *rg_add(rg_exec *ex, rg_tensor *a, rg_tensor *b, double alpha, double beta);
rg_tensor *rg_scale(rg_exec *ex, rg_tensor *x, double factor);
/* Item b of x (B,...) times items[b]; no gradient flows to items (B). */
rg_tensor *rg_scale_items(rg_exec *ex, rg_tensor *x, rg_tensor *items);
/* Along axis 0 .. ndim-1; n tensors, 2 <= n <= RG_MAX_IN. */
rg_tensor *rg_concat(rg_exec *ex, rg_tensor *const *parts, int32_t n, int32_t axis);
rg_tensor *rg_slice(rg_exec *ex, rg_tensor *x, int32_t axis, int64_t start, int64_t length);
/* Between what activations are stored in and `real` (exec.h); x itself where it has that type.
 * Operators convert what they are given: widen is for results that are read or seeded. */
rg_tensor *rg_narrow(rg_exec *ex, rg_tensor *x);
rg_tensor *rg_widen(rg_exec *ex, rg_tensor *x);
/* Identity when not recording or p is 0. */
rg_tensor *rg_dropout(rg_exec *ex, rg_tensor *x, double p);

#endif
