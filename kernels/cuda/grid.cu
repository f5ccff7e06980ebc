/*
 * Tensors into the grids of convolutions and back (parts.h).
 *
 * One idea: padding, reflection, strides of rows and the activation on load are met once, here, so
 * that the products see plain rows. A thread has one element; neighbours are channels.
 */
#include "kernels/cuda/act.cuh"
#include "kernels/cuda/parts.h"

namespace
{

enum { THREADS = 256 };

dim3 blocks(int64_t n)
{
    return dim3((unsigned)((n + THREADS - 1) / THREADS));
}

__device__ __forceinline__ int64_t thread_at()
{
    return (int64_t)blockIdx.x * THREADS + threadIdx.x;
}

/* The column of the tensor that cell column q shows, or -1. */
__device__ __forceinline__ int64_t column_of(const rg_grid &g, int64_t q)
{
    const int64_t j = q - g.left;
    if (j >= 0 && j < g.w) return j;
    if (!g.reflect || j >= g.w + g.right) return -1;
    return j < 0 ? -j : 2 * (g.w - 1) - j;
}

/* The element that cell i is a copy of, or -1. */
__device__ __forceinline__ int64_t element_of(const rg_grid &g, int64_t i)
{
    const int64_t c = i % g.c, q = i / g.c % g.gw, r = i / g.c / g.gw % g.gh;
    const int64_t b = i / g.c / g.gw / g.gh;
    const int64_t row = r * g.step - g.top, column = column_of(g, q);
    if (row < 0 || row >= g.h || column < 0) return -1;
    return ((b * g.h + row) * g.w + column) * g.c + c;
}

template <class T>
__global__ void __launch_bounds__(THREADS)
    enter_kernel(rg_grid g, int64_t n, const T *__restrict__ x, rg_act act, float slope,
                 T *__restrict__ grid)
{
    const int64_t i = thread_at();
    if (i >= n) return;
    const int64_t at = element_of(g, i);
    grid[i] = rg_from<T>(at < 0 ? 0.f : rg_act_value(act, slope, rg_tofloat(x[at])));
}

template <class T>
__global__ void __launch_bounds__(THREADS)
    enter_grad_kernel(rg_grid g, int64_t n, const T *__restrict__ x, const T *__restrict__ y,
                      float slope, T *__restrict__ grid)
{
    const int64_t i = thread_at();
    if (i >= n) return;
    const int64_t at = element_of(g, i);
    float v = at < 0 ? 0.f : rg_tofloat(x[at]);
    if (at >= 0 && y && rg_tofloat(y[at]) <= 0.f) v *= slope;
    grid[i] = rg_from<T>(v);
}

/* The cells of one row of the grid that show column j: itself and its mirror images. */
template <class G>
__device__ __forceinline__ float cells_of(const rg_grid &g, const G *row, int64_t j, int64_t c)
{
    const int64_t own = j + g.left, below = g.left - j, above = g.left + 2 * (g.w - 1) - j;
    float sum = own < g.gw ? rg_tofloat(row[own * g.c + c]) : 0.f;
    if (!g.reflect) return sum;
    if (j > 0 && below >= 0 && below < g.gw) sum += rg_tofloat(row[below * g.c + c]);
    if (j < g.w - 1 && above < g.left + g.w + g.right && above < g.gw)
        sum += rg_tofloat(row[above * g.c + c]);
    return sum;
}

template <class T, class G>
__global__ void __launch_bounds__(THREADS)
    leave_grad_kernel(rg_grid g, int64_t n, const G *__restrict__ grid, const T *__restrict__ at,
                      rg_act act, float slope, T *x, bool add)
{
    const int64_t i = thread_at();
    if (i >= n) return;
    const int64_t c = i % g.c, j = i / g.c % g.w, row = i / g.c / g.w % g.h,
                  b = i / g.c / g.w / g.h;
    const int64_t shown = row + g.top, r = shown / g.step;
    float sum = 0.f;
    if (shown >= 0 && shown % g.step == 0 && r < g.gh)
        sum = cells_of(g, grid + (b * g.gh + r) * g.gw * g.c, j, c);
    if (at) sum *= rg_act_derivative(act, slope, rg_tofloat(at[i]));
    x[i] = rg_from<T>(add ? rg_tofloat(x[i]) + sum : sum);
}

template <class T>
__global__ void __launch_bounds__(THREADS)
    leave_kernel(rg_grid g, int64_t n, const float *__restrict__ grid,
                 const float *__restrict__ bias, rg_act act, float slope, T *__restrict__ y)
{
    const int64_t i = thread_at();
    if (i >= n) return;
    const int64_t c = i % g.c, j = i / g.c % g.w, row = i / g.c / g.w % g.h,
                  b = i / g.c / g.w / g.h;
    const int64_t r = row + g.top, q = j + g.left;
    float v = r < g.gh && q < g.gw ? grid[((b * g.gh + r) * g.gw + q) * g.c + c] : 0.f;
    if (bias) v += bias[c];
    y[i] = rg_from<T>(rg_act_value(act, slope, v));
}

int64_t cells(const rg_grid *g)
{
    return g->batch * g->gh * g->gw * g->c;
}

int64_t elements(const rg_grid *g)
{
    return g->batch * g->h * g->w * g->c;
}

} // namespace

