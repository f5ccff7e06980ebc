/*
 * Weight norm (Salimans & Kingma 2016): w = g v / |v| per slice a of v (outer, n, inner).
 *
 * One idea: slices are columns where they lie side by side (inner 1), else items, so that
 * neighbouring threads read neighbouring numbers in both (sums.cuh). Parameters are fp32 whatever
 * the activations are. Not here: when weights are folded.
 */
#include "kernels/cuda/flat.cuh"
#include "kernels/cuda/sums.cuh"

namespace
{

enum { THREADS = 256 };

struct slices {
    const float *v, *dw; /* dw NULL: forward */
    int64_t outer, n, inner;
};

/* Sums 0: v v; 1: dw v. */
struct slice_source {
    slices s;
    __device__ __forceinline__ void add(int64_t item, int64_t row, int64_t col, float sums[2]) const
    {
        const int64_t o = s.inner == 1 ? row : row / s.inner, i = row - o * s.inner;
        const int64_t at = (o * s.n + item + col) * s.inner + i;
        const float v = s.v[at];
        sums[0] += v * v;
        if (s.dw) sums[1] += s.dw[at] * v;
    }
};

/* |v| of each slice, and dg = dw . v / |v|; one of item and col is 0. */
struct slice_sink {
    float *norm, *dg;
    __device__ __forceinline__ void put(int64_t item, int64_t col, int64_t,
                                        const float sums[2]) const
    {
        norm[item + col] = sqrtf(sums[0]);
        if (dg) dg[item + col] = sums[1] / sqrtf(sums[0]);
    }
};

static rg_status slice_norms(rg_kernel_ctx *ctx, const slices &s, float *norm, float *dg)
{
    const bool columns = s.inner == 1;
    return rg_sums<float, 2>(ctx, columns ? 1 : s.n, s.outer * s.inner, columns ? s.n : 1,
                             slice_source{s}, slice_sink{norm, dg});
}

/* w = g v / |v|; with dw: dv = g / |v| (dw - dg v / |v|). */
__global__ void __launch_bounds__(THREADS)
    weight_norm_kernel(const slices s, const float *__restrict__ g, const float *__restrict__ norm,
                       const float *__restrict__ dg, float *__restrict__ out, int64_t total)
{
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= total) return;
    const int64_t a = rg_modulo(rg_quotient(i, s.inner), s.n);
    const float unit = s.v[i] / norm[a];
    out[i] = dg ? g[a] / norm[a] * (s.dw[i] - dg[a] * unit) : g[a] * unit;
}

static rg_status scale_slices(rg_kernel_ctx *ctx, const slices &s, const void *g, const float *norm,
                              const float *dg, void *out)
{
    const int64_t total = s.outer * s.n * s.inner;
    if (total == 0 || !out) return RG_OK;
    return rg_cuda_check(ctx, RG_LAUNCH(weight_norm_kernel,
                                        dim3((unsigned)((total + THREADS - 1) / THREADS)),
                                        dim3(THREADS), 0, (cudaStream_t)ctx->stream, s,
                                        (const float *)g, norm, dg, (float *)out, total));
}

template <class T>
static rg_status weight_norm_forward(rg_kernel_ctx *ctx, const rg_weight_norm_args *w)
{
    const slices s = {(const float *)w->v, NULL, w->outer, w->n, w->inner};
    float *norm = rg_device_scratch<float>(ctx, w->n);
    if (!norm) return ctx->error->code;
    RG_TRY(slice_norms(ctx, s, norm, NULL));
    return scale_slices(ctx, s, w->g, norm, NULL, w->w);
}

template <class T>
static rg_status weight_norm_grad(rg_kernel_ctx *ctx, const rg_weight_norm_args *w)
{
    const slices s = {(const float *)w->v, (const float *)w->dw, w->outer, w->n, w->inner};
    float *norm = rg_device_scratch<float>(ctx, w->n);
    float *dg = w->dg ? (float *)w->dg : rg_device_scratch<float>(ctx, w->n);
    if (!norm || !dg) return ctx->error->code;
    RG_TRY(slice_norms(ctx, s, norm, dg));
    return scale_slices(ctx, s, w->g, norm, dg, w->dv);
}

} // namespace

RG_CUDA_SLOT_OF(weight_norm, rg_weight_norm_args, rg_weight_norm_args)
