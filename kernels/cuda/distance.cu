/*
 * Distances between a and b (B,n) as one number, and the gradient to a.
 *
 * One idea: each item's distance and size are sums of runs (sums.cuh), divided where they are
 * stored; the items' shares are summed in the same fixed order.
 */
#include "kernels/cuda/flat.cuh"
#include "kernels/cuda/sums.cuh"

namespace
{

/* How a kind measures. */
struct measure {
    bool l1, relative;
    float floor;  /* eps n: of an item's size */
    float shared; /* the divisor of what is not relative */
    float batch;
    /* What the sum of an item of `size` is divided by. */
    __device__ __forceinline__ float divisor(float size) const
    {
        return relative ? batch * (floor + size) : shared;
    }
};

static measure measure_of(const rg_distance_args *a)
{
    const bool relative = a->kind == RG_DISTANCE_RELATIVE_MSE || a->kind == RG_DISTANCE_RELATIVE_L1;
    return measure{a->kind == RG_DISTANCE_L1 || a->kind == RG_DISTANCE_RELATIVE_L1, relative,
                   (float)(a->eps * (double)a->n), (float)(a->batch * a->n), (float)a->batch};
}

/* Sums 0: |a - b| or (a - b)^2; 1: |b| or b^2. */
template <class T> struct item_source {
    const T *a, *b; /* a NULL: sizes only */
    int64_t n;
    bool l1;
    __device__ __forceinline__ void add(int64_t item, int64_t i, int64_t, float sums[2]) const
    {
        const float y = rg_tofloat(b[item * n + i]);
        const float d = a ? rg_tofloat(a[item * n + i]) - y : 0.f;
        sums[0] += l1 ? fabsf(d) : d * d;
        sums[1] += l1 ? fabsf(y) : y * y;
    }
};

/* Per item: its share of the distance, its size. */
struct item_sink {
    float *p;
    measure m;
    __device__ __forceinline__ void put(int64_t item, int64_t, int64_t, const float sums[2]) const
    {
        p[2 * item] = sums[0] / m.divisor(sums[1]);
        p[2 * item + 1] = sums[1];
    }
};

struct share_source {
    const float *p;
    __device__ __forceinline__ void add(int64_t, int64_t item, int64_t, float sums[1]) const
    {
        sums[0] += p[2 * item];
    }
};

struct total_sink {
    float *y;
    __device__ __forceinline__ void put(int64_t, int64_t, int64_t, const float sums[1]) const
    {
        *y = sums[0];
    }
};

template <class T> static rg_status distance_forward(rg_kernel_ctx *ctx, const rg_distance_args *a)
{
    const item_sink items = {rg_device_scratch<float>(ctx, 2 * a->batch), measure_of(a)};
    if (!items.p) return ctx->error->code;
    const item_source<T> source = {(const T *)a->a, (const T *)a->b, a->n, items.m.l1};
    RG_TRY((rg_sums<float, 2>(ctx, a->batch, a->n, 1, source, items)));
    return rg_sums<float, 1>(ctx, 1, a->n > 0 ? a->batch : 0, 1, share_source{items.p},
                             total_sink{(float *)a->y});
}

/* items: as forward's sums, NULL when the distance is not relative. */
template <class T>
__global__ void __launch_bounds__(RG_FLAT_THREADS)
    distance_grad_kernel(const T *__restrict__ a, const T *__restrict__ b,
                         const float *__restrict__ dy, const float *__restrict__ items,
                         T *__restrict__ da, int64_t n, int64_t total, measure m, bool wide,
                         bool add_da)
{
    const int64_t at = rg_flat_at();
    if (at >= total) return;
    float v[RG_GROUP], w[RG_GROUP];
    rg_load_group(a, at, total, wide, v);
    rg_load_group(b, at, total, wide, w);
    RG_UNROLL
    for (int k = 0; k < RG_GROUP; k++) {
        const int64_t item = rg_quotient(min(at + k, total - 1), n);
        const float scale = *dy / m.divisor(items ? items[2 * item + 1] : 0.f), d = v[k] - w[k];
        const float sign = d > 0.f ? 1.f : d < 0.f ? -1.f : d; /* 0 and NaN stay themselves */
        v[k] = scale * (m.l1 ? sign : 2.f * d);
    }
    rg_store_group(da, at, total, wide, add_da, v);
}

template <class T>
static rg_status distance_grad(rg_kernel_ctx *ctx, const rg_distance_grad_args *g)
{
    const rg_distance_args *f = &g->fwd;
    const int64_t total = f->batch * f->n;
    const T *a = (const T *)f->a, *b = (const T *)f->b;
    T *da = (T *)g->da;
    item_sink items = {NULL, measure_of(f)};
    if (!da || total == 0) return RG_OK;
    if (items.m.relative) {
        items.p = rg_device_scratch<float>(ctx, 2 * f->batch);
        if (!items.p) return ctx->error->code;
        const item_source<T> sizes = {NULL, b, f->n, items.m.l1};
        RG_TRY((rg_sums<float, 2>(ctx, f->batch, f->n, 1, sizes, items)));
    }
    return rg_cuda_check(ctx, RG_LAUNCH(distance_grad_kernel<T>, rg_flat_grid(total),
                                        dim3(RG_FLAT_THREADS), 0, (cudaStream_t)ctx->stream, a, b,
                                        (const float *)g->dy, items.p, da, f->n, total, items.m,
                                        rg_wide(a) && rg_wide(b) && rg_wide(da), g->add_da));
}

} // namespace

RG_CUDA_SLOT(distance)