/* One launch over n threads for the type of activations. */
#define LAUNCH(kernel, type, n, ...)                                                           \
    (n) == 0 ? RG_OK                                                                           \
             : rg_cuda_check(ctx, (type) == RG_F16 ? LAUNCH_OF(kernel, __half, n, __VA_ARGS__) \
                                  : (type) == RG_BF16                                          \
                                      ? LAUNCH_OF(kernel, __nv_bfloat16, n, __VA_ARGS__)       \
                                      : LAUNCH_OF(kernel, float, n, __VA_ARGS__))
#define LAUNCH_OF(kernel, T, n, ...) \
    RG_LAUNCH(kernel<T>, blocks(n), dim3(THREADS), 0, (cudaStream_t)ctx->stream, *g, n, __VA_ARGS__)

extern "C" rg_status rg_cuda_enter(rg_kernel_ctx *ctx, rg_dtype type, const rg_grid *g,
                                   const void *x, rg_act act, double slope, void *grid)
{
    const int64_t n = cells(g);
    return LAUNCH(enter_kernel, type, n, x, act, (float)slope, grid);
}

extern "C" rg_status rg_cuda_enter_grad(rg_kernel_ctx *ctx, rg_dtype type, const rg_grid *g,
                                        const void *x, const void *y, double slope, void *grid)
{
    const int64_t n = cells(g);
    return LAUNCH(enter_grad_kernel, type, n, x, y, (float)slope, grid);
}

template <class T, class G>
rg_status leave_grad_call(rg_kernel_ctx *ctx, const rg_grid *g, const void *grid, const void *at,
                          rg_act act, double slope, void *x, bool add)
{
    const int64_t n = elements(g);
    if (n == 0) return RG_OK;
    return rg_cuda_check(ctx, RG_LAUNCH((leave_grad_kernel<T, G>), blocks(n), dim3(THREADS), 0,
                                        (cudaStream_t)ctx->stream, *g, n, (const G *)grid,
                                        (const T *)at, act, (float)slope, (T *)x, add));
}

extern "C" rg_status rg_cuda_leave_grad(rg_kernel_ctx *ctx, rg_dtype type, const rg_grid *g,
                                        rg_dtype grid_type, const void *grid, const void *at,
                                        rg_act act, double slope, void *x, bool add)
{
    const bool sums = grid_type == RG_F32;
    const auto call =
        type == RG_F16 ? (sums ? leave_grad_call<__half, float> : leave_grad_call<__half, __half>)
        : type == RG_BF16 ? (sums ? leave_grad_call<__nv_bfloat16, float>
                                  : leave_grad_call<__nv_bfloat16, __nv_bfloat16>)
                          : leave_grad_call<float, float>;
    return call(ctx, g, grid, at, act, slope, x, add);
}

extern "C" rg_status rg_cuda_leave(rg_kernel_ctx *ctx, rg_dtype type, const rg_grid *g,
                                   const float *grid, const float *bias, rg_act act, double slope,
                                   void *y)
{
    const int64_t n = elements(g);
    return LAUNCH(leave_kernel, type, n, grid, bias, act, (float)slope, y);
}
