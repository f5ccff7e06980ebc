/*
 * LayerNorm over channels (Ba et al. 2016) with the residual sum in front.
 *
 * One idea: a warp owns a row, so a row's statistics need no barrier; a row is read again from the
 * cache rather than kept, and no width is special. Gains and biases are sums of columns (sums.cuh).
 */
#include "kernels/cuda/sums.cuh"

namespace
{

enum { ROWS = 4, THREADS = 32 * ROWS }; /* a block's */

static dim3 row_grid(int64_t rows)
{
    return dim3((unsigned)((rows + ROWS - 1) / ROWS));
}

/* Element i of what is normalized. */
template <class T>
__device__ __forceinline__ float summed(const T *__restrict__ x, const T *__restrict__ residual,
                                        int64_t i)
{
    return rg_tofloat(x[i]) + (residual ? rg_tofloat(residual[i]) : 0.f);
}

template <class T> struct forward_of {
    const T *x, *residual;
    const float *gain, *bias;
    T *y, *sum;
    float *mean, *rstd;
    int64_t rows, channels;
    float eps;
};

template <class T>
__global__ void __launch_bounds__(THREADS) layernorm_kernel(const forward_of<T> a)
{
    const int lane = (int)threadIdx.x % 32;
    const int64_t row = (int64_t)blockIdx.x * ROWS + threadIdx.x / 32, at = row * a.channels;
    if (row >= a.rows) return; /* a whole warp */
    const T *__restrict__ x = a.x;
    const T *__restrict__ residual = a.residual;
    float total = 0.f, squares = 0.f;
    for (int64_t c = lane; c < a.channels; c += 32) {
        const float v = summed(x, residual, at + c);
        if (a.sum) a.sum[at + c] = rg_from<T>(v);
        total += v;
    }
    const float mean = rg_warp_sum(total) / (float)a.channels;
    for (int64_t c = lane; c < a.channels; c += 32) {
        const float d = summed(x, residual, at + c) - mean;
        squares += d * d;
    }
    const float rstd = 1.f / sqrtf(rg_warp_sum(squares) / (float)a.channels + a.eps);
    for (int64_t c = lane; c < a.channels; c += 32)
        a.y[at + c] = rg_from<T>((summed(x, residual, at + c) - mean) * rstd * a.gain[c] +
                                 (a.bias ? a.bias[c] : 0.f));
    if (lane != 0) return;
    if (a.mean) a.mean[row] = mean;
    if (a.rstd) a.rstd[row] = rstd;
}

template <class T>
static rg_status layernorm_forward(rg_kernel_ctx *ctx, const rg_layernorm_args *a)
{
    const forward_of<T> f = {(const T *)a->x,
                             (const T *)a->residual,
                             (const float *)a->gain,
                             (const float *)a->bias,
                             (T *)a->y,
                             (T *)a->sum,
                             (float *)a->mean,
                             (float *)a->rstd,
                             a->rows,
                             a->channels,
                             (float)a->eps};
    if (a->rows == 0 || a->channels == 0) return RG_OK;
    return rg_cuda_check(ctx, RG_LAUNCH(layernorm_kernel<T>, row_grid(a->rows), dim3(THREADS), 0,
                                        (cudaStream_t)ctx->stream, f));
}

template <class T> struct grad_of {
    const T *sum, *dy, *dsum;
    const float *gain, *mean, *rstd;
    T *dx;
    int64_t rows, channels;
    bool add_dx;
};

/* With n = (sum - mean) rstd and e = dy gain: dx = rstd (e - mean(e) - n mean(e n)) + dsum. */
template <class T>
__global__ void __launch_bounds__(THREADS) layernorm_dx_kernel(const grad_of<T> g)
{
    const int lane = (int)threadIdx.x % 32;
    const int64_t row = (int64_t)blockIdx.x * ROWS + threadIdx.x / 32, at = row * g.channels;
    if (row >= g.rows) return; /* a whole warp */
    const float mean = g.mean[row], rstd = g.rstd[row];
    float mean_e = 0.f, mean_en = 0.f;
    for (int64_t c = lane; g.dy && c < g.channels; c += 32) {
        const float e = rg_tofloat(g.dy[at + c]) * g.gain[c];
        mean_e += e;
        mean_en += e * (rg_tofloat(g.sum[at + c]) - mean) * rstd;
    }
    mean_e = rg_warp_sum(mean_e) / (float)g.channels;
    mean_en = rg_warp_sum(mean_en) / (float)g.channels;
    for (int64_t c = lane; c < g.channels; c += 32) {
        const int64_t i = at + c;
        const float e = g.dy ? rg_tofloat(g.dy[i]) * g.gain[c] : 0.f;
        const float n = (rg_tofloat(g.sum[i]) - mean) * rstd;
        float d = rstd * (e - mean_e - n * mean_en);
        if (g.dsum) d += rg_tofloat(g.dsum[i]);
        g.dx[i] = rg_from<T>(g.add_dx ? rg_tofloat(g.dx[i]) + d : d);
    }
}

/* dgain and dbias side by side; a missing dy leaves zeros. */
template <class T> struct column_source {
    const T *sum, *dy;
    const float *mean, *rstd;
    int64_t channels;
    __device__ __forceinline__ void add(int64_t, int64_t row, int64_t c, float sums[2]) const
    {
        const int64_t i = row * channels + c;
        const float d = rg_tofloat(dy[i]);
        sums[0] += d * (rg_tofloat(sum[i]) - mean[row]) * rstd[row];
        sums[1] += d;
    }
};

template <class T>
static rg_status layernorm_grad(rg_kernel_ctx *ctx, const rg_layernorm_grad_args *g)
{
    const rg_layernorm_args *a = &g->fwd;
    const T *sum = (const T *)(a->sum ? a->sum : a->x), *dy = (const T *)g->dy;
    const float *mean = (const float *)a->mean, *rstd = (const float *)a->rstd;
    if (g->dx && a->rows > 0 && a->channels > 0) {
        const grad_of<T> d = {sum,         dy,       (const T *)g->dsum, (const float *)a->gain,
                              mean,        rstd,     (T *)g->dx,         a->rows,
                              a->channels, g->add_dx};
        RG_TRY(rg_cuda_check(ctx, RG_LAUNCH(layernorm_dx_kernel<T>, row_grid(a->rows),
                                            dim3(THREADS), 0, (cudaStream_t)ctx->stream, d)));
    }
    if (!g->dgain && !g->dbias) return RG_OK;
    const column_source<T> source = {sum, dy, mean, rstd, a->channels};
    const rg_gain_bias_sink sink = {(float *)g->dgain, (float *)g->dbias, g->add_dgain,
                                    g->add_dbias};
    return rg_sums<float, 2>(ctx, 1, dy ? a->rows : 0, a->channels, source, sink);
}

} // namespace

RG_CUDA_SLOT(layernorm)
