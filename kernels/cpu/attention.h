/*
 * What attention's forward and gradient share: rotated heads, operands, who sees whom.
 *
 * One idea: attention is products of a tile of queries and a block of keys, small enough to stay in
 * the first cache; they call the GEMM's tiles directly, on the keys that some query of the tile
 * sees. Blocks of keys begin at absolute keys, and a key that may not be seen adds exactly nothing,
 * so a query's bits depend on neither its tile nor what comes after.
 * Operands in bf16: q (turned, times 1/sqrt(D)), k (turned), v, the weights exp(s - m), dout, the
 * gradients of scores. m is a multiple of ln 2: another m only shifts the exponents of the weights,
 * so what they are rounded to does not depend on the blocks.
 */
#ifndef RG_KERNELS_CPU_ATTENTION_H
#define RG_KERNELS_CPU_ATTENTION_H

#include "kernels/cpu/cpu.h"

enum {
    RG_ATTENTION_KEYS = 128,                    /* of a block */
    RG_ATTENTION_PITCH = RG_ATTENTION_KEYS + 16 /* of scores: rows fall on all cache sets */
};

typedef struct rg_attention_job {
    const rg_isa *isa;
    const rg_tiles *tiles;
    const rg_attention_args *a;
    const rg_attention_grad_args *grad; /* NULL in forward */
    rg_dtype operands;
    int64_t size, deep;                         /* bytes of an operand; D filled up to k_step */
    const float *q_pos, *k_pos;                 /* never NULL */
    const float *spans;                         /* (blocks,2): least, greatest position of keys */
    const float *q_cos, *q_sin, *k_cos, *k_sin; /* (T, D/2); NULL: no rotation */
    int64_t blocks;                             /* of keys */
    int64_t parts, part_rows;                   /* tasks of a head, queries of each */
    float *scratch;
    int64_t scratch_size; /* floats of a thread */
} rg_attention_job;

/* A part of n floats of a thread's scratch; base NULL: only counts. */
float *rg_attention_room(float *base, int64_t *used, int64_t n);

/* Positions and angles: what is made once per call. Then a thread's scratch of `used` floats. */
rg_status rg_attention_prepare(rg_kernel_ctx *ctx, rg_attention_job *j);
rg_status rg_attention_scratch(rg_kernel_ctx *ctx, rg_attention_job *j, int64_t used);

/* Keys [from,to) of a block that queries [t0,t1) may see; none: from == to. `from` begins a panel.
 * masked: some query may not see some of them. */
typedef struct rg_reach {
    int64_t from, to;
    bool masked;
} rg_reach;
rg_reach rg_attention_reach(const rg_attention_job *j, int64_t t0, int64_t t1, int64_t block);
/* -inf where a query t0 + i may not see a key; s (rows, PITCH). */
void rg_attention_mask(const rg_attention_job *j, int64_t item, int64_t block, int64_t t0,
                       int64_t rows, rg_reach r, float *s);

/* Rows [t0,t1) of one head of q or k, turned, times `scale`, dense (n, D). */
void rg_attention_gather(const rg_attention_job *j, const float *m, int64_t ld, int64_t t0,
                         int64_t t1, const float *cosine, const float *sine, float scale,
                         float *out);

/* ---- operands ---- */

/* Element (i, k) lies at data[i * row + k * col]; bf16 in pairs (cells.inc): at most col > 1. */
typedef struct rg_left {
    const void *data;
    int64_t row, col;
} rg_left;

/* (depth, cols): panels, or plain rows of floats `pitch` apart. */
typedef struct rg_right {
    const void *data;
    int64_t depth, cols, pitch;
} rg_right;

/* Dense rows x (n, D) as they are, or rounded into `room` (n, deep). */
rg_left rg_attention_left(const rg_attention_job *j, const float *x, int64_t n, uint16_t *room);
/* x (k,n), element (p, i) at x[p*row + i*col], as panels in `room`; plain rows of floats may stay
 * where they are. */
rg_right rg_attention_right(const rg_attention_job *j, const float *x, int64_t row, int64_t col,
                            int64_t k, int64_t n, void *room);
/* Floats that hold an operand of n elements of rows filled up. */
int64_t rg_attention_floats(const rg_attention_job *j, int64_t rows, int64_t cols);

/* c (m, columns [n0,n1) of the panels they touch) (+)= a (m, k1 - k0) times rows [k0,k1) of b; k0
 * even, n0 the start of a panel. c is where column 0 would be. */
void rg_attention_multiply(const rg_attention_job *j, rg_left a, int64_t m, const rg_right *b,
                           int64_t k0, int64_t k1, int64_t n0, int64_t n1, float *c, int64_t c_row,
                           bool add);

#endif
