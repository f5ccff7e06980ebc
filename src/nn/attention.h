/*
 * Self-attention with and without a cache, and the layers of a bidirectional encoder.
 *
 * One idea: a step of decoding is the training forward with fewer queries: keys and values of
 * earlier steps come from a cache in the same rows, and the causal mask hides the rest, so both
 * give the same numbers. Not here: cross-attention of the track decoder (models/track_decoder.c).
 */
#ifndef RG_NN_ATTENTION_H
#define RG_NN_ATTENTION_H

#include "nn/linear.h"

typedef struct rg_self_attention {
    rg_tensor *qkv, *out; /* (C,3C), (C,C) */
    int32_t heads;
    double rope_base;
} rg_self_attention;

/* Names get ".qkv" and ".out". */
rg_self_attention rg_self_attention_declare(rg_params *params, int32_t width, int32_t heads,
                                            double rope_base, double out_gain, const char *name,
                                            ...) RG_PRINTF(6, 7);

/* Keys and values of earlier steps: (rows,steps,2C), made and owned by the caller, zeroed. */
typedef struct rg_kv_cache {
    rg_tensor *kv;
    int32_t steps;
} rg_kv_cache;

/* Causal over x (B,T,C). */
rg_tensor *rg_attend_past(rg_exec *ex, const rg_self_attention *layer, rg_tensor *x);
/*
 * Causal over the cache: x (B,n,C) are steps first .. first+n-1, written into it first. Steps must
 * come in order, B <= rows. Not differentiable with respect to earlier steps.
 */
rg_tensor *rg_attend_cached(rg_exec *ex, const rg_self_attention *layer, rg_tensor *x,
                            rg_kv_cache *cache, int32_t first);

/* x + attention(norm(x)), then x + feed(norm(x)). */
typedef struct rg_encoder_layer {
    rg_norm norm_attention, norm_feed;
    rg_self_attention attention;
    rg_feed feed;
} rg_encoder_layer;
rg_encoder_layer rg_encoder_layer_declare(rg_params *params, int32_t width, int32_t heads,
                                          double rope_base, double out_gain, const char *name, ...)
    RG_PRINTF(6, 7);
/* All layers and the last norm over x (B,T,C): every position sees all that key_mask (B,T) allows;
 * pos (T) frames, or NULL: 0, 1, 2 ... */
rg_tensor *rg_encoder_run(rg_exec *ex, const rg_encoder_layer *layers, int32_t n,
                          const rg_norm *last, rg_tensor *x, rg_tensor *pos, rg_tensor *key_mask,
                          double dropout);

/* F32 positions (n) first, first+1, ... in the step arena. */
rg_tensor *rg_positions(rg_exec *ex, int64_t first, int64_t n);
/* A block of rows of numbers that operators take moved on the device, outside the tape. */
rg_status rg_copy_rows(rg_exec *ex, rg_dtype type, void *to, int64_t ld_to, const void *from,
                       int64_t ld_from, int64_t rows, int64_t cols);

#endif
