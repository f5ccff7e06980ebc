/*
 * What the vectorised CPU kernels share: the instruction set as a value, and the blocked GEMM.
 *
 * One idea: an rg_isa holds the few functions that need special instructions (the GEMM's tiles,
 * the elementwise loops); everything above them is plain C, written once, given an rg_isa. So the
 * AVX2 and the AVX-512 level differ in two files each and in nothing else.
 *
 * Bits: every output element of the GEMM is one chain of fused multiply-adds over k inside a block
 * of k, blocks added in order. Blocks depend on K alone, so bits never depend on the number of rows
 * or columns, their position, whether an operand was packed, or the threads.
 *
 * bf16: a product's operands are both fp32, or both bf16 (rounded to nearest, ties to even; sums
 * in fp32), or a is fp32 and b holds weights in bf16, widened exactly. b in bf16 always lies in
 * pairs: (k, j) at [(k/2 * width + j) * 2 + k%2] of its panel.
 */
#ifndef RG_KERNELS_CPU_CPU_H
#define RG_KERNELS_CPU_CPU_H

#include "kernels/kernels.h"

enum { RG_TILE_WIDTHS = 4, RG_WIDEST_TILE = 32 };

static inline int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static inline int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
static inline int64_t div_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/*
 * One column panel of a product: c(m,n) = base(m,n) + a(m,k) b(k,n), n <= the tile's width.
 * k runs over `segs` segments of `len`: element (i, s*len + p) of a lies at
 * a[i / mr * a_tile + i % mr * a_row + s * a_seg + p * a_col]; row k of b at b + k * b_row.
 * base NULL: zero; base may be c; base_row 0: one row for all. Tiles for bf16 take b in pairs, and
 * an a whose k are neighbours (a_col 1) and whose `len` is a multiple of k_step; where that is 2,
 * also an a of pairs, (i, k) at a[k/2 * 2*a_col + 2*i + k%2] with a_row 2.
 */
typedef struct rg_tile {
    int64_t m, n;
    const void *a;
    int64_t a_row, a_col, a_tile, a_seg, segs, len;
    const void *b;
    int64_t b_row;
    float *c;
    int64_t c_row;
    const float *base;
    int64_t base_row;
} rg_tile;

typedef void rg_tile_fn(const rg_tile *t);

/* An AdamW step in floats, worked out once. */
typedef struct rg_adam_factors {
    float lr, beta1, beta2, rest1, rest2, eps, decay, scale, inverse1, inverse2, ema, ema_rest;
} rg_adam_factors;

