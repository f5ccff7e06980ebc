/*
 * Attention in fp32 for any head of up to 256: the exact path, and that of the odd head sizes.
 *
 * One idea: a warp keeps four rows; in a product with the other side's 32 rows a lane is one of
 * them, in a product with their sums it is one of every 32 columns. The own rows are read by all
 * lanes at once and need no shared memory.
 * Not here: filling the operands, which are already rounded as ctx->operands asks (attention.cu).
 */
#ifndef RG_KERNELS_CUDA_ATTENTION_PLAIN_CUH
#define RG_KERNELS_CUDA_ATTENTION_PLAIN_CUH

#include "kernels/cuda/attention.cuh"

namespace
{

constexpr int PLAIN_WARPS = 4, PLAIN_WARP_ROWS = 4, PLAIN_OTHERS = 32;
constexpr int PLAIN_ROWS = PLAIN_WARPS * PLAIN_WARP_ROWS, PLAIN_THREADS = 32 * PLAIN_WARPS;

/* Blocks that a multiprocessor takes at least: all registers that the sums may want. */
constexpr int PLAIN_BLOCKS = 2;

/* Rows of SLICES * 32 floats, kept at a pitch at which lanes that read a float4 of 32 rows meet
 * every bank. */
template <int SLICES> struct plain_tile {
    static constexpr int width = SLICES * 32, pitch = width + 4;
    float at[PLAIN_OTHERS][pitch];
};

template <int SLICES>
__device__ __forceinline__ void plain_load(plain_tile<SLICES> &tile, const float *__restrict__ rows)
{
    constexpr int quads = plain_tile<SLICES>::width / 4;
    __syncthreads();
    for (int i = threadIdx.x; i < PLAIN_OTHERS * quads; i += PLAIN_THREADS)
        rg_st(reinterpret_cast<float4 *>(&tile.at[i / quads][i % quads * 4]),
              rg_ld(reinterpret_cast<const float4 *>(rows) + i));
    __syncthreads();
}

/* s[r] = own row r . this lane's row of the tile */
template <int SLICES>
__device__ __forceinline__ void plain_scores(float *s, const float *__restrict__ own,
                                             const plain_tile<SLICES> &tile)
{
    constexpr int width = plain_tile<SLICES>::width;
    RG_UNROLL for (int r = 0; r < PLAIN_WARP_ROWS; r++) s[r] = 0.f;
    RG_UNROLL_BY(4) for (int c = 0; c < width; c += 4)
    {
        const float4 t = rg_ld(reinterpret_cast<const float4 *>(&tile.at[threadIdx.x & 31][c]));
        RG_UNROLL for (int r = 0; r < PLAIN_WARP_ROWS; r++)
        {
            const float4 o = rg_ld(reinterpret_cast<const float4 *>(own + r * width + c));
            s[r] = fmaf(o.x, t.x, fmaf(o.y, t.y, fmaf(o.z, t.z, fmaf(o.w, t.w, s[r]))));
        }
    }
}

/* acc[r][i] += sum over the tile's rows j of weight (lane j's w[r]) tile[j][lane + 32 i] */
template <int SLICES>
__device__ __forceinline__ void plain_weigh(float (*acc)[SLICES], const float *w,
                                            const plain_tile<SLICES> &tile)
{
    RG_UNROLL_BY(4)
    for (int j = 0; j < PLAIN_OTHERS; j++) RG_UNROLL for (int r = 0; r < PLAIN_WARP_ROWS; r++)
        {
            const float weight = __shfl_sync(RG_FULL, w[r], j);
            RG_UNROLL for (int i = 0; i < SLICES; i++) acc[r][i] =
                fmaf(weight, tile.at[j][(threadIdx.x & 31) + 32 * i], acc[r][i]);
        }
}

template <int SLICES> __device__ __forceinline__ void plain_clear(float (*acc)[SLICES])
{
    RG_UNROLL for (int r = 0; r < PLAIN_WARP_ROWS; r++) RG_UNROLL for (int i = 0; i < SLICES; i++)
        acc[r][i] = 0.f;
}

/* One row's running softmax; the maximum, a whole number, in units of ln 2. */
struct plain_row {
    float pos, max, sum;
};

/* This lane's score to its weight; returns what sums of older weights are to be multiplied by. */
__device__ __forceinline__ float plain_softmax(float &s, plain_row &row, bool allowed,
                                               rg_dtype operands)
{
    s = allowed ? s * ATT_LOG2E : -INFINITY;
    const float next = fmaxf(row.max, ceilf(rg_warp_max(s)));
    const float base = next == -INFINITY ? 0.f : next, scale = exp2f(row.max - base);
    s = exp2f(s - base);
    row.sum = row.sum * scale + rg_warp_sum(s);
    row.max = next;
    s = rg_operand(s, operands);
    return scale;
}

template <class T, int SLICES>
__device__ __forceinline__ void plain_store(const att_forward<T, float> &a, int bh, int t,
                                            const float *acc, const plain_row &row)
{
    if (t >= a.queries.steps) return;
    const float inverse = row.sum == 0.f ? 0.f : 1.f / row.sum;
    const size_t at = ((size_t)(bh / a.heads) * a.queries.steps + t) * a.heads + bh % a.heads;
    RG_UNROLL for (int i = 0; i < SLICES; i++)
    {
        const int d = (threadIdx.x & 31) + 32 * i;
        if (d < a.head_dim) a.out[at * a.head_dim + d] = rg_from<T>(acc[i] * inverse);
    }
    if (a.lse && (threadIdx.x & 31) == 0)
        a.lse[(size_t)bh * a.queries.steps + t] = (row.max + log2f(row.sum)) * ATT_LN2;
}

template <class T, int SLICES>
__global__ void __launch_bounds__(PLAIN_THREADS, PLAIN_BLOCKS) plain_kernel(att_forward<T, float> a)
{
    RG_SHARED_ALIGNED(16, plain_tile<SLICES>, tile, [1]);
    constexpr int width = plain_tile<SLICES>::width;
    const int tiles = a.queries.padded / PLAIN_ROWS, bh = blockIdx.x / tiles, item = bh / a.heads;
    const int first = blockIdx.x % tiles * PLAIN_ROWS, lane = threadIdx.x & 31;
    const int own = first + (threadIdx.x >> 5) * PLAIN_WARP_ROWS;
    const float2 bounds = att_bounds(a.queries, item, first, PLAIN_ROWS);
    const float *k_pos = att_pos(a.keys, item);
    const float *q = a.q + ((size_t)bh * a.queries.padded + own) * width;
    plain_row rows[PLAIN_WARP_ROWS];
    float acc[PLAIN_WARP_ROWS][SLICES], s[PLAIN_WARP_ROWS];
    plain_clear<SLICES>(acc);
    RG_UNROLL for (int r = 0; r < PLAIN_WARP_ROWS; r++)
        rows[r] = {att_pos(a.queries, item)[own + r], -INFINITY, 0.f};
    for (int t = 0; t < a.keys.padded; t += PLAIN_OTHERS) {
        if (!att_tiles_meet(a.limits, bounds, att_bounds(a.keys, item, t, PLAIN_OTHERS))) continue;
        const size_t at = ((size_t)bh * a.keys.padded + t) * width;
        plain_load<SLICES>(tile[0], a.k + at);
        plain_scores<SLICES>(s, q, tile[0]);
        RG_UNROLL for (int r = 0; r < PLAIN_WARP_ROWS; r++)
        {
            const bool allowed = att_allowed(a.limits, rows[r].pos, k_pos[t + lane]);
            const float scale = plain_softmax(s[r], rows[r], allowed, a.operands);
            RG_UNROLL for (int i = 0; i < SLICES; i++) acc[r][i] *= scale;
        }
        plain_load<SLICES>(tile[0], a.v + at);
        plain_weigh<SLICES>(acc, s, tile[0]);
    }
    RG_UNROLL for (int r = 0; r < PLAIN_WARP_ROWS; r++)
        plain_store<T, SLICES>(a, bh, own + r, acc[r], rows[r]);
}

/* The block's rows of a gradient, turned back and added; the tile takes them so that a lane finds
 * both halves of a pair. Every thread of the block calls it. */
template <class T, int SLICES>
__device__ __forceinline__ void plain_add(const att_target<T> &to, const att_backward<T, float> &a,
                                          int bh, int own, float (*acc)[SLICES],
                                          plain_tile<SLICES> &tile)
{
    const int lane = threadIdx.x & 31, place = (threadIdx.x >> 5) * PLAIN_WARP_ROWS;
    const int half = a.head_dim / 2;
    __syncthreads();
    RG_UNROLL for (int r = 0; r < PLAIN_WARP_ROWS; r++) RG_UNROLL for (int i = 0; i < SLICES; i++)
        tile.at[place + r][lane + 32 * i] = acc[r][i] * to.scale;
    __syncwarp();
    for (int r = 0; r < PLAIN_WARP_ROWS; r++) {
        const int t = own + r;
        if (!to.out || t >= a.mine.steps) continue;
        T *out = to.out + ((size_t)(bh / a.heads) * a.mine.steps + t) * to.ld +
                 bh % a.heads * a.head_dim;
        const float *row = tile.at[place + r];
        for (int d = lane; d < a.head_dim; d += 32) {
            const int low = d < half ? d : d - half;
            float2 pair = make_float2(row[low], row[low + half]);
            if (to.rope) pair = att_rotate_back(pair, to.rope[(size_t)t * half + low]);
            att_add(out + d, d < half ? pair.x : pair.y);
        }
    }
}

/* Scores and raw products to p and dscore = p (dp - delta), both rounded as operands. */
template <class T, bool KEYS>
__device__ __forceinline__ void plain_dscores(const att_backward<T, float> &a, float *s, float *dp,
                                              const float *own_pos, float other_pos,
                                              size_t own_query, size_t other_query)
{
    RG_UNROLL for (int r = 0; r < PLAIN_WARP_ROWS; r++)
    {
        const size_t query = KEYS ? other_query : own_query + r;
        const float own = own_pos[r];
        const bool allowed = att_allowed(a.limits, KEYS ? other_pos : own, KEYS ? own : other_pos);
        const float p = allowed ? exp2f(s[r] * ATT_LOG2E - a.lse[query]) : 0.f;
        s[r] = rg_operand(p, a.operands);
        dp[r] = allowed ? rg_operand(p * (dp[r] - a.delta[query]), a.operands) : 0.f;
    }
}

template <class T, int SLICES, bool KEYS>
__global__ void __launch_bounds__(PLAIN_THREADS, PLAIN_BLOCKS)
    plain_grad_kernel(att_backward<T, float> a)
{
    RG_SHARED_ALIGNED(16, plain_tile<SLICES>, tile, [1]);
    constexpr int width = plain_tile<SLICES>::width;
    const int tiles = a.mine.padded / PLAIN_ROWS, bh = blockIdx.x / tiles, item = bh / a.heads;
    const int first = blockIdx.x % tiles * PLAIN_ROWS, lane = threadIdx.x & 31;
    const int own = first + (threadIdx.x >> 5) * PLAIN_WARP_ROWS;
    const float2 bounds = att_bounds(a.mine, item, first, PLAIN_ROWS);
    const float *pos = att_pos(a.mine, item) + own, *other_pos = att_pos(a.theirs, item);
    const size_t own_at = (size_t)bh * a.mine.padded + own;
    float acc[KEYS ? 2 : 1][PLAIN_WARP_ROWS][SLICES], s[PLAIN_WARP_ROWS], dp[PLAIN_WARP_ROWS];
    RG_UNROLL for (int i = 0; i < (KEYS ? 2 : 1); i++) plain_clear<SLICES>(acc[i]);
    for (int t = 0; t < a.theirs.padded; t += PLAIN_OTHERS) {
        const float2 there = att_bounds(a.theirs, item, t, PLAIN_OTHERS);
        if (!att_tiles_meet(a.limits, KEYS ? there : bounds, KEYS ? bounds : there)) continue;
        const size_t at = (size_t)bh * a.theirs.padded + t;
        plain_load<SLICES>(tile[0], a.other[0] + at * width);
        plain_scores<SLICES>(s, a.own[0] + own_at * width, tile[0]);
        plain_load<SLICES>(tile[0], a.other[1] + at * width);
        plain_scores<SLICES>(dp, a.own[1] + own_at * width, tile[0]);
        plain_dscores<T, KEYS>(a, s, dp, pos, other_pos[t + lane], own_at, at + lane);
        if (KEYS) plain_weigh<SLICES>(acc[KEYS], s, tile[0]);
        plain_load<SLICES>(tile[0], a.other[0] + at * width);
        plain_weigh<SLICES>(acc[0], dp, tile[0]);
    }
    RG_UNROLL for (int i = 0; i < (KEYS ? 2 : 1); i++)
        plain_add<T, SLICES>(a.target[i], a, bh, own, acc[i], tile[0]);
}

} // namespace

#endif
