/*
 * The kernels' side of every operator: plain structs of raw pointers and sizes, and one table of
 * function pointers per backend and instruction set.
 *
 * One idea: kernels know no tensors and no tape. They never use the heap, never print, and fail
 * only through ctx->error. `real` below is float or double as the table says (rg_kernels.real);
 * buffers that hold real values are void pointers, all others are typed. Activations are
 * channels-last, rows contiguous, in the notation x (B,T,C).
 *
 * Rules for every slot:
 *  - outputs of a *_grad call may be NULL: not wanted, not computed. `add_*` says whether an output
 * is added to (true) or overwritten (false).
 *  - inputs are never changed; outputs never overlap inputs unless a comment says so; pointers need
 * the alignment of their element only.
 *  - any size may be 0: nothing is written but sums, which become 0.
 *  - an element's bits depend on its inputs, attributes and ISA; never on batch, position or the
 * number of threads.
 *  - scratch comes from ctx->scratch; the caller rewinds it after the call.
 */
#ifndef RG_KERNELS_KERNELS_H
#define RG_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/fft.h"
#include "base/status.h"
#include "base/threads.h"

RG_C_BEGIN

/* name, bytes, safetensors name */
#define RG_DTYPES(X)   \
    X(F32, 4, "F32")   \
    X(F64, 8, "F64")   \
    X(BF16, 2, "BF16") \
    X(F16, 2, "F16")   \
    X(I32, 4, "I32")   \
    X(I64, 8, "I64")   \
    X(U8, 1, "U8")     \
    X(I8, 1, "I8")

typedef enum rg_dtype {
#define X(name, bytes, text) RG_##name,
    RG_DTYPES(X)
#undef X
        RG_DTYPE_COUNT
} rg_dtype;

typedef enum rg_act {
    RG_ACT_NONE,
    RG_ACT_ELU,
    RG_ACT_GELU,
    RG_ACT_LEAKY_RELU,
    RG_ACT_COUNT
} rg_act;
/* Slope of LEAKY_RELU where an operator fuses it and has no attribute for it (EnCodec's value). */
#define RG_FUSED_LEAKY_SLOPE 0.2
typedef enum rg_pad { RG_PAD_ZERO, RG_PAD_REFLECT, RG_PAD_COUNT } rg_pad;

/*
 * What a kernel of a device finds wrong with its data, where a kernel of the CPU returns
 * RG_ERR_SHAPE: the largest number seen stays in *ctx->fault until who reads results clears it.
 * The outputs of such a call are finite but without meaning.
 */
typedef enum rg_fault_code {
    RG_FAULT_NONE,
    RG_FAULT_CODE,  /* a code beyond its book */
    RG_FAULT_TARGET /* a target beyond the classes */
} rg_fault_code;

/* All that a kernel sees of its caller. */
typedef struct rg_kernel_ctx {
    /* F32, or BF16 (on a GPU also F16): both operands of every product of linear, the
     * convolutions, lstm and attention are rounded to it, in their gradients too, and summed in
     * fp32; operands below 2^-126, the subnormal ones, may be taken as zeros */
    rg_dtype operands;
    rg_arena *scratch;
    rg_pool *pool;          /* NULL: one thread */
    void *stream;           /* the device's stream; NULL on the CPU */
    uint32_t *fault;        /* on the device: rg_fault_code, by atomic maximum; NULL on the CPU */
    struct rg_gpu *gpu;     /* whose stream it is (gpu.h); NULL on the CPU */
    struct rg_tally *tally; /* what idle kernels count (idle.h); NULL: nothing */
    rg_error *error;        /* never NULL */
} rg_kernel_ctx;

/*
 * A weight in the form that this backend's GEMM reads, made once per optimizer step from a plain
 * row-major w (rows, cols): for x W and for dy W^T. `type` F32 or BF16 (on a GPU also F16). When
 * only the weight is 16-bit (ctx->operands is F32) its products with fp32 values are summed in
 * fp32.
 *
 * `type` I8 is for inference: w (K,N) becomes q s with a scale s[n] = max |w[:,n]| / 127 per column
 * (1 for a column of zeros, no denormals) and q = w / s to the nearest, ties to even: |w - q s| is
 * at most s/2.
 * Linear's forward reads it, with fp32 operands whatever ctx->operands says; all else reads w.
 */