/* The elementwise loops of an instruction set (vec.inc). */
typedef struct rg_vec {
    /* y = act(x) */
    void (*act)(rg_act act, float slope, const float *x, float *y, int64_t n);
    /* dx (+)= dy * act'(x) */
    void (*act_grad)(rg_act act, float slope, const float *x, const float *dy, float *dx, int64_t n,
                     bool add);
    /* sum[j] += sum over rows i, in order, of x[i*ld + j] */
    void (*col_sum)(const float *x, int64_t rows, int64_t cols, int64_t ld, float *sum);
    /* y += x */
    void (*accumulate)(const float *x, float *y, int64_t n);
    /* y = a + factor b */
    void (*combine)(const float *a, const float *b, float factor, float *y, int64_t n);
    /* a, b = a + b, a - b */
    void (*butterfly)(float *a, float *b, int64_t n);
    /* y = x to the nearest, ties to even; NaN stays NaN; subnormal numbers may become zeros */
    void (*narrow_bf16)(const float *x, uint16_t *y, int64_t n);
    /* out (cols,rows) = x (rows,cols)^T; rows of x are ld_x apart, of out ld_out */
    void (*turn)(const float *x, int64_t rows, int64_t cols, int64_t ld_x, float *out,
                 int64_t ld_out);
    /* out (depth,width) = x (depth,cols), rows x_row apart, filled up with zeros */
    void (*pack_rows)(const float *x, int64_t x_row, int64_t cols, int64_t width, int64_t depth,
                      float *out);
    /* the same in pairs of bf16, depth filled up to k_step's multiple `deep` with zeros */
    void (*pack_pairs)(const float *x, int64_t x_row, int64_t cols, int64_t width, int64_t depth,
                       int64_t deep, uint16_t *out);
    /* out = n pairs (x[i], z[i]) in bf16; z NULL: zeros */
    void (*pair_row)(const float *x, const float *z, int64_t n, uint16_t *out);
    /* out (depth,cols) = k from k0 on of the first cols columns of a panel in pairs */
    void (*widen_pairs)(const uint16_t *panel, int64_t width, int64_t k0, int64_t depth,
                        int64_t cols, float *out);
    /* y = x */
    void (*widen_bytes)(const int8_t *x, float *y, int64_t n);
    /* q = x / scale to the nearest, ties to even; no x is beyond 127 scales */
    void (*narrow_bytes)(const float *x, const float *scale, int8_t *q, int64_t n);
    /* y = y scale + bias (NULL: none) */
    void (*scale_columns)(const float *scale, const float *bias, float *y, int64_t n);
    /* out (depth, mr) = x (depth, mr), rows x_row apart; mr is the fp32 tile's rows */
    void (*pack_tile)(const float *x, int64_t x_row, int64_t depth, float *out);
    /* see cells.inc */
    void (*lstm_cell)(float *g, int64_t hidden, const float *c_prev, float *c, float *h, int64_t n);
    void (*lstm_cell_grad)(const float *g, int64_t hidden, const float *c, const float *c_prev,
                           const float *dh, float *dc, float *d, int64_t n);
    void (*mask_row)(float *s, const float *k_pos, const uint8_t *allow, float q_pos, bool causal,
                     double window, int64_t n);
    void (*softmax_rows)(float *s, int64_t ld, int64_t rows, int64_t n, float *max, float *sum,
                         float *before);
    void (*softmax_row_grad)(float *s, float *dp, int64_t n, float lse, float delta);
    void (*scale_row)(float *x, float factor, int64_t n);
    /* cosine and sine (half) of position * rate[d] */
    void (*angle_row)(double position, const double *rate, float *cosine, float *sine,
                      int64_t half);
    void (*rotate_row)(const float *x, const float *cosine, const float *sine, int64_t half,
                       float scale, float *y);
    void (*unrotate_row)(const float *x, const float *cosine, const float *sine, int64_t half,
                         float scale, float *y);
    void (*add_scaled)(const float *x, float scale, float *y, int64_t n);
    float (*dot)(const float *x, const float *y, int64_t n);
    /* y = a b */
    void (*multiply)(const float *a, const float *b, float *y, int64_t n);
    /* y += a b */
    void (*multiply_add)(const float *a, const float *b, float *y, int64_t n);
    /* the first index of the largest of 2 s[j] - norm[j] */
    int32_t (*argmax_row)(const float *s, const float *norm, int64_t n);
    /* spectrum (n,2) -> |z| or |z|^2; then from the gradient of that to the gradient of z, in place
     * */
    void (*magnitude)(const float *z, float *y, int32_t power, int64_t n);
    void (*magnitude_grad)(float *z, const float *dy, int32_t power, int64_t n);
    /* y = log10(floor + x); d += dlog / ((floor + x) ln 10) */
    void (*log10_row)(const float *x, float *y, float floor, int64_t n);
    void (*log10_grad)(const float *x, const float *dlog, float *d, float floor, int64_t n);
    /* decay, ema NULL: everywhere; none */
    void (*adam)(const rg_adam_factors *f, const float *g, const uint8_t *decay, float *w, float *m,
                 float *v, float *ema, int64_t n);
} rg_vec;

/* The tiles for one kind of operands: widths from the widest, a function per width; 0 ends the
 * list. Panels are filled up with zeros to a multiple of k_step. */
typedef struct rg_tiles {
    int64_t mr, k_step; /* rows of a tile; depth that one instruction takes */
    int64_t width[RG_TILE_WIDTHS + 1];
    rg_tile_fn *tile[RG_TILE_WIDTHS];
} rg_tiles;

typedef struct rg_isa rg_isa;
struct rg_isa {
    const char *name;
    const rg_isa *pairs; /* the highest level up to this one whose bf16 tiles have a k_step of 2 */
    const rg_tiles *f32, *bf16; /* as wide as each other at the widest */
    rg_tile_fn *weight_tile;    /* of the widest: a in fp32, b in pairs, depth even */
    rg_dtype fast;              /* BF16 where an instruction multiplies it, else F32 */
    rg_tile_fn *byte_tile;      /* of the widest: a in fp32, b in int8, not scaled */
    const rg_vec *vec;
    double (*burst)(int64_t loops); /* fused multiply-adds only; returns the flop done */
    double (*burst_bf16)(int64_t loops);
};

