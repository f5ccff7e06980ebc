/*
 * Elementwise activations and their gradients.
 *
 * One idea: memory sets the time, so a thread does no more than a group of four. Not here: the
 * functions themselves (act.cuh).
 */
#include "kernels/cuda/act.cuh"
#include "kernels/cuda/flat.cuh"

namespace
{

template <class T>
__global__ void __launch_bounds__(RG_FLAT_THREADS)
    activation_kernel(const T *__restrict__ x, T *__restrict__ y, int64_t n, bool wide, rg_act act,
                      float slope)
{
    const int64_t i = rg_flat_at();
    if (i >= n) return;
    float v[RG_GROUP];
    rg_load_group(x, i, n, wide, v);
    RG_UNROLL
    for (int k = 0; k < RG_GROUP; k++) v[k] = rg_act_value(act, slope, v[k]);
    rg_store_group(y, i, n, wide, false, v);
}

template <class T>
__global__ void __launch_bounds__(RG_FLAT_THREADS)
    activation_grad_kernel(const T *__restrict__ x, const T *__restrict__ dy, T *__restrict__ dx,
                           int64_t n, bool wide, rg_act act, float slope, bool add_dx)
{
    const int64_t i = rg_flat_at();
    if (i >= n) return;
    float v[RG_GROUP], d[RG_GROUP];
    rg_load_group(x, i, n, wide, v);
    rg_load_group(dy, i, n, wide, d);
    RG_UNROLL
    for (int k = 0; k < RG_GROUP; k++) d[k] *= rg_act_derivative(act, slope, v[k]);
    rg_store_group(dx, i, n, wide, add_dx, d);
}

template <class T>
static rg_status activation_forward(rg_kernel_ctx *ctx, const rg_activation_args *a)
{
    const T *x = (const T *)a->x;
    T *y = (T *)a->y;
    if (a->n == 0) return RG_OK;
    return rg_cuda_check(ctx, RG_LAUNCH(activation_kernel<T>, rg_flat_grid(a->n),
                                        dim3(RG_FLAT_THREADS), 0, (cudaStream_t)ctx->stream, x, y,
                                        a->n, rg_wide(x) && rg_wide(y), a->act, (float)a->slope));
}

template <class T>
static rg_status activation_grad(rg_kernel_ctx *ctx, const rg_activation_grad_args *g)
{
    const rg_activation_args *a = &g->fwd;
    const T *x = (const T *)a->x, *dy = (const T *)g->dy;
    T *dx = (T *)g->dx;
    if (a->n == 0 || !dx) return RG_OK;
    return rg_cuda_check(ctx, RG_LAUNCH(activation_grad_kernel<T>, rg_flat_grid(a->n),
                                        dim3(RG_FLAT_THREADS), 0, (cudaStream_t)ctx->stream, x, dy,
                                        dx, a->n, rg_wide(x) && rg_wide(dy) && rg_wide(dx), a->act,
                                        (float)a->slope, g->add_dx));
}

} // namespace

RG_CUDA_SLOT(activation)