typedef struct rg_matrix_slot {
    size_t (*packed_size)(int64_t rows, int64_t cols, rg_dtype type);
    rg_status (*pack)(rg_kernel_ctx *ctx, const void *w, int64_t rows, int64_t cols, rg_dtype type,
                      void *packed);
} rg_matrix_slot;

/* The gradient of an operator with input x, weight w and bias; fwd as in forward, fwd.y unused. */
#define RG_WEIGHTED_GRAD_ARGS(name, forward_args) \
    typedef struct name {                         \
        forward_args fwd;                         \
        const void *dy;                           \
        void *dx, *dw, *dbias;                    \
        bool add_dx, add_dw, add_dbias;           \
    } name;

/* ---- linear: y (M,N) = act(x (M,K) w (K,N) + bias (N)) ---- */

typedef struct rg_linear_args {
    const void *x, *w, *bias; /* bias NULL: none */
    const void *w_packed;     /* NULL: not packed */
    rg_dtype packed_type;
    void *y, *pre; /* pre (M,N): value before act, NULL when not wanted or act is NONE */
    int64_t rows, c_in, c_out;
    rg_act act;
} rg_linear_args;

RG_WEIGHTED_GRAD_ARGS(rg_linear_grad_args, rg_linear_args)

/*
 * ---- conv1d ----
 * y[b,t,o] = bias[o] + sum over k, c of act_in(x)[b, t*stride + k*dilation - pad_left, c] w[k,c,o]
 * x (B,T_in,C_in), w (K,C_in,C_out), bias (C_out), y (B,T_out,C_out)
 */

typedef struct rg_conv1d_args {
    const void *x, *w, *bias;
    const void *w_packed; /* of w as (K*C_in, C_out) */
    rg_dtype packed_type;
    void *y;
    int64_t batch, t_in, t_out, c_in, c_out;
    int32_t kernel, stride, dilation;
    int64_t pad_left,
        pad_right;   /* t_out = (t_in + pad_left + pad_right - (K-1)*dilation - 1)/stride + 1 */
    rg_pad pad_mode; /* REFLECT: pads must be smaller than t_in (the operator sees to it) */
    rg_act act_in;   /* SEANet is pre-activation: applied on load */
} rg_conv1d_args;

RG_WEIGHTED_GRAD_ARGS(rg_conv1d_grad_args, rg_conv1d_args)

/*
 * ---- conv_tr1d ----
 * full[b, t*stride + k, o] += sum over c of act_in(x)[b,t,c] w[k,c,o]
 * y[b,t,o] = bias[o] + full[b, trim_left + t, o]
 * x (B,T_in,C_in), w (K,C_in,C_out), y (B,T_out,C_out), T_out <= (T_in-1)*stride + K - trim_left
 */
typedef struct rg_conv_tr1d_args {
    const void *x, *w, *bias;
    const void *w_packed; /* of w as (K*C_in, C_out) */
    rg_dtype packed_type;
    void *y;
    int64_t batch, t_in, t_out, c_in, c_out;
    int32_t kernel, stride;
    int64_t trim_left;
    rg_act act_in;
} rg_conv_tr1d_args;

RG_WEIGHTED_GRAD_ARGS(rg_conv_tr1d_grad_args, rg_conv_tr1d_args)

/*
 * ---- conv2d: x (B,H,W,C_in), w (KH,KW,C_in,C_out), y (B,OH,OW,C_out), zero padding ----
 * y = act(conv(x, w) + bias)
 * A level may compute rows in pairs: an element's bits may depend on its row, not on its column.
 */

typedef struct rg_conv2d_args {
    const void *x, *w, *bias;
    const void *w_packed; /* of w as (KH*KW*C_in, C_out) */
    rg_dtype packed_type;
    void *y;
    int64_t batch, h_in, w_in, h_out, w_out, c_in, c_out;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w;
    rg_act act;   /* of y: NONE, or LEAKY_RELU, whose derivative y's sign tells */
    double slope; /* 0 or more */
} rg_conv2d_args; /* the gradient reads y, as forward wrote it, unless act is NONE */

RG_WEIGHTED_GRAD_ARGS(rg_conv2d_grad_args, rg_conv2d_args)

/*
 * ---- lstm: one layer over a sequence; gate order i, f, g, o ----
 * x (B,T,C), w_ih (C,4H), w_hh (H,4H), bias (4H); h0, c0 (B,H) or NULL: zeros; y (B,T,H).
 * gates (B,T,4H) after their nonlinearities and cells (B,T,H) are kept for the gradient (NULL: not
 * wanted). h_last, c_last (B,H): the state after the last step, or NULL; from it the rest of a
 * sequence gives the bits that the whole gives.
 */