extern const rg_isa rg_isa_avx2, rg_isa_avx512, rg_isa_avx512bf16, rg_isa_amx;
extern const rg_vec rg_vec_avx2, rg_vec_avx512, rg_vec_avx512bf16;

/* ---- panels: a right operand (k,n) in the tiles' order ---- */

/* The tiles of a type (I8: those of fp32), and the index of the narrowest that holds n columns. */
const rg_tiles *rg_tiles_of(const rg_isa *isa, rg_dtype type);
int rg_tiles_index(const rg_tiles *tiles, int64_t n);
/* Bytes of an element. */
int64_t rg_panels_element(rg_dtype type);
/* k filled up to the tiles' k_step. */
int64_t rg_panels_depth(const rg_isa *isa, rg_dtype type, int64_t k);

/* Columns go in panels as wide as the widest tile, the last in the narrowest that holds it; a panel
 * that starts at column j lies at element j * depth. Narrower than its width: filled with zeros. */
size_t rg_panels_bytes(const rg_isa *isa, rg_dtype type, int64_t k, int64_t n);

/* out = the panels of b(k,n), element (p, j) at b[p*b_row + j*b_col]; b_row or b_col is 1. */
void rg_panels_pack(const rg_isa *isa, rg_pool *pool, rg_dtype type, const float *b, int64_t b_row,
                    int64_t b_col, int64_t k, int64_t n, void *out);
/* The same into scratch; NULL with the error set. */
void *rg_panels_make(const rg_isa *isa, rg_kernel_ctx *ctx, rg_dtype type, const float *b,
                     int64_t b_row, int64_t b_col, int64_t k, int64_t n);

/* Of these panels columns [n0,n1), n0 the first of a panel, and depths [k0,k1), multiples of every
 * k_step or k itself; here b is where depth k0 of column 0 lies. */
void rg_panels_pack_part(const rg_isa *isa, rg_dtype type, const float *b, int64_t b_row,
                         int64_t b_col, int64_t k, int64_t n, int64_t n0, int64_t n1, int64_t k0,
                         int64_t k1, void *out);

/* ---- gemm ---- */

typedef struct rg_gemm {
    int64_t m, n, segs, len; /* k = segs * len; see rg_tile */
    rg_dtype operands;       /* F32, or BF16: what is not bf16 already is rounded */
    const void *a;
    rg_dtype a_type; /* BF16 only if the operands are, and a_col is 1 or a_pairs set */
    bool a_pairs;    /* a is pairs of bf16, as rg_tile says of a_row 2; len even, tiles' k_step 2 */
    int64_t a_row, a_col, a_seg; /* a_row or a_col is 1 */
    int64_t a_tile;              /* see rg_tile; 0: mr * a_row */
    const void *b;               /* panels of (k,n), or with b_row > 0 plain rows of floats */
    int64_t b_row;
    rg_dtype b_type; /* of panels: BF16 whenever the operands are; I8: without its scales */
    float *c;
    int64_t c_row;
    const float *base; /* see rg_tile */
    int64_t base_row;
} rg_gemm;

/* Floats of scratch that rg_gemm_block needs for products up to k deep, of any operands. */
int64_t rg_gemm_scratch(const rg_isa *isa, int64_t segs, int64_t len);
/* Where b's columns from n0 on lie, n0 a multiple of the widest tile. */
const void *rg_gemm_columns(const rg_isa *isa, const rg_gemm *g, int64_t n0);
/* The whole product in the calling thread. */
void rg_gemm_block(const rg_isa *isa, const rg_gemm *g, float *scratch);
/* The product cut into blocks over the pool. `finish` (may be NULL) is called for every finished
 * block of c: rows [m0,m1), columns [n0,n1). */
typedef void rg_gemm_finish(void *user, int64_t m0, int64_t m1, int64_t n0, int64_t n1);
rg_status rg_gemm_run(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_gemm *g,
                      rg_gemm_finish *finish, void *user);

