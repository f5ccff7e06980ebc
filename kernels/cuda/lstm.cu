/*
 * One LSTM layer over a sequence: the input's product at once, then a kernel per step that
 * multiplies the last state and applies the cell; the gradient walks back the same way.
 *
 * One idea: a block keeps 32 units of 8 items, its warps share the sum over the last state, and
 * the thread that adds their parts up then is the cell of that unit and item. Steps are ordered by
 * their launches. Going back, what the next step left is multiplied by the transposed weight
 * first, so that this too is one kernel per step.
 * Not here: the products over all steps (gemm.h).
 */
#include <type_traits>

#include "kernels/cuda/gemm.h"
#include "kernels/cuda/operand.cuh"
#include "kernels/cuda/sums.cuh"

namespace
{

constexpr int LSTM_UNITS = 32, LSTM_ITEMS = 8, LSTM_WARPS = 8, LSTM_THREADS = 32 * LSTM_WARPS;
constexpr int LSTM_SLICE = 256; /* of the state that is multiplied, in shared memory at a time */

/*
 * One product of a step: value (B,K) at rows of `pitch`, times w (K, GROUPS * H) of operands O.
 */
template <class V, class O> struct lstm_factor {
    const V *value; /* NULL: zeros */
    size_t pitch;
    const O *w;
    int length;
};

struct lstm_shape {
    int batch, steps, hidden;
    rg_dtype operands;
};

/* A slice of the block's values, rounded as operands; zeros beyond the batch and the length. */
template <class V, class O>
__device__ __forceinline__ void lstm_load(float (*slice)[LSTM_SLICE], const lstm_factor<V, O> &f,
                                          const lstm_shape &s, int item, int k)
{
    for (int i = threadIdx.x; i < LSTM_ITEMS * LSTM_SLICE; i += LSTM_THREADS) {
        const int b = item + i / LSTM_SLICE, at = k + i % LSTM_SLICE;
        float v = 0.f;
        if (b < s.batch && at < f.length)
            v = rg_operand(rg_tofloat(f.value[(size_t)b * f.pitch + at]), s.operands);
        slice[i / LSTM_SLICE][i % LSTM_SLICE] = v;
    }
}

/*
 * sum[g] of this thread: item blockIdx.y * 8 + warp, unit blockIdx.x * 32 + lane of group g. Warp w
 * sums every slice's k in [32 w, 32 w + 32) for all items of the block; then the parts are added in
 * the order of the warps. Every thread of the block calls it.
 */
template <int GROUPS, class V, class O>
__device__ __forceinline__ void lstm_product(float *sum, const lstm_factor<V, O> &f,
                                             const lstm_shape &s)
{
    RG_SHARED_ALIGNED(16, float, slice, [LSTM_ITEMS][LSTM_SLICE]);
    RG_SHARED(float, part, [LSTM_WARPS][LSTM_ITEMS][LSTM_UNITS]);
    constexpr int share = LSTM_SLICE / LSTM_WARPS;
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    const int unit = blockIdx.x * LSTM_UNITS + lane;
    const size_t wide = (size_t)GROUPS * s.hidden;
    float acc[GROUPS][LSTM_ITEMS] = {};
    for (int k = 0; f.value && k < f.length; k += LSTM_SLICE) {
        __syncthreads();
        lstm_load(slice, f, s, blockIdx.y * LSTM_ITEMS, k);
        __syncthreads();
        const int end = min(share, f.length - k - warp * share);
        for (int i = 0; i < end && unit < s.hidden; i++) {
            const O *w = f.w + (size_t)(k + warp * share + i) * wide + unit;
            RG_UNROLL for (int g = 0; g < GROUPS; g++)
            {
                const float weight = rg_tofloat(w[(size_t)g * s.hidden]);
                RG_UNROLL for (int b = 0; b < LSTM_ITEMS; b++) acc[g][b] =
                    fmaf(slice[b][warp * share + i], weight, acc[g][b]);
            }
        }
    }
    RG_UNROLL for (int g = 0; g < GROUPS; g++)
    {
        __syncthreads();
        RG_UNROLL for (int b = 0; b < LSTM_ITEMS; b++) part[warp][b][lane] = acc[g][b];
        __syncthreads();
        sum[g] = 0.f;
        for (int w = 0; w < LSTM_WARPS; w++) sum[g] += part[w][warp][lane];
    }
}

__device__ __forceinline__ float lstm_sigmoid(float x)
{
    return 1.f / (1.f + expf(-x));
}

/* What a step reads and writes; pointers of (B,T,...) tensors stand at their step 0. */
template <class T, class O> struct lstm_forward_view {
    lstm_shape s;
    const O *w_hh;       /* (H,4H) */
    const float *inputs; /* (B,T,4H): x w_ih */
    const float *bias;   /* (4H) */
    const T *h0, *c0;    /* (B,H) or NULL */
    T *y, *gates, *cells, *h_last, *c_last;
    float *c; /* (B,H): the cells' state, as stored */
};

template <class T, class O>
__device__ __forceinline__ void lstm_cell(const lstm_forward_view<T, O> &a, int t, int b, int unit,
                                          const float *pre)
{
    const int hidden = a.s.hidden;
    const size_t row = (size_t)b * a.s.steps + t, state = (size_t)b * hidden + unit;
    const float c0 = a.c0 ? rg_tofloat(a.c0[state]) : 0.f, before = t > 0 ? a.c[state] : c0;
    const float gate[4] = {lstm_sigmoid(pre[0]), lstm_sigmoid(pre[1]), tanhf(pre[2]),
                           lstm_sigmoid(pre[3])};
    const T cell = rg_from<T>(gate[1] * before + gate[0] * gate[2]);
    const T h = rg_from<T>(gate[3] * tanhf(rg_tofloat(cell)));
    a.c[state] = rg_tofloat(cell);
    a.y[row * hidden + unit] = h;
    if (a.cells) a.cells[row * hidden + unit] = cell;
    RG_UNROLL for (int g = 0; g < 4; g++) if (a.gates) a.gates[(row * 4 + g) * hidden + unit] =
        rg_from<T>(gate[g]);
    if (t + 1 < a.s.steps) return;
    if (a.h_last) a.h_last[state] = h;
    if (a.c_last) a.c_last[state] = cell;
}

template <class T, class O>
__global__ void __launch_bounds__(LSTM_THREADS) lstm_step_kernel(lstm_forward_view<T, O> a, int t)
{
    const int b = blockIdx.y * LSTM_ITEMS + (int)(threadIdx.x >> 5), hidden = a.s.hidden;
    const int unit = blockIdx.x * LSTM_UNITS + (int)(threadIdx.x & 31);
    const size_t pitch = t > 0 ? (size_t)a.s.steps * hidden : hidden;
    const T *before = t > 0 ? a.y + (size_t)(t - 1) * hidden : a.h0;
    const lstm_factor<T, O> state = {before, pitch, a.w_hh, hidden};
    float pre[4];
    lstm_product<4>(pre, state, a.s);
    if (b >= a.s.batch || unit >= hidden) return;
    const size_t row = (size_t)b * a.s.steps + t;
    RG_UNROLL for (int g = 0; g < 4; g++) pre[g] +=
        a.inputs[(row * 4 + g) * hidden + unit] + a.bias[g * hidden + unit];
    lstm_cell(a, t, b, unit, pre);
}

template <class T, class O> struct lstm_backward_view {
    lstm_shape s;
    const O *w_hh_t; /* (4H,H) */
    const T *gates, *cells, *c0, *dy;
    float *dpre; /* (B,T,4H) */
    float *dc;   /* (B,H) */
};

/* The cell of step t backwards, with dh of step t + 1 given; writes dpre of this step. */
template <class T, class O>
__device__ __forceinline__ void lstm_cell_grad(const lstm_backward_view<T, O> &a, int t, int b,
                                               int unit, float dh)
{
    const int hidden = a.s.hidden;
    const size_t row = (size_t)b * a.s.steps + t, state = (size_t)b * hidden + unit;
    const T *gates = a.gates + row * 4 * hidden + unit;
    const float gi = rg_tofloat(gates[0]), gf = rg_tofloat(gates[hidden]),
                gg = rg_tofloat(gates[2 * (size_t)hidden]),
                go = rg_tofloat(gates[3 * (size_t)hidden]);
    const float tc = tanhf(rg_tofloat(a.cells[row * hidden + unit]));
    const float c0 = a.c0 ? rg_tofloat(a.c0[state]) : 0.f;
    const float before = t > 0 ? rg_tofloat(a.cells[(row - 1) * hidden + unit]) : c0;
    const float later = t + 1 < a.s.steps ? a.dc[state] : 0.f;
    const float dout = rg_tofloat(a.dy[row * hidden + unit]) + dh;
    const float dcell = later + dout * go * (1.f - tc * tc);
    float *dpre = a.dpre + row * 4 * hidden + unit;
    dpre[0] = dcell * gg * gi * (1.f - gi);
    dpre[hidden] = dcell * before * gf * (1.f - gf);
    dpre[2 * (size_t)hidden] = dcell * gi * (1.f - gg * gg);
    dpre[3 * (size_t)hidden] = dout * tc * go * (1.f - go);
    a.dc[state] = dcell * gf;
}

template <class T, class O>
__global__ void __launch_bounds__(LSTM_THREADS)
    lstm_step_grad_kernel(lstm_backward_view<T, O> a, int t)
{
    const int b = blockIdx.y * LSTM_ITEMS + (int)(threadIdx.x >> 5), wide = 4 * a.s.hidden;
    const int unit = blockIdx.x * LSTM_UNITS + (int)(threadIdx.x & 31);
    const float *later = t + 1 < a.s.steps ? a.dpre + (size_t)(t + 1) * wide : NULL;
    const lstm_factor<float, O> next = {later, (size_t)a.s.steps * wide, a.w_hh_t, wide};
    float dh;
    lstm_product<1>(&dh, next, a.s);
    if (b < a.s.batch && unit < a.s.hidden) lstm_cell_grad(a, t, b, unit, dh);
}

template <class V, class O>
__global__ void __launch_bounds__(LSTM_THREADS)
    lstm_convert_kernel(O *__restrict__ out, const V *__restrict__ values, int64_t n)
{
    const int64_t i = (int64_t)blockIdx.x * LSTM_THREADS + threadIdx.x;
    if (i < n) out[i] = rg_from<O>(rg_tofloat(values[i]));
}

/* out (cols,rows) = w (rows,cols) turned, as operands. */
template <class O>
__global__ void __launch_bounds__(LSTM_THREADS)
    lstm_turn_kernel(O *__restrict__ out, const float *__restrict__ w, int rows, int cols)
{
    const int i = blockIdx.x * LSTM_THREADS + (int)threadIdx.x;
    if (i < rows * cols) out[(size_t)(i % cols) * rows + i / cols] = rg_from<O>(w[i]);
}

/* The states that met w_hh, (B,T,H): y one step later, the initial state first. */
template <class T>
__global__ void __launch_bounds__(LSTM_THREADS)
    lstm_before_kernel(T *__restrict__ out, const T *__restrict__ y, const T *__restrict__ h0,
                       int steps, int hidden)
{
    const int b = blockIdx.x / steps, t = blockIdx.x % steps;
    for (int j = threadIdx.x; j < hidden; j += LSTM_THREADS) {
        const T first = h0 ? h0[(size_t)b * hidden + j] : rg_from<T>(0.f);
        out[(size_t)blockIdx.x * hidden + j] =
            t > 0 ? y[((size_t)blockIdx.x - 1) * hidden + j] : first;
    }
}

/* Sums over rows become a gradient. */
struct lstm_column_source {
    const float *m;
    int64_t cols;
    __device__ __forceinline__ void add(int64_t, int64_t row, int64_t col, float s[1]) const
    {
        s[0] += m[row * cols + col];
    }
};

struct lstm_column_sink {
    float *out;
    bool add;
    __device__ __forceinline__ void put(int64_t, int64_t col, int64_t, const float s[1]) const
    {
        out[col] = add ? out[col] + s[0] : s[0];
    }
};

/* ---- host ---- */

cudaStream_t lstm_stream(const rg_kernel_ctx *ctx)
{
    return static_cast<cudaStream_t>(ctx->stream);
}

template <class O> constexpr rg_dtype lstm_dtype()
{
    if (std::is_same<O, float>::value) return RG_F32;
    return std::is_same<O, __half>::value ? RG_F16 : RG_BF16;
}

unsigned lstm_blocks(int64_t n, int64_t each)
{
    return (unsigned)((n + each - 1) / each);
}

/* n values of type V as operands O: themselves when they are. */
template <class V, class O>
rg_status lstm_as(rg_kernel_ctx *ctx, const V *values, int64_t n, const O **out)
{
    if constexpr (std::is_same<V, O>::value) {
        *out = values;
        return RG_OK;
    } else {
        O *room = rg_device_scratch<O>(ctx, n);
        *out = room;
        if (!room) return ctx->error->code;
        if (n == 0) return RG_OK;
        return rg_cuda_check(ctx, RG_LAUNCH((lstm_convert_kernel<V, O>),
                                            dim3(lstm_blocks(n, LSTM_THREADS)), dim3(LSTM_THREADS),
                                            0, lstm_stream(ctx), room, values, n));
    }
}

/* A weight as operands: packed by the caller, or converted. */
template <class O>
rg_status lstm_weight(rg_kernel_ctx *ctx, const void *w, const void *packed, rg_dtype type,
                      int64_t n, const O **out)
{
    if (packed && type == lstm_dtype<O>()) {
        *out = static_cast<const O *>(packed);
        return RG_OK;
    }
    return lstm_as<float, O>(ctx, static_cast<const float *>(w), n, out);
}

/* c (m,n) (+)= op(a) op(b) with operands O; rows are dense. */
template <class O>
rg_gemm lstm_gemm(int64_t m, int64_t n, int64_t k, const O *a, bool trans_a, const O *b,
                  bool trans_b)
{
    rg_gemm g = {};
    g.m = m, g.n = n, g.k = k, g.a = a, g.b = b;
    g.lda = trans_a ? m : k, g.ldb = trans_b ? k : n, g.ldc = n;
    g.trans_a = trans_a, g.trans_b = trans_b;
    g.type = lstm_dtype<O>(), g.operands = g.type, g.c_type = RG_F32;
    return g;
}

rg_status lstm_run_gemm(rg_kernel_ctx *ctx, rg_gemm g, void *c, rg_dtype c_type, bool add)
{
    if (!c) return RG_OK;
    g.c = c, g.c_type = c_type, g.add = add;
    return rg_cuda_gemm(ctx, &g);
}

template <class O> lstm_shape lstm_shape_of(const rg_lstm_args *a)
{
    return lstm_shape{(int)a->batch, (int)a->steps, (int)a->hidden, lstm_dtype<O>()};
}

dim3 lstm_grid(const rg_lstm_args *a)
{
    return dim3(lstm_blocks(a->hidden, LSTM_UNITS), lstm_blocks(a->batch, LSTM_ITEMS));
}

/* out (B,T,H): the states that met w_hh. */
template <class T>
rg_status lstm_before(rg_kernel_ctx *ctx, T *out, const void *y, const void *first, int64_t batch,
                      int64_t steps, int64_t hidden)
{
    if (batch * steps == 0 || !out) return RG_OK;
    return rg_cuda_check(ctx, RG_LAUNCH(lstm_before_kernel<T>, dim3((unsigned)(batch * steps)),
                                        dim3(LSTM_THREADS), 0, lstm_stream(ctx), out,
                                        static_cast<const T *>(y), static_cast<const T *>(first),
                                        (int)steps, (int)hidden));
}

template <class T, class O> rg_status lstm_forward_with(rg_kernel_ctx *ctx, const rg_lstm_args *a)
{
    const int64_t rows = a->batch * a->steps, wide = 4 * a->hidden;
    const O *x, *w_ih;
    lstm_forward_view<T, O> v = {};
    float *inputs = rg_device_scratch<float>(ctx, rows * wide);
    v.c = rg_device_scratch<float>(ctx, a->batch * a->hidden);
    if (!inputs || !v.c) return ctx->error->code;
    RG_TRY((lstm_as<T, O>(ctx, static_cast<const T *>(a->x), rows * a->c_in, &x)));
    RG_TRY(lstm_weight(ctx, a->w_ih, a->w_ih_packed, a->packed_type, a->c_in * wide, &w_ih));
    RG_TRY(lstm_weight(ctx, a->w_hh, a->w_hh_packed, a->packed_type, a->hidden * wide, &v.w_hh));
    RG_TRY(lstm_run_gemm(ctx, lstm_gemm(rows, wide, a->c_in, x, false, w_ih, false), inputs, RG_F32,
                         false));
    v.s = lstm_shape_of<O>(a), v.inputs = inputs;
    v.bias = static_cast<const float *>(a->bias);
    v.h0 = static_cast<const T *>(a->h0), v.c0 = static_cast<const T *>(a->c0);
    v.y = static_cast<T *>(a->y), v.gates = static_cast<T *>(a->gates);
    v.cells = static_cast<T *>(a->cells);
    v.h_last = static_cast<T *>(a->h_last), v.c_last = static_cast<T *>(a->c_last);
    for (int t = 0; t < v.s.steps; t++)
        RG_TRY(rg_cuda_check(ctx, RG_LAUNCH((lstm_step_kernel<T, O>), lstm_grid(a),
                                            dim3(LSTM_THREADS), 0, lstm_stream(ctx), v, t)));
    return RG_OK;
}

/* dpre of all steps, and as operands. */
template <class T, class O>
rg_status lstm_walk_back(rg_kernel_ctx *ctx, const rg_lstm_grad_args *g, float *dpre)
{
    const rg_lstm_args *a = &g->fwd;
    const int64_t wide = 4 * a->hidden, n = a->hidden * wide;
    O *turned = rg_device_scratch<O>(ctx, n);
    lstm_backward_view<T, O> v = {};
    v.dc = rg_device_scratch<float>(ctx, a->batch * a->hidden);
    if (!turned || !v.dc) return ctx->error->code;
    RG_TRY(rg_cuda_check(ctx, RG_LAUNCH(lstm_turn_kernel<O>, dim3(lstm_blocks(n, LSTM_THREADS)),
                                        dim3(LSTM_THREADS), 0, lstm_stream(ctx), turned,
                                        static_cast<const float *>(a->w_hh), (int)a->hidden,
                                        (int)wide)));
    v.s = lstm_shape_of<O>(a), v.w_hh_t = turned, v.dpre = dpre;
    v.gates = static_cast<const T *>(a->gates), v.cells = static_cast<const T *>(a->cells);
    v.c0 = static_cast<const T *>(a->c0), v.dy = static_cast<const T *>(g->dy);
    for (int t = v.s.steps - 1; t >= 0; t--)
        RG_TRY(rg_cuda_check(ctx, RG_LAUNCH((lstm_step_grad_kernel<T, O>), lstm_grid(a),
                                            dim3(LSTM_THREADS), 0, lstm_stream(ctx), v, t)));
    return RG_OK;
}

template <class T, class O> rg_status lstm_grad_with(rg_kernel_ctx *ctx, const rg_lstm_grad_args *g)
{
    const rg_lstm_args *a = &g->fwd;
    const int64_t rows = a->batch * a->steps, wide = 4 * a->hidden, hidden = a->hidden;
    const O *x, *w_ih, *given, *before;
    float *dpre = rg_device_scratch<float>(ctx, rows * wide);
    T *states = rg_device_scratch<T>(ctx, rows * hidden);
    if (!dpre || !states) return ctx->error->code;
    if (rows > 0) RG_TRY((lstm_walk_back<T, O>(ctx, g, dpre)));
    RG_TRY((lstm_as<float, O>(ctx, dpre, rows * wide, &given)));
    RG_TRY((lstm_as<T, O>(ctx, static_cast<const T *>(a->x), rows * a->c_in, &x)));
    RG_TRY(lstm_weight(ctx, a->w_ih, a->w_ih_packed, a->packed_type, a->c_in * wide, &w_ih));
    RG_TRY(lstm_before(ctx, states, a->y, a->h0, a->batch, a->steps, hidden));
    RG_TRY((lstm_as<T, O>(ctx, states, rows * hidden, &before)));
    RG_TRY(lstm_run_gemm(ctx, lstm_gemm(rows, a->c_in, wide, given, false, w_ih, true), g->dx,
                         lstm_dtype<T>(), g->add_dx));
    RG_TRY(lstm_run_gemm(ctx, lstm_gemm(a->c_in, wide, rows, x, true, given, false), g->dw_ih,
                         RG_F32, g->add_dw_ih));
    RG_TRY(lstm_run_gemm(ctx, lstm_gemm(hidden, wide, rows, before, true, given, false), g->dw_hh,
                         RG_F32, g->add_dw_hh));
    if (!g->dbias) return RG_OK;
    const lstm_column_sink sink = {static_cast<float *>(g->dbias), g->add_dbias};
    return rg_sums<float, 1>(ctx, 1, rows, wide, lstm_column_source{dpre, wide}, sink);
}

/* Without a step the state stays what it was. */
template <class T> rg_status lstm_nothing(rg_kernel_ctx *ctx, const rg_lstm_args *a)
{
    RG_TRY(lstm_before(ctx, static_cast<T *>(a->h_last), NULL, a->h0, a->batch, 1, a->hidden));
    return lstm_before(ctx, static_cast<T *>(a->c_last), NULL, a->c0, a->batch, 1, a->hidden);
}

/* 16-bit activations are multiplied as they are; fp32 ones as ctx->operands asks. */
template <class T> rg_status lstm_forward(rg_kernel_ctx *ctx, const rg_lstm_args *a)
{
    if (a->batch * a->hidden == 0) return RG_OK;
    if (a->steps == 0) return lstm_nothing<T>(ctx, a);
    if constexpr (std::is_same<T, float>::value) {
        if (ctx->operands == RG_F16) return lstm_forward_with<float, __half>(ctx, a);
        if (ctx->operands == RG_BF16) return lstm_forward_with<float, __nv_bfloat16>(ctx, a);
    }
    return lstm_forward_with<T, T>(ctx, a);
}

template <class T> rg_status lstm_grad(rg_kernel_ctx *ctx, const rg_lstm_grad_args *g)
{
    if constexpr (std::is_same<T, float>::value) {
        if (ctx->operands == RG_F16) return lstm_grad_with<float, __half>(ctx, g);
        if (ctx->operands == RG_BF16) return lstm_grad_with<float, __nv_bfloat16>(ctx, g);
    }
    return lstm_grad_with<T, T>(ctx, g);
}

} // namespace

RG_CUDA_SLOT(lstm)
