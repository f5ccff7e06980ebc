/*
 * Attention through tensor cores for heads of 64 and 128: operands fp16 or bf16, sums fp32.
 *
 * One idea (Dao, FlashAttention-2): a warp keeps 16 rows of scores in registers; exponentiated and
 * packed they already are the left operand of the next product. The running maximum is a multiple
 * of ln 2, so that rescaling is exact and the weights' rounding does not depend on it. The gradient
 * of queries and that of keys are one kernel with the sides exchanged.
 * Not here: filling the operands (attention.cu).
 */
#ifndef RG_KERNELS_CUDA_ATTENTION_TENSOR_CUH
#define RG_KERNELS_CUDA_ATTENTION_TENSOR_CUH

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/rg_ptx.cuh"

namespace
{

constexpr int FLASH_ROWS = 64, FLASH_THREADS = 128; /* four warps of 16 rows */
constexpr int FLASH_KEYS = 64;                      /* columns per step forward */
/* and of a gradient: fewer where two sums of 128 columns fill the registers */
template <int D, bool KEYS> constexpr int flash_others = D == 128 && KEYS ? 16 : 32;

__device__ __forceinline__ uint32_t flash_pack(float lo, float hi, __half)
{
    const __half2 v = __floats2half2_rn(lo, hi);
    return *reinterpret_cast<const uint32_t *>(&v);
}

__device__ __forceinline__ uint32_t flash_pack(float lo, float hi, __nv_bfloat16)
{
    const __nv_bfloat162 v = __floats2bfloat162_rn(lo, hi);
    return *reinterpret_cast<const uint32_t *>(&v);
}

/* Place of 8 elements, half `half` of the 16 of column block `k` of a row, in a tile of rows of D:
 * the halves of neighbouring rows are exchanged so that ldmatrix meets every bank once. One
 * exclusive or leads from k = 0 to the others. */
template <int D> __device__ __forceinline__ int flash_place(int row, int half, int k)
{
    return (row * D + (half ^ (row & 7)) * 8) ^ (16 * k);
}

template <class O, int D, int ROWS>
__device__ __forceinline__ void flash_load(O *tile, const O *__restrict__ rows)
{
    RG_UNROLL for (int i = 0; i < ROWS * D / 8 / FLASH_THREADS; i++)
    {
        const int at = i * FLASH_THREADS + (int)threadIdx.x, row = at / (D / 8),
                  chunk = at % (D / 8);
        rg_st(reinterpret_cast<int4 *>(tile + flash_place<D>(row, chunk & 1, chunk >> 1)),
              rg_ld(reinterpret_cast<const int4 *>(rows + (size_t)at * 8)));
    }
}

/* Left operand: rows [row, row + 16), columns [16 k, 16 k + 16). */
template <class O, int D>
__device__ __forceinline__ void flash_left(rg_a16 &a, const O *tile, int row, int k)
{
    const int lane = threadIdx.x & 31, m = lane >> 3;
    rg_ldmatrix_x4(a, tile + flash_place<D>(row + (lane & 7) + (m & 1) * 8, m >> 1, k));
}

/* Right operand of a product with the tile's transpose: two blocks of 8 of the tile's rows. */
template <class O, int D>
__device__ __forceinline__ void flash_right_t(rg_b16 b[2], const O *tile, int row, int k)
{
    const int lane = threadIdx.x & 31, m = lane >> 3;
    rg_a16 r;
    rg_ldmatrix_x4(r, tile + flash_place<D>(row + (lane & 7) + (m >> 1) * 8, m & 1, k));
    b[0].r[0] = r.r[0], b[0].r[1] = r.r[1], b[1].r[0] = r.r[2], b[1].r[1] = r.r[3];
}

/* Right operand of a product with the tile: 16 of its rows, columns [16 n, 16 n + 16). */
template <class O, int D>
__device__ __forceinline__ void flash_right(rg_b16 b[2], const O *tile, int row, int n)
{
    const int lane = threadIdx.x & 31, m = lane >> 3;
    rg_a16 r;
    rg_ldmatrix_x4_trans(r, tile + flash_place<D>(row + (lane & 7) + (m & 1) * 8, m >> 1, n));
    b[0].r[0] = r.r[0], b[0].r[1] = r.r[1], b[1].r[0] = r.r[2], b[1].r[1] = r.r[3];
}

/* s (16,COLS) += left (16,16) of step k times tile (COLS,D)^T */
template <class O, int D, int COLS>
__device__ __forceinline__ void flash_scores(rg_c16 *s, const rg_a16 &left, const O *tile, int k)
{
    RG_UNROLL for (int n = 0; n < COLS / 16; n++)
    {
        rg_b16 b[2];
        flash_right_t<O, D>(b, tile, n * 16, k);
        rg_mma_16816<O>(s[2 * n], left, b[0]);
        rg_mma_16816<O>(s[2 * n + 1], left, b[1]);
    }
}

/* acc (16,D) += weights (16,COLS) tile (COLS,D) */
template <class O, int D, int COLS>
__device__ __forceinline__ void flash_weigh(rg_c16 *acc, const rg_c16 *weights, const O *tile)
{
    RG_UNROLL for (int k = 0; k < COLS / 16; k++)
    {
        const rg_c16 &lo = weights[2 * k], &hi = weights[2 * k + 1];
        const rg_a16 left = {{flash_pack(lo.f[0], lo.f[1], O()), flash_pack(lo.f[2], lo.f[3], O()),
                              flash_pack(hi.f[0], hi.f[1], O()),
                              flash_pack(hi.f[2], hi.f[3], O())}};
        RG_UNROLL for (int n = 0; n < D / 16; n++)
        {
            rg_b16 b[2];
            flash_right<O, D>(b, tile, k * 16, n);
            rg_mma_16816<O>(acc[2 * n], left, b[0]);
            rg_mma_16816<O>(acc[2 * n + 1], left, b[1]);
        }
    }
}

template <int N> __device__ __forceinline__ void flash_clear(rg_c16 *acc)
{
    RG_UNROLL for (int n = 0; n < N; n++) acc[n] = rg_c16{{0.f, 0.f, 0.f, 0.f}};
}

/* Max or sum over the four lanes that share a row. */
__device__ __forceinline__ float flash_row_max(float v)
{
    v = fmaxf(v, __shfl_xor_sync(RG_FULL, v, 1));
    return fmaxf(v, __shfl_xor_sync(RG_FULL, v, 2));
}

__device__ __forceinline__ float flash_row_sum(float v)
{
    v += __shfl_xor_sync(RG_FULL, v, 1);
    return v + __shfl_xor_sync(RG_FULL, v, 2);
}

/* Two rows' running softmax: the maximum, a whole number, in units of ln 2; this lane's sums. */
struct flash_rows {
    float pos[2], max[2], sum[2];
};

/* Scores to weights; returns in scale what sums of older weights are to be multiplied by. */
__device__ __forceinline__ void flash_softmax(rg_c16 *s, flash_rows &rows, att_limits limits,
                                              const float *k_pos, float scale[2])
{
    const int col = 2 * (threadIdx.x & 3);
    float top[2] = {-INFINITY, -INFINITY}, base[2];
    RG_UNROLL for (int n = 0; n < FLASH_KEYS / 8; n++)
    {
        const float2 k = rg_ld(reinterpret_cast<const float2 *>(k_pos + 8 * n + col));
        RG_UNROLL for (int i = 0; i < 4; i++)
        {
            const bool allowed = att_allowed(limits, rows.pos[i >> 1], i & 1 ? k.y : k.x);
            s[n].f[i] = allowed ? s[n].f[i] * ATT_LOG2E : -INFINITY;
            top[i >> 1] = fmaxf(top[i >> 1], s[n].f[i]);
        }
    }
    RG_UNROLL for (int r = 0; r < 2; r++)
    {
        const float next = fmaxf(rows.max[r], ceilf(flash_row_max(top[r])));
        base[r] = next == -INFINITY ? 0.f : next;
        scale[r] = exp2f(rows.max[r] - base[r]);
        rows.max[r] = next;
        rows.sum[r] *= scale[r];
    }
    RG_UNROLL for (int n = 0; n < FLASH_KEYS / 8; n++) RG_UNROLL for (int i = 0; i < 4; i++)
    {
        s[n].f[i] = exp2f(s[n].f[i] - base[i >> 1]);
        rows.sum[i >> 1] += s[n].f[i];
    }
}

template <class T, class O, int D>
__device__ __forceinline__ void flash_store(const att_forward<T, O> &a, int bh, int row,
                                            const rg_c16 *acc, const flash_rows &rows)
{
    const int col = 2 * (threadIdx.x & 3);
    RG_UNROLL for (int r = 0; r < 2; r++)
    {
        const int t = row + 8 * r;
        const float sum = flash_row_sum(rows.sum[r]), inverse = sum == 0.f ? 0.f : 1.f / sum;
        if (t >= a.queries.steps) continue;
        T *out =
            a.out + (((size_t)(bh / a.heads) * a.queries.steps + t) * a.heads + bh % a.heads) * D;
        RG_UNROLL for (int n = 0; n < D / 8; n++)
        {
            out[8 * n + col] = rg_from<T>(acc[n].f[2 * r] * inverse);
            out[8 * n + col + 1] = rg_from<T>(acc[n].f[2 * r + 1] * inverse);
        }
        if (a.lse && col == 0)
            a.lse[(size_t)bh * a.queries.steps + t] = (rows.max[r] + log2f(sum)) * ATT_LN2;
    }
}

template <class T, class O, int D>
__global__ void __launch_bounds__(FLASH_THREADS) flash_kernel(att_forward<T, O> a)
{
    RG_SHARED_ALIGNED(128, O, keys, [FLASH_KEYS * D]);
    RG_SHARED_ALIGNED(128, O, values, [FLASH_KEYS * D]);
    const int tiles = a.queries.padded / FLASH_ROWS, bh = blockIdx.x / tiles, item = bh / a.heads;
    const int first = blockIdx.x % tiles * FLASH_ROWS, lane = threadIdx.x & 31;
    const int strip = (threadIdx.x >> 5) * 16, row = first + strip + (lane >> 2);
    const float2 q_bounds = att_bounds(a.queries, item, first, FLASH_ROWS);
    const float *q_pos = att_pos(a.queries, item), *k_pos = att_pos(a.keys, item);
    flash_rows rows = {{q_pos[row], q_pos[row + 8]}, {-INFINITY, -INFINITY}, {0.f, 0.f}};
    rg_a16 q[D / 16];
    rg_c16 acc[D / 8], s[FLASH_KEYS / 8];
    flash_load<O, D, FLASH_ROWS>(keys, a.q + ((size_t)bh * a.queries.padded + first) * D);
    __syncthreads();
    RG_UNROLL for (int k = 0; k < D / 16; k++) flash_left<O, D>(q[k], keys, strip, k);
    flash_clear<D / 8>(acc);
    for (int t = 0; t < a.keys.padded; t += FLASH_KEYS) {
        if (!att_tiles_meet(a.limits, q_bounds, att_bounds(a.keys, item, t, FLASH_KEYS))) continue;
        const size_t at = ((size_t)bh * a.keys.padded + t) * D;
        float scale[2];
        __syncthreads();
        flash_load<O, D, FLASH_KEYS>(keys, a.k + at);
        flash_load<O, D, FLASH_KEYS>(values, a.v + at);
        __syncthreads();
        flash_clear<FLASH_KEYS / 8>(s);
        RG_UNROLL for (int k = 0; k < D / 16; k++) flash_scores<O, D, FLASH_KEYS>(s, q[k], keys, k);
        flash_softmax(s, rows, a.limits, k_pos + t, scale);
        RG_UNROLL for (int n = 0; n < D / 8; n++) RG_UNROLL for (int i = 0; i < 4; i++) acc[n]
            .f[i] *= scale[i >> 1];
        flash_weigh<O, D, FLASH_KEYS>(acc, s, values);
    }
    flash_store<T, O, D>(a, bh, row, acc, rows);
}

/* Scores and their gradients' raw products to p and dscore = p (dp - delta), in place. */
template <class T, class O, int COLS, bool KEYS>
__device__ __forceinline__ void flash_dscores(const att_backward<T, O> &a, rg_c16 *s, rg_c16 *dp,
                                              const float own_pos[2], size_t own_query,
                                              const float *other_pos, size_t other_query)
{
    const int col = 2 * (threadIdx.x & 3);
    RG_UNROLL for (int n = 0; n < COLS / 8; n++) RG_UNROLL for (int i = 0; i < 4; i++)
    {
        const int c = 8 * n + col + (i & 1);
        const float own = own_pos[i >> 1], other = other_pos[c];
        const size_t query = KEYS ? other_query + c : own_query + 8 * (i >> 1);
        const bool allowed = att_allowed(a.limits, KEYS ? other : own, KEYS ? own : other);
        const float p = allowed ? exp2f(s[n].f[i] * ATT_LOG2E - a.lse[query]) : 0.f;
        s[n].f[i] = p;
        dp[n].f[i] = allowed ? p * (dp[n].f[i] - a.delta[query]) : 0.f;
    }
}

/* A pair (d, d + D/2) lies in one lane: n and n + D/16 blocks of columns. */
template <class T, int D>
__device__ __forceinline__ void flash_add(const att_target<T> &to, const att_side &side, int heads,
                                          int bh, int row, const rg_c16 *acc)
{
    RG_UNROLL for (int i = 0; i < 4; i++)
    {
        const int t = row + 8 * (i >> 1), col = 2 * (threadIdx.x & 3) + (i & 1);
        if (!to.out || t >= side.steps) continue;
        T *out = to.out + ((size_t)(bh / heads) * side.steps + t) * to.ld + bh % heads * D;
        RG_UNROLL for (int n = 0; n < D / 16; n++)
        {
            const int d = 8 * n + col;
            float2 pair = make_float2(acc[n].f[i] * to.scale, acc[n + D / 16].f[i] * to.scale);
            if (to.rope) pair = att_rotate_back(pair, to.rope[(size_t)t * (D / 2) + d]);
            att_add(out + d, pair.x);
            att_add(out + d + D / 2, pair.y);
        }
    }
}

template <class T, class O, int D, bool KEYS>
__global__ void __launch_bounds__(FLASH_THREADS) flash_grad_kernel(att_backward<T, O> a)
{
    constexpr int cols = flash_others<D, KEYS>;
    RG_SHARED_ALIGNED(128, O, own, [2][FLASH_ROWS * D]);
    RG_SHARED_ALIGNED(128, O, other, [2][cols * D]);
    const int tiles = a.mine.padded / FLASH_ROWS, bh = blockIdx.x / tiles, item = bh / a.heads;
    const int first = blockIdx.x % tiles * FLASH_ROWS, lane = threadIdx.x & 31;
    const int strip = (threadIdx.x >> 5) * 16, row = first + strip + (lane >> 2);
    const float2 bounds = att_bounds(a.mine, item, first, FLASH_ROWS);
    const float *pos = att_pos(a.mine, item), *other_pos = att_pos(a.theirs, item);
    const float own_pos[2] = {pos[row], pos[row + 8]};
    const size_t own_at = (size_t)bh * a.mine.padded, other_at = (size_t)bh * a.theirs.padded;
    rg_c16 acc[KEYS ? 2 : 1][D / 8], s[cols / 8], dp[cols / 8];
    RG_UNROLL for (int i = 0; i < 2; i++)
        flash_load<O, D, FLASH_ROWS>(own[i], a.own[i] + (own_at + first) * D);
    RG_UNROLL for (int i = 0; i < (KEYS ? 2 : 1); i++) flash_clear<D / 8>(acc[i]);
    for (int t = 0; t < a.theirs.padded; t += cols) {
        const float2 there = att_bounds(a.theirs, item, t, cols);
        if (!att_tiles_meet(a.limits, KEYS ? there : bounds, KEYS ? bounds : there)) continue;
        __syncthreads();
        RG_UNROLL for (int i = 0; i < 2; i++)
            flash_load<O, D, cols>(other[i], a.other[i] + (other_at + t) * D);
        __syncthreads();
        flash_clear<cols / 8>(s);
        flash_clear<cols / 8>(dp);
        RG_UNROLL_BY(2) for (int k = 0; k < D / 16; k++)
        {
            rg_a16 left;
            flash_left<O, D>(left, own[0], strip, k);
            flash_scores<O, D, cols>(s, left, other[0], k);
            flash_left<O, D>(left, own[1], strip, k);
            flash_scores<O, D, cols>(dp, left, other[1], k);
        }
        flash_dscores<T, O, cols, KEYS>(a, s, dp, own_pos, own_at + row, other_pos + t,
                                        other_at + t);
        if (KEYS) flash_weigh<O, D, cols>(acc[KEYS], s, other[1]);
        flash_weigh<O, D, cols>(acc[0], dp, other[0]);
    }
    RG_UNROLL for (int i = 0; i < (KEYS ? 2 : 1); i++)
        flash_add<T, D>(a.target[i], a.mine, a.heads, bh, row, acc[i]);
}

} // namespace

#endif
