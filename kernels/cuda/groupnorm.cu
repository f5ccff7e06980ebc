/*
 * Group normalization with one group (Wu and He 2018): an item's steps and channels share mean and
 * variance.
 *
 * One idea: an item is far larger than a block, so every statistic is a sum of runs (sums.cuh): the
 * mean first, then the squares around it, then the elements. Not here: groups of channels.
 */
#include "kernels/cuda/flat.cuh"
#include "kernels/cuda/sums.cuh"

namespace
{

/* x (items, n), their means and 1/std. */
template <class T> struct normed {
    const T *x;
    const float *mean, *rstd;
    int64_t n, channels;
    __device__ __forceinline__ float centred(int64_t item, int64_t i) const
    {
        return rg_tofloat(x[item * n + i]) - mean[item];
    }
};

template <class T> struct total_source {
    const T *x;
    int64_t n;
    __device__ __forceinline__ void add(int64_t item, int64_t i, int64_t, float sums[1]) const
    {
        sums[0] += rg_tofloat(x[item * n + i]);
    }
};

struct mean_sink {
    float *mean;
    float n;
    __device__ __forceinline__ void put(int64_t item, int64_t, int64_t, const float sums[1]) const
    {
        mean[item] = sums[0] / n;
    }
};

template <class T> struct square_source {
    normed<T> of;
    __device__ __forceinline__ void add(int64_t item, int64_t i, int64_t, float sums[1]) const
    {
        const float d = of.centred(item, i);
        sums[0] += d * d;
    }
};

struct rstd_sink {
    float *rstd;
    float n, eps;
    __device__ __forceinline__ void put(int64_t item, int64_t, int64_t, const float sums[1]) const
    {
        rstd[item] = 1.f / sqrtf(sums[0] / n + eps);
    }
};

template <class T>
__global__ void __launch_bounds__(RG_FLAT_THREADS)
    groupnorm_kernel(const normed<T> of, const float *__restrict__ gain,
                     const float *__restrict__ bias, T *__restrict__ y, int64_t total, bool wide)
{
    const int64_t at = rg_flat_at();
    if (at >= total) return;
    float v[RG_GROUP];
    rg_load_group(of.x, at, total, wide, v);
    RG_UNROLL
    for (int k = 0; k < RG_GROUP; k++) {
        const int64_t i = min(at + k, total - 1), item = rg_quotient(i, of.n),
                      c = rg_modulo(i, of.channels);
        v[k] = (v[k] - of.mean[item]) * of.rstd[item] * gain[c] + (bias ? bias[c] : 0.f);
    }
    rg_store_group(y, at, total, wide, false, v);
}

template <class T>
static rg_status groupnorm_forward(rg_kernel_ctx *ctx, const rg_groupnorm_args *a)
{
    const int64_t n = a->steps * a->channels, total = a->batch * n;
    const T *x = (const T *)a->x;
    T *y = (T *)a->y;
    if (total == 0) return RG_OK;
    float *mean = a->mean ? (float *)a->mean : rg_device_scratch<float>(ctx, a->batch);
    float *rstd = a->rstd ? (float *)a->rstd : rg_device_scratch<float>(ctx, a->batch);
    if (!mean || !rstd) return ctx->error->code;
    const normed<T> of = {x, mean, rstd, n, a->channels};
    RG_TRY(
        (rg_sums<float, 1>(ctx, a->batch, n, 1, total_source<T>{x, n}, mean_sink{mean, (float)n})));
    RG_TRY((rg_sums<float, 1>(ctx, a->batch, n, 1, square_source<T>{of},
                              rstd_sink{rstd, (float)n, (float)a->eps})));
    return rg_cuda_check(ctx,
                         RG_LAUNCH(groupnorm_kernel<T>, rg_flat_grid(total), dim3(RG_FLAT_THREADS),
                                   0, (cudaStream_t)ctx->stream, of, (const float *)a->gain,
                                   (const float *)a->bias, y, total, rg_wide(x) && rg_wide(y)));
}

/* ---- gradient: with n = (x - mean) rstd and e = dy gain, means over the item:
 * dx = rstd (e - mean(e) - n mean(e n)) ---- */

template <class T> struct e_source {
    normed<T> of;
    const T *dy;
    const float *gain;
    __device__ __forceinline__ void add(int64_t item, int64_t i, int64_t, float sums[2]) const
    {
        const float e = rg_tofloat(dy[item * of.n + i]) * gain[rg_modulo(i, of.channels)];
        sums[0] += e;
        sums[1] += e * of.centred(item, i) * of.rstd[item];
    }
};

struct e_sink {
    float *means; /* (items, 2): of e, of e n */
    float n;
    __device__ __forceinline__ void put(int64_t item, int64_t, int64_t, const float sums[2]) const
    {
        means[2 * item] = sums[0] / n;
        means[2 * item + 1] = sums[1] / n;
    }
};

template <class T>
__global__ void __launch_bounds__(RG_FLAT_THREADS)
    groupnorm_dx_kernel(const normed<T> of, const T *__restrict__ dy,
                        const float *__restrict__ gain, const float *__restrict__ means,
                        T *__restrict__ dx, int64_t total, bool wide, bool add_dx)
{
    const int64_t at = rg_flat_at();
    if (at >= total) return;
    float v[RG_GROUP], d[RG_GROUP];
    rg_load_group(of.x, at, total, wide, v);
    rg_load_group(dy, at, total, wide, d);
    RG_UNROLL
    for (int k = 0; k < RG_GROUP; k++) {
        const int64_t i = min(at + k, total - 1), item = rg_quotient(i, of.n);
        const float unit = (v[k] - of.mean[item]) * of.rstd[item];
        const float e = d[k] * gain[rg_modulo(i, of.channels)];
        d[k] = of.rstd[item] * (e - means[2 * item] - unit * means[2 * item + 1]);
    }
    rg_store_group(dx, at, total, wide, add_dx, d);
}

/* dgain and dbias: rows are the steps of all items. */
template <class T> struct column_source {
    normed<T> of;
    const T *dy;
    int64_t steps;
    __device__ __forceinline__ void add(int64_t, int64_t row, int64_t c, float sums[2]) const
    {
        const int64_t i = row * of.channels + c, item = rg_quotient(row, steps);
        const float d = rg_tofloat(dy[i]);
        sums[0] += d * (rg_tofloat(of.x[i]) - of.mean[item]) * of.rstd[item];
        sums[1] += d;
    }
};

template <class T>
static rg_status groupnorm_dx(rg_kernel_ctx *ctx, const rg_groupnorm_grad_args *g,
                              const normed<T> &of)
{
    const rg_groupnorm_args *a = &g->fwd;
    const int64_t total = a->batch * of.n;
    const T *dy = (const T *)g->dy;
    const float *gain = (const float *)a->gain;
    T *dx = (T *)g->dx;
    if (total == 0) return RG_OK;
    float *means = rg_device_scratch<float>(ctx, 2 * a->batch);
    if (!means) return ctx->error->code;
    RG_TRY((rg_sums<float, 2>(ctx, a->batch, of.n, 1, e_source<T>{of, dy, gain},
                              e_sink{means, (float)of.n})));
    return rg_cuda_check(ctx, RG_LAUNCH(groupnorm_dx_kernel<T>, rg_flat_grid(total),
                                        dim3(RG_FLAT_THREADS), 0, (cudaStream_t)ctx->stream, of, dy,
                                        gain, means, dx, total,
                                        rg_wide(of.x) && rg_wide(dy) && rg_wide(dx), g->add_dx));
}

template <class T>
static rg_status groupnorm_grad(rg_kernel_ctx *ctx, const rg_groupnorm_grad_args *g)
{
    const rg_groupnorm_args *a = &g->fwd;
    const normed<T> of = {(const T *)a->x, (const float *)a->mean, (const float *)a->rstd,
                          a->steps * a->channels, a->channels};
    if (g->dx) RG_TRY(groupnorm_dx(ctx, g, of));
    if (!g->dgain && !g->dbias) return RG_OK;
    const rg_gain_bias_sink sink = {(float *)g->dgain, (float *)g->dbias, g->add_dgain,
                                    g->add_dbias};
    return rg_sums<float, 2>(ctx, 1, a->batch * a->steps, a->channels,
                             column_source<T>{of, (const T *)g->dy, a->steps}, sink);
}

} // namespace

RG_CUDA_SLOT(groupnorm)
