/*
 * Convolutions with one channel on one side (conv_thin.h).
 *
 * One idea: whichever side is the target, an element there is a sum over the taps that reach it.
 * A thick target is spread to by threads with four channels each; a thin one is collected by eight
 * lanes that share the channels; the weights' gradient is a sum over all outputs (sums.cuh).
 * Values and weights are rounded as products of matrices read them; weights are few and stay in
 * the first cache.
 */
#include "kernels/cuda/act.cuh"
#include "kernels/cuda/conv_thin.h"
#include "kernels/cuda/flat.cuh"
#include "kernels/cuda/operand.cuh"
#include "kernels/cuda/sums.cuh"

namespace
{

constexpr int THIN_THREADS = 256, THIN_LANES = 8, THIN_TAPS = 8;

/* A pass: `from` is read at taps, `to` is written. */
template <class T> struct thin_view {
    rg_thin t;
    const T *from, *w;
    T *to;
    const T *x; /* gradient: the derivative's argument, or NULL */
    const float *bias;
    rg_act act, act_in;
    float slope;
    bool add, wide_from, wide_to, wide_w; /* wide..: groups of four may be read there */
};

/* Where an element is: of the side that is the target. */
struct place {
    int64_t b;
    int row, column;
};

__device__ __forceinline__ place place_of(int64_t i, int h, int w)
{
    const int64_t line = rg_quotient(i, w);
    const int64_t b = rg_quotient(line, h);
    return {b, (int)(line - b * h), (int)(i - line * w)};
}

/* The wide side's element that tap (kh,kw) of output p reads, or -1. */
__device__ __forceinline__ int64_t read_at(const rg_thin &t, const place &p, int kh, int kw)
{
    const int r = p.row * t.stride_h + kh * t.dilation_h - t.top;
    int q = p.column * t.stride_w + kw * t.dilation_w - t.left;
    if (t.reflect) q = q < 0 ? -q : q >= t.w ? 2 * (t.w - 1) - q : q;
    if (r < 0 || r >= t.h || q < 0 || q >= t.w) return -1;
    return (p.b * t.h + r) * t.w + q;
}

/* `padded` cells from the first tap's: the output there, or -1. */
__device__ __forceinline__ int output_at(int padded, int tap, int stride, int outputs)
{
    const int from = padded - tap, at = from / stride;
    return from >= 0 && at * stride == from && at < outputs ? at : -1;
}

/* use(tap, element of the wide side) for all that output p reads. */
template <class F>
__device__ __forceinline__ void each_read(const rg_thin &t, const place &p, F use)
{
    for (int kh = 0; kh < t.kernel_h; kh++)
        for (int kw = 0; kw < t.kernel_w; kw++) {
            const int64_t i = read_at(t, p, kh, kw);
            if (i >= 0) use(kh * t.kernel_w + kw, i);
        }
}

/* use(tap, output) for all that read element p of the wide side, or a mirror image of it. */
template <class F>
__device__ __forceinline__ void each_reader(const rg_thin &t, const place &p, F use)
{
    const int images[3] = {p.column + t.left, p.column > 0 ? t.left - p.column : -1,
                           p.column < t.w - 1 ? t.left + 2 * (t.w - 1) - p.column : -1};
    for (int kh = 0; kh < t.kernel_h; kh++) {
        const int i = output_at(p.row + t.top, kh * t.dilation_h, t.stride_h, t.h_out);
        if (i < 0) continue;
        for (int kw = 0; kw < t.kernel_w; kw++)
            for (int k = 0; k < (t.reflect ? 3 : 1); k++) {
                const int j = output_at(images[k], kw * t.dilation_w, t.stride_w, t.w_out);
                if (j >= 0) use(kh * t.kernel_w + kw, (p.b * t.h_out + i) * t.w_out + j);
            }
    }
}

template <bool FORWARD, class F>
__device__ __forceinline__ void each_source(const rg_thin &t, const place &p, F use)
{
    if (FORWARD)
        each_read(t, p, use);
    else
        each_reader(t, p, use);
}

template <bool FORWARD> __device__ __forceinline__ place target_of(const rg_thin &t, int64_t i)
{
    return FORWARD ? place_of(i, t.h_out, t.w_out) : place_of(i, t.h, t.w);
}

/* A value as the taps multiply it: activated and rounded as if it had been stored. */
template <class T>
__device__ __forceinline__ float operand_of(const thin_view<T> &a, bool forward, float v)
{
    if (forward && a.act_in != RG_ACT_NONE)
        v = rg_tofloat(rg_from<T>(rg_act_value(a.act_in, (float)RG_FUSED_LEAKY_SLOPE, v)));
    return rg_operand(v, a.t.operands);
}

/* The sums over taps become elements i .. i+4) of a row of n channels from c on. */
template <bool FORWARD, class T>
__device__ __forceinline__ void finish(const thin_view<T> &a, int64_t row, int64_t c, int64_t n,
                                       float v[RG_GROUP])
{
    float x[RG_GROUP] = {};
    if (!FORWARD && a.x) rg_load_group(a.x + row * n, c, n, a.wide_to, x);
    RG_UNROLL for (int k = 0; k < RG_GROUP; k++)
    {
        if (FORWARD)
            v[k] = rg_act_value(a.act, a.slope, v[k] + (a.bias && c + k < n ? a.bias[c + k] : 0.f));
        if (!FORWARD && a.x) v[k] *= rg_act_derivative(a.act_in, (float)RG_FUSED_LEAKY_SLOPE, x[k]);
    }
    rg_store_group(a.to + row * n, c, n, a.wide_to, a.add, v);
}

/* to (targets,C) of from (sources): a thread has four channels of a target. */
template <bool FORWARD, class T>
__global__ void __launch_bounds__(THIN_THREADS) spread_kernel(thin_view<T> a, int64_t n)
{
    const int64_t i = (int64_t)blockIdx.x * THIN_THREADS + threadIdx.x;
    if (i >= n) return;
    const int64_t groups = (a.t.channels + RG_GROUP - 1) / RG_GROUP, row = rg_quotient(i, groups);
    const int64_t c = (i - row * groups) * RG_GROUP;
    float v[RG_GROUP] = {};
    each_source<FORWARD>(a.t, target_of<FORWARD>(a.t, row), [&](int tap, int64_t at) {
        float w[RG_GROUP];
        const float x = operand_of(a, FORWARD, rg_tofloat(a.from[at]));
        rg_load_group(a.w + tap * a.t.channels, c, a.t.channels, a.wide_w, w);
        RG_UNROLL for (int k = 0; k < RG_GROUP; k++) v[k] =
            fmaf(x, rg_operand(w[k], a.t.operands), v[k]);
    });
    finish<FORWARD>(a, row, c, a.t.channels, v);
}

/* to (targets) of from (sources,C): THIN_LANES neighbours have a target. */
template <bool FORWARD, class T>
__global__ void __launch_bounds__(THIN_THREADS, 4) collect_kernel(thin_view<T> a, int64_t n)
{
    const int64_t row = ((int64_t)blockIdx.x * THIN_THREADS + threadIdx.x) / THIN_LANES;
    const int lane = (int)threadIdx.x % THIN_LANES;
    float sum[RG_GROUP] = {};
    if (row < n)
        each_source<FORWARD>(a.t, target_of<FORWARD>(a.t, row), [&](int tap, int64_t at) {
            const int64_t channels = a.t.channels;
            for (int64_t c = lane * RG_GROUP; c < channels; c += THIN_LANES * RG_GROUP) {
                float x[RG_GROUP], w[RG_GROUP];
                rg_load_group(a.from + at * channels, c, channels, a.wide_from, x);
                rg_load_group(a.w + tap * channels, c, channels, a.wide_w, w);
                RG_UNROLL for (int k = 0; k < RG_GROUP; k++) sum[k] =
                    fmaf(operand_of(a, FORWARD, x[k]), rg_operand(w[k], a.t.operands), sum[k]);
            }
        });
    float v[RG_GROUP] = {(sum[0] + sum[1]) + (sum[2] + sum[3])};
    RG_UNROLL for (int o = THIN_LANES / 2; o; o /= 2) v[0] += __shfl_xor_sync(RG_FULL, v[0], o);
    if (lane == 0 && row < n) finish<FORWARD>(a, row, 0, 1, v);
}

template <class T> struct thin_products {
    thin_view<T> a; /* from: x */
    const T *dy;
    /* row: an output; item: THIN_TAPS taps from item * THIN_TAPS on */
    __device__ __forceinline__ void add(int64_t item, int64_t row, int64_t c,
                                        float sums[THIN_TAPS]) const
    {
        const rg_thin &t = a.t;
        const int64_t x_channels = t.thin_wide ? 1 : t.channels, x_at = t.thin_wide ? 0 : c;
        const place p = place_of(row, t.h_out, t.w_out);
        const float out =
            rg_operand(rg_tofloat(t.thin_wide ? dy[row * t.channels + c] : dy[row]), t.operands);
        RG_UNROLL for (int k = 0; k < THIN_TAPS; k++)
        {
            const int tap = (int)item * THIN_TAPS + k;
            if (tap >= t.kernel_h * t.kernel_w) break;
            const int64_t at = read_at(t, p, tap / t.kernel_w, tap % t.kernel_w);
            if (at < 0) continue;
            const float x = rg_tofloat(a.from[at * x_channels + x_at]);
            sums[k] = fmaf(operand_of(a, true, x), out, sums[k]);
        }
    }
};

struct thin_dw_sink {
    float *dw;
    int64_t channels;
    int taps;
    bool adds;
    __device__ __forceinline__ void put(int64_t item, int64_t c, int64_t,
                                        const float sums[THIN_TAPS]) const
    {
        for (int k = 0; k < THIN_TAPS && (int)item * THIN_TAPS + k < taps; k++) {
            float *to = dw + (item * THIN_TAPS + k) * channels + c;
            *to = adds ? *to + sums[k] : sums[k];
        }
    }
};

template <class T>
thin_view<T> view_of(const rg_thin *t, const rg_thin_ends *e, const void *from, const void *w,
                     void *to)
{
    thin_view<T> a = {};
    const bool groups = t->channels % RG_GROUP == 0;
    a.t = *t;
    a.from = static_cast<const T *>(from);
    a.w = static_cast<const T *>(w);
    a.to = static_cast<T *>(to);
    a.x = e->act_in == RG_ACT_NONE ? nullptr : static_cast<const T *>(e->x);
    a.bias = e->bias;
    a.act = e->act;
    a.act_in = e->act_in;
    a.slope = (float)e->slope;
    a.add = e->add;
    a.wide_from = groups && rg_wide(a.from);
    a.wide_w = groups && rg_wide(a.w);
    a.wide_to = groups && rg_wide(a.to) && rg_wide(a.x);
    return a;
}

template <bool FORWARD, class T> rg_status run(rg_kernel_ctx *ctx, const thin_view<T> &a)
{
    const rg_thin &t = a.t;
    const int64_t targets = t.batch * (FORWARD ? (int64_t)t.h_out * t.w_out : (int64_t)t.h * t.w);
    const bool spread = t.thin_wide == FORWARD;
    const int64_t threads =
        spread ? targets * ((t.channels + RG_GROUP - 1) / RG_GROUP) : targets * THIN_LANES;
    const dim3 blocks((unsigned)((threads + THIN_THREADS - 1) / THIN_THREADS));
    cudaStream_t stream = (cudaStream_t)ctx->stream;
    if (!threads) return RG_OK;
    if (spread)
        return rg_cuda_check(ctx, RG_LAUNCH((spread_kernel<FORWARD, T>), blocks, dim3(THIN_THREADS),
                                            0, stream, a, threads));
    return rg_cuda_check(ctx, RG_LAUNCH((collect_kernel<FORWARD, T>), blocks, dim3(THIN_THREADS), 0,
                                        stream, a, targets));
}

template <class T>
rg_status weigh(rg_kernel_ctx *ctx, const rg_thin *t, const rg_thin_ends *e, const void *dy,
                float *dw)
{
    const int taps = t->kernel_h * t->kernel_w;
    const thin_products<T> source = {view_of<T>(t, e, e->x, nullptr, nullptr),
                                     static_cast<const T *>(dy)};
    return rg_sums<float, THIN_TAPS>(ctx, (taps + THIN_TAPS - 1) / THIN_TAPS,
                                     t->batch * t->h_out * t->w_out, t->channels, source,
                                     thin_dw_sink{dw, t->channels, taps, e->add});
}

} // namespace

#define BY_TYPE(type, call_of)                    \
    ((type) == RG_F16    ? call_of(__half)        \
     : (type) == RG_BF16 ? call_of(__nv_bfloat16) \
                         : call_of(float))

extern "C" rg_status rg_cuda_thin_forward(rg_kernel_ctx *ctx, const rg_thin *t,
                                          const rg_thin_ends *ends, const void *w, void *y)
{
#define FORWARD_OF(T) run<true>(ctx, view_of<T>(t, ends, ends->x, w, y))
    return BY_TYPE(t->type, FORWARD_OF);
}

extern "C" rg_status rg_cuda_thin_dx(rg_kernel_ctx *ctx, const rg_thin *t, const rg_thin_ends *ends,
                                     const void *w, const void *dy, void *dx)
{
#define DX_OF(T) run<false>(ctx, view_of<T>(t, ends, dy, w, dx))
    return BY_TYPE(t->type, DX_OF);
}

extern "C" rg_status rg_cuda_thin_dw(rg_kernel_ctx *ctx, const rg_thin *t, const rg_thin_ends *ends,
                                     const void *dy, float *dw)
{
#define DW_OF(T) weigh<T>(ctx, t, ends, dy, dw)
    return BY_TYPE(t->type, DW_OF);
}