typedef struct rg_lstm_args {
    const void *x, *w_ih, *w_hh, *bias, *h0, *c0;
    const void *w_ih_packed, *w_hh_packed;
    rg_dtype packed_type;
    void *y, *gates, *cells, *h_last, *c_last;
    int64_t batch, steps, c_in, hidden;
} rg_lstm_args;

typedef struct rg_lstm_grad_args {
    rg_lstm_args fwd; /* y, gates, cells as written by forward */
    const void *dy;
    void *dx, *dw_ih, *dw_hh, *dbias; /* no gradient to the initial state */
    bool add_dx, add_dw_ih, add_dw_hh, add_dbias;
} rg_lstm_grad_args;

/* ---- layernorm: sum = x + residual (or x); y = (sum - mean) rstd gain + bias ---- */

typedef struct rg_layernorm_args {          /* all (M,C); gain, bias (C); mean, rstd (M) */
    const void *x, *residual, *gain, *bias; /* residual, bias NULL: none */
    void *y, *sum, *mean, *rstd; /* sum NULL when residual is NULL; mean, rstd NULL: not wanted */
    int64_t rows, channels;
    double eps;
} rg_layernorm_args;

typedef struct rg_layernorm_grad_args {
    rg_layernorm_args fwd;    /* sum (or x), mean, rstd as in forward */
    const void *dy, *dsum;    /* gradient arriving at y and at sum; either may be NULL: zero */
    void *dx, *dgain, *dbias; /* dx is also the gradient of residual: the operator copies it */
    bool add_dx, add_dgain, add_dbias;
} rg_layernorm_grad_args;

/* ---- groupnorm: y = (x - mean) rstd gain + bias, mean and variance of an item over T, C ---- */

typedef struct rg_groupnorm_args { /* x, y (B,T,C); gain, bias (C); mean, rstd (B) */
    const void *x, *gain, *bias;
    void *y, *mean, *rstd; /* mean, rstd NULL: not wanted */
    int64_t batch, steps, channels;
    double eps;
} rg_groupnorm_args;

typedef struct rg_groupnorm_grad_args {
    rg_groupnorm_args fwd; /* mean, rstd as in forward */
    const void *dy;
    void *dx, *dgain, *dbias;
    bool add_dx, add_dgain, add_dbias;
} rg_groupnorm_grad_args;

/*
 * ---- attention ----
 * out (B,Tq,H*D) = softmax(rope(q) rope(k)^T / sqrt(D), over allowed keys) v, heads side by side.
 * q, k, v are column blocks of wider rows: element (b,t,h,d) of q lies at
 * q[(b*Tq + t)*ld_q + h*D + d]; the operator has added the column offset to the pointer.
 * A key is allowed when all that are asked for hold:
 *   causal: k_pos <= q_pos;  window >= 0: |q_pos - k_pos| <= window;  key_mask (B,Tk) != 0.
 * q_pos (Tq), k_pos (Tk) are frames; NULL: 0, 1, 2, ... A query without an allowed key gives zeros
 * (and no gradient).
 * rope_base > 0: rotary positions (Su et al., RoFormer), pairs (d, d + D/2), angle
 * pos * rope_base^(-2d/D).
 * lse (B,H,Tq): log-sum-exp of the scaled scores, kept for the gradient; NULL: not wanted.
 * As operands in bf16 q is rounded after rotation and times 1/sqrt(D), the weights as
 * exp(score - m) with m a multiple of ln 2 (in the gradient m = lse); their sum, lse and the
 * softmax stay fp32.
 */
typedef struct rg_attention_args {
    const void *q, *k, *v;
    int64_t ld_q, ld_k, ld_v;
    const float *q_pos, *k_pos;
    const uint8_t *key_mask;
    void *out, *lse;
    int64_t batch, heads, t_q, t_k, head_dim;
    bool causal;
    double window, rope_base;
} rg_attention_args;

typedef struct rg_attention_grad_args {
    rg_attention_args fwd; /* out and lse as written by forward */
    const void *dout;
    void *dq, *dk, *dv; /* same row pitch as q, k, v; always added to */
} rg_attention_grad_args;

