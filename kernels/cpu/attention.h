/*
 * What attention's forward and gradient share: rotated heads, blocks of keys, who sees whom.
 *
 * One idea: a head's keys (and values, for the gradient) are turned once per call into panels that
 * the GEMM reads; after that attention is products of blocks of queries and blocks of keys. Blocks
 * of keys begin at absolute keys, and a key that may not be seen adds exactly nothing, so a query's
 * bits depend on neither its block nor what comes after.
 */
#ifndef RG_KERNELS_CPU_ATTENTION_H
#define RG_KERNELS_CPU_ATTENTION_H

#include "kernels/cpu/cpu.h"

enum { RG_ATTENTION_KEYS = 128, RG_ATTENTION_TILES = 4 };

typedef struct rg_attention_job {
    const rg_isa *isa;
    const rg_attention_args *a;
    const rg_attention_grad_args *grad;         /* NULL in forward */
    const float *q_pos, *k_pos;                 /* never NULL */
    const float *q_cos, *q_sin, *k_cos, *k_sin; /* (T, D/2); NULL: no rotation */
    float *k_panels, *v_panels;                 /* (B*H, keys in blocks, D) as panels (D, block) */
    int64_t k_blocks, panel_size;               /* blocks of keys; floats of a head's panels */
    int64_t q_rows, q_blocks;                   /* queries of a block, blocks */
    float *scratch;
    int64_t scratch_size;
} rg_attention_job;

/* Keys [k0,k1) seen from queries [t0,t1): none, some, or all without a mask. */
typedef enum rg_sight { RG_SEES_NONE, RG_SEES_SOME, RG_SEES_ALL } rg_sight;
rg_sight rg_attention_sight(const rg_attention_job *j, int64_t t0, int64_t t1, int64_t k0,
                            int64_t k1);

/* Positions, angles and panels: all that is made once per call. */
rg_status rg_attention_prepare(rg_kernel_ctx *ctx, rg_attention_job *j);

/* Rows [t0,t1) of one head of q or k, rotated, times `scale`, dense (n, D). */
void rg_attention_gather(const rg_attention_job *j, const float *m, int64_t ld, int64_t first,
                         int64_t t0, int64_t t1, const float *cosine, const float *sine,
                         float scale, float *out);

/* s (rows, RG_ATTENTION_KEYS) = q (rows, D) times key block `block` of panels; masked if `mask`. */
void rg_attention_scores(const rg_attention_job *j, const float *panels, int64_t head,
                         int64_t block, const float *q, int64_t rows, float *s, float *gemm);
/* -inf where a query t0 + i may not see a key of the block. */
void rg_attention_mask(const rg_attention_job *j, int64_t item, int64_t block, int64_t t0,
                       int64_t rows, float *s);

#endif
