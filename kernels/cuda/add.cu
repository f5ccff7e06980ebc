/*
 * Scaled sums with a suffix broadcast, and the sum that is its gradient.
 *
 * One idea: the gradient of a broadcast over rows of n_b is the sum of the columns. Not here: how
 * such sums are cut (sums.cuh).
 */
#include "kernels/cuda/flat.cuh"
#include "kernels/cuda/sums.cuh"

namespace
{

/* y may be a: a thread reads its group before it writes it. */
template <class T>
__global__ void __launch_bounds__(RG_FLAT_THREADS)
    add_kernel(const T *a, const T *__restrict__ b, T *y, int64_t n, int64_t n_b, bool wide,
               float alpha, float beta, const float *__restrict__ by)
{
    const int64_t i = rg_flat_at();
    if (i >= n) return;
    float v[RG_GROUP], w[RG_GROUP] = {0.f, 0.f, 0.f, 0.f};
    rg_load_group(a, i, n, wide, v);
    if (b && n_b == n) {
        rg_load_group(b, i, n, wide, w);
    } else if (b) {
        int64_t j = rg_modulo(i, n_b);
        RG_UNROLL
        for (int k = 0; k < RG_GROUP; k++) {
            w[k] = rg_tofloat(b[j]);
            j = j + 1 < n_b ? j + 1 : 0;
        }
    }
    if (by && b) beta *= *by;
    if (by && !b) alpha *= *by;
    RG_UNROLL
    for (int k = 0; k < RG_GROUP; k++) v[k] = alpha * v[k] + (b ? beta * w[k] : 0.f);
    rg_store_group(y, i, n, wide, false, v);
}

template <class T> static rg_status add_forward(rg_kernel_ctx *ctx, const rg_add_args *args)
{
    const T *a = (const T *)args->a, *b = (const T *)args->b;
    T *y = (T *)args->y;
    if (args->n == 0) return RG_OK;
    return rg_cuda_check(ctx, RG_LAUNCH(add_kernel<T>, rg_flat_grid(args->n), dim3(RG_FLAT_THREADS),
                                        0, (cudaStream_t)ctx->stream, a, b, y, args->n, args->n_b,
                                        rg_wide(a) && rg_wide(b) && rg_wide(y), (float)args->alpha,
                                        (float)args->beta, (const float *)args->by));
}

/* dy as rows of n_b; the last may be short. */
template <class T> struct broadcast_source {
    const T *dy;
    int64_t n, n_b;
    __device__ __forceinline__ void add(int64_t, int64_t row, int64_t col, float sums[1]) const
    {
        const int64_t i = row * n_b + col;
        if (i < n) sums[0] += rg_tofloat(dy[i]);
    }
};

template <class T> struct broadcast_sink {
    T *db;
    float scale;
    bool add;
    __device__ __forceinline__ void put(int64_t, int64_t col, int64_t, const float sums[1]) const
    {
        const float value = scale * sums[0];
        db[col] = rg_from<T>(add ? rg_tofloat(db[col]) + value : value);
    }
};

template <class T> static rg_status add_grad(rg_kernel_ctx *ctx, const rg_reduce_args *a)
{
    const broadcast_source<T> source = {(const T *)a->dy, a->n, a->n_b};
    const broadcast_sink<T> sink = {(T *)a->db, (float)a->scale, a->add_db};
    if (!a->db || a->n_b == 0) return RG_OK;
    return rg_sums<float, 1>(ctx, 1, (a->n + a->n_b - 1) / a->n_b, a->n_b, source, sink);
}

} // namespace

RG_CUDA_SLOT_OF(add, rg_add_args, rg_reduce_args)