/* dw (m,n) (+)= x (rows,m)^T dy (rows,n); in fixed blocks of rows. */
rg_status rg_gemm_weight_grad(const rg_isa *isa, rg_kernel_ctx *ctx, const float *x,
                              const float *dy, int64_t rows, int64_t m, int64_t n, float *dw,
                              bool add);
/* sum (n) (+)= the sum of the rows of x; in fixed blocks of rows. */
rg_status rg_cpu_bias_grad(const rg_isa *isa, rg_kernel_ctx *ctx, const float *x, int64_t rows,
                           int64_t n, int64_t ld, float *sum, bool add);
/* Its parts: rows of a block, a multiple of every k_step; the blocks' sums (blocks,n) added in
 * order. */
int64_t rg_cpu_bias_block(int64_t rows);
void rg_cpu_add_sums(const rg_isa *isa, const float *sums, int64_t blocks, int64_t n, float *sum,
                     bool add);

/* A weight's packed form (rg_matrix_slot): panels for x W, then panels for dy W^T. Of I8: a scale
 * per column, then panels for x W (rg_cpu_bytes). */
size_t rg_cpu_packed_size(const rg_isa *isa, int64_t rows, int64_t cols, rg_dtype type);
rg_status rg_cpu_pack(const rg_isa *isa, rg_kernel_ctx *ctx, const void *w, int64_t rows,
                      int64_t cols, rg_dtype type, void *packed);

/* Rows [r0,r1), columns [c0,c1) of it as F32 or BF16; both begin at multiples of RG_WIDEST_TILE. */
void rg_cpu_pack_block(const rg_isa *isa, const float *w, int64_t rows, int64_t cols, rg_dtype type,
                       int64_t r0, int64_t r1, int64_t c0, int64_t c1, void *packed);

const int8_t *rg_cpu_bytes(const void *packed, int64_t cols);

/* The right operand of g is w (k,n), or its transpose (n,k)^T: from the packed form when there is
 * one, else packed into scratch (or read in place). */
typedef struct rg_weight {
    const float *w;
    const void *packed;
    rg_dtype type;
    int64_t rows, cols; /* of w */
} rg_weight;
rg_status rg_gemm_set_weight(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_weight *w,
                             bool transposed, rg_gemm *g);

/* n floats from ctx->scratch; NULL with the error set. */
float *rg_cpu_scratch(rg_kernel_ctx *ctx, int64_t n);

/* ---- operators: forward and gradient, each given its instruction set ---- */

#define RG_CPU_SLOTS(X)                                           \
    X(linear, rg_linear_args, rg_linear_grad_args)                \
    X(conv1d, rg_conv1d_args, rg_conv1d_grad_args)                \
    X(conv_tr1d, rg_conv_tr1d_args, rg_conv_tr1d_grad_args)       \
    X(conv2d, rg_conv2d_args, rg_conv2d_grad_args)                \
    X(stft, rg_stft_args, rg_stft_grad_args)                      \
    X(spectrogram, rg_spectrogram_args, rg_spectrogram_grad_args) \
    X(lstm, rg_lstm_args, rg_lstm_grad_args)                      \
    X(attention, rg_attention_args, rg_attention_grad_args)

#define X(name, forward_args, grad_args)                                                   \
    rg_status rg_cpu_##name(const rg_isa *isa, rg_kernel_ctx *ctx, const forward_args *a); \
    rg_status rg_cpu_##name##_grad(const rg_isa *isa, rg_kernel_ctx *ctx, const grad_args *a);
RG_CPU_SLOTS(X)
#undef X

rg_status rg_cpu_rvq(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_rvq_args *a);
rg_status rg_cpu_adamw(const rg_isa *isa, rg_kernel_ctx *ctx, const rg_adamw_args *a);

/* The highest level that this CPU runs, whatever RG_ISA says; NULL: the reference only. */
const rg_isa *rg_cpu_best_isa(void);

/* Writes this level's slots over the level below's. */
void rg_cpu_fill_avx2(rg_kernels *k);
void rg_cpu_fill_avx512(rg_kernels *k);
void rg_cpu_fill_avx512bf16(rg_kernels *k);
void rg_cpu_fill_amx(rg_kernels *k);

#endif