/* ---- embedding: y (M,C) = sum_k table[k, codes[m,k]]; a negative code adds nothing ---- */

typedef struct rg_embedding_args { /* codes (M,K), table (K,V,C), y (M,C) */
    const int32_t *codes;
    const void *table;
    void *y;
    int64_t rows, books, entries, channels; /* codes >= entries: RG_ERR_SHAPE */
} rg_embedding_args;

typedef struct rg_embedding_grad_args {
    rg_embedding_args fwd;
    const void *dy;
    void *dtable;
    bool add_dtable;
} rg_embedding_grad_args;

/* ---- activation: y = act(x); ELU alpha 1, GELU by erf, leaky slope given ---- */

typedef struct rg_activation_args {
    const void *x;
    void *y;
    int64_t n;
    rg_act act;
    double slope;
} rg_activation_args;

typedef struct rg_activation_grad_args {
    rg_activation_args fwd;
    const void *dy;
    void *dx;
    bool add_dx;
} rg_activation_grad_args;

/*
 * ---- softmax cross-entropy, loss and gradient in one pass ----
 * nll[m] = -log softmax(logits[m])[targets[m]]; rows with targets[m] < 0 are ignored (nll 0).
 * loss = sum of weight[m] nll[m] / max(sum of weight[m], tiny) over valid rows (weight NULL: ones).
 * dlogits (M,V): gradient of that loss, or NULL. A target >= V is RG_ERR_SHAPE.
 */
typedef struct rg_softmax_ce_args {
    const void *logits;
    const int32_t *targets;
    const float *weight;
    void *loss, *nll, *dlogits; /* loss (1), nll (M) or NULL */
    int64_t rows, classes;
} rg_softmax_ce_args;

/*
 * ---- residual vector quantizer (Zeghidour et al., SoundStream; Defossez et al., EnCodec 3.2) ----
 * For k < n_q: code[m,k] = argmin_v |r_k[m] - book[k,v]|^2, the first index on ties;
 * r_{k+1} = r_k - book[k,code]. q (M,D) = sum of the chosen entries;
 * commit = mean over k of the mean squared (r_k - chosen entry).
 * fixed_codes: codes are given, not searched (a negative one ends the row's chain).
 * dcommit (M,D): gradient of commit to x, entries held constant; NULL: not wanted.
 * x (M,D), books (K,V,D), codes (M,K) with only the first n_q columns used.
 */
typedef struct rg_rvq_args {
    const void *x, *books;
    int32_t *codes;
    void *q, *commit, *dcommit; /* commit (1) */
    void *residuals; /* (n_q,M,D): r_k of each layer, for the codebook update; NULL: not wanted */
    int64_t rows, dim, entries;
    int32_t n_books, n_q;
    bool fixed_codes;
} rg_rvq_args;

/*
 * ---- STFT with a periodic Hann window ----
 * Frame f covers x[f*hop - pad_left .. + n_fft), padded as pad_mode says by pad_left on the left
 * and pad_right on the right, beyond that by zeros. The number of frames F is given. `scale`
 * multiplies every bin (1/|window| for "normalized").
 *   stft         y (B,F,n_fft/2+1,2)
 *   spectrogram  mag (B,F,n_fft/2+1)^power, then through bank (bins,M) when given
 *                -> y (B,F,M or bins); log_y = log10(log_floor + y); either may be NULL.
 * The root is smoothed: |z| = sqrt(re^2 + im^2 + 1e-12) for power 1.
 */
typedef struct rg_stft_args {
    const void *x; /* (B,T) */
    void *y;
    int64_t batch, t_in, frames;
    int32_t n_fft, hop;
    int64_t pad_left, pad_right;
    rg_pad pad_mode;
    double scale;
} rg_stft_args;

typedef struct rg_stft_grad_args {
    rg_stft_args fwd;
    const void *dy;
    void *dx;
    bool add_dx;
} rg_stft_grad_args;

typedef struct rg_spectrogram_args {
    rg_stft_args stft; /* y unused */
    const void *bank;  /* (bins, n_bands) in `real`, or NULL */
    int64_t n_bands;
    int32_t power; /* 1 or 2 */
    double log_floor;
    void *y, *log_y;
} rg_spectrogram_args;

typedef struct rg_spectrogram_grad_args {
    rg_spectrogram_args fwd; /* y, log_y unused: recomputed from x */
    const void *dy, *dlog_y; /* either may be NULL */
    void *dx;
    bool add_dx;
} rg_spectrogram_grad_args;

