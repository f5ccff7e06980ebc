/*
 * Frames of a signal under a periodic Hann window, and the way of their gradients back to it.
 *
 * One idea: a block owns a frame, in shared memory from its samples to its bins. Back, frames are
 * written side by side and a thread per sample adds those that cover it, in order: no two threads
 * ever add to the same place. Not here: the transforms (fft.cuh), what is made of the bins.
 */
#ifndef RG_KERNELS_CUDA_STFT_CUH
#define RG_KERNELS_CUDA_STFT_CUH

#include "kernels/cuda/fft.cuh"
#include "kernels/cuda/flat.cuh"
#include "kernels/cuda/sums.cuh"

enum { RG_FRAME_THREADS = 256, RG_FRAME_SHARED = 48 * 1024 };

/* How a signal is cut. */
struct rg_framing {
    const float2 *roots; /* (n) */
    int64_t t_in, frames, pad_left, pad_right;
    int n, hop;
    bool reflect;
    float scale;

    __device__ __forceinline__ float window(int j) const
    {
        return scale * (0.5f - 0.5f * roots[j].x);
    }
    /* The sample that place j of frame f reads; -1 for a zero. */
    __device__ __forceinline__ int64_t source(int64_t f, int j) const
    {
        const int64_t at = f * hop - pad_left + j;
        if (at >= 0 && at < t_in) return at;
        if (!reflect || at >= t_in + pad_right) return -1;
        return at < 0 ? -at : 2 * (t_in - 1) - at;
    }
};

/* Bytes of a frame's two buffers of n/2+1 complex numbers. */
static inline size_t rg_frame_shared(int n)
{
    return (size_t)(n / 2 + 1) * 2 * sizeof(float2);
}

/* What `a` says, with its roots being made in scratch; roots NULL: the error is recorded. */
static rg_framing rg_framing_of(rg_kernel_ctx *ctx, const rg_stft_args *a)
{
    rg_framing of = {NULL,           a->t_in,  a->frames, a->pad_left,
                     a->pad_right,   a->n_fft, a->hop,    a->pad_mode == RG_PAD_REFLECT,
                     (float)a->scale};
    if (rg_frame_shared(a->n_fft) > RG_FRAME_SHARED) {
        rg_fail(ctx->error, RG_ERR_UNSUPPORTED,
                "n_fft %d: frames of at most 6142 fit a GPU's shared memory", a->n_fft);
        return of;
    }
    float2 *roots = rg_device_scratch<float2>(ctx, a->n_fft);
    if (!roots) return of;
    const cudaError_t error = RG_LAUNCH(roots_kernel, dim3((unsigned)(a->n_fft + 255) / 256),
                                        dim3(256), 0, (cudaStream_t)ctx->stream, roots, a->n_fft);
    if (rg_cuda_check(ctx, error) == RG_OK) of.roots = roots;
    return of;
}

/* Threads of a frame's block: one per butterfly of four, whole warps. */
static inline dim3 rg_frame_block(int n)
{
    int threads = 32;
    while (threads < RG_FRAME_THREADS && threads < n / 8) threads *= 2;
    return dim3((unsigned)threads);
}

/* Frame f of x (T): its bins (n/2+1) in `bins`; z is the buffer's other half. */
template <class T>
__device__ __forceinline__ void rg_frame_bins(const rg_framing &of, const T *__restrict__ x,
                                              int64_t f, float2 *z, float2 *bins)
{
    const int h = of.n / 2;
    for (int j = (int)threadIdx.x; j < h; j += (int)blockDim.x) {
        const int64_t even = of.source(f, 2 * j), odd = of.source(f, 2 * j + 1);
        z[j] = make_float2(even < 0 ? 0.f : rg_tofloat(x[even]) * of.window(2 * j),
                           odd < 0 ? 0.f : rg_tofloat(x[odd]) * of.window(2 * j + 1));
    }
    __syncthreads();
    float2 *end = rg_fft_shared(z, bins, h, of.roots);
    if (end == bins) { /* the bins are made from the other buffer */
        for (int j = (int)threadIdx.x; j < h; j += (int)blockDim.x) z[j] = bins[j];
        __syncthreads();
    }
    rg_real_bins(z, bins, h, of.roots);
}

/* From the gradient at a frame's bins to that at its samples, under the window: out (n). */
__device__ __forceinline__ void rg_frame_grad(const rg_framing &of, float2 *bins, float2 *z,
                                              float *__restrict__ out)
{
    const int h = of.n / 2;
    rg_real_bins_grad(bins, z, h, of.roots);
    const float2 *end = rg_fft_shared(z, bins, h, of.roots);
    for (int j = (int)threadIdx.x; j < h; j += (int)blockDim.x) {
        out[2 * j] = end[j].x * of.window(2 * j);
        out[2 * j + 1] = -end[j].y * of.window(2 * j + 1);
    }
}

/* The sum at place p of the padded signal over the frames (F,n) that cover it. */
__device__ __forceinline__ float rg_covering(const rg_framing &of, const float *__restrict__ frames,
                                             int64_t p)
{
    float sum = 0.f;
    const int64_t last = p / of.hop;
    for (int64_t f = p < of.n ? 0 : (p - of.n) / of.hop + 1; f <= last && f < of.frames; f++)
        sum += frames[f * of.n + p - f * of.hop];
    return sum;
}

/* dx (B,T) (+)= frames (B,F,n) added up; with reflection a sample also stands in the pads. */
template <class T>
static __global__ void __launch_bounds__(RG_FRAME_THREADS)
    overlap_kernel(const rg_framing of, const float *__restrict__ frames, T *__restrict__ dx,
                   int64_t total, bool add_dx)
{
    const int64_t i = (int64_t)blockIdx.x * RG_FRAME_THREADS + threadIdx.x;
    if (i >= total) return;
    const int64_t item = rg_quotient(i, of.t_in), t = i - item * of.t_in;
    const float *own = frames + item * of.frames * of.n;
    const int64_t mirror = 2 * (of.t_in - 1) - t;
    float sum = rg_covering(of, own, of.pad_left + t);
    if (of.reflect && t > 0 && t <= of.pad_left) sum += rg_covering(of, own, of.pad_left - t);
    if (of.reflect && mirror >= of.t_in && mirror < of.t_in + of.pad_right)
        sum += rg_covering(of, own, of.pad_left + mirror);
    dx[i] = rg_from<T>(add_dx ? rg_tofloat(dx[i]) + sum : sum);
}

template <class T>
static rg_status rg_overlap(rg_kernel_ctx *ctx, const rg_framing &of, int64_t batch,
                            const float *frames, T *dx, bool add_dx)
{
    const int64_t total = batch * of.t_in;
    const int64_t blocks = (total + RG_FRAME_THREADS - 1) / RG_FRAME_THREADS;
    return rg_cuda_check(ctx, RG_LAUNCH(overlap_kernel<T>, dim3((unsigned)blocks),
                                        dim3(RG_FRAME_THREADS), 0, (cudaStream_t)ctx->stream, of,
                                        frames, dx, total, add_dx));
}

#endif
