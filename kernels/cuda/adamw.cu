/*
 * AdamW, the EMA and the weights' 16-bit form in one pass over the parameters (Loshchilov & Hutter
 * 2019).
 *
 * One idea: a packed weight is its rows rounded, so the thread that has just updated an element
 * stores it once more. The matrices' places travel as the launch's parameters: a range with more of
 * them than fit is more than one launch. Every state is fp32 whatever the activations are.
 * Whether the step is made at all, and its factors, one thread has decided in memory before
 * (adamw_begin), so that nobody asks the host.
 * Not here: the norm that decides (norm.cu).
 */
#include "kernels/adamw_begin.h"
#include "kernels/cuda/flat.cuh"

namespace
{

enum { MATRICES = 128 }; /* of a launch; parameters stay under 4 KB */

struct factors {
    float beta1, beta2, rest1, rest2, eps, decay;
};

/* The matrices of a launch, in the order of `at`. */
struct matrices {
    int64_t at[MATRICES], end[MATRICES];
    void *packed[MATRICES];
    unsigned char type[MATRICES];
    int n;
};

struct state {
    float *w, *m, *v, *ema;
    const float *g;
    const uint8_t *decay;
};

/* Element i of the range, which is part of matrix `in` or of none, has the value w. */
__device__ __forceinline__ void store_packed(const matrices &list, int in, int64_t i, float w)
{
    const int64_t j = i - list.at[in];
    if (list.type[in] == RG_BF16)
        ((__nv_bfloat16 *)list.packed[in])[j] = rg_from<__nv_bfloat16>(w);
    else if (list.type[in] == RG_F16)
        ((__half *)list.packed[in])[j] = rg_from<__half>(w);
    else
        ((float *)list.packed[in])[j] = w;
}

/* The last matrix that starts at i or before; -1: none. */
__device__ __forceinline__ int find_matrix(const matrices &list, int64_t i)
{
    int low = -1, high = list.n;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (list.at[middle] <= i)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Updates element i, returns it. */
__device__ __forceinline__ float update(const state &s, const factors &f, const rg_adamw_now *now,
                                        int64_t i, float w, float *m, float *v)
{
    const float g = s.g[i] * now->grad_scale;
    *m = f.beta1 * *m + f.rest1 * g;
    *v = f.beta2 * *v + f.rest2 * g * g;
    const float step = *m * now->inverse1 / (sqrtf(*v * now->inverse2) + f.eps);
    return w - now->rate * (step + (s.decay && !s.decay[i] ? 0.f : f.decay * w));
}

__global__ void __launch_bounds__(32)
    adamw_begin_kernel(const rg_adamw_rules rules, const double *sum_squares, int64_t n_sums,
                       rg_adamw_now *now)
{
    if (threadIdx.x == 0) rg_adamw_decide(&rules, sum_squares, n_sums, now);
}

/* Of skipped steps only, which are few: it ends at once in all others. */
__global__ void __launch_bounds__(RG_FLAT_THREADS)
    adamw_skip_kernel(const float *__restrict__ g, int64_t n, int64_t at, rg_adamw_now *now)
{
    const int64_t i = (int64_t)blockIdx.x * RG_FLAT_THREADS + threadIdx.x;
    if (!now->skip || i >= n || fabsf(g[i]) <= FLT_MAX) return;
    atomicMin(reinterpret_cast<unsigned long long *>(&now->nonfinite),
              (unsigned long long)(at + i));
}

__global__ void __launch_bounds__(RG_FLAT_THREADS)
    adamw_kernel(const state s, const rg_adamw_now *__restrict__ now,
                 const __grid_constant__ factors f, const __grid_constant__ matrices list,
                 int64_t first, int64_t end)
{
    const int64_t i = first + (int64_t)blockIdx.x * RG_FLAT_THREADS + threadIdx.x;
    if (i >= end || now->skip) return;
    float m = s.m[i], v = s.v[i];
    const float w = update(s, f, now, i, s.w[i], &m, &v);
    s.m[i] = m;
    s.v[i] = v;
    s.w[i] = w;
    if (s.ema) s.ema[i] = now->ema * s.ema[i] + now->ema_rest * w;
    const int in = find_matrix(list, i);
    if (in >= 0 && i < list.end[in]) store_packed(list, in, i, w);
}

static factors factors_of(const rg_adamw_args *a)
{
    return factors{(float)a->beta1,       (float)a->beta2, (float)(1 - a->beta1),
                   (float)(1 - a->beta2), (float)a->eps,   (float)a->weight_decay};
}

static dim3 blocks_of(int64_t n)
{
    return dim3((unsigned)((n + RG_FLAT_THREADS - 1) / RG_FLAT_THREADS));
}

/* The next matrices from `from` on, as many as fit. */
static matrices matrices_from(const rg_adamw_args *a, int64_t from)
{
    matrices list;
    list.n = 0;
    for (int64_t i = from; i < a->n_matrices && list.n < MATRICES; i++) {
        const rg_adamw_matrix *m = &a->matrices[i];
        list.at[list.n] = m->at;
        list.end[list.n] = m->at + m->rows * m->cols;
        list.packed[list.n] = m->packed;
        list.type[list.n++] = (unsigned char)m->type;
    }
    return list;
}

template <class T>
static rg_status adamw_begin_call(rg_kernel_ctx *ctx, const rg_adamw_begin_args *a)
{
    return rg_cuda_check(ctx, RG_LAUNCH(adamw_begin_kernel, dim3(1), dim3(32), 0,
                                        (cudaStream_t)ctx->stream, a->rules, a->sum_squares,
                                        a->n_sums, a->now));
}

template <class T> static rg_status adamw_call(rg_kernel_ctx *ctx, const rg_adamw_args *a)
{
    const state s = {a->w, a->m, a->v, a->ema, a->g, a->decay};
    const factors f = factors_of(a);
    const dim3 threads(RG_FLAT_THREADS);
    const cudaStream_t stream = (cudaStream_t)ctx->stream;
    int64_t first = 0, from = 0;
    while (first < a->n) {
        const matrices list = matrices_from(a, from);
        from += list.n;
        const int64_t end = from < a->n_matrices ? a->matrices[from].at : a->n;
        RG_TRY(rg_cuda_check(ctx, RG_LAUNCH(adamw_kernel, blocks_of(end - first), threads, 0,
                                            stream, s, a->now, f, list, first, end)));
        first = end;
    }
    if (a->n == 0) return RG_OK;
    return rg_cuda_check(ctx, RG_LAUNCH(adamw_skip_kernel, blocks_of(a->n), threads, 0, stream,
                                        a->g, a->n, a->at, a->now));
}

} // namespace

RG_CUDA_CALL(adamw_begin)
RG_CUDA_CALL(adamw)