/* ---- distance: a scalar from a and b (both (B,n)), gradient to a ---- */

typedef enum rg_distance_kind {
    RG_DISTANCE_L1,           /* mean |a - b| */
    RG_DISTANCE_MSE,          /* mean (a - b)^2 */
    RG_DISTANCE_RELATIVE_MSE, /* mean over items of sum (a-b)^2 / (sum b^2 + eps n) */
    RG_DISTANCE_RELATIVE_L1,  /* mean over items of sum |a-b| / (sum |b| + eps n) */
    RG_DISTANCE_COUNT
} rg_distance_kind;

typedef struct rg_distance_args {
    const void *a, *b;
    void *y; /* (1) */
    int64_t batch, n;
    rg_distance_kind kind;
    double eps;
} rg_distance_args;

typedef struct rg_distance_grad_args {
    rg_distance_args fwd;
    const void *dy; /* (1) */
    void *da;
    bool add_da;
} rg_distance_grad_args;

/* ---- elementwise, copies ---- */

/* y[i] = alpha a[i] + beta b[i % n_b]; b is a suffix-shaped broadcast when n_b < n; b NULL: scale
 * only. */
typedef struct rg_add_args {
    const void *a, *b;
    void *y; /* may be a */
    int64_t n, n_b;
    double alpha, beta;
    const void *by; /* times the last of them: a scalar as losses are; NULL: 1 */
} rg_add_args;

/* db[j] (+)= scale * sum over i = j (mod n_b) of dy[i]: the gradient of a broadcast. */
typedef struct rg_reduce_args {
    const void *dy;
    void *db;
    int64_t n, n_b;
    double scale;
    bool add_db;
} rg_reduce_args;

/* A block of columns moved between matrices: dst[r*ld_dst + c] (+)= src[r*ld_src + c], r < rows, c
 * < cols. */
typedef struct rg_copy_args {
    const void *src;
    void *dst;
    int64_t rows, cols, ld_src, ld_dst;
    bool add;
} rg_copy_args;

/*
 * Between float and what activations are stored in: y (+)= x, rounded to the nearest; the gradient
 * goes back exactly. In a table whose `real` is no 16-bit type x and dx are real, too.
 */
typedef struct rg_convert_args {
    const void *x; /* float */
    void *y;       /* real */
    int64_t n;
    bool add_y;
} rg_convert_args;

typedef struct rg_convert_grad_args {
    const void *dy; /* real */
    void *dx;       /* float */
    int64_t n;
    bool add_dx;
} rg_convert_grad_args;

/*
 * y = x * keep / (1-p); element i is kept when word i % 4 of Philox(seed, stream, i / 4), times
 * 2^-32, is >= p; a dropped element is 0 whatever x is. The gradient is the same call on dy.
 */
typedef struct rg_dropout_args {
    const void *x;
    void *y;
    int64_t n;
    double p;
    uint64_t seed, stream;
    bool add_y;
} rg_dropout_args;

/* ---- parameters ---- */

/*
 * Weight norm off the tape (Salimans & Kingma 2016): w[o,a,i] = g[a] v[o,a,i] / |v[:,a,:]|, for v
 * (outer, n, inner). grad: dg and dv from dw; both are written, not added.
 */
typedef struct rg_weight_norm_args {
    const void *v, *g;
    void *w;        /* fold */
    const void *dw; /* grad */
    void *dg, *dv;
    int64_t outer, n, inner;
} rg_weight_norm_args;

#include "kernels/adamw.h"

/* Sum of squares in f64, fixed blocks in order, and whether every element is finite. With `ranges`
 * there are as many, of n each and one behind the other, every one with a sum of its own, and
 * `finite` is not used. */
typedef struct rg_norm_args {
    const float *g;
    int64_t n, ranges;
    double *sum_squares;
    bool *finite;
} rg_norm_args;

/* ---- the table: one const instance per backend and ISA level ---- */

/* forward and grad of one operator share a format and are replaced together. */
#define RG_SLOT(name, forward_args, grad_args)                            \
    typedef struct name {                                                 \
        rg_status (*forward)(rg_kernel_ctx * ctx, const forward_args *a); \
        rg_status (*grad)(rg_kernel_ctx * ctx, const grad_args *a);       \
    } name;
