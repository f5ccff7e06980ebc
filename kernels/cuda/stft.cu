/*
 * STFT with a periodic Hann window, and its adjoint.
 *
 * One idea: a frame is a block (stft.cuh). Not here: spectrograms, which never write the bins.
 */
#include "kernels/cuda/stft.cuh"

namespace
{

template <class T>
__global__ void __launch_bounds__(RG_FRAME_THREADS)
    stft_kernel(const rg_framing of, const T *__restrict__ x, T *__restrict__ y)
{
    RG_DYN_SHARED(float2, bins);
    const int count = of.n / 2 + 1;
    const int64_t frame = blockIdx.x, item = frame / of.frames;
    rg_frame_bins(of, x + item * of.t_in, frame - item * of.frames, bins + count, bins);
    for (int k = (int)threadIdx.x; k < count; k += (int)blockDim.x) {
        y[(frame * count + k) * 2] = rg_from<T>(bins[k].x);
        y[(frame * count + k) * 2 + 1] = rg_from<T>(bins[k].y);
    }
}

template <class T>
__global__ void __launch_bounds__(RG_FRAME_THREADS)
    stft_grad_kernel(const rg_framing of, const T *__restrict__ dy, float *__restrict__ frames)
{
    RG_DYN_SHARED(float2, bins);
    const int count = of.n / 2 + 1;
    const int64_t frame = blockIdx.x;
    for (int k = (int)threadIdx.x; k < count; k += (int)blockDim.x)
        bins[k] = make_float2(rg_tofloat(dy[(frame * count + k) * 2]),
                              rg_tofloat(dy[(frame * count + k) * 2 + 1]));
    __syncthreads();
    rg_frame_grad(of, bins, bins + count, frames + frame * of.n);
}

template <class T> static rg_status stft_forward(rg_kernel_ctx *ctx, const rg_stft_args *a)
{
    if (a->batch * a->frames == 0) return RG_OK;
    const rg_framing of = rg_framing_of(ctx, a);
    if (!of.roots) return ctx->error->code;
    return rg_cuda_check(ctx, RG_LAUNCH(stft_kernel<T>, dim3((unsigned)(a->batch * a->frames)),
                                        rg_frame_block(of.n), rg_frame_shared(of.n),
                                        (cudaStream_t)ctx->stream, of, (const T *)a->x, (T *)a->y));
}

template <class T> static rg_status stft_grad(rg_kernel_ctx *ctx, const rg_stft_grad_args *g)
{
    const rg_stft_args *a = &g->fwd;
    const int64_t count = a->batch * a->frames;
    if (!g->dx || a->batch * a->t_in == 0) return RG_OK;
    const rg_framing of = rg_framing_of(ctx, a);
    if (!of.roots) return ctx->error->code;
    float *frames = rg_device_scratch<float>(ctx, count * of.n);
    if (!frames) return ctx->error->code;
    if (count > 0)
        RG_TRY(
            rg_cuda_check(ctx, RG_LAUNCH(stft_grad_kernel<T>, dim3((unsigned)count),
                                         rg_frame_block(of.n), rg_frame_shared(of.n),
                                         (cudaStream_t)ctx->stream, of, (const T *)g->dy, frames)));
    return rg_overlap(ctx, of, a->batch, frames, (T *)g->dx, g->add_dx);
}

} // namespace

RG_CUDA_SLOT(stft)
