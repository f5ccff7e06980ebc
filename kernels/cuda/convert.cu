/*
 * Conversions between types, bias and activation after a product, sums of columns (parts.h).
 *
 * One idea: memory sets the time, so each is one pass with a group of four elements per thread.
 */
#include "kernels/cuda/act.cuh"
#include "kernels/cuda/flat.cuh"
#include "kernels/cuda/parts.h"
#include "kernels/cuda/sums.cuh"

namespace
{

template <class S, class D>
__global__ void __launch_bounds__(RG_FLAT_THREADS)
    convert_kernel(const S *__restrict__ from, D *__restrict__ to, int64_t n, bool wide_from,
                   bool wide_to, bool add)
{
    const int64_t i = rg_flat_at();
    if (i >= n) return;
    float v[RG_GROUP];
    rg_load_group(from, i, n, wide_from, v);
    rg_store_group(to, i, n, wide_to, add, v);
}

template <class S, class D>
rg_status convert_call(rg_kernel_ctx *ctx, const void *from, void *to, int64_t n, bool add)
{
    const S *s = (const S *)from;
    D *d = (D *)to;
    if (n == 0) return RG_OK;
    return rg_cuda_check(ctx, RG_LAUNCH((convert_kernel<S, D>), rg_flat_grid(n),
                                        dim3(RG_FLAT_THREADS), 0, (cudaStream_t)ctx->stream, s, d,
                                        n, rg_wide(s), rg_wide(d), add));
}

template <class T> static rg_status convert_forward(rg_kernel_ctx *ctx, const rg_convert_args *a)
{
    return convert_call<float, T>(ctx, a->x, a->y, a->n, a->add_y);
}

template <class T> static rg_status convert_grad(rg_kernel_ctx *ctx, const rg_convert_grad_args *g)
{
    return convert_call<T, float>(ctx, g->dy, g->dx, g->n, g->add_dx);
}

template <class T>
__global__ void __launch_bounds__(RG_FLAT_THREADS)
    bias_act_kernel(T *y, T *pre, const float *__restrict__ bias, int64_t n, int64_t cols,
                    bool wide, rg_act act, float slope)
{
    const int64_t i = rg_flat_at();
    if (i >= n) return;
    float v[RG_GROUP];
    rg_load_group(y, i, n, wide, v);
    RG_UNROLL
    for (int k = 0; k < RG_GROUP; k++)
        if (bias && i + k < n) v[k] += bias[rg_modulo(i + k, cols)];
    if (pre) rg_store_group(pre, i, n, wide, false, v);
    RG_UNROLL
    for (int k = 0; k < RG_GROUP; k++) v[k] = rg_act_value(act, slope, v[k]);
    rg_store_group(y, i, n, wide, false, v);
}

template <class T> rg_status bias_act_call(rg_kernel_ctx *ctx, const rg_bias_act *a)
{
    const int64_t n = a->rows * a->cols;
    T *y = (T *)a->y, *pre = (T *)a->pre;
    if (n == 0) return RG_OK;
    return rg_cuda_check(ctx, RG_LAUNCH(bias_act_kernel<T>, rg_flat_grid(n), dim3(RG_FLAT_THREADS),
                                        0, (cudaStream_t)ctx->stream, y, pre, a->bias, n, a->cols,
                                        rg_wide(y) && rg_wide(pre), a->act, (float)a->slope));
}

template <class T> struct column_source {
    const T *x;
    int64_t cols;
    __device__ __forceinline__ void add(int64_t, int64_t row, int64_t col, float s[1]) const
    {
        s[0] += rg_tofloat(x[row * cols + col]);
    }
};

struct column_sink {
    float *sums;
    bool add;
    __device__ __forceinline__ void put(int64_t, int64_t col, int64_t, const float s[1]) const
    {
        sums[col] = add ? sums[col] + s[0] : s[0];
    }
};

template <class T>
rg_status column_sums_call(rg_kernel_ctx *ctx, const void *x, int64_t rows, int64_t cols,
                           float *sums, bool add)
{
    return rg_sums<float, 1>(ctx, 1, rows, cols, column_source<T>{(const T *)x, cols},
                             column_sink{sums, add});
}

} // namespace

extern "C" rg_status rg_cuda_convert(rg_kernel_ctx *ctx, const void *from, rg_dtype from_type,
                                     void *to, rg_dtype to_type, int64_t n)
{
    if (to_type == RG_F16) return convert_call<float, __half>(ctx, from, to, n, false);
    if (to_type == RG_BF16) return convert_call<float, __nv_bfloat16>(ctx, from, to, n, false);
    if (from_type == RG_F16) return convert_call<__half, float>(ctx, from, to, n, false);
    if (from_type == RG_BF16) return convert_call<__nv_bfloat16, float>(ctx, from, to, n, false);
    return convert_call<float, float>(ctx, from, to, n, false);
}

extern "C" rg_status rg_cuda_bias_act(rg_kernel_ctx *ctx, rg_dtype type, const rg_bias_act *a)
{
    if (type == RG_F16) return bias_act_call<__half>(ctx, a);
    if (type == RG_BF16) return bias_act_call<__nv_bfloat16>(ctx, a);
    return bias_act_call<float>(ctx, a);
}

extern "C" rg_status rg_cuda_column_sums(rg_kernel_ctx *ctx, rg_dtype type, const void *x,
                                         int64_t rows, int64_t cols, float *sums, bool add)
{
    if (type == RG_F16) return column_sums_call<__half>(ctx, x, rows, cols, sums, add);
    if (type == RG_BF16) return column_sums_call<__nv_bfloat16>(ctx, x, rows, cols, sums, add);
    return column_sums_call<float>(ctx, x, rows, cols, sums, add);
}

RG_CUDA_SLOT(convert)