RG_SLOT(rg_linear_slot, rg_linear_args, rg_linear_grad_args)
RG_SLOT(rg_conv1d_slot, rg_conv1d_args, rg_conv1d_grad_args)
RG_SLOT(rg_conv_tr1d_slot, rg_conv_tr1d_args, rg_conv_tr1d_grad_args)
RG_SLOT(rg_conv2d_slot, rg_conv2d_args, rg_conv2d_grad_args)
RG_SLOT(rg_lstm_slot, rg_lstm_args, rg_lstm_grad_args)
RG_SLOT(rg_layernorm_slot, rg_layernorm_args, rg_layernorm_grad_args)
RG_SLOT(rg_groupnorm_slot, rg_groupnorm_args, rg_groupnorm_grad_args)
RG_SLOT(rg_attention_slot, rg_attention_args, rg_attention_grad_args)
RG_SLOT(rg_embedding_slot, rg_embedding_args, rg_embedding_grad_args)
RG_SLOT(rg_activation_slot, rg_activation_args, rg_activation_grad_args)
RG_SLOT(rg_stft_slot, rg_stft_args, rg_stft_grad_args)
RG_SLOT(rg_spectrogram_slot, rg_spectrogram_args, rg_spectrogram_grad_args)
RG_SLOT(rg_distance_slot, rg_distance_args, rg_distance_grad_args)
RG_SLOT(rg_add_slot, rg_add_args, rg_reduce_args)
RG_SLOT(rg_convert_slot, rg_convert_args, rg_convert_grad_args)
RG_SLOT(rg_weight_norm_slot, rg_weight_norm_args, rg_weight_norm_args)

typedef struct rg_kernels {
    const char *name;       /* "ref", "ref64", "avx2", "avx512", "avx512bf16", "amx" */
    rg_dtype real;          /* F32 or F64; of a GPU's activations also F16 or BF16 */
    rg_dtype fast_operands; /* of products: BF16 where the hardware multiplies it, else F32 */
    rg_matrix_slot matrix;
    rg_linear_slot linear;
    rg_conv1d_slot conv1d;
    rg_conv_tr1d_slot conv_tr1d;
    rg_conv2d_slot conv2d;
    rg_lstm_slot lstm;
    rg_layernorm_slot layernorm;
    rg_groupnorm_slot groupnorm;
    rg_attention_slot attention;
    rg_embedding_slot embedding;
    rg_activation_slot activation;
    rg_stft_slot stft;
    rg_spectrogram_slot spectrogram;
    rg_distance_slot distance;
    rg_add_slot add;
    rg_convert_slot convert;
    rg_weight_norm_slot weight_norm;
    rg_status (*softmax_ce)(rg_kernel_ctx *ctx, const rg_softmax_ce_args *a);
    rg_status (*rvq)(rg_kernel_ctx *ctx, const rg_rvq_args *a);
    rg_status (*copy)(rg_kernel_ctx *ctx, const rg_copy_args *a);
    rg_status (*dropout)(rg_kernel_ctx *ctx, const rg_dropout_args *a);
    rg_status (*adamw_begin)(rg_kernel_ctx *ctx, const rg_adamw_begin_args *a);
    rg_status (*adamw)(rg_kernel_ctx *ctx, const rg_adamw_args *a); /* float always */
    rg_status (*norm)(rg_kernel_ctx *ctx, const rg_norm_args *a);   /* float always */
} rg_kernels;

const rg_kernels *rg_kernels_reference(void);   /* float, never NULL */
const rg_kernels *rg_kernels_reference64(void); /* double, never NULL: the truth */

/*
 * The best level of this CPU, capped by the environment variable RG_ISA (ref|avx2|avx512|
 * avx512bf16|amx); slots that a level does not fill are the level's below. NULL and RG_ERR_CONFIG
 * when RG_ISA is not one of these words or names a level that this CPU lacks.
 */
const rg_kernels *rg_kernels_cpu(rg_error *err);
/* The table of one level by name; NULL when the CPU lacks it. For tests and benchmarks. */
const rg_kernels *rg_kernels_cpu_level(const char *name);
/* The names that this CPU can run, lowest first, NULL-terminated. */
const char *const *rg_kernels_cpu_levels(void);

/* Peak of this machine's cores in GF/s for products of F32 or BF16 operands, measured in about 50
 * ms with the pool's threads. */
double rg_kernels_peak_gflops(rg_pool *pool, rg_dtype operands);

RG_C_END

#endif
